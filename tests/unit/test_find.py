"""Container images are found by shape, in any kind."""

from __future__ import annotations

from typing import Any

import pytest

from helmpin.image.find import container_name, images

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


def test_odd_keys_and_nameless_containers() -> None:
    item = {1: {"containers": [{"image": "x"}]}}
    assert [path for _, path in images(item)] == [("1", "containers", 0, "image")]
    assert container_name({"containers": [{"image": "x"}]}, ("containers", 0, "image")) == ""
