"""The chart of an attempt, and what its renders teach. What a chart prints is the test's word; tests/integration has Helm's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from helmpin.asked import ANNOTATION
from helmpin.chart.setargs import dotted_key
from helmpin.errors import HelmFailed
from helmpin.image.outside_pods import ExtraImageRules
from helmpin.image.uses import ImageUse
from helmpin.plan.composer import Composer
from helmpin.plan.explain import Explainer
from helmpin.plan.origins import origins_of
from helmpin.release.record import Record
from helmpin.render.diff import Comparison, compare
from helmpin.render.repeatable import repeatable
from helmpin.search.attempt import Attempt
from helmpin.templates import pins
from helmpin.templates.hints import hints_for
from tests.support.plans import Ask, Renderer, annotations, chart, rendered
from tests.support.renders import POD, digest, document, pod

A, B = digest("a"), digest("b")
RECORD = Record("helm-pin 1", "2026-01-01T00:00:00.000Z", ())
VALUES = {"image": {"repository": "t/web", "tag": "1"}}
READS = "image: {{ .Values.image.repository }}:{{ .Values.image.tag }}\n"
LITERAL = "image: t/web:1\n"
FILE = "templates/pod.yaml"
CRD = "app/crds/crd.yaml"


class Made:
    """A composer of a chart, with what it was made from."""

    def __init__(
        self,
        folder: Path,
        text: str,
        files: Mapping[str, str] | None = None,
        *,
        renderer: Renderer | None = None,
        wanted: Mapping[str, str] | None = None,
        fixed: Collection[int] = (),
        also: ExtraImageRules | None = None,
        **more: Any,
    ) -> None:
        """wanted: the digest of each image; A for all by default. fixed: the numbers of the uses that only the template may pin."""
        base = chart(folder, files)
        self.renderer = renderer or Renderer(lambda _: text)
        self.rendered = rendered(base, text, self.renderer, also=also or ExtraImageRules(()), **more)
        self.uses = self.rendered.plain.images()
        self.wanted = {use.key: (wanted or {}).get(use.image, A) for use in self.uses}
        origins = origins_of(self.rendered, self.uses)
        self.composer = Composer(
            self.rendered,
            base,
            base,
            self.uses,
            self.wanted,
            origins,
            {self.uses[n].key: () for n in fixed},
            hints_for(base, base),
        )
        uses = {use.key: use for use in self.uses}
        self.explainer = Explainer(
            composer=self.composer,
            uses=uses,
            origins=origins,
            wanted=self.wanted,
            post_renderer=self.renderer.post_renderer,
        )

    def first(self) -> Attempt:
        """What is tried first."""
        attempt = self.composer.search().next()
        assert attempt is not None
        return attempt

    def files(self, attempt: Attempt) -> dict[str, str]:
        """The templates and CRDs of an attempt's chart."""
        made = self.composer.chart(attempt, RECORD)
        return {**made.template_files(), **made.crd_files()}

    def compared(self, attempt: Attempt) -> Comparison:
        """What comes of an attempt."""
        render = self.composer.render(attempt, RECORD)
        return compare(self.rendered.plain, render, self.wanted)


def shown(attempt: Attempt) -> dict[str, str]:
    return {dotted_key(setting.path): setting.value for setting in attempt.settings}


def by_template(*uses: ImageUse) -> Attempt:
    return Attempt((), frozenset(use.key for use in uses), {}, {}, {})


# -- what may pin a use -------------------------------------------------------------------------------------------------


def test_a_value_pins_what_a_template_reads(tmp_path: Path) -> None:
    made = Made(tmp_path, pod("t/web:1"), {FILE: READS}, values=VALUES)
    attempt = made.first()
    assert shown(attempt) == {"image.tag": f"1@{A}"}
    assert made.composer.arguments(attempt) == ["--set-string", f"image.tag=1@{A}"]
    assert made.files(attempt) == {FILE: READS}, "no file changes"


def test_lists_of_the_user_are_changed_by_index_and_the_charts_own_given_whole(tmp_path: Path) -> None:
    listed = {"pods": [{"image": "t/web:1", "n": 1}]}
    made = Made(tmp_path, pod("t/web:1"), {FILE: "x"}, values=listed)
    whole = f'pods=[{{"image":"t/web:1@{A}","n":1}}]'
    assert made.composer.arguments(made.first()) == ["--set-json", whole]
    made = Made(tmp_path, pod("t/web:1"), {FILE: "x"}, values=listed, given=listed, kept=listed)
    assert made.composer.arguments(made.first()) == ["--set-string", f"pods[0].image=t/web:1@{A}"]


