"""What is said of helm's errors about a stored release. The damaged revisions are the test's word; how they are found is in
test_storage.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from helmpin import env
from helmpin.errors import HelmFailed, NoRelease
from helmpin.helm_failure import helm_failed
from helmpin.release.damaged import Damaged
from helmpin.release.errors import explained

HELM = cast("Any", object())
"""It is only passed on."""
MISSING = NoRelease("helm get failed", why="release: not found")
LACKS_A_PART = [
    "panic: runtime error: invalid memory address",
    "template: x:1: nil pointer evaluating *chart.Chart.Metadata",
    "no revision for release web",
    'get: failed to decode data "sh.helm.release.v1.web.v6": unexpected EOF',
]


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The namespace `shop`, which helm would not choose by itself."""
    monkeypatch.setattr(env, "ENVIRON", {"HELM_NAMESPACE": "shop"})
    monkeypatch.setattr("helmpin.next_command.usual_namespace", lambda _: "default")


def stored(monkeypatch: pytest.MonkeyPatch, *found: Damaged) -> list[Any]:
    """What the cluster holds of a release; the kubectls that were asked."""
    asked: list[Any] = []

    def damaged(kubectl: Any, release: str) -> tuple[Sequence[Damaged], int]:
        assert release == "web"
        asked.append(kubectl)
        return found, 2

    monkeypatch.setattr("helmpin.release.damaged.damaged_objects", damaged)
    return asked


def test_a_release_that_does_not_exist() -> None:
    error = explained(MISSING, "web")
    assert (error.what, error.where, error.why) == (
        "there is no release web",
        ["release web, namespace shop"],
        "release: not found",
    )
    assert error.hint == "helm list --all-namespaces lists releases with their namespaces"


def test_a_revision_that_does_not_exist() -> None:
    error = explained(MISSING, "web", 4)
    assert error.what == "there is no revision 4 of release web"
    assert error.where == ["release web, revision 4, namespace shop"]
    assert error.hint == (
        "helm pin history web --namespace shop lists its revisions, "
        "helm list --all-namespaces lists releases with their namespaces"
    )


def test_a_release_elsewhere() -> None:
    error = explained(MISSING, "web", 4, ["--namespace=live", "--kube-context=eu"])
    assert error.where == ["release web, revision 4, context eu, namespace live"]
    assert "helm pin history web --namespace live --kube-context eu" in error.hint


def test_the_storage_driver_is_a_part_of_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "ENVIRON", {"HELM_DRIVER": "configmap"})
    assert explained(MISSING, "web").where == ["release web, namespace default, HELM_DRIVER=configmap"]


@pytest.mark.parametrize("why", LACKS_A_PART)
def test_a_revision_that_lacks_a_part(why: str) -> None:
    error = explained(HelmFailed("helm get failed", why=why), "web")
    assert error.what == "release web cannot be read"
    assert error.hint.startswith("a stored revision is damaged")


@pytest.mark.parametrize(
    ("why", "revision"), [(why, None) for why in [*LACKS_A_PART, MISSING.why]] + [(LACKS_A_PART[0], 2)]
)
def test_damaged_revisions_are_named(monkeypatch: pytest.MonkeyPatch, why: str, revision: int | None) -> None:
    """helm silently skips what it cannot read, so a release may seem not to exist."""
    asked = stored(
        monkeypatch, Damaged("", "they cannot be listed"), Damaged("secret/web.v3", "secret/web.v3 is no gzip")
    )
    error = explained(helm_failed(["get", "all", "web"], 1, f"Error: {why}"), "web", revision, helm=HELM)
    assert error.what == "release web cannot be read"
    assert error.why.splitlines() == ["secret/web.v3 is no gzip", *([] if "panic" in why else [why])]
    assert error.hint == (
        "restore it from a backup, or delete it, and helm continues from revision 2: "
        "kubectl delete secret/web.v3 --namespace shop"
    )
    assert len(asked) == 1


def test_an_earlier_revision_that_is_damaged_stops_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """To delete it would not make helm continue from another one."""
    stored(monkeypatch, Damaged("secret/web.v1", "secret/web.v1 is no gzip"))
    error = explained(HelmFailed("helm get failed", why=LACKS_A_PART[0]), "web", 1, helm=HELM)
    assert error.hint == "restore it from a backup, or choose another revision: helm pin history web --namespace shop"


def test_a_missing_revision_is_no_sign_of_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stored(monkeypatch, Damaged("secret/web.v3", "secret/web.v3 is no gzip"))
    assert explained(MISSING, "web", 4, helm=HELM).what == "there is no revision 4 of release web"
    assert not asked


def test_other_errors_are_not_looked_for_in_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stored(monkeypatch, Damaged("secret/web.v3", "secret/web.v3 is no gzip"))
    error = explained(HelmFailed("helm get failed", why="Forbidden"), "web", 2, helm=HELM)
    assert (error.what, error.why) == ("release web cannot be read", "Forbidden")
    assert not asked


def test_an_error_that_names_its_own_cause_stays() -> None:
    error = explained(HelmFailed("invalid release name", why="it has capitals", hint="use small letters"), "Web")
    assert (error.what, error.why, error.hint) == ("invalid release name", "it has capitals", "use small letters")
    assert error.where == ["release Web, namespace shop"]
