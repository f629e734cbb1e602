"""A values file that pins what the first search leaves to templates, and names what each digest is of; applied by plain helm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import strip
from tests.support.promise import Promise
from tests.support.twins import written
from tests.support.workstation import whichever_helm

pytestmark = whichever_helm


def values_file(promise: Promise, chart: Path, *flags: str) -> dict[str, Any]:
    """The file that `plan -o values` prints, which plain helm must make the pinned manifest of."""
    done = promise.pin("plan", "rel", chart, "--no-cluster", "-o", "values", *flags)
    assert done.status == 0, done.stderr
    (chart.parent / "pins.yaml").write_text(done.stdout)
    plain = promise.machine.helm("template", "rel", chart)
    pinned = promise.machine.helm("template", "rel", chart, "-f", chart.parent / "pins.yaml")
    found = strip.strip_and_compare(plain, pinned, promise.content.digest)
    assert not found.problems, "\n".join(found.problems)
    loaded: dict[str, Any] = yaml.safe_load(done.stdout)
    return loaded


def pod(*images: str) -> str:
    """A Pod that runs these images."""
    containers = "".join(f"  - {{name: c{i}, image: '{image}'}}\n" for i, image in enumerate(images))
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: pod}}\nspec:\n  containers:\n{containers}"


def test_an_image_that_another_branch_of_the_template_has(promise: Promise, tmp_path: Path) -> None:
    """The template has the image's own words, and runs what a value says."""
    text = """\
apiVersion: v1
kind: Pod
metadata: {name: pod}
spec:
  containers:
  - name: web
    {{- if .Values.old }}
    image: example.com/team/web:1
    {{- else }}
    image: {{ .Values.image }}
    {{- end }}
"""
    files = {"templates/pod.yaml": text, "values.yaml": "old: false\nimage: example.com/team/web:1\n"}
    chart = written(tmp_path / "chart", files)
    digest = promise.content.digest(("example.com", "team/web", "1"))
    assert values_file(promise, chart) == {"image": f"example.com/team/web:1@{digest}"}


def test_a_null_of_the_users_own_is_named(promise: Promise, tmp_path: Path) -> None:
    image = "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
    values = "image: {repository: example.com/team/web, tag: }\n"
    chart = written(tmp_path / "chart", {"templates/pod.yaml": pod(image), "values.yaml": values})
    assert list(values_file(promise, chart)) == ["image"]
    flags = ("plan", "rel", chart, "--no-cluster", "-f", chart / "values.yaml")
    why = "tag@digest at image.tag: your values set it to null, and Helm would forget that"
    assert f"  rejected {why}\n" in promise.pin(*flags, "-v").stdout
    refused = promise.pin(*flags, "-o", "values")
    assert refused.status == 3 and why in refused.stderr


def test_what_only_an_upgrade_prints_is_in_a_file_that_is_made_without_the_cluster(
    promise: Promise, tmp_path: Path
) -> None:
    """A component that is not printed need not be off then."""
    image = '"{{ .repository }}:{{ .tag | default "1" }}"'
    run = f"  - {{name: c, image: {image}}}\n"
    template = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: pod}\nspec:\n  containers:\n"
        f"{{{{- with .Values.web.image }}}}\n{run}{{{{- end }}}}\n"
        f"{{{{- if .Release.IsUpgrade }}}}{{{{ with .Values.migrate.image }}}}\n{run}{{{{- end }}}}{{{{ end }}}}\n"
    )
    values = "web: &w {image: {repository: example.com/team/web, tag: ''}}\nmigrate: *w\n"
    files = {"templates/pod.yaml": template, "values.yaml": values}
    assert list(values_file(promise, written(tmp_path / "chart", files))) == ["migrate", "web"]


def test_what_sets_an_image_that_no_registry_knows(promise: Promise, tmp_path: Path) -> None:
    values = "web: {repository: example.com/team/web, tag: edge}\n"
    files = {"templates/pod.yaml": pod("{{ .Values.web.repository }}:{{ .Values.web.tag }}"), "values.yaml": values}
    chart = written(tmp_path / "chart", files)
    nowhere = ("--registry-mirror", "example.com=http://127.0.0.1:1", "--mutable", "refuse")
    refused = promise.pin("plan", "rel", chart, "--no-cluster", *nowhere)
    assert "            set by  web.tag\n" in refused.stderr, refused.stderr


