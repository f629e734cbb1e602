"""The digest that each image gets, and why an image gets none. All digests come from a lock, so no registry is asked."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import pytest

from helmpin.config.settings import Settings
from helmpin.errors import UsageError
from helmpin.gate import Gate
from helmpin.image.reference import Reference
from helmpin.lock import Lock
from helmpin.plan import digests as under_test
from helmpin.plan.digests import ResolvedImages, digests_of
from helmpin.plan.jobs import KeptJobs, UpgradedRevision
from helmpin.plan.rendered import Rendered
from helmpin.registry import RegistryError, RegistrySettings, Resolved
from helmpin.render.output import Render, parse
from tests.support.plans import chart
from tests.support.renders import digest, document, pod

A, B, C = digest("a"), digest("b"), digest("c")
WEB, SIDE = "example.com/web:main", "example.com/side:main"
SETTINGS = Settings("pin", (), (), (), False, RegistrySettings(), locked=True)
JOB = (
    "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\n"
    "spec: {template: {spec: {containers: [{name: a, image: '%s'}]}}}\n"
)


def rendered(text: str, kept: Mapping[str, Any]) -> Rendered:
    plain: Render = parse(text)
    nothing = cast("Any", None)
    return Rendered(nothing, nothing, False, plain, plain, nothing, nothing, {}, kept)


def planned(
    text: str,
    lock: dict[str, str] | None,
    *,
    settings: Settings = SETTINGS,
    stored: str = "",
    only: bool = True,
    kept: Mapping[str, Any] = MappingProxyType({}),
) -> ResolvedImages:
    """The digests for a render. stored: the manifest that is deployed, whose Jobs are all live. kept: the user's values."""
    chart = rendered(text, kept)
    jobs = KeptJobs(chart.plain, lambda: UpgradedRevision([stored], frozenset()), lambda item: item)
    found = Lock(
        {Reference.parse(name): value for name, value in (lock or {}).items()},
        "lock",
        "helm-pin.lock.yaml",
        only=only,
    )
    return digests_of(chart, chart.plain.images(), settings, jobs, None if lock is None else found)


def by_image(text: str, found: ResolvedImages) -> dict[str, str]:
    """The digest that each image is to be pinned to."""
    return {use.image: found.wanted[use.key] for use in parse(text).images() if use.key in found.wanted}


def test_each_use_gets_the_digest_of_its_image() -> None:
    text = pod(WEB) + pod(SIDE) + pod(WEB)
    found = planned(text, {WEB: A, SIDE: B})
    assert by_image(text, found) == {WEB: A, SIDE: B}
    assert len(found.wanted) == 3
    assert found.problems == {} and found.jobs == {}


def test_what_the_chart_pins_stays() -> None:
    text = pod(f"{WEB}@{C}") + pod(SIDE)
    found = planned(text, {SIDE: B})
    assert by_image(text, found) == {SIDE: B}
    assert found.resolved[f"{WEB}@{C}"].digest == C and found.problems == {}


def test_what_the_lock_lacks_is_refused_and_the_others_are_not() -> None:
    text = pod(WEB) + pod(SIDE)
    found = planned(text, {SIDE: B})
    assert by_image(text, found) == {SIDE: B}
    assert found.problems.keys() == {WEB} and found.problems[WEB].kind == "refused"
    assert "not in helm-pin.lock.yaml" in found.problems[WEB].text


def test_what_is_let_through_is_not_asked_for() -> None:
    text = pod(WEB) + pod(SIDE)
    found = planned(text, {SIDE: B}, settings=SETTINGS._replace(allow_unpinned=("example.com/web*",)))
    assert by_image(text, found) == {SIDE: B}
    assert WEB not in found.references and found.problems[WEB].kind == "allowed"


def test_a_job_keeps_the_digest_that_it_ran_with() -> None:
    source = "app/templates/job.yaml"
    text = document(JOB % WEB, source) + pod(WEB)
    found = planned(text, {WEB: A}, stored=document(JOB % f"{WEB}@{C}", source), only=False)
    in_job, in_pod = parse(text).images()
    assert (found.wanted[in_job.key], found.wanted[in_pod.key]) == (C, A)
    assert found.jobs == {in_job.key: "Job/migrate"}
    refused = planned(text, {WEB: A}, stored=document(JOB % f"{WEB}@{C}", source))
    assert refused.wanted == {} and refused.problems[WEB].kind == "refused"
    by_tag = planned(text, {WEB: A}, stored=document(JOB % WEB, source))
    assert "runs it by tag" in by_tag.problems[WEB].text


