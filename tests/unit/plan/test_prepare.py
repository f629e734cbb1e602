"""What is made of a request before and after the plan, and what is said beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from helmpin import registry
from helmpin.arguments import Given
from helmpin.chart import stage
from helmpin.chart.stage import Chart, ChartSource
from helmpin.config.settings import Exemption, Settings
from helmpin.errors import HelmFailed, UsageError
from helmpin.helm import Helm
from helmpin.image.reference import Reference
from helmpin.lock import Lock
from helmpin.plan import loop, prepare
from helmpin.plan.images import ImagePlan, Problem
from helmpin.plan.plain_render import Reuse
from helmpin.plan.plan import Plan
from helmpin.plan.prepare import Prepared
from helmpin.registry import RegistrySettings
from tests.support import plans
from tests.support.plans import A, image
from tests.support.renders import digest

B = digest("b")
WEB = "example.com/web:1"
SETTINGS = Settings("pin", (), (), (), False, RegistrySettings())


class Asked(NamedTuple):
    """A request."""

    flags: list[Given]
    settings: Settings
    helm: Helm = Helm("/never/run")


class Bench:
    """What stands beside `prepare`: staging, the plain render and the plan, which the test says. Mutable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = SETTINGS._replace(lock=str(folder / "lock.yaml"), locked=True)
        self.images: tuple[ImagePlan, ...] = ()
        self.source: ChartSource | None = None
        self.lock: Lock | None = None
        self.relock: Callable[[], str] | None = None
        self.warmed: list[RegistrySettings] = []

    @contextmanager
    def stage(self, source: ChartSource, _: object) -> Iterator[Chart]:
        self.source = source
        yield plans.chart(self.folder)

    def make_plan(
        self,
        _r: object,
        _s: object,
        _n: object,
        _k: object,
        lock: Lock | None,
        *,
        relock: Callable[[], str] | None = None,
        **_: object,
    ) -> Plan:
        self.lock, self.relock = lock, relock
        return plans.plan(self.folder, *self.images)

    def prepared(self, *flags: Given, release: str = "", chart: str = "./app", **more: Any) -> Prepared:
        with prepare.prepare(Asked([*flags], self.settings), release, chart, command="template", **more) as made:
            return made


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    rendered = plans.rendered(plans.chart(tmp_path), "")
    monkeypatch.setattr(stage, "stage", made.stage)
    monkeypatch.setattr(loop, "make_plan", made.make_plan)
    monkeypatch.setattr(registry, "warm_up", made.warmed.append)
    monkeypatch.setattr(prepare, "start_early", lambda *_: None)
    monkeypatch.setattr(prepare, "render_plain", lambda *_: (rendered, Reuse()))
    (tmp_path / "lock.yaml").write_text(f"version: 1\nimages:\n- image: {WEB}@{B}\n")
    return made


def switch(name: str, *value: str) -> Given:
    return Given(name, value[0] if value else None, (name, *value))


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()


class TestFlags:
    def test_those_of_the_source_are_for_staging_alone(self, bench: Bench) -> None:
        given = [
            switch("--version", "1.2"),
            switch("--repo", "https://charts.example"),
            switch("--dependency-update"),
            switch("--username", "me"),
        ]
        mine = [switch("--atomic"), switch("--description", "x")]
        prepared = bench.prepared(*given, *mine)
        words = ("--version", "1.2", "--repo", "https://charts.example", "--username", "me")
        assert bench.source == ChartSource("./app", words, True)
        assert prepared.flags == mine
        assert prepared.arguments == ["--atomic", "--description", "x"]

    def test_without_any(self, bench: Bench) -> None:
        assert bench.prepared().flags == []
        assert bench.source == ChartSource("./app", (), False)

    def test_those_of_the_values_are_read_once(self, bench: Bench) -> None:
        assert bench.prepared(switch("--reset-values")).flags == []

    @pytest.mark.parametrize("flag", ["--reuse-values", "--reset-then-reuse-values"])
    def test_a_release_that_is_not_read_has_none_to_reuse(self, bench: Bench, flag: str) -> None:
        with pytest.raises(UsageError, match=f"{flag} has no effect here"):
            bench.prepared(switch(flag))
        assert bench.prepared(Given(flag, "false", (f"{flag}=false",))).flags == []


