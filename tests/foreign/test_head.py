"""A long run is shown by its beginning, and read on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.foreign.test_growing import place, progress, tensorboard, wandb
from tui_trainer.core.events import AnyEvent, LogWritten, RunStarted, UpdateFinished
from tui_trainer.errors import DamagedSession
from tui_trainer.foreign import head
from tui_trainer.foreign.run import Growing, open_run, open_soon, read_run

ROWS = 200


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "HEAD", 1200)
    monkeypatch.setattr(head, "LONG", 2400)


def monitors(path: Path, end: int) -> None:
    path.mkdir()
    rows = "".join(f"{n}.0,64,{n}.5\n" for n in range(1, end))
    for env in range(2):
        (path / f"{env}.monitor.csv").write_text('#{"t_start": 100.0, "env_id": "CartPole-v1"}\nr,l,t\n' + rows)


def figures(events: Sequence[AnyEvent]) -> list[tuple[int, object]]:
    return [(e.global_step, e.metrics) for e in events if isinstance(e, UpdateFinished)]


@pytest.mark.parametrize("write", [tensorboard, progress, wandb, monitors])
def test_of_a_long_run_the_beginning_is_opened_and_then_all_of_it(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path / "run", ROWS)
    found, whole = place(tmp_path / "run"), open_run(place(tmp_path / "run"))
    soon = open_soon(found)
    first = figures(soon.events)
    assert 5 < len(first) < len(figures(whole.events))
    assert first == figures(whole.events)[: len(first)]
    assert soon.share == pytest.approx(1200 / sum(size for size, _ in found.stamp()))
    assert soon.problems == ()
    assert not any(isinstance(event, LogWritten) for event in soon.events)
    started = soon.events[0]
    assert isinstance(started, RunStarted)
    assert started.notes == whole.events[0].notes  # type: ignore[union-attr]
    growing = Growing(found, is_whole=False)
    assert growing() == whole.events
    assert growing.problems == whole.problems
    assert growing() is None


def test_a_short_run_is_opened_whole(tmp_path: Path) -> None:
    progress(tmp_path / "run", 9)
    assert open_soon(place(tmp_path / "run")) == open_run(place(tmp_path / "run"))


def test_a_long_run_whose_beginning_holds_no_figure_is_opened_whole_or_refused(tmp_path: Path) -> None:
    progress(tmp_path / "run", ROWS)
    path = tmp_path / "run" / "progress.csv"
    path.write_text(path.read_text().replace("\n", "\n" + "words,and,more\n" * 100, 1))
    run = open_soon(place(tmp_path / "run"))
    assert (run.share, len(figures(run.events))) == (1.0, ROWS - 1)
    path.write_text("words,and,more\n" * 1000)
    with pytest.raises(DamagedSession):
        open_soon(place(tmp_path / "run"))


def test_reading_on_ends_when_nobody_waits_any_more(tmp_path: Path) -> None:
    tensorboard(tmp_path / "run", ROWS)
    growing = Growing(place(tmp_path / "run"), is_whole=False)
    growing.stop()
    assert growing() is None
    assert not read_run(place(tmp_path / "run"), goes_on=lambda: False).has_figures


def test_a_long_run_that_vanishes_before_it_is_read_says_so(tmp_path: Path) -> None:
    progress(tmp_path / "run", ROWS)
    growing = Growing(place(tmp_path / "run"), is_whole=False)
    (tmp_path / "run" / "progress.csv").unlink()
    assert growing() is None
    assert "cannot be read any more" in growing.problems[-1]
