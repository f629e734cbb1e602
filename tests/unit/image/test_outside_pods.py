"""Images outside pod specs: found, and asked for or not."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from helmpin.image.documents import Document
from helmpin.image.find import images
from helmpin.image.outside_pods import ExtraImageRules, OperatorRule, is_url, rules
from helmpin.image.uses import unmatched

POD: dict[str, Any] = {
    "kind": "Pod",
    "spec": {
        "containers": [
            {
                "name": "operator",
                "image": "example.com/t/operator:1",
                "args": [
                    "--sidecar-image=example.com/t/sidecar:1",
                    "--listen=0.0.0.0:8080",
                    "--config-reloader=t/reload:1",
                ],
                "env": [
                    {"name": "RELATED_IMAGE_AGENT", "value": "example.com/t/agent:1"},
                    {"name": "URL", "value": "https://example.com/t/page:1"},
                ],
            }
        ],
        "volumes": [{"name": "v", "image": {"reference": "example.com/t/volume:1"}}],
    },
}


def found(item: Any, *patterns: str) -> dict[str, bool]:
    return {each.image: bool(each.by) for each in ExtraImageRules(patterns).images(item) if each.by or each.is_listed}


def test_what_is_a_reference_for_certain_is_reported() -> None:
    assert found(POD) == {"example.com/t/sidecar:1": False, "example.com/t/agent:1": False}


@pytest.mark.parametrize("field", ["args", "command"])
@pytest.mark.parametrize(
    ("words", "images"),
    [
        (["--engine-image=t/engine:1"], ["t/engine:1"]),
        (["--engine-image", "t/engine:1"], ["t/engine:1"]),
        (["run", "-image", "t/engine:1", "t/other:1"], ["t/engine:1"]),
        (["--engine-image", "t/engine"], []),  # the program may add a tag
        (["--engine-image=t/engine"], []),
        (["--image-pull-policy", "Always"], []),
        (["--listen", "db:5432", "image", "t/b:1"], []),
        (["--engine-image=", "t/b:1"], []),
        (["--image-tag", "t/b:1"], ["t/b:1"]),
    ],
)
def test_the_rules_for_operators_know_arguments(field: str, words: list[str], images: list[str]) -> None:
    pod = {
        "kind": "Pod",
        "spec": {"containers": [{"name": "operator", "image": "example.com/t/operator:1", field: words}]},
    }
    assert [image for image, is_asked in found(pod, "operators").items() if is_asked] == images


@pytest.mark.parametrize(
    ("pattern", "asked"),
    [
        ("example.com/t/agent:*", {"example.com/t/agent:1"}),
        ("Pod/spec/containers/operator/env/RELATED_IMAGE_AGENT/value", {"example.com/t/agent:1"}),
        ("*/args/*", {"example.com/t/sidecar:1"}),
        ("*/args/2", {"t/reload:1"}),
        ("*/args/1", set()),
        ("*", {"example.com/t/sidecar:1", "example.com/t/agent:1"}),
        ("Deployment/*", set()),
    ],
)
def test_also(pattern: str, asked: set[str]) -> None:
    assert {image for image, is_asked in found(POD, pattern).items() if is_asked} == asked


CUSTOM: dict[str, Any] = {
    "apiVersion": "monitoring.example.com/v1",
    "kind": "Fleet",
    "metadata": {"name": "t/name:1", "finalizers": ["example.com/t/finalizer:1"]},
    "spec": {
        "image": "t/image",
        "baseImage": "base:1",
        "images": ["t/one", "t/two:2"],
        "runtime": "t/runtime:1",
        "env": [{"name": "SIDECAR_IMAGE", "value": "t/side:1"}, {"name": "AGENT", "value": "t/agent"}],
        "ref": {"apiGroup": "apps/v1", "apiVersion": "apps/v1", "kind": "t/kind", "name": "t/name", "namespace": "t/n"},
        "host": "db.example.com:5432",
        "baseImageHost": "db.example.com:5432",
        "url": "example.com/path",
        "path": "share/data",
        "address": "10.0.0.1:8080",
        "parts": {"repository": "t/parts", "tag": "t/1"},
        "imagePullSecret": "t/secret",
        "image-name": "db.example.com:5432",
    },
}
BY_KEY = {"t/image", "base:1", "t/one", "t/two:2", "t/side:1"}


@pytest.mark.parametrize("pattern", ["*", "**", "*/*", "Fleet/*", "Fleet/spec/*"])
def test_a_wide_pattern_takes_only_what_is_an_image_by_its_key(pattern: str) -> None:
    assert set(found(CUSTOM, pattern)) == BY_KEY


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("Fleet/spec/runtime", {"t/runtime:1"}),
        ("Fleet/spec/run*", {"t/runtime:1"}),
        ("*/env/AGENT/value", {"t/agent"}),
        ("*/AGENT/*", {"t/agent"}),
        ("*/env/*/value", {"t/side:1"}),
        ("*/images/1", {"t/two:2"}),
        ("*/url", {"example.com/path"}),
        ("*/address", set()),
        ("*/host", set()),
        ("*/name", set()),
        ("*/kind", set()),
        ("*/apiVersion", set()),
        ("*/apiGroup", set()),
        ("*/finalizers/0", set()),
        ("*/repository", set()),
    ],
)
def test_a_pattern_takes_what_its_last_part_names(pattern: str, taken: set[str]) -> None:
    assert {image for image, is_asked in found(CUSTOM, pattern).items() if is_asked} == taken


@pytest.mark.parametrize(
    ("beside", "is_taken"),
    [
        ({"brokerVersion": "k8s-4.47.1"}, False),
        ({"tag": 4}, False),
        ({"tag": 1}, False),
        ({"tag": 0}, False),
        ({"tag": True}, True),
        ({"imageTag": "x"}, False),
        ({"imageVersion": "x"}, False),
        ({"tag": ""}, True),
        ({"version": "3.7.0", "schemaVersion": 2, "otherTag": "x", "tlsVersion": "1.3", "size": 3}, True),
        ({}, True),
    ],
)
def test_a_name_whose_tag_stands_beside_it_is_no_image(beside: dict[str, Any], is_taken: bool) -> None:
    """Its digest would be that of `latest`, whatever the operator makes of both."""
    rules = ExtraImageRules(["Broker/spec/image"])
    for image, taken in (("team/broker", is_taken), ("team/broker:1", True)):
        item = {"apiVersion": "example.com/v1", "kind": "Broker", "spec": {"image": image, **beside}}
        assert [each.image for each in rules.images(item) if each.by] == ([image] if taken else [])


def test_a_base_image_has_its_tag_in_the_version() -> None:
    item = {"apiVersion": "example.com/v1", "kind": "Prometheus", "spec": {"baseImage": "team/prom", "version": "v2.1"}}
    assert [each.image for each in ExtraImageRules(["*"]).images(item)] == []
    assert [each.image for each in ExtraImageRules(["Prometheus/spec/version"]).images(item)] == []


def test_a_custom_resource_says_by_its_keys_what_is_an_image() -> None:
    """Where it has a tag: `t/image` alone may be anything."""
    assert found(CUSTOM) == {"base:1": False, "t/two:2": False, "t/side:1": False}


def test_an_image_without_a_tag_is_listed_where_an_operators_rule_knows_one() -> None:
    """It moves with `latest`. Only a pattern for the place pins it: another field may want the bare name."""
    item = {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "spec": {"image": "quay.io/t/prom"}}
    assert found(item) == {"quay.io/t/prom": False} == found(item, "quay.io/*")
    assert found(item, "operators") == {"quay.io/t/prom": True} == found(item, "Prometheus/spec/image")
    assert found({**item, "spec": {"image": "t/prom"}}) == {}
    assert found({**item, "spec": {"image": "quay.io/t/prom", "tag": "1"}}) == {}
    assert found({**item, "kind": "ImageRepository"}) == {}
    env = {"env": [{"name": "AGENT_IMAGE", "value": "quay.io/t/agent"}]}
    assert (
        found({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "a", "image": "b", **env}]}}) == {}
    )


@pytest.mark.parametrize("version", ["v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", ""])
def test_under_kubernetes_own_kinds_only_a_host_or_the_lifecycle_convention_is_certain(version: str) -> None:
    item = {"apiVersion": version, "kind": "ConfigMap", "data": {"RELATED_IMAGE_X": "t/x:1", "SIDE_IMAGE": "t/y:1"}}
    assert found(item) == {"t/x:1": False}
    assert found(item, "operators") == {"t/x:1": True, "t/y:1": True}


@pytest.mark.parametrize(
    "group", ["sparkoperator.k8s.io", "snapshot.storage.k8s.io", "cluster.x-k8s.io", "example.com"]
)
def test_a_group_that_only_ends_as_kubernetes_own_do_is_one_of_custom_resources(group: str) -> None:
    assert found({"apiVersion": f"{group}/v1", "kind": "Any", "spec": {"image": "t/x:1"}}) == {"t/x:1": False}


def test_patterns_that_match_nothing() -> None:
    documents = [Document("", 0, "kind: Fleet\nspec: {image: a/b:1, other: example.com/c:1}\n")]
    patterns = ["nosuch/*", "Fleet/*", "bogus//", "example.com/*", "Fleet/spec/image", "operators"]
    assert unmatched(documents, ExtraImageRules(patterns)) == ["nosuch/*", "bogus//"]


def test_the_rules_for_operators() -> None:
    assert {image for image, asked in found(POD, "operators").items() if asked} == {
        "example.com/t/sidecar:1",
        "example.com/t/agent:1",
        "t/reload:1",
    }
    assert found({"kind": "Prometheus", "spec": {"image": "t/prometheus:2"}}, "operators") == {"t/prometheus:2": True}
    assert found({"kind": "Other", "spec": {"image": "t/prometheus:2"}}, "operators") == {}
    spark = {"image": "t/spark:3", "driver": {"image": "t/driver:3"}, "executor": {"image": "t/executor:3"}}
    all_pinned = {"t/spark:3": True, "t/driver:3": True, "t/executor:3": True}
    assert found({"kind": "SparkApplication", "spec": spark}, "operators") == all_pinned
    assert found({"kind": "ScheduledSparkApplication", "spec": {"template": spark}}, "operators") == all_pinned


@pytest.mark.parametrize("rule", rules(), ids=str)
def test_the_rules_for_operators_know_their_places_by_a_word(rule: OperatorRule) -> None:
    """By which a manifest that may have such an image is found, and such a leaf."""
    place, flag = rule.path.replace("*_", "X_").replace("*", "x"), rule.flag.replace("*", "--x")
    kind, *path = place.split("/")
    item: Any = "t/a:1"
    for key in reversed(path):
        if key == "value" or (flag and key == "x"):
            continue
        item = [{"name": key, "value": item}] if path[-1] == "value" and key == path[-2] else {key: item}
    if flag:
        item = {path[-2]: [flag, "t/a:1"]}
    manifest = {"apiVersion": "v1", "kind": kind, **item}
    assert ExtraImageRules(()).may_find(yaml.dump(manifest))
    assert [(each.image, each.is_known) for each in ExtraImageRules(()).images(manifest)] == [("t/a:1", True)]


def test_the_place_of_each_leaf() -> None:
    places = {each.image: (each.path, each.place) for each in ExtraImageRules(()).images(POD)}
    container = ("spec", "containers", 0)
    assert places["example.com/t/sidecar:1"] == ((*container, "args", 0, "#0"), "Pod/spec/containers/operator/args/0")
    assert places["example.com/t/agent:1"][0] == (*container, "env", 0, "value")


def test_what_a_container_runs_is_not_elsewhere() -> None:
    inside = {image for image, _ in images(POD)}
    assert inside == {"example.com/t/operator:1", "example.com/t/volume:1"}
    assert not inside & set(found(POD, "*"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("example.com/a:1", ["example.com/a:1"]),
        ("localhost:5000/a/b:1", ["localhost:5000/a/b:1"]),
        ("image = example.com/a:1\nother = example.com/b:2\n", ["example.com/a:1", "example.com/b:2"]),
        (f"example.com/a@sha256:{'0' * 64}", [f"example.com/a@sha256:{'0' * 64}"]),
        ("https://example.com/a:1", []),
        ("example.com/a", []),
        ("example.com:443", []),
        ("a/b:1", []),
        ("example.com/gpu:NoSchedule, example.com/gpu:PreferNoSchedule, example.com/gpu:NoExecute", []),
        ("example.com/gpu:NoScheduler", ["example.com/gpu:NoScheduler"]),
        ("Run docker pull example.com/t/a:1.", ["example.com/t/a:1"]),
        ("example.com/t/a:1.2.3, then", ["example.com/t/a:1.2.3"]),
        ("example.com/t/a:v1.-x", ["example.com/t/a:v1.-x"]),
    ],
)
def test_what_looks_like_a_reference(text: str, wanted: list[str]) -> None:
    assert references(text) == wanted


PIECES = [
    "example.com/a:1",
    f"b.io/c@sha256:{'0' * 64}",
    "kubernetes.io/",
    "localhost:5000/d:2",
    "/",
    ":",
    ".",
    "-",
    "é",
    "x",
]


@given(
    st.lists(st.lists(st.sampled_from(PIECES), max_size=4).map("".join)), st.sampled_from([" ", "\n", '"', ", ", "="])
)
def test_a_text_has_the_references_of_its_words(words: list[str], between: str) -> None:
    alone = [image for word in words for image in references(word)]
    assert references(between.join(words)) == alone
    assert references("".join(f"{between}{word}" for word in words)) == alone


def references(text: str) -> list[str]:
    return [each.image for each in ExtraImageRules(()).images({"kind": "ConfigMap", "data": {"x": text}})]


@pytest.mark.parametrize("key", ["annotations", "labels", "description"])
def test_what_is_never_looked_at(key: str) -> None:
    assert found({"kind": "ConfigMap", key: {"x": "example.com/a:1"}}) == {}


@pytest.mark.parametrize(
    ("patch", "wanted"),
    [
        (
            '{"containers": [{"name": "main", "image": "alpine:3"}], "initContainers": [{"image": "tool"}]}',
            ["alpine:3"],
        ),
        ("containers:\n- name: main\n  image: example.com/a:1\n", ["example.com/a:1"]),
        (
            '{"containers": [{"image": "example.com/a:1", "resources": {{inputs.parameters.resources}}}]}',
            ["example.com/a:1"],
        ),
        ('{"terminationGracePeriodSeconds": 1}', []),
    ],
)
def test_a_patch_of_a_pod_spec_is_listed(patch: str, wanted: list[str]) -> None:
    workflow = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": {"podSpecPatch": patch}}
    assert list(images(workflow)) == []
    places = [(each.image, each.place, bool(each.by)) for each in ExtraImageRules(()).images(workflow)]
    assert places == [(image, "Workflow/spec/podSpecPatch", False) for image in wanted]


def test_what_a_workflow_runs_is_not_elsewhere() -> None:
    spec = {"templates": [{"name": "a", "container": {"image": "example.com/a:1", "args": ["example.com/b:1"]}}]}
    workflow = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": spec}
    assert [(each.image, each.place) for each in ExtraImageRules(()).images(workflow)] == [
        ("example.com/b:1", "Workflow/spec/templates/a/container/args/0")
    ]


def test_an_object_that_is_only_a_text_has_no_place_for_an_image() -> None:
    """As an item of a List may be."""
    assert found("example.com/a:1", "*") == {}


def test_nothing_asked() -> None:
    assert not ExtraImageRules(()) and ExtraImageRules(("x",)) and ExtraImageRules(("operators",))
    assert len(rules()) > 10 and all(rule.path for rule in rules())


NOT_PULLED: list[tuple[str, str, dict[str, Any]]] = [
    ("build.openshift.io/v1", "BuildConfig", {"output": {"to": {"kind": "DockerImage", "name": "example.com/t/a:1"}}}),
    ("v1", "BuildConfig", {"output": {"to": {"kind": "DockerImage", "name": "example.com/t/a:1"}}}),
    ("shipwright.io/v1beta1", "Build", {"output": {"image": "example.com/t/a:1"}}),
    ("shipwright.io/v1beta1", "BuildRun", {"build": {"spec": {"output": {"image": "example.com/t/a:1"}}}}),
    ("kpack.io/v1alpha2", "Image", {"tag": "example.com/t/a:1", "additionalTags": ["example.com/t/a:2"]}),
    ("image.toolkit.fluxcd.io/v1beta2", "ImageRepository", {"image": "example.com/t/a"}),
    ("eraser.sh/v1", "ImageList", {"images": ["example.com/t/a:1"]}),
]


@pytest.mark.parametrize("patterns", [(), ("operators", "*", "example.com/*", "*/image", "*/images/0", "*/to/name")])
@pytest.mark.parametrize(("version", "kind", "spec"), NOT_PULLED)
def test_where_a_kind_has_images_that_nothing_pulls(
    version: str, kind: str, spec: dict[str, Any], patterns: tuple[str, ...]
) -> None:
    item = {"apiVersion": version, "kind": kind, "spec": spec}
    assert found(item, *patterns) == found({"apiVersion": "v1", "kind": "List", "items": [item]}, *patterns) == {}
    assert found({**item, "apiVersion": "example.com/v1"}, "*") != {}


def test_what_a_build_of_openshift_pulls() -> None:
    """An object reference of kind DockerImage has an image in its name, of whatever registry."""
    spec = {
        "output": {"to": {"kind": "DockerImage", "name": "example.com/t/out:1"}},
        "source": {"images": [{"from": {"kind": "DockerImage", "name": "example.com/t/source:1"}}]},
        "strategy": {"sourceStrategy": {"from": {"kind": "DockerImage", "name": "t/builder:1"}}},
        "triggers": [{"imageChange": {"from": {"kind": "ImageStreamTag", "name": "t/tag:1"}}}],
    }
    build = {"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "spec": spec}
    assert list(found(build)) == ["example.com/t/source:1", "t/builder:1"]


@pytest.mark.parametrize(
    ("words", "pulled"),
    [
        (["--destination=example.com/t/a:1", "--build-arg=BASE=example.com/t/b:1"], ["example.com/t/b:1"]),
        (["--destination", "example.com/t/a:1", "--image", "example.com/t/b:1"], ["example.com/t/b:1"]),
        (["--cache-repo=example.com/t/a:1"], []),
        (["-cache-image", "example.com/t/a:1", "-run-image", "example.com/t/b:1"], ["example.com/t/b:1"]),
        (["build", "--output", "type=image,name=example.com/t/a:1,push=true"], []),
        (["--export-cache", "type=registry,ref=example.com/t/a:1"], []),
        (["--import-cache", "type=registry,ref=example.com/t/a:1"], ["example.com/t/a:1"]),
        (["-o", "yaml", "example.com/t/a:1"], ["example.com/t/a:1"]),
        (["build", "-f", "Dockerfile", "-t", "example.com/t/a:1", "."], []),
        (["bud", "--tag=example.com/t/a:1"], []),
        (["scan", "-t", "example.com/t/a:1"], ["example.com/t/a:1"]),
        (["push", "--quiet", "example.com/t/a:1"], []),
        (["push", "local", "example.com/t/a:1"], []),
        (["copy", "example.com/t/a:1", "example.com/t/b:1"], ["example.com/t/a:1"]),
        (["copy", "--all", "--format=oci", "example.com/t/a:1", "example.com/t/b:1"], ["example.com/t/a:1"]),
        (["push.sh", "example.com/t/a:1"], ["example.com/t/a:1"]),
        (["copy", "--authfile", "/a/b", "example.com/t/a:1", "example.com/t/b:1"], ["example.com/t/a:1"]),
        (["executor", "-c", ".", "-d", "example.com/t/a:1"], []),
        (["--dockerfile=Dockerfile", "-d", "example.com/t/a:1"], []),
        (["run", "-d", "example.com/t/a:1"], ["example.com/t/a:1"]),
        (["crane", "append", "-b", "example.com/t/a:1", "-t", "example.com/t/b:1"], ["example.com/t/a:1"]),
        (["crane", "mutate", "example.com/t/a:1", "--tag=example.com/t/b:1"], ["example.com/t/a:1"]),
        (["pack", "build", "example.com/t/a:1", "--builder", "example.com/t/b:1"], ["example.com/t/b:1"]),
        (["docker", "tag", "example.com/t/a:1", "example.com/t/b:1"], ["example.com/t/a:1"]),
        (["podman", "manifest", "create", "example.com/t/a:1", "example.com/t/b:1"], ["example.com/t/b:1"]),
        (["docker", "rmi", "-f", "example.com/t/a:1", "example.com/t/b:1"], []),
        (["docker", "image", "rm", "example.com/t/a:1"], []),
        (["crane", "delete", "example.com/t/a:1"], []),
        (["docker", "pull", "example.com/t/a:1"], ["example.com/t/a:1"]),
    ],
)
def test_what_a_command_line_pushes_is_not_listed(words: list[str], pulled: list[str]) -> None:
    """Nor matched by any pattern: nothing can be pushed to a digest."""
    pod = {"kind": "Pod", "spec": {"containers": [{"name": "build", "image": "example.com/t/tool:1", "args": words}]}}
    script = {"kind": "ConfigMap", "data": {"run.sh": f"set -e\nbuildah {' '.join(words)}\n"}}
    for patterns in ((), ("operators", "*", "example.com/*", "*/args/*")):
        assert list(found(pod, *patterns)) == pulled
    assert list(found(script)) == pulled


@pytest.mark.parametrize(
    ("version", "spec", "urls"),
    [
        ("cdi.kubevirt.io/v1beta1", {"source": {"registry": {"url": "docker://example.com/t/a:1"}}}, True),
        ("cdi.kubevirt.io/v1beta1", {"source": {"registry": {"url": "docker://t/a:1"}}}, True),
        ("cdi.kubevirt.io/v1beta1", {"source": {"registry": {"url": "docker://example.com/t/a"}}}, True),
        ("cdi.kubevirt.io/v1beta1", {"source": {"http": {"url": "https://example.com/t/a:1"}}}, False),
        ("cdi.kubevirt.io/v1beta1", {"source": {"registry": {"url": "oci-archive:/a:1"}}}, False),
        ("example.com/v1", {"mirrors": ["docker://example.com/t/a"]}, False),
        ("example.com/v1", {"mirrors": ["docker://example.com"]}, False),
        ("serving.kserve.io/v1beta1", {"predictor": {"model": {"storageUri": "oci://example.com/t/a"}}}, True),
        ("serving.kserve.io/v1beta1", {"predictor": {"model": {"storageUri": "s3://example/t/a"}}}, False),
        ("extensions.istio.io/v1alpha1", {"url": "oci://example.com/t/a:1"}, True),
        ("source.toolkit.fluxcd.io/v1", {"url": "oci://example.com/t/a:1"}, False),
        ("argoproj.io/v1alpha1", {"source": {"repoURL": "oci://example.com/t/a", "targetRevision": "1"}}, False),
        ("v1", {"data": {"x": "docker://t/a:1"}}, False),
    ],
)
def test_an_image_written_as_a_url_is_listed_and_matched_by_no_pattern(
    version: str, spec: dict[str, Any], urls: bool
) -> None:
    """Skopeo and KubeVirt's importer take no tag beside a digest; a chart or a manifest is no image."""
    item = {"apiVersion": version, "kind": "Any", "spec": spec}
    manifest = yaml.dump(item)
    for patterns in ((), ("operators", "*", "docker://*", "example.com/*", "*/url", "*/storageUri")):
        listed = [(is_url(each.image), each.by) for each in ExtraImageRules(patterns).images(item)]
        assert listed == ([(True, ())] if urls else [])
        assert ExtraImageRules(patterns).may_find(manifest) or not urls


