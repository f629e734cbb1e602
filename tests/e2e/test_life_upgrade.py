"""What only the running upgrade knows, and what stands in its way: pinned or refused before the cluster is touched."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from scripts.devtools.api import Cluster
from tests.support import kube
from tests.support.any_tag import AnyTag
from tests.support.twins import OURS, PLAIN, UNVALIDATED, Twins, written
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
    containers: [{name: extra, image: example.com/team/extra:main}]
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


@pytest.fixture
def twins(in_cluster: Workstation, cluster: Cluster, unique: str, content: AnyTag, tmp_path: Path) -> Twins:
    """Helm 3, then Helm 4, and two releases of one chart."""
    content.build, content.missing = "A", set()
    return Twins(in_cluster, cluster, unique, content, written(tmp_path / "chart", CHART))


CONDITIONS = {
    "an upgrade": ".Release.IsUpgrade",
    "no install": "not .Release.IsInstall",
    "a kind that the cluster has": '.Capabilities.APIVersions.Has "apps/v1/Deployment"',
    "a kind that only helm has": 'not (.Capabilities.APIVersions.Has "extensions/v1beta1")',
    "the cluster's version": 'semverCompare ">=1.37.0" .Capabilities.KubeVersion.Version',
    "an object that is there": 'lookup "v1" "Namespace" "" "default"',
    "its own object": 'lookup "apps/v1" "Deployment" .Release.Namespace .Release.Name',
    "a third revision": "ge (int .Release.Revision) 3",
}


def test_images_that_only_the_cluster_brings_out(twins: Twins) -> None:
    """In a template, through a named template, in a value that `tpl` evaluates; and another image where the cluster lacks a kind:
    helm template by itself takes the branch of helm's built-in kinds, the upgrade that of the cluster's. Installed, upgraded, and
    upgraded once the chart asks for its revision, which no flag tells. That each condition alone makes helm-pin ask the cluster,
    tests/unit/render/test_renderer.py shows.
    """
    texts = [
        f"{{{{- if {condition} }}}}\n{TEMPLATE.replace('extra', f'extra{n}')}{{{{- end }}}}\n"
        for n, condition in enumerate(CONDITIONS.values())
    ]
    *of_cluster, _ = texts
    more = "---\n".join(of_cluster)
    has = '{{ if .Capabilities.APIVersions.Has "extensions/v1beta1" }}{{ $image = .Values.old }}{{ end }}'
    written(
        twins.chart,
        {
            "values.yaml": "old: {repository: example.com/team/old, tag: 1.0.0}\n"
            "new: {repository: example.com/team/new, tag: 2.0.0}\nextra: []\n",
            "templates/app.yaml": "{{- $image := .Values.new }}" + has + APP.replace(".Values.image.", "$image."),
            "templates/_more.tpl": f'{{{{- define "more" -}}}}\n{more}{{{{- end -}}}}\n',
            "templates/more.yaml": '{{ include "more" . | replace "extra" "named" }}\n'
            "{{- range .Values.extra }}\n---\n{{ tpl . $ }}\n{{- end }}\n",
        },
    )
    values = twins.chart.parent / "mine.yaml"
    values.write_text(json.dumps({"extra": of_cluster}))
    twins.both("upgrade", "--install", "-f", values)
    for asked, command in ((of_cluster, "template"), (texts, "upgrade")):
        values.write_text(json.dumps({"extra": asked}))
        done = twins.both("upgrade", "-f", values, "--debug")
        assert len(re.findall(rf"^\[helm-pin\].* {command} .*--dry-run=server", done.stderr, re.MULTILINE)) == 2
        found = [image.partition("@")[0] for image in twins.images() if "@" in image]
        for n, condition in list(enumerate(CONDITIONS))[: len(asked)]:
            for name in ("extra", "named") if n < len(of_cluster) else ("extra",):
                assert f"example.com/team/{name}{n}:main" in found, condition
        assert "example.com/team/new:2.0.0" in found and "old:" not in "".join(twins.images())


def test_a_plain_job_keeps_the_digest_that_it_ran_with(twins: Twins) -> None:
    """Helm alone would not run it again, and its pod template cannot change. One with another name each time is another Job. One
    with a value of its own survives plain helm: its digest is in the values that plain helm reuses, not in a template that plain
    helm does not have.
    """
    whole = "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
    follows = f', args: [--image={whole}], env: [{{name: IMAGE, value: "{whole}"}}]}}]'
    job = JOB.replace("}]\n", f"{follows}\n")
    own = JOB[: JOB.index("image:")].replace("-init}", "-own}") + "image: {{ .Values.init }}}]\n"
    other = JOB.replace("-init}", "-{{ .Release.Revision }}}")
    written(twins.chart, {"templates/job.yaml": job, "templates/own.yaml": own, "templates/other.yaml": other})
    with (twins.chart / "values.yaml").open("a") as values:
        values.write("init: example.com/team/init:main\n")
    assert twins.pin("upgrade", "--install", OURS, twins.chart, UNVALIDATED).status == 0
    first, ran = twins.images(), live_image(twins, "job", f"{OURS}-own")
    twins.content.build = "B"
    done = twins.pin("upgrade", OURS, twins.chart, UNVALIDATED)
    assert done.status == 0, done.stderr
    job, live = live_image(twins, "job", f"{OURS}-init"), live_image(twins, "deployment", OURS)
    assert job in first and ran in first and job != live
    assert live == f"example.com/team/app:main@{twins.content.digest(('example.com', 'team/app', 'main'))}"
    assert live_image(twins, "job", f"{OURS}-2") == live
    assert live_image(twins, "job", f"{OURS}-own") == ran
    stored = twins.machine.helm("get", "manifest", OURS)
    assert (stored.count(f"--image={job}]"), stored.count(f'value: "{job}"')) == (1, 1)
    checks = twins.pin("verify", OURS, "-o", "json", "--no-registry").stdout
    assert {c["check"]: c["verdict"] for c in json.loads(checks)["checks"]}["record"] == "ok", checks
    assert sorted(set(twins.images())) == sorted({job, live, ran})
    refused = twins.pin("plan", OURS, twins.chart, "-o", "values")
    assert (refused.status, refused.stdout) == (3, "")
    assert f"Job/{OURS}-init keeps the digest that it ran with" in refused.stderr

    made_again(twins, f"{OURS}-init", job, live)
    done = twins.pin("upgrade", OURS, twins.chart, UNVALIDATED)
    assert done.status == 0, done.stderr
    assert live_image(twins, "job", f"{OURS}-init") == live

    assert twins.helm("rollback", OURS, "1").status != 0, "helm can change a Job now"
    refused = twins.pin("rollback", OURS, "1", "--verify")
    assert (refused.status, twins.revisions()) == (1, 4), refused.stderr
    assert f"Job/{OURS}-init init has {live}, the release says {job}" in refused.stderr
    [delete] = re.findall(r"kubectl (delete job .*?);", refused.stderr)
    twins.machine.kubectl(*shlex.split(delete))
    done = twins.pin("rollback", OURS, "1", "--verify")
    assert done.status == 0, done.stderr
    assert live_image(twins, "job", f"{OURS}-init") == job

    for template in ("job", "other"):
        (twins.chart / f"templates/{template}.yaml").unlink()
    for upgrade, build in ((twins.helm, "B"), (twins.pin, "C")):
        twins.content.build = build
        done = upgrade("upgrade", OURS, twins.chart, UNVALIDATED, "--reuse-values")
        assert done.status == 0, done.stderr
        assert live_image(twins, "job", f"{OURS}-own") == ran
    assert twins.pin("plan", OURS, twins.chart, "-o", "values").status == 0


def made_again(twins: Twins, name: str, image: str, other: str) -> None:
    """Make a Job again with another image, as a revision that failed afterwards may have done."""
    place = f"/apis/batch/v1/namespaces/{twins.namespace}/jobs"
    old = json.loads(json.dumps(twins.cluster.api("GET", f"{place}/{name}")).replace(image, other))
    old["metadata"] = {key: old["metadata"][key] for key in ("name", "annotations", "labels") if key in old["metadata"]}
    del old["spec"]["selector"], old["spec"]["template"]["metadata"]["labels"]  # the API server gives it its own
    twins.cluster.api("DELETE", f"{place}/{name}?propagationPolicy=Background")
    twins.cluster.api("POST", place, {key: old[key] for key in ("apiVersion", "kind", "metadata", "spec")})


def live_image(twins: Twins, kind: str, name: str) -> str:
    """The one image of a live object."""
    group = {"job": "batch", "deployment": "apps"}[kind]
    live = twins.cluster.api("GET", f"/apis/{group}/v1/namespaces/{twins.namespace}/{kind}s/{name}")
    (container,) = live["spec"]["template"]["spec"]["containers"]
    return str(container["image"])


def test_a_job_that_a_failed_upgrade_has_made_keeps_its_digest(twins: Twins) -> None:
    """The deployed revision has no such Job, and the tag has moved when the upgrade is tried again."""
    bad = "{{ if .Values.bad }}\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: NOT A NAME}\n{{ end }}\n"
    also = f"{{{{ if .Values.job }}}}\n{JOB}{{{{ end }}}}\n"
    written(twins.chart, {"templates/app.yaml": APP, "templates/job.yaml": also, "templates/zz-bad.yaml": bad})
    twins.both("upgrade", "--install")
    for upgrade, release in ((twins.helm, PLAIN), (twins.pin, OURS)):
        flags = ("--set", "job=true,bad=true", UNVALIDATED)
        assert upgrade("upgrade", release, twins.chart, *flags).status == 1
    ran = live_image(twins, "job", f"{OURS}-init")
    twins.content.build = "B"
    twins.both("upgrade", "--set", "job=true", compare=False)
    assert live_image(twins, "job", f"{OURS}-init") == ran != live_image(twins, "deployment", OURS)


def test_a_job_that_a_failed_upgrade_could_not_change_keeps_nothing_of_it(twins: Twins) -> None:
    """The API server has refused the Job's new tag, and the tag has moved when the upgrade is tried again."""
    job = JOB[: JOB.index("image:")] + 'image: "example.com/team/init:{{ .Values.tag }}"}]\n'
    written(twins.chart, {"templates/app.yaml": APP, "templates/job.yaml": job})
    assert twins.pin("upgrade", "--install", OURS, twins.chart, "--set", "tag=main").status == 0
    ran = live_image(twins, "job", f"{OURS}-init")
    flags = ("--set", "tag=v2", UNVALIDATED)
    assert twins.pin("upgrade", OURS, twins.chart, *flags).status == 1
    twins.content.build = "B"
    plan = twins.pin("plan", OURS, twins.chart, *flags)
    assert (
        "kept for" not in plan.stdout and twins.content.digest(("example.com", "team/init", "v2"))[:19] in plan.stdout
    )
    assert "only a digest changes" in twins.pin("upgrade", OURS, twins.chart, *flags).stderr
    again = twins.pin("upgrade", OURS, twins.chart, "--set", "tag=main")
    assert again.status == 0, again.stderr
    assert live_image(twins, "job", f"{OURS}-init") == ran


