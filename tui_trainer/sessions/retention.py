"""Which checkpoints may go: pure, so that it can be tested against every history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from tui_trainer.core.values import CheckpointKind

GIB = 1 << 30
KEPT_KINDS: tuple[CheckpointKind, ...] = ("manual", "stage", "try")


class Kept(Protocol):
    """What retention looks at."""

    @property
    def number(self) -> int: ...
    @property
    def kind(self) -> CheckpointKind: ...
    @property
    def score(self) -> float | None: ...
    @property
    def size(self) -> int: ...
    @property
    def buffer(self) -> Mapping[str, int]:
        """Size by name of the files that it may share with others."""
        ...


C = TypeVar("C", bound=Kept)


def prunable(
    checkpoints: Sequence[C], keep_last: int, keep_best: int, max_gib: float, spared: Collection[int] = ()
) -> tuple[C, ...]:
    """What to delete, oldest first: never the latest, the best, the newest `best`, a manual, a stage or a try one.

    The `keep_best` best scores and the `keep_last` newest others stay; past `max_gib` (0 = no bound) the oldest
    others go, too; what they share counts once. The numbers in `spared` stay whatever they are.
    """
    ordered = sorted(checkpoints, key=lambda c: c.number)
    best = sorted((c for c in ordered if c.kind == "best"), key=_rank)
    others = [c for c in ordered if c.kind != "best" and c.kind not in KEPT_KINDS]
    safe = {*spared} | {c.number for c in (*ordered[-1:], *best[-1:], *[c for c in ordered if c.kind == "best"][-1:])}
    doomed = {c.number for c in (*_all_but(best, keep_best), *_all_but(others, keep_last))} - safe
    doomed |= _too_much(ordered, [c for c in others if c.number not in doomed | safe], doomed, max_gib)
    return tuple(c for c in ordered if c.number in doomed)


def _all_but(ordered: Sequence[C], kept: int) -> Sequence[C]:
    """All but the last `kept`."""
    return ordered[: max(0, len(ordered) - kept)]


def _rank(checkpoint: Kept) -> tuple[float, int]:
    return (-float("inf") if checkpoint.score is None else checkpoint.score, checkpoint.number)


def _too_much(ordered: Sequence[C], others: Sequence[C], doomed: set[int], max_gib: float) -> set[int]:
    """Oldest of `others` until what stays fits."""
    kept = [c for c in ordered if c.number not in doomed]
    total, users = room(kept), Counter(name for c in kept for name in c.buffer)
    more: set[int] = set()
    for checkpoint in others:
        if max_gib <= 0 or total <= max_gib * GIB:
            break
        more.add(checkpoint.number)
        users.subtract(checkpoint.buffer.keys())
        total -= checkpoint.size + sum(size for name, size in checkpoint.buffer.items() if not users[name])
    return more


def room(checkpoints: Iterable[Kept]) -> int:
    """Bytes that they take together, what several share counted once."""
    kept = list(checkpoints)
    shared = {name: size for c in kept for name, size in c.buffer.items()}
    return sum(c.size for c in kept) + sum(shared.values())
