"""Settings: a flag beats the environment, which beats the file."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from helmpin.command_table import COMMANDS
from helmpin.config import in_force, read
from helmpin.config.file import find
from helmpin.config.registry import MAX_PASSWORD
from helmpin.config.settings import Settings
from helmpin.config.sources import LISTS, NAMES, NEVER_IN_FILE, go_seconds, seconds
from helmpin.errors import UsageError
from helmpin.registry.types import Credential

LOGIN = {"HELM_PIN_REGISTRY_USERNAME": "ghcr.io=me", "HELM_PIN_REGISTRY_PASSWORD": "s3cr3t"}


def settings(
    folder: Path,
    options: Mapping[str, Any] = {},
    environ: Mapping[str, str] = {},
    file: str | None = None,
    stdin: bytes | None = None,
    found: bool = False,
) -> Settings:
    """file: the text of the settings file, which the user names, unless it was merely `found`."""
    if file is not None:
        (folder / ".helm-pin.yaml").write_text(file)
        options = options if found else {"config": str(folder / ".helm-pin.yaml"), **options}
    own = {"registry-username": None, "platform": None, "pull-secrets": None}
    return read({**own, **options}, environ, folder, None if stdin is None else io.BytesIO(stdin))


def refusal(folder: Path, *given: Any, **more: Any) -> UsageError:
    """The one error that these settings cost."""
    with pytest.raises(UsageError) as failed:
        settings(folder, *given, **more)
    return failed.value


def test_defaults(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert (found.mutable, found.mutable_tags, found.allow_unpinned, found.also, found.pull_secrets) == (
        "pin",
        (),
        (),
        (),
        False,
    )
    assert (found.registry.mirrors, found.registry.ca_file) == ((), None)


def test_what_beats_what(tmp_path: Path) -> None:
    file, environ = (
        "mutable: refuse\nmutable-tag: [f1, f2]",
        {"HELM_PIN_MUTABLE_TAG": "e1 e2", "HELM_PIN_MUTABLE": "pin"},
    )
    assert settings(tmp_path, file=file)[:2] == ("refuse", ("f1", "f2"))
    assert settings(tmp_path, environ=environ)[:2] == ("pin", ("e1", "e2"))
    options = {"mutable": "refuse", "mutable-tag": ("o",)}
    assert settings(tmp_path, options, environ)[:2] == ("refuse", ("o",))


@pytest.mark.parametrize("name", sorted((NAMES - {"rules"}) | NEVER_IN_FILE.keys() - {"require"} | {"config"}))
def test_a_variable_of_blanks_alone_counts_as_not_set(tmp_path: Path, name: str) -> None:
    assert settings(tmp_path, environ={"HELM_PIN_" + name.upper().replace("-", "_"): " \t"}) == settings(tmp_path)


NAMED_ORIGINS = ("allowed_registries_from", "allow_unpinned_from", "platforms_from")


@pytest.mark.parametrize("name", sorted(LISTS))
def test_every_list_from_everywhere(tmp_path: Path, name: str) -> None:
    variable = "HELM_PIN_" + name.upper().replace("-", "_")
    one = {"registry-plain-http": "a", "platform": "a/b"}.get(name, "a=http://b")
    from_flag = settings(tmp_path, {name: (one,)})
    assert from_flag != settings(tmp_path)
    origins = {name: getattr(from_flag, name) for name in NAMED_ORIGINS}
    without_sources = {"notes": (), "file": "", **origins}
    assert settings(tmp_path, environ={variable: one})._replace(**without_sources) == from_flag
    assert settings(tmp_path, file=f"{name}: [{one}]")._replace(**without_sources) == from_flag
    assert settings(tmp_path, file=f"{name}: {one}")._replace(**without_sources) == from_flag


@pytest.mark.parametrize(
    "key", ["registry-mirror: ['*=http://a']", "registry-plain-http: [a]", "registry-ca-file: a.pem"]
)
def test_a_file_that_was_found_does_not_say_who_is_asked(tmp_path: Path, key: str) -> None:
    """It comes with the charts; what decides whose word a digest is must come from the user."""
    error = refusal(tmp_path, file=key, found=True)
    name = key.partition(":")[0]
    assert name in error.what
    assert error.where == [f"{tmp_path}/.helm-pin.yaml"]
    assert "--config" in error.hint and f"HELM_PIN_{name.upper().replace('-', '_')}" in error.hint
    settings(tmp_path, file=key)
    settings(tmp_path, environ={"HELM_PIN_CONFIG": str(tmp_path / ".helm-pin.yaml")}, file=key, found=True)


def test_a_nearer_file_is_noted_that_leaves_out_what_another_refuses(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    chart = tmp_path / "vendor" / "web"
    chart.mkdir(parents=True)
    near, far = chart / ".helm-pin.yaml", tmp_path / ".helm-pin.yaml"
    far.write_text("mutable: refuse\nallowed-registry: [ghcr.io]\nalso: [x]\n")

    def notes(text: str, options: Mapping[str, Any] = {}) -> tuple[str, ...]:
        near.write_text(text)
        return read({"registry-username": None, **options}, {}, tmp_path, chart="vendor/web").notes

    assert notes("also: []") == (f"{near} is read, and not {far}, which sets mutable, allowed-registry",)
    assert notes("mutable: refuse") == (f"{near} is read, and not {far}, which sets allowed-registry",)
    assert notes("also: []", {"mutable": "refuse", "allowed-registry": ("a.io",)}) == ()
    assert notes("also: []", {"config": str(near)}) == ()
    far.write_text("mutable: pin\nalso: [x]\n")
    assert notes("also: []") == ()
    far.write_text("unknown: 1")
    assert notes("also: []") == ()


def test_what_a_file_allows_is_noted(tmp_path: Path) -> None:
    file = "allow-unpinned: [busybox, 'team/*']\nmutable: pin\nmutable-tag: [x]"
    path = tmp_path / ".helm-pin.yaml"
    expected = (f"{path} sets allow-unpinned: busybox, team/*", f"{path} sets mutable: pin")
    assert settings(tmp_path, file=file, found=True).notes == expected
    assert settings(tmp_path, {"allow-unpinned": ("a",), "mutable": "refuse"}, file=file, found=True).notes == ()


def test_no_file_at_all(tmp_path: Path) -> None:
    assert settings(tmp_path, environ={"HELM_PIN_CONFIG": "none"}, file="nonsense: [", found=True) == settings(
        tmp_path, {"config": "none"}
    )
    assert "no such settings file" in refusal(tmp_path, {"config": str(tmp_path / "missing.yaml")}).what
    assert "not a regular file" in refusal(tmp_path, {"config": str(tmp_path)}).what


def test_registry_settings(tmp_path: Path) -> None:
    environ = {
        "HELM_PIN_REGISTRY_MIRROR": "*=http://a docker.io=https://b/x=y",
        "HELM_PIN_REGISTRY_CA_FILE": "/ca.pem",
        "HELM_PIN_REGISTRY_TIMEOUT": "1m30s",
        "HELM_PIN_REGISTRY_PLAIN_HTTP": "c d",
    }
    found = settings(tmp_path, environ=environ).registry
    assert found.mirrors == (("*", "http://a"), ("docker.io", "https://b/x=y"))
    assert (found.ca_file, found.timeout, found.plain_http) == ("/ca.pem", 90.0, frozenset("cd"))


@pytest.mark.parametrize(
    ("text", "on"),
    [("true", True), ("1", True), ("YES", True), ("on", True), ("false", False), ("0", False), ("off", False)],
)
def test_switch(tmp_path: Path, text: str, on: bool) -> None:
    assert settings(tmp_path, environ={"HELM_PIN_PULL_SECRETS": text}).pull_secrets is on
    assert settings(tmp_path, {"pull-secrets": not on}, {"HELM_PIN_PULL_SECRETS": text}).pull_secrets is not on


BAD = {
    "platform": ("linux", "a platform must be OS/ARCHITECTURE"),
    "mutable": ("maybe", "pin or refuse, not 'maybe'"),
    "pull-secrets": ("perhaps", "true or false"),
    "registry-timeout": ("soon", "not a duration: 'soon'"),
    "registry-mirror": ("nothing", "a registry mirror must be HOST=URL"),
    "registry-plain-http": ("http://a", "HOST or HOST:PORT"),
    "registry-client-cert": ("cert.pem", "requires its key"),
    "registry-client-key": ("key.pem", "requires its certificate"),
}
"""A value of each setting that cannot be used, and what is said of it."""


@pytest.mark.parametrize("source", ["flag", "variable", "file"])
@pytest.mark.parametrize("name", sorted(BAD))
def test_an_error_names_where_the_value_stands(tmp_path: Path, name: str, source: str) -> None:
    value, says = BAD[name]
    variable = "HELM_PIN_" + name.upper().replace("-", "_")
    if source == "flag":
        error, where = refusal(tmp_path, {name: (value,) if name in LISTS else value}), f"--{name}"
    elif source == "variable":
        error, where = refusal(tmp_path, environ={variable: value}), variable
    else:
        error, where = refusal(tmp_path, file=f"{name}: {value}"), f"{tmp_path}/.helm-pin.yaml, key {name}"
    assert says in error.what
    assert error.where == [where]


def test_what_no_file_may_have_is_known() -> None:
    options = {option for command in COMMANDS.values() for option in command.options}
    names = {option.name.removeprefix("--") for option in options if option.setting and not option.in_file}
    assert names == {*NEVER_IN_FILE, "registry-username"}


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("mutable: 3", "pin or refuse, not 3"),
        ("registry-timeout: -3", "not a duration: '-3'"),
        ("also: {a: b}", "expected a list of strings"),
        ("also: [1]", "expected a list of strings"),
        ("registry-mirror: [1]", "expected a list of strings"),
        ("registry-plain-http: {a: b}", "expected a list of strings"),
        ("alsoo: [x]", "unknown key in .helm-pin.yaml: alsoo"),
        ("locked: true", "locked cannot be set in .helm-pin.yaml"),
        ("- x", "not a mapping"),
        ("a: [", "not valid YAML"),
        ("mutable: pin\nalso: []\nmutable: refuse\n", "line 3: the key 'mutable' is repeated"),
        ("rules:\n- match: a\n  mutable: pin\n  mutable: refuse\n", "line 4: the key 'mutable' is repeated"),
        ("mutable: pin\n---\nmutable: refuse\n", "line 2: a second YAML document begins"),
        ("---\nmutable: pin\n---\n", "line 3: a second YAML document begins"),
        ("mutable:\n", "mutable has no value"),
        ("registry-ca-file: [x]", "registry-ca-file must be the path of a file"),
        ("registry-client-cert: {a: b}", "registry-client-cert must be the path of a file"),
        ("registry-client-key: 7", "registry-client-key must be the path of a file"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file(tmp_path: Path, file: str, says: str) -> None:
    error = refusal(tmp_path, file=file)
    assert says in f"{error.what}: {error.why}"
    assert error.where[0].startswith(str(tmp_path / ".helm-pin.yaml"))


@pytest.mark.parametrize(
    ("mirror", "why"),
    [
        ("docker.io=ftp://a", "it is 'ftp://a'"),
        ("docker.io=http://", "it is 'http://'"),
        ("docker.io=https://a:port", "it is 'https://a:port'"),
        ("docker.io=https://a?x=y", "it is 'https://a?x=y'"),
        ("docker.io=https://me:s3cr3t@a", "it holds a user name or password"),
        ("https://docker.io=https://a", "got 'https://docker.io=https://a'"),
        ("https://me:s3cr3t@a", "got a URL with a user name or password"),
    ],
)
def test_mirrors_that_cannot_be(tmp_path: Path, mirror: str, why: str) -> None:
    error = refusal(tmp_path, file=f"registry-mirror: ['{mirror}']")
    assert error.why == why
    assert ".helm-pin.yaml, key registry-mirror" in error.where[0]
    assert "s3cr3t" not in error.message()


def test_client_certificates(tmp_path: Path) -> None:
    environ = {"HELM_PIN_REGISTRY_CLIENT_CERT": "e.crt", "HELM_PIN_REGISTRY_CLIENT_KEY": "e.key"}
    file = "registry-client-cert: f.crt\nregistry-client-key: f.key\nregistry-ca-file: f.ca"
    options = {"registry-client-cert": "o.crt", "registry-client-key": "o.key"}
    assert settings(tmp_path, file=file).registry.certificates == ("f.ca", "f.crt", "f.key")
    assert settings(tmp_path, environ=environ, file=file).registry.certificates == ("f.ca", "e.crt", "e.key")
    found = settings(tmp_path, options, environ, file=file).registry
    assert found.certificates == ("f.ca", "o.crt", "o.key")
    assert ("o.key", "--registry-client-key") in found.named
    assert ("f.ca", f"{tmp_path}/.helm-pin.yaml, key registry-ca-file") in found.named


@pytest.mark.parametrize("name", ["registry-client-cert", "registry-client-key"])
def test_a_found_file_does_not_log_the_user_in(tmp_path: Path, name: str) -> None:
    """The chart's author would see the user's certificate at a registry of their own."""
    error = refusal(tmp_path, file=f"{name}: /home/me/admin.pem", found=True)
    assert f"{name} is allowed only in a settings file that you name (--config)" in error.what


@pytest.mark.parametrize("name", ["registry-ca-file", "registry-client-cert", "registry-client-key"])
def test_an_empty_path_is_no_path(tmp_path: Path, name: str) -> None:
    """`--registry-ca-file "$UNSET"` must not go on without it."""
    error = refusal(tmp_path, {name: ""})
    assert error.where == [f"--{name}"] and "path of a file" in error.what


class TestLogin:
    def test_from_the_environment(self, tmp_path: Path) -> None:
        found = settings(tmp_path, environ=LOGIN).registry.credentials
        assert found == (("ghcr.io", Credential("me", "s3cr3t", source="HELM_PIN_REGISTRY_USERNAME")),)
        assert "s3cr3t" not in repr(settings(tmp_path, environ=LOGIN))

    def test_a_flag_beats_the_environment(self, tmp_path: Path) -> None:
        options = {"registry-username": "quay.io/acme=robot$ci=1"}
        found = settings(tmp_path, options, LOGIN).registry.credentials
        assert found == (("quay.io/acme", Credential("robot$ci=1", "s3cr3t", source="--registry-username")),)

    @pytest.mark.parametrize(
        ("content", "password"),
        [(b"p\n", "p"), (b"p\r\n", "p"), (b"p", "p"), (b" p p \n\n", " p p \n"), ("pä".encode(), "pä")],
    )
    def test_from_standard_input(self, tmp_path: Path, content: bytes, password: str) -> None:
        options = {"registry-username": "ghcr.io=me", "registry-password-stdin": True}
        ((_, credential),) = settings(tmp_path, options, LOGIN, stdin=content).registry.credentials
        assert credential.password == password

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"", "it is empty"),
            (b"\n", "it is empty"),
            (b"s3cr3t\xff", "not UTF-8"),
            (b"s3cr3t" * MAX_PASSWORD, "longer than"),
        ],
        ids=["nothing", "an empty line", "binary", "endless"],
    )
    def test_what_is_no_password(self, tmp_path: Path, content: bytes, why: str) -> None:
        options = {"registry-username": "ghcr.io=me", "registry-password-stdin": True}
        error = refusal(tmp_path, options, stdin=content)
        assert error.where == ["--registry-password-stdin"] and why in error.why
        assert "s3cr3t" not in error.message()

    def test_closed_standard_input(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", None)
        error = refusal(tmp_path, {"registry-username": "ghcr.io=me", "registry-password-stdin": True})
        assert error.why == "it is empty"

    def test_not_from_a_terminal(self, tmp_path: Path) -> None:
        ours, theirs = os.openpty()
        options = {"registry-username": "ghcr.io=me", "registry-password-stdin": True}
        with os.fdopen(theirs, "rb") as terminal, pytest.raises(UsageError, match="visible on the terminal"):
            read(options, {}, tmp_path, terminal)
        os.close(ours)

    @pytest.mark.parametrize(
        ("options", "environ", "says", "where"),
        [
            ({"registry-username": "ghcr.io=me"}, {}, "requires a password", "--registry-username"),
            (
                {},
                {"HELM_PIN_REGISTRY_USERNAME": "ghcr.io=me"},
                "requires a password",
                "HELM_PIN_REGISTRY_USERNAME",
            ),
            (
                {},
                {"HELM_PIN_REGISTRY_PASSWORD": "s3cr3t"},
                "requires its registry and user name",
                "HELM_PIN_REGISTRY_PASSWORD",
            ),
            ({"registry-password-stdin": True}, {}, "requires its registry and user name", "--registry-password-stdin"),
        ],
    )
    def test_half_of_it(
        self, tmp_path: Path, options: dict[str, Any], environ: dict[str, str], says: str, where: str
    ) -> None:
        error = refusal(tmp_path, options, environ)
        assert says in error.what and error.where == [where] and error.hint
        assert "s3cr3t" not in error.message()

    @pytest.mark.parametrize("variable", sorted(LOGIN))
    def test_half_of_it_does_not_stop_a_command_that_asks_no_registry(self, tmp_path: Path, variable: str) -> None:
        """As `helm pin history` in a job whose upgrades give the other half as a flag, or pipe it in."""
        assert read({}, {variable: LOGIN[variable]}, tmp_path).registry.credentials == ()

    @pytest.mark.parametrize(
        ("login", "why"),
        [
            ("me", "every registry that requires"),
            ("=me", "missing"),
            ("ghcr.io=", "missing"),
            ("ghcr.io=me:s3cr3t", "does not belong on a command line"),
        ],
    )
    def test_what_is_no_login(self, tmp_path: Path, login: str, why: str) -> None:
        error = refusal(tmp_path, {"registry-username": login}, LOGIN)
        assert error.where == ["--registry-username"] and why in error.why
        assert "s3cr3t" not in error.message()

    @pytest.mark.parametrize("key", ["registry-username", "registry-password", "registry-password-stdin"])
    def test_never_from_the_file(self, tmp_path: Path, key: str) -> None:
        """The file comes with the charts: it must not say where the environment's password goes."""
        error = refusal(tmp_path, environ=LOGIN, file=f"{key}: evil.example=s3cr3t")
        assert "credentials are not allowed" in error.what and key in error.what
        assert "s3cr3t" not in error.message()


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / ".helm-pin.yaml").mkdir()
    with pytest.raises(UsageError, match=r"cannot read \.helm-pin\.yaml"):
        settings(tmp_path)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/dev/zero", "not a regular file"),
        ("fifo", "not a regular file"),
        ("gone", "No such file"),
        ("big", "bytes; at most"),
    ],
)
def test_a_file_that_comes_with_harm(tmp_path: Path, target: str, why: str) -> None:
    """Git carries links, and a chart may come with one: read for ever, or taken for no policy."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "big").write_text("# " + "x" * 1_000_000)
    (tmp_path / ".helm-pin.yaml").symlink_to(target)
    with pytest.raises(UsageError, match=r"cannot read \.helm-pin\.yaml") as caught:
        settings(tmp_path)
    assert why in caught.value.why


def test_what_is_stricter_is_not_told(tmp_path: Path) -> None:
    assert settings(tmp_path, file="mutable: refuse\n").notes == ()
    assert settings(tmp_path, file="mutable: pin\n").notes


def test_a_tag_that_looks_like_a_date(tmp_path: Path) -> None:
    assert settings(tmp_path, file="mutable-tag: [2026-31-12, 2026-01-01]").mutable_tags == ("2026-31-12", "2026-01-01")


def test_an_empty_file(tmp_path: Path) -> None:
    assert settings(tmp_path, file="") == settings(tmp_path, file="# nothing\n") == settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"), [("30s", 30), ("1m30s", 90), ("500ms", 0.5), ("2h", 7200), ("1.5s", 1.5), ("7", 7), ("0.5", 0.5)]
)
def test_seconds(text: str, value: float) -> None:
    assert seconds(text, "x") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("48h", 172800),
        ("0s", 0),
        ("0", 0),
        ("100us", 1e-4),
        ("1.5h", 5400),
        (".5m", 30),
        ("1h2m3.5s", 3723.5),
        ("-2s", -2),
        ("2ns", 2e-9),
    ],
)
def test_helms_durations(text: str, value: float) -> None:
    """As Go reads them, however long."""
    assert go_seconds(text, "--timeout") == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "300", "5 s", "s", ".s", "1d", "1h 2m", "--1s", "1e3s"])
def test_what_helm_does_not_read_as_a_duration(text: str) -> None:
    with pytest.raises(UsageError, match="not a duration"):
        go_seconds(text, "--timeout")


@pytest.mark.parametrize(
    "text", ["", "s", "1x", "-1s", "1 s", "1s ", "1m30", "inf", "0", "0s", "25h", "9" * 400, "9" * 400 + "h"]
)
def test_no_seconds(text: str) -> None:
    with pytest.raises(UsageError):
        seconds(text, "x")


EXEMPT = "allow-unpinned:\n- busybox\n- {image: 'team/*', reason: built here, until: %s}\n"


def test_an_exemption_has_a_reason_and_an_end(tmp_path: Path) -> None:
    found = settings(tmp_path, file=EXEMPT % "2999-01-31")
    assert found.allow_unpinned == ("busybox", "team/*")
    (exemption,) = found.exemptions
    assert (exemption.shown, exemption.where.endswith("entry 2")) == ("team/* (until 2999-01-31: built here)", True)
    assert [exemption.is_over(day) for day in ("2999-01-30", "2999-01-31", "2999-02-01")] == [False, False, True]
    assert not any("exempt team" in note for note in found.notes)  # it is reported where it is used


def test_an_exemption_that_is_over_lets_nothing_through(tmp_path: Path) -> None:
    found = settings(tmp_path, file=EXEMPT % "2020-01-31")
    assert found.allow_unpinned == ("busybox",) and len(found.exemptions) == 1
    assert any("ended on 2020-01-31 and no longer counts (built here)" in note for note in found.notes)


@pytest.mark.parametrize(
    "item",
    [
        "{image: a}",
        "{image: a, reason: b}",
        "{image: a, reason: '', until: 2027-01-01}",
        "{image: a, reason: b, until: 2027-02-30}",
        "{image: a, reason: b, until: 20270201}",
        "{image: a, reason: b, until: 2027-01-01, more: c}",
        "{image: [a], reason: b, until: 2027-01-01}",
    ],
)
def test_no_exemption_without_a_reason_and_an_end(item: str, tmp_path: Path) -> None:
    error = refusal(tmp_path, file=f"allow-unpinned: [{item}]\n")
    assert "entry 1" in error.where[0] and error.hint


def test_where_a_file_is_found(tmp_path: Path) -> None:
    """The nearest to the chart, up to the root of its repository; then that of the working directory."""
    repository, elsewhere = tmp_path / "repository", tmp_path / "elsewhere"
    chart = repository / "charts/web"
    chart.mkdir(parents=True)
    (repository / ".git").mkdir()
    elsewhere.mkdir()
    place = tmp_path / ".helm-pin.yaml"
    place.touch()  # above the repository
    assert find("../repository/charts/web", elsewhere) is None
    for place in (elsewhere, repository, repository / "charts", chart):
        (place / ".helm-pin.yaml").touch()
        assert find("../repository/charts/web", elsewhere) == place / ".helm-pin.yaml" or place == chart
    assert find(str(chart), elsewhere) == chart / ".helm-pin.yaml"
    packed = repository / "charts/web-1.tgz"
    packed.touch()
    assert find(str(packed), elsewhere) == repository / "charts/.helm-pin.yaml"
    assert find("oci://registry.example/web", elsewhere) == elsewhere / ".helm-pin.yaml"
    assert find("", chart) == chart / ".helm-pin.yaml"


def test_a_chart_behind_a_link_has_the_file_of_its_own_repository(tmp_path: Path) -> None:
    repository, elsewhere = tmp_path / "repository", tmp_path / "elsewhere"
    (repository / ".git").mkdir(parents=True)
    (repository / "charts/web").mkdir(parents=True)
    (repository / ".helm-pin.yaml").touch()
    elsewhere.mkdir()
    (elsewhere / "web").symlink_to(repository / "charts/web")
    assert find("web", elsewhere) == repository / ".helm-pin.yaml"
    (elsewhere / ".helm-pin.yaml").touch()
    assert find("web", elsewhere) == repository / ".helm-pin.yaml"
    (elsewhere / ".git").mkdir()  # now the link stands in a repository too, which has a file
    assert find("web", elsewhere) == elsewhere / ".helm-pin.yaml"


def test_parents_are_not_searched_outside_of_a_repository(tmp_path: Path) -> None:
    """Anybody could have put a file there: /tmp is everybody's."""
    (tmp_path / ".helm-pin.yaml").touch()
    (tmp_path / "a/chart").mkdir(parents=True)
    assert find("chart", tmp_path / "a") is None


