"""Fixed results in place of random ones: helm takes them as it takes the others, and what reaches them shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helmpin.chart.stage import ChartSource, stage
from helmpin.helm import Helm
from helmpin.render.repeatable import repeatable
from tests.support.promise import Promise
from tests.support.twins import written
from tests.support.workstation import whichever_helm

pytestmark = whichever_helm

CALLS = {
    "{{ randAlphaNum 70 }}": r"[A-Za-z0-9]{70}",
    "{{ 3 | randAlpha }}": r"[A-Za-z]{3}",
    "{{ randNumeric (int .Values.length) | quote }}": r'"\d{20}"',
    "{{ randAscii 5 | len }}": "5",
    "{{ randBytes 30 | b64dec | len }}": "30",
    '{{ until (randInt 2 4) | join "-" }}': "0-1(-2)?",
    "{{ randAlphaNum 0 | quote }}": '""',
    "{{ uuidv4 }}": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    '{{ now | date "2006-01-02" }}': r"20\d\d-\d\d-\d\d",
    '{{ dateModify "-1h" now | unixEpoch }}': r"\d{10}",
    "{{ (now).Unix }}": r"\d{10}",
    "{{ now.Unix }}": r"\d{10}",
    '{{ htpasswd "me" "secret" }}': r"me:\$2a\$10\$.{53}",
    '{{ bcrypt "secret" }}': r"\$2a\$10\$.{53}",
    '{{ "text" | encryptAES "key" | b64dec | empty }}': "false",
    '{{ shuffle "aaa" }}': "aaa",
    '{{ genPrivateKey "rsa" | trim | splitList "\\n" | first }}': "-----BEGIN RSA PRIVATE KEY-----",
    '{{ $ca := genCA "a" 3 }}{{ $ca.Cert | trim | splitList "\\n" | last }}': "-----END CERTIFICATE-----",
    '{{ (genSignedCert "b" nil (list "c" "d") 3 (genCA "a" 3)).Key | hasPrefix "-----BEGIN" }}': "true",
    '{{ genSelfSignedCert "b" (list "10.0.0.1") nil 3 | toJson | fromJson | keys | sortAlpha | join "," }}': "Cert,Key",
    '{{ $c := genCA "a" 3 }}{{ (buildCustomCert (b64enc $c.Cert) (b64enc $c.Key)).Cert | eq $c.Cert }}': "true",
    '{{ include "helper" . }}': "[a-z0-9]{8}",
    '{{ tuple . 9 | include "of a list" }}': "[A-Za-z]{9}",
    '{{ include "of a list" (list (dict "in" .) 9) }}': "[A-Za-z]{9}",
    '{{ (genCA "a" 3) | list "b" | include "alone" }}': "true",
    '{{ $c := genCA "a" 3 }}{{ list "b" (buildCustomCert (b64enc $c.Cert) (b64enc $c.Key)) | include "alone" }}': "true",
    '{{ tpl "{{ randAlpha 3 | upper }}é{{ .Values.length }}" . }}': "[A-Z]{3}é20",
    '{{ if eq (randAlphaNum 5) "x" }}yes{{ else if now }}no{{ end }}': "no",
}
"""What a template prints with random functions, and the form of it."""
OF_A_LIST = '{{ define "of a list" }}{{ randAlpha (index . 1) }}{{ end }}'
ALONE = """\
{{ define "alone" -}}
{{ (genSignedCert (index . 0) nil nil 3 (index . 1)).Key | hasPrefix "-----BEGIN" }}
{{- (genSignedCertWithKey (index . 0) nil nil 3 (index . 1) (genPrivateKey "rsa")).Key | hasPrefix "-----END" | ternary "no" "" }}
{{- end }}
"""
"""A named template that gets nothing of helm's, so that what it signs stays random; the authority may be a fixed result."""
WRONG = [
    "randAlphaNum .Values.length",
    'randAlpha "3"',
    "randNumeric (add 1 2)",
    "randBytes nil",
    "randBytes -1",
    "randInt 1 .Values.length",
    "randInt 5 2",
    'randInt "1" 2',
    "bcrypt .Values.none",
    'htpasswd "me" .Values.none',
    'htpasswd 3 "secret"',
    'encryptAES "key" 3',
    "shuffle 3",
    'genCA "a" .Values.length',
    "genCA .Values.none 3",
    'genSelfSignedCert "a" nil nil .Values.length',
    'genSignedCert .Values.none nil nil 3 (genCA "a" 3)',
    'genSignedCert "a" nil nil 3',
]
"""Calls that helm refuses for the types of their arguments."""


