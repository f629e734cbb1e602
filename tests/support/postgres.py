"""A real PostgreSQL for helm's sql driver, from Debian's packages, on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.devtools.binaries import cache, from_debian_all, locked
from scripts.devtools.processes import free_ports
from tests.support.app import eventually

VERSION = "15"
AS_SOMEBODY = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
"""PostgreSQL refuses to run as root; in a namespace of its own it is not."""


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Yields the connection string."""
    unpacked = cache() / f"postgresql-{VERSION}-debian"
    with locked("postgresql"):
        if not unpacked.exists():
            from_debian_all(unpacked, f"postgresql-{VERSION}", f"postgresql-client-{VERSION}", "libpq5")
    programs = unpacked / "usr/lib/postgresql" / VERSION / "bin"
    environ = {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, (unpacked / "usr/lib").glob("*-linux-gnu")))}
    prefix = AS_SOMEBODY if os.geteuid() == 0 else []
    data, (port,) = folder / "data", free_ports(1)
    empty = cache() / f"postgresql-{VERSION}-empty"  # to make a database takes two seconds
    with locked("postgresql"):
        if not empty.exists():
            made = [programs / "initdb", "-D", data, "-U", "helm", "-A", "trust", "--no-sync"]
            share = ["-L", unpacked / "usr/share/postgresql" / VERSION]
            subprocess.run([*prefix, *made, *share], env=environ, check=True, capture_output=True)
            shutil.copytree(data, fresh := empty.with_name(f"{empty.name}-{os.getpid()}"))
            fresh.rename(empty)
        else:
            shutil.copytree(empty, data)
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "jit=off", "-p", str(port)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*prefix, programs / "postgres", "-D", data, *options], env=environ, stderr=log)
    try:
        eventually(lambda: b"ready to accept" in (folder / "log").read_bytes(), 30)
        yield f"postgres://helm@127.0.0.1:{port}/postgres?sslmode=disable"
    finally:
        server.terminate()
        server.wait(30)
