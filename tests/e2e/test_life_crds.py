"""Charts with objects of kinds that the cluster does not have yet: no dry run takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.devtools.api import Cluster
from tests.support import post_renderer
from tests.support.any_tag import AnyTag
from tests.support.twins import UNVALIDATED, written
from tests.support.workstation import Workstation, whichever_helm

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: PLURAL.UNIQUE.example.com}
spec:
  group: UNIQUE.example.com
  scope: Namespaced
  names: {kind: Thing, plural: PLURAL, singular: thing}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  nodeName: nowhere
  {{- $apis := .Capabilities.APIVersions }}
  containers: [{name: a, image: 'example.com/team/{{ if and ($apis.Has "ASKED") ($apis.Has "ALSO") }}old{{ else }}new{{ end }}:1'}]
"""


@pytest.fixture
def machine(in_cluster: Workstation, content: AnyTag) -> Workstation:
    """Whose registries hold everything."""
    return in_cluster.with_env(HELM_PIN_REGISTRY_MIRROR=content.mirror)


def chart(folder: Path, unique: str, asked: str, also: str) -> Path:
    """One whose images depend on these APIs, with a CRD of its own and an object of that kind."""
    files = {
        "crds/thing.yaml": CRD.replace("PLURAL", "things"),
        "templates/thing.yaml": "apiVersion: UNIQUE.example.com/v1\nkind: Thing\nmetadata: {name: t}\n",
        "templates/pod.yaml": POD.replace("ASKED", asked).replace("ALSO", also),
    }
    return written(folder / "chart", {name: text.replace("UNIQUE", unique) for name, text in files.items()})


@whichever_helm
def test_images_that_depend_on_an_api_that_helm_alone_has(
    machine: Workstation, cluster: Cluster, unique: str, tmp_path: Path
) -> None:
    """helm template assumes it, and the cluster lacks it: nothing is deployed."""
    beta = "policy/v1beta1"
    refused = machine.pin("upgrade", "--install", "web", chart(tmp_path, unique, beta, beta))
    assert refused.status == 3, refused.stderr
    assert "helm show crds" in refused.stderr
    assert "example.com/team/new:1" in refused.stderr
    assert cluster.api("GET", f"/api/v1/namespaces/{unique}/secrets")["items"] == []


@pytest.mark.parametrize("has_object", [True, False])
def test_images_that_depend_on_apis_of_the_cluster_and_of_the_charts_own_crds(
    machine: Workstation, unique: str, tmp_path: Path, has_object: bool
) -> None:
    """Without an object of that kind, a dry run succeeds, and shows another image than helm deploys."""
    own = chart(tmp_path, unique, "apps/v1", f"{unique}.example.com/v1")
    if not has_object:
        (own / "templates/thing.yaml").unlink()
    done = machine.pin("upgrade", "--install", "web", own, UNVALIDATED)
    assert done.status == 0, done.stderr
    assert "image: 'example.com/team/old:1@sha256:" in machine.helm("get", "manifest", "web")


