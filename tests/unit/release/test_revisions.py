"""The history of a release: what ran, what somebody else did meanwhile, and which revision is ours."""

from __future__ import annotations

import pytest

from helmpin.errors import HelmFailed
from helmpin.release.damaged import none_deployed
from helmpin.release.outcome import NO_RELEASE, HistoryRow
from helmpin.release.revision import Revision
from helmpin.release.revisions import (
    ends_in_unfinished_rollback,
    last_needed,
    last_that_ran,
    made_by_somebody_else,
    made_since,
    never_ran,
    refuse_moved,
    signs_of_skipped,
)
from helmpin.release.storage import RevisionInfo, Revisions

ONE, TWO = HistoryRow(1, "superseded", "Install complete"), HistoryRow(2, "superseded", "Upgrade complete")
FAILED = HistoryRow(3, "failed", 'Upgrade "web" failed: no')
FOUR = HistoryRow(4, "deployed", "Upgrade complete")
OURS = ("Rollback to 1", ('Rollback "web" failed',))


@pytest.mark.parametrize(
    ("rows", "ran"),
    [
        ([ONE, TWO, FAILED, FOUR], 2),
        ([ONE, TWO._replace(status="deployed"), FAILED], 2),
        ([FAILED, FOUR], None),
        ([ONE], None),
        ([ONE, TWO, FAILED._replace(status="pending-upgrade"), FOUR], 2),
        ([ONE, TWO._replace(status="uninstalled"), FOUR], 2),
        ([ONE, FAILED._replace(status="superseded"), FOUR], 1),
        ([ONE, TWO._replace(description='Rollback "web" failed: no'), FOUR], 1),
        ([ONE, TWO._replace(description='Release "web" is due; failed: none'), FOUR], 2),
    ],
)
def test_the_last_that_ran(rows: list[HistoryRow], ran: int | None) -> None:
    assert last_that_ran(rows) == ran


@pytest.mark.parametrize(
    ("statuses", "most", "first"),
    [
        ("superseded superseded superseded deployed", 3, 2),
        ("superseded superseded superseded deployed", 1, 3),
        ("superseded superseded deployed failed failed", 1, 3),
        ("superseded deployed failed failed failed", 2, 1),
        ("superseded superseded failed deployed", 1, 2),
        ("superseded deployed pending-upgrade", 1, 2),
        ("superseded superseded superseded uninstalled", 1, 3),
        ("superseded superseded uninstalled deployed", 1, 3),
        ("failed deployed", 1, 2),
        ("failed failed", 1, 1),
        ("deployed", 5, 1),
    ],
)
def test_what_a_rollback_needs(statuses: str, most: int, first: int) -> None:
    found = [
        RevisionInfo(Revision("web", number, status, "", "", ""), "prod", "", "web-1.0.0", "1", "")
        for number, status in enumerate(statuses.split(), 1)
    ]
    assert [each.stored.revision for each in last_needed(found, most)] == [*range(first, len(found) + 1)]


@pytest.mark.parametrize(
    ("status", "description", "before", "unfinished"),
    [
        ("pending-rollback", "Rollback to 12", "deployed", True),
        ("pending-rollback", "of mine", "deployed", True),
        ("failed", 'Rollback "web" failed: conflict occurred', "deployed", True),
        ("failed", 'Release "web" failed: context deadline exceeded', "deployed", True),
        ("failed", 'Release "web" failed: context deadline exceeded', "failed", True),
        ("failed", 'Release "web" failed: context deadline exceeded', "uninstalled", False),
        ("failed", 'Upgrade "web" failed: conflict occurred', "deployed", False),
        ("deployed", "Rollback to 2", "superseded", False),
    ],
)
def test_a_rollback_that_has_not_ended_well(status: str, description: str, before: str, unfinished: bool) -> None:
    rows = [TWO._replace(status=before), HistoryRow(3, status, description)]
    assert ends_in_unfinished_rollback(rows) is unfinished
    first = [HistoryRow(1, "failed", 'Release "web" failed: context deadline exceeded')]
    assert not ends_in_unfinished_rollback(first), "that is an installation"