class TestANameThatIsNoChart:
    @pytest.mark.parametrize("chart", ["web", "nothing"])
    def test_may_be_a_release(self, bench: Bench, chart: str) -> None:
        with pytest.raises(HelmFailed, match="chart not found") as caught:
            bench.prepared(chart=chart)
        assert caught.value.where == [chart]
        assert caught.value.hint == f"if {chart} is the release, name its chart too: RELEASE CHART"
        assert bench.source is None

    @pytest.mark.parametrize(
        ("chart", "flags"),
        [("./web", []), ("repo/web", []), ("", []), ("web", [switch("--repo", "https://x.example")])],
    )
    def test_is_left_to_staging_where_it_may_be_one(self, bench: Bench, chart: str, flags: Sequence[Given]) -> None:
        bench.prepared(*flags, chart=chart)
        assert bench.source is not None and bench.source.chart == chart

    def test_is_one_where_it_is_there(self, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "web").mkdir()
        monkeypatch.chdir(tmp_path)
        bench.prepared(chart="web")
        assert bench.source is not None

    def test_is_one_beside_a_release(self, bench: Bench) -> None:
        bench.prepared(chart="web", release="shop")
        assert bench.source is not None


class TestExemptions:
    def exemption(self, glob: str, until: str = "9999-12-31") -> Exemption:
        return Exemption(glob, f"because of {glob}", until, ".helm-pin.yaml, exemptions[0]")

    @pytest.mark.parametrize(
        ("kind", "glob", "until", "is_said"),
        [
            ("allowed", "example.com/web:*", "9999-12-31", True),
            ("allowed", "example.com/other:*", "9999-12-31", False),
            ("allowed", "example.com/web:*", "2000-01-01", False),
            ("refused", "example.com/web:*", "9999-12-31", False),
            ("registry", "example.com/web:*", "9999-12-31", False),
            ("", "example.com/web:*", "9999-12-31", False),
        ],
    )
    def test_one_that_an_image_needs_is_said(
        self, bench: Bench, kind: str, glob: str, until: str, is_said: bool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bench.images = (image("example.com/pinned:1"), image(WEB, Problem("it has no digest", kind) if kind else None))
        bench.settings = bench.settings._replace(exemptions=(self.exemption(glob, until),))
        bench.prepared()
        line = f".helm-pin.yaml, exemptions[0]: exempt {glob} (until {until}: because of {glob})"
        assert said(capsys) == ([line] if is_said else [])

    def test_each_that_is_needed_is_said_once(self, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        allowed = Problem("it has no digest", "allowed")
        bench.images = (image(WEB, allowed), image("example.com/web:2", allowed))
        both = (self.exemption("example.com/*"), self.exemption("*:1"))
        bench.settings = bench.settings._replace(exemptions=both)
        bench.prepared()
        assert [line.split()[3] for line in said(capsys)] == ["example.com/*", "*:1"]

    @pytest.mark.parametrize(
        ("glob", "is_said"),
        [
            ("example.com/web", True),
            ("*/web", True),
            ("example.com/web:*", False),
            ("example.com/*", False),
            ("example.com/other", False),
            ("example.com/untagged", False),
            ("example.com/pinned", False),
        ],
    )
    def test_a_glob_that_leaves_out_the_tag_is_said(
        self, bench: Bench, glob: str, is_said: bool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bench.images = (image("example.com/untagged"), image(WEB), image(f"example.com/pinned:1@{A}"))
        bench.settings = bench.settings._replace(allow_unpinned=(glob,))
        bench.prepared()
        assert said(capsys) == ([f"allow-unpinned {glob} matches no tag: write {glob}:*"] if is_said else [])


class TestALock:
    """It says B; a Job that runs A keeps it."""

    def test_a_jobs_own_digest_is_said(self, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        bench.images = (image(WEB, kept_for="Job/migrate"),)
        bench.prepared()
        lock = bench.folder / "lock.yaml"
        assert said(capsys) == [f"{WEB} stays at {A}, as Job/migrate ran it; {lock} has {B}."]

    @pytest.mark.parametrize(
        "kept",
        [
            image(WEB),
            image(WEB, kept_for="Job/migrate", digest=B),
            image(WEB, Problem("why", "refused"), kept_for="Job/migrate"),
            image("example.com/other:1", kept_for="Job/migrate"),
            image(WEB, kept_for="Job/migrate", reference=None),
        ],
        ids=["no job", "the same digest", "not pinned", "not in the lock", "no reference"],
    )
    def test_nothing_is_said_otherwise(self, bench: Bench, kept: ImagePlan, capsys: pytest.CaptureFixture[str]) -> None:
        bench.images = (kept,)
        bench.prepared()
        assert said(capsys) == []

    def test_it_is_what_the_plan_takes_digests_from(self, bench: Bench) -> None:
        bench.prepared()
        assert bench.lock and bench.lock.digests == {Reference.parse(WEB): B} and bench.lock.only

    def test_one_that_is_being_written_counts_instead(self, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        """As `helm pin lock` gives its own; that a Job keeps another digest is what it writes."""
        bench.images = (image(WEB, kept_for="Job/migrate"),)
        own = Lock({Reference.parse(WEB): B}, "lock", "own.yaml")
        bench.prepared(lock=own)
        assert bench.lock is not None and bench.lock._replace(hint=None) == own
        assert said(capsys) == []

    def test_how_to_add_what_it_lacks(self, bench: Bench) -> None:
        bench.settings = bench.settings._replace(also=("Fleet:x",), allow_unpinned=("a b",))
        bench.prepared(switch("--password", "hunter2"), switch("--install"), switch("--version", "1.2"), release="shop")
        assert bench.lock and bench.lock.hint  # lock itself adds --install
        assert bench.lock.hint() == (
            "add it, with your --password: helm pin lock shop ./app --version 1.2 --no-cluster --also=Fleet:x "
            f"'--allow-unpinned=a b' --file {bench.folder}/lock.yaml --keep"
        )

    def test_how_to_add_it_for_a_chart_without_a_release(self, bench: Bench) -> None:
        bench.prepared()
        assert bench.lock and bench.lock.hint
        assert bench.lock.hint() == f"add it: helm pin lock ./app --file {bench.folder}/lock.yaml --keep"

    def test_how_to_have_it_hold_what_a_job_runs(self, bench: Bench) -> None:
        """That is asked of the cluster, whatever the command."""
        bench.prepared(release="shop")
        assert bench.relock and bench.relock() == (
            f"have the lock hold what the Job runs: helm pin lock shop ./app --file {bench.folder}/lock.yaml --keep"
        )

    def test_one_that_knows_how_itself(self, bench: Bench) -> None:
        bench.prepared(lock=Lock({}, "lock", "own.yaml", hint=lambda: "as I say"))
        assert bench.lock and bench.lock.hint and bench.lock.hint() == "as I say"
        assert bench.relock is None

    def test_there_is_none(self, bench: Bench) -> None:
        bench.settings = SETTINGS
        bench.prepared()
        assert (bench.lock, bench.relock) == (None, None)


def test_registries_are_called_upon_early_unless_none_is_asked(bench: Bench) -> None:
    bench.prepared()
    assert bench.warmed == []
    bench.settings = bench.settings._replace(locked=False)
    bench.prepared()
    assert bench.warmed == [bench.settings.registry]


def test_a_command_that_cannot_deploy_says_so_before_there_is_a_plan(bench: Bench) -> None:
    seen: list[object] = []

    def check(previous: object) -> None:
        seen.append(previous)
        raise HelmFailed("not this release")

    bench.images = (image(WEB),)
    with pytest.raises(HelmFailed, match="not this release"):
        bench.prepared(may_deploy=check)
    assert (seen, bench.lock) == ([None], None)


def test_also_that_matches_nothing_is_said(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.settings = bench.settings._replace(also=("Fleet:spec.images",))
    bench.prepared()
    assert said(capsys) == ["--also Fleet:spec.images matches no image outside pod specs."]
