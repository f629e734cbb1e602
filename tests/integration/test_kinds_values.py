"""Values from everywhere that helm takes them, each source read once, and nothing of them where it does not belong."""

from __future__ import annotations

import json
import shlex
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support import strip
from tests.support.promise import Promise
from tests.support.workstation import whichever_helm

CASES = Path(__file__).parents[1] / "cases"
CHART = CASES / "values-from-anywhere"
LIST = CASES / "containers-from-values"


SOURCES = {
    "two substituted processes": "$helm template rel $chart -f <(cat $values) -f <(echo other: two)",
    "a named pipe beside a file with a space": (
        "mkfifo $dir/p; cp $values $dir/'a b.yaml'; echo other: two > $dir/p & "
        "$helm template rel $chart -f $dir/'a b.yaml' -f $dir/p"
    ),
    "standard input that is a file": "$helm template rel $chart -f - < $values",
    "/dev/stdin that is a pipe": "cat $values | $helm template rel $chart -f /dev/stdin",
    "/proc/self/fd": "cat $values | $helm template rel $chart --values=/proc/self/fd/0",
    "another descriptor": "$helm template rel $chart -f /dev/fd/7 7< $values",
    "a file's content from standard input": "echo two | $helm template rel $chart -f $values --set-file token=-",
    "values and a file's content from standard input": "$helm template rel $chart --set-file token=- -f - < $values",
    "a file's content from /dev/stdin": "printf two | $helm template rel $chart -f $values --set-file=token=/dev/stdin",
    "two files' contents": "$helm template rel $chart -f $values --set-file token=<(printf two),other=<(printf 3)",
    "a chart that is a pipe's neighbour": "cd $chart; cat $values | $helm template rel . -f -",
}


@whichever_helm
@pytest.mark.parametrize("script", SOURCES.values(), ids=SOURCES)
def test_each_source_is_read_as_helm_reads_it(script: str, promise: Promise, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("token: one\nimage: {tag: 2.0.0}\n")
    ran = []
    for command in ("", "pin"):
        folder = tmp_path / f"with {command}"
        folder.mkdir()
        names = {"helm": f"timeout 15 {promise.machine.helm_binary} {command}", "chart": CHART, "values": values}
        setup = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in {**names, "dir": folder}.items())
        ran.append(
            promise.machine.run(
                "bash",
                "-c",
                f"trap 'kill $(jobs -p) 2>/dev/null' EXIT\n{setup}{script.replace('$dir', chr(34) + '$dir' + chr(34))}",
            )
        )
    plain, pinned = ran
    assert plain.status == 0, plain.stderr
    assert pinned.status == 0, pinned.stderr
    found = strip.strip_and_compare(plain.stdout, pinned.stdout, promise.content.digest)
    assert (found.problems, found.images) == ([], ["example.com/team/web:2.0.0"])


