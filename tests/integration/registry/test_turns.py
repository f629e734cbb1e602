"""Servers that change their mind about authentication in the middle of a run."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from helmpin.image.reference import Reference
from helmpin.registry import RegistryError, RegistrySettings, Resolved, resolve
from helmpin.registry.keychain import Chain, Entries
from helmpin.registry.session import Session
from helmpin.registry.types import Credential
from tests.support.asking import NOTHING, error_of, keychain
from tests.support.hostile import Request, response, serve
from tests.support.registry_servers import OCI_INDEX, basic, sha256

DIGEST = "sha256:" + "0a" * 32
QUICK, BRIEF = RegistrySettings(timeout=10), RegistrySettings(timeout=2)


def found(request: Request) -> bytes:
    """The right answer."""
    return response(method=request.method, Content_Type=OCI_INDEX, Docker_Content_Digest=DIGEST)


def bearer(request: Request, **more: str) -> bytes:
    """A challenge whose token server is the registry itself."""
    parameters = "".join(f',{name}="{value}"' for name, value in more.items())
    challenge = f'Bearer realm="http://{request.headers["host"]}/token",service="s"{parameters}'
    return response("401 No", method=request.method, WWW_Authenticate=challenge)


def token(text: str, **more: object) -> bytes:
    """A token server's answer."""
    return response("200 OK", json.dumps({"token": text, **more}).encode(), Content_Type="application/json")


@pytest.mark.parametrize("then", ['Basic realm="x"', "Negotiate", ""])
def test_a_token_that_is_refused_later(then: str) -> None:
    asked: Counter[str] = Counter()

    def answer(request: Request, _: socket.socket) -> bytes:
        if request.target.startswith("/token"):
            return token("t")
        asked[request.target] += 1
        if not request.headers.get("authorization"):
            return bearer(request)
        if request.target.endswith("/two"):
            return response("401 No", method=request.method, WWW_Authenticate=then)
        return found(request)

    with serve(answer) as hostile, Session(QUICK, NOTHING) as session:
        one, two = (Reference.parse(f"{hostile.host}/team/app:{tag}") for tag in ("one", "two"))
        assert session.resolve([one])[one] == Resolved(DIGEST, OCI_INDEX)
        error = session.resolve([two])[two]
        assert isinstance(error, RegistryError)
        assert (error.kind, error.status) == ("unauthorized", 401)
        assert asked["/v2/team/app/manifests/two"] <= 6


def test_a_token_that_is_revoked_is_fetched_anew() -> None:
    tokens = iter("abcdef")
    good = ""

    def answer(request: Request, _: socket.socket) -> bytes:
        nonlocal good
        if request.target.startswith("/token"):
            good = next(tokens)
            return token(good)
        if request.headers.get("authorization") != f"Bearer {good}":
            return bearer(request)
        return found(request)

    with serve(answer) as hostile, Session(QUICK, NOTHING) as session:
        references = [Reference.parse(f"{hostile.host}/team/app:{tag}") for tag in ("one", "two")]
        for reference in references:
            assert session.resolve([reference])[reference] == Resolved(DIGEST, OCI_INDEX)
            good = "revoked"
        assert next(tokens) == "c"


def test_the_scope_that_the_registry_wants_is_asked_for() -> None:
    scopes = []

    def answer(request: Request, _: socket.socket) -> bytes:
        if request.target.startswith("/token"):
            scopes.append(request.target.partition("scope=")[2])
            return token("narrow" if len(scopes) == 1 else "wide")
        shown = request.headers.get("authorization")
        if shown == "Bearer wide":
            return found(request)
        return bearer(request, scope="repository:team/app:pull repository:base/app:pull") if shown else bearer(request)

    with serve(answer) as hostile, Session(QUICK, NOTHING) as session:
        reference = Reference.parse(f"{hostile.host}/team/app:1")
        assert session.resolve([reference])[reference] == Resolved(DIGEST, OCI_INDEX)
    assert scopes == [
        "repository%3Ateam%2Fapp%3Apull",
        "repository%3Ateam%2Fapp%3Apull&scope=repository%3Abase%2Fapp%3Apull",
    ]


