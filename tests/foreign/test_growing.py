"""A log that another tool still writes is followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.test_growing import seen
from tests.engine import process as p
from tests.foreign.files import event_file, history, scalar, tfrecord, wandb_log
from tests.ui.pty_terminal import PtyTerminal
from tui_trainer.cli.comparing import Compared
from tui_trainer.client.growing import GrowingReplay
from tui_trainer.client.replay import Moment
from tui_trainer.foreign.places import Place, find_run
from tui_trainer.foreign.run import Growing, open_run

PROGRESS = "time/total_timesteps,rollout/ep_rew_mean,time/time_elapsed\n"


def place(path: Path) -> Place:
    found = find_run(path)
    assert found is not None
    return found


def rows(first: int, end: int) -> str:
    return "".join(f"{64 * n},{n}.0,{n}\n" for n in range(first, end))


def tensorboard(path: Path, end: int) -> None:
    half = tfrecord(scalar("charts/episodic_return", 1.0, 1))[:9]
    event_file(path, [scalar("charts/episodic_return", n, 64 * n) for n in range(1, end)])
    with (path / "events.out.tfevents.1.host").open("ab") as file:
        file.write(half)  # as a writer leaves it whose buffer was full


def progress(path: Path, end: int) -> None:
    path.mkdir(exist_ok=True)
    (path / "progress.csv").write_text(PROGRESS + rows(1, end) + "640")


def wandb(path: Path, end: int) -> None:
    path.mkdir(exist_ok=True)
    records = [history({"global_step": 64 * n, "charts/episodic_return": n}) for n in range(1, end)]
    (path / "run-a.wandb").write_bytes(wandb_log(records))


@pytest.mark.parametrize("write", [tensorboard, progress, wandb])
async def test_what_is_added_is_shown_to_whoever_stands_at_the_end(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path / "run", 4)
    run = open_run(place(tmp_path / "run"))
    source = GrowingReplay(run.name, run.events, Growing(run.place), at=Moment("end"), every_s=0.0)
    write(tmp_path / "run", 9)
    state = await seen(source, lambda state: state.global_step == 8 * 64)
    assert state.metrics["rollout/ep_rew_mean"] == 8.0


def test_a_comparison_reads_again_what_has_grown_and_nothing_else(tmp_path: Path) -> None:
    tensorboard(tmp_path / "run", 4)
    compared = Compared(open_run(place(tmp_path / "run")))
    before = compared.opened()
    assert not compared.has_grown()
    assert compared.opened() is before
    tensorboard(tmp_path / "run", 9)
    assert compared.has_grown()
    again = compared.opened()
    assert not compared.has_grown()
    assert again.state().global_step == 8 * 64  # type: ignore[union-attr]


def test_a_file_that_is_gone_or_empty_meanwhile_changes_nothing(tmp_path: Path) -> None:
    tensorboard(tmp_path / "run", 4)
    growing = Growing(place(tmp_path / "run"))
    assert growing() is None
    event_file(tmp_path / "run", [])
    assert growing() is None
    (tmp_path / "run" / "events.out.tfevents.1.host").unlink()
    assert growing() is None
    tensorboard(tmp_path / "run", 9)
    assert growing() is not None


@pytest.mark.long
def test_attach_on_such_a_path_shows_it_growing_and_leaves(tmp_path: Path) -> None:
    progress(tmp_path / "run", 4)
    app = PtyTerminal(p.command("attach", str(tmp_path / "run")), 120, 40, p.overrides(tmp_path))
    try:
        app.wait_for(b"192")
        progress(tmp_path / "run", 9)
        app.wait_for(b"512")
        app.key(b"q")
        assert app.exit_code() == 0
    finally:
        app.close()