def test_the_template_pins_what_it_has_written_itself_though_a_value_says_the_same(tmp_path: Path) -> None:
    made = Made(tmp_path, pod("t/web:1"), {FILE: LITERAL}, values=VALUES)
    attempt = made.first()
    assert attempt.by_template == {made.uses[0].key} and not attempt.settings
    files = made.files(attempt)
    assert files[pins.PRINT_FILE] == pins.printer(must_find=False)
    assert made.composer.chart(attempt, RECORD, to_deploy=True).template_files() == files
    assert f'"{FILE}"' not in files[FILE] and LITERAL in files[FILE] and f"@{A}" in files[FILE]


def test_a_use_that_keeps_another_digest_is_the_templates(tmp_path: Path) -> None:
    """One value cannot carry both digests."""
    made = Made(tmp_path, pod("t/web:1") + pod("t/web:1"), {FILE: READS}, values=VALUES, fixed=[1])
    attempt = made.first()
    assert attempt.by_template == {made.uses[1].key}
    assert attempt.strategies.keys() == {made.uses[0].key}


def test_what_values_make_of_the_same_image_is_still_found_in_the_file(tmp_path: Path) -> None:
    """Places are counted as in the plain render, and the value changes what the file prints at the other place."""
    text = pod("t/web:1") + pod("t/web:1")
    made = Made(tmp_path, text, {FILE: READS}, values=VALUES, fixed=[1])
    made.wanted[made.uses[1].key] = B
    forms = f'"forms" (dict `t/web:1@{A}` `t/web:1` `t/web@{A}` `t/web:1`)'
    assert forms in made.files(made.first())[FILE]
    alone = Made(tmp_path, text, {FILE: READS}, values=VALUES)
    assert '"forms"' not in alone.files(by_template(alone.uses[1]))[FILE]


@pytest.mark.parametrize(
    ("other", "counts"),
    [
        (pod("t/side:1"), False),
        (pod("t/web:1", source="app/templates/other.yaml"), True),
        (pod("t/web:1", source="app/templates/other.yaml", label=f"t/web:1@{A}") + f"# t/web@{A}\n", False),
    ],
)
def test_what_values_make_of_the_image_in_another_file_counts_unless_it_is_there_already(
    tmp_path: Path, other: str, counts: bool
) -> None:
    """The value may reach this file, too, which is pinned by its template because it also holds the image literally."""
    files = {FILE: READS, "templates/other.yaml": READS}
    values = {**VALUES, "side": {"image": "t/side:1"}}
    made = Made(tmp_path, pod("t/web:1") + other, files, values=values, fixed=[0])
    attempt = made.first()
    assert attempt.by_template == {made.uses[0].key} and len(attempt.strategies) == 1
    assert ('"forms"' in made.files(attempt)[FILE]) is counts


@pytest.mark.parametrize(
    "text",
    [
        "---\nkind: Pod\nspec: {containers: [{name: a, image: 't/web:1'}]}\n",
        pod("t/web:1", source="app/templates/none.yaml"),
        pod("t/web:1", source="app/charts/none/templates/pod.yaml"),
        pod("t/web:1", source="app/values.yaml"),
    ],
)
def test_a_use_of_no_known_template_is_left_to_the_values(tmp_path: Path, text: str) -> None:
    """Any template can print a line `# Source:`."""
    files = {FILE: READS, "values.yaml": "x: y\n"}
    made = Made(tmp_path, text, files)
    assert "no value reaches it" in made.first().failed[made.uses[0].key]
    assert shown(Made(tmp_path, text, files, values={"image": "t/web:1"}).first()) == {"image": f"t/web:1@{A}"}


def test_a_crd_is_changed_as_text_and_no_value_is_tried(tmp_path: Path) -> None:
    crd = "kind: Sample\nspec: {containers: [{name: a, image: t/web:1}]}\n"
    made = Made(tmp_path, document(crd, CRD), {"crds/crd.yaml": crd, FILE: READS}, values={"image": "t/web:1"})
    attempt = made.first()
    assert attempt.by_template == {made.uses[0].key} and not attempt.settings
    assert made.files(attempt) == {FILE: READS, "crds/crd.yaml": crd.replace("t/web:1", f"t/web:1@{A}")}


