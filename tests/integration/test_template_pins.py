"""Templates that print pinned images, run by real helms: the chosen places are pinned, and every other byte stays."""

from __future__ import annotations

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from helmpin.errors import HelmFailed
from helmpin.helm import Helm
from helmpin.image.uses import ImageUse
from helmpin.render.output import Render, parse
from helmpin.templates.pins import (
    PRINT_FILE,
    UNLIKE_BEFORE,
    TemplatePin,
    by_order,
    locate,
    pinned_template,
    printer,
)
from scripts.devtools.binaries import binary

WEB, SIDE = "example.com/team/web:1.2.3", "side:1"
DIGEST = f"sha256:{'a' * 64}"
FEW = settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", params=["helm-old", "helm3", "helm4"])
def helm(request: pytest.FixtureRequest) -> Helm:
    """The oldest Helm that is supported, Helm 3, then Helm 4."""
    return Helm(str(binary(request.param)))


def render(helm: Helm, folder: Path, files: Mapping[str, str]) -> Render:
    """What a chart with these templates renders."""
    for path, text in {"Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n", **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return parse(helm.run(["template", "rel", str(folder)]))


def with_pins(
    files: Mapping[str, str], plain: Render, chosen: Iterable[ImageUse], *, in_any_order: bool = False
) -> dict[str, str]:
    """The files, changed so that these uses are pinned. in_any_order: as by_order() has it."""
    pins: dict[str, list[TemplatePin]] = defaultdict(list)
    for use in chosen:
        documents = by_order((d for d in plain.documents if d.source == use.source), in_any_order=in_any_order)
        pin = locate(use, documents, f"{use.image}@{DIGEST}", in_any_order=in_any_order)
        assert pin is not None, use
        pins[use.source.removeprefix("app/")].append(pin)
    return {
        **files,
        PRINT_FILE: printer(must_find=True),
        **{path: pinned_template(path, files[path], found) for path, found in pins.items()},
    }


CONTAINERS = st.sampled_from(
    [
        "image: @",
        'image: "@"',
        "image: '@'  # not @",
        "image: >-\n        @",
        "args: [--image=@, @, '@-alpine', x@]\n      image: @",
        "image: @\n      env: [{name: A, value: 'see @, @.'}]",
        'image: {{ printf "%s" "@" }}',
        'image: {{ include "image" . }}',
        "image: {{ $.Values.image }}",
        "image: side:1",
    ]
)
DOCUMENTS = st.builds(
    lambda kind, note, containers: (
        f"apiVersion: v1\nkind: {kind}\n{note}\nspec:\n  containers:\n    - " + "\n    - ".join(containers) + "\n"
    ),
    st.sampled_from(["Pod", "Thing", "'Pod'", '"Zoo"']),
    st.sampled_from(
        ["metadata: {name: x}", "# @\nmetadata: {name: x, annotations: {helm.sh/hook: test}}", "metadata:\n  name: '@'"]
    ),
    st.lists(CONTAINERS, min_size=1, max_size=3),
)
FILES = st.builds(
    lambda before, documents, between, wrap: before + wrap.replace("BODY", between.join(documents)),
    st.sampled_from(["", "# first\n", '{{- define "own" -}}x @ {{ "}}" }}{{- end }}\n', "{{/* @ }} */ -}}\n"]),
    st.lists(DOCUMENTS, min_size=1, max_size=3),
    st.sampled_from(["---\n", "\n---\n\n", "---\n# only this\n---\n", '--- # "@"\n']),
    st.sampled_from(
        [
            "BODY",
            "{{ range until 2 }}---\nBODY{{ end }}",
            "{{ if true }}\nBODY{{- end }}",
            "{{- with $ }}\nBODY\n{{ end -}}",
        ]
    ),
).map(lambda text: text.replace("@", WEB))
HELPERS = f'{{{{ define "image" }}}}{WEB}{{{{ end }}}}'


@pytest.fixture(scope="module")
def generated() -> tuple[dict[str, str], list[bool]]:
    """Templates, and which of their images are chosen."""
    texts: list[str] = []
    chosen: list[bool] = []

    @given(some=st.lists(FILES, min_size=10, max_size=10), choice=st.lists(st.booleans(), min_size=30, max_size=30))
    @FEW
    def generate(some: list[str], choice: list[bool]) -> None:
        texts.extend(some)
        chosen.extend(choice)

    generate()
    return {f"templates/{i}.yaml": text for i, text in enumerate(texts)}, chosen


@pytest.mark.parametrize("in_any_order", [False, True])
def test_the_chosen_places_and_nothing_else(
    in_any_order: bool, helm: Helm, tmp_path: Path, generated: tuple[dict[str, str], list[bool]]
) -> None:
    """In eighty templates at once."""
    texts, choice = generated
    files = {**texts, "templates/_helpers.tpl": HELPERS, "values.yaml": f"image: {WEB}\n"}
    plain = render(helm, tmp_path, files)
    chosen = [use for use, is_chosen in zip(plain.images(), cycle(choice), strict=False) if is_chosen]
    assert len(texts) == 80 and len(chosen) > 50
    pinned = render(helm, tmp_path, with_pins(files, plain, chosen, in_any_order=in_any_order))

    assert pinned.text.replace(f"@{DIGEST}", "") == plain.text
    assert pinned.text.count(DIGEST) == len(chosen)
    keys = {use.key for use in chosen}
    assert [use.image for use in pinned.images()] == [
        f"{use.image}@{DIGEST}" if use.key in keys else use.image for use in plain.images()
    ]


POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n"


def test_an_alias_and_a_merged_map(helm: Helm, tmp_path: Path) -> None:
    text = f"x: &image {WEB}\ny: &map {{image: {WEB}}}\n{POD}    - image: *image\n    - <<: *map\n"
    files = {"templates/a.yaml": text}
    plain = render(helm, tmp_path, files)
    pinned = render(helm, tmp_path, with_pins(files, plain, plain.images()))
    assert pinned.text == plain.text.replace("- image: *image", f"- image: {WEB}@{DIGEST}").replace(
        f"{{image: {WEB}}}", f"{{image: {WEB}@{DIGEST}}}"
    )


def test_a_template_that_includes_the_file_gets_its_text_as_it_was(helm: Helm, tmp_path: Path) -> None:
    hashes = '{{ include (print $.Template.BasePath "/a.yaml") . | sha256sum }}'
    files = {
        "templates/a.yaml": f"{POD}    - image: {WEB}\n",
        "templates/b.yaml": f"kind: ConfigMap\napiVersion: v1\nmetadata: {{name: x}}\ndata: {{hash: {hashes}}}\n",
    }
    plain = render(helm, tmp_path, files)
    pinned = render(helm, tmp_path, with_pins(files, plain, plain.images()))
    assert pinned.text == plain.text.replace(WEB, f"{WEB}@{DIGEST}")


def test_named_templates_win_and_lose_as_before(helm: Helm, tmp_path: Path) -> None:
    """Of two named templates with one name, Helm takes that of the file that it parses last."""
    own = '{{ define "who" }}%s{{ end }}'
    files = {
        f"templates/{name}.yaml": own % name + f'{POD}    - image: {WEB}\n      name: {{{{ include "who" . }}}}\n'
        for name in ("a", "B", "sub/c", "z")
    }
    plain = render(helm, tmp_path, files)
    for use in plain.images():
        pinned = render(helm, tmp_path, with_pins(files, plain, [use]))
        assert pinned.text.replace(f"@{DIGEST}", "") == plain.text


def test_white_space_around_named_templates_is_trimmed_as_before(helm: Helm, tmp_path: Path) -> None:
    """A named template that is taken out parts what the actions beside it trim."""
    beside = ["", " ", "\n# ", "x", "{{ $x }}", "{{- $x }}", "{{ $x -}}", "{{- $x -}}"]
    defines = [f"{{{{{left} define `NAME` }}}}D{{{{ end {right}}}}}" for left in ("", "-") for right in ("", "-")]
    parts = enumerate(itertools.product(beside, beside, defines, beside))
    lines = ["".join(["# ", *line]).replace("NAME", str(number)) + "\n" for number, line in parts]
    text = "{{ $x := 1 }}" + "".join(lines) + f"#\n{POD}    - image: {WEB}\n"
    plain = render(helm, tmp_path, {"templates/a.yaml": text})
    pinned = render(helm, tmp_path, with_pins({"templates/a.yaml": text}, plain, plain.images()))
    assert pinned.text.replace(f"@{DIGEST}", "") == plain.text


FORMS = (f"{WEB}@sha256:{'b' * 64}", f"example.com/team/web@sha256:{'b' * 64}")


def test_what_values_may_make_of_it_is_pinned_too(helm: Helm, tmp_path: Path) -> None:
    """A Job keeps its digest while the same value gives others a new one, with its tag or without."""
    beside = f"    - args: ['{WEB}']\n      image: side:1\n"
    texts = {
        f"templates/{key}.yaml": f"{POD}{beside}    - image: {{{{ .Values.{key} }}}}\n      name: {WEB}\n"
        for key in "abc"
    }
    plain = render(helm, tmp_path, {**texts, "values.yaml": "".join(f"{key}: {WEB}\n" for key in "abc")})
    changed = {}
    for path, text in texts.items():
        documents = [document for document in plain.documents if document.source == f"app/{path}"]
        (use,) = (use for use in plain.images() if use.source == f"app/{path}" and use.image == WEB)
        pin = locate(use, by_order(documents), f"{WEB}@{DIGEST}")
        assert pin is not None
        changed[path] = pinned_template(path, text, [pin._replace(may_become=FORMS)])
    now = "".join(f"{key}: {image}\n" for key, image in zip("abc", (*FORMS, WEB), strict=True))
    pinned = render(helm, tmp_path, {**changed, PRINT_FILE: printer(must_find=True), "values.yaml": now})
    assert pinned.text == plain.text.replace(f"- image: {WEB}", f"- image: {WEB}@{DIGEST}")


KEYS = """\
{{- range $name := index .Values.orders (int .Values.first) }}
---
kind: Pod
metadata: {name: {{ $name }}}
spec: {containers: [{name: a, image: "example.com/{{ $name }}:1"}]}
{{- end }}
"""


def test_a_chart_that_prints_its_documents_in_another_order_is_not_rendered(helm: Helm, tmp_path: Path) -> None:
    """As `keys` does, in one render of eight; here a value says which order."""
    values = "orders: [[a, b], [b, a], [a], [a, b, c]]\nfirst: {}\n"
    files = {"templates/a.yaml": KEYS, "values.yaml": values.format(0)}
    plain = render(helm, tmp_path, files)
    files = with_pins(files, plain, plain.images())
    pinned = render(helm, tmp_path, {**files, "values.yaml": values.format(3)})
    assert [use.image for use in pinned.images()][:2] == [f"example.com/{name}:1@{DIGEST}" for name in "ab"]
    for first in (1, 2):
        with pytest.raises(HelmFailed) as raised:
            render(helm, tmp_path, {**files, "values.yaml": values.format(first)})
        assert UNLIKE_BEFORE in raised.value.why
    render(helm, tmp_path, {**files, PRINT_FILE: printer(must_find=False)})


SPEC = f"spec: {{containers: [{{image: '{WEB}'}}]}}\n"
BESIDE = """\
{{- range $name := index .Values.orders (int .Values.first) }}
---
kind: Pod
metadata:
  name: {{ $name }}
  {{- if eq $name "c" }}
  annotations: {helm.sh/hook: test}
  {{- end }}
spec: {containers: [{name: a, image: "example.com/{{ $name }}:1", args: ["example.com/a:1"]}]}
{{- end }}
---
kind: Thing
spec: {image: "example.com/a:1"}
"""


IN_ONE_DOCUMENT = """\
kind: Pod
metadata: {name: web}
spec:
  containers:
    {{- range index .Values.orders (int .Values.first) }}
    {{- if eq . "args" }}
    - args: ["example.com/a:1", '--image=example.com/a:1', image, "example.com/a:1"]
    {{- else if eq . "lines" }}
    - args:
      - example.com/a:1
      - "example.com/a:1"
      - image=example.com/a:1
    {{- else if eq . "flow" }}
    - {name: flow, image: example.com/a:1, other: example.com/a:1}
    {{- else }}
    - image: {{ . }}
    {{- end }}
    {{- end }}
"""


def test_the_same_text_in_a_document_that_may_come_in_any_order(helm: Helm, tmp_path: Path) -> None:
    """It is told from the image by what stands before it, and stays as it is in each order."""
    items = ["args", "lines", "flow", "example.com/a:1", '"example.com/a:1"']
    orders = [[*order] for order in itertools.permutations(items)][::7]
    values = f"orders: {json.dumps(orders)}\nfirst: {{}}\n"
    files = {"templates/a.yaml": IN_ONE_DOCUMENT, "values.yaml": values.format(0)}
    plain = render(helm, tmp_path, files)
    pinned = with_pins(files, plain, plain.images(), in_any_order=True)
    for first in range(len(orders)):
        given = {"values.yaml": values.format(first)}
        expected = render(helm, tmp_path, {**files, **given}).text
        expected = re.sub(r"\bimage: (\"?)example.com/a:1", rf"image: \g<1>example.com/a:1@{DIGEST}", expected)
        assert expected.count(DIGEST) == 3
        assert render(helm, tmp_path, {**pinned, **given}).text == expected


def test_the_second_of_two_documents_with_one_name(helm: Helm, tmp_path: Path) -> None:
    files = {"templates/a.yaml": "".join(f"---\nkind: Pod\nmetadata: {{name: x}}\n{SPEC}" for _ in "ab")}
    plain = render(helm, tmp_path, files)
    _, second = plain.images()
    pinned = render(helm, tmp_path, with_pins(files, plain, [second], in_any_order=True))
    assert [use.image for use in pinned.images()] == [WEB, f"{WEB}@{DIGEST}"]


def test_documents_that_may_come_in_any_order_are_known_by_their_names(helm: Helm, tmp_path: Path) -> None:
    """Also if another one holds the same text where it is no image: nothing but the images gets the digest, in each order."""
    orders = [[*order] for order in ("abcd", "bacd", "dcba", "cdab")]
    values = f"orders: {json.dumps(orders)}\nfirst: {{}}\n"
    files = {"templates/a.yaml": BESIDE, "values.yaml": values.format(0)}
    plain = render(helm, tmp_path, files)
    pinned = with_pins(files, plain, plain.images(), in_any_order=True)
    for first in range(len(orders)):
        given = {"values.yaml": values.format(first)}
        expected = render(helm, tmp_path, {**files, **given}).text
        for name in "abcd":
            expected = expected.replace(
                f'image: "example.com/{name}:1", args', f'image: "example.com/{name}:1@{DIGEST}", args'
            )
        assert render(helm, tmp_path, {**pinned, **given}).text == expected
    with pytest.raises(HelmFailed) as raised:
        render(helm, tmp_path, {**pinned, "values.yaml": f"orders: {json.dumps([[*'abce']])}\nfirst: 0\n"})
    assert UNLIKE_BEFORE in raised.value.why