def test_parents_that_may_not_be_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for `sudo -u ci` in a folder of root's: the working directory itself can be read."""
    (tmp_path / "closed/x/charts").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "closed/x")
    was = os.geteuid()
    Path("../../closed").chmod(0o700 if was == 0 else 0)
    try:
        os.seteuid(65534 if was == 0 else was)
        assert find("charts", None) is None and read({}, {}).file == ""
        assert find("charts", Path.cwd()) is None
    finally:
        os.seteuid(was)
        tmp_path.joinpath("closed").chmod(0o700)
    Path(".helm-pin.yaml").touch()
    assert find("charts") is not None


def test_a_worktree_is_a_repository(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / ".git").write_text("gitdir: /elsewhere\n")
    (tmp_path / ".helm-pin.yaml").touch()
    assert find("", tmp_path / "a") == tmp_path / ".helm-pin.yaml"


def test_what_is_in_force_and_from_where(tmp_path: Path) -> None:
    path = tmp_path / ".helm-pin.yaml"
    path.write_text("mutable: refuse\nalso: [a]\nrules: [{match: ghcr.io, mutable: pin}]\n")
    options = dict.fromkeys(NAMES) | {"mutable-tag": ("x",), "config": str(path)}
    found = in_force(options, {"HELM_PIN_ALSO": "b c", "HELM_PIN_REGISTRY_PASSWORD": "s3cr3t"}, tmp_path)
    assert [name for name, _, _ in found] == sorted(NAMES)
    assert [each for each in found if each[2] != "default"] == [
        ("also", ("b", "c"), "HELM_PIN_ALSO"),
        ("mutable", "refuse", f"{path}, key mutable"),
        ("mutable-tag", ("x",), "--mutable-tag"),
        ("rules", [{"match": "ghcr.io", "mutable": "pin"}], f"{path}, key rules"),
    ]
    assert settings(tmp_path, file=path.read_text()).file == str(path)
    assert settings(tmp_path, {"config": "none"}).file == ""