def test_requests_that_learn_at_the_same_time_that_their_scope_is_too_narrow() -> None:
    """Each is sent again with the wider one, whichever of them was the first to hear of it."""
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
    bodies = {sha256(body + b" " * number): body + b" " * number for number in range(4)}
    all_sent = threading.Barrier(len(bodies))

    def answer(request: Request, _: socket.socket) -> bytes:
        if request.target.startswith("/token"):
            return token("may-push" if "push" in request.target else "may-pull")
        shown, what = request.headers.get("authorization", ""), request.target.rpartition("/")[2]
        if request.method == "PUT" and shown == "Bearer may-push":
            return response("201 Created")
        if request.method == "PUT" and shown:
            all_sent.wait(5)
        if request.method == "PUT" or not shown:
            actions = "pull,push" if request.method == "PUT" else "pull"
            return bearer(request, scope=f"repository:team/app:{actions}")
        if what not in bodies:
            return response("404 Not Found", method=request.method)
        return response("200 OK", bodies[what], request.method, Content_Type=OCI_INDEX)

    with serve(answer) as server:
        settings = QUICK._replace(credentials=((server.host, Credential("me", "pass word", source="a test")),))
        with Session(settings) as session:
            tags = {Reference.parse(f"{server.host}/team/app@{each}"): f"keep-{each[7:23]}" for each in bodies}
            assert session.keep(tags) == dict.fromkeys(tags, True)


def test_a_scope_that_is_another_each_time_comes_to_an_end() -> None:
    def answer(request: Request, _: socket.socket) -> bytes:
        if request.target.startswith("/token"):
            return token("t")
        return bearer(request, scope=f"repository:team/app{len(hostile.requests)}:pull")

    with serve(answer) as hostile:
        error = error_of(f"{hostile.host}/team/app:1", QUICK)
        assert (error.kind, error.status) == ("unauthorized", 401)
        assert len(hostile.requests) < 40


def test_an_identity_token_is_of_no_use_for_basic() -> None:
    identity = Credential(identity_token="an identity token", source="a test")
    with serve(lambda request, _: response("401 No", method=request.method, WWW_Authenticate="Basic")) as hostile:
        reference = Reference.parse(f"{hostile.host}/team/app:1")
        error = resolve([reference], QUICK, Entries([(hostile.host, identity)]))[reference]
        assert isinstance(error, RegistryError)
        assert (error.kind, error.status) == ("unauthorized", 401)
        assert len(hostile.requests) <= 3
        assert not any("authorization" in request.headers for request in hostile.requests)


def test_a_registry_token_goes_to_the_registry_as_it_is() -> None:
    ready = Credential(registry_token="ready-made", source="a test")

    def answer(request: Request, _: socket.socket) -> bytes:
        return found(request) if request.headers.get("authorization") == "Bearer ready-made" else bearer(request)

    with serve(answer) as hostile:
        reference = Reference.parse(f"{hostile.host}/team/app:1")
        answers = resolve([reference], QUICK, Entries([(hostile.host, ready)]))
        assert answers == {reference: Resolved(DIGEST, OCI_INDEX)}
        assert not any(request.target.startswith("/token") for request in hostile.requests)


def test_a_good_token_for_a_wrong_time_is_no_loop() -> None:
    def answer(request: Request, _: socket.socket) -> bytes:
        if request.target.startswith("/token"):
            return token("t", expires_in=-1e308)
        return found(request) if request.headers.get("authorization") else bearer(request)

    with serve(answer) as hostile:
        references = [Reference.parse(f"{hostile.host}/team/app:{i}") for i in range(20)]
        assert set(resolve(references, QUICK, NOTHING).values()) == {Resolved(DIGEST, OCI_INDEX)}
        assert sum(request.target.startswith("/token") for request in hostile.requests) == 1


class TestOneThatHidesFromStrangers:
    """It sends a challenge only at /v2/, where docker and crane begin, and refuses strangers everywhere else."""

    @pytest.mark.parametrize(
        ("status", "scheme"),
        [
            ("404 Not Found", "basic"),
            ("404 Not Found", "bearer for all"),
            ("403 Forbidden", "bearer"),
            ("401 No", "basic"),
        ],
    )
    def test_is_asked_there(self, status: str, scheme: str, tmp_path: Path) -> None:
        def answer(request: Request, _: socket.socket) -> bytes:
            if request.target.startswith("/token"):
                return token("t")
            if "authorization" in request.headers:
                return found(request)
            if request.target == "/v2/":
                basic = response("401 No", WWW_Authenticate='Basic realm="x"')
                return basic if scheme == "basic" else bearer(request)
            return response(status)

        with serve(answer) as server:
            logins = {} if scheme == "bearer for all" else {server.host: ("alice", "s3cr3t")}
            wanted = [Reference.parse(f"{server.host}/team/app{i}:v1") for i in range(30)]
            answers = resolve(wanted, QUICK, keychain(tmp_path, logins))
            assert not [error for error in answers.values() if isinstance(error, RegistryError)]
            assert [request.target for request in server.requests].count("/v2/") == 1

    def test_as_a_mirror_below_a_path_is_asked_at_its_own(self, tmp_path: Path) -> None:
        def answer(request: Request, _: socket.socket) -> bytes:
            if "authorization" in request.headers:
                return found(request)
            if request.target == "/proxy/v2/":
                return response("401 No", WWW_Authenticate='Basic realm="x"')
            return response("404 Not Found")

        with serve(answer) as server:
            settings = QUICK._replace(mirrors=(("reg.example", f"http://{server.host}/proxy/v2"),))
            chain = keychain(tmp_path, {server.host: ("alice", "s3cr3t")})
            wanted = Reference.parse("reg.example/team/app:v1")
            assert resolve([wanted], settings, chain) == {wanted: Resolved(DIGEST, OCI_INDEX)}

    @pytest.mark.parametrize("root", ["200 OK", "401 No", "500 Oh"])
    def test_what_is_missing_stays_missing(self, root: str, tmp_path: Path) -> None:
        with serve(lambda request, _: response(root if request.target == "/v2/" else "404 Not Found")) as server:
            chain = keychain(tmp_path, {server.host: ("alice", "s3cr3t")})
            error = error_of(f"{server.host}/team/app:v1", QUICK, chain)
            assert not [request for request in server.requests if "authorization" in request.headers]
        assert (error.kind, error.status) == ("not-found", 404)


