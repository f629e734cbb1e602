"""helm-pinned in the place of helm: under its own name and as `helm` on PATH, and under the real helmfile, on a real API server."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from helmpin.helm import parse_flags
from scripts.devtools.binaries import binary
from scripts.devtools.cluster import Cluster
from tests.e2e.test_history import DEPLOYMENT
from tests.support import kube
from tests.support.registry_servers import Server
from tests.support.workstation import CHECKOUT, Finished, Workstation, whichever_helm

PINNED = CHECKOUT / "bin" / "helm-pinned"
RELEASES = ("api", "worker")
NEXT = """\
#!/bin/sh
case "$*" in --help) exec cat "$HELP" ;; esac
printf '%s\\n' "$@" > "$GIVEN"
[ -z "$REAL" ] || exec "$REAL" "$@"
"""
"""A helm that has what the real one says of its flags, and writes down what it is given, for REAL to run, if that is set."""


@pytest.fixture
def drop_in(workstation: Workstation) -> Workstation:
    """The machine, on which helm is helm-pinned."""
    helm = str(workstation.helm_binary)
    return workstation._replace(helm_binary=PINNED, env={**workstation.env, "HELM_PIN_HELM": helm})


@pytest.fixture(scope="module")
def help_text(installed: Workstation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with what `helm --help` prints."""
    path = tmp_path_factory.mktemp("help") / "text"
    path.write_text(installed.helm("--help"))
    return path


@pytest.fixture
def recorder(workstation: Workstation, help_text: Path, tmp_path: Path) -> Workstation:
    """The machine, on which helm-pinned's helm writes what it is given into the file `given`."""
    (next_helm := tmp_path / "next").write_text(NEXT)
    next_helm.chmod(0o755)
    return workstation.with_env(
        HELM_PIN_HELM=str(next_helm), HELP=str(help_text), GIVEN=str(tmp_path / "given"), REAL=""
    )


