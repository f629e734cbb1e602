"""The lock file: what is read, what is refused, and that an edit changes nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helmpin.errors import UsageError
from helmpin.image.reference import Reference
from helmpin.lock import Lock, LockChange, changes, edit, matches, parse_lock, release_name

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
NGINX, REDIS, APP = (Reference.parse(each) for each in ("nginx:1.27", "quay.io/t/redis:7", "registry.example:5000/app"))
TEXT = f"""\
# our images
version: 1
# sorted
images:  # one a line
# waits for a fix
- image: docker.io/library/nginx:1.27@{A}  # renovate
- image: "quay.io/t/redis:7@{B}"

# the end
"""


def test_reads_references_and_digests() -> None:
    assert parse_lock(TEXT, "l").digests == {NGINX: A, REDIS: B}


def test_what_is_not_normalised_means_the_same() -> None:
    assert parse_lock(f"version: 1\nimages: [{{image: 'nginx:1.27@{A}'}}]\n", "l").digests == {NGINX: A}


@pytest.mark.parametrize(
    ("text", "why"),
    {
        "not YAML": ("version: 1\nimages:\n<<<<<<< mine\n- image: x\n", "it is not the YAML of a lock: line"),
        "empty": ("# nothing\n", "it is empty"),
        "a list": ("- image: x\n", "not a YAML mapping"),
        "several documents": (f"{TEXT}---\n{TEXT}", "a second YAML document begins"),
        "no version": ("images: []\n", "it has no version"),
        "a version of tomorrow": ("version: 2\nimages: []\n", "its version is 2; this helm-pin reads version 1"),
        "true is no version": ("version: true\nimages: []\n", "its version is True"),
        "no images": ("version: 1\n", "it has no `images`"),
        "images that are none": ("version: 1\nimages: x\n", "`images` is not a list"),
        "unknown key": ("version: 1\nimages: []\nimage: []\n", "unknown key: image"),
        "unknown key of an image": (f"version: 1\nimages:\n- image: a:1@{A}\n  tag: 1\n", "line 3: unknown key: tag"),
        "no image": ("version: 1\nimages:\n\n- imgae: x\n", "line 4: an image is written as"),
        "no digest": ("version: 1\nimages:\n- image: nginx:1.27\n", "line 3: 'nginx:1.27' has no digest"),
        "no tag": (f"version: 1\nimages:\n- image: nginx@{A}\n", "has no tag"),
        "half a digest": (f"version: 1\nimages:\n- image: nginx:1@{A[:-1]}\n", "needs 64 hexadecimal digits, not 63"),
        "capitals": (f"version: 1\nimages:\n- image: nginx:1@{A.replace('a', 'A')}\n", "line 3: "),
        "a bad name": (f"version: 1\nimages:\n- image: NGINX:1@{A}\n", "is not an image reference"),
        "twice": (f"{TEXT}- image: nginx:1.27@{A}\n", "docker.io/library/nginx:1.27 is on line 6 already"),
        "a key twice": (f"{TEXT}images: []\n", "the key 'images' is repeated"),
        "a key of an image twice": (
            f"version: 1\nimages:\n- image: a:1@{A}\n  image: b:1@{A}\n",
            "line 4: the key 'image' is repeated",
        ),
        "merged": ("x: &x\n  images: []\n<<: *x\nversion: 1\n", "unknown key"),
        "another lock": (
            "apiVersion: imgpkg.carvel.dev/v1alpha1\nkind: ImagesLock\nimages: []\n",
            "this helm-pin reads v0",
        ),
    }.values(),
)
def test_one_clear_message(text: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_lock(text, "some.lock.yaml")
    assert error.value.what == "some.lock.yaml is not a valid lock file"
    assert why in error.value.why
    assert "\n" not in error.value.why


def test_deep_nesting_is_a_message_too() -> None:
    with pytest.raises(UsageError):
        parse_lock("[" * 100_000, "l")


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


def test_a_line_changed_by_sed() -> None:
    assert parse_lock(re.sub(f"nginx:1.27@{A}", f"nginx:1.28@{C}", TEXT), "l").digests == {
        Reference.parse("nginx:1.28"): C,
        REDIS: B,
    }


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
def test_no_release(text: str) -> None:
    with pytest.raises(UsageError):
        release_name(text)


IMAGES_LOCK = f"""\
apiVersion: v0
kind: ImagesLock
metadata: {{generatedAt: "2026-01-02T03:04:05Z", generatedBy: Distribution Tooling for Helm}}
chart: {{name: web, version: 1.0.0, appVersion: ""}}
images:
  - name: nginx
    image: docker.io/library/nginx:1.27
    chart: web
    digests:
      - {{digest: {A}, arch: linux/amd64}}
      - {{digest: {B}, arch: linux/arm64}}
  - name: redis
    image: quay.io/t/redis:7
    chart: web
    digests: [{{digest: {C}, arch: linux/amd64}}]
  - name: redis
    image: quay.io/t/redis:7
    chart: other
    digests: [{{digest: {C}, arch: linux/amd64}}]
"""


def test_images_lock() -> None:
    lock = parse_lock(IMAGES_LOCK, "Images.lock")
    assert lock.digests == {REDIS: C}
    assert lock.platforms == {NGINX: {"linux/amd64": A, "linux/arm64": B}}
    assert not lock.is_ours


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (C + ", arch: linux/amd64}]\n  - name: redis", B + ", arch: linux/amd64}]\n  - name: redis", "is listed twice"),
        (A, "sha256:abc", "'sha256:abc' is not a digest"),
        ("    image: quay.io/t/redis:7\n", "", "has no `image`"),
        (f"[{{digest: {C}, arch: linux/amd64}}]", "[]", "quay.io/t/redis:7 has no digests"),
        ("\nimages:", "\nimagez:", "it has no `images`"),
        ("\nimages:", "\nimages:\nimagez:", "`images` is not a list"),
    ],
)
def test_images_lock_that_is_wrong(old: str, new: str, why: str) -> None:
    assert old in IMAGES_LOCK
    with pytest.raises(UsageError) as error:
        parse_lock(IMAGES_LOCK.replace(old, new, 1), "Images.lock")
    assert why in error.value.why


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
