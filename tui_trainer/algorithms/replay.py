"""A replay buffer: the last transitions, drawn at random, evenly or by priority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tui_trainer.algorithms.arrays import Array, Float, Int, as_tensor, take, take_array
from tui_trainer.algorithms.priorities import Priorities, importance
from tui_trainer.algorithms.transitions import Transitions
from tui_trainer.core.protocols import TaskSpec
from tui_trainer.core.segments import Segment
from tui_trainer.errors import DamagedSession

_SEGMENTS = 16
"""A full buffer has about so many."""
_SEGMENT_ROWS = (64, 65_536)
"""At least and at most."""


class Sample(NamedTuple):
    """Drawn transitions, the slots they lie in, and each one's weight in the loss (None: all alike)."""

    rows: Transitions
    slots: Int
    weights: Float | None


class Replay:
    """The last `capacity` transitions, numbered from 0 on; number i lies in slot i modulo the number of slots.

    Numbers are cut into segments of equal length. A segment that is complete never changes, so that a checkpoint saves
    it once; there is one segment of slots more than the capacity asks for, so that each that is still wanted is whole.
    """

    def __init__(self, spec: TaskSpec, capacity: int, priorities: dict[str, float] | None = None) -> None:
        self.capacity, self.total = capacity, 0
        least, most = _SEGMENT_ROWS
        self._segment = max(least, min(most, -(-capacity // _SEGMENTS)))
        self._slots = (-(-capacity // self._segment) + 1) * self._segment
        self._ring: Array = np.zeros(self._slots, _row_type(spec))
        self._names = self._ring.dtype.names or ()
        self._bytes = self._ring.view(np.uint8).reshape(self._slots, -1)
        self._complete: dict[int, Segment] = {}
        self._priorities = None if priorities is None else Priorities(self._slots, **priorities)

    @property
    def size(self) -> int:
        """Transitions that can be drawn."""
        return min(self.total, self.capacity)

    def add(self, found: Transitions) -> None:
        """Take in transitions, oldest first; the oldest ones held make room."""
        count = min(self.capacity, len(found.action))
        before, self.total = self.total, self.total + count
        slots = np.arange(before, self.total) % self._slots
        for name in self._names:
            self._ring[name][slots] = getattr(found, name)[len(found.action) - count :]
        if self._priorities is not None:
            oldest = max(0, before - self.capacity)
            self._priorities.dismiss(np.arange(oldest, self.total - self.size) % self._slots)
            self._priorities.admit(slots)

    def sample(self, rng: np.random.Generator, count: int, beta: float) -> Sample:
        """`count` transitions, with replacement; by priority, weights take out the share `beta` of the bias."""
        if self._priorities is None:
            slots = rng.integers(self.total - self.size, self.total, count) % self._slots
            return Sample(self._rows(slots), slots, None)
        slots, probabilities = self._priorities.draw(rng, count)
        return Sample(self._rows(slots), slots, importance(probabilities, self.size, beta))

    def judge(self, slots: Int, errors: Float) -> None:
        """The errors that drawn transitions turned out to have."""
        if self._priorities is not None:
            self._priorities.judge(slots, errors)

    def _rows(self, slots: Int) -> Transitions:
        drawn = self._ring.take(slots)
        arrays: list[Any] = [drawn[name] if name in self._names else None for name in Transitions._fields]
        return Transitions(*arrays)

    # --- state -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, object]:
        """Complete segments and the rows after the last of them, as bytes; priorities where there are any."""
        wanted = self._wanted()
        self._complete = {number: self._complete.get(number) or Segment(self._copied(number)) for number in wanted}
        return {
            "total": self.total,
            "segments": list(self._complete.values()),
            "tail": as_tensor(self._span(wanted.stop, self.total % self._segment)),
            "priorities": None if self._priorities is None else self._priorities.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Continue where `state_dict` was taken. Raises DamagedSession where that was with another buffer."""
        self.total = int(take(state, "total"))
        wanted, segments = self._wanted(), list(take(state, "segments"))
        if len(segments) != len(wanted):
            raise _misfit()
        self._complete = dict(zip(wanted, segments, strict=True))
        for number, segment in self._complete.items():
            _fill(self._span(number, self._segment), segment.array)
        _fill(self._span(wanted.stop, self.total % self._segment), take_array(state, "tail"))
        priorities = take(state, "priorities")
        if self._priorities is not None:
            self._priorities.load_state_dict(priorities or {})

    def take_over(self, states: Sequence[Mapping[str, object]], rank: int, size: int) -> None:
        """This rank's part of what so many other buffers held, oldest first, as if just seen."""
        self.total, self._complete = 0, {}
        parts = [part for state in states for part in _rows_of(state)]
        if not all(part.shape[1:] == self._bytes.shape[1:] for part in parts):
            raise _misfit()
        mine = np.concatenate(parts)[rank::size][-self.capacity :]
        slots = np.arange(len(mine)) % self._slots
        self._bytes[slots] = mine
        self.total = len(mine)
        if self._priorities is not None:
            self._priorities.dismiss(np.arange(self._slots))
            self._priorities.admit(slots)

    def _wanted(self) -> range:
        """Numbers of the segments that are complete and hold a transition that can be drawn."""
        return range((self.total - self.size) // self._segment, self.total // self._segment)

    def _span(self, number: int, count: int) -> Array:
        """The first rows of a segment as bytes, (count, bytes of a row)."""
        at = number * self._segment % self._slots
        return self._bytes[at : at + count]

    def _copied(self, number: int) -> Array:
        copy = self._span(number, self._segment).copy()
        copy.flags.writeable = False
        return copy


def left_behind(learner: Mapping[str, Any]) -> int:
    """Transitions that a learner's state names and does not hold: the file was taken away from its buffer."""
    segments = learner["replay"]["segments"] if "replay" in learner else []
    return 0 if all(segment.array is not None for segment in segments) else int(learner["replay"]["total"])


def with_none_kept(learner: Mapping[str, Any]) -> dict[str, Any]:
    """The learner's state with an empty buffer, to be filled anew before it learns again."""
    held = learner["replay"]
    weights = held["priorities"] and {**held["priorities"], "weights": held["priorities"]["weights"] * 0}
    empty = {"total": 0, "segments": [], "tail": held["tail"][:0], "priorities": weights}
    return {**learner, "replay": empty, "refilled_from": learner["before"]}


def _rows_of(state: Mapping[str, object]) -> list[Array]:
    """A buffer's state as rows of bytes. Raises DamagedSession where segments do not lie beside it."""
    arrays = [segment.array for segment in take(state, "segments")]
    if any(array is None for array in arrays):
        raise DamagedSession("the replay buffer does not lie beside the checkpoint", "name the session instead")
    return [*arrays, take_array(state, "tail")]


def _fill(span: Array, rows: Array | None) -> None:
    if rows is None:
        raise DamagedSession("the replay buffer does not lie beside the checkpoint", "name the session instead")
    if rows.dtype != span.dtype or rows.shape != span.shape:
        raise _misfit()
    span[...] = rows


def _misfit() -> DamagedSession:
    return DamagedSession(
        "the checkpoint's replay buffer is not one of this run", "resume with the settings it was made with"
    )


def _row_type(spec: TaskSpec) -> np.dtype[Any]:
    """One transition, packed: what is drawn together lies together."""
    fields: list[Any] = [("action", np.int64), ("reward", np.float32), ("carry", np.float32)]
    fields += [(name, spec.obs_dtype, spec.obs_shape) for name in ("obs", "next_obs")]
    return np.dtype([*fields, ("next_mask", np.bool_, (spec.n,))] if spec.masked else fields)
