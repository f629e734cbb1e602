"""Whether registries have what the nodes of a revision pull: what is asked, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.image.platforms import NODES
from helmpin.image.reference import Reference
from helmpin.kubectl import Kubectl
from helmpin.registry import Described, RegistryError, RegistrySettings, Resolved
from helmpin.registry.details import Details
from helmpin.registry.manifest import INDEXES
from helmpin.registry.types import Platform
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from helmpin.verify import children
from helmpin.verify.check import FAILED, OK, UNKNOWN, Check
from helmpin.verify.registries import Registries

INDEX, ARM, AMD, PLAIN = ("sha256:" + letter * 64 for letter in "0abf")
OCI_INDEX = min(INDEXES)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
WEB = Reference.parse(f"web@{INDEX}")
CHILDREN = (Platform("linux/amd64", AMD, ""), Platform("linux/arm64", ARM, ""))
CHECK = Check("registry", OK, "has 1 digest", ("a tag has moved",), ("one did not answer",))
REGISTRIES = Registries(RegistrySettings())
KUBECTL = Kubectl(Helm("/never/run"))


def node(platform: str) -> dict[str, Any]:
    system, architecture = platform.split("/")
    return {
        "metadata": {"name": architecture, "labels": {"kubernetes.io/arch": architecture}},
        "status": {"nodeInfo": {"operatingSystem": system, "architecture": architecture}},
    }


def stored(only: str = "", *, media_type: str = OCI_INDEX, digest: str = INDEX) -> tuple[Record, Revision]:
    """A revision with one pod, for the nodes of one architecture or for all."""
    selector = f"nodeSelector: {{kubernetes.io/arch: {only}}}, " if only else ""
    pod = f"---\nkind: Pod\nmetadata: {{name: web}}\nspec: {{{selector}containers: [{{name: app, image: web:1@{digest}}}]}}\n"
    images = (Image("docker.io/library/web:1", "web:1", digest, media_type, "values"),)
    record = Record("helm-pin 1.0.0", "2026-01-02T03:04:05Z", images)
    return record, Revision("web", 1, "deployed", record.to_json(), pod, "")


class World:
    """What the registry and the cluster answer. Mutable."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] | None = [node("linux/amd64"), node("linux/arm64")]
        self.answer: Described | RegistryError = Described(INDEX, OCI_INDEX, CHILDREN)
        self.details: Details | RegistryError = Details(platforms=("linux/amd64", "linux/arm64"))
        self.errors: dict[str, str] = {}
        """By digest, the kind of error."""
        self.asked: list[str | None] = []

    def describe(self, references: Collection[Reference], *_: object) -> dict[Reference, Any]:
        return dict.fromkeys(references, self.answer)

    def resolve(self, references: Collection[Reference], *_: object) -> dict[Reference, Any]:
        self.asked += sorted(str(reference) for reference in references)
        return {
            r: RegistryError(r, kind, "why")
            if (kind := self.errors.get(r.digest or ""))
            else Resolved(r.digest or "", "")  # type: ignore[arg-type]
            for r in references
        }

    def details_of(self, references: Collection[Reference], *_: object) -> dict[Reference, Any]:
        return dict.fromkeys(references, self.details)

    def read_nodes(self, _: Kubectl) -> list[dict[str, Any]]:
        if self.nodes is None:
            raise HelmFailed("the nodes of the cluster cannot be read")
        return self.nodes


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    for name in ("describe", "resolve", "details_of", "read_nodes"):
        monkeypatch.setattr(children, name, getattr(made, name))
    return made


def gone(revision: tuple[Record, Revision], *platforms: str) -> list[str]:
    """What is gone, where all is answered."""
    lines, silent = children.gone(*revision, REGISTRIES, KUBECTL, platforms)
    assert silent == []
    return lines


def line(platform: str, digest: str) -> str:
    return f"docker.io/library/web@{INDEX}: its image for {platform} is gone ({digest})"


# -- manifests of an index ------------------------------------------------------------------------------------------------


def test_the_manifest_of_each_nodes_platform_is_asked_for(world: World) -> None:
    assert gone(stored()) == []
    assert world.asked == sorted(f"docker.io/library/web@{digest}" for digest in (AMD, ARM))


