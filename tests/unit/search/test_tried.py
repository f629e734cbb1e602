"""What a search has tried in vain."""

from __future__ import annotations

from helmpin.chart.setargs import Setting
from helmpin.search.tried import Tried

WEB, DB = ("app/templates/pod.yaml", 0, 0, ("image",)), ("app/templates/db.yaml", 0, 0, ("image",))
TAG = Setting(("image", "tag"), "1@x")


def test_what_did_not_pin_a_use_may_in_another_form() -> None:
    tried = Tried()
    tried.add({WEB: [TAG]}, failing=[WEB])
    assert not tried.allows(WEB, TAG) and tried.allows(WEB, TAG._replace(value="v1@x")) and tried.allows(DB, TAG)


def test_what_pinned_a_use_and_did_harm_does_in_every_form() -> None:
    tried = Tried()
    tried.add({WEB: [TAG], DB: [TAG]}, failing=[DB])
    assert not tried.allows(WEB, TAG._replace(value="v1@x")) and tried.allows(WEB, Setting(("tag",), "1@x"))
    assert tried.allows(DB, TAG._replace(value="v1@x"))


def test_what_was_seen_elsewhere_as_a_whole_is_seen_there_whatever_else_is_set() -> None:
    tried = Tried()
    tried.add_spilling(WEB, TAG.path)
    assert tried.spills(WEB, TAG.path) and not tried.spills(DB, TAG.path) and not tried.spills(WEB, ("tag",))
