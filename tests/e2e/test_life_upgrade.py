"""What only the running upgrade knows, and what stands in its way: pinned or refused before the cluster is touched."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.devtools.api import Cluster
from tests.support.any_tag import AnyTag, any_tag
from tests.support.twins import OURS, PLAIN, Twins, written
from tests.support.workstation import Workstation, whichever_helm

pytestmark = whichever_helm

APP = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: 0
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      containers:
        - name: app
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
"""
CHART = {"values.yaml": "image: {repository: example.com/team/app, tag: main}\nextra: []\n", "templates/app.yaml": APP}
TEMPLATE = """\
apiVersion: v1
kind: PodTemplate
metadata: {name: "{{ .Release.Name }}-extra"}
template:
  spec:
    containers: [{name: extra, image: "example.com/team/extra:main"}]
"""
JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: {{ .Release.Name }}-init}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers: [{name: init, image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"}]
"""


@pytest.fixture(scope="module")
def content() -> Iterator[AnyTag]:
    """What every registry holds."""
    with any_tag() as started:
        yield started


@pytest.fixture
def twins(in_cluster: Workstation, cluster: Cluster, unique: str, content: AnyTag, tmp_path: Path) -> Twins:
    """Helm 3, then Helm 4, and two releases of one chart."""
    content.build, content.missing = "A", set()
    return Twins(in_cluster, cluster, unique, content, written(tmp_path / "chart", CHART))


CONDITIONS = {
    "a second revision": "ne (int .Release.Revision) 1",
    "an upgrade": ".Release.IsUpgrade",
    "no install": "not .Release.IsInstall",
    "a kind that the cluster has": '.Capabilities.APIVersions.Has "apps/v1/Deployment"',
    "a kind that only helm has": 'not (.Capabilities.APIVersions.Has "extensions/v1beta1")',
    "the cluster's version": 'semverCompare ">=1.37.0" .Capabilities.KubeVersion.Version',
    "an object that is there": 'lookup "v1" "Namespace" "" "default"',
    "its own object": 'lookup "apps/v1" "Deployment" .Release.Namespace .Release.Name',
}


def test_images_that_only_the_cluster_brings_out(twins: Twins) -> None:
    """In a template, through a named template, in a value that `tpl` evaluates. That each condition alone makes helm-pin ask the
    cluster, tests/unit/render/test_renderer.py shows.
    """
    texts = [
        f"{{{{- if {condition} }}}}\n{TEMPLATE.replace('extra', f'extra{n}')}{{{{- end }}}}\n"
        for n, condition in enumerate(CONDITIONS.values())
    ]
    more = "---\n".join(texts)
    (twins.chart / "templates/_more.tpl").write_text(f'{{{{- define "more" -}}}}\n{more}{{{{- end -}}}}\n')
    (twins.chart / "templates/more.yaml").write_text(
        '{{ include "more" . | replace "extra" "named" }}\n{{- range .Values.extra }}\n---\n{{ tpl . $ }}\n{{- end }}\n'
    )
    values = twins.chart.parent / "mine.yaml"
    values.write_text(json.dumps({"extra": texts}))
    twins.both("upgrade", "--install", "-f", values)
    twins.both("upgrade", "-f", values)
    found = [image.partition("@")[0] for image in twins.images() if "@" in image]
    for n, condition in enumerate(CONDITIONS):
        for name in ("extra", "named"):
            assert f"example.com/team/{name}{n}:main" in found, condition
    twins.both("upgrade")


def test_another_image_where_the_cluster_lacks_a_kind(twins: Twins) -> None:
    """helm template takes the branch of helm's built-in kinds, the upgrade that of the cluster's."""
    (twins.chart / "values.yaml").write_text(
        "old: {repository: example.com/team/old, tag: 1.0.0}\nnew: {repository: example.com/team/new, tag: 2.0.0}\n"
    )
    has = '{{ if .Capabilities.APIVersions.Has "extensions/v1beta1" }}{{ $image = .Values.old }}{{ end }}'
    has = "{{- $image := .Values.new }}" + has
    (twins.chart / "templates/app.yaml").write_text(has + APP.replace(".Values.image.", "$image."))
    twins.both("upgrade", "--install")
    assert twins.images()[0].startswith("example.com/team/new:2.0.0@")


def test_a_plain_job_keeps_the_digest_that_it_ran_with(twins: Twins) -> None:
    """Helm alone would not run it again, and its pod template cannot change. One with another name each time is another Job."""
    (twins.chart / "templates/job.yaml").write_text(JOB)
    (twins.chart / "templates/other.yaml").write_text(JOB.replace("-init}", "-{{ .Release.Revision }}}"))
    assert twins.pin("upgrade", "--install", OURS, twins.chart).status == 0
    first = twins.images()
    twins.content.build = "B"
    plan = json.loads(twins.pin("plan", OURS, twins.chart, "-o", "json").stdout)
    done = twins.pin("upgrade", OURS, twins.chart)
    assert done.status == 0, done.stderr
    job, live = live_image(twins, "job", f"{OURS}-init"), live_image(twins, "deployment", OURS)
    assert job in first
    assert live == f"example.com/team/app:main@{twins.content.digest(('example.com', 'team/app', 'main'))}"
    assert live_image(twins, "job", f"{OURS}-2") == live
    assert sorted(set(twins.images())) == sorted({job, live})
    assert "Job" in json.dumps(plan)
    values = twins.pin("plan", OURS, twins.chart, "-o", "values")
    assert (values.status, values.stdout) == (3, "")
    assert f"Job/{OURS}-init keeps the digest that it ran with" in values.stderr


def live_image(twins: Twins, kind: str, name: str) -> str:
    """The one image of a live object."""
    group = {"job": "batch", "deployment": "apps"}[kind]
    live = twins.cluster.api("GET", f"/apis/{group}/v1/namespaces/{twins.namespace}/{kind}s/{name}")
    (container,) = live["spec"]["template"]["spec"]["containers"]
    return str(container["image"])


def test_a_plain_job_with_a_value_of_its_own_survives_plain_helm(twins: Twins) -> None:
    """Its digest is in the values that plain helm reuses, not in a template that plain helm does not have."""
    job = JOB[: JOB.index("image:")] + "image: {{ .Values.init }}}]\n"
    (twins.chart / "templates/job.yaml").write_text(job)
    with (twins.chart / "values.yaml").open("a") as values:
        values.write("init: example.com/team/init:main\n")
    assert twins.pin("upgrade", "--install", OURS, twins.chart).status == 0
    ran = live_image(twins, "job", f"{OURS}-init")
    for build in "BC":
        twins.content.build = build
        for upgrade in (twins.pin, twins.helm):
            done = upgrade("upgrade", OURS, twins.chart, "--reuse-values")
            assert done.status == 0, done.stderr
        assert ran == live_image(twins, "job", f"{OURS}-init")
    assert twins.pin("plan", OURS, twins.chart, "-o", "values").status == 0


def test_a_plain_job_that_would_keep_another_digest_than_the_lock(twins: Twins, tmp_path: Path) -> None:
    """--locked deploys what the lock has and nothing else; the advised command has the lock hold what the Job runs."""
    job = JOB[: JOB.index("image:")] + "image: example.com/team/init:main}]\n"
    (twins.chart / "templates/job.yaml").write_text(job)
    assert twins.pin("upgrade", "--install", OURS, twins.chart).status == 0
    twins.content.build = "B"
    lock = tmp_path / "lock.yaml"
    assert twins.pin("lock", OURS, twins.chart, "--no-cluster", "--file", lock).status == 0
    moved = twins.content.digest(("example.com", "team/init", "main"))
    done = twins.pin("upgrade", OURS, twins.chart, "--lock", lock, "--locked")
    assert done.status == 3, done.stderr
    assert f"Job/{OURS}-init exists already and runs it at sha256:" in done.stderr and f"has {moved}" in done.stderr
    assert twins.revisions() == 1

    loose = twins.pin("plan", OURS, twins.chart, "--lock", lock)
    [line] = [line for line in loose.stderr.splitlines() if "stays at" in line]
    assert loose.status == 0 and f"as Job/{OURS}-init ran it; {lock} has {moved}" in line, loose.stderr

    [command] = re.findall("what the Job runs: helm pin (.*)", done.stderr)
    assert twins.machine.pin(*shlex.split(command)).status == 0
    done = twins.pin("upgrade", OURS, twins.chart, "--lock", lock, "--locked")
    assert done.status == 0, done.stderr
    assert moved not in "".join(twins.images())


def test_a_plain_job_without_a_digest_is_refused_first(twins: Twins) -> None:
    """Its pod template is immutable: helm would fail half way."""
    (twins.chart / "templates/job.yaml").write_text(JOB)
    assert twins.helm("upgrade", "--install", OURS, twins.chart).status == 0
    for flags in ([], ["--dry-run=server"] if twins.machine.helm4 else ["--dry-run"]):
        done = twins.pin("upgrade", OURS, twins.chart, *flags)
        assert done.status == 3, done.stderr
        assert f"Job/{OURS}-init" in done.stderr
        assert "--allow-unpinned" in done.stderr
    assert twins.revisions() == 1
    assert "@" not in live_image(twins, "deployment", OURS)
    assert twins.pin("upgrade", OURS, twins.chart, "--allow-unpinned", "example.com/team/app:main").status == 0


def test_the_default_pull_policy_stays(twins: Twins) -> None:
    """Kubernetes takes Always for `latest` and for no tag. And images outside pods are counted."""
    containers = ["example.com/team/tool", "example.com/team/tool:latest", "example.com/team/tool:1", "busybox"]
    rows = "".join(f'        - {{name: c{i}, image: "{image}"}}\n' for i, image in enumerate(containers))
    rows += '        - {name: values, image: "{{ .Values.bare }}"}\n'
    (twins.chart / "values.yaml").write_text("bare: example.com/team/bare\n")
    (twins.chart / "templates/app.yaml").write_text(APP.partition("        - name: app\n")[0] + rows)
    (twins.chart / "templates/config.yaml").write_text(
        "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: {{ .Release.Name }}-op}\ntemplate:\n  spec:\n    containers:\n"
        "    - name: op\n      image: example.com/team/op:1\n      args: ['--sidecar-image=quay.io/team/sidecar:1']\n"
        "      env: [{name: RELATED_IMAGE_X, value: quay.io/team/other:2}, {name: RELATED_IMAGE_Y, value: quay.io/team/third:3}]\n"
    )
    plan = json.loads(twins.pin("plan", OURS, twins.chart, "-o", "json").stdout)
    assert len(plan["elsewhere"]) == 3
    done = twins.both("upgrade", "--install")
    assert re.search(r"\b3 images?\b.*\boutside\b", done.stderr), done.stderr
    deployments = twins.cluster.api("GET", f"/apis/apps/v1/namespaces/{twins.namespace}/deployments")["items"]
    policies = {
        item["metadata"]["name"]: [each["imagePullPolicy"] for each in item["spec"]["template"]["spec"]["containers"]]
        for item in deployments
    }
    assert policies[PLAIN] == policies[OURS] == ["Always", "Always", "IfNotPresent", "Always", "Always"]


def test_installed_as_helm_installs(twins: Twins) -> None:
    (twins.chart / "templates/NOTES.txt").write_text("{{ .Release.Name }} runs {{ .Values.image.tag }}.\n")
    for release, run in ((PLAIN, twins.helm), (OURS, twins.pin)):
        done = run("install", release, twins.chart, "--set", "image.tag=7", "--description", "first")
        assert done.status == 0, done.stderr
        assert f"{release} runs 7" in done.stdout
    twins.compare()


RANDOM = """\
apiVersion: v1
kind: Secret
metadata: {name: "{{ .Release.Name }}-random"}
data: {password: {{ randAlphaNum 8 | b64enc | quote }}}
"""


def test_an_account_that_may_do_what_helm_does_and_no_more(twins: Twins, cluster: Cluster, unique: str) -> None:
    """The renders look at no object that the chart does not have."""
    written(twins.chart, {**CHART, "templates/random.yaml": RANDOM})
    rules = [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["*"]},
    ]
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{unique}"
    cluster.api("POST", f"{rbac}/roles", {"metadata": {"name": "deployer"}, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "deployer"}
    subject = {"kind": "User", "name": unique, "apiGroup": "rbac.authorization.k8s.io"}
    cluster.api(
        "POST", f"{rbac}/rolebindings", {"metadata": {"name": "deployer"}, "roleRef": role, "subjects": [subject]}
    )
    for flags in (["--install", "--set", "note=kept"], ["--reuse-values", "--set", "note=new"]):
        done = twins.both("upgrade", *flags, "--kube-as-user", unique, compare=False)
        assert done.status == 0, done.stderr


ODD = """\
{{- if .Values.extra }}
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-extra"}
{{- end }}
---

---
apiVersion: v1
kind: Pod
metadata:
  name: "{{ .Release.Name }}-{{ .Release.Revision }}"
  annotations: {all: {{ toJson .Chart.Annotations | quote }}}
spec:
  restartPolicy: Never
  containers:
    - {name: escaped, image: "example.com\\x2fteam/escaped:main"}
    - name: split
      image: "example.com/team/\\
        split:main"
"""


def test_odd_templates_through_a_life(twins: Twins) -> None:
    """Templates with empty documents, a mark of the byte order, escapes, dates that are none and all annotations, upgraded by turns
    and rolled back; every command of helm-pin reads each revision."""
    dates = "annotations: {never: 0000-00-00, swapped: 2026-31-12}, "
    app = APP.replace("metadata: {name", f"metadata: {{{dates}name")
    written(twins.chart, {**CHART, "templates/app.yaml": app, "templates/odd.yaml": f"\ufeff{ODD}"})
    twins.both("upgrade", "--install", plain=True)
    twins.both("upgrade")
    twins.content.build = "B"
    twins.both("upgrade", "--set", "extra={a}")
    twins.both("upgrade", plain=True)
    twins.both("upgrade", "--reuse-values", "--set", "image.tag=stable")
    twins.both("rollback", "3", chart=False, compare=False)
    twins.compare()
    for command in ("history", "verify"):
        done = twins.pin(command, OURS)
        assert "defect" not in done.stderr and "internal error" not in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert OURS in done.stdout or "1.0.0" in done.stdout
    twins.both("upgrade", "--reset-values")