def test_the_gate_is_asked_for_what_will_run() -> None:
    """At the digest that a Job keeps, too; not for what has a problem already."""
    source = "app/templates/job.yaml"
    text = document(JOB % WEB, source) + pod(SIDE) + pod("example.com/unknown:main")
    agrees = f"import sys; sys.exit(sys.argv[1] not in {[f'{WEB}@{C}']!r})"
    gate = Gate((f"{shlex.quote(sys.executable)} -c {shlex.quote(agrees)} {{}}",))
    lock, stored = {WEB: C, SIDE: B}, document(JOB % f"{WEB}@{C}", source)
    found = planned(text, lock, settings=SETTINGS._replace(gate=gate), stored=stored)
    assert by_image(text, found) == {WEB: C}
    assert {image: problem.kind for image, problem in found.problems.items()} == {
        SIDE: "gate",
        "example.com/unknown:main": "refused",
    }


@pytest.mark.parametrize(
    ("kind", "extra", "hint"),
    [
        ("not-found", "", ""),
        ("unreachable", "      imagePullPolicy: Never\n", "its pull policy is Never"),
        ("unreachable", "      imagePullPolicy: Always\n", ""),
    ],
)
def test_what_a_registry_does_not_say(monkeypatch: pytest.MonkeyPatch, kind: Any, extra: str, hint: str) -> None:
    """An image that the chart pins needs no answer, unless that is that it is not there."""
    chart = f"{SIDE}@{C}"
    text = pod(WEB, extra=extra) + pod(chart)

    def answers(_: object, references: Any, *__: object) -> dict[Reference, RegistryError | Resolved]:
        return {reference: RegistryError(reference, kind, "no", "try again") for reference in references}

    monkeypatch.setattr(under_test, "resolve", answers)
    found = planned(text, {}, only=False)
    assert found.problems[WEB].kind == "registry"
    assert (hint or "try again") in found.problems[WEB].hint
    assert ("Never" in found.problems[WEB].hint) == bool(hint)
    assert (chart in found.problems) == (kind == "not-found")
    assert found.wanted == {}


@pytest.mark.parametrize("digits", [A, A[7:]])
def test_a_digest_of_the_user_that_the_lock_contradicts(digits: str) -> None:
    """A digest key often takes the place of the tag. That of the chart itself counts: others may share the lock."""
    pinned, values = f"example.com/web@{A}", {"web": [{"digest": digits}]}
    refused = planned(pod(pinned), {WEB: B}, kept=values).problems
    assert {image: problem.text for image, problem in refused.items()} == {
        pinned: f"your values pin it to {A}, helm-pin.lock.yaml has {WEB}@{B}"
    }
    for lock, only, kept in (({WEB: B}, True, {}), ({WEB: A}, True, values), ({SIDE: B}, True, values)):
        assert planned(pod(pinned), lock, only=only, kept=kept).problems == {}


def test_a_test_hook_alone_may_be_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = pod(WEB).replace("labels: {l: x}", "annotations: {helm.sh/hook: test}")
    monkeypatch.setattr(
        under_test, "resolve", lambda _, wanted, *__: {r: RegistryError(r, "not-found", "no") for r in wanted}
    )
    assert "only a test hook uses it" in planned(hook, {}, only=False).problems[WEB].hint
    assert "only a test hook" not in planned(hook + pod(WEB), {}, only=False).problems[WEB].hint
    always = hook.replace("test", "post-install,test")
    assert "only a test hook" not in planned(always, {}, only=False).problems[WEB].hint


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        ("not-found", f"\nquote {WEB} set()"),
        ("unauthorized", ""),
        *(
            (
                kind,
                "\nor take the digests from a lock or a release: plan and upgrade --lock FILE, or --lock release:NAMESPACE/NAME",
            )
            for kind in ("unreachable", "timeout", "rate-limited")
        ),
    ],
)
def test_a_tag_that_looks_like_a_number_is_explained_where_it_is_not_there_and_a_lock_where_nothing_answers(
    monkeypatch: pytest.MonkeyPatch, kind: Any, also: str
) -> None:
    monkeypatch.setattr(
        under_test, "resolve", lambda _, wanted, *__: {r: RegistryError(r, kind, "no", "try again") for r in wanted}
    )
    monkeypatch.setattr(under_test, "number_hint", lambda text, numbers: f"quote {text} {numbers}")
    assert planned(pod(WEB), None).problems[WEB].hint == f"try again{also}"
    with_a_lock = planned(pod(WEB), {}, only=False).problems[WEB].hint  # which lacks the image
    assert with_a_lock == f"try again{also if kind == 'not-found' else ''}"


