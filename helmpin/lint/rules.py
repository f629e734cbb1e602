"""The kinds of findings that lint has, as reports for programs name them."""

from __future__ import annotations

from helmpin.named_tuple import NamedTuple

_EXEMPT = "An exemption with a reason and an end goes into .helm-pin.yaml: allow-unpinned: [{image, reason, until}]."


class Rule(NamedTuple):
    """One kind of finding."""

    id: str
    name: str
    """As SARIF writes it: in words that begin with a capital, without spaces."""
    title: str
    with_it: str
    """What an image has that breaks it, after "1 image "; '' if it is about no image."""
    text: str
    """In one sentence."""
    help: str
    """What it means and what to do."""


MUTABLE_TAG = Rule(
    "mutable-tag",
    "MutableTag",
    "mutable image tag",
    "with a tag that can move",
    "An image tag that can move, so that what runs depends on when it was pulled.",
    "The tag of this image can move to other contents, so the same chart runs different containers on different days and "
    "clusters, and a rollback restores the tag, not the program. Deploy with `helm pin upgrade`, which pins every image by "
    f"digest; or write the digest into the values: `helm pin lint CHART --fix`. {_EXEMPT}",
)
REGISTRY = Rule(
    "registry-not-allowed",
    "RegistryNotAllowed",
    "registry not allowed",
    "from a registry that is not allowed",
    "An image from a registry or repository that the setting allowed-registry does not list.",
    "The setting allowed-registry lists registries and repositories, and this image comes from elsewhere. Use the image from "
    "one of those, or add its registry or repository to the list. `helm pin config CHART` prints where it is set.",
)
NOT_IN_LOCK = Rule(
    "not-in-lock",
    "NotInLock",
    "image not in the lock",
    "that the lock does not pin",
    "An image whose digest cannot be taken from the lock file.",
    "The lock file has no digest for this image, or a different one from the chart's. `helm pin lock RELEASE CHART`, with the same "
    "values, writes what it lacks.",
)
NOT_A_REFERENCE = Rule(
    "not-a-reference",
    "NotAReference",
    "not an image reference",
    "without a valid reference",
    "An image that is missing, is not a valid reference, or is filled in later.",
    "There is nothing that could be pinned: no image, no valid reference, or one that a webhook or a workflow engine fills in "
    f"later. Correct the value, or let it through. {_EXEMPT}",
)
NOT_LINTED = Rule(
    "not-linted",
    "NotLinted",
    "chart not linted",
    "",
    "A chart that does not render, so that its images are not known.",
    "helm could not render this chart with its defaults or with a values file of its ci folder, so nothing is known of its "
    "images. Correct the chart; if it needs values, give them with -f, or put them into ci/NAME-values.yaml.",
)
RULES = (MUTABLE_TAG, REGISTRY, NOT_IN_LOCK, NOT_A_REFERENCE, NOT_LINTED)
