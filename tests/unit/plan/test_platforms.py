"""Images that lack a platform. Of what platforms an image is, and which nodes there are, is the test's word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from helmpin import registry
from helmpin.cluster import nodes as cluster_nodes
from helmpin.config.settings import Settings
from helmpin.errors import UsageError
from helmpin.image.platforms import NODES
from helmpin.image.reference import Reference
from helmpin.plan.images import Problem
from helmpin.plan.platforms import problems
from helmpin.registry import RegistryError, RegistrySettings, Resolved
from helmpin.registry.details import Details
from helmpin.registry.manifest import OCI_INDEX, OCI_MANIFEST
from helmpin.registry.types import Described, Platform
from tests.support.plans import Renderer, chart, never, rendered
from tests.support.renders import digest, document, pod

A, B = digest("a"), digest("b")
WEB, DB = "example.com/web:1", "example.com/db:1"
SETTINGS = Settings("pin", (), (), (), False, RegistrySettings())
AMD, ARM, WINDOWS = "linux/amd64", "linux/arm64", "windows/amd64"
GONE, SILENT = "linux/s390x", "linux/ppc64le"
HELD = {AMD: digest("1"), ARM: digest("2"), GONE: digest("3"), SILENT: digest("4")}
ALL = f"{AMD}, {ARM}, {GONE}, {SILENT}"
ARM_ONLY = document(
    f"kind: Pod\nmetadata: {{name: db}}\nspec:\n  nodeSelector: {{kubernetes.io/arch: arm64}}\n"
    f"  containers: [{{name: a, image: '{DB}'}}]\n"
)


class Asked(list[str]):
    """What registries were asked for."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Registries say that web is of amd64 alone, and db is an index of both; they have no image of db for GONE."""
    found = Asked()

    def describe(references: Iterable[Reference], *_: object) -> dict[Reference, Described | RegistryError]:
        answers: dict[Reference, Described | RegistryError] = {}
        for reference in references:
            found.append(str(reference))
            answers[reference] = Described(
                reference.digest or "", OCI_MANIFEST, (Platform("", reference.digest or "", None),)
            )
            if reference.repository == "unstated":
                answers[reference] = Described(reference.digest or "", OCI_INDEX, (Platform("", HELD[AMD], None),))
            if reference.repository == "db":
                listed = tuple(Platform(name, HELD[name], None) for name in (AMD, ARM, GONE, SILENT))
                answers[reference] = Described(reference.digest or "", OCI_INDEX, listed)
            if reference.repository == "lost":
                answers[reference] = RegistryError(reference, "unreachable", "no route", "connect it")
        return answers

    def details_of(references: Iterable[Reference], *_: object) -> dict[Reference, Details | RegistryError]:
        return {ref: Details(platforms=() if ref.repository == "mute" else (AMD,)) for ref in references}

    def resolve(references: Iterable[Reference], *_: object) -> dict[Reference, Resolved | RegistryError]:
        failures = {HELD[GONE]: "not-found", HELD[SILENT]: "timeout"}
        return {
            ref: RegistryError(ref, kind, "no answer", "ask again")
            if (kind := failures.get(ref.digest or ""))
            else Resolved(ref.digest or "", OCI_MANIFEST)
            for ref in references
        }

    for name, stand_in in (("describe", describe), ("details_of", details_of), ("resolve", resolve)):
        monkeypatch.setattr(registry, name, stand_in)
    return found


def told(
    folder: Path, wanted: Iterable[str], images: Mapping[str, str], text: str = "", **more: Any
) -> dict[str, Problem]:
    """The problems of resolved images (by image, the digest)."""
    made = rendered(chart(folder), text or "".join(map(pod, images)), Renderer(never))
    answers = {image: Resolved(value, "") for image, value in images.items()}
    references = {image: Reference.parse(image) for image in images}
    return problems(made, answers, references, SETTINGS._replace(platforms=tuple(wanted), **more))


def test_an_image_that_lacks_a_platform_is_refused_and_says_what_it_has(tmp_path: Path, asked: Asked) -> None:
    found = told(tmp_path, [ARM, WINDOWS], {WEB: A})
    assert found[WEB].text == f"it has no image for {ARM}, {WINDOWS}; it has {AMD}"
    assert found[WEB].kind == "refused" and f"build it for {ARM}, {WINDOWS} too" in found[WEB].hint
    assert asked == [f"{WEB}@{A}"], "what will be deployed is asked for, wherever the tag is now"


def test_only_those_that_lack_one(tmp_path: Path, asked: Asked) -> None:
    assert list(told(tmp_path, [ARM], {WEB: A, DB: B})) == [WEB]
    assert told(tmp_path, [AMD], {WEB: A, DB: B}) == {}
    assert sorted(asked) == sorted([f"{WEB}@{A}", f"{DB}@{B}"] * 2)


