"""Container images are found by shape, in any kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helmpin import kube_yaml
from helmpin.image import uses
from helmpin.image.documents import Document
from helmpin.image.find import container_name, images, without_image
from helmpin.image.outside_pods import ExtraImageRules
from tests.support.budget import examples

POD = {
    "initContainers": [{"name": "i", "image": "init:1"}],
    "containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}],
    "ephemeralContainers": [{"name": "e", "image": "e:1"}],
    "volumes": [{"name": "v", "image": {"reference": "v:1"}}, {"name": "w", "emptyDir": {}}],
}
ALL = ["init:1", "a:1", "b:1", "e:1", "v:1"]


@pytest.mark.parametrize(
    "item",
    [
        {"kind": "Pod", "spec": POD},
        {"kind": "Deployment", "spec": {"template": {"spec": POD}}},
        {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": POD}}}}},
        {"kind": "Fleet", "spec": {"groups": [{"x": {"podTemplate": {"spec": POD}}}]}},
    ],
    ids=lambda item: str(item["kind"]),
)
def test_every_image_of_a_pod_template(item: dict[str, Any]) -> None:
    found = list(images(item))
    assert [image for image, _ in found] == ALL
    for image, path in found:
        node: Any = item
        for part in path:
            node = node[part]
        assert node == image
    assert [container_name(item, path) for _, path in found] == ["i", "a", "b", "e", "v"]


@pytest.mark.parametrize(
    "item",
    [
        None,
        "image: x",
        [],
        {"image": "x"},
        {"spec": {"image": "x"}},
        {"containers": {"image": "x"}},
        {"containers": [{"image": {"repository": "x"}}, {"image": None}, {"image": 3}, "x", None]},
        {"volumes": [{"image": {"reference": "x"}}]},
        {"containers": [], "volumes": [{"image": "x"}, {"image": {"reference": 1}}, None]},
    ],
)
def test_what_is_none(item: Any) -> None:
    assert list(images(item)) == []


def test_nameless_containers() -> None:
    assert container_name({"containers": [{"image": "x"}]}, ("containers", 0, "image")) == ""


def read(text: str) -> Any:
    return kube_yaml.read_first(text, what="w", where="x")


ARGO_SPEC = """entrypoint: main
podSpecPatch: '{"containers": [{"name": "main", "image": "patch:1"}]}'
volumes: [{name: models, image: {reference: volume:1}}]
templateDefaults: {container: {image: default:1}}
executorPlugins: [{metadata: {name: p}, spec: {sidecar: {container: {name: plugin, image: executor:1}}}}]
templates:
  - name: main
    inputs: {artifacts: [{name: a, raw: {data: "image: raw:1"}}]}
    container: {image: main:1}
    initContainers: [{name: init, image: init:1}]
    sidecars: [{name: side, image: side:1}, {name: mirrored, mirrorVolumeMounts: true}]
  - {name: script, script: {image: script:1, source: "echo"}}
  - {name: set, containerSet: {containers: [{name: one, image: one:1}, {name: two, image: two:1}]}}
  - name: steps
    steps: [[{name: a, template: main}, {name: b, inline: {container: {image: inline:1}}}]]
  - name: dag
    dag: {tasks: [{name: c, inline: {script: {image: task:1}}}, {name: d, templateRef: {name: x}}]}
  - {name: resource, resource: {action: create, manifest: "{kind: Pod, spec: {containers: [{image: manifest:1}]}}"}}
  - {name: plugin, plugin: {mine: {container: {image: plugin:1}, script: {image: plugin:2}, sidecars: [{image: plugin:3}]}}}
  - {name: data, data: {source: {artifactPaths: {name: x, s3: {bucket: b}}}}}
"""
IN_ARGO = {
    "volume:1": "models",
    "default:1": "",
    "executor:1": "",
    "main:1": "main",
    "init:1": "init",
    "side:1": "side",
    "script:1": "script",
    "one:1": "one",
    "two:1": "two",
    "inline:1": "b",
    "task:1": "c",
}
TEKTON_TASK = """params: [{name: image, default: parameter:1}]
volumes: [{name: v, image: {reference: volume:1}}]
stepTemplate: {image: base:1}
steps: [{name: one, image: one:1, script: "echo image: x"}, {name: two, ref: {name: action}}, {name: three}]
sidecars: [{name: side, image: side:1}]
"""
IN_TASK = {"volume:1": "v", "base:1": "", "one:1": "one", "side:1": "side"}
PIPELINE = """tasks:
  - {name: a, taskSpec: {stepTemplate: {image: base:1}, steps: [{name: s, image: a:1}]}}
  - {name: b, pipelineSpec: {tasks: [{name: c, taskSpec: {steps: [{name: t, image: b:1}]}}]}}
  - {name: d, taskSpec: {apiVersion: example.com/v1, kind: Custom, spec: {steps: [{image: custom:1}]}}}
  - {name: e, taskRef: {name: x}}