def test_every_file_gets_its_own_pins_and_the_record_its_place(tmp_path: Path) -> None:
    text = pod("t/web:1") + pod("t/side:1") + pod("t/db:2", source="app/templates/db.yaml")
    files = {FILE: LITERAL, "templates/db.yaml": "image: t/db:2\n", "templates/other.yaml": "x"}
    made = Made(tmp_path, text, files, wanted={"t/db:2": B})
    whole = made.composer.chart(by_template(*made.uses), RECORD)
    changed = whole.template_files()
    assert f"@{A}" in changed[FILE] and "t/side:1" in changed[FILE] and f"@{B}" not in changed[FILE]
    assert f"@{B}" in changed["templates/db.yaml"] and f"@{A}" not in changed["templates/db.yaml"]
    assert changed["templates/other.yaml"] == "x"
    assert annotations(whole) == {ANNOTATION: RECORD.to_json()}
    assert annotations(made.rendered.chart) == {}, "the chart itself never changes"


def test_equal_references_in_one_text_are_told_apart(tmp_path: Path) -> None:
    text = document("kind: Fleet\nspec: {images: 'example.com/a:1 example.com/a:1'}\n")
    made = Made(tmp_path, text, {FILE: "x"}, also=ExtraImageRules(("*",)))
    assert len(made.uses) == 2
    for n, use in enumerate(made.uses):
        assert f"(dict `{n}` `@{A}`)" in made.files(by_template(use))[FILE]
    both = made.files(by_template(*made.uses))[FILE]
    assert f"(dict `0` `@{A}` `1` `@{A}`)" in both


def test_each_object_of_a_list_has_its_own_texts(tmp_path: Path) -> None:
    item = "- {kind: Fleet, spec: {images: 'example.com/a:1 example.com/a:1'}}\n"
    made = Made(tmp_path, document(f"kind: List\nitems:\n{item}{item}"), {FILE: "x"}, also=ExtraImageRules(("*",)))
    every = " ".join(f"`{n}` `@{A}`" for n in range(4))
    assert f"(dict {every})" in made.files(by_template(*made.uses))[FILE]


def test_a_reference_beside_one_that_is_not_pinned_is_counted_all_the_same(tmp_path: Path) -> None:
    text = document("kind: Fleet\nspec: {images: 'example.com/a:1 example.com/a:1'}\n")
    made = Made(tmp_path, text, {FILE: "x"}, also=ExtraImageRules(("*",)))
    last = made.uses[1]
    origins = origins_of(made.rendered, made.uses)
    made_of = made.rendered.chart
    composer = Composer(
        made.rendered, made_of, made_of, made.uses, {last.key: A}, origins, {}, hints_for(made_of, made_of)
    )
    assert f"(dict `1` `@{A}`)" in composer.chart(by_template(last), RECORD).template_files()[FILE]


# -- whose templates are read -------------------------------------------------------------------------------------------


def sub(name: str, templates: Mapping[str, str]) -> dict[str, str]:
    files = {f"charts/{name}/templates/{path}": text for path, text in templates.items()}
    return {f"charts/{name}/Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n", **files}


READS_DIGEST = "image: {{ .Values.image.repository }}:{{ .Values.image.tag }}@{{ .Values.image.digest }}\n"


def test_a_subcharts_values_are_found_by_its_own_templates(tmp_path: Path) -> None:
    values = {"db": {"image": {"repository": "t/db", "tag": "1"}}}
    text = pod("t/db:1", source="app/charts/db/templates/pod.yaml")
    plain = {FILE: READS_DIGEST, **sub("db", {"pod.yaml": READS})}
    assert shown(Made(tmp_path, text, plain, values=values).first()) == {"db.image.tag": f"1@{A}"}
    bare = "image: {{ .Values.image.repository }}@sha256:{{ .Values.image.sum }}:{{ .Values.image.sha }}\n"
    empty = {"db": {"image": {"repository": "t/db", "tag": "1", "sha": ""}}}
    for own, other, wanted in ((READS_DIGEST.replace("digest", "sha"), bare, A), (bare, READS_DIGEST, A[7:])):
        files = {FILE: other, **sub("db", {"pod.yaml": own})}
        assert shown(Made(tmp_path, text, files, values=empty).first()) == {"db.image.sha": wanted}


