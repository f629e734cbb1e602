"""Handing a report to a file or to a server, for audits that run by themselves."""

from __future__ import annotations

import re
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from helmpin.env import ENVIRON
from helmpin.errors import OperationFailed
from helmpin.files import reason, write_hint
from helmpin.save import is_stream, save

if TYPE_CHECKING:
    from urllib3 import PoolManager
    from urllib3.util import Url

SECONDS = 30
"""The time limit for the server's answer."""
INSTEAD = "give --to a place that accepts it, or leave it out: then the report is printed"


def deliver(text: str, to: str) -> None:
    """Write a report to a file, which is replaced atomically, to a device or a pipe, or PUT it to an http(s) URL, as a Pushgateway
    expects (github.com/prometheus/pushgateway, README, API). Raises OperationFailed if that fails."""
    if to.lower().startswith(("http://", "https://")):
        _put(text, to)
    elif is_stream(to):
        try:
            Path(to).write_text(text, encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise OperationFailed(
                "cannot write the report", where=to, why=reason(error), hint=write_hint(error)
            ) from None
    else:
        save("the report", {to: text}, mode=0o644)  # another program reads it


def _put(text: str, url: str) -> None:
    import urllib3

    try:
        parsed = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        where = re.sub(r"//.*@", "//***@", url)
        raise OperationFailed("the report cannot be sent", where=where, why="this is not a URL", hint=INSTEAD) from None
    shown = parsed._replace(auth=None).url
    headers = {"Authorization": _basic(parsed.auth)} if parsed.auth else {}
    once: dict[str, Any] = {"timeout": SECONDS, "retries": False, "redirect": False}
    try:
        answer = _pool(parsed).request(
            "PUT", shown, body=text.encode(errors="surrogateescape"), headers=headers, **once
        )
    except urllib3.exceptions.HTTPError as error:
        why = str(error).partition(": ")[2] or str(error)  # without the repr of a Python object before the colon
        raise OperationFailed("the report cannot be sent", where=shown, why=why, hint=INSTEAD) from None
    if answer.status >= 300:
        words = answer.data[:300].decode(errors="replace").strip()
        raise OperationFailed(
            "the report was not accepted", where=shown, why=f"HTTP {answer.status}: {words}", hint=INSTEAD
        )


def _pool(url: Url) -> PoolManager:
    """What connects to the server, through the environment's proxy. Raises urllib3's HTTPError if that has no valid URL."""
    import urllib3

    from helmpin.registry.endpoints import proxy_for

    proxy = proxy_for(url.scheme or "", url.netloc or "", ENVIRON)
    if not proxy:
        return urllib3.PoolManager()
    parsed = urllib3.util.parse_url(proxy)
    headers = {"Proxy-Authorization": _basic(parsed.auth)} if parsed.auth else None
    return urllib3.ProxyManager(parsed._replace(auth=None).url, proxy_headers=headers)


def _basic(login: str) -> str:
    """The header for a URL's user:password, in UTF-8 (RFC 7617, 2.1), which urllib3 does not write."""
    return f"Basic {b64encode(unquote(login).encode()).decode()}"
