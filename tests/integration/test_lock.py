"""The lock with real helms and real registries: written, updated, checked, and taken from, where no registry answers too."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from helmpin.image.reference import Reference
from tests.conftest import new_name
from tests.support.hostile import Request, response, serve
from tests.support.registry_servers import OCI_INDEX, Server, distribution, sha256
from tests.support.workstation import CHECKOUT, Finished, Workstation, whichever_helm

pytestmark = whichever_helm

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    "values.yaml": "image: {repository: HOST/REPO/app, tag: main}\nsidecar: HOST/REPO/sidecar:1.2.3\nextra: ''\n",
    "templates/pod.yaml": """\
apiVersion: v1
kind: Pod
metadata: {name: "{{ .Release.Name }}"}
spec:
  initContainers: [{name: init, image: HOST/REPO/init}]
  containers:
    - {name: app, image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"}
    - {name: sidecar, image: "{{ .Values.sidecar }}"}
    {{- with .Values.extra }}
    - {name: extra, image: "{{ . }}"}
    {{- end }}
""",
}
TAGS = {"app": "main", "sidecar": "1.2.3", "init": "latest"}


class Shop(NamedTuple):
    """A chart, the registry of its images, and the folder where somebody works."""

    machine: Workstation
    server: Server
    repository: str
    folder: Path

    def push(self, build: str, names: Mapping[str, str] = TAGS) -> dict[str, str]:
        """Move the tags; their digests."""
        return {
            name: self.server.push_image(f"{self.repository}/{name}", tag, salt=f"{name} {build}")[0]
            for name, tag in names.items()
        }

    def pin(self, command: str, *args: object) -> Finished:
        """`helm pin COMMAND web CHART ARGS`, in the folder."""
        return self.machine.pin(command, "web", "app", *args, cwd=self.folder)

    def lock(self, *args: object) -> Any:
        """`helm pin lock`, which must succeed; what it says of each image, by the image's name."""
        done = self.pin("lock", "--no-cluster", "-o", "json", *args)
        assert done.status == 0, done.stderr
        rows = json.loads(done.stdout)["images"]
        return {row["reference"].rpartition("/")[2].partition(":")[0]: row for row in rows}

    @property
    def file(self) -> Path:
        """The lock."""
        return self.folder / "helm-pin.lock.yaml"

    def image(self, name: str, digest: str = "") -> str:
        """An image as it is deployed."""
        return f"{self.server.host}/{self.repository}/{name}:{TAGS[name]}" + (f"@{digest}" if digest else "")


@pytest.fixture(scope="module")
def repository() -> str:
    """Where the images of all tests are."""
    return new_name()


@pytest.fixture
def shop(workstation: Workstation, registry: Server, repository: str, tmp_path: Path) -> Shop:
    """The images at build A."""
    made = Shop(workstation, registry, repository, tmp_path)
    write(tmp_path / "app", registry.host, repository)
    made.push("A")
    return made


@pytest.fixture(scope="module")
def locks() -> list[str]:
    """The lock of `locked`, once it is made."""
    return []


@pytest.fixture
def locked(shop: Shop, locks: list[str]) -> Shop:
    """With the lock of build A."""
    if locks:
        shop.file.write_text(locks[0])
    else:
        shop.lock()
        locks.append(shop.file.read_text())
    return shop


def write(folder: Path, host: str, repository: str) -> None:
    for name, text in CHART.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace("HOST", host).replace("REPO", repository))


def images(manifest: str) -> list[str]:
    """The images of a pod's containers."""
    return re.findall(r'image: "?([^\s"}]+)', manifest)


