"""The JSON Schema of .helm-pin.yaml, made from the table of options."""

from __future__ import annotations

from typing import Any

from helmpin.command_table import COMMANDS, Option
from helmpin.config.file import NAMED_ONLY
from helmpin.config.rules import DAY
from helmpin.image.platforms import NODES, PLATFORM

_PLATFORM = rf"\s*({NODES}|{PLATFORM})\s*"
_PATTERNS = {
    "platform": f"^{_PLATFORM}(,{_PLATFORM})*$",
    "registry-mirror": "^[^/=]+=(?!.*[@ ?#]).+$",
    "registry-plain-http": "^[^/]+$",
}
"""The form of each text of a list."""
_CERT_AND_KEY = ("registry-client-cert", "registry-client-key")
_DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$|^[0-9]+(\.[0-9]+)?$"


def _texts(pattern: str = "") -> dict[str, Any]:
    """A text, or a list of texts, all of one form."""
    text = {"type": "string", **({"pattern": pattern} if pattern else {})}
    return {"oneOf": [text, {"type": "array", "items": text}]}


_EXEMPTION = {
    "type": "object",
    "description": "images that may stay without a digest, for a reason and until the end of a day (UTC)",
    "properties": {
        "image": {"type": "string", "pattern": "\\S"},
        "reason": {"type": "string", "pattern": "\\S"},
        "until": {"type": "string", "pattern": f"^{DAY}$", "format": "date"},
    },
    "required": ["image", "reason", "until"],
    "additionalProperties": False,
}
_RULES = {
    "type": "array",
    "description": "what applies to the images of some registries or repositories; the first rule that matches an image counts",
    "items": {
        "type": "object",
        "properties": {
            "match": {"type": "string", "minLength": 1, "description": "a glob for a registry, or registry/repository"},
            "mutable": {"enum": ["pin", "refuse"]},
            "mutable-tag": {**_texts(), "description": "tags that are mutable here too"},
            "fixed-tag": {**_texts(), "description": "tags that are not mutable here"},
        },
        "required": ["match"],
        "additionalProperties": False,
    },
}


def schema() -> dict[str, Any]:
    """The schema, by draft 2020-12 of JSON Schema."""
    options = {o.name: o for command in COMMANDS.values() for o in command.options if o.setting and o.in_file}
    properties = {name.removeprefix("--"): _property(option) for name, option in sorted(options.items())}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": ".helm-pin.yaml",
        "type": ["object", "null"],
        "properties": {**properties, "rules": _RULES},
        "dependentRequired": {one: [other] for one, other in (_CERT_AND_KEY, _CERT_AND_KEY[::-1])},
        "additionalProperties": False,
    }


def _property(option: Option) -> dict[str, Any]:
    name = option.name.removeprefix("--")
    about = option.help.removesuffix(" (repeatable)")
    if name in NAMED_ONLY:
        about += "; only in a file that --config or HELM_PIN_CONFIG names"
    if name == "allow-unpinned":
        item = {"oneOf": [{"type": "string"}, _EXEMPTION]}
        return {"description": about, "oneOf": [{"type": "string"}, {"type": "array", "items": item}]}
    if option.kind == "list":
        return {"description": about, **_texts(_PATTERNS.get(name, ""))}
    if option.kind == "switch":
        return {"description": about, "type": "boolean"}
    if option.choices:
        return {"description": about, "enum": list(option.choices)}
    if name == "registry-timeout":
        return {"description": about, "type": ["string", "number"], "pattern": _DURATION, "exclusiveMinimum": 0}
    return {"description": about, "type": "string", "minLength": 1}
