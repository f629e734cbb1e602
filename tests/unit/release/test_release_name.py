"""The release's name where helm would make one up; a pattern is helm's own to evaluate (tests/integration)."""

from __future__ import annotations

import re

import pytest

from helmpin.arguments import Given
from helmpin.errors import UsageError
from helmpin.helm import Helm
from helmpin.release.release_name import name_release

NO_HELM = Helm("never-run")
GENERATE = Given("--generate-name", None, ("--generate-name",))
OFF = Given("--generate-name", "false", ("--generate-name=false",))
PATTERN = Given("--name-template", "x-{{ 1 }}", ("--name-template", "x-{{ 1 }}"))
OTHER = Given("--timeout", "1s", ("--timeout", "1s"))


def test_a_name_that_is_given() -> None:
    assert name_release(["web", "chart"], [OTHER], NO_HELM) == ("web", "chart", [OTHER])
    assert name_release(["web", "chart"], [OFF, OTHER], NO_HELM) == ("web", "chart", [OTHER])


@pytest.mark.parametrize("flag", [GENERATE, PATTERN])
def test_a_name_and_a_flag_that_makes_one(flag: Given) -> None:
    with pytest.raises(UsageError, match="cannot set"):
        name_release(["web", "chart"], [flag], NO_HELM)


@pytest.mark.parametrize("flags", [[], [OFF]])
def test_no_name(flags: list[Given]) -> None:
    with pytest.raises(UsageError, match="--generate-name"):
        name_release(["chart"], flags, NO_HELM)


@pytest.mark.parametrize(
    ("chart", "base"),
    [
        ("./web", "web"),
        ("./charts/web/", "web"),
        ("repo/web", "web"),
        ("web-1.2.3.tgz", "web-1"),
        ("./web-app-1.2.3.tar.gz", "web-app-1"),
        ("https://example.com/charts/web-1.2.3.tgz", "web-1"),
        ("oci://example.com/charts/web", "web"),
        ("./my.chart", "my"),
        (".", "chart"),
        ("./", "chart"),
    ],
)
def test_a_name_from_the_chart_and_the_time(chart: str, base: str) -> None:
    """Up to the first full stop, as helm takes it (pkg/action/install.go, NameAndChart)."""
    release, found, flags = name_release([chart], [GENERATE, OTHER], NO_HELM)
    assert re.fullmatch(rf"{base}-\d{{10}}", release)
    assert (found, flags) == (chart, [OTHER])
