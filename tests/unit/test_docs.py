"""The documents say what is: the command reference, the messages that they explain, and their links."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").rglob("*.md")])


def test_what_is_generated_is_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "docs", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def messages() -> list[str]:
    text = (ROOT / "docs/troubleshooting.md").read_text()
    return list(re.findall(r"(?m)^### `(.+)`$", text))


@pytest.fixture(scope="module")
def source() -> str:
    """All of the code's words: string literals that are broken over lines are joined, and what is filled in is taken out."""
    files = [*(ROOT / "helmpin").rglob("*.py"), ROOT / "bin/helm-pin", ROOT / "install-binary.sh"]
    text = "\n".join(path.read_text() for path in files).replace("{FILE}", ".helm-pin.yaml")
    return re.sub(r'"\s*\n\s*f?"', "", text)


@pytest.mark.parametrize("message", messages())
def test_a_message_that_is_explained_exists(message: str, source: str) -> None:
    parts = [part.strip() for part in re.split(r"…", message) if part.strip(" ,")]
    assert parts
    for part in parts:
        assert part in source, f"no message has {part!r}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_every_document_is_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    missing = [path.name for path in (ROOT / "docs").glob("*.md") if f"docs/{path.name}" not in readme]
    assert not missing


FENCED = re.compile(r"(?ms)(?:^(?P<above>[^\n]+)\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$")


@pytest.mark.parametrize("document", ["gitops.md", "promotion.md"])
def test_examples_can_be_read_and_what_is_not_run_is_marked(document: str) -> None:
    """tests/e2e/test_recipes.py runs the blocks of `sh`."""
    text = (ROOT / "docs" / document).read_text()
    found = list(FENCED.finditer(text))
    assert len(found) == text.count("\n```") / 2
    for block in found:
        language, example = block["language"], block["text"]
        if language == "json":
            assert json.loads(example)
        elif language == "yaml":
            assert yaml.safe_load(example)
        elif language != "sh":
            assert (block["above"] or "").startswith("Not run by the tests"), example
