"""The documents say what is: the command reference, the messages that they explain, and their links."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support import documents, messages

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").rglob("*.md")])


def test_what_is_generated_is_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "docs", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def explained() -> list[str]:
    """The messages of docs/troubleshooting.md: all that its headings quote, except those of Helm itself."""
    headings = re.findall(r"(?m)^### (`.+)$", (ROOT / "docs/troubleshooting.md").read_text())
    return [message for heading in headings for message in re.findall(r"`([^`]+)`", heading)]


@pytest.fixture(scope="module")
def source() -> str:
    """All of the code's words: string literals that are broken over lines are joined, and what is filled in is taken out."""
    files = [*(ROOT / "helmpin").rglob("*.py"), ROOT / "bin/helm-pin", ROOT / "install-binary.sh"]
    text = "\n".join(path.read_text() for path in files).replace("{FILE}", ".helm-pin.yaml")
    return re.sub(r'"\s*\n\s*f?"', "", text)


@pytest.mark.parametrize("message", explained())
def test_a_message_that_is_explained_exists(message: str, source: str) -> None:
    parts = [part.strip() for part in re.split(r"…", message) if part.strip(" ,")]
    assert parts
    for part in parts:
        assert part in source, f"no message has {part!r}"


SAYS_IT_ALL = {
    r" (takes|must|requires?|excludes?|needs an argument|needs the one|does not know)\b": "it says what the flag or setting wants",
    r" has no (value|effect)\b| exclude each other$": "it says which flag or setting to leave out",
    r" asks registries, and --| cannot be used with --| compares with a release": "it says which flags clash",
    r"is for --lock alone|cannot both read": "it says which flags clash",
    r"^(expected|mutable|not a duration|invalid argument|REVISION is|unknown key in a rule)": "it says what was wanted",
    r"^(cannot set --generate-name|unknown command|a name cannot|… is empty$)": "it names the word of the command line",
    r"^(a required command (cannot be read|is empty)|a lock from a release is)": "`next` or the line itself has the right form",
    r"^(invalid registry mirror URL|--fix cannot write to)": "`next` has the right form",
}
"""First lines of usage errors to which an explanation could add nothing, and why."""


def test_a_message_that_is_raised_is_explained() -> None:
    patterns = [".*".join(map(re.escape, message.split("…"))) for message in explained()]
    alone = [
        each
        for each in messages.raised()
        if not any(re.search(pattern, text) for pattern in patterns for text in (each.text, each.text.replace("…", "")))
    ]
    unexplained = [
        each
        for each in alone
        if each.kind != "UsageError" or not any(re.search(says, each.text) for says in SAYS_IT_ALL)
    ]
    assert [f"{each.place}: {each.text}" for each in unexplained] == []
    for says in SAYS_IT_ALL:
        assert any(re.search(says, each.text) for each in alone), says


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_every_document_is_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    missing = [path.name for path in (ROOT / "docs").glob("*.md") if f"docs/{path.name}" not in readme]
    assert not missing


BLOCKS = [
    pytest.param(block, id=f"{block.document}:{block.line}")
    for path in documents.documents()
    for block in documents.blocks(path)
]
PROGRAMS = "helm|kubectl|helmfile|python3?|pip|pipx|docker|git|cosign|curl"
A_COMMAND = re.compile(rf"(?m)^\s*(\$ |({PROGRAMS}) \S|(\./)?scripts/\w+( |$))")


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_is_run_or_marked(block: documents.Block) -> None:
    """tests/e2e/test_recipes.py runs every block of commands that has no mark."""
    assert block.language in documents.COMMANDS | documents.BESIDE_COMMANDS, "a fence names what is in it"
    if block.language == "json":
        assert json.loads(block.text)
    elif block.language == "yaml":
        assert yaml.safe_load(block.text)
    elif block.language == "hcl":
        assert block.marked == "not run"
    elif block.language == "text":
        assert not A_COMMAND.search(block.text), "commands are a block of sh or console"
    else:
        assert documents.steps(block), "there is nothing to run"


def test_every_mark_is_at_a_block() -> None:
    marks = sum(len(re.findall("(?m)^<!-- (?:not run|run by):", path.read_text())) for path in DOCUMENTS)
    assert marks == sum(bool(case.values[0].marked) for case in BLOCKS)


@pytest.mark.parametrize("block", [case for case in BLOCKS if case.values[0].marked])
def test_the_test_that_a_mark_names_is_there(block: documents.Block) -> None:
    for name in re.findall(r"tests/\S+\.py", block.reason):
        assert (ROOT / name).is_file()
    if block.marked == "run by":
        assert f'"{block.document}"' in (ROOT / block.reason).read_text()


def test_an_indented_block_is_no_way_out() -> None:
    for path in documents.documents():
        assert not re.search(r"\n\n {4}(?:\$ |helm )", path.read_text()), path


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ("a   sha256:%s\nset 0123456789ab\n" % ("1" * 12), True),
        ("a sha256:%s\nanything\n\nset 0123456789ab\n" % ("1" * 64), True),
        ("a sha256:%s\nset none\n" % ("1" * 64), False),
        ("b sha256:%s\nset 0123456789ab\n" % ("1" * 64), False),
    ],
)
def test_what_is_compared_of_a_transcript(printed: str, same: bool) -> None:
    assert documents.alike(printed, f"a sha256:{'2' * 12}\n…\nset ba9876543210\n") is same
