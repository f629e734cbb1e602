"""The name of the release. If helm would generate one, it is generated here, once for all renders and the deployment."""

from __future__ import annotations

import re
import time

from helmpin.arguments import Given, is_on, last
from helmpin.errors import UsageError
from helmpin.helm import Helm
from helmpin.private import Folder, write


def name_release(positionals: list[str], flags: list[Given], helm: Helm) -> tuple[str, str, list[Given]]:
    """(release, chart, flags without those that name the release), by helm's rules (pkg/action/install.go, NameAndChart).

    Raises UsageError for no name, or more than one.
    """
    generate, pattern = is_on(flags, "--generate-name"), last(flags, "--name-template")
    rest = [f for f in flags if f.name not in ("--generate-name", "--name-template")]
    if len(positionals) == 2:
        if generate or pattern:
            raise UsageError("cannot set --generate-name or --name-template and also give a release name")
        return positionals[0], positionals[1], rest
    chart = positionals[0]
    if pattern:
        return _from_template(pattern, helm), chart, rest
    if not generate:
        raise UsageError("must either provide a name or specify --generate-name", hint="helm pin install RELEASE CHART")
    base = chart.rstrip("/").rpartition("/")[2]  # as Go's filepath.Base
    return f"{'chart' if base in ('', '.') else base.partition('.')[0]}-{int(time.time())}", chart, rest


def _from_template(pattern: str, helm: Helm) -> str:
    """Let helm evaluate --name-template, once, with a chart that prints the name."""
    with Folder() as folder:
        chart = folder / "name"
        (chart / "templates").mkdir(parents=True)
        write(chart / "Chart.yaml", "apiVersion: v2\nname: name\nversion: 0.0.0\n")
        template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n"
        write(chart / "templates" / "name.yaml", template)
        text = helm.run(["template", "--name-template", pattern, str(chart)])
    return str(re.findall(r"(?m)^  name: (\S+)$", text)[0])