def test_a_gate_in_force_is_shown_without_its_secrets(tmp_path: Path) -> None:
    options = dict.fromkeys(["require", "require-timeout", "locked"])
    environ = {"HELM_PIN_REQUIRE": "true {}\nfalse --token s3cr3t {}", "HELM_PIN_LOCKED": "yes"}
    assert in_force(options, environ, tmp_path)[:3] == [
        ("locked", True, "HELM_PIN_LOCKED"),
        ("require", ("true {}", "false --token *** {}"), "HELM_PIN_REQUIRE"),
        ("require-timeout", "1m", "default"),
    ]


def test_the_defaults_are_those_of_a_run_without_settings(tmp_path: Path) -> None:
    found = {name: value for name, value, _ in in_force(dict.fromkeys([*NAMES, *NEVER_IN_FILE]), {}, tmp_path)}
    run = settings(tmp_path)
    assert seconds(found.pop("require-timeout"), "") == run.gate.seconds
    assert found.pop("mutable") == run.mutable
    assert seconds(found.pop("registry-timeout"), "") == run.registry.timeout
    assert found.pop("pull-secrets") is run.pull_secrets
    assert found.pop("locked") is run.locked
    assert not any(found.values())


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("[]", "needs the one registry or repository"),
        ("{mutable: pin}", "needs the one registry or repository"),
        ("{match: a, mutable: perhaps}", "pin or refuse"),
        ("{match: a, mutables: pin}", "unknown key in a rule: mutables"),
        ("{match: a, fixed-tag: [1]}", "expected a list of strings"),
    ],
)
def test_a_rule_that_is_none(rule: str, says: str, tmp_path: Path) -> None:
    error = refusal(tmp_path, file=f"rules: [{{match: x}}, {rule}]\n")
    assert says in error.what and "key rules, entry 2" in error.where[0]


