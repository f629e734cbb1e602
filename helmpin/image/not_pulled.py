"""Places that name an image which nothing pulls: where a build pushes it, and what is only scanned or removed. A digest there would
be wrong: nothing can be pushed to one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from helmpin.image.find import ObjectPath, group_and_kind

Fields = tuple[tuple[str, ...], ...]
"""Paths of fields below a node; `()` is the node itself."""

_BUILD_CONFIG: Fields = (("spec", "output", "to"),)
_BUILDER: Fields = (("spec", "tag"),)
FIELDS: dict[str, dict[str, Fields]] = {
    "build.openshift.io": {"BuildConfig": _BUILD_CONFIG, "Build": _BUILD_CONFIG},
    "": {"BuildConfig": _BUILD_CONFIG},  # as OpenShift 3 has it
    "shipwright.io": {
        "Build": (("spec", "output", "image"),),
        "BuildRun": (
            ("spec", "output", "image"),
            ("spec", "build", "spec", "output", "image"),
            ("spec", "buildSpec", "output", "image"),
        ),
    },
    "kpack.io": {
        "Image": (("spec", "tag"), ("spec", "additionalTags"), ("spec", "cache", "registry", "tag")),
        "Build": (("spec", "tags"), ("spec", "cache", "registry", "tag")),
        "Builder": _BUILDER,
        "ClusterBuilder": _BUILDER,
    },
    "devops.kubesphere.io": {"S2iBuilder": (("spec", "config", "imageName"),)},
    "image.toolkit.fluxcd.io": {"ImageRepository": (("spec", "image"),)},
    "argocd-image-updater.argoproj.io": {"ImageUpdater": (("spec",),)},
    "eraser.sh": {"ImageList": (("spec", "images"),)},
}
"""Where kinds name such images, by API group, from the types of each project's API."""
_TAKES_VALUE = r"-\S*(?:file|creds|dir|format|username|password|token|key|platform|tag|reference)"
_FLAGS = rf"(?:{_TAKES_VALUE}[ \t]+\S+[ \t]+|(?!{_TAKES_VALUE}[ \t])-\S+[ \t]+)*"
_WORD, _REST, _BEGIN = r"[^\s&;|-]\S*[ \t]+", r"(?:[^\n;&|]*\s)?", r"""(?:^|[\s/"'])"""
_PUSHED = rf"""(?x)(?:
      (?:^|[\s"'])--?(?:destination|cache-repo|cache-to|cache-image)[=\s]      # kaniko, buildah, Cloud Native Buildpacks
    | (?:^|[\s"'])(?:--(?:output|cache-to|export-cache)|-o)[=\s]["']?\S*\btype=\S*,(?:name|ref)=        # BuildKit
    | (?:{_BEGIN}executor|--(?:dockerfile|context)\b)[ \t=]{_REST}-d[=\s]                                  # kaniko
    | {_BEGIN}(?:build|bud)[ \t]{_REST}(?:-t|--tag)[=\s]                                    # docker, buildah, podman
    | {_BEGIN}(?:append|mutate|rebase|flatten)[ \t]{_REST}(?:-t|--tag|--new_tag)[=\s]                         # crane
    | {_BEGIN}pack[ \t]+build[ \t]+{_FLAGS}                                              # Cloud Native Buildpacks' CLI
    | {_BEGIN}push[ \t]+{_FLAGS}(?:{_WORD})?                               # docker, podman, crane; what, and where to
    | {_BEGIN}(?:copy|cp)[ \t]+{_FLAGS}{_WORD}{_FLAGS}                                                  # skopeo, crane
    | {_BEGIN}(?:docker|podman|buildah|nerdctl|image|ctr)[ \t]+tag[ \t]+{_FLAGS}{_WORD}
    | {_BEGIN}manifest[ \t]+create[ \t]+{_FLAGS}                                                      # docker, podman
    | {_BEGIN}(?:rmi|image[ \t]+(?:rm|remove|untag)|(?:crane|skopeo|manifest|tag)[ \t]+(?:delete|rm|del))[ \t]+{_REST}
    )["']?\Z"""
"""What comes before the place that a build or a copy is pushed to, or what is removed, on a command line. It is compiled only where
there is such a line: that takes 3 ms."""
_TARGET_NAME = re.compile(
    r"(?:^|_)(?:PUSH|PUSHED|OUTPUT|DEST|DESTINATION)_(?:\w+_)?IMAGE|IMAGE_(?:\w+_)?(?:DEST|DESTINATION|OUTPUT)(?:_|$)"
)
"""The name of an environment variable for the place that an image is pushed to."""
_CONTINUED = re.compile(r"\\\r?\n")
"""Where a shell goes on with a command on the next line (POSIX, Shell Command Language, 2.2.1)."""
_MOST = 500
"""How much of a command line before an image is read."""


def below(node: Any, fields: Fields) -> Fields:
    """The fields below a node: those of its own kind if it is an object, which may be nested in another, else the given ones."""
    group, kind = group_and_kind(node)
    return FIELDS.get(group, {}).get(kind, ()) if kind else fields


def under(key: Any, fields: Fields) -> Fields:
    """The fields below what a node has under a key, or as an item of a list."""
    return tuple(
        field if isinstance(key, int) else field[1:] for field in fields if isinstance(key, int) or field[:1] == (key,)
    )


def is_pushed(text: str) -> bool:
    """Whether an image that comes after this text on a command line is where something is pushed to."""
    return bool(text and re.search(_PUSHED, _CONTINUED.sub(" ", text[-_MOST:])))


def words(items: Sequence[Any]) -> str:
    """The arguments before another one, as on a command line."""
    found: list[str] = []
    length = 0
    for item in reversed(items):
        if not isinstance(item, str) or length > _MOST:
            break
        found.append(item)
        length += len(item)
    return "".join(f"{word} " for word in reversed(found))


def is_target(node: Any) -> bool:
    """Whether a node is an environment variable for such a place."""
    name = node.get("name") if isinstance(node, dict) and "value" in node else None
    return isinstance(name, str) and bool(_TARGET_NAME.search(name))


def is_field(item: Any, path: Iterable[str | int]) -> bool:
    """Whether a leaf of an object is such a field or variable, or in one."""
    fields = below(item, ())
    for key in path:
        item, fields = item[key], under(key, fields)
        if () in fields or is_target(item):
            return True
        fields = below(item, fields)
    return False


def before(item: Any, path: ObjectPath) -> str:
    """The arguments before the one at a path, as on a command line; '' for a leaf that is none."""
    if not path or not isinstance(path[-1], int):
        return ""
    for key in path[:-1]:
        item = item[key]
    return words(item[: path[-1]])
