"""Which candidates go if a render shows uses that are not at their digest: those of the use, or those of another image, whose value
came out there instead. If only some uses of a group are not pinned, these are split off, and try other values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from functools import partial

from helmpin.chart.setargs import Setting, ValuePath
from helmpin.image.uses import ImageUse, UseKey
from helmpin.render.diff import Comparison
from helmpin.search.attempt import Attempt
from helmpin.search.candidate import Candidate, is_of_component
from helmpin.search.causes import Causes
from helmpin.search.group import Group, shown
from helmpin.search.state import SearchState, Standing


class UnpinnedBlame:
    """Changes the state of a search as its renders show uses that are not pinned."""

    def __init__(
        self,
        state: SearchState,
        causes: Causes,
        reads_on_lines: Callable[[str, str], Collection[ValuePath]],
        reads: Callable[[str], Collection[ValuePath]],
    ) -> None:
        """reads_on_lines, reads: as Search has them."""
        self._state, self._causes, self._reads_on_lines, self._reads = state, causes, reads_on_lines, reads

    def drop_wrong_guesses(self, settings: Mapping[UseKey, Collection[Setting]], result: Comparison) -> bool:
        """Drop values that only a tag suggests, where they did not pin the image, if there is another fault: they may have caused
        it, so that nothing else is judged by this result. Returns whether there were any. settings: by each use, what was set."""
        guesses = [
            group
            for group in self._state.active()
            if all(candidate.by_tag_only for candidate in group.current())
            and all(use.key in result.failing for use in group.uses)
        ]
        wrong = {use.key for group in guesses for use in group.uses}
        if not (guesses and (result.collateral or result.failing - wrong)):
            return False
        self._state.tried.add({key: some for key, some in settings.items() if key in wrong}, result.failing)
        for group in guesses:
            images = [result.images.get(use.key, "") for use in group.uses]
            self._state.note(group.uses, f"{shown(group.current())}: {gives(group.uses[0], result)}")
            group.fail(images)
        return True

    def overridden(self, result: Comparison) -> set[UseKey]:
        """The uses that have another image's digest, so that their own candidate has not been seen to fail."""
        active = self._state.active()
        return {
            use.key
            for group in active
            for use in group.uses
            if use.key in result.failing
            and any(g.digest != group.digest and g.digest in result.images.get(use.key, "") for g in active)
        }

    def blame_values(self, result: Comparison, blamed: Collection[Group], overridden: Collection[UseKey]) -> None:
        """Drop the candidates that did not pin a use, except those of groups that are blamed already. Where another image's value
        came out instead, that one is dropped: it reaches more than its own image."""
        tried = [group for group in self._state.active() if group not in blamed]
        bad = {
            group: [use for use in group.uses if use.key in result.failing and use.key not in self._state.by_template]
            for group in tried
        }
        reached: dict[Group, list[ImageUse]] = {}
        for group in tried:
            others = [use for other in tried if other.digest != group.digest for use in bad[other]]
            if found := [use for use in others if group.digest in result.images.get(use.key, "")]:
                reached[group] = found
                self._state.note(
                    group.uses, f"{shown(group.current())}: gives {result.images[found[0].key]!r} elsewhere"
                )
                group.leave_paths({path for use in found for path in group.read_among(self._reads(use.source))})
        for group in [group for group in tried if group not in reached]:
            own = [use for use in bad[group] if use.key not in overridden]
            group.proven = not bad[group] or (group.proven and not own)
            if not own:
                continue
            self._state.note(own, f"{shown(group.current())}: {gives(own[0], result)}")
            if any(use.key not in result.failing for use in group.uses):
                self._split_off(group, own)
                group.proven = True
            else:
                group.fail(result.images.get(use.key, "") for use in own)

    def split_by_templates(self, blamed: Collection[Group]) -> None:
        """Split off the uses of groups, which have just lost a value that they shared, whose templates read another of the values
        that may pin them now. blamed: these groups."""
        for group in blamed:
            here = [use for use in group.uses if group.read_among(self._reads_on_lines(use.source, ""))]
            spare = {setting.path for candidate in group.spare() for setting in candidate.settings}
            elsewhere = [
                use
                for use in group.uses
                if use not in here and any(group.is_read(path, self._reads_on_lines(use.source, "")) for path in spare)
            ]
            if here and len(here) + len(elsewhere) == len(group.uses) and elsewhere:
                self._split_off(group, elsewhere)

    def blame_templates(
        self, attempt: Attempt, result: Comparison, blamed: Collection[Group], before: Standing
    ) -> None:
        """For each use that its template did not pin: drop the values that changed it there. If there are none, the use has failed.

        before: the state before this result. A use does not fail in the same step in which values were dropped: they may be why.
        """
        bad = [use for use in self._state.uses() if use.key in result.failing and use.key in attempt.by_template]
        reaching = [(use, self._reaching(use, result.images.get(use.key, ""), blamed)) for use in bad]
        leaving: dict[Group, tuple[set[ValuePath], str]] = {}
        for use, guilty in reaching:
            for group, paths in guilty:  # values that pin it as well, with another result
                leaving.setdefault(group, (set(), result.images.get(use.key, "")))[0].update(paths)
        for group, (paths, gives) in leaving.items():
            self._state.note(group.uses, f"{shown(group.current())}: gives {gives!r} elsewhere")
            group.leave_paths(paths)
        for use in [use for use, guilty in reaching if not guilty]:
            if self._state.standing() != before:
                return
            gives = result.images.get(use.key, "")
            is_unpinned = self._state.group_of(use).digest not in gives and gives != use.image
            suspects = self._causes.suspects(use.source) if is_unpinned else []
            if suspects:  # values changed what the template writes
                for group in suspects:
                    self._state.note(group.uses, f"{shown(group.current())}: gives {gives!r} elsewhere")
                    group.leave_paths()
            else:
                self._state.fail(use, f"its template gives {gives!r}")

    def _reaching(self, use: ImageUse, gives: str, blamed: Collection[Group]) -> list[tuple[Group, set[ValuePath]]]:
        """The groups whose values reach a use that its template pins, with the paths that this template reads, as far as these are
        known: those of other images, or else those that pin the image's other uses."""
        mine, active = self._state.group_of(use), [group for group in self._state.active() if group not in blamed]
        found = [group for group in active if group.digest in gives and group is not mine]
        if not found and gives == use.image:  # values print other uses of it just as they do another image
            found = [group for group in active if group.image == use.image and group.digest == mine.digest]
        if not found and mine.digest in gives and mine in active:  # in another form
            found = [mine]
        reading = [(group, group.read_among(self._reads(use.source))) for group in found]
        return [each for each in reading if each[1]] or reading

    def _split_off(self, group: Group, bad: list[ImageUse]) -> None:
        """Split off the uses in `bad`, which do not read the values that pin the rest of the group: they try the spare candidates,
        first those that their own template reads, of these those in a map that is called like them, and last tags that the values
        do not have; without any, templates pin them."""
        spare, apart = group.spare(), defaultdict[tuple[Candidate, ...], list[ImageUse]](list)
        for use in bad if spare else ():
            own = self._reads_on_lines(use.source, "")
            likely = partial(_likelihood, group=group, use=use, read=own)
            apart[tuple(sorted(spare, key=likely))].append(use)
        for candidates_left, uses in apart.items():
            split_off = Group(group.image, group.digest, group.scope, [list(candidates_left)])
            split_off.uses = uses
            self._state.groups.append(split_off)
        if apart:
            group.uses = [use for use in group.uses if use not in bad]
        else:
            for use in bad:
                self._state.to_template(use)


def gives(use: ImageUse, result: Comparison) -> str:
    """What a value does to a use that it does not pin, for people."""
    image = result.images.get(use.key, "")
    return f"leaves {use.kind}/{use.name} at {image}" if image == use.image else f"gives {image!r}"


def _likelihood(
    candidate: Candidate, group: Group, use: ImageUse, read: Collection[ValuePath]
) -> tuple[bool, bool, bool]:
    """How likely a candidate is to pin a use of a group, for sorting. read: what its template reads."""
    is_read = any(group.is_read(setting.path, read) for setting in candidate.settings)
    return not is_read, not is_of_component(candidate, (use.container, use.name)), _is_guess(candidate)


def _is_guess(candidate: Candidate) -> bool:
    """Whether it puts a tag where the values do not hold the image's."""
    return candidate.strategy == "tag@digest" and not candidate.by_tag_only
