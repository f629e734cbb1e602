"""A manifest that is none is refused with its line; one without images is a manifest all the same."""

from __future__ import annotations

import pytest

from helmpin.errors import UsageError
from helmpin.verify.given_manifest import given

HEAD = "# by hand\n---\n# Source: web/templates/a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n\n"
DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n"


@pytest.mark.parametrize(
    ("text", "what", "why"),
    [
        ("x: [", "is not YAML", "line 2: "),
        (f"{HEAD}x: [", "is not YAML", "line 10: "),
        ("- a\n", "objects", "line 1: an object is a mapping, not a list"),
        (f"{HEAD}# a list\n- a\n", "objects", "line 10: an object is a mapping, not a list"),
        ("hello", "objects", "line 1: an object is a mapping, not a text"),
        ("kind: ConfigMap\n", "objects", "line 1: an object has no apiVersion"),
        ("apiVersion: v1\nkind: 5\n", "objects", "line 1: an object has no kind"),
        ("apiVersion: v1\nkind: Pod\nmetadata:\n  name: 5\n", "objects", "line 4: the name of this Pod is not a text"),
        ("apiVersion: v1\nkind: List\nitems: [a]\n", "objects", "line 3: an object is a mapping"),
        (
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, spec: {containers: []}}\n- kind: Pod\n",
            "objects",
            "line 5: an object has no apiVersion",
        ),
        (
            'apiVersion: v1\nkind: Pod\nspec:\n  containers: "x"\n',
            "objects",
            "line 4: spec.containers of this Pod is not",
        ),
        (
            f"{HEAD}{DEPLOYMENT}      containers: [x]\n",
            "objects",
            "line 15: spec.template.spec.containers of this Depl",
        ),
        (
            f"{HEAD}{DEPLOYMENT}      x: 1\n",
            "objects",
            "line 14: spec.template.spec.containers of this Deployment is n",
        ),
        (
            f"{DEPLOYMENT}      containers: []\n      initContainers: {{}}\n",
            "objects",
            "line 8: spec.template.spec.init",
        ),
        ("apiVersion: batch/v1\nkind: CronJob\nspec: {jobTemplate: 1}\n", "objects", "line 3: spec.jobTemplate of thi"),
    ],
)
def test_refused(text: str, what: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        given("web.yaml", text)
    assert error.value.what.startswith("web.yaml is not ")
    assert error.value.what.endswith(what)
    assert error.value.why.startswith(why)
    assert error.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n---\n# nor here\n",
        HEAD,
        "apiVersion: example.com/v1\nkind: Deployment\nspec: 5\n",
        f"{DEPLOYMENT}      containers: [{{name: a, image: nginx}}]\n",
        "apiVersion: v1\nkind: List\nitems: []\n",
    ],
)
def test_a_manifest(text: str) -> None:
    assert given("web.yaml", text).where == "manifest web.yaml"
