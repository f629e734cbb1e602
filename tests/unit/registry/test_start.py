"""Start-up is paid on every command: what an import may cost."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helmpin.registry.types import RegistrySettings
from tests.support.uncounted import UNCOUNTED


@pytest.mark.parametrize("module", ["helmpin.registry", "helmpin.image.reference"])
def test_no_network_library_before_a_request(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules))"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], env=UNCOUNTED, capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert module in loaded
    assert not loaded & {
        "urllib3",
        "http.client",
        "ssl",
        "socket",
        "json",
        "subprocess",
        "dataclasses",
        "inspect",
        "threading",
    }


def test_warm_up_loads_it_in_the_background() -> None:
    code = (
        "import sys, threading, helmpin.registry as r; r.warm_up(r.RegistrySettings());"
        "[t.join() for t in threading.enumerate() if t is not threading.main_thread()];"
        "print('urllib3' in sys.modules, 'helmpin.registry.session' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=UNCOUNTED, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("True True\n", "")


def test_nothing_asked_costs_nothing() -> None:
    code = (
        "import sys; from helmpin.registry import *; print(resolve([], RegistrySettings()), 'urllib3' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], env=UNCOUNTED, capture_output=True, text=True, check=True).stdout
        == "{} False\n"
    )


def test_what_fails_in_the_background_is_raised_by_the_first_request() -> None:
    code = (
        "import sys, threading, helmpin.registry as r; from helmpin.image.reference import Reference;"
        "sys.modules['urllib3'] = None; r.warm_up(r.RegistrySettings());"
        "[t.join() for t in threading.enumerate() if t.name == 'registry-import'];"
        "r.resolve([Reference.parse('a:1')], r.RegistrySettings())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.count("Traceback") == 1
    assert "Exception in thread" not in done.stderr and "urllib3" in done.stderr


@pytest.mark.parametrize(
    ("mirrors", "needed"),
    [
        ((), True),
        ((("*", "http://a:5000"),), False),
        ((("*", "https://a:5000"),), True),
        ((("*", "http://a:5000"), ("*", "origin")), True),
        ((("docker.io", "http://a:5000"),), True),
        ((("docker.io", "b"), ("*", "http://a:5000")), True),
    ],
)
def test_certificates_are_loaded_ahead_if_they_may_be_needed(
    mirrors: tuple[tuple[str, str], ...], needed: bool
) -> None:
    assert RegistrySettings(mirrors=mirrors).may_need_tls is needed
