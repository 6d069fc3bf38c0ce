"""A guest: a run whose loop belongs to somebody else's script.

Everything happens inside the script's own calls, on its own thread: `log` hands numbers over and, a few times a second
or when an order has come, lets the engine's Run take its turns until the next thing to do is to train. Nothing that
goes wrong here reaches the script: it is told once, and the script goes on alone.
"""

from __future__ import annotations

import atexit
import functools
import math
import os
import sys
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Concatenate, NamedTuple, ParamSpec, Self

from tui_trainer.core.values import PartResult
from tui_trainer.guests.hosted import Facts
from tui_trainer.guests.life import Life, Wish, say
from tui_trainer.guests.script import Knob, Script, SetFn, StateFn
from tui_trainer.guests.tables import plain_table, scores
from tui_trainer.guests.turn import Turn
from tui_trainer.sessions.names import check_name, sessions_root

OFF = "TUI_TRAINER_GUESTS"
"""Environment variable: `0` leaves every script alone."""

CLOSE_S = 60.0
"""The longest that `close` waits for another thread's turn with us, such as a save that is being taken."""

P = ParamSpec("P")


def guest(
    name: str = "",
    config: object = None,
    *,
    settings: Mapping[str, Any] | None = None,
    sessions: str | None = None,
    resume: bool = False,
    task: str = "",
    algorithm: str = "script",
    metric: str = "mean_reward",
    higher_is_better: bool = True,
    total_steps: int = 0,
    first_step: int = 0,
    actions: int = 0,
    parameters: int = 0,
    device: str = "script",
) -> Guest:
    """A run of this script's: `with guest("name", config) as run:`, then `run.log(step, metrics)` in the loop.

    `config`: the script's own settings (a mapping, a dataclass, argparse's Namespace), recorded and compared.
    `settings`: ours, by dotted key, such as {"manager.termination.max_hours": 2}; the environment's count, too.
    `resume`: take up the session of this name where there is one; otherwise a name in use gets a number.
    `task`, `algorithm`, `device`: words for lists; `metric`: what `evaluated` tells, and whether higher is better.
    `total_steps`: how far the script means to go, for the bar and the estimate; `first_step`: where it begins.
    `actions`: number of discrete actions, from which a collapse of entropy is seen; `parameters`: for the header.
    """
    facts = Facts(metric, higher_is_better, actions, total_steps, first_step, device)
    return Guest(Wish(name, config, settings or {}, sessions, resume, task, algorithm, facts), Script(parameters))


