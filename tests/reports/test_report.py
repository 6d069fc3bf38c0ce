"""A report tells what the session was, in Markdown with pictures or in one file, whatever its names hold."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from tests.cli.conftest import Run, root, tui
from tests.core.history import Tale
from tui_trainer.core.events import AlertRaised, EvaluationFinished, ResourcesSampled, RunStarted, UpdateFinished
from tui_trainer.core.state import fold
from tui_trainer.core.values import Resources
from tui_trainer.errors import StorageError
from tui_trainer.reports.blocks import Table, html_page, markdown, md
from tui_trainer.reports.facts import Facts, differing
from tui_trainer.reports.page import blocks
from tui_trainer.reports.writing import write_report

__all__ = ["root", "tui"]

HOSTILE = "<script>alert(1)</script>|[x](javascript:y)`$\\frac$_"
SAMPLE = Path(__file__).parents[2] / "sessions/sample"


def facts(name: str = "demo") -> Facts:
    tale = Tale().start(max_updates=40)
    for number in range(1, 5):
        tale.train(10).evaluate(number / 10).save(number)
    return Facts(name, fold(tale.end().events), {"ppo": {"gamma": 0.9, "n_epochs": 4}}, "ended")


def hostile() -> Facts:
    """Every name a stranger could choose holds markup."""
    plain = facts(HOSTILE)
    events = []
    for event in [plain.state.started, *plain.state.evaluations, *(Tale().train(3).events)]:
        match event:
            case RunStarted():
                events.append(msgspec.structs.replace(event, task=HOSTILE, metric=HOSTILE, seq=1))
            case EvaluationFinished(result=result):
                by = {HOSTILE: result.by["random"], "_hidden": result.by["random"]}
                events.append(msgspec.structs.replace(event, result=msgspec.structs.replace(result, by=by)))
            case UpdateFinished():
                events.append(msgspec.structs.replace(event, metrics={f"train/{HOSTILE}": 1.0}, seq=90))
    return Facts(HOSTILE, fold(events), {"run": {"task": HOSTILE}}, "ended")


def test_it_tells_the_machine_the_alerts_and_the_score_of_each_part() -> None:
    tale = Tale().start().train(2).evaluate(0.25)
    for load in (40.0, 60.0):
        machine = Resources(
            cpu_percent=load, process_cpu_percent=1, memory_used_gib=1, memory_total_gib=2, process_rss_gib=1,
            disk_free_gib=9, cores=2,
        )  # fmt: skip
        tale.add(ResourcesSampled(resources=machine))
    tale.add(AlertRaised(key="disk", severity="warning", text="disk almost full"))
    page = markdown(blocks(Facts("demo", fold(tale.events)), {}))
    assert "| cpu\\_percent | 50 | 60 |" in page
    assert "| 2 | disk almost full |" in page
    assert "| reference | random | 25.0 % |" in page


class Tags(HTMLParser):
    """Names of the elements, and their sources."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.sources += [value or "" for key, value in attrs if key in ("src", "href")]


def test_a_report_is_markdown_beside_pictures_in_both_forms(tmp_path: Path) -> None:
    files = write_report(facts(), tmp_path)
    assert {file.name for file in files} == {
        "report.md", "evaluation.svg", "evaluation.png",
        "training.svg", "training.png", "resources.svg", "resources.png",
    }  # fmt: skip
    text = files[0].read_text()
    assert "(evaluation.svg)" in text
    assert "| state | ended |" in text
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(tmp_path / "training.svg").getroot().tag.endswith("svg")


def test_the_evaluation_picture_names_each_part(tmp_path: Path) -> None:
    write_report(facts(), tmp_path)
    words = "".join(ElementTree.parse(tmp_path / "evaluation.svg").getroot().itertext())
    assert "random" in words
    assert "1-ply" in words


def test_one_html_file_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    (file,) = write_report(facts(), tmp_path, html=True)
    tags = Tags()
    tags.feed(file.read_text())
    assert len(tags.sources) == 3
    assert all(source.startswith("data:image/svg+xml;base64,") for source in tags.sources)


def test_hostile_names_are_text_in_html(tmp_path: Path) -> None:
    (file,) = write_report(hostile(), tmp_path, html=True)
    tags = Tags()
    tags.feed(file.read_text())
    assert "script" not in tags.names
    assert "a" not in tags.names


def test_hostile_names_are_text_in_markdown_and_in_pictures(tmp_path: Path) -> None:
    files = write_report(hostile(), tmp_path)
    text = files[0].read_text()
    assert "<script" not in text
    assert "[x]" not in text
    svg = ElementTree.parse(tmp_path / "evaluation.svg").getroot()
    assert HOSTILE in "".join(svg.itertext())
    assert not [node for node in svg.iter() if node.tag.endswith("script")]


def test_a_cell_cannot_end_its_row_or_column() -> None:
    table = markdown([Table(("a", "b"), (("x | y\n| z", "w"),))])
    assert table.splitlines()[2] == "| x \\| y \\| z | w |"


@pytest.mark.parametrize("text", ["0.8583", "1,000 of 1,000", "minimax-2", "checkpoints/12-u850"])
def test_numbers_and_names_stay_readable_in_markdown(text: str) -> None:
    assert md(text) == text


def test_an_empty_session_has_a_report_without_pictures(tmp_path: Path) -> None:
    (file,) = write_report(Facts("new", fold([])), tmp_path)
    assert "None." in file.read_text().replace("\\", "")


def test_only_settings_that_differ_are_listed() -> None:
    assert [(s.key, s.value) for s in differing({"ppo": {"gamma": 0.9, "n_epochs": 4}})] == [("ppo.gamma", "0.9")]


def test_a_directory_that_cannot_be_written_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="--out"):
        write_report(facts(), tmp_path / "file")


def test_pictures_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    write_report(facts(), tmp_path / "a")
    write_report(facts(), tmp_path / "b")
    assert (tmp_path / "a/evaluation.svg").read_bytes() == (tmp_path / "b/evaluation.svg").read_bytes()


def test_an_html_page_says_its_session_in_its_title() -> None:
    from tui_trainer.reports.blocks import Heading

    assert "<title>a &lt;b&gt;</title>" in html_page([Heading("a <b>", 1)], {})


# --- the command ---


def test_the_command_writes_the_sample_and_says_where(tui: Run, tmp_path: Path) -> None:
    done = tui("report", str(SAMPLE), "--out", str(tmp_path / "out"))
    assert done.code == 0
    assert done.out.splitlines()[0] == str(tmp_path / "out/report.md")


def test_without_matplotlib_the_command_names_the_extra_and_writes_nothing(tmp_path: Path) -> None:
    words = ["report", str(SAMPLE), "--out", str(tmp_path / "out")]
    code = (
        "import sys; sys.modules['matplotlib'] = None; from tui_trainer.cli.main import execute;"
        f"sys.exit(execute({words}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "tui-trainer[report]" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_report_loads_no_torch_and_no_textual(tmp_path: Path) -> None:
    words = ["report", str(SAMPLE), "--html", "--out", str(tmp_path)]
    code = (
        f"import sys; from tui_trainer.cli.main import execute; code = execute({words});"
        "sys.exit(code or ('torch' in sys.modules) or ('textual' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
