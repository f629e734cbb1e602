"""Lists of tags in pages, as registries send them: where the next page is, only they know (OCI distribution specification, "Listing
Tags"; RFC 8288)."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

import pytest

from helmpin.image.reference import Reference
from helmpin.registry import RegistryError, RegistrySettings, prune
from helmpin.registry.client import MAX_PAGES, Client
from helmpin.registry.transport import Transport
from helmpin.registry.types import TagList
from tests.support.asking import NOTHING
from tests.support.hostile import Hostile, Request, response, serve

PREFIX = "keep-web_shop_"
KEPT, OLD = f"{PREFIX}{'0' * 16}", f"{PREFIX}{'1' * 16}"
PAGES = {"": ["a", "b"], "2": ["c", KEPT], "3": [OLD, "z"]}
"""By the token that asks for each."""
PLAIN = RegistrySettings()
DIGEST = "sha256:" + "0" * 64


def paged(link: Callable[[Request, str], str], pages: dict[str, list[str]] = PAGES) -> Callable[..., bytes]:
    """A registry that has these pages. link: the Link header that asks for a token, where there is a further page."""
    tokens = list(pages)

    def answer(request: Request, _: socket.socket) -> bytes:
        if request.method == "DELETE":
            return response("202 Accepted")
        token = request.target.partition("next_page=")[2].partition("&")[0]
        following = tokens[tokens.index(token) + 1 :][:1]
        links = {"Link": link(request, following[0])} if following else {}
        body = json.dumps({"name": "team/app", "tags": pages[token]}).encode()
        return response("200 OK", body, Content_Type="application/json", **links)

    return answer


def listed(host: str, settings: RegistrySettings = PLAIN) -> TagList:
    """The tags of team/app on a server."""
    transport = Transport(settings, time.monotonic() + 10)
    try:
        return Client(settings, NOTHING, transport).tags(Reference.parse(f"{host}/team/app:1"))
    finally:
        transport.close()


def lists(server: Hostile) -> list[str]:
    """The lists that a server was asked for."""
    return [request.target for request in server.requests if "/tags/list" in request.target]


def query(_: Request, token: str) -> str:
    return f'</v2/team/app/tags/list?next_page={token}>; rel="next"'


@pytest.mark.parametrize(
    "link",
    [
        query,
        lambda request, token: (
            f"<http://{request.headers['host']}/v2/team/app/tags/list?n=2&next_page={token}>; rel=next"
        ),
        lambda _, token: f"<?next_page={token}>; title=more; REL=Next",
        lambda _, token: f'<list?n=1000&next_page=>; rel="prev first", <list?next_page={token}>; rel="last next"',
    ],
    ids=["path", "URL", "query", "two links"],
)
def test_the_next_page_is_where_the_registry_says(link: Callable[[Request, str], str]) -> None:
    with serve(paged(link)) as server:
        assert listed(server.host) == TagList(["a", "b", "c", KEPT, OLD, "z"], complete=True)
        assert len(lists(server)) == len(PAGES)


def test_a_mirror_is_told_of_which_registry_the_next_page_is() -> None:
    with serve(paged(query)) as server:
        settings = RegistrySettings(mirrors=(("quay.io", f"http://{server.host}"),))
        assert listed("quay.io", settings).complete
        assert all(target.endswith("ns=quay.io") for target in lists(server))


def test_what_is_no_link_to_a_next_page() -> None:
    for odd in (
        '<list?next_page=2>; rel="prev"',
        "<list?next_page=2>",
        "nonsense",
        "<list?next_page=2>; rel=next-archive",
    ):
        with serve(paged(lambda *_, odd=odd: odd)) as server:
            assert listed(server.host) == TagList(["a", "b"], complete=True)


def test_a_next_page_elsewhere_is_not_asked_for() -> None:
    with serve(lambda *_: response("200 OK", b'{"tags": []}')) as other:
        for elsewhere in (
            f"http://{other.host}/v2/team/app/tags/list",
            f"http://me:x@{other.host}/",
            "http://[",
            "ftp:",
        ):
            with serve(paged(lambda *_, to=elsewhere: f"<{to}>; rel=next")) as server:
                assert listed(server.host) == TagList(["a", "b"], complete=False)
        assert not other.requests


def test_pages_without_end() -> None:
    with serve(paged(lambda *_: "<list?next_page=2>; rel=next")) as server:
        assert listed(server.host) == TagList(["a", "b", "c", KEPT, "c", KEPT], complete=False)
        assert len(lists(server)) == MAX_PAGES


class TestPruned:
    @staticmethod
    def pruned(server: Hostile, settings: RegistrySettings = PLAIN) -> dict[str, RegistryError | None]:
        """What became of the tags that begin with PREFIX, without the server's name."""
        kept = {Reference.parse(f"{server.host}/team/app@{DIGEST}"): KEPT}
        return {each.identifier: error for each, error in prune(kept, PREFIX, settings).items()}

    def test_tags_of_later_pages(self) -> None:
        with serve(paged(query)) as server:
            assert self.pruned(server) == {OLD: None}
            assert [r.target for r in server.requests if r.method == "DELETE"] == [f"/v2/team/app/manifests/{OLD}"]

    def test_says_that_it_could_not_list_all(self) -> None:
        """What it has seen is removed all the same."""
        with serve(paged(query, {**PAGES, "3": ["y", OLD], "4": []})) as server:
            removed = self.pruned(server)
        assert removed.pop(OLD) is None
        error = removed[DIGEST]
        assert error is not None and error.reason == "only 6 of its tags could be listed" and PREFIX in error.hint

    def test_not_where_all_that_is_left_comes_later_in_the_alphabet(self) -> None:
        with serve(paged(query, {**PAGES, "4": []})) as server:
            assert self.pruned(server) == {OLD: None}

    def test_at_the_registry_itself(self) -> None:
        """A mirror may have other tags, and nothing is removed there."""
        with serve(paged(query)) as mirror, serve(paged(query)) as server:
            mirrored = RegistrySettings(mirrors=((server.host, f"http://{mirror.host}"),))
            assert self.pruned(server, mirrored) == {OLD: None}
            assert not mirror.requests
