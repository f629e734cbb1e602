"""What to do about helm's own messages: each is made by helm itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from tests.support.charts import write_chart
from tests.support.workstation import Workstation

TEMPLATES = {
    "required": '{{ required "image.tag is required" .Values.tag }}',
    "nil": "{{ .Values.image.tag }}",
    "plain": "{{ .Values.tag }}",
}


@pytest.mark.parametrize(
    ("template", "args", "hint"),
    [
        (
            "plain",
            ["--set", "a[-1]=x"],
            "correct the flag; quote it for the shell, and write a comma inside a value as \\,",
        ),
        ("plain", ["--timeout", "abc"], "correct the flag"),
        ("required", [], "give the value that the chart asks for: --set, or -f FILE"),
        ("nil", [], "set the value that the template reads: --set, or -f FILE"),
        ("schema", [], "give the values that the chart's schema asks for: --set, or -f FILE"),
    ],
)
def test_a_chart_that_does_not_render(
    template: str, args: list[str], hint: str, workstation: Workstation, tmp_path: Path
) -> None:
    write_chart(tmp_path, f"a: {TEMPLATES.get(template, '')}\n")
    if template == "schema":
        (tmp_path / "values.schema.json").write_text('{"required": ["tag"]}')
    assert asked(workstation, "template", "app", str(tmp_path), *args) == hint


def test_a_tag_and_another_version(workstation: Workstation) -> None:
    """Helm finds that out before it asks anybody."""
    found = asked(workstation, "pull", "oci://127.0.0.1:9/web:0.1.0", "--version", "0.2.0")
    assert found == "leave out --version, or the tag after the chart's name"


@pytest.mark.parametrize(
    ("file", "text", "hint"),
    [
        ("Chart.yaml", "name: [x", "correct that file of the chart"),
        ("values.yaml", "a: [x", "correct that file of the chart"),
        ("Chart.yaml", "apiVersion: v2\nname: app\n", "correct Chart.yaml"),
        (
            "Chart.yaml",
            "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies: [{name: db, version: 1.0.0}]\n",
            "fetch them with helm dependency build, or with --dependency-update here",
        ),
        ("values.schema.json", '{"type": 5', "correct the chart's values.schema.json"),
        ("values.schema.json", '{"type": }', "correct the chart's values.schema.json"),
        ("values.schema.json", '{"$ref": "nosuch.json"}', "correct the chart's values.schema.json"),
        ("values.schema.json", '{"type": 5}', "correct the chart's values.schema.json"),
        ("templates/a.yaml", "{{ if }}", "correct the template there"),
        ("templates/a.yaml", "{{ nosuch }}", "correct the template there"),
        ("templates/a.yaml", '{{ tpl "{{ if }}" . }}', "correct the template there"),
        (
            "templates/a.yaml",
            '{{ fail "a part is missing in charts/ directory" }}',
            "give the value that the chart asks for: --set, or -f FILE",
        ),
        (
            "templates/a.yaml",
            '{{ template "nosuch" . }}',
            "correct the name, or get the chart that defines it: helm dependency build",
        ),
        (
            "templates/a.yaml",
            '{{ include "nosuch" . }}',
            "correct the name, or get the chart that defines it: helm dependency build",
        ),
        (
            "templates/a.yaml",
            "a: b: c",
            "correct the template, or the value it prints; helm template --debug, with the same chart and values, shows the YAML",
        ),
        ("templates/a.yaml", "{{ .Chart.Name.x }}", "correct the template there, or the value that it reads"),
        (
            "Chart.yaml",
            "apiVersion: v2\nname: app\nversion: 1.0.0\ntype: library\n",
            "name a chart that uses it: a library has no objects of its own",
        ),
        (
            "Chart.yaml",
            "apiVersion: v2\nname: app\nversion: 1.0.0\nkubeVersion: '>99'\n",
            "take another --version of the chart; where no cluster is asked, --kube-version names that of yours",
        ),
    ],
)
def test_a_file_of_a_chart_that_is_wrong(
    file: str, text: str, hint: str, workstation: Workstation, tmp_path: Path
) -> None:
    write_chart(tmp_path, "a: b\n")
    (tmp_path / file).write_text(text)
    assert asked(workstation, "template", "app", str(tmp_path)) == hint


@pytest.mark.parametrize("text", [b"- a", b"3", b"a: [x", b"a: \xe9"])
def test_a_values_file_that_is_none(text: bytes, workstation: Workstation, tmp_path: Path) -> None:
    write_chart(tmp_path, "a: b\n")
    (tmp_path / "given.yaml").write_bytes(text)
    hint = asked(workstation, "template", "app", str(tmp_path), "-f", str(tmp_path / "given.yaml"))
    assert hint == "correct that file: values are a map, in YAML and UTF-8"


def test_a_template_that_is_not_there(workstation: Workstation, tmp_path: Path) -> None:
    write_chart(tmp_path, "a: b\n")
    hint = asked(workstation, "template", "app", str(tmp_path), "--show-only", "templates/nosuch.yaml")
    assert hint == "give the path as helm prints it after `# Source:`, without the chart's name"


def test_a_very_long_line_is_shortened(workstation: Workstation, tmp_path: Path) -> None:
    write_chart(tmp_path, '{{ include "app/templates/a.yaml" . }}\n')
    (tmp_path / "templates" / "a.yaml").write_text('{{ include "app/templates/a.yaml" . }}')
    with pytest.raises(HelmFailed) as caught:
        Helm(str(workstation.helm_binary)).run(["template", "app", str(tmp_path)])
    assert len(caught.value.why) < 40 * 5000 and all(len(line) < 5000 for line in caught.value.why.splitlines())


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["pull", "nosuch"], "name a directory, an archive, REPO/CHART or oci://…, or add --repo URL"),
        (["pull", "nosuch/chart"], "add the repository: helm repo add NAME URL"),
        (["pull", "oci://127.0.0.1:1/a/b", "--plain-http"], "check the address, the network and the proxy"),
        (["show", "chart", "x", "--repo", "http://127.0.0.1:1/"], "check the address, the network and the proxy"),
    ],
)
def test_a_chart_that_cannot_be_fetched(args: list[str], hint: str, workstation: Workstation) -> None:
    assert asked(workstation, *args).startswith(hint)


@pytest.mark.parametrize(
    ("config", "hint"),
    [("", "there is no kubeconfig"), ("kind: Config", "kubectl config get-contexts lists the contexts")],
    ids=["no kubeconfig", "no such context"],
)
def test_a_context_that_does_not_exist(
    config: str, hint: str, workstation: Workstation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if config:
        (tmp_path / "config").write_text(config)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert asked(workstation, "list", "--kube-context", "nope").startswith(hint)


def asked(workstation: Workstation, *args: str) -> str:
    """The hint for a helm that fails."""
    with pytest.raises(HelmFailed) as caught:
        Helm(str(workstation.helm_binary)).run(args)
    return caught.value.hint