def test_a_revision_that_never_ran() -> None:
    rows = [ONE, TWO, FAILED, FOUR]
    assert never_ran(rows, 3) == "revision 3 has status failed: it never deployed successfully"
    assert [never_ran(rows, number) for number in (1, 2, 4, 9)] == [""] * 4
    assert never_ran([ONE, TWO._replace(status="uninstalled")], 2) == ""
    later = FAILED._replace(status="superseded", description='Upgrade "web" failed: a\n\tb')
    assert never_ran([later, FOUR], 3) == 'revision 3 never deployed successfully: Upgrade "web" failed: a b'


class TestMoved:
    def test_the_same_revision_is_accepted(self) -> None:
        refuse_moved("web", TWO, TWO)

    @pytest.mark.parametrize(
        ("now", "what"),
        [
            (FOUR, "revision 4 was made by somebody else while this ran"),
            (
                TWO._replace(status="uninstalling"),
                "revision 2, which was superseded, became uninstalling while this ran",
            ),
            (NO_RELEASE, "release web was uninstalled by somebody else while this ran"),
        ],
    )
    def test_another_revision_is_refused(self, now: HistoryRow, what: str) -> None:
        with pytest.raises(HelmFailed) as caught:
            refuse_moved("web", TWO, now)
        assert caught.value.what.startswith(what)
        assert caught.value.hint.startswith("run it again")
        assert caught.value.exit_status == 1


class TestMadeSince:
    def test_ours_is_the_next(self) -> None:
        mine = HistoryRow(5, "deployed", "Rollback to 1")
        assert made_since([ONE, FOUR, mine], 4, *OURS) == (mine, [])

    def test_somebody_elses_came_before_or_after(self) -> None:
        theirs, mine = HistoryRow(5, "superseded", "Upgrade complete"), HistoryRow(6, "superseded", "Rollback to 1")
        after = HistoryRow(7, "deployed", "Upgrade complete")
        assert made_since([FOUR, theirs, mine, after], 4, *OURS) == (mine, [after])

    def test_an_older_rollback_is_not_ours(self) -> None:
        assert made_since(
            [HistoryRow(4, "superseded", "Rollback to 1"), HistoryRow(5, "deployed", "Upgrade")], 4, *OURS
        ) == (
            None,
            (),
        )

    def test_one_that_failed(self) -> None:
        mine = HistoryRow(5, "failed", 'Rollback "web" failed: conflict with "kubectl-set"')
        assert made_since([FOUR, mine], 4, *OURS) == (mine, [])

    def test_a_longer_number_is_another_revision(self) -> None:
        assert made_since([FOUR, HistoryRow(5, "deployed", "Rollback to 10")], 4, *OURS) == (None, ())


def test_how_it_is_said() -> None:
    assert made_by_somebody_else([FOUR]) == "revision 4 was made by somebody else"
    assert made_by_somebody_else([FAILED, FOUR]) == "revisions 3, 4 were made by somebody else"


@pytest.mark.parametrize(
    ("statuses", "signs"),
    [
        ({1: "superseded", 2: "deployed"}, []),
        ({1: "deployed", 4: "failed", 5: "failed"}, []),  # --history-max keeps the deployed one
        ({3: "superseded", 4: "superseded", 5: "failed"}, []),  # a rollback that failed
        ({1: "superseded", 3: "superseded", 4: "deployed"}, ["helm does not show revision 2"]),
        ({1: "deployed", 3: "failed", 5: "failed"}, ["helm does not show revision 4"]),
        ({1: "superseded", 2: "superseded"}, [none_deployed(2)]),
        ({1: "uninstalled"}, []),
        ({}, []),
    ],
)
def test_signs_that_helm_has_skipped_a_revision(statuses: dict[int, str], signs: list[str]) -> None:
    found = [
        RevisionInfo(
            stored=Revision("web", number, status, record_text="", manifest="", hooks=""),
            namespace="",
            updated="",
            chart="",
            app_version="",
            description="",
        )
        for number, status in statuses.items()
    ]
    assert signs_of_skipped(Revisions(found, by_helm=True)) == signs
    assert signs_of_skipped(Revisions(found)) == []
