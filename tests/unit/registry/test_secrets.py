"""Nothing that is secret shows, whatever is printed."""

from __future__ import annotations

import traceback

import pytest

from helmpin.image.reference import Reference
from helmpin.registry.auth import SentAuth, Token
from helmpin.registry.errors import MAX_LENGTH, RegistryError, printable, redact
from helmpin.registry.transport import Answer
from helmpin.registry.types import Credential, RegistrySettings

SECRET = "hunter2-and-more"
CREDENTIAL = Credential("alice", SECRET, SECRET, SECRET, "a file")


@pytest.mark.parametrize(
    "thing",
    [
        CREDENTIAL,
        RegistrySettings(credentials=(("ghcr.io", CREDENTIAL),)),
        Token(("", "", "", CREDENTIAL), SECRET, 0),
        SentAuth(f"Bearer {SECRET}", CREDENTIAL, Token(("", "", "", CREDENTIAL), SECRET, 0)),
        Answer(200, {"Set-Cookie": SECRET}, [], SECRET.encode(), "GET"),
    ],
)
def test_no_repr_shows_a_secret(thing: object) -> None:
    for text in (repr(thing), str(thing), f"{thing}", f"{[thing]}"):
        assert SECRET not in text
        assert CREDENTIAL.basic[6:] not in text


def test_what_is_secret_of_a_credential() -> None:
    assert CREDENTIAL.secrets == (SECRET, SECRET, SECRET, CREDENTIAL.basic[6:])
    assert Credential().secrets == ()
    assert not Credential(source="somewhere")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("nothing here", "nothing here"),
        (f"a {SECRET} b", "a *** b"),
        (f"{SECRET}{SECRET}", "******"),
        (f"cut off: {SECRET[:12]}", "cut off: ***"),
        (f"begins so: {SECRET[:9]}XYZ", "begins so: ***XYZ"),
        ("hunter", "hunter"),
        ("pw", "***"),
        ("password 'pw' for pwd", "password '***' for pwd"),
        ("login=:x;", "login***;"),
        ("xfourx xpwx", "x***x xpwx"),
        ("user%3Ashort%40reg, user_short, a\\nshort", "user%3A***%40reg, user_***, a\\n***"),
        ("p", "p"),
        ("caf? au lait", "*** au lait"),
    ],
)
def test_clean(text: str, cleaned: str) -> None:
    assert redact(text, {SECRET, "pw", "café", "=:x", "short", "four", ""}) == cleaned


def test_what_is_long_is_cut_after_cleaning() -> None:
    text = redact("x" * (MAX_LENGTH - 6) + SECRET + "y" * 100, {SECRET})
    assert len(text) == MAX_LENGTH
    assert "hunt" not in text


def test_printable() -> None:
    assert printable("a\x1b[31m\r\n\tä~ \x7f") == "a?[31m????~ ?"


def test_registry_error() -> None:
    reference, other = Reference.parse("ghcr.io/acme/app:1"), Reference.parse("ghcr.io/acme/app:2")
    error = RegistryError(
        reference, "not-found", "tag 1 not found in acme/app (HTTP 404)", "check the name and tag", 404
    )
    assert str(error) == "ghcr.io: tag 1 not found in acme/app (HTTP 404)"
    assert (error.registry, error.status) == ("ghcr.io", 404)
    assert error.about(reference) is error
    assert error.about(other).reference == other
    assert "Traceback" not in "".join(traceback.format_exception_only(error))
    assert repr(error) == "RegistryError('ghcr.io/acme/app:1', 'not-found', 'tag 1 not found in acme/app (HTTP 404)')"
