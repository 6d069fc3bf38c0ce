"""The engine process: opens the session, brings up hub, torch, task, learner and manager, runs, and tidies up.

Detached, this is `python -m tui_trainer.engine.main SESSION`; with `run --no-ui` the same `run_engine` is called in
the foreground process, so that a scheduler's signals reach it.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import msgspec

from tui_trainer.core import events
from tui_trainer.core.config import Config, Layer, assignments_layer, flatten
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import Reason
from tui_trainer.engine.callbacks import Hook
from tui_trainer.engine.clock import SteadyClock
from tui_trainer.engine.crash import write_crash_report
from tui_trainer.engine.hub import Hub
from tui_trainer.engine.inbox import Inbox, JournalRefused, Note
from tui_trainer.engine.outgoing import outgoing
from tui_trainer.engine.publisher import Listener, Publisher
from tui_trainer.engine.results import ResultsKeeper, write_report
from tui_trainer.engine.signals import BURST_S, Signals
from tui_trainer.engine.status import StatusKeeper
from tui_trainer.engine.threads import pin_threads
from tui_trainer.errors import RankLost, TuiTrainerError
from tui_trainer.sessions import words
from tui_trainer.sessions.index import Keeper
from tui_trainer.sessions.journal import Journal
from tui_trainer.sessions.names import socket_path
from tui_trainer.sessions.oslayer import storage_errors
from tui_trainer.sessions.store import Session
from tui_trainer.telemetry.world import World, world

if TYPE_CHECKING:
    from typing_extensions import Buffer


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of the detached process."""
    args = words.parser("tui_trainer.engine").parse_args(argv)
    forgive_prints()
    try:
        return run_engine(
            Session.open(args.session), overrides=assignments_layer(args.assignments), callbacks=args.callbacks
        )
    except TuiTrainerError as error:
        print(f"tui-trainer: {error}", file=sys.stderr)
        return error.exit_code


def follow_leader(place: World) -> int:
    """Be another rank than the first, in this process; returns its exit code when the run is over."""
    pin_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    os.dup2(2, 1)  # what a task prints has no place between rank 0's lines
    from tui_trainer.engine.ranks import SignalWatch

    watch = SignalWatch()
    from tui_trainer.engine.assembly import follow

    try:
        follow(place, watch)
    except TuiTrainerError as error:
        print(f"tui-trainer: rank {place.rank}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def run_engine(
    session: Session,
    *,
    overrides: Layer,
    callbacks: Sequence[str | Hook] = (),
    listeners: Sequence[Listener] = (),
    on_stop: TextHook | None = None,
) -> int:
    """Execute the session from its newest good checkpoint, or from the start; returns the exit code."""
    with session.lock():
        config = session.read().settings(overrides)
        engine = Engine(session, config, callbacks, list(listeners), dict(flatten(overrides.table)))
        code = engine.run(on_stop or TextHook())
    engine.farewell()
    return code


LONGEST = 4000
"""Characters of why a run could not go on: room for the reasons of many damaged checkpoints."""


class TextHook:
    """What the foreground view wants to do before the process stops or leaves at once; nothing by default."""

    def before_stop(self) -> None:
        """Put the terminal in order."""


