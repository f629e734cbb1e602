"""Charts made at random, full of the words that their images are made of: in names, labels, environment, prose, other references.

A chart with one of these traps renders for plain helm like any other. What is generated is text, so an example that fails can be
written to a folder and tried by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

NAMES = [
    *("nginx", "library/nginx", "docker.io/nginx", "docker.io/library/nginx", "team/nginx", "quay.io/team/nginx"),
    *("app", "web", "team/app", "example.com/team/app", "other.example.com/team/app", "example.com:8443/app"),
    *("localhost:5000/web", "mirror.example.com/docker.io/library/nginx", "example.com/image", "example.com/latest"),
    *("k8s.example.com/tag/v1", "example.com/te.am/a_b--c"),
]
TAGS = [
    "1.25",
    "1.25",
    "1.4.2",
    "1",
    "v1",
    "latest",
    "latest",
    "main",
    "1.25-alpine",
    "app",
    "nginx",
    "08054",
    None,
    None,
]
RANDOM = re.compile(r"r0[0-9]{6}0r")
"""What a chart makes at random here; a comparison puts one text in its place."""


class Text(NamedTuple):
    """Texts of an image as templates write them: literally, or through a value."""

    whole: str
    name: str
    tag: str
    bare: str
    """The last part of the name, literally."""


class Image(NamedTuple):
    """One image of a chart: how it stands in the values, and how the templates write it."""

    written: str
    values: dict[str, Any]
    text: Text
    literal: Text
    has_tag: bool
    rows: str = ""
    """A template action that writes a whole list of containers instead."""


class Made(NamedTuple):
    """A chart: its files, and the image of a template whose own text is hashed into a name: it alone may be refused."""

    files: dict[str, str]
    hashed: str


SHAPES = [
    "hard",
    "hard",
    "whole",
    "map",
    "map",
    "registry",
    "digest",
    "digest keeps tag",
    "flat",
    "global",
    "app version",
    "list",
    "raw",
    "helper",
]


@st.composite
def images(draw: st.DrawFn, number: int, shape: str, parent: str = ".Values") -> Image:
    """One image under the key `c<number>` or a key that is a word of its own."""
    name, tag = draw(st.sampled_from(NAMES)), draw(st.sampled_from(TAGS))
    whole = f"{name}:{tag}" if tag else name
    bare = name.rpartition("/")[2]
    literal = Text(whole, name, tag or "latest", bare)
    key = draw(st.sampled_from([f"c{number}", f"{re.sub('[^a-z]', '', bare)}{number}", f"image{number}"]))
    at = f"{parent}.{key}"
    values: dict[str, Any] = {}
    text, rows = literal, ""
    colon_tag = f"{{{{ with {at}.tag }}}}:{{{{ . }}}}{{{{ end }}}}"
    if shape == "whole":
        values = {key: whole}
        text = literal._replace(whole=f"{{{{ {at} }}}}")
    elif shape == "map":
        values = {key: {"repository": name, "tag": tag or ""}}
        text = Text(f"{{{{ {at}.repository }}}}{colon_tag}", f"{{{{ {at}.repository }}}}", f"{{{{ {at}.tag }}}}", bare)
    elif shape == "registry":
        registry, _, repository = name.rpartition("/")
        values = {key: {"registry": registry, "repository": repository, "tag": tag or ""}}
        own = f"{{{{ with {at}.registry }}}}{{{{ . }}}}/{{{{ end }}}}{{{{ {at}.repository }}}}"
        text = Text(f"{own}{colon_tag}", own, f"{{{{ {at}.tag }}}}", bare)
    elif shape in ("digest", "digest keeps tag"):
        values = {key: {"repository": name, "tag": tag or "", "digest": ""}}
        own = f"{{{{ {at}.repository }}}}"
        digest = f"{{{{ with {at}.digest }}}}@{{{{ . }}}}{{{{ end }}}}"
        if shape == "digest":
            whole_text = f"{own}{{{{ if {at}.digest }}}}@{{{{ {at}.digest }}}}{{{{ else }}}}{colon_tag}{{{{ end }}}}"
        else:
            whole_text = own + colon_tag + digest
        text = Text(whole_text, own, f"{{{{ {at}.tag }}}}", bare)
    elif shape == "flat":
        values = {f"{key}Image": name, f"{key}Tag": tag or ""}
        own, with_tag = f"{{{{ {at}Image }}}}", f"{{{{ with {at}Tag }}}}:{{{{ . }}}}{{{{ end }}}}"
        text = Text(own + with_tag, own, f"{{{{ {at}Tag }}}}", bare)
    elif shape == "global":
        registry, _, repository = name.rpartition("/")
        values = {"global": {f"{key}Registry": registry}, key: {"repository": repository, "tag": tag or ""}}
        where = f"{{{{ with $.Values.global.{key}Registry }}}}{{{{ . }}}}/{{{{ end }}}}"
        text = Text(
            f"{where}{{{{ {at}.repository }}}}{colon_tag}", f"{{{{ {at}.repository }}}}", f"{{{{ {at}.tag }}}}", bare
        )
    elif shape == "app version":
        values = {key: {"repository": name, "tag": ""}}
        shown = f"{{{{ {at}.tag | default $.Chart.AppVersion }}}}"
        whole, tag = f"{name}:9.8.7", "9.8.7"
        literal = Text(whole, name, tag, bare)
        text = Text(f"{{{{ {at}.repository }}}}:{shown}", f"{{{{ {at}.repository }}}}", shown, bare)
    elif shape == "list":
        values = {key: [{"name": "first", "image": whole}, {"name": "second", "image": whole}]}
        text = literal._replace(whole=f"{{{{ (index {at} 0).image }}}}")
        rows = f"{{{{- range {at} }}}}\n        - name: {{{{ .name }}}}\n          image: {{{{ .image }}}}\n        {{{{- end }}}}"
    elif shape == "raw":
        values = {key: [{"name": "only", "image": whole, "env": [{"name": "A", "value": "b"}]}]}
        text = literal._replace(whole=f"{{{{ (index {at} 0).image }}}}")
        rows = f"{{{{- toYaml {at} | nindent 8 }}}}"
    elif shape == "helper":
        values = {key: {"repository": name, "tag": tag or ""}}
        text = literal._replace(whole=f'{{{{ include "made.image" {at} }}}}', tag=f"{{{{ {at}.tag }}}}")
    return Image(whole, values, text, literal, bool(tag), rows)


HELPER = """\
{{- define "made.image" -}}
{{ .repository }}{{ with .tag }}:{{ . }}{{ end }}
{{- end }}
"""

WORDS: dict[str, Callable[[Text], str]] = {
    "whole": lambda t: t.whole,
    "prose": lambda t: f"run {t.whole} by hand, or {t.whole}, not {t.bare}",
    "name": lambda t: t.name,
    "bare word": lambda t: t.bare,
    "tag": lambda t: t.tag,
    "version": lambda t: f"v{t.tag}",
    "release and tag": lambda t: "{{ .Release.Name }}-" + t.tag,
    "other registry": lambda t: f"other.example/{t.whole}",
    "longer name": lambda t: f"my{t.whole}",
    "longer tag": lambda t: f"{t.whole}-debug",
    "another tag": lambda t: f"{t.name}:0.0.1",
    "argument": lambda t: f"--image={t.whole}",
    "pair": lambda t: f"a={t.whole},b={t.whole}-x",
    "json": lambda t: f'{{"image":"{t.whole}","name":"{t.bare}"}}',
    "image line": lambda t: f"image: {t.whole}",
    "replaced": lambda t: t.tag.replace("}}", '| replace "." "-" }}'),
    "hash of the tag": lambda t: t.tag.replace("}}", "| toString | sha256sum | trunc 10 }}"),
    "encoded": lambda t: t.tag.replace("}}", "| toString | b64enc }}"),
    "random and tag": lambda t: f"r0{{{{ randNumeric 6 }}}}0r-{t.tag}",
    "random and whole": lambda t: f"r0{{{{ randNumeric 6 }}}}0r {t.whole}",
}
PLACES = [
    *(
        "name",
        "label",
        "label called image",
        "selector",
        "annotation",
        "annotation called image",
        "pod label",
        "pod annotation",
    ),
    *(
        "env",
        "argument",
        "command",
        "config value",
        "config value called image",
        "config key",
        "config text",
        "custom field",
    ),
    *("custom field called image", "comment", "container name", "hash of the file", "checksum"),
]


HASH = '{{ include (print $.Template.BasePath "/f0.yaml") . | sha256sum | trunc 9 }}'


@st.composite
def charts(draw: st.DrawFn) -> Made:
    """A whole chart of two to five images, in as many files, a subchart's perhaps."""
    files: dict[str, str] = {"templates/_made.tpl": HELPER}
    values: dict[str, Any] = {"sub": {}}
    hashed_image = first_image = ""
    first_can_be_hashed = first_in_sub = False
    for number in range(draw(st.integers(2, 5))):
        in_sub = draw(st.sampled_from([False, False, False, True]))
        shape = draw(st.sampled_from([shape for shape in SHAPES if not (in_sub and shape == "global")]))
        image = draw(images(number, shape))
        docs = []
        for position in range(draw(st.integers(1, 3))):
            traps = draw(
                st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(sorted(WORDS)), st.booleans()), max_size=4)
            )
            wanted = any(place == "hash of the file" for place, _, _ in traps)
            hashed = wanted and number > 0 and in_sub == first_in_sub and first_can_be_hashed
            hashed_image = first_image if hashed else hashed_image
            runs, hook = position == 0, draw(st.booleans())
            docs.append(document(image, f"o{number}-{position}", traps, hashed=hashed, runs=runs, hook=hook))
        if number == 0:  # a hash of random text is random
            first_image, first_in_sub = image.written, in_sub
            first_can_be_hashed = "randNumeric" not in "".join(docs)
        other = draw(st.permutations(docs))
        files[f"{'charts/sub/' if in_sub else ''}templates/f{number}.yaml"] = "---\n".join(other)
        target = values["sub"] if in_sub else values
        for key, value in image.values.items():
            target[key] = {**target.get(key, {}), **value} if isinstance(value, dict) else value
    if any(path.startswith("charts/") for path in files):
        own = draw(st.booleans())
        files["charts/sub/Chart.yaml"] = "apiVersion: v2\nname: sub\nversion: 1.0.0\nappVersion: 9.8.7\n"
        files["charts/sub/values.yaml"] = json.dumps(values.pop("sub") if own else {})
    files["Chart.yaml"] = "apiVersion: v2\nname: made\nversion: 1.0.0\nappVersion: 9.8.7\n"
    files["values.yaml"] = json.dumps(values, indent=1)
    return Made(files, hashed_image)