def test_written_updated_and_checked(shop: Shop) -> None:
    a = shop.push("A")
    assert {name: row["change"] for name, row in shop.lock().items()} == dict.fromkeys(TAGS, "added")
    text = shop.file.read_text()
    assert [line for line in text.splitlines() if line.startswith("- ")] == [
        f"- image: {shop.image(name, a[name])}" for name in sorted(TAGS)
    ]
    assert yaml.safe_load(text)["version"] == 1
    schema = image_schema()
    assert all(re.search(schema, line["image"]) for line in yaml.safe_load(text)["images"])
    again = yaml.safe_load(shop.pin("lock", "--no-cluster", "-o", "yaml").stdout)
    assert again["file"] == "helm-pin.lock.yaml"
    assert {row["change"] for row in again["images"]} == {"unchanged"}

    b = shop.push("B")
    text = text.replace("- image:", "# ours\n- image:", 1)
    shop.file.write_text(text)
    checked = shop.pin("lock", "--no-cluster", "--check")
    assert checked.status == 4, checked.stderr
    assert checked.stdout.count("moved from sha256:") == 3
    table = [line.split() for line in shop.pin("lock", "--no-cluster").stdout.splitlines()]
    assert table[0] == ["IMAGE", "DIGEST", "CHANGE"] and [row[2] for row in table[1:4]] == ["unchanged"] * 3
    assert shop.file.read_text() == text

    rows = shop.lock("--update", "*/app")
    assert (rows["app"]["was"], rows["app"]["digest"], rows["app"]["change"]) == (a["app"], b["app"], "moved")
    assert {rows[name]["change"] for name in ("init", "sidecar")} == {"unchanged"}
    assert shop.file.read_text() == text.replace(a["app"], b["app"])
    done = shop.pin("lock", "--no-cluster", "--update", "*/init:latest", "-o", "markdown")
    assert done.stdout == (
        "**helm-pin.lock.yaml**: 1 moved, 2 unchanged\n\n| Image | Change | Old | New |\n| --- | --- | --- | --- |\n"
        f"| `{shop.image('init')}` | moved | `{a['init']}` | `{b['init']}` |\n"
    )
    shop.lock("--update", "*")
    assert shop.pin("lock", "--no-cluster", "--check").status == 0


def test_a_chart_that_changes(locked: Shop) -> None:
    shop = locked
    before = shop.file.read_text()
    shop.push("A", {"extra": "1.0.0"})
    more = f"extra={shop.server.host}/{shop.repository}/extra:1.0.0"
    assert shop.pin("lock", "--no-cluster", "--check", "--set", more).status == 4
    assert shop.lock("--set", more)["extra"]["change"] == "added"
    with_extra = shop.file.read_text()
    assert shop.pin("lock", "--no-cluster", "--check", "--keep").status == 0
    assert shop.pin("lock", "--no-cluster", "--check").status == 4
    shop.lock("--keep")
    assert shop.file.read_text() == with_extra

    moved = shop.push("B", {"extra": "1.0.0"})["extra"]
    assert "moved from" in shop.pin("lock", "--no-cluster", "--check", "--keep").stdout
    assert shop.lock("--keep", "--update", "*/extra")["extra"]["digest"] == moved
    invented = shop.file.read_text().replace(moved, f"sha256:{'f' * 64}")
    shop.file.write_text(invented)
    checked = shop.pin("lock", "--no-cluster", "--check", "--keep")
    assert checked.status == 4 and checked.stdout.count("moved from sha256:ffffffffffff, which the registry lacks") == 1
    shop.file.write_text(invented.replace("extra:1.0.0", "extra:none"))
    done = shop.pin("lock", "--no-cluster", "--keep", "--check")
    assert done.status == 4 and "tag gone, and the registry lacks the digest" in done.stdout, done.stderr
    done = shop.pin("lock", "--no-cluster", "--keep", "--update", "*/extra:none")
    assert done.status == 5 and "1 image that this chart does not use cannot be resolved" in done.stderr, done.stderr
    shop.file.write_text(with_extra)

    assert shop.lock()["extra"]["change"] == "removed"
    assert shop.file.read_text() == before


def test_a_tag_that_is_gone(locked: Shop) -> None:
    """The lock still has its digest, with which the chart can be deployed."""
    shop = locked
    shop.push("A", {"extra": "1.0.0"})
    more = f"--set=extra={shop.server.host}/{shop.repository}/extra:none"
    shop.lock(more.replace("none", "1.0.0"))
    shop.file.write_text(shop.file.read_text().replace("extra:1.0.0", "extra:none"))
    assert shop.pin("lock", "--no-cluster", more).status == 0
    done = shop.pin("lock", "--no-cluster", "--check", more)
    assert done.status == 4 and re.search(r"extra:none .*  tag gone$", done.stdout, re.MULTILINE), done.stdout
    assert "4 unchanged, 1 tag gone" in done.stderr
    done = shop.pin("lock", "--no-cluster", "--check", more, "-o", "json")
    found = {image["reference"]: image for image in json.loads(done.stdout)["images"]}
    (extra,) = (image for name, image in found.items() if name.endswith("extra:none"))
    assert (extra["change"], extra["tagGone"], extra["gone"]) == ("unchanged", True, False)
    assert "| tag gone |" in shop.pin("lock", "--no-cluster", "--check", more, "-o", "markdown").stdout