LOOKS_UP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: seen}
data: {seen: {{ lookup "v1" "Secret" "" "" | len | quote }}}
"""


@pytest.mark.parametrize("depends", [True, False])
def test_a_chart_with_crds_of_its_own_that_looks_objects_up(
    machine: Workstation, cluster: Cluster, unique: str, tmp_path: Path, depends: bool
) -> None:
    """No render knows both the cluster's objects and the APIs that are to be installed: nothing is deployed if the images depend on
    those."""
    own = chart(tmp_path, unique, "apps/v1", f"{unique}.example.com/v1" if depends else "v1")
    (own / "templates/thing.yaml").unlink()
    (own / "templates/seen.yaml").write_text(LOOKS_UP)
    done = machine.pin("upgrade", "--install", "web", own, UNVALIDATED)
    if depends:
        assert done.status == 3 and "helm show crds" in done.stderr, done.stderr
        assert cluster.api("GET", f"/api/v1/namespaces/{unique}/secrets")["items"] == []
    else:
        assert done.status == 0, done.stderr
        assert "image: 'example.com/team/old:1@sha256:" in machine.helm("get", "manifest", "web")


@whichever_helm
def test_a_kind_that_a_post_renderer_replaces(machine: Workstation, tmp_path: Path) -> None:
    files = {
        "values.yaml": "tag: '1'\n",
        "templates/pod.yaml": """\
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {nodeName: nowhere, containers: [{name: a, image: "example.com/team/app:{{ .Values.tag }}"}]}
""",
        "templates/absent.yaml": "apiVersion: absent.example.com/v1\nkind: Absent\nmetadata: {name: a}\n",
    }
    own = written(tmp_path / "chart", files)
    script = "sed -e 's#absent.example.com/v1#v1#' -e 's#kind: Absent#kind: ConfigMap#'"
    machine, flags = post_renderer.through(machine, tmp_path, script)
    for command in (["install"], ["upgrade", "--reuse-values"], ["upgrade", "--set=tag=2"], ["upgrade"]):
        done = machine.pin(command[0], "web", own, *command[1:], *flags, UNVALIDATED)
        assert done.status == 0, done.stderr
        tag = "2" if "--set=tag=2" in command or command == ["upgrade"] else "1"
        assert f'image: "example.com/team/app:{tag}@sha256:' in machine.helm("get", "manifest", "web"), command


@whichever_helm
def test_an_upgrade_installs_no_crds(machine: Workstation, unique: str, tmp_path: Path) -> None:
    """A plan of it fails as the upgrade does, whatever the chart would be with its CRDs."""
    own = chart(tmp_path, unique, "apps/v1", f"{unique}.example.com/v1")
    later = own / "templates/thing.yaml"
    text, crd = later.read_text(), (own / "crds/thing.yaml").read_text()
    (own / "crds/thing.yaml").unlink()
    later.write_text("")
    assert machine.pin("upgrade", "--install", "web", own, UNVALIDATED).status == 0
    (own / "crds/thing.yaml").write_text(crd)
    later.write_text(
        f"{text}  annotations: {{revision: '{{{{ .Release.Revision }}}}'}}\n".replace("{name: t}", "\n  name: t")
    )
    for command in ("plan", "upgrade"):
        done = machine.pin(command, "web", own, *([UNVALIDATED] if command == "upgrade" else []))
        assert done.status == 1, done.stderr
        assert 'no matches for kind "Thing"' in done.stderr and "install the CRDs of these kinds first" in done.stderr


ASKING = """\
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: a, image: 'example.com/team/{{ if lookup "v1" "Namespace" "" "default" }}new{{ else }}old{{ end }}:1'}]}
"""


@whichever_helm
def test_template_asks_the_cluster_where_helm_template_does(machine: Workstation, tmp_path: Path) -> None:
    own = written(tmp_path / "chart", {"templates/pod.yaml": ASKING})
    for flags, name in (([], "old"), (["--dry-run=client"], "old"), (["--dry-run=server"], "new")):
        assert f"image: 'example.com/team/{name}:1'" in machine.helm("template", "web", own, *flags)
        done = machine.pin("template", "web", own, *flags)
        assert done.status == 0 and f"image: 'example.com/team/{name}:1@sha256:" in done.stdout, done.stderr
    absent = "apiVersion: absent.example.com/v1\nkind: Absent\nmetadata: {name: a}\n"
    (own / "templates/absent.yaml").write_text(absent)
    assert machine.pin("template", "web", own).status == 0
    done = machine.pin("template", "web", own, "--validate")
    assert done.status == 1 and 'no matches for kind "Absent"' in done.stderr and not done.stdout


def test_what_helm_would_run_from_crds_is_refused(
    machine: Workstation, cluster: Cluster, unique: str, tmp_path: Path
) -> None:
    """Where helm installs them at all."""
    job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: JOB}\nspec: {suspend: true, template: {spec: {restartPolicy: Never, "
    job += "containers: [{name: a, image: 'example.com/team/IMAGE'}]}}}\n"
    files = {
        "crds/thing.yaml": f"{CRD.replace('PLURAL', 'jobs').replace('UNIQUE', unique)}---\n"
        + job.replace("JOB", "tagged").replace("IMAGE", "early:1")
        + "---\n"
        + job.replace("JOB", "pinned").replace("IMAGE", f"early@sha256:{'1' * 64}"),
        "templates/map.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n",
    }
    own = written(tmp_path / "chart", files)
    for command in (["plan", "web"], ["install", "web"], ["upgrade", "--install", "web"]):
        done = machine.pin(*command, own)
        assert done.status == 3, done.stderr
        assert "1 image in crds/ would run without a digest" in done.stderr
        assert "crds/thing.yaml: Job/tagged runs example.com/team/early:1" in done.stderr
        assert done.stderr.rstrip().endswith("let it through: --allow-unpinned example.com/team/early:1")
    jobs = f"/apis/batch/v1/namespaces/{unique}/jobs"
    assert cluster.api("GET", jobs)["items"] == []
    assert machine.pin("install", "without", own, "--skip-crds", UNVALIDATED).status == 0
    assert cluster.api("GET", jobs)["items"] == []
    assert machine.pin("upgrade", "without", own, UNVALIDATED).status == 0, "an upgrade installs none"
    assert machine.pin("install", "let", own, "--allow-unpinned", "example.com/team/early:1", UNVALIDATED).status in (
        0,
        1,
    )
    assert {item["metadata"]["name"] for item in cluster.api("GET", jobs)["items"]} == {"tagged", "pinned"}
