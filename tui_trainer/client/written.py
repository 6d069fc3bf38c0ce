"""An order as a person writes it: the words of the commands, without the run's name."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tui_trainer.core.commands import AnyCommand, Pause, Resume, RunFor, SaveCheckpoint, SetDifficulty, SetSetting
from tui_trainer.core.conditions import parse_condition
from tui_trainer.core.config import parse_assignment
from tui_trainer.core.values import Difficulty
from tui_trainer.errors import ConfigError, UsageError

DIFFICULTY_KEYS = ("difficulty.level", "difficulty.low", "difficulty.high")
_FORMS = "set KEY=VALUE, run-for N, pause --when CONDITION"
_WORDS = ("set ", "run-for ", "pause --when ", "resume", "checkpoint")


def order_of(line: str, id: str, present: Callable[[], Difficulty]) -> AnyCommand:
    """The order in a line such as `set ppo.learning_rate=1e-4` or `run-for 100`; `present` tells the difficulty.

    Raises UsageError, ConfigError where it cannot be read.
    """
    word, _, rest = line.strip().partition(" ")
    rest = rest.strip()
    match word:
        case "set" if rest:
            return setting_of(rest, id, present)
        case "run-for" if rest.isdecimal() and int(rest) > 0:
            return RunFor(id=id, updates=int(rest))
        case "pause":
            return Pause(id=id, when=_condition(rest))
        case "resume" if not rest:
            return Resume(id=id)
        case "checkpoint" if not rest:
            return SaveCheckpoint(id=id)
    raise UsageError(f"{line.strip()!r} is no order", _FORMS)


def setting_of(assignment: str, id: str, present: Callable[[], Difficulty]) -> SetSetting | SetDifficulty:
    """`KEY=VALUE` of a safe setting, or of the difficulty. Raises UsageError, ConfigError."""
    key, text = parse_assignment(assignment)
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"{key}={text}: not a number") from None
    if not key.startswith("difficulty."):
        return SetSetting(id=id, key=key, value=value)
    if key not in DIFFICULTY_KEYS:
        raise UsageError(f"{key} is no difficulty", ", ".join(DIFFICULTY_KEYS))
    if key == "difficulty.level" and not value.is_integer():
        raise ConfigError(f"{key}={text}: not a whole number")
    moved = int(value) if key == "difficulty.level" else value
    return SetDifficulty(
        id=id, difficulty=msgspec.structs.replace(present(), **{key.removeprefix("difficulty."): moved})
    )


def endings(line: str, algorithm: str) -> tuple[str, ...]:
    """Ways to go on with what is written: whole lines, for a run of this algorithm."""
    from tui_trainer.training.orders import LEARNER_KEYS, SAFE_KEYS  # the first frame does not wait for it

    others = {key for key in LEARNER_KEYS if key.split(".")[0] != algorithm}
    keys = (key for key in (*SAFE_KEYS, *DIFFICULTY_KEYS) if key not in others)
    return tuple(way for way in (*_WORDS, *(f"set {key}=" for key in keys)) if way.startswith(line) and way != line)


def _condition(text: str) -> str:
    """What follows `pause`; empty for at once."""
    if not text:
        return ""
    flag, _, condition = text.partition(" ")
    condition = condition.strip().strip("\"'")
    if flag not in ("--when", "when") or not condition:
        raise UsageError(f"pause {text}: no condition", 'such as pause --when "eval/win_rate > 0.9"')
    parse_condition(condition)
    return condition