def _ours(method: Callable[Concatenate[Guest, P], None]) -> Callable[Concatenate[Guest, P], None]:
    """What breaks in us ends the recording, never the script."""

    @functools.wraps(method)
    def guarded(self: Guest, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # the boundary to somebody else's program
            self._go_alone(error)

    return guarded


class Left(NamedTuple):
    """How the script left its loop."""

    error: BaseException | None


class Guest:
    """A session that is recorded, watched and steered from `with` to its end. Any thread may log; one at a time meets
    orders, and while a pause holds that one the others go on.
    """

    def __init__(self, wish: Wish, script: Script) -> None:
        self._wish = wish
        self._script = script
        self._known = plain_table(wish.config)
        self._life: Life | None = None
        self._is_heeded = False
        self._is_told_of_signal = False
        self._exit_code = 0
        self._turn = Turn()
        self._left: Left | None = None
        self._played: deque[tuple[PartResult, float]] = deque()
        """Evaluations not yet recorded."""

    # --- begin and end -------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(error)

    @_ours
    def open(self) -> None:
        """Begin to record. In the other processes of one job (RANK above 0), and where TUI_TRAINER_GUESTS is 0,
        nothing is recorded and every other call does nothing.
        """
        if os.environ.get(OFF) == "0" or os.environ.get("RANK", "0") not in ("", "0"):
            return
        self._left = None
        self._life = life = Life(self._wish, self._script)
        _open.add(self)
        atexit.register(self._at_exit)
        say(f"recording {life.session.path}; `tui-trainer attach {life.session.name}` shows it")

    @_ours
    def close(self, error: BaseException | None = None) -> None:
        """End the recording; `error` is what left the loop, if anything did. From any thread, and a signal's handler.

        A pause is not waited for. Another thread's save is, for a minute; after that, and in a call within one of
        ours (a state_fn, a signal's handler), whoever is at it ends the recording when it is through.
        """
        life = self._life
        if life is None:
            return
        self._left = self._left or Left(error)
        life.leave()
        self._end_if_left(CLOSE_S)

    def _end_if_left(self, wait_s: float = 0.0) -> None:
        if self._left is None:
            return
        with self._turn.taken(wait_s) as is_mine:
            life = self._life
            if is_mine and life is not None:
                self._unregister()
                self._take_in(life)
                life.finish(self._left.error)
                self._life = None
                self._exit_code = 0 if life.reason is None else life.reason.exit_code

    def _at_exit(self) -> None:
        """The script ends and never left the loop."""
        self.close(getattr(sys, "last_value", None) or EOFError("the script ended inside its loop"))

    def _unregister(self) -> None:
        _open.discard(self)
        atexit.unregister(self._at_exit)

    def _go_alone(self, error: Exception) -> None:
        life, self._life = self._life, None
        self._unregister()
        say(f"the script goes on alone: {type(error).__name__}: {error}")
        if life is None:
            return
        try:
            life.fail(error)
        except Exception as worse:  # the disk, most likely: there is nobody left to tell but stderr
            say(f"{type(worse).__name__}: {worse}")

    def _forked(self) -> None:
        """In a child process the session is the parent's: nothing is written here."""
        life, self._life = self._life, None
        atexit.unregister(self._at_exit)
        if life is not None:
            life.forget()

    # --- in the loop ---------------------------------------------------------------------------------------------

    def log(self, step: int, metrics: Mapping[str, Any] | None = None, *, episodes: int | None = None) -> None:
        """One update of the script: its environment steps so far and its newest numbers, by any name.

        `episodes`: how many are finished so far. Names such as `train/approx_kl` and `rollout/ep_rew_mean` are charted
        and watched as a native run's (docs/guests.md). This is the boundary at which a pause waits.
        """
        life = self._life
        if life is None:
            return
        try:
            self._script.hand_over(step, metrics or {}, episodes)
        except Exception as error:  # the script's own numbers
            self._script.odd.setdefault(
                "log", f"a call of log could not be understood and is left out: {type(error).__name__}: {error}"
            )
        if life.clock() >= life.meet_due or not life.inbox.is_empty:
            self.meet()

    @_ours
    def meet(self) -> None:
        """Meet the orders that have come, now: for a loop that logs seldom."""
        life = self._life
        if life is None:
            return
        self._in_turn(self._meet)
        self._leave_if_deaf(life)

    def _meet(self, life: Life) -> None:
        self._take_in(life)
        life.meet()

    def _in_turn(self, work: Callable[[Life], None]) -> None:
        """Do this unless another call is at it, then what `close` was told meanwhile."""
        with self._turn.taken() as is_mine:
            if is_mine and self._life is not None:
                work(self._life)
        self._end_if_left()

    @property
    def is_due(self) -> bool:
        """Whether `meet` has something to do; costs next to nothing."""
        life = self._life
        return life is not None and (life.clock() >= life.meet_due or not life.inbox.is_empty)

    @_ours
    def evaluated(
        self,
        mean: float | Sequence[float],
        std: float = 0.0,
        episodes: int = 1,
        *,
        win_rate: float | None = None,
        seconds: float = 0.0,
    ) -> None:
        """An evaluation that the script has played: every episode's return, or their mean, deviation and number.

        Trend, best checkpoint and advice read it. With metric="win_rate" give `win_rate`, in [0, 1].
        """
        life, result = self._life, scores(mean, std, episodes, win_rate)
        if life is None:
            return
        if not math.isfinite(result.mean) or not math.isfinite(result.std):
            life.say("warning", f"an evaluation of {result.mean} is no number: it is not counted")
            return
        self._played.append((result, seconds))
        self._in_turn(self._take_in)

    def _take_in(self, life: Life) -> None:
        """Evaluations that were played; one that could not have the turn leaves its own to who has it next. Those that
        are played on the way, by a state_fn that evaluates what is saved, wait for the next turn.
        """
        for _ in range(len(self._played)):
            life.evaluated(*self._played.popleft())

    @_ours
    def checkpoint(self, state_fn: StateFn) -> None:
        """How this script is saved: `state_fn()` gives bytes, or nested dicts of numbers, texts, tensors and arrays.

        From now on it is called at a boundary when a checkpoint is ordered, due, or the best so far. What it gives is
        copied at once and written by a thread, with its hash.
        """
        self._script.state_fn = state_fn
        self._offer()

    @_ours
    def on_set(self, name: str, apply: SetFn, value: float | None = None) -> None:
        """Let `set NAME name=VALUE` (and accepted advice) change a setting: `apply(VALUE)` is called at a boundary.

        `value` is what it is now; without it the number of this name in `config`.
        """
        now = self._known.get(name) if value is None else value
        if not isinstance(now, (int, float)) or isinstance(now, bool):
            if self._life is not None:
                self._life.say("warning", f"on_set({name!r}): what it is now is not known: give value=")
            return
        self._script.knobs[name] = Knob(apply, float(now))
        self._offer()

    def _offer(self) -> None:
        if self._life is not None:
            self._life.offer()

    def show(self, text: str) -> None:
        """A picture of the environment as lines of text, for whoever watches."""
        if self._life is not None:
            self._life.task.frame = text

    @property
    def should_stop(self) -> bool:
        """True once the run is over by an order, a signal, a limit or the target: the script should leave its loop."""
        self._is_heeded = True
        life = self._life
        if life is None:
            return False
        if life.reason is None and not life.inbox.is_empty:
            self.meet()
        return life.reason is not None

    @property
    def exit_code(self) -> int:
        """What a script that was asked to leave may exit with: 0 by order or limit, 143 (or 75) after SIGTERM."""
        return self._exit_code if self._life is None or self._life.reason is None else self._life.reason.exit_code

    @property
    def name(self) -> str:
        """The session's name; empty where nothing is recorded."""
        return self._life.session.name if self._life is not None else ""

    @property
    def global_step(self) -> int:
        """Environment steps recorded; after a resume, those of the checkpoint."""
        return self._life.global_step if self._life is not None else 0

    def restored(self) -> Any:
        """What `state_fn` gave for the checkpoint that was taken up, or None where there is none."""
        return self._script.restored

    def _leave_if_deaf(self, life: Life) -> None:
        """SIGTERM would have ended a script that never asks `should_stop`; so it does, now that all is saved."""
        by_signal = life.reason is not None and life.reason.name in ("signal", "scheduler")
        if by_signal and not self._is_heeded and not self._is_told_of_signal:
            self._is_told_of_signal = True
            raise SystemExit(self.exit_code)


def saved(name: str, sessions: str | None = None) -> Any:
    """What `state_fn` gave for the newest good checkpoint of a session; None where there is no session or none saved.

    Raises DamagedSession where none of its checkpoints can be trusted.
    """
    from tui_trainer.sessions.checkpoints import CheckpointStore

    store = CheckpointStore(sessions_root(sessions, os.environ) / check_name(name))
    if not store.manifests():
        return None
    return store.newest_good().state["learner"].get("host")


_open: weakref.WeakSet[Guest] = weakref.WeakSet()


def _forget_in_child() -> None:
    for each in list(_open):
        each._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
