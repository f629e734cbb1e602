"""Results for programs: -o json and -o yaml."""

from __future__ import annotations

from typing import Any

from helmpin.output import COMMAND, CONTROL, as_json, one_line


def as_yaml(data: Any) -> str:
    """YAML in block style, keys in their order, no line broken: Helm reads every string back as it was, and what `as_json`
    escapes is escaped too."""
    import yaml

    class Dumper(yaml.CSafeDumper):
        """Puts a string in double quotes unless every YAML reader takes it for that string without them."""

    def represent(_: Any, text: str) -> yaml.ScalarNode:
        return yaml.ScalarNode("tag:yaml.org,2002:str", text, style=None if _is_plain(text) else '"')

    Dumper.add_representer(str, represent)
    text = yaml.dump(
        data, Dumper=Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=1 << 20
    ).rstrip("\n")
    text = CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return COMMAND.sub(r"#\\x23", text)


def _is_plain(text: str) -> bool:
    from helmpin import kube_yaml

    return one_line(text) == text and isinstance(kube_yaml.plain(text), str)


def show(data: Any, form: str) -> None:
    """Print data as json or yaml on standard output."""
    print(as_json(data) if form == "json" else as_yaml(data))
