"""The password for registries in the environment. No program that helm-pin starts may inherit it.

Programs are started before the rest of helm-pin is imported, so this module imports nothing.
"""

TYPE_CHECKING = False  # of typing, which is slow to import
if TYPE_CHECKING:
    from collections.abc import Mapping

PASSWORD = "HELM_PIN_REGISTRY_PASSWORD"
"""The only secret setting, so no flag and no file can give it."""


def without_password(environ: "Mapping[str, str]") -> dict[str, str]:
    """The environment for a program that is started."""
    return {name: value for name, value in environ.items() if name != PASSWORD}
