"""Rendering a chart as the deploying command will: by `helm template`, or by Helm's own dry run of that command."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from helmpin.arguments import Given, words
from helmpin.chart.stage import Chart
from helmpin.errors import HelmFailed
from helmpin.helm import Helm, HelmProcess
from helmpin.image.outside_pods import ExtraImageRules
from helmpin.named_tuple import NamedTuple
from helmpin.render.actions import STRING, TPL, actions, any_matches, whole_word
from helmpin.render.values import ValuesInput

if TYPE_CHECKING:
    from helmpin.render.output import Render

NOT_RENDERED = frozenset(
    {
        "--dry-run",
        "--wait",
        "--wait-for-jobs",
        "--atomic",
        "--rollback-on-failure",
        "--cleanup-on-fail",
        "--output",
        "--hide-secret",
        "--no-hooks",
        "--skip-tests",
        "--show-only",
        "--output-dir",
        "--debug",
        "--validate",
    }
)
"""Flags that must not affect the renders, in which every hook and test of the release is pinned."""
POST_RENDERER = frozenset({"--post-renderer", "--post-renderer-args"})
_ACTION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
"""A possible action in a file of another format, whose quotes are not those of a template."""
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*", re.MULTILINE)
"""A comment of a values file."""
_LOOKS_FOR = re.compile(r'\bcontains\s+["`]\{\{["`]')
_ASKS = (
    *map(whole_word, ("Capabilities", "lookup", "getHostByName")),
    whole_word("Release", r"(?!\.(?:Name|Namespace|Service)\b)"),
)
"""What `helm template` cannot know by itself: the cluster, and the release except its name, namespace and service."""
_ASKS_RELEASE = (whole_word("Release", r"(?!\.(?:Name|Namespace|Service|IsInstall|IsUpgrade)\b)"),)
"""What no flag of `helm template` can supply: the revision, or what can be any part of the release."""


class Needs(IntEnum):
    """What a render needs to know in addition to the chart and the values."""

    NOTHING = 0
    CLUSTER = 1
    """The cluster, or whether there is a release to upgrade."""
    RELEASE = 2
    """What only the running upgrade knows: the revision."""


def needs(chart: Chart, values: Iterable[Mapping[str, Any]]) -> Needs:
    """What the render of a chart may depend on. Values and files count if a template evaluates text (`tpl`)."""
    templates = chart.template_files()
    values = list(values)

    def asks(patterns: tuple[re.Pattern[str], ...]) -> bool:
        if any(any_matches(text, pattern) for text in templates.values() for pattern in patterns):
            return True
        if not evaluates_text(templates):
            return False
        given = [text for tree in values for text in texts(tree)]
        if any(_may_ask(text, pattern) for text in (*given, *chart.other_files()) for pattern in patterns):
            return True
        defaults = (_COMMENT.sub("", text) for _, _, text in chart.values_files())
        found = (pattern.search(text) for text in (*given, *defaults) for pattern in patterns)
        return any(found) and _makes_actions(templates)

    if not asks(_ASKS):
        return Needs.NOTHING
    return Needs.RELEASE if asks(_ASKS_RELEASE) else Needs.CLUSTER


def evaluates_text(templates: Mapping[str, str]) -> bool:
    """Whether a template (path → text) may evaluate text of values and files, as `tpl` does."""
    return any(map(TPL.search, templates.values()))


def _makes_actions(templates: Mapping[str, str]) -> bool:
    """Whether a template may make actions of text without braces: one of its strings has them, `printf "{{ %s }}" .Values.when`.
    Searching for braces does not count."""
    return any(
        any("{{" in string for string in STRING.findall(_LOOKS_FOR.sub("", action.code)))
        for text in templates.values()
        for action in actions(text)
    )


def _may_ask(text: str, pattern: re.Pattern[str]) -> bool:
    """Whether a text that is not a template asks for something, as a whole or in strings of its own format."""
    return (
        "{{" in text
        and pattern.search(text) is not None
        and (any_matches(text, pattern) or any(map(pattern.search, _ACTION.findall(text))))
    )


def texts(node: Any) -> Iterator[str]:
    """The strings in a tree of values."""
    if isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            yield from texts(child)
    elif isinstance(node, str):
        yield node


class Renderer(NamedTuple):
    """Renders charts, always with the same command and flags. Immutable."""

    helm: Helm
    command: tuple[str, ...]
    """helm's command and the release: `template web`, or `upgrade web`."""
    flags: tuple[str, ...]
    """helm's flags that affect the render, without those of the post-renderer."""
    post_renderer: tuple[str, ...]
    values: ValuesInput
    reuse: tuple[str, ...]
    """What comes before the user's values: a flag, and the file that takes helm-pin's digests out of the reused values."""
    dry_run: str
    """The kind of dry run, if Helm's own dry run renders; '' for `helm template`."""
    asks_cluster: bool
    """Whether Helm asks the cluster for its version, its APIs and objects."""
    also: ExtraImageRules

    def arguments(self, chart: Chart, extra: Sequence[str] = (), *, post_render: bool = True) -> list[str]:
        """helm's arguments for one render. extra: further arguments, after the user's values."""
        # Helm validates when it deploys; here validation would be most of a dry run's time, and not change what is rendered
        dry_run = [f"--dry-run={self.dry_run}", "--disable-openapi-validation", "--output=json"]
        ending = dry_run if self.dry_run else []
        post_renderer = self.post_renderer if post_render else ()
        before = [*self.command, str(chart.archive()), *self.flags, *post_renderer, *self.reuse]
        return [*before, *self.values.arguments, *extra, *ending]

    def start(self, chart: Chart) -> HelmProcess:
        """Start a render without the post-renderer, for `render` to take as `begun`."""
        return self.helm.start(self.arguments(chart, post_render=False))

    def render(
        self,
        chart: Chart,
        extra: Sequence[str] = (),
        *,
        post_render: bool = True,
        begun: HelmProcess | None = None,
        meanwhile: Callable[[], object] | None = None,
    ) -> Render:
        """Render a chart. meanwhile: called while helm renders. Raises HelmFailed with helm's message."""
        try:
            running = begun or self.helm.start(self.arguments(chart, extra, post_render=post_render))
            if meanwhile:
                meanwhile()
            text = running.output()
        except HelmFailed as error:
            raise self.values.in_users_words(error) from None
        from helmpin.render.output import parse, parse_release

        return parse_release(text, self.also) if self.dry_run else parse(text, self.also)


