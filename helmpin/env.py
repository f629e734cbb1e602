"""The environment that helm-pin was started in: what helm hands to a plugin, and what programs agree on.

No other module reads os.environ, except those that run before helm-pin does or without helm (prefetch, install). None
changes it but through change(), as helm does for a plugin, and take_password().
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from helmpin.password import PASSWORD

ENVIRON: Mapping[str, str] = os.environ
"""All of it, for programs that are started."""


def change(variables: Mapping[str, str | None]) -> None:
    """Set variables, for helm-pin and the programs that it starts; None removes one."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def take_password() -> str:
    """The password for registries, '' without one. No program that is started from now on inherits it."""
    return os.environ.pop(PASSWORD, "")


TRUE, FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
"""How helm reads whether a switch or a variable is on (Go, strconv.ParseBool)."""


def is_on(name: str, environ: Mapping[str, str] = ENVIRON) -> bool:
    """Whether a variable of helm's is true."""
    return environ.get(name, "") in TRUE


def debugging(environ: Mapping[str, str] = ENVIRON) -> bool:
    """Whether --debug was given."""
    return is_on("HELM_DEBUG", environ)


def helm() -> str:
    """The helm that started the plugin, or a name to look for on PATH."""
    return ENVIRON.get("HELM_BIN") or "helm"


def given_namespace() -> str:
    """The namespace that helm was given, or found in the kubeconfig; '' if helm passed none on."""
    return ENVIRON.get("HELM_NAMESPACE", "")


def namespace() -> str:
    """The namespace of the release."""
    return given_namespace() or "default"


def context() -> str:
    """The kubeconfig's context that helm was given; '' for the current one."""
    return ENVIRON.get("HELM_KUBECONTEXT", "")


def storage_driver() -> str:
    """Where helm stores releases, as HELM_DRIVER says; '' for its default."""
    return ENVIRON.get("HELM_DRIVER", "")


def home() -> Path:
    """The user's home folder; `/` for a user who has none, as some container runtimes set HOME then."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def cache_home() -> Path:
    """Helm's own cache folder (pkg/helmpath, lazypath.go), which helm tells a plugin, but not the command `helm-pin`."""
    if given := ENVIRON.get("HELM_CACHE_HOME"):
        return Path(given)
    own = home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(ENVIRON.get("XDG_CACHE_HOME") or own) / "helm"


def repository_cache() -> Path:
    """Where helm keeps the indexes of the repositories that were added, and on Helm 3 the charts that it fetches."""
    return Path(ENVIRON.get("HELM_REPOSITORY_CACHE") or cache_home() / "repository")


def temporary_folder() -> str:
    """The folder for temporary files."""
    return ENVIRON.get("TMPDIR") or "/tmp"


def is_quiet() -> bool:
    """Whether --quiet was given."""
    return ENVIRON.get("HELM_PIN_QUIET", "").lower() not in ("", "0", "false", "no", "off")


def is_dumb_terminal() -> bool:
    """Whether the terminal can do nothing but print (TERM=dumb)."""
    return ENVIRON.get("TERM") == "dumb"


def colours() -> str:
    """When to print in colours: always, auto or never (no-color.org; Helm 4, pkg/cli/environment.go, envColorMode)."""
    when = "never" if ENVIRON.get("NO_COLOR") else ENVIRON.get("HELM_COLOR", "").lower()
    return when if when in ("always", "never") else "auto"