@whichever_helm
@pytest.mark.parametrize("command", ["template", "plan", "lint"])
def test_a_file_that_is_no_values_is_named_as_the_user_named_it(command: str, promise: Promise, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [\n")
    release = [] if command == "lint" else ["rel"]
    done = promise.machine.pin(command, *release, CHART, "-f", bad)
    assert done.status == 1 and str(bad) in done.stderr and "helm-pin-run" not in done.stderr


@contextmanager
def changing_values() -> Iterator[tuple[str, list[str]]]:
    """A server whose values are others each time that it is asked; its address, and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = f"token: time-{len(asked)}\nimage: {{tag: 2.0.{len(asked)}}}\n".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


@whichever_helm
@pytest.mark.parametrize("command", ["template", "plan"])
def test_a_url_is_asked_once(command: str, promise: Promise) -> None:
    with changing_values() as (address, asked):
        done = promise.pin(command, "rel", CHART, "-f", f"{address}/x", f"--set-file=other={address}/y")
    assert done.status == 0, done.stderr
    assert sorted(asked) == ["/x", "/y"]
    assert command == "plan" or f"2.0.{1 + asked.index('/x')}@" in done.stdout


GETTER3 = """\
name: vault
version: 0.1.0
usage: values from elsewhere
description: values from elsewhere
command: "true"
downloaders:
  - {command: get.sh, protocols: [vault]}
"""
GETTER4 = """\
apiVersion: v1
name: vault
version: 0.1.0
type: getter/v1
runtime: subprocess
config: {protocols: [vault]}
runtimeConfig:
  protocolCommands:
    - protocols: [vault]
      platformCommand: [{command: get.sh}]
"""


def test_a_plugin_is_asked_once(promise: Promise, tmp_path: Path) -> None:
    """For each source; somebody touches a key each time."""
    flags = ["-f", "vault://one", "--values=vault://two", "--set-file", "token=vault://three"]
    plugin = tmp_path / "plugins/vault"
    plugin.mkdir(parents=True)
    (plugin / "plugin.yaml").write_text(GETTER4 if promise.machine.helm4 else GETTER3)
    script = plugin / "get.sh"
    script.write_text(f'#!/bin/sh\necho "$4" >> {tmp_path}/asked\nprintf "token: s3cr3t\\nimage: {{tag: 2.0.0}}\\n"\n')
    script.chmod(0o755)
    promise.machine = promise.machine.with_env(HELM_PLUGINS=str(tmp_path / "plugins"))
    plain = promise.machine.helm("template", "rel", CHART, *flags)
    (tmp_path / "asked").unlink()
    done = promise.pin("template", "rel", CHART, *flags, "--debug")
    assert done.status == 0, done.stderr
    assert strip.strip_and_compare(plain, done.stdout, promise.content.digest).problems == []
    asked = (tmp_path / "asked").read_text().splitlines()
    assert sorted(asked) == ["vault://one", "vault://three", "vault://two"]
    assert "s3cr3t" not in done.stderr


SECRET = "hunter2-and-more"
LISTS = {
    "containers": [
        {"name": "a", "image": "example.com/team/web:latest", "env": [{"name": "PASSWORD", "value": SECRET}]}
    ],
    "groups": {
        "x": [
            {"image": {"repository": "example.com/team/x", "tag": "1"}, "env": [{"name": "A", "value": SECRET}]},
            {
                "image": {"repository": "example.com/team/y", "tag": "main"},
                "env": [{"name": "B", "value": f"{SECRET}\n"}],
            },
        ]
    },
}


@whichever_helm
@pytest.mark.parametrize("output", ["table", "values"])
def test_a_secret_in_a_list_of_values_stays_there(output: str, promise: Promise, tmp_path: Path) -> None:
    """Not on a command line, not in what is printed."""
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps(LISTS))
    noted = tmp_path / "commands"
    noting = tmp_path / "helm"
    noting.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {noted}\nexec {promise.machine.helm_binary} "$@"\n')
    noting.chmod(stat.S_IRWXU)
    promise.machine = promise.machine.with_env(HELM_BIN=str(noting))
    done = promise.pin("plan", "rel", LIST, "-f", values, "-o", output, "--debug")
    assert SECRET not in done.stdout + done.stderr
    if output == "values":  # a file cannot hold one element of a list
        assert done.status in (0, 3), done.stderr
    else:
        assert done.status == 0, done.stderr
        planned = promise.planned(LIST, ["-f", str(values)], ["--debug"])
        assert promise.judged(planned)
        assert SECRET not in json.dumps(planned.forms.plan) + planned.forms.done.stderr
    assert "template" in noted.read_text()
    assert SECRET not in noted.read_text()


@whichever_helm
def test_a_list_of_the_chart_is_whole(promise: Promise, tmp_path: Path) -> None:
    """helm drops the other elements of a default list when one is set."""
    rows = [{"name": f"c{i}", "image": f"example.com/team/c{i}:1", "args": ["x"]} for i in range(12)]
    chart = tmp_path / "chart"
    promise.machine.run("cp", "-r", LIST, chart)
    (chart / "values.yaml").write_text(json.dumps({"containers": rows, "groups": {}}))
    found = promise.holds(chart)
    assert found is not None and len(found.images) == 12


@whichever_helm
def test_a_file_that_ends_with_a_newline(promise: Promise, tmp_path: Path) -> None:
    """`--set-file image.tag=VERSION`, as pipelines have it."""
    version = tmp_path / "VERSION"
    version.write_text("1.7.3\n")
    assert promise.holds(LIST, ["-f", str(rows(tmp_path)), "--set-file", f"groups.x[0].image.tag={version}"])
    plan = promise.plan(CHART, "--set-file", f"image.tag={version}")
    assert plan["images"][0]["image"] == "example.com/team/web:1.7.3"


def rows(folder: Path) -> Path:
    """A values file with groups."""
    values = folder / "values.yaml"
    values.write_text(json.dumps({"groups": LISTS["groups"], "containers": LISTS["containers"]}))
    return values


TYPES = ["Y", "n", "0o17", "08054", "25921e05", "1_000", "~", "null", "0x1F", "1:30", ".5", "+1", "=", "<<"]


@whichever_helm
@pytest.mark.parametrize("source", ["file", "flags"])
def test_strings_that_look_like_something_else(source: str, promise: Promise, tmp_path: Path) -> None:
    """They reach the templates as they were given, in every way of giving them."""
    chart = tmp_path / "chart"
    promise.machine.run("cp", "-r", CHART, chart)
    (chart / "templates/all.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: all}\ndata: {all: {{ toJson .Values | toJson }}}\n"
    )
    values = {f"k{i}": text for i, text in enumerate(TYPES)}
    if source == "file":
        (tmp_path / "v.yaml").write_text(
            json.dumps({**values, "deep": {"list": TYPES, "n": 1e6, "big": 2**53, "key": {"y": 1}}})
        )
        given = ["-f", str(tmp_path / "v.yaml")]
    else:
        given = [part for key, text in values.items() for part in ("--set-string", f"s{key}={text}")]
        given += [part for key, text in values.items() for part in ("--set-json", f"j{key}={json.dumps(text)}")]
    assert promise.holds(chart, given)
