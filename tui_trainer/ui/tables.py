"""Every table of keys: what `[ui.keys]` may change, and what the documentation prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tui_trainer.ui import contrast, keys, shelf
from tui_trainer.ui.keymap import BoundKey, Line

TABLES: tuple[tuple[Line, ...], ...] = (keys.keys_for("live"), keys.keys_for("replay"), shelf.KEYS, contrast.KEYS)


def markdown() -> str:
    """The tables as the documentation prints them; a test keeps the two equal."""
    parts = [
        "### A run, or a replay\n",
        keys.markdown(),
        "### The list of sessions\n",
        *_table(shelf.KEYS),
        "### A comparison\n",
        *_table(contrast.KEYS),
    ]
    return "\n".join(parts)


def _table(table: Sequence[BoundKey]) -> Iterator[str]:
    rows = (f"| `{key.shown}` | `{key.action}` | {key.help} |" for key in table)
    yield "\n".join(("| key | action | what it does |", "|---|---|---|", *rows)) + "\n"