def document(
    image: Image, name: str, traps: list[tuple[str, str, bool]], *, hashed: bool, runs: bool, hook: bool
) -> str:
    """A Deployment that runs the image, or a ConfigMap and a custom resource beside it, with the traps in their places.
    hashed: a hash of the first file, which is another one, goes into the name."""
    found: dict[str, list[str]] = {place: [] for place in PLACES}
    for place, word, through_values in traps:
        text = WORDS[word](image.text if through_values else image.literal)
        found[place].append(text)
    names = [name, *found["name"], *([HASH] if hashed else [])]
    labels = lines([("l", t) for t in found["label"]] + [("image", t) for t in found["label called image"][:1]])
    annotations = [("a", t) for t in found["annotation"]] + [("image", t) for t in found["annotation called image"][:1]]
    if hook and runs:
        annotations.append(("helm.sh/hook", "pre-install"))
    checksum = "{{ toJson .Values | sha256sum }}" if found["checksum"] else ""
    comment = "".join(f"# {text}\n" for text in found["comment"])
    head = f"metadata:\n  name: '{'-'.join(names)}'\n  labels:\n    l: x\n{labels}  annotations:\n    a: x\n{lines(annotations)}"
    if not runs:
        data = lines(
            [("k", t) for t in found["config value"]] + [("image", t) for t in found["config value called image"][:1]],
            2,
        )
        data += "".join(f"  '{text} {i}': x\n" for i, text in enumerate(found["config key"]))
        data += "".join(
            f"  text{i}: |\n    # {text}\n    image: {text}\n    image: '{text}'\n"
            for i, text in enumerate(found["config text"])
        )
        custom = lines(
            [("k", t) for t in found["custom field"]] + [("image", t) for t in found["custom field called image"][:1]],
            2,
        )
        return (
            f"apiVersion: v1\nkind: ConfigMap\n{comment}{head}data:\n  one: x\n{data}"
            f"---\napiVersion: example.com/v1\nkind: Thing\n{head}spec:\n  one: x\n{custom}"
        )
    pod = lines([("l", t) for t in [*found["pod label"], *found["selector"]]], 8)
    pod_annotations = lines(
        [("a", t) for t in found["pod annotation"]] + ([("checksum/values", checksum)] if checksum else []), 8
    )
    rows = image.rows or f"\n        - name: main\n          image: {image.text.whole}"
    return (
        f"apiVersion: apps/v1\nkind: Deployment\n{comment}{head}spec:\n  selector:\n    matchLabels:\n      l: x\n"
        f"{lines([('l', t) for t in found['selector']], 6)}  template:\n    metadata:\n      labels:\n        l: x\n{pod}"
        f"      annotations:\n        a: x\n{pod_annotations}    spec:\n      containers:\n        {rows.lstrip()}\n"
        f"        - name: '{'-'.join(['beside', *found['container name']])}'\n          image: {image.text.whole}\n"
        f"          args: [x{''.join(quoted(t) for t in found['argument'])}]\n"
        f"          command: [x{''.join(quoted(t) for t in found['command'])}]\n"
        f"          env:\n            - {{name: E, value: x}}\n"
        + "".join(f"            - {{name: E{i}, value: '{text}'}}\n" for i, text in enumerate(found["env"]))
    )


def lines(entries: list[tuple[str, str]], indent: int = 4) -> str:
    """Lines of a map, whose keys get a number where they would stand there twice."""
    return "".join(
        f"{' ' * indent}{key}{i if key in 'alk' else ''}: '{text}'\n" for i, (key, text) in enumerate(entries)
    )


def quoted(text: str) -> str:
    """One more element of a flow sequence."""
    return f", '{text}'"
