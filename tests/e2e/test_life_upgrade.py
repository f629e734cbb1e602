"""What only the running upgrade knows, and what stands in its way: pinned or refused before the cluster is touched."""

from __future__ import annotations

import json
import re
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.devtools.api import Cluster
from tests.support.any_tag import AnyTag, any_tag
from tests.support.twins import OURS, PLAIN, Twins, written
from tests.support.workstation import CHECKOUT, Workstation, whichever_helm

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
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: "{{ .Release.Name }}-extra"}
spec:
  restartPolicy: Never
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


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_an_image_that_only_the_cluster_brings_out(condition: str, twins: Twins) -> None:
    """In a template, through a named template, in a value that `tpl` evaluates."""
    text = f"{{{{- if {condition} }}}}\n{POD}{{{{- end }}}}\n"
    (twins.chart / "templates/_more.tpl").write_text(f'{{{{- define "more" -}}}}\n{text}{{{{- end -}}}}\n')
    (twins.chart / "templates/more.yaml").write_text(
        '{{ include "more" . | replace "extra" "named" }}\n{{- range .Values.extra }}\n---\n{{ tpl . $ }}\n{{- end }}\n'
    )
    values = twins.chart.parent / "mine.yaml"
    values.write_text(json.dumps({"extra": [text]}))
    twins.both("upgrade", "--install", "-f", values)
    twins.both("upgrade", "-f", values)
    assert any(image.startswith("example.com/team/extra:main@") for image in twins.images())
    assert any(image.startswith("example.com/team/named:main@") for image in twins.images())
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


def test_a_revision_that_somebody_else_makes_meanwhile(twins: Twins, tmp_path: Path) -> None:
    """The revision that this command made is read, and the other one is said to be another's."""
    twins.both("upgrade", "--install")
    program = twins.machine.helm_binary
    helm = tmp_path / "helm"
    other = f'"{program}" upgrade {OURS} {twins.chart} --reset-values >&2; touch {tmp_path}/done'
    helm.write_text(
        f'#!/bin/sh\n"{program}" "$@"\nstatus=$?\n'
        f'case "$*" in *--dry-run*) ;; "upgrade {OURS} "*) [ -e {tmp_path}/done ] || {{ {other}; }};; esac\n'
        "exit $status\n"
    )
    helm.chmod(stat.S_IRWXU)
    twins.content.build = "B"
    done = twins.machine.with_env(HELM_BIN=str(helm)).run(CHECKOUT / "bin/helm-pin", "upgrade", OURS, twins.chart)
    assert twins.revisions() == 3
    assert done.status == 0, done.stderr
    assert "2" in done.stderr.splitlines()[-1] + done.stderr.splitlines()[-2], done.stderr


def test_a_plain_job_keeps_the_digest_that_it_ran_with(twins: Twins) -> None:
    """Helm alone would not run it again, and its pod template cannot change."""
    (twins.chart / "templates/job.yaml").write_text(JOB)
    assert twins.pin("upgrade", "--install", OURS, twins.chart).status == 0
    first = twins.images()
    twins.content.build = "B"
    plan = json.loads(twins.pin("plan", OURS, twins.chart, "-o", "json").stdout)
    done = twins.pin("upgrade", OURS, twins.chart)
    assert done.status == 0, done.stderr
    job = twins.machine.kubectl("get", "job", f"{OURS}-init", "-o", "jsonpath={..image}")
    live = twins.machine.kubectl("get", "deployment", OURS, "-o", "jsonpath={..image}")
    assert job in first
    assert live == f"example.com/team/app:main@{twins.content.digest(('example.com', 'team/app', 'main'))}"
    assert sorted(set(twins.images())) == sorted({job, live})
    assert "Job" in json.dumps(plan)
    values = twins.pin("plan", OURS, twins.chart, "-o", "values")
    assert (values.status, values.stdout) == (3, "")
    assert f"Job/{OURS}-init keeps the digest that it ran with" in values.stderr


def test_a_plain_job_with_a_value_of_its_own_survives_plain_helm(twins: Twins) -> None:
    """Its digest is in the values that plain helm reuses, not in a template that plain helm does not have."""
    job = JOB[: JOB.index("image:")] + "image: {{ .Values.init }}}]\n"
    (twins.chart / "templates/job.yaml").write_text(job)
    with (twins.chart / "values.yaml").open("a") as values:
        values.write("init: example.com/team/init:main\n")
    assert twins.pin("upgrade", "--install", OURS, twins.chart).status == 0
    ran = twins.machine.kubectl("get", "job", f"{OURS}-init", "-o", "jsonpath={..image}")
    for build in "BC":
        twins.content.build = build
        for upgrade in (twins.pin, twins.helm):
            done = upgrade("upgrade", OURS, twins.chart, "--reuse-values")
            assert done.status == 0, done.stderr
        assert ran == twins.machine.kubectl("get", "job", f"{OURS}-init", "-o", "jsonpath={..image}")
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
    for command in (("upgrade",), ("plan", "--check")):
        done = twins.pin(*command, OURS, twins.chart, "--lock", lock, "--locked")
        assert done.status == 3, done.stderr
        assert f"Job/{OURS}-init exists already and runs it at sha256:" in done.stderr and f"has {moved}" in done.stderr
    assert twins.revisions() == 1

    loose = twins.pin("upgrade", OURS, twins.chart, "--lock", lock)
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
    assert "@" not in twins.machine.kubectl("get", "deployment", OURS, "-o", "jsonpath={..image}")
    assert twins.pin("upgrade", OURS, twins.chart, "--allow-unpinned", "example.com/team/app:main").status == 0