class Engine:
    """One process's worth of a session: what is brought up here is taken down here."""

    def __init__(
        self,
        session: Session,
        config: Config,
        callbacks: Sequence[str | Hook],
        listeners: list[Listener],
        given: Mapping[str, object],
    ) -> None:
        self._session = session
        self._given = given
        self.has_begun = False
        self._config = config
        self._callbacks = callbacks
        self.clock = SteadyClock()
        self.inbox = Inbox()
        self._index = Keeper(session.journal_path)
        self.history = msgspec.structs.replace(self._index.state, status="starting", ended=None)
        self._journal = Journal(session.journal_path)
        self.status = StatusKeeper(session, self.history)
        self.hub = Hub(socket_path(session.path), self.inbox, self.history)
        self._results = ResultsKeeper(session.path, session.name)
        self._outgoing = outgoing(session, config, self.history, self._complain)
        self.publisher = Publisher(
            self._journal,
            [self._index.note, self.hub.publish, self.status.note, self._results.note, *listeners, self._outgoing.hear],
            time.time,
            max(self._journal.last_seq, self.history.seq),
            self._inbox_refusal,
        )

    def run(self, hook: TextHook) -> int:
        """Bring up, execute, take down. The one place where whatever is left over becomes an exit code."""
        burst_s = BURST_S if world().size > 1 else 0.0
        Signals(self.inbox, self.clock, self._leave_at_once(hook), hook.before_stop, burst_s).install()
        self.open()
        try:
            reason = self._execute()
        except RankLost as error:
            self._lost(error)
            raise
        except TuiTrainerError as error:
            reason = self.failed(error, error.exit_code)
        except (Exception, SystemExit) as error:
            reason = self.failed(error, 1)
        finally:
            self.shut()
        self.status.ended(reason)
        return reason.exit_code

    def shut(self) -> None:
        """Let the views go, then the journal."""
        self.hub.stop()
        self._index.close()
        self._journal.close()

    def farewell(self) -> None:
        """Deliver what is on its way. The session is free by then; complaints go where the engine's output goes."""
        self._outgoing.close()
        if self._results.is_written and self._config.report.at_end:
            write_report(self._session.path, self._session.log_path)
        for item in self.inbox.drain():
            if isinstance(item, Note):
                print(f"tui-trainer: {item.text}", file=sys.stderr)

    def _complain(self, text: str) -> None:
        self.inbox.put(Note("warning", text))

    def _execute(self) -> Reason:
        pin_threads(self._config.run.threads)
        self.publisher.publish(
            events.PhaseStarted(phase="loading torch"), update=self.history.update, global_step=self.history.global_step
        )
        from tui_trainer.engine.assembly import assemble

        with assemble(
            self._session,
            self._config,
            self.history,
            self.publisher,
            self.inbox,
            self.clock,
            self.hub,
            self._callbacks,
            self._given,
        ) as run:
            self.has_begun = True
            return run.execute()

    def _inbox_refusal(self, why: str) -> None:
        """The journal could not be written: the loop pauses; the events wait in memory."""
        self.inbox.put(JournalRefused(why))

    def open(self) -> None:
        """Let views attach. Training goes on where that cannot be."""
        try:
            self.hub.start()
        except OSError as error:
            text = f"no view can attach: the socket {socket_path(self._session.path)} cannot be made ({error.strerror})"
            self.publisher.publish(events.LogWritten(level="warning", text=text), update=0, global_step=0)

    def failed(self, error: BaseException, code: int) -> Reason:
        """What broke outside the loop's own boundary is told, written down and turned into the end.

        A resume that could not begin is no part of the session's history: its journal stays as it was.
        """
        with contextlib.suppress(OSError):
            write_crash_report(self._session.crash_dir, error, self.publisher.recent, {})
        where = "" if isinstance(error, TuiTrainerError) else f"{type(error).__name__}: "
        reason = Reason(name="failed", evidence=clean_line(f"{where}{error}", LONGEST), exit_code=code)
        ended = events.RunEnded(reason=reason, elapsed_s=self.history.elapsed_s)
        is_new = self.history.started is None
        tell = self.publisher.publish if self.has_begun or is_new else self.publisher.announce
        tell(ended, update=self.history.update, global_step=self.history.global_step)
        self.publisher.flush(sync=True)
        print(f"tui-trainer: {reason.evidence}", file=sys.stderr)
        return reason

    def _lost(self, error: RankLost) -> None:
        """No end of the run: what started the ranks begins anew."""
        said = events.LogWritten(level="warning", text=clean_line(str(error), LONGEST))
        last = self.publisher.recent[-1] if self.publisher.recent else self.history
        self.publisher.publish(said, update=last.update, global_step=last.global_step)
        self.publisher.flush(sync=True)
        with contextlib.suppress(TuiTrainerError):
            self._session.write_status("starting")

    def _leave_at_once(self, hook: TextHook) -> LeaveAtOnce:
        return LeaveAtOnce(self.status, hook)


class LeaveAtOnce:
    """The second signal: no new save; one under way is discarded whole, because it was never renamed into place."""

    def __init__(self, status: StatusKeeper, hook: TextHook) -> None:
        self.status = status
        self._hook = hook

    def __call__(self, code: int) -> None:
        self._hook.before_stop()
        self.status.interrupted(code)
        os._exit(code)


def redirect_output(log: Path) -> TextIO:
    """Send file descriptors 1 and 2 (C libraries print there) to the session's log; returns the old stdout."""
    sys.stdout.flush()
    kept = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="replace", buffering=1)
    with storage_errors(log.parent):
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    forgive_prints()
    return kept


def forgive_prints() -> None:
    """From now on a print of a task that the disk refuses is lost, and raises nothing in the task."""
    sys.stdout, sys.stderr = _forgiving(1), _forgiving(2)


def _forgiving(fd: int) -> TextIO:
    raw = io.BufferedWriter(_ForgivingFile(fd))
    return io.TextIOWrapper(raw, encoding="utf-8", errors="replace", line_buffering=True)


class _ForgivingFile(io.RawIOBase):
    """An open descriptor whose failed writes count as written."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Buffer, /) -> int:
        """How much was written, or dropped."""
        try:
            return os.write(self._fd, data)
        except OSError:
            return memoryview(data).nbytes


if __name__ == "__main__":
    raise SystemExit(main())
