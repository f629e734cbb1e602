"""The release that --lock names, and what a lock refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin.errors import UsageError
from helmpin.image.reference import Reference
from helmpin.lock import Lock, NotLocked
from helmpin.lock.source import of_release, read_file, release_name, resolve
from helmpin.registry import RegistrySettings, Resolved
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from tests.support.locks import APP, NGINX, REDIS, A, B, C
from tests.support.renders import document, pod


def test_releases() -> None:
    assert release_name("release:staging/web") == ("", "staging", "web", None)
    assert release_name("release:arn:aws:eks:eu:1:cluster/a/staging/web@12") == (
        "arn:aws:eks:eu:1:cluster/a",
        "staging",
        "web",
        12,
    )
    assert release_name("release:admin@cluster/staging/web") == ("admin@cluster", "staging", "web", None)


@pytest.mark.parametrize(
    "text",
    [
        "release:web",
        "release:/web",
        "release:a/--kubeconfig=theirs",
        "release:a/",
        "release:a/b@",
        "release:a/b@x",
        "release:a/b@0",
        "release:a/b@-1",
        "release:a/b@\N{SUPERSCRIPT TWO}",
        "release:a/b@\N{ARABIC-INDIC DIGIT TWO}",
        f"release:a/b@{'9' * 5000}",
        "release:/a/b",
    ],
)
def test_names_of_releases_that_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        release_name(text)


def test_what_a_lock_refuses() -> None:
    lock = Lock(
        {NGINX: A},
        "lock",
        "l",
        {REDIS: {"linux/amd64": B, "linux/arm64": C}},
        {APP: "two digests"},
        hint=lambda: "add it",
    )
    other = Reference.parse("other:1")
    assert [bool(lock.refusal(each)) for each in (NGINX, REDIS, APP, other)] == [False, False, True, False]
    only = lock._replace(only=True)
    assert [bool(only.refusal(each)) for each in (NGINX, REDIS, APP, other)] == [False, True, True, True]
    assert only.refusal(other) == ("not in l", "add it")
    assert only.refusal(other._replace(digest=A)) is None
    assert only.refusal(NGINX._replace(digest=A)) is None
    assert f"{B}, l has {A}" in only.refusal(NGINX._replace(digest=B)).why  # type: ignore[union-attr]
    tagless = NGINX._replace(tag=None, digest=B)  # as templates print it that have a digest key
    assert only.refusal(tagless) is None  # another chart may share the lock
    assert only.instead_of(tagless) == f"{NGINX}@{A}"
    assert only.instead_of(tagless._replace(digest=A)) == only.instead_of(NGINX._replace(digest=B)) == ""
    assert only.instead_of(REDIS._replace(tag=None, digest=A)) == ""  # the lock has digests of its platforms
    more = only._replace(conflicts={NGINX._replace(tag="9"): "two digests"})
    assert more.instead_of(tagless) == ""  # which may be one of these


def test_a_line_may_be_for_another_use_than_the_one_that_the_chart_pins() -> None:
    lock = Lock({NGINX: A}, "lock", "l", only=True)
    own = NGINX._replace(digest=B)
    alone = resolve(lock, [own], RegistrySettings(), None)
    assert isinstance(alone[own], NotLocked) and "the chart pins the image, so it needs no line" in alone[own].hint
    both = resolve(lock, [own, NGINX], RegistrySettings(), None)
    assert both == {own: Resolved(B, ""), NGINX: Resolved(A, "")}


def test_what_only_a_job_of_a_release_keeps_is_known_and_not_taken() -> None:
    name = str(NGINX)
    job = document(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\n"
        f"spec: {{template: {{spec: {{containers: [{{name: a, image: '{name}@{A}'}}]}}}}}}\n"
    )
    record = Record("", "", tuple(Image(name, name, digest, "", "values") for digest in (A, B)))
    stored = Revision("web", 1, "deployed", "", job + pod(f"{name}@{B}"), "")
    lock = of_release(record, stored, "release:shop/web@1")
    assert (lock.digests, lock.kept, lock.conflicts) == ({NGINX: B}, {NGINX: frozenset({A})}, {})


def test_an_image_that_the_chart_itself_pins_without_a_tag_gives_no_latest() -> None:
    bare, latest = "docker.io/library/nginx", "docker.io/library/nginx:latest"
    own, by_tag = Image(bare, f"nginx@{A}", A, "", "chart"), Image(latest, "nginx", B, "", "values")
    alone = of_release(Record("", "", (own,)), Revision("web", 1, "deployed", "", pod(f"nginx@{A}"), ""), "r")
    assert not alone.knows(Reference.parse(latest))
    stored = Revision("web", 1, "deployed", "", pod(f"nginx@{A}") + pod(f"nginx:latest@{B}"), "")
    both = of_release(Record("", "", (own, by_tag)), stored, "r")
    assert (both.digests[Reference.parse(latest)], both.conflicts) == (B, {})


@pytest.mark.parametrize(
    ("name", "origin", "recorded"),
    [
        ("locks/web.yaml", "lock", "web.yaml"),
        ("release:prod/web@3", "release", "release:prod/web@3"),
    ],
)
def test_how_the_record_names_a_lock(name: str, origin: str, recorded: str) -> None:
    assert Lock({}, origin, name).recorded == recorded


def test_a_lock_from_a_pipe_has_no_name_of_its_own(tmp_path: Path) -> None:
    with (tmp_path / "a.lock").open("w+b") as file:
        file.write(b"version: 1\nimages: []\n")
        file.flush()
        file.seek(0)
        piped = read_file(f"/dev/fd/{file.fileno()}")
    assert (piped.name, piped.recorded) == ("the lock", "the lock")
    assert read_file(str(tmp_path / "a.lock")).recorded == "a.lock"