def test_the_gate_refuses_every_spelling_of_an_image() -> None:
    spelt = ["nginx:1.25", "docker.io/library/nginx:1.25", "docker.io/nginx:1.25"]
    gate = Gate((f"{shlex.quote(sys.executable)} -c 'raise SystemExit(1)' {{}}",))
    found = planned("".join(map(pod, spelt)), dict.fromkeys(spelt, A), settings=SETTINGS._replace(gate=gate))
    assert {image: problem.kind for image, problem in found.problems.items()} == dict.fromkeys(spelt, "gate")


def test_the_gate_is_asked_for_nothing_else(tmp_path: Path) -> None:
    """Not for what has a problem, nor for an image without its digest."""
    source, asked = "app/templates/job.yaml", tmp_path / "asked"
    text = document(JOB % WEB, source) + pod(SIDE) + pod("example.com/let:main") + pod("example.com/unknown:main")
    note = f"import sys; open({str(asked)!r}, 'a').write(sys.argv[1] + chr(10))"
    gate = Gate((f"{shlex.quote(sys.executable)} -c {shlex.quote(note)} {{}}",))
    settings = SETTINGS._replace(gate=gate, allow_unpinned=("example.com/let:*",))
    stored = document(JOB % f"{WEB}@{C}", source)
    found = planned(text, {WEB: A, SIDE: B}, settings=settings, stored=stored, only=False)
    assert sorted(asked.read_text().split()) == [f"{SIDE}@{B}", f"{WEB}@{C}"] and WEB not in found.problems
    asked.unlink()
    found = planned(text, {WEB: A, SIDE: B}, settings=settings, stored=stored)
    assert asked.read_text().split() == [f"{SIDE}@{B}"] and found.problems[WEB].kind == "refused"


READS = "image: {{ .Values.web.image.repository }}:{{ .Values.web.image.tag }}\n"


@pytest.mark.parametrize(
    ("image", "template", "values", "named"),
    [
        (":1.0", "", {"web": {"image": {"repository": "", "tag": "1.0"}}}, "set web.image.repository"),
        (":", READS, {}, "set web.image.repository"),
        (":", "# {{ .Values.web.image.repository }}", {}, "set the value that names it"),
        ("%!s(<nil>):1", READS, {}, "the value is null or missing"),
        (
            "%!s(<nil>):1",
            'image: {{ printf "%s:1" .Values.web.image.repository }}',
            {},
            "web.image.repository is null or missing",
        ),
    ],
)
def test_the_value_that_is_empty_is_named_from_the_charts_values_and_templates(
    tmp_path: Path, image: str, template: str, values: Mapping[str, Any], named: str
) -> None:
    found = rendered(pod(f"'{image}'"), {})
    found = found._replace(
        chart=chart(tmp_path, {"templates/pod.yaml": template}), origin=found.origin._replace(values=values)
    )
    jobs = KeptJobs(found.plain, UpgradedRevision, lambda item: item)
    known = digests_of(found, found.plain.images(), SETTINGS, jobs, Lock({}, "lock", "x", only=True))
    assert named in known.problems[image].hint


def test_platforms_are_asked_for_before_anything_is_pinned() -> None:
    with pytest.raises(UsageError, match="--platform cannot be used"):
        planned(pod(WEB), {WEB: A}, settings=SETTINGS._replace(platforms=("linux/arm64",)))


@pytest.mark.parametrize("locked", [True, False])
def test_credentials_are_looked_for_only_where_a_registry_may_be_asked(
    monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(under_test, "keychain_of", lambda *_: asked.append("keychain") or "mine")
    monkeypatch.setattr(under_test, "resolve", lambda *args: asked.append(args[-1]) or {})
    planned(document("kind: ConfigMap\n"), {}, settings=SETTINGS._replace(locked=locked), only=locked)
    assert asked == ([None] if locked else ["keychain", "mine"])
