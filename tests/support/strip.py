"""The judge of "nothing else changes": takes the digests off a pinned manifest, and compares what is left with the plain one.

It shares no code with helm-pin. It reads YAML as a stream of tokens, so it knows where each scalar stands in the text, and the
comparison is of bytes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

Reference = tuple[str, str, str]
"""(registry, repository, tag), as a container runtime completes it."""
DigestOf = Callable[[Reference], str]

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*)(?::[0-9]+)?"
_REFERENCE = re.compile(rf"(?P<name>(?:{_HOST}/)?{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?", re.ASCII)
_TOKEN = re.compile(r"[\w.\-/:@]+", re.ASCII)
_NAMING = {"metadata", "labels", "matchLabels", "selector", "name", "namespace", "hostname", "subdomain", "serviceName"}
"""Keys of an object under which no digest may show up."""
_POLICIES = ("kyverno.io", "templates.gatekeeper.sh", "policy.sigstore.dev")
_ARGO = ("Workflow", "WorkflowTemplate", "CronWorkflow", "ClusterWorkflowTemplate")


class Leaf(NamedTuple):
    """A scalar of an object: its value, and where it stands in the text of the document (None: read through an anchor)."""

    path: tuple[str, ...]
    value: str
    span: tuple[int, int] | None


class Document(NamedTuple):
    """One document of a manifest, as text and as leaves."""

    source: str
    text: str
    leaves: Mapping[tuple[str, ...], Leaf]

    def value(self, *path: str) -> str:
        """The scalar at a path, or ''."""
        return self.leaves[path].value if path in self.leaves else ""

    def images(self) -> dict[tuple[str, ...], Leaf]:
        """What containers run and image volumes hold."""
        group = self.value("apiVersion").partition("/")[0]
        if any(group == policy or group.endswith(f".{policy}") for policy in _POLICIES):
            return {}
        return {path: leaf for path, leaf in self.leaves.items() if _runs(path, group, self.value("kind"))}


class Follower(NamedTuple):
    """Text outside containers that a plan lists as following an image to its digest."""

    reference: str
    digest: str
    source: str
    kind: str
    name: str
    path: str


class Stripped(NamedTuple):
    """What a comparison found."""

    images: list[str]
    """The images that run and were pinned here, as the plain manifest has them."""
    followed: list[Follower]
    problems: list[str]
    """What is wrong: empty where the promise holds."""


def strip_and_compare(
    plain: str,
    pinned: str,
    digest_of: DigestOf,
    *,
    listed: Sequence[Follower] | None = None,
    again: str | None = None,
    allowed: Iterable[str] = (),
) -> Stripped:
    """Compare a pinned manifest with the plain one.

    listed: the followers that the plan lists; None where it lists none at all, so every leaf is judged by the rule alone.
    again: a second plain render, where the chart makes something at random. allowed: images that may stay as they are.
    """
    found = Stripped([], [], [])
    documents = list(parse(plain)), list(parse(pinned))
    second = list(parse(again)) if again is not None else None
    if len(documents[0]) != len(documents[1]):
        found.problems.append(f"{len(documents[0])} documents became {len(documents[1])}")
        return found
    digests = {
        reference: digest_of(reference)
        for document in documents[0]
        for leaf in document.images().values()
        if (reference := parse_reference(leaf.value)) is not None
    }
    for number, (before, after) in enumerate(zip(*documents, strict=True)):
        random = _random(before, second[number]) if second is not None and number < len(second) else set()
        _compare(before, after, digests, random, set(allowed), found)
    if listed is not None:
        _compare_followers(found, listed, digests)
    return found


def parse(manifest: str) -> Iterator[Document]:
    """The documents of a manifest, empty ones included."""
    for text in re.split(r"(?m)^(?=---(?:\s|$))", manifest):
        source = re.search(r"(?m)^# Source: (.+)$", text)
        yield Document(source[1] if source else "", text, {leaf.path: leaf for leaf in _read(text)})


def parse_reference(image: str) -> Reference | None:
    """An image without a digest, completed; None where the text is not one."""
    match = _REFERENCE.fullmatch(image)
    if match is None:
        return None
    host, slash, rest = match["name"].partition("/")
    if not slash or not (re.search(r"[.:]", host) or host == "localhost" or host != host.lower()):
        host, rest = "docker.io", match["name"]
    host = "docker.io" if host == "index.docker.io" else host
    if host == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    return host, rest, match["tag"] or "latest"


def images_of(manifest: str) -> list[str]:
    """Every image that a manifest runs, in its order."""
    return [leaf.value for document in parse(manifest) for leaf in document.images().values()]


def forms(image: str, digest: str, *, untagged: bool = True) -> set[str]:
    """How an image may be written once it is pinned. untagged: also without its tag, as charts with a digest key write it."""
    reference = _REFERENCE.fullmatch(image)
    assert reference is not None
    name = reference["name"]
    return {f"{name}:{reference['tag'] or 'latest'}@{digest}"} | ({f"{name}@{digest}"} if untagged else set())


def followed_text(text: str, digests: Mapping[Reference, str]) -> re.Pattern[str]:
    """What a text may become: each whole reference with a tag may be the same at its digest, and the rest stays."""
    pattern, position = "", 0
    for match in _TOKEN.finditer(text):
        token, start = match[0], match.start()
        if scheme := re.match(r"[a-z][a-z0-9+.-]*://", token):
            token, start = token[scheme.end() :], start + scheme.end()
        for whole in (token, token.rstrip(".:")):
            reference = parse_reference(whole)
            if reference in digests and ":" in whole.rpartition("/")[2]:
                assert reference is not None
                pinned = "|".join(map(re.escape, sorted(forms(whole, digests[reference]))))
                pattern += re.escape(text[position:start]) + f"(?:{re.escape(whole)}|{pinned})"
                position = start + len(whole)
                break
    return re.compile(pattern + re.escape(text[position:]))


def _compare(
    before: Document,
    after: Document,
    digests: Mapping[Reference, str],
    random: set[tuple[str, ...]],
    allowed: set[str],
    found: Stripped,
) -> None:
    """Compare one document: by leaf, to say what is wrong, and then by byte."""
    runs = before.images()
    replaced: list[tuple[tuple[int, int], str]] = []
    count = len(found.problems)
    place = f"{before.source} {before.value('kind')}/{before.value('metadata', 'name')}"
    for path, new in after.leaves.items():
        old, where = before.leaves.get(path), f"{place} {'.'.join(path)}"
        if old is None:
            found.problems.append(f"{where}: {new.value!r} is new")
            continue
        if path in runs:
            problem = _judge_image(old.value, new.value, digests, allowed)
            found.problems.extend([f"{where}: {problem}"] if problem else [])
            found.images.extend([old.value] if old.value != new.value else [])
        elif old.value == new.value:
            pass
        elif path in random:
            shown = [digest for digest in digests.values() if _shows(new.value, digest)]
            found.problems.extend([f"{where}: {new.value!r} is random and shows a digest"] if shown else [])
        elif _follows(path, old.value, new.value, digests):
            found.followed.extend(_followers(before, path, old.value, new.value, digests))
        elif not _is_checksum(path, runs):
            found.problems.append(f"{where}: {old.value!r} became {new.value!r}")
            continue
        if old.span and new.span:
            replaced.append((new.span, before.text[slice(*old.span)]))
    found.problems.extend(f"{place} {'.'.join(p)}: is gone" for p in before.leaves if p not in after.leaves)
    if len(found.problems) == count and (left := _put_back(after.text, replaced)) != before.text:
        lines = difflib.unified_diff(before.text.splitlines(), left.splitlines(), "plain", "pinned", n=0, lineterm="")
        found.problems.append(f"{place}: the text differs\n" + "\n".join(list(lines)[:12]))


def _judge_image(before: str, after: str, digests: Mapping[Reference, str], allowed: set[str]) -> str:
    """What is wrong with what became of an image."""
    reference = parse_reference(before)
    if reference is None or before in allowed:
        is_pinned = "@sha256:" in before or before in allowed
        return "" if is_pinned and after == before else f"{before!r} cannot run by digest, and became {after!r}"
    if after == before:
        return f"{before!r} is not pinned"
    return "" if after in forms(before, digests[reference]) else f"{before!r} became {after!r}"


def _follows(path: tuple[str, ...], before: str, after: str, digests: Mapping[Reference, str]) -> bool:
    return _NAMING.isdisjoint(path) and followed_text(before, digests).fullmatch(after) is not None


def _followers(
    document: Document, path: tuple[str, ...], before: str, after: str, digests: Mapping[Reference, str]
) -> Iterator[Follower]:
    """The references in a leaf that follow an image."""
    for token in _TOKEN.findall(after):
        name, _, digest = token.rpartition("@")
        if digest in digests.values() and token not in before:
            kind, own = document.value("kind"), document.value("metadata", "name")
            yield Follower(name, digest, document.source, kind, own, ".".join(path))


def _compare_followers(found: Stripped, listed: Sequence[Follower], digests: Mapping[Reference, str]) -> None:
    """What was followed must be listed, and what is listed must be so."""

    def places(followers: Sequence[Follower]) -> set[tuple[str, str, str, str]]:
        return {(f.source, f.kind, f.name, f.path) for f in followers}

    found.problems.extend(f"{place} follows and is not listed" for place in places(found.followed) - places(listed))
    found.problems.extend(f"{place} is listed and follows nothing" for place in places(listed) - places(found.followed))
    for follower in listed:
        reference = parse_reference(follower.reference.partition("@")[0])
        if reference is None or digests.get(reference) != follower.digest:
            found.problems.append(f"{follower} has no image of the release")


def _is_checksum(path: tuple[str, ...], runs: Iterable[tuple[str, ...]]) -> bool:
    """Whether a leaf is the `checksum/…` annotation of a pod template (or pod) that runs something."""
    spec = (*path[:-3], "spec")
    is_annotation = path[-3:-1] == ("metadata", "annotations") and path[-1].startswith("checksum/")
    return is_annotation and any(image[: len(spec)] == spec and len(image) <= len(spec) + 4 for image in runs)


def _random(one: Document, other: Document) -> set[tuple[str, ...]]:
    """The leaves that differ between two plain renders."""
    return {
        path for path, leaf in one.leaves.items() if path in other.leaves and other.leaves[path].value != leaf.value
    }


def _shows(text: str, digest: str) -> bool:
    """Whether a piece of a digest stands in a text. Chance does not make eight hexadecimal digits."""
    digits = digest.partition(":")[2]
    return "sha256:" in text or any(digits[i : i + 8] in text.lower() for i in range(len(digits) - 7))


def _put_back(text: str, replaced: list[tuple[tuple[int, int], str]]) -> str:
    for (start, end), original in sorted(replaced, reverse=True):
        text = text[:start] + original + text[end:]
    return text


def _runs(path: tuple[str, ...], group: str, kind: str) -> bool:
    """Whether what stands at a path is an image that runs."""
    if path[-2:] == ("image", "reference"):
        return path[-4:-3] == ("volumes",)
    if not path or path[-1] != "image":
        return False
    if path[-3:-2] and path[-3] in ("containers", "initContainers", "ephemeralContainers"):
        return path[-2].isdigit()
    if group == "argoproj.io" and kind in _ARGO:
        return path[-2] in ("container", "script") or path[-3] == "sidecars"
    if group == "tekton.dev":
        return path[-2] == "stepTemplate" or path[-3] in ("steps", "sidecars")
    return False


def _read(text: str) -> Iterator[Leaf]:
    """The scalars of a document, in order; none where it is not YAML that can be read."""
    try:
        events = [
            event
            for event in yaml.parse(text, Loader=yaml.CSafeLoader)
            if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent)
        ]
    except yaml.YAMLError as error:
        raise AssertionError(f"not YAML: {error}\n{text}") from None
    nodes = iter(events)
    anchors: dict[str, Any] = {}
    for event in nodes:
        yield from _leaves(_build(event, nodes, anchors), ())


class _Scalar(NamedTuple):
    value: str
    span: tuple[int, int] | None


def _build(event: Any, events: Iterator[Any], anchors: dict[str, Any]) -> Any:
    """A node: a _Scalar, a list, or a list of pairs in a tuple."""
    if isinstance(event, yaml.AliasEvent):
        return _through(anchors[event.anchor], (event.start_mark.index, event.end_mark.index))
    node: Any
    if isinstance(event, yaml.ScalarEvent):
        node = _Scalar(event.value, (event.start_mark.index, event.end_mark.index))
    else:
        children = []
        while not isinstance(child := next(events), yaml.CollectionEndEvent):
            children.append(_build(child, events, anchors))
        is_list = isinstance(event, yaml.SequenceStartEvent)
        node = children if is_list else tuple(zip(children[::2], children[1::2], strict=True))
    if event.anchor:
        anchors[event.anchor] = node
    return node


def _through(node: Any, span: tuple[int, int] | None) -> Any:
    """A node that is read through an alias: a scalar stands where the alias does, a collection's leaves stand nowhere."""
    if isinstance(node, _Scalar):
        return _Scalar(node.value, span)
    if isinstance(node, list):
        return [_through(child, None) for child in node]
    return tuple((key, _through(child, None)) for key, child in node)


def _leaves(node: Any, path: tuple[str, ...]) -> Iterator[Leaf]:
    if isinstance(node, _Scalar):
        yield Leaf(path, node.value, node.span)
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from _leaves(child, (*path, str(number)))
    else:
        own = {key.value for key, _ in node if isinstance(key, _Scalar)}
        for key, child in node:
            name = key.value if isinstance(key, _Scalar) else str(key)
            merged = [child] if not isinstance(child, list) else child
            if name == "<<":
                for other in merged:
                    pairs = tuple((k, v) for k, v in other if isinstance(other, tuple) and k.value not in own)
                    yield from _leaves(pairs, path)
            else:
                yield from _leaves(child, (*path, name))
