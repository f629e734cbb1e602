"""Stored releases as the API holds them: helm's own encoding, in Secrets and in ConfigMaps."""

from __future__ import annotations

import base64
import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from helmpin.errors import HelmFailed
from helmpin.release.revision import LARGEST
from helmpin.release.storage import decode, decoded, stored_as, stored_objects
from tests.unit.test_kubectl import calls, kubectl, record

__all__ = ["record"]

RELEASE: dict[str, Any] = {
    "name": "shop",
    "version": 7,
    "namespace": "store",
    "info": {"status": "superseded", "last_deployed": "2026-01-02T03:04:05.678901234+01:00", "description": "Done"},
    "chart": {
        "metadata": {"name": "shop", "version": "1.2.3", "appVersion": "9", "annotations": {"helm-pin/digests": "{}"}}
    },
    "manifest": "---\n# Source: shop/templates/pod.yaml\nkind: Pod\nspec: {containers: [{name: a, image: x}]}\n",
    "hooks": [{"path": "shop/templates/h.yaml", "manifest": "kind: Pod\nspec: {containers: [{name: b, image: z}]}"}],
}


def encoded(release: Any, *, packed: bool = True) -> str:
    """helm's pkg/storage/driver/util.go, encodeRelease: base64 of gzip of JSON; releases of early Helm 3 were not packed."""
    text = json.dumps(release).encode()
    return base64.b64encode(gzip.compress(text) if packed else text).decode()


def stored_object(kind: str, data: str, name: str = "sh.helm.release.v1.shop.v7") -> dict[str, Any]:
    """As the API sends it: what a Secret holds is in base64 once more."""
    held = base64.b64encode(data.encode()).decode() if kind == "Secret" else data
    return {"kind": kind, "metadata": {"namespace": "store", "name": name}, "data": {"release": held}}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_both_drivers(kind: str, packed: bool) -> None:
    read = decoded([stored_object(kind, encoded(RELEASE, packed=packed))])
    (revision,) = read.found
    assert read.unread == ()
    assert (revision.stored.release, revision.stored.revision, revision.namespace) == ("shop", 7, "store")
    assert (revision.status, revision.chart, revision.app_version) == ("superseded", "shop-1.2.3", "9")
    assert (revision.updated, revision.description) == ("2026-01-02T03:04:05.678901234+01:00", "Done")
    assert revision.stored.record_text == "{}"
    assert [(use.image, use.source) for use in revision.stored.uses()] == [
        ("x", "shop/templates/pod.yaml"),
        ("z", "shop/templates/h.yaml"),
    ]


def test_once_is_not_twice() -> None:
    with pytest.raises(ValueError, match=r"\S"):
        decode(encoded(RELEASE), twice=True)
    with pytest.raises(ValueError, match=r"\S"):
        decode(base64.b64encode(encoded(RELEASE).encode()).decode(), twice=False)


@cache
def bomb() -> str:
    """A few hundred kilobytes, packed."""
    return encoded({**RELEASE, "x": "x" * (LARGEST * 2)})


TOO_LARGE = "too large"
BROKEN = {
    "not base64": "!",
    "empty": "",
    "not gzip": base64.b64encode(b"\x1f\x8bnonsense").decode(),
    "cut": base64.b64encode(gzip.compress(b"[]" * 999)[:-20]).decode(),
    "bad deflate": base64.b64encode(gzip.compress(b"x" * 99)[:10] + b"\xff" * 40).decode(),
    "not UTF-8": base64.b64encode(b"\xff\xfe").decode(),
    "too deep": base64.b64encode(b"[" * 200_000).decode(),
    "a list": encoded([RELEASE]),
    "no name": encoded({"version": 1}),
    "cut after a whole object": base64.b64encode(gzip.compress(json.dumps(RELEASE).encode())[:-4]).decode(),
    "a version in words": encoded({**RELEASE, "version": "one"}),
}


@pytest.mark.parametrize("how", [*BROKEN, TOO_LARGE])
@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_one_that_is_broken_is_told_and_the_others_are_read(kind: str, how: str) -> None:
    data = bomb() if how is TOO_LARGE else BROKEN[how]
    read = decoded([stored_object(kind, data, "bad"), stored_object(kind, encoded(RELEASE))])
    assert [revision.stored.revision for revision in read.found] == [7]
    (line,) = read.unread
    assert line.startswith(f"{kind} store/bad is not a valid release: ")
    assert not re.search("codec|Expecting|' object|decompressing", line), "of Python's own words"


