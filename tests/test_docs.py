"""What the documentation says is so: reference made from the code, links that lead somewhere, commands that parse."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import typer

from tui_trainer.cli.main import app
from tui_trainer.core.config import known_keys
from tui_trainer.sessions.configs import preset_names
from tui_trainer.tasks import TASKS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def script(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_says() -> None:
    maker = script("docs/make_reference.py")
    written = (ROOT / "docs/reference.md").read_text()
    assert written == re.sub(r"\n{3,}", "\n\n", maker.page()), "run make reference"


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith(("http", "#", "mailto:")):
            assert (page.parent / target.partition("#")[0]).exists(), target


def commands(page: Path) -> list[list[str]]:
    """Every `tui-trainer ...` of the page: lines of code blocks, and inline code without capitals for a name."""
    text = page.read_text()
    blocks = re.findall(r"^```(?:sh|console)?\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    inline = re.findall(r"`(tui-trainer [^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    found = [line for line in [*lines, *inline] if line.startswith("tui-trainer ")]
    return [shlex.split(line.partition(" > ")[0], comments=True) for line in found if "..." not in line]


@each_page
def test_commands_parse(page: Path) -> None:
    if page.name in ("reference.md", "keys.md"):
        pytest.skip("made from the code")
    for words in commands(page):
        command, context = typer.main.get_command(app), None
        rest = words[1:]
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest.pop(0)]  # type: ignore[attr-defined]
        if "--help" in rest or "-h" in rest or "--version" in rest:
            continue
        rest = ["7" if word == "N" else word for word in rest]
        context = command.make_context(" ".join(words), rest)
        assert context is not None
        home = len(words) == 1 or words[1].startswith("--")
        assert home or not hasattr(command, "commands"), words


@each_page
def test_settings_that_are_named_exist(page: Path) -> None:
    if page.name == "reference.md":
        pytest.skip("made from the code")
    tables = {key.partition(".")[0] for key in known_keys()}
    known = set(known_keys())
    parents = {key[: match.start()] for key in known for match in re.finditer(r"\.", key)}
    for word in re.findall(r"`(?:--set )?([a-z]+(?:\.[a-z_]+)+)(?:=[^`]*)?`", page.read_text()):
        if word.partition(".")[0] in tables - {"task"}:
            assert word in known | parents, word


@each_page
def test_nothing_names_this_machine(page: Path) -> None:
    assert not re.search(r"/(work|home|root|tmp/pytest)/", page.read_text())


def test_every_task_has_a_page_and_every_preset_is_named() -> None:
    names = {path.stem for path in (ROOT / "docs/tasks").glob("*.md")}
    assert names == {task.rstrip(":") for task in TASKS}
    text = "".join(page.read_text() for page in PAGES)
    assert [name for name in preset_names() if f"`{name}`" not in text] == []