class TestAlone:
    @whichever_helm
    @pytest.mark.parametrize(
        ("words", "given"),
        [
            ("upgrade web chart --install", "pin upgrade web chart --install"),
            ("install web chart", "pin install web chart"),
            ("template web chart", "pin template web chart"),
            ("rollback web 1", "pin rollback web 1"),
            ("diff upgrade web chart", "pin diff upgrade web chart"),
            ("diff rollback web 1", "diff rollback web 1"),
            ("-n shop upgrade web chart", "pin upgrade -n shop web chart"),
            ("-nshop upgrade web chart", "pin upgrade -nshop web chart"),
            (
                "--debug --kube-context=upgrade template web -n x",
                "pin template --debug --kube-context=upgrade web -n x",
            ),
            ("--namespace upgrade list", "--namespace upgrade list"),
            ("--burst-limit 3 --qps 2 rollback web", "pin rollback --burst-limit 3 --qps 2 web"),
            ("list --filter upgrade", "list --filter upgrade"),
            ("plugin list", "plugin list"),
            ("get values upgrade", "get values upgrade"),
            ("--version", "--version"),
            ("-h", "-h"),
            ("-n", "-n"),
            ("", ""),
        ],
    )
    def test_what_goes_where(self, recorder: Workstation, tmp_path: Path, words: str, given: str) -> None:
        done = recorder.run(PINNED, *words.split())
        assert (done.status, done.stdout, done.stderr) == (0, "", "")
        assert (tmp_path / "given").read_text().split() == given.split()

    @whichever_helm
    def test_words_stay_as_they_are(self, recorder: Workstation, tmp_path: Path) -> None:
        odd = ["a b", "", "*", "-", "it's", "$HOME", "--set=x=\\", "é"]
        recorder.run(PINNED, "upgrade", *odd)
        assert (tmp_path / "given").read_text().splitlines() == ["pin", "upgrade", *odd]

    @whichever_helm
    def test_an_empty_value_stays_with_its_flag(self, recorder: Workstation, tmp_path: Path) -> None:
        """helm hands no empty word to a plugin."""
        words = ["-n", "", "upgrade", "web", "--description", "", "-f", "", "--set=", "", "--", "--x", "a"]
        recorder.run(PINNED, *words)
        given = ["pin", "upgrade", "-n=", "web", "--description=", "-f=", "--set=", "", "--", "--x", "a"]
        assert (tmp_path / "given").read_text().splitlines() == given

    def test_every_global_flag_with_a_value_is_known(
        self, recorder: Workstation, help_text: Path, tmp_path: Path
    ) -> None:
        """By helm's own help, whatever its version; and helm hands them all on to `helm pin`."""
        flags = [name for name, flag in parse_flags(help_text.read_text()).items() if flag.takes_value]
        assert {"-n", "--namespace", "--kube-context", "--qps"} <= set(flags)
        # two spellings of one flag, each given
        valued = {flag: "always" if flag.startswith("--colo") else "3" for flag in flags}
        for flag, value in valued.items():
            recorder.run(PINNED, flag, value, "template", "--help")
            assert (tmp_path / "given").read_text().split() == ["pin", "template", flag, value, "--help"]
        real = recorder.with_env(REAL=str(recorder.helm_binary))
        done = real.run(PINNED, *itertools.chain.from_iterable(valued.items()), "template", "--help")
        assert "helm pin template" in done.stdout

    def test_what_is_not_pinned_is_helms(self, drop_in: Workstation, workstation: Workstation) -> None:
        for words in (["version", "--short"], ["--help"], ["nothing"]):
            assert drop_in.run(PINNED, *words) == workstation.run(workstation.helm_binary, *words)

    def test_as_helm_on_path(self, workstation: Workstation, tmp_path: Path) -> None:
        """A link in the first folder, a copy in the second, the real one in the third."""
        folders = [tmp_path / name for name in ("link", "copy", "real")]
        for folder in folders:
            folder.mkdir()
        (folders[0] / "helm").symlink_to(PINNED)
        (folders[1] / "helm").write_bytes(PINNED.read_bytes())
        (folders[1] / "helm").chmod(0o755)
        (folders[2] / "helm").symlink_to(workstation.helm_binary)
        machine = workstation.with_env(PATH=os.pathsep.join([*map(str, folders), "/usr/bin", "/bin"]))
        assert machine.run("sh", "-c", "helm version --short").stdout == workstation.helm("version", "--short")
        assert "helm pin upgrade" in machine.run("sh", "-c", "helm upgrade --help").stdout
        alone = workstation.with_env(PATH=os.pathsep.join([*map(str, folders[:2]), "/usr/bin", "/bin"]))
        done = alone.run(folders[0] / "helm", "version")
        assert (done.status, done.stderr.splitlines()[0]) == (
            2,
            "Error: there is no helm on PATH other than helm-pinned",
        )

    @whichever_helm
    @pytest.mark.parametrize("wrong", [str(PINNED), "/nowhere/helm", str(CHECKOUT)])
    def test_a_wrong_helm(self, workstation: Workstation, wrong: str) -> None:
        done = workstation.with_env(HELM_PIN_HELM=wrong).run(PINNED, "version")
        assert (done.status, "HELM_PIN_HELM" in done.stderr, "next" in done.stderr) == (2, True, True)


DIFF = """\
#!/bin/sh
case "$*" in
*--help*)
  echo 'Flags:'
  for flag in allow-unreleased detailed-exitcode install no-color no-hooks reset-values; do echo "      --$flag   a switch"; done
  for flag in color context kube-version output set set-string; do echo "      --$flag string   a value"; done
  echo '  -f, --values valueFiles   a value'
  exit ;;
esac
echo "$*" >> "$GIVEN"
exit 2
"""
"""A plugin in the place of helm-diff: it writes down what it is given, and reports differences as --detailed-exitcode does."""