finally: [{name: f, taskSpec: {sidecars: [{name: u, image: f:1}]}}]
"""
IN_PIPELINE = {"base:1": "a", "a:1": "s", "b:1": "t", "f:1": "u"}


def indented(text: str, levels: int) -> str:
    return "".join("  " * levels + line for line in text.splitlines(keepends=True))


def workflow_kinds() -> Iterator[tuple[str, str, dict[str, str]]]:
    for kind in ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate"):
        yield kind, f"apiVersion: argoproj.io/v1alpha1\nkind: {kind}\nspec:\n{indented(ARGO_SPEC, 1)}", IN_ARGO
    cron = f"apiVersion: argoproj.io/v1alpha1\nkind: CronWorkflow\nspec:\n  workflowSpec:\n{indented(ARGO_SPEC, 2)}"
    yield "CronWorkflow", cron, IN_ARGO
    for kind in ("Task", "ClusterTask"):
        yield kind, f"apiVersion: tekton.dev/v1beta1\nkind: {kind}\nspec:\n{indented(TEKTON_TASK, 1)}", IN_TASK
    run = f"apiVersion: tekton.dev/v1\nkind: TaskRun\nspec:\n  taskSpec:\n{indented(TEKTON_TASK, 2)}"
    yield "TaskRun", run, IN_TASK
    yield "Pipeline", f"apiVersion: tekton.dev/v1\nkind: Pipeline\nspec:\n{indented(PIPELINE, 1)}", IN_PIPELINE
    run = f"apiVersion: tekton.dev/v1\nkind: PipelineRun\nspec:\n  pipelineSpec:\n{indented(PIPELINE, 2)}"
    yield "PipelineRun", run, IN_PIPELINE


@pytest.mark.parametrize(("kind", "text", "wanted"), list(workflow_kinds()), ids=lambda value: str(value)[:24])
def test_argo_workflows_and_tekton(kind: str, text: str, wanted: dict[str, str]) -> None:
    item = read(text)
    assert item["kind"] == kind
    assert {image: container_name(item, path) for image, path in images(item)} == wanted


SPARK = "{apiVersion: sparkoperator.k8s.io/v1beta2"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{apiVersion: tekton.dev/v1beta1, kind: StepAction, spec: {image: x:1, script: y}}", ["x:1"]),
        ("{apiVersion: shipwright.io/v1beta1, kind: ClusterBuildStrategy, spec: {steps: [{image: x:1}]}}", ["x:1"]),
        ("{apiVersion: shipwright.io/v1alpha1, kind: BuildStrategy, spec: {buildSteps: [{image: x:1}]}}", ["x:1"]),
        ("{apiVersion: numaflow.numaproj.io/v1alpha1, kind: Pipeline, spec: {sidecars: [{image: x:1}]}}", ["x:1"]),
        (
            "{apiVersion: numaflow.numaproj.io/v1alpha1, kind: MonoVertex, spec: {sink: {udsink: {container: {image: x:1}}}}}",
            ["x:1"],
        ),
        (
            "{apiVersion: chaos-mesh.org/v1alpha1, kind: Workflow, spec: {templates: [{task: {container: {image: x:1}}}]}}",
            ["x:1"],
        ),
        (f"{SPARK}, kind: SparkApplication, spec: {{image: y, driver: {{sidecars: [{{image: x:1}}]}}}}}}", ["x:1"]),
        (
            f"{SPARK}, kind: ScheduledSparkApplication, spec: {{template: {{executor: {{sidecars: [{{image: x:1}}]}}}}}}}}",
            ["x:1"],
        ),
        ("{apiVersion: argoproj.io/v1alpha1, kind: Sensor, spec: {template: {container: {image: x:1}}}}", ["x:1"]),
        (
            "{apiVersion: opentelemetry.io/v1beta1, kind: OpenTelemetryCollector, spec: {additionalContainers: [{image: x:1}]}}",
            ["x:1"],
        ),
        ("{apiVersion: k8s.mariadb.com/v1alpha1, kind: MariaDB, spec: {sidecarContainers: [{image: x:1}]}}", ["x:1"]),
        (
            "{apiVersion: acid.zalan.do/v1, kind: postgresql, spec: {dockerImage: y:1, sidecars: [{image: x:1}]}}",
            ["x:1"],
        ),
        (
            "{apiVersion: psmdb.percona.com/v1, kind: PerconaServerMongoDB, spec: {replsets: [{sidecars: [{image: x:1}]}]}}",
            ["x:1"],
        ),
        (
            "{apiVersion: redis.redis.opstreelabs.in/v1beta2, kind: RedisCluster, spec: {initContainer: {image: x:1}}}",
            ["x:1"],
        ),
    ],
)
def test_others_with_containers_of_their_own(text: str, wanted: list[str]) -> None:
    assert [image for image, _ in images(read(text))] == wanted


@pytest.mark.parametrize(
    "start",
    [
        "apiVersion: serving.knative.dev/v1\nkind: Service\nspec: {template: {spec: ",
        "apiVersion: sources.knative.dev/v1\nkind: ContainerSource\nspec: {template: {spec: ",
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nspec: {jobTargetRef: {template: {spec: ",
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nspec: {template: {spec: ",
        "apiVersion: argoproj.io/v1alpha1\nkind: Experiment\nspec: {templates: [{name: a, template: {spec: ",
        "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nspec: {metrics: [{provider: {job: {spec: {template: {spec: ",
        "apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nspec: {pytorchReplicaSpecs: {Worker: {template: {spec: ",
        "apiVersion: batch/v1\nkind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: ",
        "apiVersion: template.openshift.io/v1\nkind: Template\nobjects: [{kind: Pod, apiVersion: v1, spec: ",
    ],
)
def test_pod_templates_in_other_kinds(start: str) -> None:
    closing = "".join({"{": "}", "[": "]"}[bracket] for bracket in reversed(start) if bracket in "{[")
    item = read(f"{start}{json.dumps(POD)}{closing}")
    assert [image for image, _ in images(item)] == ALL


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (
            "{apiVersion: triggers.tekton.dev/v1beta1, kind: TriggerTemplate, spec: {resourcetemplates: [%s]}}",
            "{apiVersion: tekton.dev/v1, kind: TaskRun, spec: {taskSpec: {steps: [{image: x:1}]}}}",
        ),
        (
            "{apiVersion: argoproj.io/v1alpha1, kind: Sensor, spec: {template: {argoWorkflow: {source: {resource: %s}}}}}",
            "{apiVersion: argoproj.io/v1alpha1, kind: Workflow, spec: {templates: [{script: {image: x:1}}]}}",
        ),
    ],
)
def test_objects_within_objects(outer: str, inner: str) -> None:
    assert [image for image, _ in images(read(outer % inner))] == ["x:1"]


@pytest.mark.parametrize(
    "text",
    [
        "{apiVersion: example.com/v1, kind: Task, spec: {steps: [{image: x:1}], sidecars: [{image: x:1}]}}",
        "{apiVersion: v1, kind: ConfigMap, data: {steps: [{image: x:1}], container: {image: x:1}}}",
        "{kind: Task, spec: {steps: [{image: x:1}]}}",
        "{apiVersion: argoproj.io/v1alpha1, kind: Application, spec: {helm: {valuesObject: {container: {image: x:1}}}}}",
        "{apiVersion: tekton.dev/v1, kind: Task, spec: {container: {image: x:1}}}",
        "{apiVersion: tekton.dev/v1, kind: TaskRun, status: {taskSpec: {steps: [{image: x:1}]}}}",
        "{apiVersion: argoproj.io/v1alpha1, kind: Workflow, status: {storedTemplates: {a: {container: {image: x:1}}}}}",
    ],
)
def test_what_only_looks_like_a_step_or_sidecar(text: str) -> None:
    assert list(images(read(text))) == []


POLICIES = [
    "kyverno.io/v1",
    "policies.kyverno.io/v1alpha1",
    "constraints.gatekeeper.sh/v1beta1",
    "templates.gatekeeper.sh/v1",
    "policy.sigstore.dev/v1beta1",
    "admissionregistration.k8s.io/v1",
]


@pytest.mark.parametrize("version", POLICIES)
def test_a_policy_holds_patterns(version: str) -> None:
    rule = {"pattern": {"spec": {"containers": [{"image": "example.com/base:1"}]}}}
    policy = {"apiVersion": version, "kind": "Policy", "spec": {"rules": [rule], "text": "example.com/base:1"}}
    assert list(images(policy)) == [] and list(ExtraImageRules(["*"]).images(policy)) == []
    made = {
        "mutate": {"patch": {"containers": [{"image": "example.com/side:1"}]}},
        "generate": {"data": "example.com/made:2"},
    }
    makes = {**policy, "spec": {"rules": [{**rule, **made}]}}
    found = [(each.image, each.place) for each in ExtraImageRules([]).images(makes)]
    assert found == [
        ("example.com/side:1", "Policy/spec/rules/0/mutate/patch/containers/0/image"),
        ("example.com/made:2", "Policy/spec/rules/0/generate/data"),
    ]
    assert list(images(makes)) == []
    compared = {
        "patch": {
            "containers": [{"(image)": "example.com/a:1", "^(x)": "example.com/b:1", "+(image)": "example.com/c:1"}]
        },
        "foreach": [{"list": "example.com/d:1", "preconditions": {"value": "example.com/e:1"}}],
    }
    compares = {**policy, "spec": {"rules": [{**rule, "mutate": compared}]}}
    assert [each.image for each in ExtraImageRules(["*"]).images(compares)] == ["example.com/c:1"]
    within = {"apiVersion": "v1", "kind": "Bundle", "items": [policy, {"spec": {"containers": [{"image": "x:1"}]}}]}
    assert [image for image, _ in images(within)] == ["x:1"] and list(ExtraImageRules(["*"]).images(within)) == []


@pytest.mark.parametrize("version", ["notkyverno.io/v1", "kyverno.io.example.com/v1", "v1", "kyverno.io"])
def test_other_groups_are_not_policies(version: str) -> None:
    item = {"apiVersion": version, "kind": "Pod", "spec": {"containers": [{"image": "x:1"}]}}
    assert [image for image, _ in images(item)] == ["x:1"]


KEYS = st.sampled_from(
    [
        "apiVersion",
        "kind",
        "spec",
        "status",
        "image",
        "reference",
        "volumes",
        "containers",
        "initContainers",
        "sidecars",
    ]
    + ["container", "script", "plugin", "steps", "stepTemplate", "name", "templates", "items", "podSpecPatch", "data"]
)
WORDS = st.sampled_from(
    ["argoproj.io/v1alpha1", "tekton.dev/v1", "kyverno.io/v1", "v1", "Workflow", "Task", "StepAction"]
)
NODES = st.recursive(
    WORDS | st.sampled_from(["", "example.com/a:1", "{containers: [{image: b:1}]}", "{"]) | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@settings(deadline=None, max_examples=examples(500))
@given(NODES)
def test_whatever_an_object_holds(item: Any) -> None:
    """Nothing raises; each image is the string at its path, found once; and what runs is never listed as outside."""
    found = list(images(item))
    assert len({path for _, path in found}) == len(found)
    for image, path in found:
        node = item
        for part in path:
            node = node[part]
        assert node == image
        container_name(item, path)
    outside = {each.path for each in ExtraImageRules(["*"]).images(item)}
    assert not outside & {path for _, path in found}


@pytest.mark.parametrize(
    "item",
    [
        {"apiVersion": "v1", "kind": "Pod", "spec": (bare := {"containers": [{"image": "a:1"}, {"name": "b"}]})},
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"template": {"spec": bare}}},
        {"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": bare}}}}},
        {"apiVersion": "v1", "kind": "PodTemplate", "template": {"spec": bare}},
        {"apiVersion": "v1", "kind": "ReplicationController", "spec": {"template": {"spec": bare}}},
    ],
    ids=lambda item: str(item["kind"]),
)
def test_a_container_without_an_image(item: dict[str, Any]) -> None:
    ((held, path),) = without_image(item)
    container: Any = item
    for part in path[:-1]:
        container = container[part]
    assert (held, path[-3:], container) == (None, ("containers", 1, "image"), {"name": "b"})
    assert container_name(item, path) == "b"


def test_a_number_is_no_image_anywhere() -> None:
    pods = [{"template": {"spec": {"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": 1.27}]}}}]
    (found,) = without_image({"apiVersion": "example.com/v1", "kind": "Fleet", "spec": {"pods": pods}})
    assert found.path == ("spec", "pods", 0, "template", "spec", "containers", 1, "image")


@pytest.mark.parametrize(
    ("kind", "spec", "path"),
    [
        (
            "argoproj.io/v1alpha1 WorkflowTemplate",
            {"templates": [{"script": {"image": 3.9}}]},
            "templates.0.script.image",
        ),
        ("tekton.dev/v1 Task", {"steps": [{"image": "a:1"}, {"name": "b", "image": 1}]}, "steps.1.image"),
        ("tekton.dev/v1 Task", {"params": [{"image": 1}], "steps": [{"ref": {"name": "b"}}]}, ""),
    ],
)
def test_a_number_in_a_container_of_a_kinds_own(kind: str, spec: dict[str, Any], path: str) -> None:
    version, _, name = kind.partition(" ")
    found = [
        ".".join(map(str, each.path)) for each in without_image({"apiVersion": version, "kind": name, "spec": spec})
    ]
    assert found == ([f"spec.{path}"] if path else [])


@pytest.mark.parametrize("image", [None, 5, 1.25, ["a:1"], {"reference": "a:1"}])
def test_what_is_no_image(image: Any) -> None:
    pod = {"initContainers": [{"name": "a", "image": image}], "containers": [{"name": "b", "image": ""}]}
    (found,) = without_image({"apiVersion": "v1", "kind": "Pod", "spec": pod})
    assert found.path == ("spec", "initContainers", 0, "image")


@pytest.mark.parametrize(
    "item",
    [
        None,
        [{"containers": [{}]}],
        {"kind": "Pod", "spec": {"containers": [{}]}},
        {
            "apiVersion": "example.com/v1",
            "kind": "Fleet",
            "spec": {"containers": [{"image": {"tag": 1}}, {"image": True}]},
        },
        {"apiVersion": "example.com/v1", "kind": "Fleet", "spec": {"containers": {"small": {"image": 3}}}},
        {"apiVersion": "example.com/v1", "kind": "Fleet", "status": {"containers": [{"image": 3}]}},
        {"apiVersion": "kyverno.io/v1", "kind": "Policy", "spec": {"containers": [{"image": 1}]}},
        {"apiVersion": "example.com/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containers": [{}]}}}},
        {"apiVersion": ["v1"], "kind": {"a": 1}, "spec": {"containers": [{}]}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": []}},
        {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": {"a": {}}, "initContainers": [None]}},
    ],
)
def test_what_may_have_no_image_or_is_no_workload(item: Any) -> None:
    assert not list(without_image(item))


@pytest.mark.parametrize(
    ("hook", "is_named"),
    [
        ("", True),
        ("pre-install", True),
        ("test", False),
        ("post-install,test", True),
        ("test-success, test-failure", False),
    ],
)
def test_a_test_without_an_image_is_not_named(hook: str, is_named: bool) -> None:
    """helm upgrade does not create it."""
    about = f"{{name: p, annotations: {{helm.sh/hook: '{hook}'}}}}" if hook else "{name: p}"
    text = f"\napiVersion: v1\nkind: Pod\nmetadata: {about}\nspec: {{containers: [{{name: c, image: }}]}}\n"
    found = [use.place() for use, _ in uses.without_image([Document("app/templates/p.yaml", 0, text)])]
    assert found == (["Pod/p container c, in app/templates/p.yaml"] if is_named else [])


@pytest.mark.parametrize(
    ("image", "fault"),
    [
        ("", "has no image"),
        ("~", "has no image"),
        ("1.10", "has an image that YAML reads as 1.1, not as a text (quote it)"),
        ("true", "has an image that YAML reads as true, not as a text (quote it)"),
        ("[a:1]", "has a list where its image should be"),
        ("{repository: a, tag: 1}", "has a map where its image should be"),
    ],
)
def test_what_a_container_has_in_place_of_an_image(image: str, fault: str) -> None:
    text = f"\napiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: c, image: {image}}}]}}\n"
    ((use, said),) = uses.without_image([Document("app/templates/p.yaml", 0, text)])
    assert (use.image, use.container, said) == ("", "c", fault)
