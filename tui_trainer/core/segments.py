"""Rows of a long, growing array that will never change again, as a part of a learner's state."""

from __future__ import annotations

from typing import Any


class Segment:
    """A numpy array that nobody writes to any more; the same object for as long as it is part of the state.

    A checkpoint saves it once, as a file of its own, however many checkpoints hold it.
    """

    __slots__ = ("array", "sha256", "__weakref__")

    def __init__(self, array: Any, sha256: str = "") -> None:
        self.array = array
        """Once it is saved, a map of its file."""
        self.sha256 = sha256
        """Of its file; empty until somebody asked."""
