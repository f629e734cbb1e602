"""Charts for tests, made by a real helm."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from helmpin.helm import Helm


@cache
def _created(helm: str, name: str) -> dict[str, bytes | None]:
    """The files that `helm create` makes, and its folders, which have no content."""
    with TemporaryDirectory() as folder:
        subprocess.run([helm, "create", name], cwd=folder, check=True, capture_output=True)
        made = sorted(Path(folder).rglob("*"))
        return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in made}


class MakeChart:
    """Charts as `helm create` makes them; `package` packs with `helm package`."""

    def __init__(self, helm: Helm, directory: Path) -> None:
        self._helm, self._directory = helm, directory
        directory.mkdir()

    def __call__(self, name: str, **metadata: str) -> Path:
        """A chart directory; `metadata` goes to the end of its Chart.yaml."""
        for path, content in _created(self._helm.binary, name).items():
            if content is None:
                (self._directory / path).mkdir(exist_ok=True)
            else:
                (self._directory / path).write_bytes(content)
        with (self._directory / name / "Chart.yaml").open("a") as file:
            file.writelines(f"{key}: {value}\n" for key, value in metadata.items())
        return self._directory / name

    def package(self, chart: Path, destination: Path, version: str = "0.1.0") -> Path:
        """Its archive, in `destination`."""
        destination.mkdir(exist_ok=True)
        self._helm.run(["package", str(chart), "--destination", str(destination), "--version", version])
        return destination / f"{chart.name}-{version}.tgz"


def write_chart(folder: Path, template: str, values: str = "") -> Path:
    """A chart of one template."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {folder.name}\nversion: 1.0.0\n")
    (folder / "values.yaml").write_text(values)
    (folder / "templates/all.yaml").write_text(template)
    return folder
