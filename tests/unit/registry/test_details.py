"""What an image states of itself, in annotations, labels and nowhere; and which of a repository's tags name its version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helmpin.image.reference import Reference
from helmpin.registry import details
from helmpin.registry.details import Details, described
from helmpin.registry.errors import RegistryError
from helmpin.registry.suggestions import MAX_CANDIDATES, find, newest, stated, suffix
from helmpin.registry.types import Resolved, TagList

OCI = "org.opencontainers.image."
HUGE = '{"created": "", "version": "", "revision": "", "source": "", "platforms": [], "size": 1e999}'
A, B = (f"sha256:{letter * 64}" for letter in "ab")


class TestStated:
    def test_annotations_first_then_labels(self) -> None:
        index = {"annotations": {f"{OCI}version": "1.2.3"}}
        manifest = {"annotations": {f"{OCI}version": "wrong", f"{OCI}revision": "abc"}, "config": {"size": 10}}
        labels = {f"{OCI}version": "wrong", f"{OCI}revision": "wrong", f"{OCI}source": "https://example.com/app"}
        config = {"created": "2026-01-02T03:04:05Z", "config": {"Labels": labels}}
        found = described([index, {**manifest, "layers": [{"size": 90}, {"size": 5}]}], config, ("linux/arm64",))
        assert found == Details(
            "2026-01-02T03:04:05Z", "1.2.3", "abc", "https://example.com/app", ("linux/arm64",), 105
        )

    def test_labels_of_older_images(self) -> None:
        labels = {"org.label-schema.vcs-ref": "abc", "org.label-schema.version": "2"}
        config = {"os": "linux", "architecture": "arm", "variant": "v7", "config": {"Labels": labels}}
        assert described([{}], config, ()) == Details(version="2", revision="abc", platforms=("linux/arm/v7",))

    def test_a_time_that_is_none(self) -> None:
        assert described([{}], {"created": "0001-01-01T00:00:00Z"}, ()).created == ""

    @pytest.mark.parametrize("odd", [None, 5, "x", [], {"annotations": 5, "layers": {}, "config": "x"}])
    def test_nothing_crashes(self, odd: Any) -> None:
        assert described([odd], {"config": {"Labels": [1]}, "created": 5, "os": {}}, ()) == Details()
        assert described([{"layers": [{"size": True}, {"size": -1}, {"size": "9"}, 3]}], odd, ()).size == 0

    def test_long_texts_are_cut(self) -> None:
        assert len(described([{"annotations": {f"{OCI}version": "x" * 10_000}}], {}, ()).version) == details.LONGEST


class TestKept:
    def test_what_is_kept_comes_back(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HELM_CACHE_HOME", str(tmp_path))
        known = Details("2026", "1", "abc", "x", ("linux/amd64",), 5)
        assert details.cached(A) is None
        details.cache(A, known)
        assert details.cached(A) == known
        assert details.cached(B) is None
        (file,) = (tmp_path / "helm-pin" / "images").iterdir()
        for broken in ("[]", "{}", "nonsense", '{"created": 5}', "[" * 100_000, HUGE):
            file.write_text(broken)
            assert details.cached(A) is None
        assert details.cached("../../etc/passwd") is None

    def test_a_cache_that_takes_no_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("HELM_CACHE_HOME", str(tmp_path / "file"))
        details.cache(A, Details())
        assert details.cached(A) is None


@pytest.mark.parametrize(
    ("tag", "end"),
    [("latest", ""), ("latest-alpine", "-alpine"), ("1.25-alpine", "-alpine"), ("v2", ""), ("my-app", ""), ("", "")],
)
def test_the_suffix_of_a_tag(tag: str, end: str) -> None:
    assert suffix(tag) == end


def test_the_tags_that_a_version_may_stand_for() -> None:
    assert stated(["1.27.3"], "latest") == ["1.27.3", "v1.27.3"]
    assert stated(["v1.27.3"], "latest-alpine") == ["v1.27.3-alpine", "v1.27.3"]
    assert stated(["1.27", "", "main", "not a tag"], "latest") == []


def test_the_newest_versions_first() -> None:
    tags = ["1.9.0", "1.10.0", "latest", "1.10", "1.10.0-alpine", "2.0.0-alpine", "sha-abc", "2.0.0"]
    assert newest(tags, "latest") == ["2.0.0", "1.10.0", "1.9.0", "2.0.0-alpine", "1.10.0-alpine"]
    assert newest(tags, "latest-alpine")[:2] == ["2.0.0-alpine", "1.10.0-alpine"]
    assert newest(tags, "1.10")[:2] == ["1.10.0", "1.10.0-alpine"]


class Tags:
    """A repository's tags, counting what it is asked."""

    def __init__(self, **digests: str) -> None:
        self.digests = {name.replace("_", "."): digest for name, digest in digests.items()}
        self.asked = 0

    def seems(self, reference: Reference, /) -> str:
        self.asked += 1
        if reference.tag not in self.digests:
            raise RegistryError(reference, "not-found", "no such tag")
        return self.digests[reference.tag or ""]

    def resolve(self, reference: Reference, /) -> Resolved:
        self.asked += 2
        return Resolved(self.digests[reference.tag or ""], "")

    def tags(self, _: Reference, /) -> TagList:
        self.asked += 3
        return TagList(list(self.digests), complete=True)


IMAGE = Reference.parse(f"quay.io/team/app:latest@{A}")


def any_tag(_: Reference) -> bool:
    """The settings call no tag mutable."""
    return True


class TestFound:
    def test_by_what_the_image_states(self) -> None:
        registry = Tags(v1_2_3=A, v9_9_9=B)
        assert find(registry, IMAGE, ["1.2.3"], any_tag) == "v1.2.3"
        assert registry.asked == 4  # two forms of the version, and the proof; no list of tags

    def test_among_the_newest(self) -> None:
        assert find(Tags(latest=A, v1_2_2=A, v1_2_3=B), IMAGE, [""], any_tag) == "v1.2.2"

    def test_not_what_the_settings_call_mutable(self) -> None:
        registry = Tags(v1_2_3=A, v1_2_2=A, v1_1_0=A)
        assert find(registry, IMAGE, ["v1.2.3"], lambda each: not (each.tag or "").startswith("v1.2.")) == "v1.1.0"
        assert find(registry, IMAGE, ["v1.2.3"], lambda _: False) == ""

    def test_nothing(self) -> None:
        assert find(Tags(latest=A, v1_2_2=B), IMAGE, ["1.2.2"], any_tag) == ""

    def test_no_more_than_that(self) -> None:
        registry = Tags(**{f"v1_{n}_0": B for n in range(99)}, v0_0_1=A)
        assert find(registry, IMAGE, [], any_tag) == ""
        assert registry.asked <= MAX_CANDIDATES + 3

    def test_a_registry_that_fails(self) -> None:
        class Down(Tags):
            def seems(self, reference: Reference, /) -> str:
                raise RegistryError(reference, "timeout", "too slow")

        with pytest.raises(RegistryError):
            find(Down(v1_0_0=A), IMAGE, [], any_tag)