@pytest.mark.usefixtures("asked")
def test_an_index_that_lists_what_is_gone(tmp_path: Path) -> None:
    found = told(tmp_path, [ARM, GONE], {DB: B})[DB]
    assert (found.kind, found.text) == ("registry", f"its image for {GONE} is gone ({HELD[GONE]})")
    assert found.hint == "push the image again, with all of its platforms"
    unstated = "example.com/unstated:1"
    assert told(tmp_path, [AMD], {unstated: B}) == {}, "the image's configuration states it"
    assert told(tmp_path, [ARM], {unstated: B})[unstated].text == f"it has no image for {ARM}; it has {AMD}"
    silent = told(tmp_path, [SILENT], {DB: B})[DB]
    assert silent.kind == "registry" and f"its image for {SILENT} is not known" in silent.text
    assert silent.hint == "ask again" and told(tmp_path, [ARM], {DB: B}) == {}


def test_nothing_is_asked_where_nothing_is_wanted_or_resolved(tmp_path: Path, asked: Asked) -> None:
    assert told(tmp_path, [], {WEB: A}, locked=True) == {} == told(tmp_path, [ARM], {}, locked=True)
    assert asked == []


def test_a_lock_alone_knows_no_platforms(tmp_path: Path, asked: Asked) -> None:
    with pytest.raises(UsageError, match="--platform cannot be used with --locked"):
        told(tmp_path, [ARM], {WEB: A}, locked=True)
    assert asked == []


def test_a_policy_of_the_settings_file_does_not_exclude_a_lock(
    tmp_path: Path, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(tmp_path, [ARM], {WEB: A}, locked=True, platforms_from=".helm-pin.yaml: platform") == {}
    assert ".helm-pin.yaml: platform: not checked with --locked" in capsys.readouterr().err
    assert asked == []


@pytest.mark.usefixtures("asked")
def test_an_image_that_is_written_in_two_ways_needs_the_platforms_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [
        {"metadata": {"name": arch, "labels": {"kubernetes.io/arch": arch, "kubernetes.io/os": "linux"}}}
        for arch in ("s390x", "amd64")
    ]
    monkeypatch.setattr(cluster_nodes, "read_nodes", lambda _: nodes)
    bare, whole = "t/db:1", "docker.io/t/db:1"
    text = "".join(
        pod(image).replace("spec:\n", f"spec:\n  nodeSelector: {{kubernetes.io/arch: {arch}}}\n")
        for image, arch in ((bare, "s390x"), (whole, "amd64"))
    )
    monkeypatch.setattr(registry, "describe", _index_of_all)
    assert [*told(tmp_path, [NODES], {bare: B, whole: B}, text)] == [bare, whole]


def _index_of_all(references: Iterable[Reference], *_: object) -> dict[Reference, Described]:
    listed = tuple(Platform(name, HELD[name], None) for name in (AMD, GONE))
    return {reference: Described(reference.digest or "", OCI_INDEX, listed) for reference in references}


def test_a_registry_that_does_not_say(tmp_path: Path, asked: Asked) -> None:
    lost, mute = "example.com/lost:1", "example.com/mute:1"
    found = told(tmp_path, [ARM], {lost: A, mute: B})
    assert found[lost].kind == "registry" and "its platforms are not known" in found[lost].text
    assert "no route" in found[lost].text and found[lost].hint == "connect it"
    assert found[mute].text == f"it has no image for {ARM}; it states no platform" and asked


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster with a node of amd64 and one of arm64."""
    found = [
        {"metadata": {"name": arch, "labels": {"kubernetes.io/arch": arch, "kubernetes.io/os": "linux"}}}
        for arch in ("amd64", "arm64")
    ]
    monkeypatch.setattr(cluster_nodes, "read_nodes", lambda _: found)


@pytest.mark.usefixtures("asked", "cluster")
def test_the_platforms_of_the_nodes_that_the_pods_may_run_on(tmp_path: Path) -> None:
    assert list(told(tmp_path, [NODES], {WEB: A, DB: B})) == [WEB]
    on_amd = pod(WEB).replace("spec:\n", "spec:\n  nodeSelector: {kubernetes.io/arch: amd64}\n")
    assert told(tmp_path, [NODES], {WEB: A, DB: B}, on_amd + ARM_ONLY) == {}
    found = told(tmp_path, [NODES, WINDOWS], {WEB: A, DB: B}, on_amd + ARM_ONLY)
    assert [problem.text for problem in found.values()] == [
        f"it has no image for {WINDOWS}; it has {AMD}",
        f"it has no image for {WINDOWS}; it has {ALL}",
    ]


@pytest.mark.usefixtures("asked")
def test_the_nodes_are_read_only_where_that_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: object) -> list[Any]:
        raise AssertionError("no node has to be read")

    monkeypatch.setattr(cluster_nodes, "read_nodes", read)
    assert told(tmp_path, [AMD], {WEB: A}) == {}


@pytest.mark.usefixtures("asked")
def test_a_cluster_without_nodes_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_nodes, "read_nodes", lambda _: [])
    assert told(tmp_path, [NODES], {WEB: A}) == {}


@pytest.mark.usefixtures("asked")
def test_an_image_that_is_not_in_a_pod_has_the_named_platforms_to_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [{"metadata": {"name": "a", "labels": {"kubernetes.io/arch": "arm64", "kubernetes.io/os": "linux"}}}]
    monkeypatch.setattr(cluster_nodes, "read_nodes", lambda _: nodes)
    text = document("kind: ConfigMap\n")
    assert told(tmp_path, [NODES], {WEB: A}, text) == {}
    assert told(tmp_path, [NODES, ARM], {WEB: A}, text) == {}
