"""Registries map an id to a `module:attribute` string, so that lists and forms load nothing heavy."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any

import msgspec

from tui_trainer.errors import MissingExtra, UsageError


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One registered thing: a line for lists, where it is built, and the extra it needs."""

    id: str
    summary: str
    factory: str
    """`module:attribute`"""
    extra: str = ""


def installed(group: str) -> dict[str, Entry]:
    """What installed packages register under a group of entry points, by name."""
    return {
        point.name: Entry(id=point.name, summary=f"from {point.value.partition(':')[0]}", factory=point.value)
        for point in importlib.metadata.entry_points(group=group)
    }


def load(entry: Entry) -> Any:
    """Import the entry's factory. Raises MissingExtra naming the extra when a library is absent."""
    try:
        return load_attribute(entry.factory)
    except ModuleNotFoundError as error:
        if entry.extra and not (error.name or "").startswith("tui_trainer"):
            raise MissingExtra(
                f"{entry.id} needs the library {error.name}",
                f'install it with: pip install "tui-trainer[{entry.extra}]"',
            ) from None
        raise


def load_attribute(path: str) -> Any:
    """Import `module:attribute`. Raises UsageError for a malformed path or a missing attribute."""
    module, _, attribute = path.partition(":")
    if not module or not attribute:
        raise UsageError(f"{path!r} is not module:attribute")
    found = importlib.import_module(module)
    if not hasattr(found, attribute):
        raise UsageError(f"module {module} has no attribute {attribute}")
    return getattr(found, attribute)