def test_urls_on_a_command_line() -> None:
    line = (
        "skopeo copy docker://example.com/t/a:1 docker://example.com/t/b:1; skopeo inspect docker://example.com/t/c:2."
    )
    words = ["inspect", "docker://example.com/t/a:1", "xdocker://example.com/t/b:1", "docker://example.com/t/d"]
    assert references(line) == ["docker://example.com/t/a:1", "docker://example.com/t/c:2"]
    pod = {"kind": "Pod", "spec": {"containers": [{"name": "a", "image": "b", "args": words}]}}
    assert found(pod, "*/args/*", "operators") == {"docker://example.com/t/a:1": False}


def test_urls_beside_other_images_in_one_text() -> None:
    text = "docker run example.com/t/a:1\nskopeo copy docker://example.com/t/b:1 docker://example.com/t/c:1\n"
    listed = ExtraImageRules(("operators", "*")).images({"kind": "ConfigMap", "data": {"run.sh": text}})
    assert [(each.image, each.by, each.path[-1]) for each in listed if each.is_listed] == [
        ("example.com/t/a:1", ("*",), "#0"),
        ("docker://example.com/t/b:1", (), "#1"),
    ]


@pytest.mark.parametrize(
    ("name", "is_pushed"),
    [
        ("PUSH_IMAGE", True),
        ("OUTPUT_IMAGE", True),
        ("APP_DESTINATION_IMAGE", True),
        ("PUSH_BASE_IMAGE", True),
        ("IMAGE_DESTINATION", True),
        ("AGENT_IMAGE", False),
        ("RELATED_IMAGE_PUSHER", False),
        ("PUSHGATEWAY_IMAGE", False),
    ],
)
def test_a_variable_for_the_place_that_an_image_is_pushed_to(name: str, is_pushed: bool) -> None:
    env = [{"name": name, "value": "example.com/t/a:1"}]
    pod = {"kind": "Pod", "spec": {"containers": [{"name": "a", "image": "b", "env": env}]}}
    assert bool(found(pod, "operators", "*", "*/env/*")) != is_pushed