def test_a_list_of_the_users_own_is_refused_with_advice_that_helps(promise: Promise, tmp_path: Path) -> None:
    """--values-only finds no other value for it."""
    text = pod("{{ (index .Values.pods 0).image }}")
    chart = written(tmp_path / "chart", {"templates/pod.yaml": text, "values.yaml": "pods: []\n"})
    (tmp_path / "mine.yaml").write_text("pods: [{image: 'example.com/a:1'}]\n")
    done = promise.pin("plan", "rel", chart, "--no-cluster", "-o", "values", "-f", tmp_path / "mine.yaml")
    assert (done.status, done.stdout) == (3, "")
    assert "it stands in a list of your own values" in done.stderr
    assert "next  write the digests into your own lists; or deploy with helm pin upgrade" in done.stderr


@pytest.mark.parametrize("more", [(), ("--names",)])
def test_a_part_leaves_out_lists_of_the_users_own_with_what_is_secret_in_them(
    promise: Promise, tmp_path: Path, more: tuple[str, ...]
) -> None:
    files = {
        "templates/pod.yaml": pod("example.com/b:{{ .Values.tag }}") + "  {{- toYaml .Values.extra | nindent 2 }}\n",
        "values.yaml": "tag: '1'\nextra: []\n",
    }
    chart = written(tmp_path / "chart", files)
    env = [{"name": "PASSWORD", "value": "hidden"}, {"name": "TOKEN", "value": "from a file"}]
    mine = {"extra": [{"name": "side", "image": "example.com/a:1", "env": env}]}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mine))
    given = ("-f", tmp_path / "mine.yaml", "--set", "extra[0].env[0].value=given")
    done = promise.pin("plan", "rel", chart, "--no-cluster", "-o", "values", "--partial", *more, *given)
    assert done.status == 0, done.stderr
    assert yaml.safe_load(done.stdout) == {"tag": f"1@{promise.content.digest(('example.com', 'b', '1'))}"}
    assert "Incomplete: a values file does not carry example.com/a:1." in done.stderr


def test_what_no_value_reaches_is_refused_still(promise: Promise, tmp_path: Path) -> None:
    files = {
        "templates/pod.yaml": pod("example.com/team/web:1", "{{ .Values.image }}"),
        "values.yaml": "image: example.com/b:2\n",
    }
    done = promise.pin(
        "plan", "rel", written(tmp_path / "chart", files), "--no-cluster", "-o", "values", "--values-only"
    )
    assert (done.status, done.stdout) == (3, "")
    assert "example.com/team/web:1: the template writes it" in done.stderr
    assert "example.com/b:2: " not in done.stderr


def test_nothing_else_changes_for_a_value_that_does_more(promise: Promise, tmp_path: Path) -> None:
    text = pod("{{ .Values.image.repository }}:{{ .Values.image.tag }}").replace(
        "{name: pod}", "{name: pod, labels: {v: '{{ .Values.image.tag }}'}}"
    )
    files = {"templates/pod.yaml": text, "values.yaml": "image: {repository: example.com/b, tag: v1}\n"}
    done = promise.pin(
        "plan", "rel", written(tmp_path / "chart", files), "--no-cluster", "-o", "values", "--values-only"
    )
    assert (done.status, done.stdout) == (3, "")


DIGEST_KEY = (
    "{{ .registry }}/{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ with .digest }}@{{ . }}{{ end }}"
)


def test_names_beside_a_digest(promise: Promise, tmp_path: Path) -> None:
    text = pod(
        "{{ with .Values.image }}" + DIGEST_KEY + "{{ end }}",
        "{{ with .Values.side.image }}" + DIGEST_KEY + "{{ end }}",
    )
    values = """\
image: {registry: example.com, repository: team/web, tag: "1.10", digest: ""}
side: {image: {registry: quay.io, repository: team/side, tag: "", digest: "", pullPolicy: Always}}
"""
    chart = written(tmp_path / "chart", {"templates/pod.yaml": text, "values.yaml": values})
    bare = values_file(promise, chart)
    assert {*bare["image"]} == {*bare["side"]["image"]} == {"digest"}
    named = values_file(promise, chart, "--names")
    assert named["image"] == {"registry": "example.com", "repository": "team/web", "tag": "1.10", **bare["image"]}
    side = {"registry": "quay.io", "repository": "team/side", "tag": "2.4.1", **bare["side"]["image"]}
    assert named["side"]["image"] == side


