"""What lies in crds/ and runs images: `plan` refuses it where Helm would install it. That Helm does, tests/e2e/test_life_crds.py
shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.any_tag import any_tag
from tests.support.workstation import Workstation, whichever_helm

pytestmark = whichever_helm

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: foos.example.com}
spec:
  group: example.com
  names: {kind: Foo, plural: foos}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, default: {containers: [{image: in-a-default}]}}}}}
"""
JSON_CRD = json.dumps(
    {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "spec": {"default": {"containers": [{"name": "a", "image": "in-a-default"}]}},
    }
)
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'busybox:1'}]}\n"
TEXT = """\
apiVersion: batch/v1
kind: Job
metadata: {name: setup, ownerReferences: []}
spec:
  template:
    spec:
      containers:
      - image: busybox:1
        args:
        - |
          cat <<X
          kind: CustomResourceDefinition
          X
"""
ITEMS = "".join(f"- {text.rstrip()}\n".replace("\n", "\n  ").removesuffix("  ") for text in (CRD, POD))
REFUSED = {
    "a workload": {"crds/p.yaml": POD},
    "beside a CRD": {"crds/p.yaml": f"{CRD}---\n{POD}"},
    "whose text names the kind": {"crds/p.yaml": TEXT},
    "whose name spans lines, one of which names the kind": {
        "crds/p.yaml": POD.replace("name: p", 'name: "\nkind: CustomResourceDefinition\n"')
    },
    "that is a CRD first, and then is not": {
        "crds/p.yaml": f'{CRD.partition("spec")[0]}"k\\x69nd": Pod\nspec{POD.partition("spec")[2]}'
    },
    "with escapes": {"crds/p.yaml": POD.replace("image", '"im\\x61ge"')},
    "with an alias": {"crds/p.yaml": POD.replace("name: p", "name: &i image").replace("image: 'b", "*i : 'b")},
    "in a list": {"crds/p.yaml": f"apiVersion: v1\nkind: List\nitems:\n{ITEMS}"},
    "in a list in JSON": {
        "crds/p.json": json.dumps(
            {
                "kind": "List",
                "items": [json.loads(JSON_CRD), {"kind": "Pod", "spec": {"containers": [{"image": "busybox:1"}]}}],
            },
            indent=1,
        )
    },
    "of a subchart": {"charts/db/crds/p.yaml": POD},
}
DEPENDENCY = "dependencies: [{name: unused, version: 1.0.0, repository: '', condition: unused.enabled}]\n"
ACCEPTED = {
    "a CRD": {"crds/c.yaml": CRD},
    "a CRD in JSON": {"crds/c.json": JSON_CRD},
    "a CRD that begins otherwise": {
        "crds/c.yaml": f"# a comment\nkind: CustomResourceDefinition\n{CRD.replace('kind: Cus', 'x: Cus')}"
    },
    "a CRD behind byte order marks": {"crds/c.yaml": f"\ufeff{CRD}---\n\ufeff{CRD}"},
    "what a comment takes for a file": {
        "charts/unused/crds/p.yaml": POD,
        "templates/a.yaml": f"# Source: web/charts/other/crds/p.yaml\n{POD}",
    },
    "an image with a digest": {"crds/p.yaml": POD.replace("busybox:1", f"busybox@sha256:{'a' * 64}")},
    "of a subchart that is switched off": {"charts/unused/crds/p.yaml": POD},
    "of such a subchart, and no YAML": {"charts/unused/crds/p.yaml": "{{- if .Values.x }}\nimage: {{ .Values.y }}\n"},
    "what is no manifest": {"crds/README.md": "image: busybox:1"},
}


def planned(machine: Workstation, folder: Path, files: Mapping[str, str], *flags: str) -> tuple[int, str]:
    """The exit status of `helm pin plan rel CHART`, and what it says."""
    chart = f"apiVersion: v2\nname: web\nversion: 1.0.0\n{DEPENDENCY}"
    whole = {
        "Chart.yaml": chart,
        "values.yaml": "unused: {enabled: false}\n",
        "templates/a.yaml": POD,
        **{f"charts/{name}/Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n" for name in ("db", "unused")},
        **files,
    }
    for path, text in whole.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    with any_tag() as content:
        done = machine.pin("plan", "rel", folder, "--no-cluster", "--registry-mirror", content.mirror, *flags)
    return done.status, done.stderr


@pytest.mark.parametrize("files", REFUSED.values(), ids=REFUSED)
def test_refused(installed: Workstation, tmp_path: Path, files: Mapping[str, str]) -> None:
    status, says = planned(installed, tmp_path, files)
    assert status == 3, says
    assert "1 image in crds/ would run without a digest" in says
    assert " runs busybox:1\n" in says and "in-a-default" not in says
    assert planned(installed, tmp_path, files, "--allow-unpinned", "busybox:1")[0] == 0
    assert planned(installed, tmp_path, files, "--skip-crds")[0] == 0


@pytest.mark.parametrize("files", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(installed: Workstation, tmp_path: Path, files: Mapping[str, str]) -> None:
    status, says = planned(installed, tmp_path, files)
    assert status == 0, says


def test_a_file_that_helm_cannot_read_either(installed: Workstation, tmp_path: Path) -> None:
    status, says = planned(installed, tmp_path, {"crds/p.yaml": f"{CRD}---\nimage: {{{{ .Values.y }}}}\n"})
    assert status == 1 and "a file in crds/ cannot be read" in says and "crds/p.yaml, document 2" in says


def test_what_is_only_printed_is_not_installed(installed: Workstation, tmp_path: Path) -> None:
    planned(installed, tmp_path, REFUSED["a workload"])
    with any_tag() as content:
        done = installed.pin("template", "rel", tmp_path, "--registry-mirror", content.mirror)
    assert done.status == 0, done.stderr
