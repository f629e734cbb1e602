"""scripts/vulnerabilities runs the real pip-audit, which asks a server that answers as osv.dev does (its POST /v1/query)."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.devtools import vulnerabilities
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


def test_known_vulnerabilities() -> None:
    """Of what any of the files locks, and of each version that is locked: those of other Pythons and platforms, too."""
    names, asked = {"pyyaml", "pytest", "pip-audit", "hypothesis"}, set[tuple[str, str]]()
    with osv(names, asked) as url:
        command = [ROOT / "scripts" / "vulnerabilities", "--service", "osv", "--osv-url", url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [f"{name} {version}: PYSEC-1" for name, version in PINS if name in names]
    summary = f"{len(PINS)} packages checked, {len(lines)} with a known vulnerability"
    assert {line.split()[0] for line in lines} == names
    assert done.returncode == 1 and sorted(done.stdout.splitlines()) == sorted([*lines, summary])
    assert asked == PINS and {"pyyaml", "pytest", "pip-audit", "colorama"} <= {name for name, _ in asked}


@pytest.fixture
def one_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requirements that lock one package."""
    (tmp_path / "requirements.txt").write_text("pyyaml==6.0.3 \\\n    --hash=sha256:0\n")
    monkeypatch.setattr(vulnerabilities, "FILES", (tmp_path / "requirements.txt",))


@pytest.mark.usefixtures("one_locked")
def test_none_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    with osv((), set()) as url:
        assert vulnerabilities.main(["--service", "osv", "--osv-url", url]) == 0
    assert capsys.readouterr().out == "1 packages checked, 0 with a known vulnerability\n"


@pytest.mark.usefixtures("one_locked")
def test_no_answer_is_not_no_vulnerability(capsys: pytest.CaptureFixture[str]) -> None:
    with osv({"pyyaml"}, set(), status=503) as url:
        broken = vulnerabilities.main(["--service", "osv", "--osv-url", url]), capsys.readouterr().out
    gone = vulnerabilities.main(["--service", "osv", "--osv-url", url]), capsys.readouterr().out
    for status, out in (broken, gone):
        assert status == 3 and out.startswith("not checked: "), out
