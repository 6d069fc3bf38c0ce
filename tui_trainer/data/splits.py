"""Which items are for training and which are held out: stratified by category, and no item's like on the other side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

ALIKE = 8
"""Looks are alike where no byte of them differs by more than this."""


class Split(NamedTuple):
    """Indices of items, ascending."""

    train: tuple[int, ...]
    held_out: tuple[int, ...]
    final: tuple[int, ...] = ()
    """Held out, too, and kept for the final evaluation alone."""


def groups_of(looks: Sequence[str]) -> list[int]:
    """A group's number for each item: those that look alike, directly or through others, share it.

    `looks` are bytes in hexadecimal, all of one length; an empty one is like nothing.
    """
    parent = list(range(len(looks)))
    for a, b in _pairs(looks):
        parent[_root(parent, b)] = _root(parent, a)
    return [_root(parent, item) for item in range(len(looks))]


def _root(parent: list[int], item: int) -> int:
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


def _pairs(looks: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Alike ones. Walked in order of their means: where those are far apart there is nothing to compare."""
    known = [item for item, each in enumerate(looks) if each]
    if not known:
        return
    points = np.array([list(bytes.fromhex(looks[item])) for item in known], np.int16)
    means = points.mean(axis=1)
    order = np.argsort(means, kind="stable")
    points, means = points[order], means[order]
    ends = np.searchsorted(means, means + ALIKE, "right")
    for first, end in enumerate(ends.tolist()):
        apart = np.abs(points[first + 1 : end] - points[first]).max(axis=1, initial=0)
        for other in np.flatnonzero(apart <= ALIKE).tolist():
            yield known[order[first]], known[order[first + 1 + other]]


def split(categories: Sequence[str], groups: Sequence[int], names: Sequence[str], share: float, seed: int) -> Split:
    """Hold out about `share` of every category, whole groups at a time; at least one group where there are two.

    Which ones depends on the seed and on `names` (such as content hashes), not on the order of the items.
    """
    members: dict[int, list[int]] = {}
    for item, group in enumerate(groups):
        members.setdefault(group, []).append(item)
    held: set[int] = set()
    for category in sorted(set(categories)):
        mine = [group for group, items in members.items() if categories[items[0]] == category]
        held |= _held(mine, members, names, share, seed)
    chosen = {item for group in held for item in members[group]}
    everything = range(len(categories))
    return Split(tuple(i for i in everything if i not in chosen), tuple(sorted(chosen)))


def parted(
    found: Split, categories: Sequence[str], groups: Sequence[int], names: Sequence[str], share: float, seed: int
) -> Split:
    """The same, with about `share` of what every category holds out kept for the end; none of one with one group."""
    held = found.held_out
    part = split([categories[i] for i in held], [groups[i] for i in held], [names[i] for i in held], share, seed + 1)
    return Split(found.train, tuple(held[i] for i in part.train), tuple(held[i] for i in part.held_out))


def _held(mine: list[int], members: dict[int, list[int]], names: Sequence[str], share: float, seed: int) -> set[int]:
    wanted = share * sum(len(members[group]) for group in mine)
    order = sorted(mine, key=lambda group: _rank(seed, min(names[item] for item in members[group])))
    held: set[int] = set()
    count = 0.0
    for group in order[: len(order) - 1]:
        if held and count + len(members[group]) / 2 > wanted:
            break
        held.add(group)
        count += len(members[group])
    return held


def _rank(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
