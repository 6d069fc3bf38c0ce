"""A sink may be slow, broken or missing: the run hears one line about it and goes on."""

from __future__ import annotations

import threading
import time

from tui_trainer.core.events import AnyEvent, LogWritten, RunPaused, stamp
from tui_trainer.services import outlet as module
from tui_trainer.services.outlet import Outlet

WANTED = (LogWritten,)


def line(number: int) -> LogWritten:
    return stamp(LogWritten(level="info", text=str(number)), seq=number, time=0.0, update=0, global_step=0)


class Kept:
    """Keeps what it is given; waits for `gate` before each event, and raises where told to."""

    def __init__(self, *, fails: bool = False, gate: threading.Event | None = None) -> None:
        self.got: list[str] = []
        self.closed = 0
        self.fails = fails
        self.gate = gate

    def take(self, event: AnyEvent) -> None:
        if self.gate:
            self.gate.wait(60)
        assert isinstance(event, LogWritten)
        self.got.append(event.text)
        if self.fails:
            raise ConnectionError("nobody there\x1b[2J")

    def close(self) -> None:
        self.closed += 1


def outlet(sink: Kept, told: list[str]) -> Outlet:
    return Outlet("sink", lambda: sink, WANTED, told.append)


def test_a_sink_gets_what_it_wants_in_order_and_is_closed() -> None:
    sink, told = Kept(), []
    out = outlet(sink, told)
    for number in range(50):
        out.hear(line(number), b"")
        out.hear(RunPaused(by="user", why=""), b"")
    out.close(60)
    assert sink.got == [str(number) for number in range(50)]
    assert (sink.closed, told) == (1, [])


def test_a_sink_that_fails_every_time_is_told_once_and_tried_again() -> None:
    sink, told = Kept(fails=True), []
    out = outlet(sink, told)
    for number in range(3):
        out.hear(line(number), b"")
    out.close(60)
    assert len(sink.got) == 3
    assert told == ["sink failed, training goes on: ConnectionError: nobody there·[2J"]


def test_a_sink_that_cannot_be_opened_is_told_once() -> None:
    told: list[str] = []

    def missing() -> Kept:
        raise ModuleNotFoundError("No module named 'wandb'")

    out = Outlet("sink", missing, WANTED, told.append)
    out.hear(line(1), b"")
    out.hear(line(2), b"")
    out.close(60)
    assert told == ["sink failed, training goes on: ModuleNotFoundError: No module named 'wandb'"]


def test_hearing_never_waits_and_a_slow_sink_misses_events_rather_than_filling_memory() -> None:
    gate = threading.Event()
    sink, told = Kept(gate=gate), []
    out = outlet(sink, told)
    for number in range(module.MOST_WAITING + 100):
        out.hear(line(number), b"")
    assert len(sink.got) == 0, "it heard them all while the sink had not done with the first"
    gate.set()
    out.close(60)
    assert module.MOST_WAITING <= len(sink.got) <= module.MOST_WAITING + 1
    assert told == ["sink is slower than the run and misses events"]


def test_closing_does_not_wait_for_ever() -> None:
    gate = threading.Event()
    sink, told = Kept(gate=gate), []
    out = outlet(sink, told)
    out.hear(line(1), b"")
    began = time.monotonic()
    out.close(0.1)
    assert time.monotonic() - began < 30
    assert told == ["sink was not done 0.1 s after the end"]
    gate.set()


def test_what_was_never_needed_is_never_opened() -> None:
    opened: list[int] = []
    out = Outlet("sink", lambda: opened.append(1) or Kept(), WANTED, lambda text: None)
    out.hear(RunPaused(by="user", why=""), b"")
    out.close(60)
    assert opened == []
