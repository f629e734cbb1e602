"""scripts/vulnerabilities runs the real pip-audit, which asks a server that answers as osv.dev does (its POST /v1/query)."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from scripts.devtools.vulnerabilities import FILES, LOCKED

ROOT = Path(__file__).resolve().parents[2]
PINS = {pin for name in FILES for pin in LOCKED.findall((ROOT / name).read_text())}


@contextmanager
def osv(vulnerable: Collection[str], asked: set[tuple[str, str]], status: int = 200) -> Iterator[str]:
    """A server that knows one vulnerability of each of some packages, and notes what it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            package = query["package"]
            asked.add((package["name"], query["version"]))
            known = [{"id": "PYSEC-1", "affected": [{"package": package}]}] if package["name"] in vulnerable else []
            body = json.dumps({"vulns": known} if known else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()


def check(url: str) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "scripts" / "vulnerabilities", "--service", "osv", "--osv-url", url]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_all_that_is_locked_is_asked_for() -> None:
    """Those of other Pythons and platforms, too; and nothing is found."""
    asked: set[tuple[str, str]] = set()
    with osv((), asked) as url:
        done = check(url)
    assert (done.returncode, done.stdout) == (0, f"{len(PINS)} packages checked, 0 with a known vulnerability\n")
    assert asked == PINS and {"pyyaml", "pytest", "pip-audit", "colorama"} <= {name for name, _ in asked}


def test_known_vulnerabilities() -> None:
    """Of what any of the files locks, and of each version that is locked."""
    names = {"pyyaml", "pytest", "pip-audit", "hypothesis"}
    with osv(names, set()) as url:
        done = check(url)
    lines = [f"{name} {version}: PYSEC-1" for name, version in PINS if name in names]
    summary = f"{len(PINS)} packages checked, {len(lines)} with a known vulnerability"
    assert {line.split()[0] for line in lines} == names
    assert done.returncode == 1 and sorted(done.stdout.splitlines()) == sorted([*lines, summary])


def test_no_answer_is_not_no_vulnerability() -> None:
    with osv({"pyyaml"}, set(), status=503) as url:
        broken = check(url)
    gone = check(url)
    for done in (broken, gone):
        assert done.returncode == 3 and done.stdout.startswith("not checked: "), done
