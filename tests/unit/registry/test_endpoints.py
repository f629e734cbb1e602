"""Which servers are asked for a reference, and where they may send their clients."""

from __future__ import annotations

import pytest

from helmpin.errors import UsageError
from helmpin.image.reference import Reference
from helmpin.registry.endpoints import check_target, endpoints, hostname, is_loopback
from helmpin.registry.errors import Failure
from helmpin.registry.types import RegistrySettings


def urls(reference: str, *mirrors: tuple[str, str], plain: frozenset[str] = frozenset()) -> list[str]:
    parsed = Reference.parse(reference)
    settings = RegistrySettings(mirrors=mirrors, plain_http=plain)
    return [
        endpoint.url(parsed.repository, f"manifests/{parsed.identifier}") for endpoint in endpoints(parsed, settings)
    ]


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("nginx:1", "https://registry-1.docker.io/v2/library/nginx/manifests/1"),
        ("ghcr.io/a/b", "https://ghcr.io/v2/a/b/manifests/latest"),
        ("ghcr.io:8443/a/b", "https://ghcr.io:8443/v2/a/b/manifests/latest"),
        ("localhost:5000/a", "http://localhost:5000/v2/a/manifests/latest"),
        ("127.8.9.1:5000/a", "http://127.8.9.1:5000/v2/a/manifests/latest"),
        ("[::1]:5000/a", "http://[::1]:5000/v2/a/manifests/latest"),
        ("reg.localhost/a", "http://reg.localhost/v2/a/manifests/latest"),
        ("10.0.0.1:5000/a", "https://10.0.0.1:5000/v2/a/manifests/latest"),
        ("localhost.example.com/a", "https://localhost.example.com/v2/a/manifests/latest"),
    ],
)
def test_the_registry_itself(reference: str, url: str) -> None:
    assert urls(reference) == [url]


def test_plain_http_where_asked_for() -> None:
    plain = frozenset({"registry.lan:5000", "docker.io"})
    assert urls("registry.lan:5000/a", plain=plain) == ["http://registry.lan:5000/v2/a/manifests/latest"]
    assert urls("registry.lan/a", plain=plain) == ["https://registry.lan/v2/a/manifests/latest"]
    assert urls("nginx", plain=plain) == ["http://registry-1.docker.io/v2/library/nginx/manifests/latest"]


def test_mirrors_in_order_and_the_origin_only_when_asked() -> None:
    mirrors = (
        ("docker.io", "https://m1.example"),
        ("*", "https://all.example"),
        ("docker.io", "https://m2.example/cache/"),
    )
    hub = [f"https://{base}/v2/library/nginx/manifests/1?ns=docker.io" for base in ("m1.example", "m2.example/cache")]
    assert urls("nginx:1", *mirrors) == hub
    assert urls("nginx:1", *mirrors, ("index.docker.io", "origin")) == [
        *hub,
        "https://registry-1.docker.io/v2/library/nginx/manifests/1",
    ]
    assert urls("ghcr.io/a/b:1", *mirrors) == ["https://all.example/v2/a/b/manifests/1?ns=ghcr.io"]
    assert urls("ghcr.io/a/b:1", ("ghcr.io", "origin"), *mirrors) == ["https://ghcr.io/v2/a/b/manifests/1"]


@pytest.mark.parametrize(
    ("mirror", "url"),
    [
        ("m.example", "https://m.example/v2/a/manifests/1?ns=r.io"),
        ("http://m.example:80", "http://m.example:80/v2/a/manifests/1?ns=r.io"),
        ("127.0.0.1:5001", "http://127.0.0.1:5001/v2/a/manifests/1?ns=r.io"),
        ("https://127.0.0.1:5001", "https://127.0.0.1:5001/v2/a/manifests/1?ns=r.io"),
        ("https://m.example/v2", "https://m.example/v2/a/manifests/1?ns=r.io"),
        ("https://m.example/v2/proxy", "https://m.example/v2/proxy/a/manifests/1?ns=r.io"),
        ("https://m.example/proxy/v2/", "https://m.example/proxy/v2/a/manifests/1?ns=r.io"),
        ("http://r.io", "http://r.io/v2/a/manifests/1"),
    ],
)
def test_mirror_urls(mirror: str, url: str) -> None:
    assert urls("r.io/a:1", ("r.io", mirror)) == [url]