def test_helm_prints_the_same_each_time_in_the_same_form(promise: Promise, tmp_path: Path) -> None:
    lines = "".join(f"  k{number}: >-\n    {call}\n" for number, call in enumerate(CALLS))
    files = {
        "templates/all.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: all}}\ndata:\n{lines}",
        "templates/_helpers.tpl": '{{ define "helper" }}{{ randAlphaNum 8 | lower }}{{ end }}' + OF_A_LIST + ALONE,
        "values.yaml": "length: 20\n",
    }
    helm = Helm(str(promise.machine.helm_binary))
    with stage(ChartSource(str(written(tmp_path / "chart", files))), helm) as chart:
        fixed = repeatable(chart)
        one, other = (helm.run(["template", "rel", str(fixed.archive())]) for _ in range(2))
        plain = helm.run(["template", "rel", str(chart.archive())])
    assert one == other != plain
    for printed in (one, plain):
        found = re.findall(r"  k\d+: >-\n    (.*)", printed)
        assert len(found) == len(CALLS)
        for text, (call, form) in zip(found, CALLS.items(), strict=True):
            assert re.fullmatch(form, text), (call, text)


@pytest.mark.parametrize("call", WRONG)
def test_what_helm_refuses_is_refused(call: str, promise: Promise, tmp_path: Path) -> None:
    files = {"templates/all.yaml": f"a: {{{{ {call} | toString | b64enc }}}}\n", "values.yaml": "length: 20\n"}
    done = promise.pin("plan", "rel", written(tmp_path / "chart", files), "--no-cluster")
    assert done.status == 1
    assert "helm template failed" in done.stderr
    assert "helm-pin: " not in done.stderr


POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - {name: web, image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"}
"""
VALUES = (
    'image: {repository: example.com/team/web, tag: "1.2"}\nimages: ["example.com/team/a:1", "example.com/team/b:1"]\n'
    "map: {x: 'example.com/team/a:1', y: 'example.com/team/b:1', z: 'example.com/team/c:1'}\n"
)
SHOWS = {
    "fixed": '{{ if contains "@" .Values.image.tag }}fixed{{ else }}{{ randAlphaNum 16 }}{{ end }}',
    "random": '{{ if contains "@" .Values.image.tag }}{{ randAlphaNum 16 }}{{ else }}fixed{{ end }}',
    "another number": '{{ if contains "@" .Values.image.tag }}{{ randInt 1 9 }}{{ else }}8080{{ end }}',
    "longer": "{{ len .Values.image.tag | randAlphaNum }}",
    "other letters": '{{ if contains "@" .Values.image.tag }}{{ randNumeric 9 }}{{ else }}{{ randAlpha 9 }}{{ end }}',
    "a name of a certificate": '{{ (genSelfSignedCert .Values.image.tag nil (list "web.example.com") 30).Cert | b64enc }}',
    "the lifetime of a certificate": '{{ (genCA "web" (len .Values.image.tag)).Cert | b64enc }}',
    "another authority": '{{ (genSignedCert "a" nil nil 3 (genCA .Values.image.tag 3)).Key | b64enc }}',
    "a password": '{{ htpasswd "web" .Values.image.tag }}',
    "a text beside it": "{{ randAlphaNum 16 }}{{ len .Values.image.tag }}{{ uuidv4 }}",
    "in base64": '{{ printf "%s:%d" (randAlphaNum 16) (len .Values.image.tag) | b64enc | b64enc }}',
    "an authority of another name": '{{ (genSignedCert "a" nil nil 3 (genCA .Values.image.tag 3)).Cert | b64enc }}',
    "the range of a number": "{{ randInt 0 (int (mul 1000 (len .Values.image.tag))) }}",
    "two that are never the same": '{{ if eq (include "id" .) (include "id" .) }}same{{ else }}{{ .Values.image.tag }}{{ end }}',
    "the kind of a key": '{{ if contains "EC P" (genPrivateKey "ecdsa") }}{{ len .Values.image.tag }}{{ end }}',
    "a name that is none": '{{ htpasswd "a:b" "x" | eq "invalid username: a:b" | ternary (len .Values.image.tag) 0 }}',
    "a day": '{{ now | dateModify (printf "%dh" (mul 24 (len .Values.image.tag))) | date "20060102" }}',
}
"""How a random text shows that its form depends on a tag."""


def chart_with(secret: str, helper: str, tmp_path: Path) -> Path:
    """The chart of a pod and `secret`, which can include what `helper` defines."""
    files = {"templates/pod.yaml": POD, "templates/secret.yaml": secret, "templates/_h.tpl": helper}
    return written(tmp_path / "chart", {**files, "values.yaml": VALUES})


@pytest.mark.parametrize("text", SHOWS.values(), ids=SHOWS)
def test_a_value_that_shows_in_a_random_text_is_not_set(text: str, promise: Promise, tmp_path: Path) -> None:
    secret = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: web}}\nstringData: {{a: '{text}'}}\n"
    helper = '{{ define "id" }}{{ randAlpha 8 }}{{ end }}'
    chart = chart_with(secret, helper, tmp_path)
    assert [image["via"] for image in promise.plan(chart)["images"]] == ["template"]
    found = promise.holds(chart, again=True)
    assert found and found.images == ["example.com/team/web:1.2"]


def test_what_is_only_random_is_no_reason_against_a_value(promise: Promise, tmp_path: Path) -> None:
    """What is printed is random still."""
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {a: {{ randAlphaNum 40 }}}\n"
    chart = chart_with(secret, "", tmp_path)
    plan = promise.plan(chart)
    assert ([image["via"] for image in plan["images"]], plan["renders"]) == (["values"], 2)
    printed = [promise.pin("template", "rel", chart).stdout for _ in range(2)]
    assert printed[0] != printed[1]
    assert len({re.sub(r"a: \w{40}}", "a: X}", text) for text in printed}) == 1


CHANCE = {
    "one of two": "{{ index .Values.images (randInt 0 2) }}",
    "the last of many": "{{ if eq (randInt 1 10) 9 }}example.com/team/b:1{{ else }}example.com/team/a:1{{ end }}",
    "one in the middle": "{{ index .Values.images (mod (randInt 0 3) 2) }}",
    "a name": "example.com/team/{{ randAlphaNum 5 | lower }}:1",
    "a tag": 'example.com/team/a:{{ include "id" . }}',
    "what tpl makes of a text": '{{ tpl "{{ index .Values.images (randInt 0 2) }}" . }}',
    "what a block prints": '{{ include "chosen" . }}',
    "by a shuffled text": '{{ if eq (shuffle "ab") "ab" }}example.com/team/a:1{{ else }}example.com/team/b:1{{ end }}',
    "sorted elsewhere": "{{ index .Values.map (keys .Values.map | first) | default (sortAlpha .Values.images | first) }}",
    "the first of a map": "{{ index .Values.map (keys .Values.map | first) }}",
    "a value of a map": "{{ values .Values.map | first }}",
    "how many": """example.com/team/a:1"}
    {{- range until (randInt 1 9) }}
    - {name: "more-{{ . }}", image: "example.com/team/a:1""",
}


@pytest.mark.parametrize("image", CHANCE.values(), ids=CHANCE)
def test_images_by_chance_are_refused(image: str, promise: Promise, tmp_path: Path) -> None:
    ended = "\n    {{- end }}\n" if "range" in image else "\n"
    pod = POD.replace("{{ .Values.image.repository }}:{{ .Values.image.tag }}", image).rstrip("\n") + ended
    helper = (
        '{{ define "id" }}{{ uuidv4 }}{{ end }}{{ block "chosen" . }}{{ index .Values.images (randInt 0 2) }}{{ end }}'
    )
    files = {"templates/pod.yaml": pod, "templates/_h.tpl": helper, "values.yaml": VALUES}
    chart = written(tmp_path / "chart", files)
    promise.machine.helm("template", "rel", chart)
    done = promise.pin("plan", "rel", chart, "--no-cluster")
    assert done.status == 3, done.stdout + done.stderr
    assert "Error: the chart chooses images by chance\n  at    twin/templates/pod.yaml\n" in done.stderr
    assert re.search("with some random results it has example.com.*\n *with others it has example.com", done.stderr)
    if image == CHANCE["a tag"]:
        let = promise.pin("template", "rel", chart, "--allow-unpinned", "example.com/team/a:*")
        assert let.status == 0 and 'image: "example.com/team/a:' in let.stdout


CHANCE_BY_VALUES = {
    "set": '{{ $_ := set .Values "which" (randInt 0 2) }}',
    "merged": '{{ $_ := mustMergeOverwrite .Values (dict "which" (randInt 0 2)) }}',
    "in a variable": '{{ $values := $.Values }}{{ $_ := set $values "which" (randInt 0 2) }}',
    "in an element of a list": '{{ $v := list .Values | first }}{{ $_ := set $v "which" (randInt 0 2) }}',
    "in a field of a map": '{{ $_ := set (dict "v" .Values).v "which" (randInt 0 2) }}',
    "below": '{{ $_ := set .Values.map "x" (index .Values.images (randInt 0 2)) }}',
    "by a named template": '{{ include "choose" . }}',
    "by what another one does": '{{ include "set" (dict "values" .Values "which" (randInt 0 2)) }}',
    "removed": '{{ if eq (randInt 0 2) 1 }}{{ $_ := unset .Values "else" }}{{ end }}',
}


@pytest.mark.parametrize("setting", CHANCE_BY_VALUES.values(), ids=CHANCE_BY_VALUES)
def test_images_by_chance_through_values_are_refused(setting: str, promise: Promise, tmp_path: Path) -> None:
    """Helm runs the deepest path first, and all templates get the same maps."""
    image = "{{ index .Values.images (int (hasKey .Values `which` | ternary .Values.which .Values.else)) }}"
    image = "{{ .Values.map.x }}" if ".map" in setting else image
    helpers = (
        '{{ define "choose" }}{{ $_ := set .Values "which" (randInt 0 2) }}{{ end }}'
        '{{ define "set" }}{{ $_ := set .values "which" .which }}{{ end }}'
    )
    files = {
        "templates/pod.yaml": POD.replace("{{ .Values.image.repository }}:{{ .Values.image.tag }}", image),
        "templates/a/b/set.yaml": setting,
        "templates/_h.tpl": helpers,
        "values.yaml": f"{VALUES}else: 1\n",
    }
    chart = written(tmp_path / "chart", files)
    promise.machine.helm("template", "rel", chart)
    done = promise.pin("plan", "rel", chart, "--no-cluster")
    assert done.status == 3, done.stdout + done.stderr
    assert "Error: the chart chooses images by chance\n  at    twin/templates/pod.yaml\n" in done.stderr


def test_images_that_are_random_results_apart_the_same_are_pinned(promise: Promise, tmp_path: Path) -> None:
    """In a map whose keys are random, in objects with random names, beside what fails by chance."""
    pod = """\
{{- $all := dict }}
{{- range .Values.images }}{{ $_ := set $all (include "id" $) . }}{{ end }}
{{- $a := randInt 0 999 }}{{ $b := randInt 0 999 }}{{ if and (eq $a 998) (eq $b 998) }}{{ fail "both" }}{{ end }}
apiVersion: v1
kind: Pod
metadata: {name: web-{{ include "id" $ }}}
spec:
  containers:
    {{- range $name, $image := $all }}
    - {name: "{{ $name }}", image: "{{ $image }}"}
    {{- end }}
"""
    helper = '{{ define "id" }}{{ randAlphaNum 9 | lower }}{{ end }}'
    files = {"templates/pod.yaml": pod, "templates/_h.tpl": helper, "values.yaml": VALUES}
    chart = written(tmp_path / "chart", files)
    assert [image["image"] for image in promise.plan(chart)["images"]] == [
        "example.com/team/a:1",
        "example.com/team/b:1",
    ]
    done = promise.pin("template", "rel", chart)
    assert len(re.findall(r"image: .*@sha256:", done.stdout)) == 2, done.stderr


def test_what_takes_no_fixed_result_is_compared_by_further_renders(promise: Promise, tmp_path: Path) -> None:
    """Helm decrypts what the chart has encrypted."""
    code = '{{ randAlphaNum 20 | encryptAES "key" | decryptAES "key" }}'
    secret = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: web}}\nstringData: {{a: '{code}'}}\n"
    files = {"templates/pod.yaml": POD, "templates/secret.yaml": secret, "values.yaml": VALUES}
    found = promise.holds(written(tmp_path / "chart", files), again=True)
    assert found and found.images == ["example.com/team/web:1.2"]


