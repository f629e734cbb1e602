"""An edit of a lock file changes nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helmpin.errors import UsageError
from helmpin.image.reference import Reference
from helmpin.lock.edit import LockChange, changes, edit, matches
from helmpin.lock.parse import parse_lock
from tests.support.locks import APP, NGINX, REDIS, TEXT, A, B, C


def test_edit_keeps_comments_and_sorts() -> None:
    todo = changes({NGINX: A, REDIS: B}, {NGINX: C, REDIS: B, APP: A, Reference.parse("a/b:2"): B})
    assert edit(TEXT, todo, "l") == (
        f"""\
# our images
version: 1
# sorted
images:  # one a line
- image: docker.io/a/b:2@{B}
# waits for a fix
- image: docker.io/library/nginx:1.27@{C}  # renovate
- image: "quay.io/t/redis:7@{B}"
- image: registry.example:5000/app:latest@{A}

# the end
"""
    )


def test_a_removed_line_takes_its_own_comments() -> None:
    text = TEXT.replace("# waits", "# for all\n\n# waits")
    assert edit(text, [LockChange(NGINX, A, "")], "l") == (
        f"""\
# our images
version: 1
# sorted
images:  # one a line
- image: "quay.io/t/redis:7@{B}"
# for all


# the end
"""
    )


@pytest.mark.parametrize("text", ["", TEXT])
def test_a_registry_at_an_ipv6_address_is_quoted(text: str) -> None:
    """YAML would read a list."""
    here = Reference.parse("[::1]:5000/t/app:1")
    written = edit(text, [LockChange(here, "", A)], "l")
    assert f'- image: "[::1]:5000/t/app:1@{A}"\n' in written
    assert parse_lock(written, "l").digests[here] == A
    assert f'"[::1]:5000/t/app:1@{B}"' in edit(written, [LockChange(here, A, B)], "l")


def test_the_last_line_goes_and_comes_back() -> None:
    empty = edit(TEXT, changes({NGINX: A, REDIS: B}, {}), "l")
    assert parse_lock(empty, "l").digests == {}
    assert "images: []  # one a line\n" in empty
    assert (
        edit(empty, changes({}, {NGINX: A}), "l").count("\nimages:  # one a line\n- image: docker.io/library/nginx")
        == 1
    )


def test_windows_line_ends_stay() -> None:
    text = TEXT.replace("\n", "\r\n")
    new = edit(text, changes({NGINX: A, REDIS: B}, {NGINX: A, REDIS: B, APP: C}), "l")
    assert new.count("\r\n") == new.count("\n") == text.count("\n") + 1


def test_a_new_file() -> None:
    new = edit("", changes({}, {NGINX: A}), "l")
    assert new.splitlines()[1:] == ["version: 1", "images:", f"- image: docker.io/library/nginx:1.27@{A}"]
    assert parse_lock(new, "l").digests == {NGINX: A}


def test_nothing_is_edited_that_could_be_lost() -> None:
    for text in (
        f"version: 1\nimages: [{{image: 'nginx:1.27@{A}'}}]\n",
        f"images:\n- image: nginx:1.27@{A}\nversion: 1\n",
        f"version: 1\nimages:\n- image: >-\n    nginx:1.27@{A}\n",
        f"version: 1\nimages:\n- image: |-\n    nginx:1.27@{A}\n",
        f"version: 1\nimages:\n- image: &one nginx:1.27@{A}\n",
        f"version: 1\nimages:\n- image:\n    nginx:1.27@{A}\n",
    ):
        assert parse_lock(text, "l").digests == {NGINX: A}
        with pytest.raises(UsageError, match="without losing something"):
            edit(text, [], "l")


NAMES = st.sampled_from(["nginx", "quay.io/t/redis", "registry.example:5000/app", "a/b", "z"])
REFERENCES = st.builds(lambda name, tag: Reference.parse(f"{name}:{tag}"), NAMES, st.sampled_from(["1", "2", "latest"]))
LOCKS = st.dictionaries(REFERENCES, st.sampled_from([A, B, C]))
COMMENTS = st.lists(st.sampled_from(["", "# one", "  # two: - image: x"]), max_size=3)


@given(first=LOCKS, second=LOCKS, comments=COMMENTS, keep=st.booleans())
def test_what_is_written_is_read(
    first: dict[Reference, str], second: dict[Reference, str], comments: list[str], keep: bool
) -> None:
    """Also after comments were put in; comments of lines that stay are kept, and a second edit changes nothing."""
    text = edit("", changes({}, first), "l")
    lines = text.splitlines()
    text = "\n".join([*lines[:3], *comments, *lines[3:]]) + "\n"
    assert parse_lock(text, "l").digests == first
    new = edit(text, changes(first, second, keep=keep), "l")
    wanted = {**first, **second} if keep else second
    assert parse_lock(new, "l").digests == wanted
    assert edit(new, changes(wanted, wanted), "l") == new
    assert edit(text, changes(first, first), "l") == text
    images = [line for line in new.splitlines() if line.startswith("- image")]
    assert images == sorted(images, key=lambda line: line.partition("@")[0])
    if keep or not first or min(first, key=str) in second:
        assert all(new.count(comment) >= comments.count(comment) for comment in comments if comment)


def test_changes() -> None:
    found = changes({NGINX: A, REDIS: B}, {NGINX: C, APP: A})
    assert [(change.reference, change.kind) for change in found] == [
        (NGINX, "moved"),
        (REDIS, "removed"),
        (APP, "added"),
    ]
    assert [change.kind for change in changes({REDIS: B}, {APP: A}, keep=True)] == ["unchanged", "added"]


@pytest.mark.parametrize(
    "glob", ["nginx", "nginx:1.27", "docker.io/library/nginx", "*/nginx:*", "library/nginx", "ngin?", "*"]
)
def test_globs(glob: str) -> None:
    assert matches(glob, NGINX)
    assert not matches(glob, REDIS) or glob == "*"