def test_not_those_of_nodes_that_the_pods_do_not_run_on(world: World) -> None:
    world.errors = {AMD: "not-found", ARM: "not-found"}
    assert gone(stored("arm64")) == [line("linux/arm64", ARM)]
    assert world.asked == [f"docker.io/library/web@{ARM}"]


def test_only_what_the_registry_denies_is_gone(world: World) -> None:
    world.errors = {AMD: "rate-limited", ARM: "not-found"}
    lines, silent = children.gone(*stored(), REGISTRIES, KUBECTL)
    assert lines == [line("linux/arm64", ARM)]
    assert [(reference.digest, error.kind) for reference, error in silent] == [(AMD, "rate-limited")]


def test_an_index_that_cannot_be_read_is_unanswered(world: World) -> None:
    """HEAD has answered for it and GET does not: a registry may limit what counts as a pull."""
    world.answer = RegistryError(WEB, "rate-limited", "why")
    lines, silent = children.gone(*stored(), REGISTRIES, KUBECTL)
    assert (lines, [error for _, error in silent], world.asked) == ([], [world.answer], [])


def test_platforms_that_are_named_count_instead_of_the_nodes(world: World) -> None:
    world.nodes, world.errors = None, {ARM: "not-found", AMD: "not-found"}
    assert gone(stored(), "linux/arm64") == [line("linux/arm64", ARM)]
    world.nodes = [node("linux/amd64")]
    assert gone(stored(), "linux/arm64", NODES) == [line("linux/amd64", AMD), line("linux/arm64", ARM)]


def test_nodes_that_cannot_be_read(world: World) -> None:
    """They are no reason to refuse, unless somebody asks for their platforms."""
    world.nodes = None
    assert gone(stored()) == []
    with pytest.raises(HelmFailed, match="the nodes of the cluster cannot be read"):
        gone(stored(), NODES)


@pytest.mark.parametrize("media_type", [OCI_INDEX, ""])
def test_an_index_or_what_may_be_one(world: World, media_type: str) -> None:
    world.errors = {AMD: "not-found"}
    assert gone(stored(media_type=media_type)) == [line("linux/amd64", AMD)]


def test_what_is_no_index_has_no_children(world: World) -> None:
    world.errors = {AMD: "not-found"}
    world.nodes = None  # nobody asks
    assert gone(stored(media_type=MANIFEST), NODES) == []
    world.nodes, world.answer = [node("linux/amd64")], Described(INDEX, MANIFEST, CHILDREN)
    assert gone(stored(media_type="")) == []


@pytest.mark.parametrize(
    ("platform", "built", "pulled"),
    [
        ("linux/arm", ["linux/arm/v5", "linux/arm/v7", "linux/arm/v6"], 1),
        ("linux/arm", ["linux/arm/v5", "linux/arm/v8", "linux/arm/v6"], 2),
        ("linux/amd64", ["linux/amd64/v3", "linux/amd64", "linux/amd64/v2"], 1),
        ("linux/amd64", ["linux/arm64", "linux/amd64", "linux/amd64"], 1),
        ("linux/amd64", ["", "linux/arm64", "linux/amd64"], 2),
        ("linux/amd64", ["linux/arm64", "", ""], 1),
    ],
    ids=["the latest variant", "not too late", "the default", "the first of equals", "the stated", "the first of any"],
)
def test_the_best_match_is_pulled(world: World, platform: str, built: list[str], pulled: int) -> None:
    """As containerd chooses. A manifest whose platform the index does not state may be for any, but comes last."""
    world.nodes = [node(platform)]
    digests = (PLAIN, AMD, ARM)
    world.answer = Described(
        INDEX, OCI_INDEX, tuple(Platform(each, digest, "") for each, digest in zip(built, digests, strict=True))
    )
    world.errors = dict.fromkeys(digests, "not-found")
    assert gone(stored()) == [line(platform, digests[pulled])]


# -- the check ------------------------------------------------------------------------------------------------------------


def checked(revision: tuple[Record, Revision], *platforms: str, check: Check = CHECK) -> Check:
    return children.with_children(check, *revision, REGISTRIES, KUBECTL, platforms)