def test_names_beside_a_tag(promise: Promise, tmp_path: Path) -> None:
    text = pod("{{ .Values.image.repository }}:{{ .Values.image.tag }}", "{{ .Values.whole }}")
    values = "image: {repository: example.com/team/web, tag: 1.5}\nwhole: example.com/team/all:2\n"
    chart = written(tmp_path / "chart", {"templates/pod.yaml": text, "values.yaml": values})
    named = values_file(promise, chart, "--names")
    digest = promise.content.digest(("example.com", "team/web", "1.5"))
    assert named["image"] == {"repository": "example.com/team/web", "tag": f"1.5@{digest}"}
    assert {*named} == {"image", "whole"}


def test_a_tag_that_changes_more_is_not_made_up(promise: Promise, tmp_path: Path) -> None:
    text = pod("{{ with .Values.image }}" + DIGEST_KEY + "{{ end }}")
    text = text.replace("{name: pod}", "{name: pod, labels: {tagged: 'is-{{ .Values.image.tag }}'}}")
    values = "image: {registry: example.com, repository: team/web, tag: '', digest: ''}\n"
    chart = written(tmp_path / "chart", {"templates/pod.yaml": text, "values.yaml": values})
    assert "tag" not in values_file(promise, chart, "--names")["image"]


@pytest.mark.parametrize(
    ("values", "images", "wanted"),
    [
        (
            {
                "image": "example.com/team/side:1",
                "label": "example.com/team/side:1",
                "images": {"proxy": "example.com/team/side:1"},
            },
            ("{{ .Values.image }}", "{{ .Values.images.proxy }}"),
            {"image", "images"},
        ),
        (
            {"image": "team/side:1", "a": "team/side:1", "b": "team/side:1", "c": "team/side:1"},
            ("{{ .Values.image }}", "{{ .Values.a }}", "{{ .Values.c }}"),
            {"image", "a", "c"},
        ),
        (
            {"image": "nginx", "images": {"main": "library/nginx"}},
            ("{{ .Values.image }}", "{{ .Values.images.main }}"),
            {"image", "images"},
        ),
        ({"images": {"m": "nginx"}, "name": "nginx"}, ("{{ .Values.images.m }}",), {"images"}),
        ({"proxy": "busybox", "image": "busybox"}, ("{{ .Values.image }}", "{{ .Values.proxy }}"), {"image", "proxy"}),
        (
            {"list": ["busybox", "team/web"]},
            ("{{ index .Values.list 0 }}", "{{ index .Values.list 1 }}"),
            {"list"},
        ),
    ],
)
def test_a_reference_under_a_key_that_does_not_say_so(
    promise: Promise, tmp_path: Path, values: dict[str, Any], images: tuple[str, ...], wanted: set[str]
) -> None:
    """Each use by the value that it reads, and no value that nothing reads."""
    extra = ("--values-only",) if "list" in values else ()
    files = {"templates/pod.yaml": pod(*images), "values.yaml": yaml.safe_dump(values)}
    chart = written(tmp_path / "chart", files)
    assert values_file(promise, chart, *extra).keys() == wanted


def test_a_bare_word_that_no_template_shows_to_be_an_image_is_found_by_its_mark(
    promise: Promise, tmp_path: Path
) -> None:
    text = "{{ with index .Values `proxy` }}\n" + pod("{{ . }}") + "{{ end }}\n"
    files = {"templates/pod.yaml": text, "values.yaml": "other: busybox\nproxy: busybox\n"}
    chart = written(tmp_path / "chart", files)
    shown = promise.pin("plan", "rel", chart, "--no-cluster", "-v")
    assert "reference: proxy" in shown.stdout and "\n4 renders\n" in shown.stdout
    assert values_file(promise, chart).keys() == values_file(promise, chart, "--values-only").keys() == {"proxy"}