def test_what_is_too_large_is_not_unpacked() -> None:
    assert len(bomb()) < 300_000
    with pytest.raises(ValueError, match=f"unpacks to more than {LARGEST >> 20} MiB"):
        decode(bomb(), twice=False)


def test_a_large_release_is_read() -> None:
    assert decode(encoded({**RELEASE, "manifest": "x" * (8 << 20)}), twice=False)["version"] == 7


LABELS = {"owner": "helm", "name": "shop", "version": "8", "status": "deployed"}


@pytest.mark.parametrize("data", [encoded({**RELEASE, "hooks": 5}), BROKEN["not gzip"]])
def test_what_the_labels_say_of_one_that_cannot_be_read(data: str) -> None:
    broken = stored_object("Secret", data, "sh.helm.release.v1.shop.v8")
    broken["metadata"]["labels"] = LABELS
    read = decoded([broken])
    assert read.found == []
    (revision,) = read.unreadable
    assert (revision.stored.release, revision.stored.revision, revision.status) == ("shop", 8, "deployed")
    assert revision.namespace == "store"
    assert revision.stored.problem == read.unread[0]
    with pytest.raises(HelmFailed, match="cannot be read"):
        revision.stored.uses()


@pytest.mark.parametrize("labels", [None, {"name": "shop"}, {**LABELS, "version": "eight"}, {**LABELS, "name": ""}])
def test_labels_that_do_not_say_which_it_is(labels: dict[str, str] | None) -> None:
    broken = stored_object("Secret", "!")
    broken["metadata"]["labels"] = labels
    read = decoded([broken])
    assert (read.found, read.unreadable, len(read.unread)) == ([], (), 1)


ODD = {
    "no info": {"info": None},
    "no chart": {"chart": None},
    "a chart in words": {"chart": "shop"},
    "no metadata": {"chart": {"metadata": None}},
    "no annotations": {"chart": {"metadata": {"name": "shop", "version": "1.2.3", "annotations": None}}},
    "no hooks": {"hooks": None},
    "no manifest": {"manifest": None},
    "hooks that are none": {"hooks": [None, "x"]},
    "half a character": {"manifest": "kind: Pod # \ud800", "info": {"status": "\udfff"}},
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_a_release_that_lacks_something(change: dict[str, Any]) -> None:
    (revision,) = decoded([stored_object("Secret", encoded({**RELEASE, **change}))]).found
    revision.stored.uses()
    assert revision.stored.revision == 7
    "".join(map(str, revision)).encode()  # it can be printed


@pytest.mark.parametrize(
    ("driver", "resource"),
    [(None, "secrets"), ("", "secrets"), ("secret", "secrets"), ("secrets", "secrets"), ("configmap", "configmaps"),
     ("configmaps", "configmaps"), ("sql", ""), ("memory", "")],
)  # fmt: skip
def test_helm_driver(driver: str | None, resource: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HELM_DRIVER", raising=False)
    if driver is not None:
        monkeypatch.setenv("HELM_DRIVER", driver)
    assert stored_as() == resource


@pytest.mark.parametrize("kind", ["secrets", "configmaps"])
def test_the_resource_is_asked_for_at_its_path(kind: str, record: Path) -> None:
    (record / "first").write_text('{"kind": "List", "items": []}')
    kubectl().lists([stored_objects(kind, "owner=helm,status!=superseded")], "store")
    (call,) = calls(record)
    asked = urlsplit(call.partition("--raw=")[2])
    assert asked.path == f"/api/v1/namespaces/store/{kind}"
    query = parse_qs(asked.query)
    assert query["labelSelector"] == ["owner=helm,status!=superseded"]
    assert query.get("fieldSelector") == (["type=helm.sh/release.v1"] if kind == "secrets" else None)


@pytest.mark.parametrize("name", ["web; reboot", "$(reboot)", "-x", "Web", "web\n", ""])
def test_a_forged_name_is_not_read(name: str) -> None:
    """Messages advise commands with it."""
    read = decoded([stored_object("Secret", encoded({**RELEASE, "name": name}))])
    assert not read.found and len(read.unread) == 1