def test_a_plain_job_that_stands_in_the_way_is_refused_first(twins: Twins, tmp_path: Path) -> None:
    """Its pod template is immutable, so that helm would fail half way: one without a digest, and one that would keep another than
    the lock has. --locked deploys what the lock has and nothing else; the advised command has the lock hold what the Job runs.
    """
    (twins.chart / "templates/job.yaml").write_text(JOB)
    assert twins.helm("upgrade", "--install", OURS, twins.chart, UNVALIDATED).status == 0
    for flags in ([], ["--dry-run=server"] if twins.machine.helm4 else ["--dry-run"]):
        done = twins.pin("upgrade", OURS, twins.chart, UNVALIDATED, *flags)
        assert done.status == 3, done.stderr
        assert f"Job/{OURS}-init" in done.stderr
        assert "--allow-unpinned" in done.stderr
    assert twins.revisions() == 1
    assert "@" not in live_image(twins, "deployment", OURS)
    locked = JOB[: JOB.index("image:")].replace("-init}", "-locked}") + "image: example.com/team/init:main}]\n"
    (twins.chart / "templates/locked.yaml").write_text(locked)
    allowed = ("--allow-unpinned", "example.com/team/app:main")
    done = twins.pin("upgrade", OURS, twins.chart, UNVALIDATED, *allowed)
    assert done.status == 0, done.stderr
    let_through = "; 1 image let through without a digest: example.com/team/app:main"
    assert f"reading the release back{let_through}\n" in done.stderr
    assert let_through in twins.machine.pin("verify", OURS).stdout

    (twins.chart / "templates/job.yaml").unlink()
    twins.content.build = "B"
    lock = tmp_path / "lock.yaml"
    assert twins.pin("lock", OURS, twins.chart, "--no-cluster", "--file", lock).status == 0
    moved = twins.content.digest(("example.com", "team/init", "main"))
    done = twins.pin("upgrade", OURS, twins.chart, "--lock", lock, "--locked")
    assert done.status == 3, done.stderr
    assert f"Job/{OURS}-locked exists already and runs it at sha256:" in done.stderr and f"has {moved}" in done.stderr
    assert twins.revisions() == 2

    [command] = re.findall("what the Job runs: helm pin (.*)", done.stderr)
    check = twins.machine.pin(*shlex.split(command), "--check")
    kept = f"Job/{OURS}-locked exists already and keeps the digest that it ran with; no --update changes that"
    assert (check.status, kept in check.stderr) == (4, True), check.stderr
    written_anew = twins.machine.pin(*shlex.split(command))
    assert written_anew.status == 0
    assert f", as Job/{OURS}-locked ran it\n" in check.stdout and check.stdout == written_anew.stdout
    done = twins.pin("upgrade", OURS, twins.chart, UNVALIDATED, "--lock", lock, "--locked")
    assert done.status == 0, done.stderr
    assert moved not in "".join(twins.images())


