"""Which candidates go if helm does not render with them: those whose values its message names, or else those of the images whose
template or chart it names, or else all."""

from __future__ import annotations

from collections.abc import Collection

from helmpin.search import render_failure
from helmpin.search.candidate import Candidate
from helmpin.search.group import Group, shown
from helmpin.search.state import SearchState


def blame_failure(state: SearchState, why: str) -> None:
    """A render failed: drop the candidates whose values, template or chart helm's message names; without a name, all."""
    blamed = _blamed_by(state, why)
    for group in blamed:
        named = _named_by(why, group, state.charts)
        reason = render_failure.reason(why, (s for c in named for s in c.settings), state.charts)
        state.note(group.uses, f"{shown(named or group.current())}: the chart refuses it: {reason}")
        group.advance(named)
    if not blamed:
        left = list(state.uses())
        for use in [use for use in left if use.source and use.source in why] or left:
            state.fail(use, f"the chart does not render with it: {render_failure.reason(why)}")


def _blamed_by(state: SearchState, why: str) -> list[Group]:
    """The groups that helm's message blames, of those that values pin; all if it names none."""
    active = state.active()
    if named := [group for group in active if _named_by(why, group, state.charts)]:
        return named
    active = [group for group in active if not group.proven] or active
    scopes = render_failure.scopes_of(why)
    near = [group for group in active if group.scope in scopes]
    near = [group for group in near if any(use.source in why for use in group.uses)] or near
    if render_failure.refuses_version(why):
        near = [group for group in near if any(c.strategy == "tag@digest" for c in group.current())] or near
    if render_failure.ends_in_a_colon(why):
        near = [group for group in near if any(not setting.value for setting in group.settings())] or near
    return near or active


def _named_by(why: str, group: Group, charts: Collection[tuple[str, ...]]) -> set[Candidate]:
    """The current candidates of a group whose values helm's message names. charts: as names_value() has it."""
    return {c for c in group.current() if any(render_failure.names_value(why, s, charts) for s in c.settings)}
