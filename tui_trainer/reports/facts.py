"""What a report is made of: a session's state at its end, and which of its settings are not the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from tui_trainer.core.config import OUTGOING, Config, flatten, to_table
from tui_trainer.core.state import RunState
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import Ratings

NAMES = ("run.name", "run.note", "run.tags", *OUTGOING)
"""Settings that change nothing in a run; some may hold a secret."""


class Facts(msgspec.Struct, frozen=True):
    """One session. `settings` is the table of [config] in session.toml, `status` its state, such as `ended`."""

    name: str
    state: RunState
    settings: dict[str, Any] = {}
    status: str = ""
    ratings: Ratings | None = None
    """What `elo` measured last."""
    origin: str = ""
    """The tool that logged it, where it is no session of ours: it does not know all settings."""

    @property
    def metric(self) -> str:
        """The score's metric, such as `eval/win_rate`."""
        return f"eval/{self.state.started.metric}" if self.state.started else "eval/win_rate"

    @property
    def higher_is_better(self) -> bool:
        return self.state.started is None or self.state.started.higher_is_better


class Setting(msgspec.Struct, frozen=True):
    """A setting, its value and the default's, as text."""

    key: str
    value: str
    default: str


def differing(settings: Mapping[str, Any]) -> list[Setting]:
    """Settings that are not the defaults, by name."""
    usual = _defaults()
    return [
        Setting(key, value, usual.get(key, "")) for key, value in flat(settings).items() if value != usual.get(key, "")
    ]


def flat(settings: Mapping[str, Any]) -> dict[str, str]:
    """Dotted key to value as text, names left out."""
    return {clean_line(key): setting_text(value) for key, value in flatten(dict(settings)) if key not in NAMES}


@cache
def _defaults() -> dict[str, str]:
    return flat(to_table(Config()))


def setting_text(value: object) -> str:
    """A setting as in TOML, on one line; whole floats and integers read alike."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value:.12g}"
        case list() | tuple():
            return "[" + ", ".join(setting_text(item) for item in value) + "]"
        case _:
            return clean_line(str(value), 200)
