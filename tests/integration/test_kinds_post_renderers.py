"""Post-renderers: scripts with Helm 3, plugins with Helm 4, kustomize. What they write is what runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import post_renderer, strip
from tests.support.any_tag import AnyTag
from tests.support.promise import Promise
from tests.support.workstation import Workstation, whichever_helm

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}
spec:
  containers:
    - name: web
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
---
apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-hard
spec:
  containers:
    - name: hard
      image: docker.io/team/hard:1
"""
HOOK = """\
apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-check
  annotations: {helm.sh/hook: pre-upgrade}
spec:
  containers: [{name: check, image: "docker.io/team/check:1.0.0"}]
"""
KUSTOMIZE = """\
folder=$(mktemp -d); trap 'rm -r "$folder"' EXIT
cat > "$folder/all.yaml"
printf 'resources: [all.yaml]\\nnamePrefix: prod-\\nlabels: [{pairs: {team: blue}}]\\n%s\\n' "MORE" > "$folder/kustomization.yaml"
kubectl kustomize "$folder"
"""


class Rendered:
    """A chart, and a post-renderer that one writes as a script."""

    def __init__(self, promise: Promise, folder: Path) -> None:
        self.promise, self.folder = promise, folder
        self.chart = folder / "chart"
        for name, text in {
            "Chart.yaml": "apiVersion: v2\nname: rendered\nversion: 1.0.0\n",
            "values.yaml": "image: {repository: docker.io/team/app, tag: 1.0.0}\n",
            "templates/pod.yaml": POD,
            "templates/hook.yaml": HOOK,
        }.items():
            (self.chart / name).parent.mkdir(parents=True, exist_ok=True)
            (self.chart / name).write_text(text)

    def through(self, script: str) -> list[str]:
        """The flags that have helm use a script."""
        self.promise.machine, flags = post_renderer.through(self.promise.machine, self.folder, script)
        return flags


@pytest.fixture
def rendered(workstation: Workstation, content: AnyTag, tmp_path: Path) -> Rendered:
    """The chart, on Helm 3 or Helm 4."""
    return Rendered(Promise(workstation, content), tmp_path)


ADDED = """\
apiVersion: v1
kind: Pod
metadata: {name: added}
spec: {containers: [{name: added, image: "docker.io/team/added:latest"}]}
"""
KEEP = {
    "no separator before the first document": "grep -v '^# Source' | sed '1{/^---$/d}'",
    "no comments": "grep -v '^#'",
    "prefixed names and a new label": "sed -E 's/^  name: /  name: prod-/; s/^metadata:/metadata:\\n  labels: {team: blue}/'",
    "kustomize with another registry": KUSTOMIZE.replace(
        "MORE", "images: [{name: docker.io/team/app, newName: mirror.example/team/app}]"
    ),
    "another registry": "sed -E 's#docker\\.io/#mirror.example/#'",
    "a list": "printf 'apiVersion: v1\\nkind: List\\nitems:\\n'; grep -v '^[#-]' | sed -E 's/^/  /; s/^  apiV/- apiV/'",
}


@whichever_helm
@pytest.mark.parametrize("script", KEEP.values(), ids=KEEP)
def test_what_comes_out_is_pinned(script: str, rendered: Rendered) -> None:
    """Whatever a post-renderer makes of names, separators and hosts."""
    found = rendered.promise.holds(rendered.chart, rendered.through(script))
    assert found is not None
    assert len(set(found.images)) == 3, found.images


@whichever_helm
@pytest.mark.parametrize(
    ("start", "rest"),
    [("", "cat"), ("---\n", "grep -v '^# Source'"), ("# a comment\n", "grep -v '^# Source'")],
    ids=["bare", "separator", "comment"],
)
def test_what_it_adds_first_is_seen(start: str, rest: str, rendered: Rendered) -> None:
    """No value and no template reaches it: it is refused, not overlooked."""
    flags = rendered.through(f"cat <<'Y'\n{start}{ADDED}---\nY\n{rest}\n")
    plain = rendered.promise.machine.helm("template", "rel", rendered.chart, *flags)
    assert "docker.io/team/added:latest" in strip.images_of(plain)
    done = rendered.promise.pin("template", "rel", rendered.chart, *flags)
    assert (done.status, done.stdout) == (3, ""), done.stdout
    assert "docker.io/team/added:latest: the post-renderer prints it" in done.stderr
    assert "write its digest in the post-renderer, or let it through: --allow-unpinned docker.io" in done.stderr
    assert "plan -v" not in done.stderr


@whichever_helm
def test_what_it_adds_with_a_digest_stays(rendered: Rendered) -> None:
    digest = rendered.promise.content.digest(("docker.io", "team/added", "latest"))
    flags = rendered.through(f"cat <<'Y'\n{ADDED.replace('latest', f'latest@{digest}')}---\nY\ncat\n")
    found = rendered.promise.holds(rendered.chart, flags)
    assert found is not None and len(found.images) == 3


TAKES_IT_OFF = {
    "kustomize with another tag": (
        KUSTOMIZE.replace("MORE", "images: [{name: docker.io/team/app, newTag: 2.0.0}]"),
        "give this tag to the chart, by a value, instead of to the post-renderer",
    ),
    "no digests": ("sed -E 's#@sha256:[0-9a-f]+##'", "have the post-renderer keep digests as they are"),
}


@whichever_helm
@pytest.mark.parametrize(("script", "hint"), TAKES_IT_OFF.values(), ids=TAKES_IT_OFF)
def test_one_that_takes_the_digest_off_is_named(script: str, hint: str, rendered: Rendered) -> None:
    flags = rendered.through(script)
    done = rendered.promise.pin("template", "rel", rendered.chart, *flags)
    assert (done.status, done.stdout) == (3, ""), done.stdout
    assert "docker.io/team/app" in done.stderr
    assert "post-renderer" in done.stderr.partition("\n  why ")[2], done.stderr
    assert f"next  {hint}" in done.stderr