class Fleet(NamedTuple):
    """A helmfile of two releases of one chart, each with an image of its own at latest, and the second needs the first."""

    machine: Workstation
    registry: Server
    repository: str
    folder: Path

    def helmfile(self, *args: str) -> Finished:
        """The real helmfile, with helm-pinned as its helm."""
        home = {"HELM_PIN_HELM": str(self.machine.helm_binary)}
        return self.machine.with_env(**home).run(binary("helmfile"), "--helm-binary", PINNED, *args, cwd=self.folder)

    def with_diff(self) -> Fleet:
        """The same, with a helm that has a plugin called diff."""
        plugin, home = self.folder / "diff", self.folder / "data"
        (plugin / "bin").mkdir(parents=True)
        (plugin / "plugin.yaml").write_text(
            "name: diff\nversion: 3.15.0\nusage: diff\ndescription: diff\n"
            "platformCommand: [{command: $HELM_PLUGIN_DIR/bin/diff}]\n"
        )
        (plugin / "bin" / "diff").write_text(DIFF)
        (plugin / "bin" / "diff").chmod(0o755)
        (home / "plugins").mkdir(parents=True)
        for each in (plugin, *(Path(self.machine.env["HELM_DATA_HOME"]) / "plugins").iterdir()):
            (home / "plugins" / each.name).symlink_to(each.resolve())
        return self._replace(machine=self.machine.with_env(HELM_DATA_HOME=str(home), GIVEN=str(self.folder / "given")))

    def push(self, build: str) -> dict[str, str]:
        """Move every tag to a build; the images that should run, by release."""
        host = self.registry.host
        return {
            name: f"{host}/{self.repository}/{name}:latest@"
            + self.registry.push_image(f"{self.repository}/{name}", "latest", salt=f"{self.repository} {name} {build}")[
                0
            ]
            for name in RELEASES
        }

    def live(self) -> dict[str, str]:
        """The image of each live Deployment."""
        items = kube.namespace(self.machine).api("GET", "deployments")["items"]
        return {i["metadata"]["name"]: i["spec"]["template"]["spec"]["containers"][0]["image"] for i in items}


@pytest.fixture
def fleet(in_cluster: Workstation, cluster: Cluster, unique: str, tmp_path: Path) -> Fleet:
    """Not deployed yet."""
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: app\nversion: 1.0.0\n")
    (chart / "templates" / "deployment.yaml").write_text(DEPLOYMENT.replace("web", "{{ .Release.Name }}"))
    releases = [
        {"name": name, "chart": "./chart", "values": [{"image": f"{cluster.registry}/{unique}/{name}:latest"}]}
        for name in RELEASES
    ]
    releases[1]["needs"] = [releases[0]["name"]]
    (tmp_path / "helmfile.yaml").write_text(yaml.safe_dump({"releases": releases}))
    return Fleet(in_cluster, Server(cluster.registry), unique, tmp_path)


def test_helmfile_apply(fleet: Fleet) -> None:
    """It asks for the differences first: helm-diff is given the pinned chart."""
    fleet = fleet.with_diff()
    images = fleet.push("A")
    applied = fleet.helmfile("apply")
    assert applied.status == 0, applied.stderr + applied.stdout
    assert fleet.live() == images
    given = (fleet.folder / "given").read_text().splitlines()
    assert sorted(line.split()[1] for line in given) == sorted(RELEASES)
    assert all(line.startswith("upgrade ") and ".tgz" in line for line in given)
    assert fleet.machine.pin("verify", RELEASES[1]).status == 0


@whichever_helm
def test_helmfile_template_sync_and_destroy(fleet: Fleet) -> None:
    """Of the first release. helm-pinned hands their words on as it does those of the rest (TestAlone, test_helmfile_apply)."""
    selector = ["--selector", f"name={RELEASES[0]}"]
    image = fleet.push("A")[RELEASES[0]]
    templated = fleet.helmfile("template", *selector)
    assert templated.status == 0, templated.stderr
    assert image in templated.stdout
    synced = fleet.helmfile("sync", *selector)
    assert synced.status == 0, synced.stderr + synced.stdout
    assert fleet.live() == {RELEASES[0]: image}
    destroyed = fleet.helmfile("destroy", *selector)
    assert destroyed.status == 0, destroyed.stderr
    assert json.loads(fleet.machine.helm("list", "-o", "json")) == []
