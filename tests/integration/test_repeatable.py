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
    '{{ htpasswd "me" "secret" }}': r"me:\$2a\$10\$.{53}",
    '{{ bcrypt "secret" }}': r"\$2a\$10\$.{53}",
    '{{ "text" | encryptAES "key" | b64dec | empty }}': "false",
    '{{ shuffle "aaa" }}': "aaa",
    '{{ genPrivateKey "rsa" | trim | splitList "\\n" | first }}': "-----BEGIN RSA PRIVATE KEY-----",
    '{{ $ca := genCA "a" 3 }}{{ $ca.Cert | trim | splitList "\\n" | last }}': "-----END CERTIFICATE-----",
    '{{ (genSignedCert "b" nil (list "c" "d") 3 (genCA "a" 3)).Key | hasPrefix "-----BEGIN" }}': "true",
    '{{ genSelfSignedCert "b" (list "10.0.0.1") nil 3 | toJson | fromJson | keys | sortAlpha | join "," }}': "Cert,Key",
    '{{ include "helper" . }}': "[a-z0-9]{8}",
    '{{ if eq (randAlphaNum 5) "x" }}yes{{ else if now }}no{{ end }}': "no",
}
"""What a template prints with random functions, and the form of it."""
WRONG = [
    "randAlphaNum .Values.length",
    'randAlpha "3"',
    "randNumeric (add 1 2)",
    "randBytes nil",
    "randInt 1 .Values.length",
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
        "templates/_helpers.tpl": '{{ define "helper" }}{{ randAlphaNum 8 | lower }}{{ end }}',
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
    "a day": '{{ now | dateModify (printf "%dh" (mul 24 (len .Values.image.tag))) | date "20060102" }}',
}
"""How a random text shows that its form depends on a tag."""


@pytest.mark.parametrize("text", SHOWS.values(), ids=SHOWS)
def test_a_value_that_shows_in_a_random_text_is_not_set(text: str, promise: Promise, tmp_path: Path) -> None:
    secret = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: web}}\nstringData: {{a: '{text}'}}\n"
    files = {"templates/pod.yaml": POD, "templates/secret.yaml": secret, "values.yaml": VALUES}
    chart = written(tmp_path / "chart", files)
    assert [image["via"] for image in promise.plan(chart)["images"]] == ["template"]
    found = promise.holds(chart, again=True)
    assert found and found.images == ["example.com/team/web:1.2"]


def test_what_is_only_random_is_no_reason_against_a_value(promise: Promise, tmp_path: Path) -> None:
    """What is printed is random still."""
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {a: {{ randAlphaNum 40 }}}\n"
    files = {"templates/pod.yaml": POD, "templates/secret.yaml": secret, "values.yaml": VALUES}
    chart = written(tmp_path / "chart", files)
    plan = promise.plan(chart)
    assert ([image["via"] for image in plan["images"]], plan["renders"]) == (["values"], 2)
    printed = [promise.pin("template", "rel", chart).stdout for _ in range(2)]
    assert printed[0] != printed[1]
    assert len({re.sub(r"a: \w{40}}", "a: X}", text) for text in printed}) == 1


@pytest.mark.parametrize(
    "image",
    [
        "{{ index .Values.images (randInt 0 2) }}",
        "{{ if eq (randInt 1 10) 9 }}example.com/team/b:1{{ else }}example.com/team/a:1{{ end }}",
    ],
)
def test_an_image_by_chance_is_refused(image: str, promise: Promise, tmp_path: Path) -> None:
    pod = re.sub(r'image: ".*"', f'image: "{image}"', POD)
    chart = written(tmp_path / "chart", {"templates/pod.yaml": pod, "values.yaml": VALUES})
    done = promise.pin("plan", "rel", chart, "--no-cluster")
    assert done.status == 3
    assert "Error: the chart chooses images by chance\n  at    twin/templates/pod.yaml\n" in done.stderr
    assert "it has example.com/team/a:1\n" in done.stderr
    assert "it has example.com/team/b:1\n" in done.stderr


def test_what_takes_no_fixed_result_is_compared_by_further_renders(promise: Promise, tmp_path: Path) -> None:
    """Helm reads a certificate that the chart has made."""
    code = '{{ $c := genCA "a" 3 }}{{ (buildCustomCert (b64enc $c.Cert) (b64enc $c.Key)).Cert | b64enc }}'
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
