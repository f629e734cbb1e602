"""What scripts/matrix does with its rows before it tries one; each row is a run of the tests."""

from __future__ import annotations

import pytest

from scripts.devtools import matrix


@pytest.fixture(autouse=True)
def other_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that no machine has, so that its row can only be missing."""
    monkeypatch.setattr(matrix, "PYTHONS", ("3.999",))


def test_an_unknown_row_is_an_error_that_names_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        matrix.main(["Python 3.999", "driver sqlite"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "no row is named 'driver sqlite'" in error and all(row.name in error for row in matrix.rows())


@pytest.mark.parametrize(("words", "status"), [([], 0), (["--strict"], 1)])
def test_a_row_that_cannot_be_tried(words: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert matrix.main(["python", *words]) == status
    shown = capsys.readouterr()
    assert shown.out == "Python 3.999  not on this machine\n" and "not tried: Python 3.999" in shown.err