def test_the_helpers_of_a_subchart_count_where_the_charts_own_templates_show_no_digest(tmp_path: Path) -> None:
    values = {"image": {"repository": "t/web", "tag": "1", "sha": ""}}
    helper = '{{ define "image" }}{{ .r }}@{{ .image.sha }}{{ end }}'
    for name, wanted in (("_image.tpl", A), ("image.yaml", A[7:])):
        files = {FILE: '{{ include "image" . }}', **sub("common", {name: helper})}
        assert shown(Made(tmp_path, pod("t/web:1"), files, values=values).first()) == {"image.sha": wanted}


def test_the_helpers_of_the_chart_above_do_not(tmp_path: Path) -> None:
    values = {"db": {"image": {"repository": "t/db", "tag": "1", "sha": ""}}}
    helper = '{{ define "image" }}{{ .r }}@{{ .image.sha }}{{ end }}'
    files = {"templates/_image.tpl": helper, **sub("db", {"pod.yaml": "x"}), **sub("other", {"_image.tpl": helper})}
    text = pod("t/db:1", source="app/charts/db/templates/pod.yaml")
    assert shown(Made(tmp_path, text, files, values=values).first()) == {"db.image.sha": A[7:]}


def test_what_sets_an_image_whose_digest_is_not_known(tmp_path: Path) -> None:
    """Not the digest key beside it, which is empty."""
    values = {
        "image": {"repository": "t/web", "tag": "1", "digest": ""},
        "other": {"repository": "t/other", "tag": "1"},
    }
    made = Made(tmp_path, pod("t/web:1"), {FILE: READS}, values=values)
    assert made.composer.set_by(made.uses) == {"t/web:1": ("image.tag",)}
    assert made.composer.set_by([]) == {}


# -- randomness ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "unfixed", "unordered"),
    [("{{ randInt 0 2 }}", True, True), ("{{ .Values.x }}", False, False), ("{{ values .x }}", True, True)],
)
def test_what_a_template_evaluates_may_be_random(tmp_path: Path, name: str, unfixed: bool, unordered: bool) -> None:
    values = {**VALUES, "names": [name]}
    files = {FILE: READS + "# {{ tpl (first .Values.names) . }}\n"}
    composer = Made(tmp_path, pod("t/web:1"), files, values=values).composer
    assert (composer.varying.unfixed == {POD}, composer.varying.unordered == {POD}) == (unfixed, unordered)


def test_what_is_compared_has_fixed_results_and_what_is_deployed_has_not(tmp_path: Path) -> None:
    text = READS + "# {{ randAlpha 5 }}\n"
    base = chart(tmp_path, {FILE: text})
    compared = repeatable(base)
    made = rendered(base, pod("t/web:1"), values=VALUES)._replace(compared=compared, is_fixed=True)
    uses = made.plain.images()
    composer = Composer(
        made, base, compared, uses, {use.key: A for use in uses}, origins_of(made, uses), {}, hints_for(base, compared)
    )
    assert composer.varying.unfixed == set()
    attempt = composer.search().next()
    assert attempt
    assert composer.chart(attempt, RECORD).template_files() == compared.template_files()
    assert composer.chart(attempt, RECORD, to_deploy=True).template_files() == {FILE: text}
    pinned = by_template(*uses)
    assert "{{ randAlpha" not in composer.chart(pinned, RECORD).template_files()[FILE]
    deployed = composer.chart(pinned, RECORD, to_deploy=True).template_files()
    assert "{{ randAlpha 5 }}" in deployed[FILE]
    assert pins.UNLIKE_BEFORE in deployed[pins.PRINT_FILE], "it may print other places then"


# -- post-renderers -----------------------------------------------------------------------------------------------------

SED = ("--post-renderer", "./strip")


def test_what_only_the_post_renderer_prints_cannot_be_pinned_and_that_is_said(tmp_path: Path) -> None:
    text = pod("t/web:1")
    renderer = Renderer(lambda _: text, SED)
    made = Made(tmp_path, text + pod("t/side:2"), {FILE: READS}, renderer=renderer, printed=text, values=VALUES)
    ((key, problem),) = made.explainer.unreachable().items()
    assert key == made.uses[1].key
    assert "post-renderer prints it" in problem.text and problem.kind == "refused"
    assert "--allow-unpinned t/side:2" in problem.hint
    assert key in made.first().failed