def test_a_message_of_helm_has_the_words_of_the_chart(promise: Promise, tmp_path: Path) -> None:
    files = {
        "templates/pod.yaml": POD + '# {{ randAlphaNum 5 | index "x" }}\n',
        "values.yaml": VALUES,
    }
    done = promise.pin("plan", "rel", written(tmp_path / "chart", files), "--no-cluster")
    assert done.status == 1
    assert 'index "x"' in done.stderr and "helm-pin: " not in done.stderr


LISTED = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: all}
data:
  all: "{{ range $k := keys .Values.few }}{{ $k }}={{ hasSuffix (get $.Values.few $k) $.Values.image.tag }} {{ end }}"
  of: "{{ range values .Values.few }}{{ . }}{{ hasSuffix . $.Values.image.tag }} {{ end }}"
"""


def test_another_order_hides_no_change(promise: Promise, tmp_path: Path) -> None:
    """Of what stands in a list in any order."""
    values = (
        VALUES.replace("1.2", "1.2-alpine") + "few: {musl: -alpine, glibc: -debian, none: -distroless, ubi: -ubi}\n"
    )
    for line in ("all", "of"):
        text = "".join(
            each for each in LISTED.splitlines(keepends=True) if not each.startswith("  ") or line in each[:5]
        )
        files = {"templates/pod.yaml": POD, "templates/all.yaml": text, "values.yaml": values}
        chart = written(tmp_path / line, files)
        for _ in range(2):
            assert [image["via"] for image in promise.plan(chart)["images"]] == ["template"]


def test_lists_in_any_order_with_random_texts_are_no_reason_against_a_value(promise: Promise, tmp_path: Path) -> None:
    text = """\
{{- range $user := keys .Values.users }}
---
apiVersion: v1
kind: Secret
metadata: {name: "{{ $user }}-{{ randAlphaNum 5 | lower }}"}
stringData: {acl: "user {{ $user }} on >{{ randAlphaNum 16 }} ~* +@{{ get $.Values.users $user }}"}
{{- end }}
"""
    values = VALUES + "users: {a: read, b: write, c: all, d: read, e: write, f: all, g: read, h: read}\n"
    files = {"templates/pod.yaml": POD, "templates/all.yaml": text, "values.yaml": values}
    chart = written(tmp_path / "chart", files)
    for _ in range(3):
        plan = promise.plan(chart)
        assert ([image["via"] for image in plan["images"]], plan["renders"]) == (["values"], 2)


def test_results_without_the_chart_around_them_stay_random(promise: Promise, tmp_path: Path) -> None:
    """No two of them are the same then: each is a key here, and no image is lost. Or the chart is refused for its random order."""
    pod = """\
{{- $all := dict }}
{{- range .Values.images }}{{ $_ := set $all (include "id" @) . }}{{ end }}
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    {{- range $name, $image := $all }}
    - {name: "c-{{ $name }}", image: "{{ $image }}"}
    {{- end }}