def renderer_for(
    helm: Helm,
    command: str,
    release: str,
    flags: Sequence[Given],
    values: ValuesInput,
    also: ExtraImageRules,
    *,
    dry_run: str = "",
    as_upgrade: bool = False,
    reuse: Sequence[str] = (),
    more: Sequence[str] = (),
) -> Renderer:
    """A renderer for a helm command (template, upgrade or install), with those of the user's flags that it accepts.

    as_upgrade: whether `helm template` renders as an upgrade of that release does, with what the cluster answers; a dry run does
    so anyway.
    """
    known = helm.flags(command)
    kept = [flag for flag in flags if flag.name in known and flag.name not in NOT_RENDERED | POST_RENDERER]
    return Renderer(
        helm=helm,
        command=(command, *([release] if release else [])),
        flags=(*words(kept), *more, *(_as_upgrade(helm) if as_upgrade else ())),
        post_renderer=tuple(words(flag for flag in flags if flag.name in POST_RENDERER)),
        values=values,
        reuse=tuple(reuse),
        dry_run=dry_run,
        asks_cluster=as_upgrade or bool(dry_run),
        also=also,
    )


def _as_upgrade(helm: Helm) -> list[str]:
    """The flags that have `helm template` render as an upgrade does: with the cluster's version, APIs and objects. Helm 3 asks for
    objects with the one flag, for the rest with the other (pkg/action/install.go, ClientOnly and interactWithRemote). Unlike a dry
    run of the upgrade, it reads no revision of the release."""
    validate = ["--validate"] if helm.version < (4,) else []
    return ["--is-upgrade", *validate, "--dry-run=server", "--disable-openapi-validation"]


def crd_apis(texts: Iterable[str]) -> list[str]:
    """The API versions that a chart's own CRDs add: helm installs them before it renders."""
    found: list[str] = []
    for spec in _crd_specs(texts):
        names, versions = spec.get("names"), spec.get("versions")
        kind = names.get("kind") if isinstance(names, dict) else None
        for version in versions if isinstance(versions, list) else []:
            if isinstance(version, dict) and version.get("served") is not False:  # discovery lists those alone
                api = f"{spec.get('group')}/{version.get('name')}"
                found += [api, f"{api}/{kind}"]
    return found


def _crd_specs(texts: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The specs of the CRDs in a chart's files."""
    from helmpin import kube_yaml

    for text in texts:
        try:
            documents = kube_yaml.read_all(text, what="a CRD cannot be read", where="crds/")
        except HelmFailed:
            continue  # helm reports it when it installs the CRDs
        for document in documents:
            is_crd = isinstance(document, dict) and document.get("kind") == "CustomResourceDefinition"
            if is_crd and isinstance(document.get("spec"), dict):
                yield document["spec"]