def test_rules_that_let_more_through_are_noted(tmp_path: Path) -> None:
    file = "rules: [{match: a, mutable: refuse}, {match: b, mutable: pin, fixed-tag: ['1.*', x]}]"
    (note,) = settings(tmp_path, file=file).notes
    assert note.endswith("entry 2: for b, pin; fixed 1.*, x")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HELM_PIN_MUTABEL", "HELM_PIN_MUTABLE"),
        ("HELM_PIN_PLATFORMS", "HELM_PIN_PLATFORM"),
        ("HELM_PIN_ALLOWED_REGISTRIES", "HELM_PIN_ALLOWED_REGISTRY"),
        ("HELM_PIN_REQUIRED", "HELM_PIN_REQUIRE"),
    ],
)
def test_a_variable_that_is_nearly_a_setting_is_named(name: str, meant: str) -> None:
    assert read({}, {name: "x"}).notes == (f"{name} is not a setting; did you mean {meant}?",)


@pytest.mark.parametrize(
    "name", ["HELM_PIN_PYTHON", "HELM_PIN_CACHE", "HELM_PIN_TEST_LONG", "HELM_PIN_QUIET", "HELM_PINNED"]
)
def test_other_variables_are_nobodys_business(name: str) -> None:
    assert read({}, {name: "1"}).notes == ()


def test_a_name_that_is_too_long_is_no_file(tmp_path: Path) -> None:
    assert read({}, {}, tmp_path, chart="a" * 300).file == ""
    with pytest.raises(UsageError, match="no such settings file"):
        read({"config": "a" * 300}, {}, tmp_path)