@pytest.mark.parametrize("args", [[], ["--keep"]])
@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden"])
def test_a_check_asks_for_each_tag_once(
    workstation: Workstation, tmp_path: Path, args: Sequence[str], status: str
) -> None:
    """Also for that of an image that the chart does not use, and where the registry refuses."""
    body = b"{}"
    digest = sha256(body)

    def answer(request: Request, _: socket.socket) -> bytes:
        fields = {"Content_Type": OCI_INDEX, "Docker_Content_Digest": digest}
        return response(status if "/sidecar/" in request.target else "200 OK", body, request.method, **fields)

    with serve(answer) as server:
        write(tmp_path / "app", server.host, "shop")
        names = [*(f"{name}:{tag}" for name, tag in TAGS.items()), "unused:1"]
        lines = [f"- image: {server.host}/shop/{name}@{digest}\n" for name in names]
        (tmp_path / "helm-pin.lock.yaml").write_text("version: 1\nimages:\n" + "".join(lines))
        done = workstation.pin("lock", "web", "app", "--no-cluster", "--check", *args, cwd=tmp_path)
        asked = Counter(request.target for request in server.requests if request.method == "HEAD")
    assert done.status == (5 if status.startswith("403") else 0 if args else 4), done.stderr
    assert asked == {f"/v2/shop/{name.replace(':', '/manifests/')}": 1 for name in names}


def test_a_chart_that_needs_no_lock(shop: Shop) -> None:
    """What is exempt or pinned already is named as that, and not taken for no images."""
    done = shop.pin("lock", "--no-cluster", "--allow-unpinned", "*")
    assert done.status == 0, done.stderr
    assert "There is nothing to lock: 3 images exempt (allow-unpinned)." in done.stdout
    digest = shop.push("A")["app"]
    others = ("--allow-unpinned", "*/init", "--allow-unpinned", "*/sidecar:*")
    done = shop.pin("lock", "--no-cluster", "--set", f"image.tag=main@{digest}", *others)
    assert "nothing to lock: 1 image pinned by the chart itself, 2 images exempt (allow-unpinned)." in done.stdout


def test_what_lock_refuses(locked: Shop) -> None:
    shop = locked
    text = shop.file.read_text()
    for args, status, words in [
        (["--update", "nobody/*"], 2, "no image matches --update nobody/*"),
        (["--update", "*", "--check"], 2, "--check changes nothing"),
        (["--set", "image.tag=gone"], 5, "helm-pin.lock.yaml was not written"),
        (["--set", "sidecar=auto"], 3, "helm-pin.lock.yaml was not written"),
        (["--update", "*", "--mutable", "refuse"], 3, "mutable tag"),
        (["--file", "none/there.yaml"], 1, "cannot write the lock file"),
        (["--file", "none/there.yaml", "--check"], 2, "cannot read the lock file"),
    ]:
        done = shop.pin("lock", "--no-cluster", *args)
        assert (done.status, words in done.stderr) == (status, True), done.stderr
        assert shop.file.read_text() == text
    assert sorted(path.name for path in shop.folder.iterdir()) == ["app", "helm-pin.lock.yaml"]


@pytest.mark.parametrize(
    ("args", "is_needed"),
    [
        ([], True),
        (["-f", os.devnull], True),
        (["--check"], True),
        (["--set", "extra=", "--reuse-values"], True),
        (["--set", "extra="], False),
        (["--reset-values"], False),
        (["--no-cluster"], False),
    ],
)
def test_a_cluster_that_does_not_answer_stops_it_where_values_would_be_reused(
    locked: Shop, args: list[str], is_needed: bool
) -> None:
    """The lock would be that of another deployment."""
    before = locked.file.read_bytes()
    done = locked.pin("lock", *args)
    assert done.status == (1 if is_needed else 0), done.stderr
    assert locked.file.read_bytes() == before
    assert ("release web cannot be read" in done.stderr) is is_needed
    assert ("or do without the values of the release: " in done.stderr) is is_needed
    assert ("helm-pin.lock.yaml was not written" in done.stderr) is (is_needed and "--check" not in args)


