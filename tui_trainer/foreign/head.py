"""The beginning of a long run, as files of its own: enough to show something while the rest is read."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tui_trainer.foreign.places import Place
from tui_trainer.foreign.readings import opened

HEAD = 1 << 20
"""Bytes that are read at once: about a third of a second of processor time."""
LONG = 4 * HEAD
"""Runs of more bytes are shown before they are read whole."""


def share_of(place: Place) -> float:
    """The part of a run that is read at once: 1 where that is all."""
    size = sum(size for size, _ in place.stamp())
    return 1.0 if size <= LONG else HEAD / size


@contextlib.contextmanager
def beginning(place: Place) -> Iterator[tuple[Path, ...]]:
    """The first files of a run, cut: of monitors, which are read side by side, the beginning of each.

    Raises DamagedSession and OSError as readers do.
    """
    left = HEAD
    each = HEAD // len(place.files) if place.kind == "monitor" else HEAD
    with tempfile.TemporaryDirectory(prefix="tui-trainer-") as directory:
        cut: list[Path] = []
        for number, path in enumerate(place.files):
            if left <= 0:
                break
            with opened(path) as file:
                data = file.read(min(left, each))
            left -= len(data)
            cut.append(Path(directory, f"{number}-{path.name}"))
            cut[-1].write_bytes(data)
        yield tuple(cut)
