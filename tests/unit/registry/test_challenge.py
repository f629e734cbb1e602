"""WWW-Authenticate: the forms of RFC 9110, those that registries really send, and junk."""

from __future__ import annotations

import pytest

from helmpin.registry.challenge import Challenge, choose, parse

HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull"'


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ('Basic realm="Registry Realm"', [("basic", {"realm": "Registry Realm"})]),
        ("Basic", [("basic", {})]),
        (
            HUB,
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:library/nginx:pull",
                    },
                )
            ],
        ),
        ('BEARER Realm="x" , Service=y', [("bearer", {"realm": "x", "service": "y"})]),
        (
            "Bearer realm=https://a.example/t?x=1,service=s",
            [("bearer", {"realm": "https://a.example/t?x=1", "service": "s"})],
        ),
        (r'Basic realm="with \"quotes\" and \\"', [("basic", {"realm": r'with "quotes" and \\'[:-1]})]),
        ('Basic realm="a, Bearer realm=b"', [("basic", {"realm": "a, Bearer realm=b"})]),
        ('Negotiate, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        ('Negotiate dG9rZW4=, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        (
            'Basic realm="x", Bearer realm="y",service="z"',
            [("basic", {"realm": "x"}), ("bearer", {"realm": "y", "service": "z"})],
        ),
        ('Bearer realm="x",realm="y"', [("bearer", {"realm": "x"})]),
        (",, ,Basic", [("basic", {})]),
        ('Bearer realm="x",scope="a:b:pull a:c:pull"', [("bearer", {"realm": "x", "scope": "a:b:pull a:c:pull"})]),
        ("", []),
        ("=", []),
        ('"', []),
        ('Bearer realm="never closed', [("bearer", {})]),
        ("\x00\xff", []),
    ],
)
def test_parse(header: str, challenges: list[tuple[str, dict[str, str]]]) -> None:
    assert parse([header]) == [Challenge(scheme, parameters) for scheme, parameters in challenges]


def test_several_headers() -> None:
    assert [challenge.scheme for challenge in parse(["Negotiate", HUB])] == ["negotiate", "bearer"]


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        ([], None),
        (["Negotiate"], None),
        (["Bearer"], None),
        (['Bearer realm=""'], None),
        (["Basic realm=x"], "basic"),
        (["Negotiate", "Basic realm=x"], "basic"),
        (["Basic realm=x", HUB], "bearer"),
        (["Bearer service=x", "Basic"], "basic"),
    ],
)
def test_choose(headers: list[str], scheme: str | None) -> None:
    chosen = choose(parse(headers))
    assert (chosen.scheme if chosen else None) == scheme


def test_what_is_too_long_is_cut() -> None:
    assert len(parse(["a, " * 1_000_000])) < 10_000