def test_all_there_leaves_the_check_as_it_is(world: World) -> None:
    assert checked(stored()) == checked(stored(), NODES) == checked(stored(), "linux/amd64") == CHECK
    assert len(world.asked) == 2 + 2 + 1


def test_a_failed_check_stays_as_it_is(world: World) -> None:
    world.errors = {AMD: "not-found"}
    failed = CHECK._replace(verdict=FAILED)
    assert checked(stored(), check=failed) == failed


def test_a_platform_that_is_gone_fails_it(world: World) -> None:
    world.errors = {AMD: "not-found"}
    details = (line("linux/amd64", AMD), "a tag has moved")
    assert checked(stored()) == CHECK._replace(verdict=FAILED, summary="1 platform gone", details=details)


@pytest.mark.parametrize("media_type", [OCI_INDEX, MANIFEST])
def test_a_platform_that_was_never_built_fails_it(world: World, media_type: str) -> None:
    world.details = Details(platforms=("linux/amd64",))
    name = f"docker.io/library/web@{INDEX}"
    found = checked(stored(media_type=media_type), NODES)
    assert (found.verdict, found.summary) == (FAILED, "1 platform missing")
    assert found.details == (f"{name} has no image for linux/arm64; it has linux/amd64", "a tag has moved")
    world.details = Details()
    found = checked(stored(media_type=media_type), "linux/s390x")
    assert found.details[0] == f"{name} has no image for linux/s390x; it states no platform"
    assert checked(stored(media_type=media_type)) == CHECK, "nobody asked for platforms"


def test_an_image_that_no_pod_spec_runs_needs_the_named_platforms(world: World) -> None:
    """As one in a ConfigMap, which an operator runs somewhere."""
    record, revision = stored()
    tool = Image("docker.io/library/tool:1", "tool:1", PLAIN, MANIFEST, "values")
    text = f"---\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{image: 'tool:1@{PLAIN}'}}\n"
    both = record._replace(images=(*record.images, tool)), revision._replace(hooks=text)
    world.details = Details(platforms=("linux/amd64", "linux/arm64"))
    assert checked(both, NODES) == CHECK
    details = checked(both, "linux/s390x", NODES).details
    assert [line for line in details if "library/tool" in line] == [
        f"docker.io/library/tool@{PLAIN} has no image for linux/s390x; it has linux/amd64, linux/arm64"
    ]


def test_both_are_counted(world: World) -> None:
    world.details, world.errors = Details(platforms=("linux/amd64",)), {AMD: "not-found"}
    found = checked(stored(), NODES)
    assert found.summary == "2 platforms missing" and len(found.details) == 3


def test_what_a_registry_does_not_answer_is_not_there_for_certain(world: World) -> None:
    world.errors = {AMD: "rate-limited"}
    unread = ("one did not answer", f"docker.io/library/web@{AMD}: docker.io: why")
    unknown = CHECK._replace(verdict=UNKNOWN, summary="a registry did not say", unread=unread)
    assert checked(stored()) == unknown
    world.answer = RegistryError(WEB, "rate-limited", "why")
    unread = ("one did not answer", f"docker.io/library/web@{INDEX}: docker.io: why")
    assert checked(stored()) == unknown._replace(unread=unread)
    assert checked(stored(), check=unknown._replace(unread=unread)).unread == unread, "named once"


def test_what_is_gone_decides_where_something_else_is_not_answered(world: World) -> None:
    world.errors = {AMD: "rate-limited", ARM: "not-found"}
    found = checked(stored())
    assert (found.verdict, found.summary, len(found.unread)) == (FAILED, "1 platform gone", 2)


def test_platforms_that_a_registry_does_not_tell(world: World) -> None:
    world.details = RegistryError(WEB, "unreachable", "connection refused")
    found = checked(stored(), NODES)
    assert (found.verdict, found.summary, found.details) == (UNKNOWN, "a registry did not say", CHECK.details)
    told = f"docker.io/library/web@{INDEX}: its platforms are not known: docker.io: connection refused"
    assert found.unread == ("one did not answer", told)
    world.details = RegistryError(WEB, "not-found", "manifest unknown")
    assert checked(stored(), NODES) == CHECK, "the check of the registry has reported that it is gone"
