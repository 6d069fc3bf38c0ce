"""What a view is lent to reach the disk with: the app itself touches none."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Aids(msgspec.Struct, frozen=True, kw_only=True):
    """Each may be missing; each may take a while, so the app calls them on a thread. All raise TuiTrainerError."""

    report: Callable[[], str] | None = None
    """Writes the session's report; returns where it lies."""
    last_words: Callable[[], tuple[str, ...]] | None = None
    """The end of what a crash left behind, as lines."""
    broke: str = ""
    """Why the history ends as it does, where its engine went without a word; told at the end of a replay."""
    save: Callable[[str, str], str] | None = None
    """Writes a text under a file name into the working directory; returns where it lies."""
    export: Callable[[str, str], str] | None = None
    """Writes `decisions` or `models` as `csv` or `json` into the working directory; returns where it lies."""
    keep_copy: Callable[[str], str] | None = None
    """Writes what was copied where it can be picked up; returns where that is."""
    learned: frozenset[str] = frozenset()
    """Actions that the person has used before: no hint speaks of them again."""
    learn: Callable[[str], None] | None = None
    """Notes that an action was used."""