@pytest.mark.parametrize(
    "mirror",
    ["ftp://m.example", "https://", "https://user:pa55@m.example", "https://m.example/?x=1", "", "http://[::1"],
)
def test_mirrors_that_cannot_be_used(mirror: str) -> None:
    with pytest.raises(UsageError) as caught:
        urls("r.io/a:1", ("r.io", mirror))
    assert "r.io" in caught.value.message()
    assert "pa55" not in caught.value.message()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True), ("LOCALHOST:1", True), ("a.localhost", True), ("127.0.0.1", True), ("127.9.9.9:80", True),
        ("[::1]:80", True), ("[::1]", True), ("::1", True), ("128.0.0.1", False), ("127.0.0.1.example.com", False),
        ("localhost.example.com", False), ("[::2]:80", False), ("127.1", False), ("", False), ("0.0.0.0", False),
    ],
)  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("host", "name"),
    [("a", "a"), ("a:1", "a"), ("[::1]:1", "::1"), ("[::1]", "::1"), ("::1", "::1"), ("", ""), ("[", "")],
)
def test_hostname(host: str, name: str) -> None:
    assert hostname(host) == name


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("https://ghcr.io/v2/", "https://cdn.example/x?y=z"),
        ("https://ghcr.io/v2/", "https://ghcr.io:8443/x"),
        ("https://ghcr.io/v2/", "http://plain.example/x"),
        ("http://plain.example/", "http://plain.example/y"),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5001/x"),
        ("http://localhost/", "http://[::1]/x"),
        ("http://registry.lan/", "http://registry.lan/x"),
        ("https://127.1:5000/", "https://127.0.0.1:5001/token"),
    ],
)
def test_a_target_that_is_taken(source: str, target: str) -> None:
    assert check_target(target, source, RegistrySettings(plain_http=frozenset({"plain.example"})), "it") == target


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("ftp://127.0.0.1/x", "not a valid server URL"),
        ("file:///etc/passwd", "not a valid server URL"),
        ("//[", "not a valid server URL"),
        ("http://", "not a valid server URL"),
        ("http://user:word@example.com/", "not a valid server URL"),
        ("http://\x01/", "not a valid server URL"),
        ("https://a b/", "not a valid server URL"),
        ("https://[::1", "not a valid server URL"),
        ("\\\\x", "not a valid server URL"),
        ("/token", "not a valid server URL"),
        ("", "not a valid server URL"),
        ("http://127.0.0.1:1/v2/", "loopback or link-local"),
        ("http://localhost:1/", "loopback or link-local"),
        ("https://127.0.0.1:1/", "loopback or link-local"),
        ("https://[::1]:1/", "loopback or link-local"),
        ("https://[::ffff:127.0.0.1]/", "loopback or link-local"),
        ("https://0.0.0.0/", "loopback or link-local"),
        ("https://169.254.169.254/latest/", "loopback or link-local"),
        ("https://127.1:6443/", "loopback or link-local"),
        ("https://2130706433/", "loopback or link-local"),
        ("https://0x7f.1/", "loopback or link-local"),
        ("https://localhost.:6443/", "loopback or link-local"),
        ("http://elsewhere.test/", "unencrypted"),
        ("http://ghcr.io/", "unencrypted"),
    ],
)
def test_a_target_that_is_refused(target: str, why: str) -> None:
    with pytest.raises(Failure) as caught:
        check_target(target, "https://ghcr.io/v2/", RegistrySettings(), "the redirect target")
    assert caught.value.kind == "bad-answer"
    assert caught.value.reason.startswith("the redirect target ") and why in caught.value.reason
    assert caught.value.reason.isprintable()
