"""A headless Chromium that opens a file and says what it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from html import unescape
from pathlib import Path

import pytest

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@cache
def program() -> str:
    """Chromium, installed from Debian's packages where that is possible and need be."""
    for attempt in ("here", "installed"):
        if found := next((path for name in NAMES if (path := shutil.which(name))), None):
            return found
        if attempt == "here" and os.geteuid() == 0 and shutil.which("apt-get"):
            install = ["apt-get", "install", "--yes", "--no-install-recommends", "chromium-headless-shell"]
            if subprocess.run(install, capture_output=True).returncode:
                subprocess.run(["apt-get", "update"], capture_output=True)
                subprocess.run(install, capture_output=True)
    pytest.skip("no Chromium: put chromium on PATH")


def shown(page: Path, fragment: str = "", script: str = "", *, scratch: Path) -> str:
    """The document as Chromium has it after the page's own script ran, and then `script`."""
    text = page.read_text(encoding="utf-8")
    opened = scratch / "opened.html"
    opened.write_text(
        text.replace("</body>", f"<script>{script}</script></body>") if script else text, encoding="utf-8"
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += [f"--user-data-dir={scratch / 'profile'}", "--virtual-time-budget=3000", "--dump-dom"]
    url = f"{opened.as_uri()}#{fragment}"
    done = subprocess.run([program(), *options, url], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def words(document: str, tag: str = "main") -> str:
    """The text in the first element of that name, as a person reads it."""
    inside = document[document.index(f"<{tag}") : document.index(f"</{tag}>")]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", inside)).split())
