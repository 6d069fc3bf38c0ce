"""A line that a person types: filters, moves, orders."""

from __future__ import annotations


def edited(line: str, name: str, character: str | None, most: int) -> str:
    """The line after one more key, by Textual's name and what it writes; at most so many characters."""
    if name == "backspace":
        return line[:-1]
    return (line + character)[:most] if character is not None and character.isprintable() else line
