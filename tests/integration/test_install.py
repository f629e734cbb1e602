"""The plugin as a user installs it: real helms, each with a home of its own, and every way an install fails."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helmpin import __version__, install
from scripts.devtools.binaries import binary

ROOT = Path(__file__).parents[2]
PARTS = ("plugin.yaml", "install-binary.sh", "bin", "requirements.txt", "helmpin")
HELMS = ("helm-old", "helm3", "helm4")


def run(command: Sequence[object], **options: Any) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=240, **options)


def succeed(command: Sequence[object], **options: Any) -> str:
    done = run(command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_plugin(target: Path, source: Path = ROOT, *, compiled: bool = False) -> Path:
    """The plugin's files as a checkout has them, without an environment."""
    target.mkdir(parents=True)
    for part in PARTS:
        if (source / part).is_dir():
            left_out = None if compiled else shutil.ignore_patterns("__pycache__")
            shutil.copytree(source / part, target / part, ignore=left_out)
        else:
            shutil.copy(source / part, target)
    return target


def installed_files(plugin: Path) -> list[str]:
    """What lies in the plugin's directory, environment left out."""
    return sorted(path.name for path in plugin.iterdir() if path.name not in PARTS)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What requirements.txt locks, for this Python, from the package index that pip is set up for."""
    directory = tmp_path_factory.mktemp("wheels")
    only = ["--require-hashes", "--only-binary", ":all:", "--no-deps"]
    succeed([sys.executable, "-m", "pip", "download", *only, "-r", ROOT / "requirements.txt", "-d", directory])
    return directory


@pytest.fixture
def env(tmp_path: Path, wheels: Path) -> dict[str, str]:
    """An environment without anything of helm's, offline, with this Python."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HELM_", "PYTHON", "PIP_", "VIRTUAL_ENV"))
    }
    homes = {f"HELM_{name}_HOME": str(tmp_path / "helm home" / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    return {**clean, **homes, "HELM_PIN_WHEELS": str(wheels), "HELM_PIN_PYTHON": sys.executable}


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """A plugin that is installed; to be copied, not used."""
    plugin = copy_plugin(tmp_path_factory.mktemp("ready") / "plugin")
    succeed(
        [plugin / "install-binary.sh"],
        env={**os.environ, "HELM_PIN_WHEELS": str(wheels), "HELM_PIN_PYTHON": sys.executable},
    )
    return plugin


@pytest.fixture
def plugin(ready: Path, tmp_path: Path) -> Path:
    """An installed plugin, in a directory with a space in its name."""
    return Path(shutil.copytree(ready, tmp_path / "the plugin", symlinks=True))


def copying(made: Path, python: Path) -> Path:
    """A Python for HELM_PIN_PYTHON that copies an environment, where it shall make one: of the same plugin, for another Helm."""
    python.write_text(
        "#!/bin/sh\nfor last; do :; done\ncase $last in */helmpin/install.py)\n"
        f'[ ! -e "${{last%/helmpin/install.py}}/.venv" ] && cp -R \'{made}\' "${{last%/helmpin/install.py}}" ;;\nesac\n'
    )
    python.chmod(0o755)
    return python


@pytest.mark.parametrize("name", HELMS)
def test_from_a_local_directory(name: str, env: dict[str, str], plugin: Path, tmp_path: Path) -> None:
    """What is missing there is made."""
    helm, checkout = binary(name), plugin.rename(tmp_path / "check out")
    succeed(["git", "init", "-q", checkout])
    shutil.copy(ROOT / ".gitignore", checkout)
    shutil.rmtree(checkout / "helmpin/__pycache__")
    succeed([helm, "plugin", "install", checkout], env=env)
    assert list(checkout.glob("helmpin/__pycache__/cli.*.pyc"))
    assert succeed([helm, "pin", "--version"], env=env, cwd=tmp_path) == f"helm-pin {__version__}\n"
    assert "\npin " in succeed([helm, "plugin", "list"], env=env)
    assert "Usage:" in succeed([helm, "pin", "--help"], env=env)
    assert "rollback RELEASE" in succeed([helm, "pin", "rollback", "--help"], env=env)
    link = next((Path(env["HELM_DATA_HOME"]) / "plugins").iterdir())
    assert link.is_symlink()
    new = succeed(["git", "-C", checkout, "status", "--porcelain", "--untracked-files=all"])
    assert {line.split()[-1].partition("/")[0] for line in new.splitlines()} <= {*PARTS, ".gitignore"}
    assert ".pyc" not in new
    succeed([helm, "plugin", "uninstall", "pin"], env=env)
    assert not link.exists()
    assert (checkout / ".venv/bin/python").exists()


@pytest.mark.parametrize("name", HELMS)
def test_from_git_and_update(name: str, env: dict[str, str], ready: Path, programs: Path, tmp_path: Path) -> None:
    """Each hook runs, and needs an environment. With one Helm it makes that at the update: by a Python without a new pip, which
    ensurepip stands in for. (Helm 4 makes one of an archive: tests/integration/test_package.py.)"""
    helm, upstream = binary(name), copy_plugin(tmp_path / "upstream")
    shutil.copy(ROOT / ".gitignore", upstream)
    env["HELM_PIN_PYTHON"] = str(copying(ready / ".venv", tmp_path / "copying"))
    git = ["git", "-C", upstream, "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        succeed([*git, *command])
    bare = tmp_path / "helm-pin.git"
    succeed(["git", "clone", "-q", "--bare", upstream, bare])
    url, unverified = "https://github.com/example/example", ["--verify=false"] if name == "helm4" else []
    # helm tells that it is git by the host's name
    (tmp_path / "gitconfig").write_text(f'[url "file://{bare}"]\n\tinsteadOf = {url}\n')
    env["GIT_CONFIG_GLOBAL"] = str(tmp_path / "gitconfig")
    succeed([helm, "plugin", "install", url, *unverified], env=env)
    plugin = next(path for path in (Path(env["HELM_DATA_HOME"]) / "plugins").iterdir())
    assert succeed([helm, "pin", "--version"], env=env) == f"helm-pin {__version__}\n"
    offline = {**env, "HELM_PIN_PYTHON": sys.executable, "HELM_PIN_WHEELS": "", "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    succeed([plugin / "install-binary.sh"], env=offline)
    succeed([helm, "plugin", "update", "pin"], env=offline)  # helm removes .venv; nothing need be fetched
    assert succeed([helm, "pin", "--help"], env=env)
    with (upstream / "requirements.txt").open("a") as locked:
        locked.write("# changed\n")
    for command in (["commit", "-q", "-a", "-m", "other"], ["push", "-q", str(bare), "main"]):
        succeed([*git, *command])
    failed = run([helm, "plugin", "update", "pin"], env={**offline, "PIP_FIND_LINKS": ""})
    assert failed.returncode == 1 and "cannot reach the package index" in failed.stderr, failed
    assert succeed([helm, "pin", "--help"], env=env), "the old environment serves on"
    assert run([helm, "plugin", "update", "pin"], env={**offline, "PIP_FIND_LINKS": ""}).returncode == 1

    for path in ("plugin.yaml", "helmpin/__init__.py"):
        (upstream / path).write_text((upstream / path).read_text().replace(__version__, "99.0.0"))
    for command in (["commit", "-q", "-a", "-m", "two"], ["push", "-q", str(bare), "main"]):
        succeed([*git, *command])
    if name == "helm3":
        env["HELM_PIN_PYTHON"] = str(python(programs, "ubuntu", NO_PIP))
        env |= {"PIP_USER": "1", "PIP_REQUIRE_VIRTUALENV": "1"}
    succeed([helm, "plugin", "update", "pin"], env=env)
    assert succeed([helm, "pin", "--version"], env=env) == "helm-pin 99.0.0\n"
    # helm has cleaned the checkout (git clean -x), so the environment was made anew
    assert succeed([helm, "pin", "--help"], env=env)
    assert installed_files(plugin) == [".git", ".gitignore", ".venv"]
    succeed([helm, "plugin", "uninstall", "pin"], env=env)
    assert not list((Path(env["HELM_DATA_HOME"]) / "plugins").iterdir())


def test_a_start_imports_little(env: dict[str, str], ready: Path) -> None:
    """Every command pays for it."""
    command = [ready / ".venv/bin/python", "-I", "-S", "-X", "importtime", ready / "helmpin/__main__.py", "--version"]
    lines = run(command, env=env).stderr.splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert "helmpin" in imported
    assert not imported & {"site", "typing", "pathlib", "re", "subprocess", "json", "yaml", "sh", "urllib3"}


def test_a_folder_as_standard_input(env: dict[str, str], ready: Path) -> None:
    """Python would print its own state, and no command would run."""
    folder = os.open(ready, os.O_RDONLY)
    try:
        done = subprocess.run(
            [ready / "bin/helm-pin", "--version"], stdin=folder, env=env, capture_output=True, text=True, check=False
        )
    finally:
        os.close(folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: standard input is a directory\n  next  give it a file, or /dev/null\n"


@pytest.mark.parametrize("word", ["--help", "template"])
def test_a_plugin_that_is_removed_while_it_runs(word: str, env: dict[str, str], plugin: Path, tmp_path: Path) -> None:
    """By `helm plugin uninstall`, or by an update: what is imported later is missing."""
    chart, helm = tmp_path / "app", tmp_path / "helm"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\n")
    removing = f"rm -rf '{plugin}/helmpin' '{plugin}/.venv'"
    helm.write_text(f'#!/bin/sh\ncase "$*" in *{word}*) {removing} ;; esac\nexec \'{binary("helm4")}\' "$@"\n')
    helm.chmod(0o755)
    done = run([plugin / "bin/helm-pin", "plan", "app", chart, "--no-cluster"], env={**env, "HELM_BIN": str(helm)})
    assert done.returncode == 1
    assert "Error: a part of helm-pin cannot be loaded" in done.stderr
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr, done.stderr


def test_a_python_environment_that_this_user_may_not_read(env: dict[str, str], plugin: Path) -> None:
    (plugin / ".venv").chmod(0)
    try:
        done = run([plugin / "bin/helm-pin", "plan"], env=env, preexec_fn=without_power)
    finally:
        (plugin / ".venv").chmod(0o755)
    assert done.returncode == 1
    assert "may not read helm-pin's Python environment" in done.stderr


def test_nothing_of_the_users_python_leaks_in(env: dict[str, str], plugin: Path, tmp_path: Path) -> None:
    """Nor of what pip is told by variables, and nothing lands where they say. The environment is made where rubbish lies."""
    for module in ("yaml", "json", "helmpin", "urllib3", "sitecustomize", "usercustomize"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('this is the module of the user')\n")
    helm = binary("helm3")
    dirty = {
        **env,
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": str(tmp_path),
        "PYTHONSTARTUP": str(tmp_path / "yaml.py"),
        "HELM_BIN": str(helm),
    }
    dirty |= {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "VIRTUAL_ENV": str(tmp_path)}
    dirty |= {f"PIP_{name}": "1" for name in ("DRY_RUN", "USER", "REQUIRE_VIRTUALENV")}
    dirty |= {f"PIP_{name}": str(tmp_path / "outside") for name in ("TARGET", "PREFIX", "ROOT")}
    for command in (["--help"], ["--version"]):
        succeed([plugin / "bin/helm-pin", *command], env=dirty, cwd=tmp_path)
    shutil.rmtree(plugin / ".venv")
    (plugin / ".venv").write_text("rubbish")
    (plugin / ".venv.new").mkdir()
    succeed([plugin / "install-binary.sh"], env=dirty, cwd=tmp_path)
    assert installed_files(plugin) == [".venv"]
    done = run([plugin / "bin/helm-pin", "template", "x", tmp_path / "é…"], env=dirty, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: chart not found\n")
    assert "é…" in done.stderr
    assert not (tmp_path / "outside").exists()


def test_interrupted_while_it_imports(env: dict[str, str], plugin: Path) -> None:
    """It ends as any program does, without a word."""
    (plugin / "helmpin/cli.py").write_text("import os, time\nos.kill(os.getpid(), 2)\ntime.sleep(60)\n")
    done = run([plugin / "bin/helm-pin", "--help"], env=env)
    assert (done.returncode, done.stdout, done.stderr) == (-2, "", "")


def test_everything_is_compiled(ready: Path) -> None:
    sources = {path.relative_to(ready) for path in (ready / "helmpin").rglob("*.py")}
    compiled = {
        path.parent.parent.relative_to(ready) / f"{path.name.partition('.')[0]}.py"
        for path in (ready / "helmpin").rglob("*.pyc")
    }
    assert compiled == sources
    assert list((ready / ".venv").rglob("yaml/__pycache__/*.pyc"))


def test_again_after_a_move_changes_nothing(env: dict[str, str], plugin: Path, tmp_path: Path) -> None:
    before = (plugin / ".venv").stat()
    moved = plugin.rename(tmp_path / "elsewhere")
    assert succeed([moved / "bin/helm-pin", "--version"], env=env) == f"helm-pin {__version__}\n"
    done = run([moved / "install-binary.sh"], env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (moved / ".venv").stat().st_ino == before.st_ino
    proof = "import yaml, sh, urllib3, subprocess_tee; print(yaml.__file__)"
    assert succeed([moved / ".venv/bin/python", "-I", "-c", proof]).startswith(str(moved))


def test_what_is_damaged_is_made_anew(env: dict[str, str], plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is seen in each case. What follows is the same: rubbish is replaced above, and an environment that is too old below."""
    venv = plugin / ".venv"
    monkeypatch.setattr(install, "VENV", venv)
    monkeypatch.setenv("HELM_PIN_PYTHON", sys.executable)
    assert install.is_current()
    [library] = venv.glob("lib/python*")
    nothing_starts = (venv / "bin/python", library, venv)
    for damaged in (venv / "helm-pin.stamp", library / "site-packages/urllib3", *nothing_starts):
        whole = damaged.rename(damaged.with_name("python3.0"))  # a library of another Python
        if damaged == venv / "bin/python":
            damaged.symlink_to("/nowhere/python3")
        elif damaged == venv:
            damaged.write_text("rubbish")
        assert not install.is_current(), damaged
        told = run([plugin / "bin/helm-pin", "--help"], env=env)
        if damaged in nothing_starts:
            assert told.returncode == 1
            assert told.stderr.startswith("Error: helm-pin is not installed")
            assert told.stderr.endswith(f"next  run: sh '{plugin}/install-binary.sh'\n")
        if os.path.lexists(damaged):
            damaged.unlink()
        whole.rename(damaged)
    assert install.is_current()


def test_interrupted_and_then_two_at_once(env: dict[str, str], plugin: Path, programs: Path) -> None:
    """In the end by the only Python on PATH that will do, of three: it has no ensurepip, and a pip from before its release."""
    (plugin / "requirements.txt").write_text((plugin / "requirements.txt").read_text() + "# changed\n")
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        process = subprocess.Popen(
            [plugin / "install-binary.sh"], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        for _ in range(500):
            if (plugin / ".venv.new/bin").exists():
                break
            time.sleep(0.01)
        os.killpg(process.pid, signum)
        _, err = process.communicate(timeout=30)
        assert process.returncode != 0
        assert "Traceback" not in err
        assert succeed([plugin / "bin/helm-pin", "--help"], env=env)  # the old environment serves on
        assert signum == signal.SIGKILL or installed_files(plugin) == [".venv"]
    del env["HELM_PIN_PYTHON"]
    env["PATH"] = str(programs)
    python(programs, "python3", OLD)
    python(programs, "python3.12", f"{NO_ENSUREPIP}; {OLD_PIP}")
    python(programs, "python3.11", f"{NO_ENSUREPIP}; {PIP_BEFORE_ITS_RELEASE}")
    both = [
        subprocess.Popen([plugin / "install-binary.sh"], env=env, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    told = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    said = "".join(told)
    assert said.count("helm-pin: making its own Python environment …\n") == 1
    # both wait for the pip of an installer that was killed, if that still runs
    assert said.count("helm-pin: another install of this plugin is running; waiting for it …\n") in (1, 2)
    assert succeed([plugin / "bin/helm-pin", "--version"], env=env)
    assert installed_files(plugin) == [".venv"]


class Hung:
    """A package index that takes a request and never answers."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(30)
        url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/simple"
        self.env = {**env, "HELM_PIN_WHEELS": "", "PIP_INDEX_URL": url, "PIP_FIND_LINKS": "", "PIP_NO_CACHE_DIR": "1"}

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Wait for pip's request; at the end of the block, for the end of pip."""
        with self._socket, self._socket.accept()[0] as connection:
            connection.settimeout(20)
            connection.recv(1 << 16)
            yield
            assert connection.recv(1) == b"", "pip runs on"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_pip_ends_with_the_installer(signum: int, env: dict[str, str], bare: Path) -> None:
    """The signal is sent to the installer alone, as a process manager does."""
    index = Hung(env)
    process = subprocess.Popen([bare / "install-binary.sh"], env=index.env, stderr=subprocess.PIPE, text=True)
    with index.asked():
        process.send_signal(signum)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + signum and "error: interrupted; run it again: sh" in err
    assert installed_files(bare) == []


def test_pip_ends_with_what_started_the_installer(env: dict[str, str], bare: Path) -> None:
    index = Hung(env)
    helm = subprocess.Popen(
        ["sh", "-c", f"'{bare}/install-binary.sh' & wait"], env=index.env, stderr=subprocess.PIPE, text=True
    )
    with index.asked():
        helm.kill()
    _, err = helm.communicate(timeout=20)
    assert "error: what started the installation has ended" in err
    assert installed_files(bare) == []


def test_a_plugin_that_is_removed_while_it_is_installed(env: dict[str, str], bare: Path) -> None:
    """An empty folder would stay in the way of the next `helm plugin install`."""
    index = Hung(env)
    process = subprocess.Popen([bare / "install-binary.sh"], env=index.env, stderr=subprocess.PIPE, text=True)
    with index.asked():
        shutil.rmtree(bare)
        (bare / ".venv.new").mkdir(parents=True)  # pip makes it again
        process.terminate()
        process.communicate(timeout=20)
    assert not bare.exists()


def test_a_relative_folder_of_wheels_and_a_working_directory_that_is_gone(
    env: dict[str, str], bare: Path, wheels: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd '{gone}' && rmdir '{gone}' && sh '{bare}/install-binary.sh'"
    assert run(["sh", "-c", script], env={**env, "HELM_PIN_PYTHON": os.path.realpath(sys.executable)}).returncode == 0
    (bare / "requirements.txt").open("a").write("# changed\n")
    succeed([bare / "install-binary.sh"], env={**env, "HELM_PIN_WHEELS": wheels.name}, cwd=wheels.parent)


def test_nobody_else_may_write_into_the_environment(env: dict[str, str], bare: Path) -> None:
    succeed(["sh", "-c", f"umask 0; '{bare}/install-binary.sh'"], env=env)
    assert not [path for path in (bare / ".venv").rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]


def test_a_folder_whose_name_has_a_colon(env: dict[str, str], bare: Path) -> None:
    odd = Path(shutil.copytree(bare, bare.parent / "a:b", symlinks=True))
    assert failure(odd, env).startswith("no Python environment can be made below a path with ':': ")


def failure(plugin: Path, env: dict[str, str], **options: Any) -> str:
    """What a failing install says, as one line; the plugin is left as it was."""
    before = installed_files(plugin)
    done = run([plugin / "install-binary.sh"], env=env, **options)
    assert done.returncode == 1
    assert done.stdout == ""
    assert installed_files(plugin) == before
    lines = [line for line in done.stderr.splitlines() if not line.startswith("helm-pin: making")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("helm-pin: error: ")
    return lines[0].removeprefix("helm-pin: error: ")


@pytest.fixture
def bare(ready: Path, tmp_path: Path) -> Path:
    """A plugin that is not installed; its modules are compiled, to spare that."""
    return copy_plugin(tmp_path / "bare plugin", ready, compiled=True)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH with what the shell script needs, and no Python."""
    directory = tmp_path / "programs"
    directory.mkdir()
    for name in ("sh", "dirname"):
        (directory / name).symlink_to(shutil.which(name) or "")
    return directory


def python(programs: Path, name: str, before: str) -> Path:
    """A command in `programs` that is this Python, with a statement run before what it is asked to do."""
    shim = programs / f"{name}.py"
    shim.write_text(
        "import runpy, sys\n"
        f"{before}\n"
        "words = sys.argv[1:]\n"
        "while words[0] in ('-I', '-X', 'utf8'): words.pop(0)\n"
        "exec(words[1]) if words[0] == '-c' else runpy.run_path(words[0], run_name='__main__')\n"
    )
    command = programs / name
    command.write_text(f"#!/bin/sh\nexec '{sys.executable}' -I '{shim}' \"$@\"\n")
    command.chmod(0o755)
    return command


OLD = "sys.version_info = (3, 9, 18, 'final', 0)"
NO_PIP = "sys.modules['pip'] = None"
OLD_PIP = "import pip; pip.__version__ = '22.0.2'"
PIP_BEFORE_ITS_RELEASE = "import pip; pip.__version__ = '25.0b1'"
NO_ENSUREPIP = "sys.modules['ensurepip'] = None"


def test_no_python_that_will_do(env: dict[str, str], bare: Path, programs: Path) -> None:
    del env["HELM_PIN_PYTHON"]
    env["PATH"] = str(programs)
    assert failure(bare, env) == (
        "there is no python3 on PATH: install Python 3.10 or later, or set HELM_PIN_PYTHON, "
        f"then run: sh '{bare}/install-binary.sh'"
    )
    stub = programs / "python3"  # as macOS has one without the developer tools, and pyenv without a version
    stub.write_text("#!/bin/sh\nexit 1\n")
    stub.chmod(0o755)
    assert failure(bare, env).startswith(
        "python3 does not work, or lacks a part of its library: see what 'python3 -c \"import fcntl, zlib\"' says and fix it, "
        "or set HELM_PIN_PYTHON, then run: "
    )
    python(programs, "python3", OLD)
    assert failure(bare, env).startswith(
        "python3 is older than Python 3.10: install a later one, or set HELM_PIN_PYTHON, then run: "
    )
    for pip in (NO_PIP, OLD_PIP):
        python(programs, "python3.12", f"{NO_ENSUREPIP}; {pip}")
        assert failure(bare, env).startswith(
            "python3.12 has no venv module: install it (Debian and Ubuntu: apt install python3-venv), then run: "
        )


def test_the_python_that_was_asked_for(env: dict[str, str], bare: Path, programs: Path) -> None:
    for wrong in ("/nowhere/python", str(python(programs, "old", OLD)), "/bin/false"):
        env["HELM_PIN_PYTHON"] = wrong
        assert failure(bare, env).startswith(
            f"HELM_PIN_PYTHON={wrong} is not a Python 3.10 or later: set it to one, then run: "
        )


@pytest.mark.parametrize(
    ("version", "does"), [("", False), ("22.0.2", False), ("23.0", True), ("25.0b1", True), ("100.0", True)]
)
def test_which_pip_is_new(monkeypatch: pytest.MonkeyPatch, version: str, does: bool) -> None:
    monkeypatch.setitem(sys.modules, "pip", SimpleNamespace(__version__=version) if version else None)
    assert install.has_pip_with_python_flag() == does


def lock_only(plugin: Path, package: str) -> None:
    """Take all other packages out of requirements.txt."""
    requirements = plugin / "requirements.txt"
    each = re.split(r"(?m)^(?=\S)", requirements.read_text())
    requirements.write_text("".join(text for text in each if text.startswith(f"{package}==")))


def test_pip_is_set_to_install_elsewhere(env: dict[str, str], bare: Path, tmp_path: Path) -> None:
    lock_only(bare, "pyyaml")
    (tmp_path / "pip.conf").write_text(f"[install]\ntarget = {tmp_path}/outside\n")
    env["PIP_CONFIG_FILE"] = str(tmp_path / "pip.conf")
    assert failure(bare, env).startswith("pip's configuration puts packages elsewhere: ")


@pytest.mark.parametrize("wheels", ["", "/some/wheels"])
def test_pip_fails_for_another_reason(wheels: str) -> None:
    """What pip prints of errors is read as below, where there are no wheels and no network."""
    why = "Could not open requirements file: [Errno 2] No such file or directory: '/nowhere/constraints.txt'"
    said = install.explain(f"WARNING: a word\nERROR: of no use\nERROR: {why}\nanother line\n", wheels)
    assert re.fullmatch(
        rf"pip cannot install what requirements\.txt locks for Python 3\.\S+ on \S+: {re.escape(f'{why}; {install.AGAIN}')}",
        said,
    )
    assert install.explain("Traceback\n  a line\nKilled\n", wheels).endswith(f": Killed; {install.AGAIN}")


def test_what_was_installed_does_not_work(env: dict[str, str], bare: Path) -> None:
    lock_only(bare, "pyyaml")
    assert failure(bare, env).startswith(
        "what was installed does not work: ModuleNotFoundError: No module named 'sh'; "
    )


def test_no_network(env: dict[str, str], bare: Path) -> None:
    del env["HELM_PIN_WHEELS"]
    env |= {"PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1"}
    assert failure(bare, env) == (
        "cannot reach the package index: check the network, the proxy or pip's index-url, or set HELM_PIN_WHEELS, "
        f"and run it again: sh '{bare}/install-binary.sh'"
    )


def test_wheels_that_are_not_there(env: dict[str, str], bare: Path, tmp_path: Path) -> None:
    env["HELM_PIN_WHEELS"] = str(tmp_path / "nowhere")
    assert failure(bare, env).startswith(f"HELM_PIN_WHEELS is not a directory: {tmp_path}/nowhere; ")
    (tmp_path / "nowhere").mkdir()
    said = failure(bare, env)
    assert said.startswith(f"{tmp_path}/nowhere has no wheel for Python 3.")
    assert ": No matching distribution found for pyyaml==" in said


def test_wheels_that_were_tampered_with(env: dict[str, str], bare: Path, wheels: Path, tmp_path: Path) -> None:
    bad = Path(shutil.copytree(wheels, tmp_path / "bad"))
    with next(bad.glob("sh-*.whl")).open("ab") as file:
        file.write(b"!")
    env["HELM_PIN_WHEELS"] = str(bad)
    assert failure(bare, env).startswith(f"a package from {bad} is not the locked one (its hash differs): ")


def without_power() -> None:
    """Root may read and write everywhere: take that from what is executed next (prctl, PR_CAPBSET_DROP, CAP_DAC_OVERRIDE and
    CAP_DAC_READ_SEARCH)."""
    if os.geteuid() == 0 and any(ctypes.CDLL(None).prctl(24, power, 0, 0, 0) for power in (1, 2)):
        raise OSError("cannot give up CAP_DAC_OVERRIDE")


def test_read_only(env: dict[str, str], bare: Path, plugin: Path) -> None:
    directories = [
        path for top in (bare, plugin) for path in [top, *top.rglob("*")] if path.is_dir() and not path.is_symlink()
    ]
    for directory in directories:
        directory.chmod(0o555)
    try:
        said = failure(bare, env, preexec_fn=without_power)
        assert said == (
            f"cannot write to the plugin's directory: Permission denied: {bare}/.venv.new; "
            f"get write access; run it again: sh '{bare}/install-binary.sh'"
        )
        done = run([plugin / "install-binary.sh"], env=env, preexec_fn=without_power)
        assert (done.returncode, done.stderr) == (0, "")  # there is nothing to do
        assert succeed([plugin / "bin/helm-pin", "--version"], env=env, preexec_fn=without_power)
    finally:
        for directory in directories:
            directory.chmod(0o755)
