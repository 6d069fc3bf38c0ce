"""Calls people's own hooks. A failing one is told once and left out; training goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from tui_trainer.core.callbacks import BY_EVENT, ENTRY_POINTS, MOMENTS, Callback, Collected, Updated
from tui_trainer.core.config import Config, nearest
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.registry import installed, load, load_attribute
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import Metrics
from tui_trainer.engine.inbox import Inbox, Note, Told
from tui_trainer.errors import UsageError
from tui_trainer.training.history import History, Proposal, Rule
from tui_trainer.training.rules import RULES

RULES_GROUP = "tui_trainer.rules"

Hook: TypeAlias = Callable[[AnyEvent], object] | Callback | object
"""A callable that hears every event, or an object with methods of `Callback`."""
PREFIX = "task/"
MOST_METRICS = 200
"""Names that all callbacks of a run may use together: each is a curve that is kept."""


class Callbacks:
    """Calls each hook at its moments until it fails."""

    def __init__(self, hooks: Mapping[str, Hook], inbox: Inbox) -> None:
        self._hooks = dict(hooks)
        self._inbox = inbox
        self._names: set[str] = set()

    @classmethod
    def load(cls, wanted: Sequence[str | Hook], inbox: Inbox) -> Callbacks:
        """Import each `module:object` or registered name; a class is instantiated, an object is taken as it is.

        Raises UsageError where one cannot be loaded or has nothing to call.
        """
        hooks: dict[str, Hook] = {}
        for number, hook in enumerate(wanted, 1):
            name = hook if isinstance(hook, str) else getattr(hook, "__name__", type(hook).__name__)
            hooks[name if name not in hooks else f"{name} ({number})"] = _made(hook, name)
        return cls(hooks, inbox)

    def hear(self, event: AnyEvent, line: bytes) -> None:
        """Listener: hooks that are called hear every event, those with methods their moments."""
        moment = BY_EVENT.get(type(event), "")
        for path, hook in list(self._hooks.items()):
            method = getattr(hook, moment, None) if moment else None
            if method is not None:
                self._call(path, method, event)
            if callable(hook):
                self._call(path, hook, event)

    def collected(self, collected: Collected) -> None:
        """A rollout is full."""
        self._each("on_collect", collected)

    def updated(self, updated: Updated) -> None:
        """An update is finished."""
        self._each("on_update", updated)

    def _each(self, moment: str, told: object) -> None:
        for path, hook in list(self._hooks.items()):
            method = getattr(hook, moment, None)
            if method is not None:
                self._call(path, method, told)

    def _call(self, path: str, method: Callable[[Any], object], told: object) -> None:
        """Foreign code runs here: whatever it raises ends at this line."""
        try:
            answer = method(told)
            metrics = self._bounded(answer) if isinstance(answer, Mapping) else {}
        except (Exception, SystemExit) as error:
            self._hooks.pop(path, None)
            self._inbox.put(Note("warning", f"callback {path} failed and is off: {type(error).__name__}: {error}"))
            return
        if metrics:
            self._inbox.put(Told(metrics))

    def _bounded(self, answer: Mapping[Any, Any]) -> Metrics:
        """The numbers under their names. Raises ValueError once there are more names than a run can show."""
        metrics = dict(_metrics(answer))
        names = self._names | metrics.keys()
        if len(names) > MOST_METRICS:
            raise ValueError(f"{len(names)} names of metrics; at most {MOST_METRICS} are kept in a run")
        self._names = names
        return metrics


def _made(hook: str | Hook, name: str) -> Hook:
    """The hook itself. Foreign code runs here, too: its trouble is told before anything is trained."""
    try:
        found = load_attribute(path_of(hook)) if isinstance(hook, str) else hook
        made: Hook = found() if isinstance(found, type) else found
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"callback {name} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(made) and not any(hasattr(made, moment) for moment in MOMENTS):
        raise UsageError(f"callback {name} has nothing to call", f"a function, or methods such as {', '.join(MOMENTS)}")
    return made


def path_of(name: str) -> str:
    """`module:object` as it is, a registered name as what it stands for. Raises UsageError for an unknown name."""
    if ":" in name:
        return name
    known = installed(ENTRY_POINTS)
    if name in known:
        return known[name].factory
    close = nearest(name, list(known))
    hint = f"did you mean {close}?" if close else "a name that an installed package registers, or module:object"
    raise UsageError(f"--callback {name!r} is not module:object, nor registered", hint)


def _metrics(answer: Mapping[Any, Any]) -> Iterator[tuple[str, float | None]]:
    """`task/<name>` and a float, None where it is not finite. Raises TypeError or ValueError for what is no number."""
    for name, value in answer.items():
        number = float(value)
        yield f"{PREFIX}{clean_line(str(name).removeprefix(PREFIX), 60)}", number if math.isfinite(number) else None


# --- rules from packages ---------------------------------------------------------------------------------------------


def check_rules(config: Config) -> None:
    """Raise UsageError for a rule that nobody registers. Loads none."""
    known = installed(RULES_GROUP)
    for name in config.continuous.rules:
        if name not in known:
            close = nearest(name, list(known))
            hint = f"did you mean {close}?" if close else f"registered are {', '.join(known) or 'none'}"
            raise UsageError(f"continuous.rules: no installed package registers {name}", hint)


def rules_of(config: Config, inbox: Inbox) -> dict[str, Rule]:
    """The built-in rules, and behind them those that the settings name."""
    check_rules(config)
    known = installed(RULES_GROUP)
    return {**RULES, **{name: ForeignRule(name, load(known[name]), inbox) for name in config.continuous.rules}}


class ForeignRule:
    """A rule from a package: one that raises, or answers anything but a proposal, is told once and left out."""

    def __init__(self, name: str, rule: Rule, inbox: Inbox) -> None:
        self._name = name
        self._rule: Rule | None = rule
        self._inbox = inbox

    def __call__(self, history: History) -> Proposal | None:
        """What the rule proposes."""
        if self._rule is None:
            return None
        try:
            proposal: object = self._rule(history)
            if proposal is None or isinstance(proposal, Proposal):
                return proposal
            raise TypeError(f"{type(proposal).__name__} is no Proposal")
        except (Exception, SystemExit) as error:
            self._rule = None
            self._inbox.put(Note("warning", f"rule {self._name} failed and is off: {type(error).__name__}: {error}"))
            return None