FIXED = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-fixed}
immutable: true
data: {image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"}
"""


def test_nothing_follows_in_an_immutable_config_map(twins: Twins) -> None:
    """Or an upgrade after the tag has moved would fail half way."""
    written(twins.chart, {"templates/fixed.yaml": FIXED})
    for build in "AB":
        twins.content.build = build
        twins.both("upgrade", "--install")


def test_a_chart_that_renders_nothing(twins: Twins) -> None:
    written(twins.chart, {"templates/app.yaml": f"{{{{ if .Values.on }}}}\n{APP}{{{{ end }}}}\n"})
    twins.both("upgrade", "--install", "--set", "x=1")
    for flags in (["--reuse-values"], [], ["--reuse-values", "--set", "on=true"], ["--set", "on=null"]):
        twins.both("upgrade", *flags)
        assert twins.pin("plan", OURS, twins.chart, "--reuse-values").status == 0


def test_installed_as_helm_installs(twins: Twins) -> None:
    """The default pull policy stays: Kubernetes takes Always for `latest` and for no tag. And images outside pods are counted."""
    images = ["example.com/team/tool", "example.com/team/tool:latest", "example.com/team/tool:1", "busybox"]
    images += ["{{ .Values.bare }}", "{{ .Values.image.repository }}:{{ .Values.image.tag }}"]
    rows = "".join(f'        - {{name: c{i}, image: "{image}"}}\n' for i, image in enumerate(images))
    operator = (
        "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: {{ .Release.Name }}-op}\ntemplate:\n  spec:\n    containers:\n"
        "    - name: op\n      image: example.com/team/op:1\n      args: ['--sidecar-image=quay.io/team/sidecar:1']\n"
        "      env: [{name: RELATED_IMAGE_X, value: quay.io/team/other:2}, {name: RELATED_IMAGE_Y, value: quay.io/team/third:3}]\n"
    )
    written(
        twins.chart,
        {
            "values.yaml": CHART["values.yaml"] + "bare: example.com/team/bare\n",
            "templates/app.yaml": APP.partition("        - name: app\n")[0] + rows,
            "templates/config.yaml": operator,
            "templates/NOTES.txt": "{{ .Release.Name }} runs {{ .Values.image.tag }}.\n",
        },
    )
    plan = json.loads(twins.pin("plan", OURS, twins.chart, "-o", "json").stdout)
    assert len(plan["elsewhere"]) == 3
    for release, run in ((PLAIN, twins.helm), (OURS, twins.pin)):
        done = run("install", release, twins.chart, UNVALIDATED, "--set", "image.tag=7", "--description", "first")
        assert done.status == 0, done.stderr
        assert f"{release} runs 7" in done.stdout
    assert re.search(r"\b3 images?\b.*\boutside\b", done.stderr), done.stderr
    twins.compare()
    deployments = twins.cluster.api("GET", f"/apis/apps/v1/namespaces/{twins.namespace}/deployments")["items"]
    policies = {
        item["metadata"]["name"]: [each["imagePullPolicy"] for each in item["spec"]["template"]["spec"]["containers"]]
        for item in deployments
    }
    wanted = ["Always", "Always", "IfNotPresent", "Always", "Always", "IfNotPresent"]
    assert policies[PLAIN] == policies[OURS] == wanted


RANDOM = """\
apiVersion: v1
kind: Secret
metadata: {name: "{{ .Release.Name }}-random"}
data: {password: {{ randAlphaNum 8 | b64enc | quote }}}
"""


def test_an_account_that_may_do_what_helm_does_and_no_more(twins: Twins, unique: str) -> None:
    """The renders look at no object that the chart does not have."""
    written(twins.chart, {**CHART, "templates/random.yaml": RANDOM})
    kube.namespace(twins.machine).allow(unique, ("", "secrets", "*"), ("apps", "deployments", "*"))
    for flags in (["--install", "--set", "note=kept"], ["--reuse-values", "--set", "note=new"]):
        done = twins.pin("upgrade", OURS, twins.chart, UNVALIDATED, *flags, "--kube-as-user", unique)
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
    """Templates with empty documents, a mark of the byte order, escapes, dates that are none and all annotations, installed by
    plain helm, upgraded and rolled back; every command of helm-pin reads each revision."""
    dates = "annotations: {never: 0000-00-00, swapped: 2026-31-12}, "
    app = APP.replace("metadata: {name", f"metadata: {{{dates}name")
    written(twins.chart, {**CHART, "templates/app.yaml": app, "templates/odd.yaml": f"\ufeff{ODD}"})
    twins.both("upgrade", "--install", plain=True)
    twins.both("upgrade", "--set", "extra={a}")
    twins.content.build = "B"
    twins.both("upgrade", "--reuse-values", "--set", "image.tag=stable")
    twins.both("rollback", "2", chart=False, compare=False)
    twins.content.build = "A"
    twins.compare()
    for command in ("history", "verify"):
        done = twins.pin(command, OURS)
        assert "defect" not in done.stderr and "internal error" not in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert OURS in done.stdout or "1.0.0" in done.stdout


OF_THE_WHOLE = {
    "printed": '{{ toYaml (pick . (print "Rel" "ease")) | nindent 4 }}',
    "listed": '{{ range $key, $part := . }}{{ if eq $key (print "Rel" "ease") }}{{ $part.Revision }}{{ end }}{{ end }}',
    "by a name that is made": '{{ (index $ (print "Rel" "ease")).Revision }}',
    "by another name": '{{ $all := . }}{{ get (get $all (print "Rel" "ease")) "Revision" }}',
    "in text that is made": '{{ tpl (print "{{ .Rel" "ease.Revision }}") . }}',
}
SHOWN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-shown}\ndata:\n  shown: |\n    "


@pytest.mark.parametrize("text", OF_THE_WHOLE.values(), ids=OF_THE_WHOLE.keys())
def test_the_revision_by_way_of_the_whole_context(twins: Twins, text: str) -> None:
    """No template names it. Where a text or a tag shows it, helm-pin plans with the right one."""
    tagged = TEMPLATE.replace("extra:main", "extra:t" + ("" if "toYaml" in text else text))
    written(twins.chart, {**CHART, "templates/shown.yaml": SHOWN + text, "templates/tagged.yaml": tagged})
    for _ in range(3):
        twins.both("upgrade", "--install")


def test_an_image_that_an_unseen_question_decides_on_is_refused(twins: Twins) -> None:
    """Nothing shows what the answer depends on, but that it is another one without helm-pin's."""
    asking = TEMPLATE.replace("extra:main", 'extra:t{{ if (index . (print "Rel" "ease")).IsUpgrade }}upgraded{{ end }}')
    written(twins.chart, {**CHART, "templates/tagged.yaml": asking})
    done = twins.pin("upgrade", OURS, twins.chart, "--install")
    assert done.status == 3 and "nothing was deployed" in done.stderr, done.stderr
    assert twins.pin("history", OURS).status == 1


def test_a_value_in_an_empty_map_of_the_chart(twins: Twins) -> None:
    """Without the digest the map is empty again, not gone: the template reads in it."""
    reading = TEMPLATE.replace(
        "example.com/team/extra:main", '{{ default "example.com/team/extra:main" .Values.plugins.image }}'
    )
    written(twins.chart, {"values.yaml": CHART["values.yaml"] + "plugins: {}\n", "templates/pod.yaml": reading})
    for step in (["--install"], ["--reuse-values", "--set=other=1"], ["--reuse-values", "--set=other=2"]):
        done = twins.pin("upgrade", OURS, twins.chart, UNVALIDATED, *step)
        assert done.status == 0 and "plugins.image" in done.stdout + done.stderr, done.stderr
        assert twins.helm("upgrade", OURS, twins.chart, UNVALIDATED).status == 0
