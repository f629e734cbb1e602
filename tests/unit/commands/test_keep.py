"""What helm pin keep advises where a registry did not take a tag: that depends on what it said."""

from __future__ import annotations

import socket
from typing import Any

import pytest

import helmpin.helm
from helmpin.commands import keep
from helmpin.errors import RegistryUnavailable
from helmpin.release import revisions
from helmpin.release.record import Image, Record
from helmpin.release.revision import Revision
from helmpin.release.storage import RevisionInfo, Revisions
from helmpin.request import understand
from tests.support.hostile import Request, response, serve
from tests.support.registry_servers import OCI_INDEX, sha256
from tests.support.renders import pod

BODY = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}'
LOG_IN = "log in with an account that may push to these repositories"


@pytest.fixture(autouse=True)
def no_helm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helmpin.helm.Helm, "flags", lambda *_: {})
    monkeypatch.setattr("helmpin.registry.requester.pauses", lambda: iter([0.01] * 99))


def revision(image: str, number: int = 1, manifest: str = "") -> RevisionInfo:
    """One of a release with this image, whose manifest is that or a right one."""
    record = Record("helm-pin 1.0.0", "2026-01-02T03:04:05Z", (Image(image, image, sha256(BODY), OCI_INDEX, "values"),))
    stored = manifest or pod(f"{image}@{sha256(BODY)}")
    return RevisionInfo(Revision("web", number, "deployed", record.to_json(), stored, ""), "shop", "", "", "", "")


def advice(
    monkeypatch: pytest.MonkeyPatch, host: str, *args: str, what: str = r"1 of [12] tags could not be written"
) -> str:
    """The hint for a release with one image at that registry. what: the first line of the error."""
    monkeypatch.setattr(revisions, "read_all", lambda *_: Revisions([revision(f"{host}/team/app:1")]))
    with pytest.raises(RegistryUnavailable, match=what) as caught:
        keep.run(understand("keep", ["web", *args], helmpin.helm.Helm("/never/run")))
    return caught.value.hint


def answering(**statuses: str) -> Any:
    """A registry with BODY, which answers these methods otherwise."""

    def answer(request: Request, _: socket.socket) -> bytes:
        if "list" in statuses and "/tags/list" in request.target:
            return response(statuses["list"], b"{}")
        if request.method in statuses:
            unknown = b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry"}]}'
            body = unknown if statuses[request.method].startswith("400") else b"{}"
            return response(statuses[request.method], body, request.method)
        if "/tags/list" in request.target:
            return response("200 OK", b'{"tags": ["keep-web_shop_0"]}')
        if request.method == "HEAD":
            return response("404 Not Found", method="HEAD")
        return response("201 Created" if request.method == "PUT" else "200 OK", BODY, Content_Type=OCI_INDEX)

    return answer


def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert advice(monkeypatch, "registry.invalid") == "check the registry's name, and this machine's DNS"


@pytest.mark.parametrize(
    ("statuses", "flags", "hint"),
    [
        ({"PUT": "401 No"}, (), LOG_IN),
        ({"PUT": "403 Forbidden"}, (), LOG_IN),
        ({"PUT": "500 Oh"}, (), "try again later"),
        ({"GET": "404 Not Found"}, (), "no rollback can run what is gone"),
        ({"PUT": "400 Bad Request"}, (), "the registry accepts no new tag where a part is gone"),
        ({"DELETE": "405 Method Not Allowed"}, ("--prune",), "delete it with the registry's own tools"),
        ({"DELETE": "403 Forbidden"}, ("--prune",), LOG_IN),
    ],
)
def test_what_the_registry_answers(
    monkeypatch: pytest.MonkeyPatch, statuses: dict[str, str], flags: tuple[str, ...], hint: str
) -> None:
    with serve(answering(**statuses)) as server:
        assert advice(monkeypatch, server.host, *flags).startswith(hint)


@pytest.mark.parametrize(
    ("statuses", "what"),
    [
        ({"list": "403 Forbidden"}, "^not all tags could be listed$"),
        ({"list": "404 Not Found"}, "^not all tags could be listed$"),
        ({"list": "403 Forbidden", "PUT": "403 Forbidden"}, "^1 of 1 tags could not be written$"),
        ({"list": "404 Not Found", "GET": "404 Not Found"}, "^1 of 1 tags could not be written$"),
    ],
)
def test_a_list_that_cannot_be_read_counts_as_no_tag(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], statuses: dict[str, str], what: str
) -> None:
    """Nor are tags removed from a repository that is not there."""
    with serve(answering(**statuses)) as server:
        advice(monkeypatch, server.host, "--prune", what=what)
    assert "removed" not in capsys.readouterr().out


def test_a_stored_manifest_that_cannot_be_read_stops_no_other_revision() -> None:
    image = "example.com/team/app:1"
    needed = keep.needs_of([revision(image, 1, "image: [unclosed\n"), revision(image, 2)])
    (unread,) = needed.unread
    assert [str(reference) for reference in needed.tags] == [f"example.com/team/app@{sha256(BODY)}"]
    assert unread.startswith("revision 1: ")
