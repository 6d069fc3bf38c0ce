"""Tables of keys and what a person made of them: `[ui.keys]` gives an action other keys, everywhere at once."""

from __future__ import annotations

import difflib
import types
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from tui_trainer.errors import ConfigError

Changes = Mapping[str, Sequence[str]]
"""By action, the keys that stand for it instead."""

UNCHANGED: Changes = types.MappingProxyType({})


class BoundKey(msgspec.Struct, frozen=True):
    """One line of a table. `keys` are Textual's names, `shown` is what a person reads."""

    action: str
    keys: tuple[str, ...]
    shown: str
    label: str
    """In the footer; empty stays out of it."""
    help: str


class Line(Protocol):
    """A line of any table of keys."""

    @property
    def action(self) -> str: ...

    @property
    def keys(self) -> tuple[str, ...]: ...

    @property
    def shown(self) -> str: ...


L = TypeVar("L", bound=Line)

_NAMES = {"hyphen_minus": "minus", "plus_sign": "plus", "solidus": "slash", "reverse_solidus": "backslash",
          "commercial_at": "at", "low_line": "underscore"}  # fmt: skip
_SHOWN = {"up": "↑", "down": "↓", "left": "←", "right": "→", "escape": "esc", "plus": "+", "minus": "-",
          "slash": "/", "question_mark": "?", "less_than_sign": "<", "greater_than_sign": ">",
          "left_square_bracket": "[", "right_square_bracket": "]", "equals_sign": "="}  # fmt: skip

_SPELLED = {"↑": "up", "↓": "down", "←": "left", "→": "right"}


def spelled(shown: str, glyphs: str) -> str:
    """As a person reads it where only ASCII can be shown: an arrow's `<` would be another key."""
    return _SPELLED.get(shown, shown) if glyphs == "ascii" else shown


def remapped(table: Sequence[L], changes: Changes) -> tuple[L, ...]:
    """The table with the changed keys; a key given to one action is taken from the others."""
    if not any(line.action in changes for line in table):
        return tuple(table)
    taken = {name for line in table if line.action in changes for name in names_of(changes[line.action])}
    return tuple(_changed(line, changes, taken) for line in table)


def _changed(line: L, changes: Changes, taken: set[str]) -> L:
    if line.action in changes:
        keys = names_of(changes[line.action])
    else:
        keys = tuple(key for key in line.keys if key not in taken)
        if keys == line.keys:
            return line
    shown = _SHOWN.get(keys[0], keys[0]) if keys else "-"
    changed: L = msgspec.structs.replace(line, keys=keys, shown=shown)  # type: ignore[type-var]
    return changed


def bound(table: Sequence[L], changes: Changes, name: str) -> str:
    """The action that a key stands for; empty where it stands for none."""
    return next((line.action for line in remapped(table, changes) if name in line.keys), "")


def names_of(keys: Sequence[str]) -> tuple[str, ...]:
    """Keys as people write them (`P`, `ctrl+k`, `+`, `esc`), by Textual's names."""
    return tuple(dict.fromkeys(_name(key) for key in ((keys,) if isinstance(keys, str) else keys)))


def _name(key: str) -> str:
    if len(key) > 1:
        *modifiers, last = key.split("+")
        last = {"esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown"}.get(last, last)
        return "+".join((*modifiers, _name(last) if len(last) == 1 else last))
    if key == " ":
        return "space"
    if not key or key.isalnum():
        return key
    name = unicodedata.name(key, key).lower().replace("-", "_").replace(" ", "_")
    return _NAMES.get(name, name)


def check(tables: Iterable[Sequence[Line]], changes: Changes) -> None:
    """Raises ConfigError for an action that is none, and for a key that two changed actions of a table claim."""
    tables = [tuple(table) for table in tables]
    known = sorted({line.action for table in tables for line in table})
    for action in changes:
        if action not in known:
            close = difflib.get_close_matches(action, known, n=1)
            raise ConfigError(
                f"ui.keys.{action} is no action", f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"
            )
    for table in tables:
        _require_distinct([line.action for line in table if line.action in changes], changes)


def _require_distinct(actions: Sequence[str], changes: Changes) -> None:
    owner: dict[str, str] = {}
    for action in dict.fromkeys(actions):
        for name in names_of(changes[action]):
            if owner.setdefault(name, action) != action:
                raise ConfigError(f"ui.keys: {name} is both {owner[name]} and {action}", "give one of them another key")
