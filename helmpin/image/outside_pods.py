"""Images outside pod specs: in arguments, environment variables, config maps and custom resources.

They are reported, and pinned only on request (`--also`): what looks like a reference there may be something else. A pattern matches
what is reported, except URLs. Beyond that it matches only a text whose key names an image, or that the pattern's last part names;
never apiVersion, kind, apiGroup, metadata, names, hosts, or parts of images (repository, tag).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from helmpin.errors import HelmFailed
from helmpin.image import find, not_pulled
from helmpin.image.find import ObjectPath
from helmpin.image.reference import Reference, split
from helmpin.named_tuple import NamedTuple

OPERATORS = "operators"
"""The pattern that stands for the rules in operators.yaml."""
_DIGEST = r"(?:@sha256:[0-9a-f]{64})?"
_TAG = r":[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_-])?"
"""A tag in a text: a full stop after it is the sentence's."""
_TAINT = r":(?:NoSchedule|PreferNoSchedule|NoExecute)"
_HOST = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+|localhost)(?::[0-9]+)?"
_CERTAIN = re.compile(
    rf"(?![a-z0-9.-]*kubernetes\.io/)"
    rf"({_HOST}/[a-z0-9._/-]+(?!{_TAINT}(?![\w.-]))(?:{_TAG}{_DIGEST}|@sha256:[0-9a-f]{{64}}))(?![\w/:@-])"
)
"""A word that begins with what can hardly be anything but a reference: it has a host, and a tag or a digest. kubernetes.io is for
labels; Kubernetes' images are at registry.k8s.io. What ends with the effect of a taint is one (`nvidia.com/gpu:NoSchedule`)."""
_HAS_HOST = re.compile(rf"{_HOST}/")
_URL, _OCI = "docker://", "oci://"
"""What begins an image as skopeo and KubeVirt's importer read it (containers-transports(5), docker:), and what else may be in a
registry, such as Helm charts and Flux' manifests."""
_RUN_BY_URL = {"serving.kserve.io": "storageUri", "extensions.istio.io": "url"}
"""The API groups whose objects run what has such a URL, and its key: KServe as a container (modelcars), Istio as a plugin of its
proxy."""
_IN_WORD = re.compile(r"[\w./:@-]")
"""A character of a word that may contain a reference. Words with a slash are few, and quickly found."""
_NO_WORD = re.compile(r"[^\w./:@-]|\Z")
_NO_IMAGE = frozenset(
    [
        "apiversion",
        "kind",
        "apigroup",
        "name",
        "namespace",
        "host",
        "hosts",
        "hostname",
        "hostnames",
        "registry",
        "repository",
        "tag",
        "digest",
    ]
)
"""Keys, in lower case, whose text is not an image, or only a part of one, even if it looks like one."""
_MAY_BE_FOUND = (
    *map(
        re.compile,
        (
            r"/[a-z0-9._/-]*(?::\w|@sha256:)",
            "mage",
            "MAGE",
            "config-reloader",
            r"(?:docker|oci)://",
            r"\\[xuU/\r\n]",
            "!!",
            "!<",
        ),
    ),
)
"""What a manifest has that names an image outside pod specs: what is certain to be a reference, a key that names an image, as in a
patch of a pod spec; or escapes or tags, with which any of these may be written otherwise."""
_FLAG, _FLAG_ALONE = re.compile(r"(-*[\w.-]+)="), re.compile(r"--?[A-Za-z][\w.-]*")
"""The flag of an argument, before its value and as an argument of its own."""
_MOST_EARLIER = 40
_HOST_AND_PORT = re.compile(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+:[0-9]+")
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+")
_OWN_GROUPS = frozenset(
    {
        "admissionregistration",
        "apiextensions",
        "apiregistration",
        "authentication",
        "authorization",
        "certificates",
        "coordination",
        "discovery",
        "events",
        "flowcontrol.apiserver",
        "internal.apiserver",
        "networking",
        "node",
        "rbac.authorization",
        "resource",
        "scheduling",
        "storage",
        "storagemigration",
    }
)
"""Kubernetes' own API groups that end in .k8s.io, without that (Kubernetes documentation, API reference). Any other is one of
custom resources: snapshot.storage.k8s.io, sparkoperator.k8s.io."""


class OperatorRule(NamedTuple):
    """A place that holds an image: a glob for KIND/path, and for arguments one for the flag's name."""

    path: str
    flag: str = ""


class OutsideImage(NamedTuple):
    """An image outside a pod spec: as written, perhaps as a URL, the leaf that holds it, and its place for people."""

    image: str
    path: ObjectPath
    """The leaf's path; for the n-th reference in a longer text it ends in `#n`."""
    place: str
    by: tuple[str, ...]
    """The patterns of --also that match it; none for a URL."""
    is_listed: bool
    """Whether it is reported where no pattern matches it."""
    is_known: bool
    """Whether the rules for operators match it."""


class _Leaf(NamedTuple):
    """A text that can hold a reference."""

    path: ObjectPath
    place: str
    text: str
    flag: str
    """That of an argument, `--image` of `--image=x` and of `--image x`; '' for others."""
    earlier: Sequence[Any]
    """The items before it in its list, at most _MOST_EARLIER."""


class ExtraImageRules:
    """The patterns of --also: globs for the place (`Prometheus/spec/image`) or for the image as written; the word `operators`
    stands for the rules that ship with helm-pin."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(dict.fromkeys(patterns))

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def may_find(self, text: str) -> bool:
        """Whether images() may find any in a manifest: others need not be parsed."""
        return bool(self.patterns) or any(each.search(text) for each in _MAY_BE_FOUND)

    def images(self, item: Any) -> Iterator[OutsideImage]:
        """The images of one object outside its pod specs: those that are reported, and those that a pattern or the rules for
        operators match. A policy has them only in what it adds to other objects or creates."""
        kind, is_custom = (str(item.get("kind")), _is_custom(item)) if isinstance(item, dict) else ("", False)
        runs = {found.path for found in find.images(item)}
        for path, place, text, flag, earlier in _leaves(item, (), kind):
            if not path or path in runs:
                continue
            found = _in_patch(text) if path[-1:] == ("podSpecPatch",) else []
            found = found or list(_certain(text))
            is_named = _is_image_by_key(_key(path, place, flag), text, is_custom=is_custom)
            if not found and (is_named or _is_docker_image(item, path, text)):
                found = [(text, 0)] if any(split(text)[1:]) else []
            here = [p for p in self.patterns if _is_at(p, place, flag)]
            is_known = OPERATORS in here or (_may_be_known(path, place, flag) and _is_at(OPERATORS, place, flag))
            is_listed = is_certain = bool(found)
            if not found:
                here = [p for p in here if _may_take(p, path, place, text, flag)]
                is_known = is_known and _may_take(OPERATORS, path, place, text, flag)
                image = text.rpartition("=")[2] if here or is_known else ""
                is_whole = any(split(image)[1:]) or (image and not _has_tag_beside(item, path, image))
                found = [(image, len(text) - len(image))] if is_whole and _is_reference(image) else []
                is_listed = is_custom and bool(_HAS_HOST.match(text))  # without a tag it moves with `latest`
            found += _urls(item, path, text, is_custom=is_custom)
            said = not_pulled.words(earlier) if found else ""
            found = [each for each in found if not not_pulled.is_pushed(said + text[: each[1]])]
            for n, (image, start) in enumerate(found):
                leaf = path if (start, len(image)) == (0, len(text)) else (*path, f"#{n}")
                link = is_url(image)
                may_match = not link and (is_certain or here)
                by = tuple(p for p in self.patterns if p in here or fnmatchcase(image, p)) if may_match else ()
                listed, known = is_listed or link, is_known and not link
                yield OutsideImage(image=image, path=leaf, place=place, by=by, is_listed=listed, is_known=known)


def is_url(image: str) -> bool:
    """Whether an image is written as a URL: it is only listed, for what reads it may take no tag beside a digest, as skopeo and
    KubeVirt's importer do not (github.com/containers/image, docker/docker_transport.go)."""
    return image.startswith((_URL, _OCI))


@cache
def rules() -> list[OperatorRule]:
    """The rules of operators.yaml."""
    from helmpin import kube_yaml

    loaded = kube_yaml.read_first(
        (Path(__file__).parent / "operators.yaml").read_text(), what="cannot be read", where="operators.yaml"
    )
    return [OperatorRule(str(entry["path"]), str(entry.get("flag", ""))) for entry in loaded]


def _may_be_known(path: ObjectPath, place: str, flag: str) -> bool:
    """Whether the rules for operators may match a place: the key that says what is there names an image, or a config reloader."""
    key = _key(path, place, flag).lower()
    return "image" in key or "config-reloader" in key


def _is_at(pattern: str, place: str, flag: str) -> bool:
    if pattern == OPERATORS:
        return any(_matches(rule, place, flag) for rule in rules())
    return fnmatchcase(place, pattern)


def _matches(rule: OperatorRule, place: str, flag: str) -> bool:
    return fnmatchcase(place, rule.path) and (not rule.flag or fnmatchcase(flag, rule.flag))


def _may_take(pattern: str, path: ObjectPath, place: str, text: str, flag: str) -> bool:
    """Whether a pattern may match a text that is not certain to be a reference: its key names an image, or the pattern's last part
    names it (`Fleet/spec/runtime`, `*/env/AGENT/value`). The rules for operators take no name without a tag from an argument: the
    program may add one."""
    depth = 2 if path[-1:] == ("value",) else 1
    key = _key(path, place, flag)
    if key.lower() in _NO_IMAGE:
        return False
    if pattern == OPERATORS:
        return not flag or any(split(text.rpartition("=")[2])[1:])
    if _is_image_key(key):
        return True
    own, parts = place.split("/")[-depth:][0], pattern.split("/")
    part = parts[-depth] if len(parts) >= depth else ""
    return bool(part.strip("*?")) and fnmatchcase(own, part)


def _key(path: ObjectPath, place: str, flag: str) -> str:
    """The key that says what a text is: its flag, the name of an environment variable, or the nearest key."""
    if flag:
        return flag.lstrip("-")
    if path[-1:] == ("value",):
        return place.split("/")[-2]
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _has_tag_beside(item: Any, path: ObjectPath, image: str) -> bool:
    """Whether a field beside a path may hold the tag of the image there: `tag`, or a tag or version named for the image. An
    operator joins them then, as HiveMQ's does (`hivemqVersion`), and prometheus-operator `baseImage` with `version`."""
    for part in path[:-1]:
        item = item[part]
    is_base = str(path[-1]).startswith("base")
    for key, value in item.items() if isinstance(item, dict) else ():
        words = [word.lower() for word in _WORD.findall(str(key))]
        about = [word for word in words[:-1] if word != "image"]
        is_tag = words[-1:] == ["tag"] or (words[-1:] == ["version"] and (words[1:] or is_base))
        has_value = value not in ("", None) and not isinstance(value, bool)
        if is_tag and has_value and all(word in image.lower() for word in about):
            return True
    return False


def _is_image_key(key: str) -> bool:
    """Whether a key says that its text is an image: `image`, `baseImage`, `imageName`, `SIDECAR_IMAGE`, `RELATED_IMAGE_AGENT`."""
    words = [word.lower() for word in _WORD.findall(key)]
    while words and words[-1] in ("name", "ref", "reference", "url"):
        words.pop()
    return key.startswith("RELATED_IMAGE_") or (bool(words) and words[-1].endswith(("image", "images")))


def _is_custom(item: Mapping[str, Any]) -> bool:
    """Whether an object's API group is none of Kubernetes' own."""
    group = str(item.get("apiVersion", "")).rpartition("/")[0]
    return "." in group and not (group.endswith(".k8s.io") and group.removesuffix(".k8s.io") in _OWN_GROUPS)


def _is_image_by_key(key: str, text: str, *, is_custom: bool) -> bool:
    """Whether a text is a reference by its key."""
    is_named = key.startswith("RELATED_IMAGE_") or (is_custom and key.lower() not in _NO_IMAGE and _is_image_key(key))
    return is_named and _is_reference(text)


def _is_docker_image(item: Any, path: ObjectPath, text: str) -> bool:
    """Whether a text is the name of an OpenShift object reference to an image (`kind: DockerImage`)."""
    for part in path[:-1] if path[-1] == "name" else ():
        item = item[part]
    return isinstance(item, dict) and path[-1] == "name" and item.get("kind") == "DockerImage" and _is_reference(text)


def _certain(text: str) -> Iterator[tuple[str, int]]:
    """The references in a text that can hardly be anything else, and where they begin."""
    slash = text.find("/")
    while slash >= 0:
        start = slash
        while start and _IN_WORD.match(text, start - 1):
            start -= 1
        if match := _CERTAIN.match(text, start):
            yield match[1], start
        end = _NO_WORD.search(text, slash)
        slash = text.find("/", end.start()) if end else -1


def _urls(item: Any, path: ObjectPath, text: str, *, is_custom: bool) -> Iterator[tuple[str, int]]:
    """The images that are written as URLs in a text, and where they begin."""
    if _URL not in text and _OCI not in text:
        return
    scheme, _, image = text.partition("://")
    is_oci = _RUN_BY_URL.get(find.group_and_kind(item)[0]) == path[-1]
    is_whole = is_oci if f"{scheme}://" == _OCI else is_custom and f"{scheme}://" == _URL
    if is_whole and "/" in image and Reference.read(image):
        if any(split(image)[1:]) or is_oci or path[-2:] == ("registry", "url"):  # KubeVirt's importer takes `latest`
            yield text, 0
        return
    start = text.find(_URL)
    while start >= 0:
        end = start + len(_URL)
        if (match := _CERTAIN.match(text, end)) and not (start and _IN_WORD.match(text, start - 1)):
            yield _URL + match[1], start
        start = text.find(_URL, end)


def _is_reference(text: str) -> bool:
    return ("/" in text or ":" in text) and Reference.read(text) is not None and not _HOST_AND_PORT.fullmatch(text)


def _in_patch(text: str) -> list[tuple[str, int]]:
    """The images in Argo Workflows' patch of a pod spec, which is JSON or YAML in a string, and where they begin."""
    from helmpin import kube_yaml

    try:
        patch = kube_yaml.read_first(text, what="the patch cannot be read", where="podSpecPatch")
    except HelmFailed:  # it may become YAML only when its parameters are filled in
        return []
    return [(image, text.find(image)) for image, _ in find.images(patch) if _is_reference(image)]


def _leaves(
    node: Any,
    path: ObjectPath,
    place: str,
    *,
    in_policy: bool = False,
    is_made: bool = False,
    unpulled: not_pulled.Fields = (),
    earlier: Sequence[Any] = (),
) -> Iterator[_Leaf]:
    """The string leaves that can hold a reference. in_policy: whether the node is in a policy. is_made: whether it is in what that
    policy adds or creates, which is no pattern. unpulled: the fields below it whose images nothing pulls. earlier: the items before
    it in its list."""
    if () in unpulled or not_pulled.is_target(node):
        return
    if isinstance(node, dict):
        in_policy = in_policy or find.is_policy(node)
        unpulled = not_pulled.below(node, unpulled) if "apiVersion" in node else unpulled
        for key, child in node.items():
            if key not in ("metadata", "annotations", "labels", "description"):
                made = (is_made or key in find.MADE_BY_POLICIES) and not find.CONDITION_OF_POLICY.match(str(key))
                under = not_pulled.under(key, unpulled) if unpulled else ()
                yield from _leaves(
                    child, (*path, key), f"{place}/{key}", in_policy=in_policy, is_made=made, unpulled=under
                )
    elif isinstance(node, list):
        for i, child in enumerate(node):
            own = f"{place}/{_called(child, i)}"
            yield from _leaves(
                child,
                (*path, i),
                own,
                in_policy=in_policy,
                is_made=is_made,
                unpulled=unpulled,
                earlier=node[max(0, i - _MOST_EARLIER) : i],
            )
    elif isinstance(node, str) and (is_made or not in_policy) and (":" in node or "/" in node):
        flag = _FLAG.match(node)
        alone = _FLAG_ALONE.fullmatch(earlier[-1]) if earlier and isinstance(earlier[-1], str) else None
        name = flag[1] if flag else alone[0] if alone else ""
        yield _Leaf(path=path, place=place, text=node, flag=name, earlier=earlier)


def _called(item: Any, index: int) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) and name else str(index)