@pytest.mark.parametrize(("gives", "does"), [("t/web:1", "removes"), (f"t/web:1@{B}", "changes")])
def test_a_post_renderer_that_takes_a_digest_away_is_named(tmp_path: Path, gives: str, does: str) -> None:
    def says(ask: Ask) -> str:
        pinned = f"@{A}" in ask.files[FILE]
        return pod(gives if ask.post_render else f"t/web:1@{A}" if pinned else "t/web:1")

    made = Made(tmp_path, pod("t/web:1"), {FILE: LITERAL}, renderer=Renderer(says, SED))
    attempt = made.first()
    found = made.compared(attempt)
    assert found.failing == {made.uses[0].key}
    ((key, problem),) = made.explainer.failed_pins(attempt, found).items()
    assert key == made.uses[0].key and made.composer.renders == 2
    assert f"the post-renderer (--post-renderer ./strip) {does} its digest: it prints '{gives}'" in problem.text
    assert problem.kind == "refused" and problem.hint


def test_where_helm_prints_nothing_before_the_post_renderer_nothing_is_explained(tmp_path: Path) -> None:
    def says(ask: Ask) -> str:
        if not ask.post_render and f"@{A}" in ask.files[FILE]:
            raise HelmFailed("helm template failed", why="no kind")
        return pod("t/web:1")

    made = Made(tmp_path, pod("t/web:1"), {FILE: LITERAL}, renderer=Renderer(says, SED))
    attempt = made.first()
    assert made.explainer.failed_pins(attempt, made.compared(attempt)) == {}


def test_a_template_that_did_not_pin_is_not_the_post_renderers_fault(tmp_path: Path) -> None:
    for renderer in (Renderer(lambda _: pod("t/web:1"), SED), Renderer(lambda _: pod("t/web:1"))):
        made = Made(tmp_path, pod("t/web:1"), {FILE: LITERAL}, renderer=renderer)
        attempt = made.first()
        assert made.explainer.failed_pins(attempt, made.compared(attempt)) == {}


@pytest.mark.parametrize("post_renderer", [(), SED])
@pytest.mark.parametrize(
    ("more", "must_find"), [("{{ keys .Values.m }}", True), ("{{ randAlpha 5 }}", True), ("", False)]
)
def test_what_is_deployed_must_find_its_places_if_a_template_may_vary(
    tmp_path: Path, more: str, must_find: bool, post_renderer: tuple[str, ...]
) -> None:
    renderer = Renderer(lambda _: pod("t/web:1"), post_renderer)
    made = Made(tmp_path, pod("t/web:1"), {FILE: f"{LITERAL}# {more}\n"}, renderer=renderer)
    deployed = made.composer.chart(made.first(), RECORD, to_deploy=True).template_files()
    assert deployed[pins.PRINT_FILE] == pins.printer(must_find=must_find)
    assert made.files(made.first())[pins.PRINT_FILE] == pins.printer(must_find=False)


def test_nothing_is_rendered_again_where_values_or_no_post_renderer_are_to_blame(tmp_path: Path) -> None:
    by_values = Made(
        tmp_path, pod("t/web:1"), {FILE: READS}, renderer=Renderer(lambda _: pod("t/web:1"), SED), values=VALUES
    )
    literal = Made(tmp_path, pod("t/web:1"), {FILE: LITERAL})
    for made in (by_values, literal):
        attempt = made.first()
        found = made.compared(attempt)
        assert made.explainer.failed_pins(attempt, found) == {}
        assert found.failing and len(made.renderer.asked) == made.composer.renders == 1


@pytest.mark.parametrize(("more", "by_name"), [("{{ keys .Values.m }}", True), ("{{ randAlpha 5 }}", False)])
def test_documents_that_a_template_prints_in_any_order_are_pinned_by_name(
    tmp_path: Path, more: str, by_name: bool
) -> None:
    text = "".join(pod("t/web:1").replace("name: web", f"name: {name}") for name in ("a", "b"))
    made = Made(tmp_path, text, {FILE: LITERAL + more})
    keys = frozenset(use.key for use in made.uses)
    template = made.composer.chart(Attempt((), keys, {}, {}, {}), RECORD).template_files()[FILE]
    assert ("/a 0`" in template and "/b 0`" in template) is by_name
