"""`close` from anywhere: another thread, a signal's handler, a function of the script's own; once or more often."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.guests.loops import commands, kinds, make, ordered, status, steps, told
from tui_trainer.client.orders import new_id, order
from tui_trainer.core.state import fold
from tui_trainer.guests import Guest
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.journal import read_journal
from tui_trainer.sessions.store import Session

WITHIN_S = 30.0
"""Of any wait here: far more than it needs, far less than forever."""


class Loop:
    """A script's loop on a thread of its own, until the recording is over; `died` is what it raised."""

    def __init__(self, run: Guest) -> None:
        self._run = run
        self.died: BaseException | None = None
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()

    def _main(self) -> None:
        try:
            step = 0
            while self._run.name:
                step += 10
                self._run.log(step, {"train/loss": 1.0 / step})
                time.sleep(0.001)
        except BaseException as error:
            self.died = error


@contextlib.contextmanager
def looping(run: Guest) -> Iterator[Loop]:
    """The loop; afterwards it is over, by itself."""
    run.open()
    loop = Loop(run)
    yield loop
    loop.thread.join(WITHIN_S)
    assert not loop.thread.is_alive()
    assert loop.died is None


def paused(root: Path) -> None:
    order(root / "a", commands.Pause(id=new_id()))


def ended_once(root: Path) -> bool:
    is_free = Session.open(root / "a").owner() is None
    return kinds(root).count("RunEnded") == 1 and status(root).termination_reason == "finished" and is_free


def test_closed_by_another_thread_a_paused_run_ends_with_all_that_was_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make(tmp_path)
    with looping(run):
        run.checkpoint(lambda: b"weights")
        paused(tmp_path)
        run.log(10**6, {"val/last": 0.5})
        run.evaluated([1.0, 3.0])
        run.close()
        assert run.name == ""
    end = fold(read_journal(tmp_path / "a" / "events.jsonl").events)
    assert ended_once(tmp_path)
    assert end.global_step >= 10**6  # the loop may log once more before the end
    assert (end.metrics["val/last"], end.evaluations[-1].result.value) == (0.5, 2.0)
    assert CheckpointStore(tmp_path / "a").manifests()[0].global_step == end.global_step
    assert "goes on alone" not in capsys.readouterr().err


def test_many_threads_close_a_paused_run_once(tmp_path: Path) -> None:
    run = make(tmp_path)
    with looping(run):
        paused(tmp_path)
        closers = [threading.Thread(target=run.close) for _ in range(4)]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join(WITHIN_S)
        assert run.name == ""
    assert ended_once(tmp_path)


@contextlib.contextmanager
def on_alarm(handler: Callable[[], object]) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, lambda *_: handler())
    yield
    signal.signal(signal.SIGALRM, before)


def test_closed_by_a_signals_handler_a_pause_is_left_at_once(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.open()

    def pause_and_knock() -> None:
        paused(tmp_path)
        os.kill(os.getpid(), signal.SIGALRM)

    with on_alarm(lambda: (run.close(), run.close())):
        other = threading.Thread(target=pause_and_knock)
        other.start()
        step = 0
        while run.name:
            step += 10
            run.log(step, {"train/loss": 1.0 / step})
        other.join()
    assert ended_once(tmp_path)
    assert status(tmp_path).global_step == step


def test_signals_that_close_at_any_moment_of_the_loop_lose_nothing(tmp_path: Path) -> None:
    for number in range(8):
        run = make(tmp_path, f"r{number}")
        run.open()
        run.checkpoint(lambda: {"z": 1})
        closes = run.close
        with on_alarm(closes):
            signal.setitimer(signal.ITIMER_REAL, 0.002 + 0.006 * number)
            step = 0
            while run.name:
                step += 1
                run.log(step, {"z": step})
                run.meet()
        found = status(tmp_path, f"r{number}")
        assert (found.termination_reason, found.exit_code) == ("finished", 0)
        assert step - 1 <= found.global_step <= step
        assert CheckpointStore(tmp_path / f"r{number}").manifests()[0].kind == "final"


class Slow:
    """A state_fn that takes until it is let go."""

    def __init__(self) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()

    def __call__(self) -> dict[str, int]:
        self.began.set()
        assert self.may_end.wait(WITHIN_S)
        return {"z": 1}


def saving(run: Guest, root: Path) -> Slow:
    """Where the loop's thread is in the script's own state_fn, for a checkpoint."""
    slow = Slow()
    run.checkpoint(slow)
    saver = threading.Thread(target=order, args=(root / "a", commands.SaveCheckpoint(id=new_id())), daemon=True)
    saver.start()
    assert slow.began.wait(WITHIN_S)
    return slow


def test_closed_during_a_checkpoint_the_save_comes_first(tmp_path: Path) -> None:
    run = make(tmp_path)
    with looping(run):
        slow = saving(run, tmp_path)
        closer = threading.Thread(target=run.close)
        closer.start()
        assert run.name
        slow.may_end.set()
        closer.join(WITHIN_S)
        assert run.name == ""
    assert ended_once(tmp_path)
    assert [m.kind for m in CheckpointStore(tmp_path / "a").manifests()] == ["final", "manual"]


def test_a_close_that_has_waited_long_leaves_the_end_to_the_thread_that_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["tui_trainer.guests.guest"], "CLOSE_S", 0.05)
    run = make(tmp_path)
    with looping(run):
        slow = saving(run, tmp_path)
        run.close()
        assert run.name
        assert "RunEnded" not in kinds(tmp_path)
        slow.may_end.set()
    assert ended_once(tmp_path)
    assert [m.kind for m in CheckpointStore(tmp_path / "a").manifests()] == ["final", "manual"]


@pytest.mark.parametrize("where", ["state_fn", "on_set"])
def test_closed_by_the_scripts_own_function_an_order_is_met_before_the_end(tmp_path: Path, where: str) -> None:
    run = make(tmp_path, config={"learning_rate": 0.1})
    run.open()

    def taken() -> bytes:
        if where == "state_fn":
            run.close()
        return b"weights"

    def take(value: float) -> None:
        if where == "on_set":
            run.close()

    run.checkpoint(taken)
    run.on_set("learning_rate", take)
    loop = steps(run)
    next(loop)
    given = {
        "state_fn": lambda id: commands.SaveCheckpoint(id=id),
        "on_set": lambda id: commands.SetSetting(id=id, key="learning_rate", value=0.5),
    }[where]
    ordered(run, tmp_path, given)
    assert run.name == ""
    assert ended_once(tmp_path)
    expected = {"state_fn": ["final", "manual"], "on_set": ["final"]}[where]
    assert [m.kind for m in CheckpointStore(tmp_path / "a").manifests()] == expected
    assert len(told(tmp_path, "SettingChanged")) == (where == "on_set")


def test_a_signal_after_a_close_in_another_thread_means_what_it_would_without_us(tmp_path: Path) -> None:
    def closed_elsewhere(name: str) -> None:
        run = make(tmp_path, name)
        run.open()
        closer = threading.Thread(target=run.close)
        closer.start()
        closer.join(WITHIN_S)

    closed_elsewhere("a")
    child = os.fork()
    if child == 0:
        signal.raise_signal(signal.SIGTERM)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGTERM
    with make(tmp_path, "b") as run:
        signal.raise_signal(signal.SIGTERM)
        assert run.should_stop
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