"""
    helper = '{{ define "id" }}{{ randAlphaNum 9 | lower }}{{ end }}'
    for number, context in enumerate(("5", '(dict "a" (dict "context" $))', "nil")):
        text = pod.replace("@", context)
        files = {"templates/pod.yaml": text, "templates/_h.tpl": helper, "values.yaml": VALUES}
        chart = written(tmp_path / str(number), files)
        done = promise.pin("template", "rel", chart)
        refused = done.status in (1, 3) and not done.stdout
        assert (refused and number != 1) or len(re.findall(r"image: .*@sha256:", done.stdout)) == 2, done.stderr


def test_a_fixed_authority_signs_what_stays_random(promise: Promise, tmp_path: Path) -> None:
    """The helper gets the authority, and nothing of helm's."""
    secret = """\
{{- $ca := genCA "web" 3 }}
apiVersion: v1
kind: Secret
metadata: {name: web}
data:
  ca.pem: {{ $ca.Cert | b64enc }}
{{- range list "a" "b" }}
  {{ include "signed" (list . $ca) }}
{{- end }}
"""
    helper = '{{ define "signed" }}{{ $made := genSignedCert (index . 0) nil nil 3 (index . 1) }}'
    helper += "{{ index . 0 }}.pem: {{ $made.Cert | b64enc }}{{ end }}"
    chart = chart_with(secret, helper, tmp_path)
    found = promise.holds(chart, again=True)
    assert found and found.images == ["example.com/team/web:1.2"]


def test_what_was_tried_is_told_in_the_words_of_the_chart(promise: Promise, tmp_path: Path) -> None:
    pod = '{{ if ne .Values.image.tag "1.2" }}{{ $x := randAlphaNum "x" }}{{ end }}\n' + POD
    chart = written(tmp_path / "chart", {"templates/pod.yaml": pod, "values.yaml": VALUES})
    done = promise.pin("plan", "rel", chart, "--no-cluster", "-v")
    assert done.status == 0
    assert re.search('at <"x">|found "x"', done.stdout), done.stdout
    assert "helm-pin: " not in done.stdout + done.stderr
