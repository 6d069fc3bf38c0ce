"""One session of a script from its first event to its last. Everything here may raise; `guest` lets nothing through."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tui_trainer.core import actions
from tui_trainer.core.config import Layer, Resolved, resolve
from tui_trainer.core.reports import CollectReport, EvaluationReport, FinishedReport
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import TASK_OF_GUESTS, PartResult, Reason
from tui_trainer.engine.crash import write_crash_report
from tui_trainer.engine.inbox import Note, Woken
from tui_trainer.engine.main import Engine
from tui_trainer.errors import SessionInUse, StorageError, UsageError
from tui_trainer.guests.hosted import Facts, hosted
from tui_trainer.guests.script import Script
from tui_trainer.guests.signals import GuestSignals
from tui_trainer.guests.tables import nested, plain_table
from tui_trainer.sessions.configs import environment_layer
from tui_trainer.sessions.lock import SessionLock
from tui_trainer.sessions.names import SESSION_FILE, sessions_root
from tui_trainer.sessions.provenance import collect
from tui_trainer.sessions.store import Session

MEET_S = 0.2
"""The engine takes its turns no more often than this while a script logs, unless an order has come."""
RETRY_S = 1.0
NAMES = 1000
DEFAULTS = {
    "manager": {
        "termination": {"intelligent": False},
        "evaluation": {"final_episodes": 0},
        "checkpoints": {"every_updates": 0},
    }
}
"""A script itself decides when it evaluates and when it has learned enough, unless it is told otherwise."""


class Wish(NamedTuple):
    """What `guest` was told."""

    name: str
    config: object
    settings: Mapping[str, Any]
    sessions: str | None
    resume: bool
    task: str
    algorithm: str
    facts: Facts


class Life:
    """A session that is open: the script's numbers go in, orders come out at its boundaries."""

    def __init__(self, wish: Wish, script: Script) -> None:
        self._script = script
        self._retry_due = 0.0
        self._left_at = math.inf
        self._told_odd: set[str] = set()
        self._stack = contextlib.ExitStack()
        self._is_left = False
        self.reason: Reason | None = None
        self.meet_due = 0.0
        resolved = _resolved(wish)
        root = sessions_root(wish.sessions, os.environ)
        self.session, self.lock = _claim(root, wish.name, resolved, wish.resume)
        self._stack.callback(self.lock.release)
        try:
            self._bring_up(resolved, wish.facts)
        except BaseException:
            self._stack.close()
            raise

    def _bring_up(self, resolved: Resolved, facts: Facts) -> None:
        config = self.session.read().settings(Layer("script", _settings_of(resolved)))
        self.engine = Engine(self.session, config, (), [], {})
        self.inbox, self.clock = self.engine.inbox, self.engine.clock
        self._stack.callback(self._write_end)
        self.engine.open()
        self._stack.callback(self.engine.shut)
        self._run, self._manager, self.task = self._stack.enter_context(
            hosted(self.session, config, self.engine, self._script, facts)
        )
        if facts.first_step > self._manager.global_step:
            ahead = facts.first_step - self._manager.global_step
            self._run.report(CollectReport(steps=ahead, episodes=0, complete=False))
            self._script.stand_at(facts.first_step, self._manager.episodes)
        self._run.report(self._script.offer)
        self._left_at = self.clock()
        self._signals = GuestSignals(self.inbox)
        self._signals.take()
        self._stack.callback(self._signals.give_back)

    @property
    def global_step(self) -> int:
        """Environment steps recorded so far."""
        return self._manager.global_step

    # --- at a boundary of the script -----------------------------------------------------------------------------

    def meet(self) -> None:
        """Everything that is due before the script trains on: what it handed over is recorded, orders are met. A pause
        is waited for here. Once the run is over only orders are answered: they are refused.
        """
        self._script.spent_s += max(0.0, self.clock() - self._left_at)
        self._take_in()
        self._run.listen()
        while self.reason is None:
            action = self._manager.next_action()
            if isinstance(action, actions.End):
                self._conclude(action)
            elif isinstance(action, actions.Collect) or (isinstance(action, actions.Wait) and self._is_left):
                break
            else:
                self._run.do(action)
                self._run.listen()
        self._tell_odd()
        now = self._left_at = self.clock()
        self.meet_due = now + MEET_S
        if now >= self._retry_due:
            self._retry_due = now + RETRY_S
            self._run.try_journal_again()

    def _take_in(self) -> None:
        """What was handed over comes before any order, whole: what is saved or set now is the script as it stands."""
        while self.reason is None:
            action = self._manager.next_action()
            if self._script.has_news and self._is_left and isinstance(action, actions.Wait):
                self._run.do(actions.Collect())  # of other threads, in a pause that nobody will end
                self._run.do(actions.Learn())
                continue
            is_news = isinstance(action, actions.Collect) and self._script.has_news
            if not (is_news or isinstance(action, actions.Learn)):
                return
            self._run.do(action)

    def _conclude(self, end: actions.End) -> None:
        self.reason = self._run.conclude(end)
        if self.reason.name != "finished":
            self._run.say("info", "the script is asked to leave its loop (run.should_stop)")

    def _tell_odd(self) -> None:
        for name in self._script.odd.keys() - self._told_odd:
            self._told_odd.add(name)
            self._run.say("warning", self._script.odd[name])

    def offer(self) -> None:
        """What may be ordered from now on, before whatever is ordered after it. From any thread."""
        self.inbox.put(self._script.offer)

    def evaluated(self, result: PartResult, seconds: float) -> None:
        """An evaluation that the script has played."""
        self.meet()
        self._run.report(
            EvaluationReport(suite="reference", part="all", result=result, seconds=seconds, is_offered=True)
        )
        self.meet()

    def say(self, level: Literal["info", "warning", "error"], text: str) -> None:
        """A line for the log, from any thread."""
        self.inbox.put(Note(level, text))

    # --- the end -------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """A pause is waited for no longer. From any thread, and in a signal's handler."""
        self._is_left = True
        self.inbox.put(Woken())

    def finish(self, error: BaseException | None) -> None:
        """The script has left its loop, by `error` if there is one: save where it is sound, tell, let go."""
        if self.reason is None:
            self._last_news()
        if self.reason is None:
            how, detail = _left(error)
            if how == "failed" and error is not None:
                with contextlib.suppress(OSError):
                    recent, metrics = self.engine.publisher.recent, dict(self._manager.metrics)
                    write_crash_report(self.session.crash_dir, error, recent, metrics)
            self._run.report(FinishedReport(how=how, detail=detail))
            end = self._manager.next_action()
            assert isinstance(end, actions.End)
            self.reason = self._run.conclude(end)
        self._tell_odd()
        self._run.say_end(self.reason)
        self._stack.close()
        self.engine.farewell()

    def _last_news(self) -> None:
        """What was handed over last counts; a pause is not waited for any more."""
        self._take_in()
        self._run.listen()
        action = self._manager.next_action()
        while not isinstance(action, actions.Wait):
            if isinstance(action, actions.End):
                self._conclude(action)
                return
            if isinstance(action, actions.Collect) and not self._script.has_news:
                return
            self._run.do(action)
            action = self._manager.next_action()

    def fail(self, error: Exception) -> None:
        """Something of ours broke: the session ends as failed, with what led to it in crash/."""
        self.reason = self.engine.failed(error, 1)
        self._stack.close()

    def forget(self) -> None:
        """In a forked child: the session is the parent's, and a signal ends the child as it would without us."""
        self._signals.give_back()
        self.lock.release()

    def _write_end(self) -> None:
        self.engine.status.ended(self.reason or Reason(name="failed", evidence="it could not begin", exit_code=1))