def test_the_lock_is_taken_after_every_tag_has_moved_and_where_no_registry_answers(
    workstation: Workstation, unique: str, tmp_path: Path
) -> None:
    with distribution(tmp_path / "registry") as server:
        write(tmp_path / "app", server.host, unique)
        shop = Shop(workstation, server, unique, tmp_path)
        a = shop.push("A")
        shop.lock()
        shop.push("B")
        first = shop.pin("template", "--lock", "helm-pin.lock.yaml")
        assert first.status == 0, first.stderr
        assert sorted(images(first.stdout)) == sorted(shop.image(name, a[name]) for name in TAGS)
        moved = json.loads(shop.pin("plan", "--no-cluster", "-o", "json").stdout)
        assert {image["source"] for image in moved["images"]} == {None}
        assert server.log is not None
        before = server.log.read_text().count("/v2/")
        assert shop.pin("template", "--locked").stdout == first.stdout
        assert server.log.read_text().count("/v2/") == before > 0
    down = shop.pin("template", "--locked")
    assert (down.status, down.stdout) == (0, first.stdout), down.stderr
    assert shop.pin("template").status == 5
    pinned = shop.pin("template", "--locked", "--set", f"sidecar={shop.image('sidecar', a['sidecar'])}")
    assert pinned.status == 0, pinned.stderr

    text = shop.file.read_text()
    shop.file.write_text(text.replace(a["app"], a["init"]))
    plan = json.loads(shop.pin("plan", "--no-cluster", "--lock", shop.file, "-o", "json").stdout)
    assert {image["source"] for image in plan["images"]} == {"lock"}
    digests = {image["reference"]: image["digest"] for image in plan["images"]}
    assert digests[shop.image("app")] == a["init"], "as sed would write it"


def test_what_the_lock_lacks_comes_from_the_registry_unless_locked(locked: Shop) -> None:
    shop = locked
    a = shop.push("A")
    lines = shop.file.read_text().splitlines(keepends=True)
    shop.file.write_text("".join(line for line in lines if "/sidecar" not in line))
    b = shop.push("B")
    done = shop.pin("template", "--lock", "helm-pin.lock.yaml")
    assert sorted(images(done.stdout)) == sorted(
        shop.image(name, b[name] if name == "sidecar" else a[name]) for name in TAGS
    )
    refused = shop.pin("template", "--locked")
    assert (refused.status, refused.stdout) == (3, "")
    assert f"{shop.image('sidecar')}: not in helm-pin.lock.yaml" in refused.stderr
    [command] = re.findall("next  add it: helm pin (.*)", refused.stderr)
    assert "--no-cluster" in command.split()
    assert shop.machine.pin(*command.split(), cwd=shop.folder).status == 0
    assert shop.pin("template", "--locked").status == 0


def test_no_mutable_tag_is_refused_whose_digest_is_in_the_lock(locked: Shop) -> None:
    """As lint has it: what the lock says cannot move."""
    shop = locked
    assert shop.pin("template", "--mutable", "refuse").status == 3
    settings = shop.folder / "settings.yaml"
    flags = ["--config", str(settings)]
    for text in ("mutable: refuse\n", "rules:\n- match: '*'\n  mutable: refuse\n"):
        settings.write_text(text)
        assert shop.machine.pin("lint", "app", "--locked", *flags, cwd=shop.folder).status == 0
        assert shop.pin("template", "--locked", *flags).status == 0
        assert shop.pin("lock", "--no-cluster", *flags).status == 0
    refused = shop.pin("template", "--locked", "--mutable", "refuse", "--set", "image.tag=edge")
    assert refused.status == 3 and "app:edge: tag edge moves by design" in refused.stderr


def test_the_advised_command_has_the_flags_that_matter_and_names_those_that_it_must_not_show(shop: Shop) -> None:
    shop.file.write_text("version: 1\nimages: []\n")
    (shop.folder / "more.yaml").write_text(f"extra: {shop.server.host}/{shop.repository}/none:1\n")
    flags = ["--allow-unpinned", "*/none:1", "-f", "more.yaml", "--set", f"sidecar={shop.image('app')},image.a=secret"]
    refused = shop.pin("plan", "--no-cluster", "--locked", *flags)
    assert refused.status == 3
    [(yours, command)] = re.findall(r"next  add it, with your (.*): helm pin (.*)", refused.stderr)
    assert yours == "--set" and "***" not in command and "secret" not in refused.stderr
    assert shop.machine.pin(*shlex.split(command), *flags[-2:], cwd=shop.folder).status == 0
    assert shop.pin("plan", "--no-cluster", "--locked", *flags).status == 0


def test_a_chart_that_pins_another_digest_than_the_lock(locked: Shop) -> None:
    """No command changes the line, which another chart may need: the advice is to take it out."""
    shop = locked
    a = shop.push("A")
    pinned = ["--set", f"sidecar={shop.image('sidecar', a['app'])}"]
    refused = shop.pin("template", "--locked", *pinned)
    assert (refused.status, refused.stdout) == (3, "")
    assert f"the chart pins it to {a['app']}, helm-pin.lock.yaml has {a['sidecar']}" in refused.stderr
    assert f"remove that of {shop.image('sidecar')} from helm-pin.lock.yaml" in refused.stderr
    assert "add it" not in refused.stderr
    lines = shop.file.read_text().splitlines(keepends=True)
    shop.file.write_text("".join(line for line in lines if "/sidecar" not in line))
    assert shop.pin("template", "--locked", *pinned).status == 0


