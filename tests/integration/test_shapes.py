"""Every shape of chart in tests/charts, pinned by real helms with the digests of a real registry, and looked at without helm-pin's
own code. Each on the Helm that its name draws.

A folder of tests/charts holds one chart and its expect.yaml:

images: image as the chart writes it → `values` or `template`, how it must be pinned
set: the --set arguments' values, where <n> is the hex of the digest of the n-th of `images`
renders: how many renders it may take (6 when it is left out)
flags: further arguments
given: further arguments that plain helm gets too
beats_file: whether `given` says otherwise than the values file, and wins, as --set does over -f
follows: leaves (kind/path) that hold the reference too, and must say the pinned one
hashes: leaves that hash a reference, and may change
random: leaves that differ from render to render
elsewhere: images outside pod specs that are reported and left
allowed: images that are let through
refused: image, says, next, exit: what stops the command, and what the message says
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from helmpin import cli, kube_yaml
from helmpin.commands import template
from helmpin.plan import show
from helmpin.plan.prepare import Prepared
from scripts.devtools.binaries import binary
from tests.support import strip
from tests.support.all_forms import for_others
from tests.support.budget import one_helm_each
from tests.support.for_others import Kustomize, all_pinned
from tests.support.promise import listed
from tests.support.registry_servers import Server

CHARTS = Path(__file__).parents[1] / "charts"
NAMES = sorted(path.parent.name for path in CHARTS.glob("*/expect.yaml"))
EXPECT = {name: yaml.safe_load((CHARTS / name / "expect.yaml").read_text()) for name in NAMES}
PINNABLE = [name for name in NAMES if "refused" not in EXPECT[name]]
SHOW_THE_RECORD = ["prints-metadata", "hashes-metadata"]
RECORDS = [*one_helm_each(SHOW_THE_RECORD[:1]), *one_helm_each(SHOW_THE_RECORD[1:], other=True)]
REFUSED = [name for name in NAMES if "refused" in EXPECT[name] and name not in SHOW_THE_RECORD]
Digests = Mapping[str, str]
Leaves = dict[tuple[Any, ...], Any]


class Pinned(NamedTuple):
    """One plan, in each form."""

    plan: dict[str, Any]
    """As `-o json` shows it."""
    manifest: str
    values: str
    """As `-o values --partial` prints it."""
    whole_values: str | None
    """As `-o values` prints it; None where that is refused."""
    kustomization: str | None
    """As `-o kustomize` prints it; None where that is refused."""


class Machine(NamedTuple):
    """One helm. helm-pin runs in this process, as `helm pin` starts it: that a helm starts it is shown elsewhere."""

    helm_binary: Path
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def pin(self, *args: object) -> tuple[int, str, str]:
        """`helm pin ARGS`: exit status, standard output, standard error."""
        status = cli.main([str(arg) for arg in args])
        printed = self.capture.readouterr()
        return status, printed.out, printed.err

    def must_pin(self, *args: object) -> str:
        """`helm pin ARGS`, which must succeed; its standard output."""
        status, out, err = self.pin(*args)
        assert status == 0, err
        return out

    def pinned(self, *args: object) -> Pinned:
        """`helm pin template ARGS`, which must succeed, and what `helm pin plan` would print of the same plan."""
        shown: list[Pinned] = []

        @contextmanager
        def noted(*args: Any, **options: Any) -> Iterator[Prepared]:
            with prepare(*args, **options) as prepared:
                yield prepared
                manifest = self.capture.readouterr().out
                plan = json.loads(json.dumps(show.describe(prepared.plan, reuse=prepared.reuse)))
                show.print_for_others(prepared.plan, "values", partial=True, names=False, values_only=False)
                values = self.capture.readouterr().out
                whole, kustomization = (for_others(prepared.plan, form) for form in ("values", "kustomize"))
                shown.append(Pinned(plan, manifest, values, whole, kustomization))

        prepare = template.prepare
        with self.patch.context() as patch:
            patch.setattr(template, "prepare", noted)
            self.must_pin("template", *args)
        (pinned,) = shown
        return pinned

    def refused(self, *args: object) -> tuple[int, str, str, dict[str, Any]]:
        """`helm pin template ARGS`, and what `helm pin plan -o json` would print of the same plan."""
        plans: list[dict[str, Any]] = []

        @contextmanager
        def noted(*args: Any, **options: Any) -> Iterator[Prepared]:
            with prepare(*args, **options) as prepared:
                plans.append(show.describe(prepared.plan, reuse=prepared.reuse))
                yield prepared

        prepare = template.prepare
        with self.patch.context() as patch:
            patch.setattr(template, "prepare", noted)
            status, out, err = self.pin("template", *args)
        [plan] = plans
        return status, out, err, plan

    def helm(self, *args: object) -> str:
        """`helm ARGS`, which must succeed; its standard output."""
        done = subprocess.run([self.helm_binary, *map(str, args)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def digests(registry: Server) -> Digests:
    """The digest of each image that a chart may run; all are in the registry, each different."""
    images = {image for expect in EXPECT.values() for image in expect["images"]}
    return {image: push(registry, image) for image in sorted(images)}


def push(registry: Server, image: str) -> str:
    """Push an image where a mirror of its registry has it (containerd's convention: the same path)."""
    name, _, tag = image.partition(":")
    first, slash, rest = name.partition("/")
    path = rest if slash and "." in first else name if slash else f"library/{name}"
    return registry.push_image(path, tag or "latest", salt=image)[0]


@pytest.fixture(scope="module", params=["helm3", "helm4"])
def homes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A helm, and the environment that `helm pin` would have from it."""
    helm, home = binary(request.param), tmp_path_factory.mktemp(request.param)
    own = {f"HELM_{kind}_HOME": str(home / kind) for kind in ("DATA", "CONFIG", "CACHE")}
    return helm, {**own, "HELM_BIN": str(helm), "KUBECONFIG": str(home / "none"), "HOME": str(home)}


@pytest.fixture
def machine(
    homes: tuple[Path, dict[str, str]],
    registry: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Machine:
    """Helm 3, then Helm 4; every registry is mirrored by the one of the tests."""
    for name in [name for name in os.environ if name.startswith(("HELM_", "DOCKER_", "KUBE"))]:
        monkeypatch.delenv(name)
    for name, value in homes[1].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HELM_PIN_REGISTRY_MIRROR", f"*=http://{registry.host}")
    monkeypatch.chdir(tmp_path)
    return Machine(homes[0], capsys, monkeypatch)


@pytest.fixture
def chart(request: pytest.FixtureRequest, machine: Machine, tmp_path: Path) -> Path:
    """The chart of that name; what is under its packed/ lies in charts/ as archives."""
    made = tmp_path / "chart"
    shutil.copytree(CHARTS / request.param, made)
    for packed in made.glob("packed/*"):
        machine.helm("package", packed, "--destination", made / "charts")
    shutil.rmtree(made / "packed", ignore_errors=True)
    return made


@pytest.fixture
def expect(chart: Path) -> Mapping[str, Any]:
    """What its expect.yaml says."""
    found: Mapping[str, Any] = yaml.safe_load((chart / "expect.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def kustomize() -> Kustomize:
    """kustomize, for all charts."""
    return Kustomize()


@pytest.mark.parametrize(("chart", "homes"), one_helm_each(PINNABLE), indirect=True)
def test_shape(
    chart: Path, expect: Mapping[str, Any], machine: Machine, digests: Digests, kustomize: Kustomize, tmp_path: Path
) -> None:
    """Every image is pinned, in the way that is expected, and nothing else changes: no leaf, and no byte. So do a values file, and,
    for each form of manifest that the charts have, a kustomization, or they are refused."""
    given, flags = expect.get("given", []), expect.get("flags", [])
    plain_text = machine.helm("template", "rel", chart, *given)
    again = machine.helm("template", "rel", chart, *given) if expect.get("random") else None
    pinned = machine.pinned("rel", chart, *given, *flags)
    plan, text, values_text, whole_values, kustomization = pinned
    allowed = expect.get("allowed", [])
    plain = leaves(plain_text)

    planned = {i["image"]: i for i in plan["images"] if i["image"] not in allowed}
    assert {image: i["via"] for image, i in planned.items()} == expect["images"]
    assert {image: i["digest"] for image, i in planned.items()} == {image: digests[image] for image in planned}
    assert plan["set"][1::2] == sorted_like(plan["set"][1::2], wanted_settings(expect, digests))
    # what holds no digest, nor empties a tag for one, has no business among the user's values
    for setting in plan["set"][1::2]:
        value = setting.partition("=")[2]
        assert not value or any(i["digest"].partition(":")[2] in value for i in planned.values()), setting
    assert plan["renders"] <= expect.get("renders", 6)
    assert [i["image"] for i in plan["elsewhere"]] == expect.get("elsewhere", [])

    everything = expect["images"]
    only_images_differ(plain, leaves(text), {image: digests[image] for image in everything}, expect)
    if "--also" in flags:  # what stands outside pods is no image for the judge
        pinned = machine.pinned("rel", chart, *given)
    only_digests_differ(plain_text, pinned, {image: digests[image] for image in everything}, expect, again)

    by_reference = {strip.parse_reference(image): digests[image] for image in everything}
    kustomize.pins(kustomization, plain_text, lambda reference: by_reference[reference], allowed, tmp_path)

    if not plan["set"]:  # plain helm with no more arguments is `plain`
        if whole_values is not None:
            all_pinned(plain_text, allowed)
        return
    by_values = {image: digests[image] for image, via in everything.items() if via == "values"}
    by_set = machine.helm("template", "rel", chart, *given, *plan["set"])
    are_all = len(by_values) == len(everything)
    only_images_differ(plain, leaves(by_set), by_values, expect, all_pinned=are_all)
    assert whole_values is None or (whole_values == values_text and are_all)

    tree = simple_tree(plan["set"])
    if tree is not None and not given:
        assert yaml.safe_load(values_text) == tree
        return
    values = tmp_path / "pins.yaml"
    values.write_text(values_text)
    by_file = machine.helm("template", "rel", chart, *given, "-f", values)
    same = without_random(leaves(by_file), expect) == without_random(leaves(by_set), expect)
    assert same is not expect.get("beats_file", False)
    if not same and whole_values is not None:  # the file stands in for the flags that win over it
        alone = machine.helm("template", "rel", chart, "-f", values)
        all_pinned(alone, allowed)
        assert len(strip.images_of(alone)) == len(strip.images_of(plain_text))


@pytest.mark.parametrize(("chart", "homes"), one_helm_each(REFUSED), indirect=True)
def test_refused(chart: Path, expect: Mapping[str, Any], machine: Machine, digests: Digests) -> None:
    """What cannot be pinned stops the command with one message that names the image, who uses it, why, and the way out."""
    refused = expect["refused"]
    status, out, err, plan = machine.refused("rel", chart, *expect.get("flags", []))
    assert (status, out) == (refused.get("exit", 3), "")
    assert err.startswith(f"Error: {refused['image']} cannot be pinned\n")
    assert refused["says"] in err and refused["next"] in err.partition("\n  next  ")[2]
    assert re.search(r"used by \w+/\w+ container \w+, in [\w-]+/templates/\w+\.yaml", err)
    assert "Traceback" not in err

    assert [i["image"] for i in plan["unpinned"]] == [refused["image"]]
    assert {i["image"]: i["digest"] for i in plan["images"] if i["pinned"]} == {
        image: digests[image] for image in expect["images"]
    }


@pytest.mark.parametrize(("chart", "homes"), one_helm_each(REFUSED[:1]), indirect=True)
@pytest.mark.usefixtures("digests")
def test_a_refused_plan_is_printed(chart: Path, expect: Mapping[str, Any], machine: Machine) -> None:
    """It is the one that `test_refused` looks at, and ends as an upgrade would."""
    args = ("rel", chart, *expect.get("flags", []))
    status, out, _ = machine.pin("plan", *args, "-o", "json")
    assert (status, json.loads(out)) == (expect["refused"].get("exit", 3), machine.refused(*args)[3])


@pytest.mark.parametrize("chart", ["whole-reference"], indirect=True)
def test_a_digest_that_is_there_already(chart: Path, machine: Machine, digests: Digests) -> None:
    """It is asked for, and left as it is."""
    digest = digests["example.com/team/web:1.2.3"]
    given = ["--set", f"image=example.com/team/web@{digest}"]
    plan = json.loads(machine.must_pin("plan", "rel", chart, "-o", "json", *given))
    assert [(i["via"], i["digest"], i["mutable"]) for i in plan["images"]] == [("chart", digest, False)]
    assert (plan["set"], plan["renders"]) == ([], 1)
    assert machine.must_pin("template", "rel", chart, *given) == machine.helm("template", "rel", chart, *given)


def wanted_settings(expect: Mapping[str, Any], digests: Digests) -> list[str]:
    """`set` with the digests put in."""
    order = list(expect["images"])
    return [
        re.sub(r"<(\d+)>", lambda m: digests[order[int(m[1]) - 1]].partition(":")[2], text)
        for text in expect.get("set", [])
    ]


def simple_tree(settings: list[str]) -> dict[str, Any] | None:
    """What such a values file must hold, where every setting is a digest under plain keys of maps; None for any other."""
    tree: dict[str, Any] = {}
    for flag, setting in zip(settings[::2], settings[1::2], strict=True):
        if flag not in ("--set", "--set-string") or not re.fullmatch(
            r"[a-z][\w.-]*=[\w./:@-]*[0-9a-f]{64}", setting, re.IGNORECASE
        ):
            return None
        path, _, value = setting.partition("=")
        *parents, last = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree


def sorted_like(found: list[str], wanted: list[str]) -> list[str]:
    """`wanted` in the order of `found`, so that a failure shows what differs."""
    return sorted(wanted, key=lambda text: found.index(text) if text in found else len(found))


def only_images_differ(
    plain: Leaves, pinned: Leaves, digests: Digests, expect: Mapping[str, Any], *, all_pinned: bool = True
) -> None:
    """Each place that runs one of `digests` runs it at its digest, what follows it says so, and every other leaf is the same."""
    assert pinned.keys() == plain.keys()
    ran: set[str] = set()
    for path, before in plain.items():
        after, place = pinned[path], place_of(path)
        if is_image(path):
            if before in digests:
                ran.add(before)
                assert after in at_digest(before, digests[before]), path
            else:
                assert after == before, path
                assert not all_pinned or before in expect.get("allowed", []), f"{before} is pinned nowhere"
        elif place in expect.get("random", []):
            assert after != before, f"{place} is not random"
        elif place in expect.get("follows", []):
            follows(before, after, digests, all_pinned=all_pinned)
        elif place not in expect.get("hashes", []):
            assert (after, type(after)) == (before, type(before)), path
    outside = {image for image in digests if any(image in str(plain[path]) for path in plain if not is_image(path))}
    assert ran | (outside if "follows" in expect else set()) >= set(digests)


def only_digests_differ(
    plain: str, pinned: Pinned, digests: Digests, expect: Mapping[str, Any], again: str | None
) -> None:
    """Without the digests of images, and of what the plan lists as following them, the manifest is the plain one byte for byte."""
    by_reference = {strip.parse_reference(image): digest for image, digest in digests.items()}

    def judged(followers: list[strip.Follower] | None) -> strip.Stripped:
        return strip.strip_and_compare(
            plain,
            pinned.manifest,
            lambda reference: by_reference.get(reference, ""),
            listed=followers,
            again=again,
            allowed=expect.get("allowed", []),
        )

    found = judged(None)
    if found.followed:
        found = judged(listed(pinned.plan))
    assert found.problems == []


def follows(before: str, after: str, digests: Digests, *, all_pinned: bool) -> None:
    """A text that holds references holds the pinned ones instead, and is otherwise the same."""
    assert not all_pinned or after != before
    for image, digest in digests.items():
        for written in at_digest(image, digest):
            after = after.replace(written, image)
    assert after == before


def at_digest(image: str, digest: str) -> tuple[str, ...]:
    """How a pinned image may be written: with its tag, or without; where there was none, as `latest`, which the default pull
    policy depends on."""
    name, colon, tag = image.rpartition(":")
    if not colon or "/" in tag:
        return (f"{image}:latest@{digest}",)
    return (f"{image}@{digest}", f"{name}@{digest}")


def is_image(path: tuple[Any, ...]) -> bool:
    """Whether a leaf is what a container runs or an image volume holds."""
    lists = ("containers", "initContainers", "ephemeralContainers")
    return (path[-1] == "image" and path[-3] in lists) or path[-2:] == ("image", "reference")


def leaves(manifest: str) -> Leaves:
    """Every leaf of a manifest, by its document's number and kind, and its path in it."""
    return {
        (number, document["kind"], *path): value
        for number, document in enumerate(filter(None, kube_yaml.read_all(manifest, what="", where="")))
        for path, value in walk(document)
    }


def walk(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """(path, value) of the scalars under a node, and of what is empty."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    if not children or node in ({}, []):
        yield path, node
    for key, child in children:
        yield from walk(child, (*path, key))


def without_random(found: Leaves, expect: Mapping[str, Any]) -> Leaves:
    """The leaves that are the same in every render."""
    return {path: value for path, value in found.items() if place_of(path) not in expect.get("random", [])}


def place_of(path: tuple[Any, ...]) -> str:
    """A leaf as expect.yaml names it: Pod/spec.containers.0.image."""
    return f"{path[1]}/{'.'.join(map(str, path[2:]))}"


@pytest.mark.parametrize(("chart", "homes"), RECORDS, indirect=True)
def test_a_record_that_would_show(chart: Path, machine: Machine) -> None:
    pinned = f"image=example.com/team/web@sha256:{'0123456789abcdef' * 4}"
    for given in ([], ["--set", pinned]):
        status, out, err = machine.pin("template", "rel", chart, *given)
        assert (status, out) == (3, "")
        assert err.startswith("Error: the chart prints helm-pin's record\n")
