"""One sink on a thread of its own: slow or broken, it costs the run a line in the log and nothing else."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Protocol

from tui_trainer.core.events import AnyEvent, Event
from tui_trainer.core.text import clean_line

MOST_WAITING = 2000
"""Events kept for a sink that is slower than the run; later ones are lost to it."""


class Sink(Protocol):
    """Where events go. Called on one thread only; whatever it raises is told once."""

    def take(self, event: AnyEvent) -> None:
        """Deal with one event; may take its time."""
        ...

    def close(self) -> None:
        """The run is over: hand on what is left."""
        ...


class Outlet:
    """Hands the events that are `wanted` to a sink, which is opened with the first of them.

    `complain` gets one line when the sink fails for the first time; it is called from any thread.
    """

    def __init__(
        self,
        name: str,
        open_sink: Callable[[], Sink],
        wanted: tuple[type[Event], ...],
        complain: Callable[[str], None],
    ) -> None:
        self._name = name
        self._open_sink = open_sink
        self._wanted = wanted
        self._complain = complain
        self._told = False
        self._waiting: queue.SimpleQueue[AnyEvent | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def hear(self, event: AnyEvent, line: bytes) -> None:
        """Listener of the publisher: returns at once and never raises."""
        if not isinstance(event, self._wanted):
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put(event)
        else:
            self._report("is slower than the run and misses events")

    def close(self, within_s: float) -> None:
        """Let the sink finish; after `within_s` seconds it is left behind."""
        if self._thread is None:
            return
        self._waiting.put(None)
        self._thread.join(within_s)
        if self._thread.is_alive():
            self._report(f"was not done {within_s:g} s after the end")

    # --- on the sink's thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        sinks: list[Sink] = []
        self._guarded(lambda: sinks.append(self._open_sink()))
        while (event := self._waiting.get()) is not None:
            for sink in sinks:
                self._give(sink, event)
        for sink in sinks:
            self._guarded(sink.close)

    def _give(self, sink: Sink, event: AnyEvent) -> None:
        self._guarded(lambda: sink.take(event))

    def _guarded(self, work: Callable[[], object]) -> None:
        """The boundary to foreign programs, servers and libraries: what they raise ends here."""
        try:
            work()
        except (Exception, SystemExit) as error:
            self._report(f"failed, training goes on: {_why(error)}")

    def _report(self, what: str) -> None:
        if not self._told:
            self._told = True
            self._complain(clean_line(f"{self._name} {what}"))


def _why(error: BaseException) -> str:
    text = str(error)
    return text if text and type(error).__module__.startswith("tui_trainer") else f"{type(error).__name__}: {text}"