def _left(error: BaseException | None) -> tuple[Literal["done", "interrupted", "failed"], str]:
    """How a script left its loop."""
    if error is None or (isinstance(error, SystemExit) and error.code in (0, None)):
        return "done", ""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", ""
    return "failed", clean_line(f"{type(error).__name__}: {error}")


def _resolved(wish: Wish) -> Resolved:
    table = plain_table(wish.config)
    run: dict[str, Any] = {"task": TASK_OF_GUESTS + (wish.task or _script_name()), "algorithm": wish.algorithm}
    seed = table.get("seed")
    if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**31:
        run["seed"] = seed
    return resolve(
        [
            Layer("guest", DEFAULTS),
            environment_layer(os.environ),
            Layer("script", {"run": run, "task": table}),
            Layer("settings", nested(wish.settings)),
        ]
    )


def _settings_of(resolved: Resolved) -> dict[str, Any]:
    """What this start of the script gives anew, in a session that began before."""
    from tui_trainer.core.config import get

    named = {key: origin for key, origin in resolved.origins.items() if origin in ("settings",)}
    return nested({key: get(resolved.config, key) for key in named})


def _script_name() -> str:
    return clean_line(Path(sys.argv[0] or "python").stem, 60) or "script"


def _claim(root: Path, name: str, resolved: Resolved, resume: bool) -> tuple[Session, SessionLock]:
    """The session to write: the one of this name where it is to be taken up, otherwise a new one.

    A script that runs unattended must not be lost to a name in use: it gets a number, and that is said.
    """
    if resume and name and (root / name / SESSION_FILE).is_file():
        taken = _taken_up(Session.open(root / name))
        if taken is not None:
            return taken
    for number in range(1, NAMES):
        wish = name if number == 1 else f"{name}-{number}"
        if name and os.path.lexists(root / wish):
            continue
        with contextlib.suppress(UsageError) if name and number < NAMES - 1 else contextlib.nullcontext():
            session = Session.create(root, wish, resolved, collect(sys.argv, Path.cwd()))
            if wish != name and name:
                say(f"{name} is in use: this run is {wish}; guest({name!r}, resume=True) takes up what ended")
            return session, session.lock()
    raise StorageError(f"{root}: no free name like {name}")


def _taken_up(session: Session) -> tuple[Session, SessionLock] | None:
    if not session.read().is_guest:
        say(f"{session.name} was trained by tui-trainer itself: it is left alone")
        return None
    try:
        return session, session.lock()
    except SessionInUse as error:
        say(str(error))
        return None


def say(text: str) -> None:
    """A line on stderr, in the script's own output."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # the last where a signal came amid another print
        print(f"tui-trainer: {text}", file=sys.stderr, flush=True)


__all__ = ["MEET_S", "Life", "Wish", "say"]