def test_a_line_after_one_that_pushes_pulls() -> None:
    script = {
        "kind": "ConfigMap",
        "data": {"x": "docker push a\ndocker pull example.com/t/b:1\ncp a b\nexample.com/t/c:1"},
    }
    assert list(found(script)) == ["example.com/t/b:1", "example.com/t/c:1"]


WORDS = st.sampled_from(
    [
        "example.com/t/a:1",
        "t/b:2",
        "http://c/d:3",
        "RELATED_IMAGE_X",
        "baseImage",
        "image",
        "IMAGES",
        "--e-image=t/f:4",
        "é",
    ]
)
NAMED: list[Any] = [
    {"baseImage": "b:2"},
    {"SIDECAR_IMAGES": "b:2"},
    {"env": [{"name": "RELATED_IMAGE_X", "value": "b:2"}]},
    {"args": ["--sidecar-image=b:2"]},
    {"command": ["manager", "--sidecar-image", "b:2"]},
    {"podSpecPatch": '{"containers": [{"name": "c", "image": "b:2"}]}'},
]
TREES = st.recursive(
    st.sampled_from(NAMED) | st.lists(WORDS, max_size=3).map(" ".join),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(
    spec=TREES,
    version=st.sampled_from(["v1", "example.com/v1"]),
    style=st.sampled_from([None, '"', "'", "|", ">"]),
    width=st.sampled_from([1, 20, 1000]),
    is_flow=st.sampled_from([None, True, False]),
    is_plain=st.booleans(),
)
def test_no_manifest_with_an_image_is_passed_over(
    spec: Any, version: str, style: Any, width: int, is_flow: Any, is_plain: bool
) -> None:
    item = {"apiVersion": version, "kind": "Any", "spec": spec}
    text = yaml.dump(
        item, default_style=style, width=width, default_flow_style=is_flow, allow_unicode=is_plain, sort_keys=is_plain
    )
    rules_of_none = ExtraImageRules(())
    assert rules_of_none.may_find(text) or not list(rules_of_none.images(item))


def test_most_manifests_need_not_be_parsed() -> None:
    assert not ExtraImageRules(()).may_find(
        "kind: ConfigMap\ndata: {url: 'https://example.com/t/page', expr: 'a / b'}\n"
    )
    assert ExtraImageRules(["*"]).may_find("kind: ConfigMap\n")
    assert ExtraImageRules(()).may_find(r'data: {url: "example.com\x2ft\x2fa:1"}')