def test_a_token_of_one_letter_garbles_no_message() -> None:
    def answer(request: Request, _: socket.socket) -> bytes:
        return token("t") if request.target.startswith("/token") else bearer(request)

    with serve(answer) as hostile:
        error = error_of(f"{hostile.host}/team/app:1", QUICK)
    assert "team/app" in error.reason and "***" not in error.reason


class TestPasswords:
    """A 401 says that the password is wrong, or that its user may not pull this image. Some registries lock an account after a few
    wrong passwords."""

    WANTED = tuple(f"team/app{number}" for number in range(30))

    def asked(
        self,
        allowed: Callable[[Request], bool],
        *passwords: str,
        by_token: bool = False,
        settings: RegistrySettings = QUICK,
    ) -> tuple[int, Counter[str]]:
        """How many images were resolved, and how often each target was requested with a login. allowed: whether a request with the
        first password is in order."""

        def answer(request: Request, _: socket.socket) -> bytes:
            shown = request.headers.get("authorization", "")
            logins[request.target] += shown.startswith("Basic")
            good = shown == basic("me", "right") and allowed(request)
            if request.target.startswith("/token"):
                return token("a-token") if good else response("401 No")
            if shown == "Bearer a-token" or (good and not by_token):
                return found(request)
            return bearer(request) if by_token else response("401 No", method=request.method, WWW_Authenticate="Basic")

        logins: Counter[str] = Counter()
        with serve(answer) as server:
            keys = Chain(
                *(
                    Entries([(server.host, Credential("me", each, source=f"file {i}"))])
                    for i, each in enumerate(passwords)
                )
            )
            answers = resolve([Reference.parse(f"{server.host}/{name}:1") for name in self.WANTED], settings, keys)
        return sum(isinstance(each, Resolved) for each in answers.values()), +logins

    @pytest.mark.parametrize("passwords", [["wrong"], ["wrong", "wrong"]])
    def test_a_wrong_one_is_sent_for_one_image_and_as_a_login(self, passwords: list[str]) -> None:
        resolved, logins = self.asked(lambda _: True, *passwords)
        assert resolved == 0 and logins.pop("/v2/") == 1 and list(logins.values()) == [1]

    def test_the_next_one_is_tried_after_a_wrong_one(self) -> None:
        resolved, logins = self.asked(lambda _: True, "wrong", "right")
        assert resolved == len(self.WANTED) and logins.total() == len(self.WANTED) + 2

    @pytest.mark.parametrize("by_token", [False, True])
    def test_a_right_one_costs_no_further_request(self, by_token: bool) -> None:
        """Nor does it depend on an answer to a login, which some servers refuse to everybody."""
        resolved, logins = self.asked(lambda request: request.target != "/v2/", "right", by_token=by_token)
        assert resolved == len(self.WANTED) and logins.total() == len(self.WANTED)

    def test_an_image_that_takes_long_holds_up_no_other(self) -> None:
        """As where a registry fetches it from another one first."""
        tried: list[str] = []

        def slow(request: Request) -> bool:
            tried.append(request.target)
            if request.target == tried[0]:  # the image for which the password is tried
                time.sleep(BRIEF.timeout + 0.5)
            return True

        assert self.asked(slow, "right", settings=BRIEF)[0] == len(self.WANTED) - 1

    @pytest.mark.parametrize("by_token", [False, True])
    def test_a_right_one_is_right_wherever_its_user_may_not_pull(self, by_token: bool) -> None:
        """Also if that is the image for which it is tried first."""
        refused: set[str] = set()

        def allowed(request: Request) -> bool:
            name = re.search("team/app[0-9]+", unquote(request.target))
            if name and not refused:
                refused.add(name[0])
            return not name or name[0] not in refused

        resolved, _ = self.asked(allowed, "right", by_token=by_token)
        assert resolved == len(self.WANTED) - 1
