"""What is read of a lock file, and what is refused."""

from __future__ import annotations

import pytest

from helmpin.errors import UsageError
from helmpin.image.reference import Reference
from helmpin.lock.parse import parse_lock
from tests.support.locks import NGINX, REDIS, TEXT, A, B, C


def test_reads_references_and_digests() -> None:
    assert parse_lock(TEXT, "l").digests == {NGINX: A, REDIS: B}


def test_what_is_not_normalised_means_the_same() -> None:
    assert parse_lock(f"version: 1\nimages: [{{image: 'nginx:1.27@{A}'}}]\n", "l").digests == {NGINX: A}


@pytest.mark.parametrize(
    ("text", "why"),
    {
        "not YAML": ("version: 1\nimages:\n- [image\n", "it is not the YAML of a lock: line"),
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
        "merged beside its own": (f"{TEXT}<<: {{images: [{{image: 'b:1@{A}'}}]}}\n", "unknown key: <<"),
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


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_a_merge_conflict_is_called_one(eol: str) -> None:
    sides = ["<<<<<<< HEAD", "- image: a:1@" + "sha256:" + "a" * 64, "=======", "- image: b:1@", ">>>>>>> main", ""]
    with pytest.raises(UsageError) as caught:
        parse_lock(eol.join(["version: 1", "images:", *sides]), "q.lock")
    assert caught.value.why == "line 3: it has a merge conflict"
    assert "--ours or --theirs" in caught.value.hint


def test_deep_nesting_is_a_message_too() -> None:
    with pytest.raises(UsageError):
        parse_lock("[" * 100_000, "l")


def test_a_line_changed_by_sed() -> None:
    assert parse_lock(TEXT.replace(f"nginx:1.27@{A}", f"nginx:1.28@{C}"), "l").digests == {
        Reference.parse("nginx:1.28"): C,
        REDIS: B,
    }


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


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("image: {tag: latest}\n", "name a lock file"),
        ("", "name a lock file"),
        ("version: 2\nimages: []\n", "update helm-pin"),
        ("version: 1\nimages:\n- image: a:1@sha256:abc\n", "correct it, or delete it"),
    ],
)
def test_only_a_lock_may_be_deleted(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_lock(text, "x.yaml")
    assert refused.value.hint is not None and refused.value.hint.startswith(hint)
