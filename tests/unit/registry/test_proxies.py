"""Proxies from the environment, as Go programs read them (golang.org/x/net/http/httpproxy)."""

from __future__ import annotations

import pytest

from helmpin.registry.endpoints import proxy_for

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("scheme", "environ", "proxy"),
    [
        ("https", {}, None),
        ("https", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https", {"https_proxy": PROXY}, PROXY),
        ("https", {"HTTPS_PROXY": "proxy.example:3128"}, PROXY),
        ("https", {"HTTP_PROXY": PROXY}, None),
        ("http", {"HTTP_PROXY": PROXY}, PROXY),
        ("http", {"HTTPS_PROXY": PROXY}, None),
        ("https", {"HTTPS_PROXY": "", "https_proxy": PROXY}, PROXY),
    ],
)
def test_which_variable(scheme: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(scheme, "ghcr.io", environ) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("*", "ghcr.io", True),
        ("ghcr.io", "ghcr.io", True),
        ("ghcr.io", "GHCR.IO", True),
        ("GHCR.io", "ghcr.io:443", True),
        ("ghcr.io", "sub.ghcr.io", True),
        ("ghcr.io", "notghcr.io", False),
        (".ghcr.io", "sub.ghcr.io", True),
        (".ghcr.io", "ghcr.io", False),
        ("*.ghcr.io", "sub.ghcr.io", True),
        ("*.ghcr.io", "ghcr.io", False),
        ("ghcr.io:443", "ghcr.io", True),
        ("ghcr.io:8443", "ghcr.io", False),
        ("ghcr.io:8443", "ghcr.io:8443", True),
        ("10.0.0.0/8", "10.1.2.3:5000", True),
        ("10.0.0.0/8", "11.1.2.3:5000", False),
        ("10.1.2.3", "10.1.2.3:5000", True),
        ("fd00::/8", "[fd00::1]:5000", True),
        ("fd00::1", "[fd00::1]:5000", True),
        ("[fd00::1]:5000", "[fd00::1]:5000", True),
        ("[fd00::1]:5001", "[fd00::1]:5000", False),
        (" a.example , ghcr.io ,", "ghcr.io", True),
        ("", "ghcr.io", False),
        (",,", "ghcr.io", False),
        ("junk/99", "10.0.0.1", False),
    ],
)
def test_no_proxy(no_proxy: str, host: str, direct: bool) -> None:
    assert (proxy_for("https", host, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}) is None) is direct


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"])
def test_loopback_is_never_asked_through_a_proxy(host: str) -> None:
    assert proxy_for("http", host, {"HTTP_PROXY": PROXY}) is None
