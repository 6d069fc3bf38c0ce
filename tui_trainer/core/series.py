"""Bounded, downsampled history of one metric: it never grows past its capacity and never loses its ends.

Points are buckets of `stride` points each. When a series is full, neighbouring buckets are merged and the stride
doubles, so that the whole history keeps one even resolution; each bucket keeps the lowest and highest value, so that
a spike stays visible. The first point and the newest ones stay exact. Appending is O(tail), not O(history), which
keeps a replay of a million events affordable.
"""

from __future__ import annotations

import msgspec

CAPACITY = 512
_TAIL = 32


class Bucket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`count` neighbouring points: x of the last one (step, Unix time, update), mean, low, high of the finite values.

    `first_update` is the update of the first point; mean, low and high are None where no value was finite.
    """

    step: int
    time: float
    update: int
    mean: float | None
    low: float | None
    high: float | None
    count: int = 1
    first_update: int = 0


class Series(msgspec.Struct, frozen=True, gc=False):
    """A metric's history: `head` is merged, `tail` is exact and short."""

    head: tuple[Bucket, ...] = ()
    tail: tuple[Bucket, ...] = ()
    stride: int = 1
    """Points in each bucket of `head`, the first and the last of them apart."""

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """All buckets, oldest first."""
        return self.head + self.tail

    @property
    def last(self) -> Bucket | None:
        """The newest bucket, or None."""
        if self.tail:
            return self.tail[-1]
        return self.head[-1] if self.head else None

    def append(self, step: int, time: float, update: int, value: float | None) -> Series:
        """The series with one more point."""
        tail = (*self.tail, Bucket(step, time, update, value, value, value, 1, update))
        if len(tail) <= _TAIL:
            return Series(self.head, tail, self.stride)
        head = _filled(self.head, tail[:-1], self.stride)
        if len(head) <= CAPACITY:
            return Series(head, tail[-1:], self.stride)
        return Series(_halved(head), tail[-1:], 2 * self.stride)

    def until(self, update: int, step: int | None = None) -> Series:
        """The series as it was after `update` (at `step`): later buckets go, one that straddles it ends there."""
        return Series(_cut(self.head, update, step), _cut(self.tail, update, step), self.stride)


def _cut(buckets: tuple[Bucket, ...], update: int, step: int | None) -> tuple[Bucket, ...]:
    return tuple(_ended(b, update, step) for b in buckets if b.first_update <= update)


def _ended(b: Bucket, update: int, step: int | None) -> Bucket:
    if b.update <= update:
        return b
    return msgspec.structs.replace(b, update=update, step=b.step if step is None else min(b.step, step))


def _filled(head: tuple[Bucket, ...], points: tuple[Bucket, ...], stride: int) -> tuple[Bucket, ...]:
    """`head` with `points` behind it, in buckets of `stride`; the very first point stays alone."""
    if stride == 1:
        return head + points
    room = stride - head[-1].count if len(head) > 1 else 0
    begun = (*head[:-1], _merged((head[-1], *points[:room]))) if room > 0 else head
    rest = points[max(0, room) :]
    return begun + tuple(_merged(rest[i : i + stride]) for i in range(0, len(rest), stride))


def _halved(buckets: tuple[Bucket, ...]) -> tuple[Bucket, ...]:
    """Merge pairs, leaving the first bucket alone so that the beginning stays exact."""
    first, rest = buckets[0], buckets[1:]
    return (first, *(_merged(rest[i : i + 2]) for i in range(0, len(rest), 2)))


def _merged(parts: tuple[Bucket, ...]) -> Bucket:
    """Neighbouring buckets as one. A part without a finite value counts, and has no say in the mean."""
    last = parts[-1]
    count = sum(part.count for part in parts)
    known = [(part.mean * part.count, part.count) for part in parts if part.mean is not None]
    if not known:
        return Bucket(last.step, last.time, last.update, None, None, None, count, parts[0].first_update)
    low = min(part.low for part in parts if part.low is not None)
    high = max(part.high for part in parts if part.high is not None)
    mean = sum(total for total, _ in known) / sum(weight for _, weight in known)
    return Bucket(last.step, last.time, last.update, min(high, max(low, mean)), low, high, count, parts[0].first_update)