def test_a_job_with_another_name_each_time_is_pinned(twins: Twins) -> None:
    job = JOB.replace("-init}", "-{{ .Release.Revision }}}")
    (twins.chart / "templates/job.yaml").write_text(job)
    twins.both("upgrade", "--install")
    twins.content.build = "B"
    twins.both("upgrade")


def test_an_image_that_was_set_by_hand(twins: Twins) -> None:
    """Helm 4 leaves a field to whom it belongs; the way out is said."""
    assert twins.pin("upgrade", "--install", OURS, twins.chart).status == 0
    twins.machine.kubectl("set", "image", f"deployment/{OURS}", "app=example.com/team/app:hotfix")
    twins.content.build = "B"
    done = twins.pin("upgrade", OURS, twins.chart)
    if not twins.machine.helm4:
        assert done.status == 0, done.stderr
        return
    assert done.status == 1, done.stderr
    assert "--force-conflicts" in done.stderr.rpartition("\n  next ")[2], done.stderr
    done = twins.pin("upgrade", OURS, twins.chart, "--force-conflicts")
    assert done.status == 0, done.stderr


def test_the_default_pull_policy_stays(twins: Twins) -> None:
    """Kubernetes takes Always for `latest` and for no tag."""
    containers = ["example.com/team/tool", "example.com/team/tool:latest", "example.com/team/tool:1", "busybox"]
    rows = "".join(f'        - {{name: c{i}, image: "{image}"}}\n' for i, image in enumerate(containers))
    rows += '        - {name: values, image: "{{ .Values.bare }}"}\n'
    (twins.chart / "values.yaml").write_text("bare: example.com/team/bare\n")
    (twins.chart / "templates/app.yaml").write_text(APP.partition("        - name: app\n")[0] + rows)
    twins.both("upgrade", "--install")
    policies = [
        twins.machine.kubectl("get", "deployment", name, "-o", "jsonpath={..imagePullPolicy}") for name in (PLAIN, OURS)
    ]
    assert policies[0] == policies[1] == "Always Always IfNotPresent Always Always"


def test_images_outside_pods_are_counted(twins: Twins) -> None:
    (twins.chart / "templates/config.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: {{ .Release.Name }}-op}\nspec:\n  containers:\n"
        "    - name: op\n      image: example.com/team/op:1\n      args: ['--sidecar-image=quay.io/team/sidecar:1']\n"
        "      env: [{name: RELATED_IMAGE_X, value: quay.io/team/other:2}, {name: RELATED_IMAGE_Y, value: quay.io/team/third:3}]\n"
    )
    plan = json.loads(twins.pin("plan", OURS, twins.chart, "-o", "json").stdout)
    assert len(plan["elsewhere"]) == 3
    done = twins.pin("upgrade", "--install", OURS, twins.chart)
    assert done.status == 0, done.stderr
    assert re.search(r"\b3 images?\b.*\boutside\b", done.stderr), done.stderr


def test_dates_that_are_none_in_a_release(twins: Twins) -> None:
    """Made by plain helm, read by every command of helm-pin."""
    dates = "annotations: {never: 0000-00-00, swapped: 2026-31-12}, "
    (twins.chart / "templates/app.yaml").write_text(APP.replace("metadata: {name", f"metadata: {{{dates}name"))
    twins.both("upgrade", "--install", plain=True)
    twins.both("upgrade")
    for command in ("history", "verify"):
        done = twins.pin(command, OURS)
        assert "defect" not in done.stderr and "internal error" not in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
    assert "1.0.0" in twins.pin("history", OURS).stdout or OURS in twins.pin("history", OURS, "-o", "json").stdout


def test_installed_as_helm_installs(twins: Twins) -> None:
    (twins.chart / "templates/NOTES.txt").write_text("{{ .Release.Name }} runs {{ .Values.image.tag }}.\n")
    for release, run in ((PLAIN, twins.helm), (OURS, twins.pin)):
        done = run("install", release, twins.chart, "--set", "image.tag=7", "--description", "first")
        assert done.status == 0, done.stderr
        assert f"{release} runs 7" in done.stdout
    twins.compare()
    assert twins.pin("install", OURS, twins.chart).status == 1
    twins.both("uninstall", chart=False, plain=True, compare=False)
    twins.both("upgrade", "--install")


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
    for flags in (["--install", "--set", "note=kept"], [], ["--reuse-values", "--set", "note=new"]):
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
    """Templates with empty documents, a mark of the byte order, escapes and all annotations, upgraded by turns and rolled back."""
    written(twins.chart, {**CHART, "templates/odd.yaml": f"\ufeff{ODD}"})
    twins.both("upgrade", "--install")
    twins.content.build = "B"
    twins.both("upgrade", "--set", "extra={a}")
    twins.both("upgrade", plain=True)
    twins.both("upgrade", "--reuse-values", "--set", "image.tag=stable")
    twins.both("rollback", "2", chart=False, compare=False)
    twins.compare()
    twins.both("upgrade", "--reset-values")