def test_a_broken_lock(shop: Shop) -> None:
    broken = "version: 1\nimages:\n- image: a:1@sha256:abc\n"
    shop.file.write_text(broken)
    for command in ("template", "lock"):
        done = shop.pin(command, *(["--locked"] if command == "template" else []))
        assert (done.status, done.stdout) == (2, "")
        assert done.stderr.startswith("Error: helm-pin.lock.yaml is not a valid lock file\n")
        assert "line 3: 'a:1@sha256:abc' is not an image reference" in done.stderr
    assert shop.file.read_text() == broken


def test_no_lock(shop: Shop) -> None:
    done = shop.pin("template", "--locked")
    assert done.status == 2
    assert "there is no lock file helm-pin.lock.yaml" in done.stderr
    (shop.folder / ".helm-pin.yaml").write_text("lock: other.yaml\n")
    assert shop.pin("template").status == 2


def test_lint(locked: Shop) -> None:
    shop = locked

    def lint(*args: str) -> tuple[int, list[str]]:
        done = shop.machine.pin("lint", "app", "-o", "json", *args, cwd=shop.folder)
        return done.status, sorted(found["image"].rpartition("/")[2] for found in json.loads(done.stdout))

    assert lint() == (3, ["app:main", "init"])
    more = ["--set", "extra=quay.io/t/new:1.0.0"]
    assert lint("--lock", "helm-pin.lock.yaml", *more) == (0, [])
    assert lint("--locked", *more) == (3, ["new:1.0.0"])


def images_lock(digests: Mapping[str, Mapping[str, str]]) -> str:
    """An Images.lock as `helm dt images lock` writes it."""
    entries = [
        {
            "name": image.rpartition("/")[2],
            "image": image,
            "chart": "app",
            "digests": [{"digest": digest, "arch": arch} for arch, digest in each.items()],
        }
        for image, each in digests.items()
    ]
    metadata = {"generatedAt": "2026-01-02T03:04:05Z", "generatedBy": "Distribution Tooling for Helm"}
    chart = {"name": "app", "version": "1.0.0", "appVersion": ""}
    return yaml.safe_dump(
        {"apiVersion": "v0", "kind": "ImagesLock", "metadata": metadata, "chart": chart, "images": entries}
    )


def test_images_lock(shop: Shop) -> None:
    a = shop.push("A", {"app": "main", "sidecar": "1.2.3"})
    platforms = {"linux/amd64": "x", "linux/arm64": "y"}
    index, built = shop.server.push_index(f"{shop.repository}/init", "latest", platforms)
    digests = {shop.image(name): {"linux/amd64": a[name]} for name in a}
    digests[shop.image("init")] = {name: digest for name, (digest, _) in built.items()}
    (shop.folder / "Images.lock").write_text(images_lock(digests))
    done = shop.pin("template", "--lock", "Images.lock")
    assert done.status == 0, done.stderr
    assert sorted(images(done.stdout)) == sorted(shop.image(n, d) for n, d in {**a, "init": index}.items())

    refused = shop.pin("template", "--lock", "Images.lock", "--locked")
    assert refused.status == 3
    assert "a digest for each platform (linux/amd64, linux/arm64) and none for the whole image" in refused.stderr
    shop.server.push_index(f"{shop.repository}/init", "latest", {"linux/amd64": "x", "linux/arm64": "z"})
    refused = shop.pin("template", "--lock", "Images.lock")
    assert refused.status == 3
    assert f"does not hold {built['linux/arm64'][0]} (linux/arm64)" in refused.stderr
    assert "only reads" in shop.pin("lock", "--file", "Images.lock").stderr


def image_schema() -> str:
    """The pattern of an image in the lock's schema."""
    schema = json.loads((CHECKOUT / "docs" / "lock.schema.json").read_text())
    [image] = schema["properties"]["images"]["items"]["properties"].values()
    return str(image["pattern"])


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    schema = image_schema()
    digest = "sha256:" + "a" * 64
    for text in ("nginx:1", f"nginx@{digest}", f"nginx:1@{digest[:-1]}", f"NGINX:1@{digest}", f"nginx:1@{digest} "):
        assert not re.search(schema, text)
    for text in (
        f"nginx:1@{digest}",
        f"[::1]:5000/a/b_c:V1@{digest}",
        f"Host/a:1@{digest}",
        f"a.b-c:1@sha512:{'b' * 128}",
    ):
        assert re.search(schema, text)
        assert Reference.parse(text).digest
