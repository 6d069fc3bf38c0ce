"""Pictures to train on and pictures held out, and every tracing that was done of them.

The quality of a picture is the percentile, among the training pictures of its category, of the `quality` that
data/images.py measures.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tui_trainer.core.data import DataReport
from tui_trainer.data import catalogue, images
from tui_trainer.data.store import Store, default_path
from tui_trainer.data.workers import Failed, Workers
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Array, Float
from tui_trainer.tasks.vector.generator import CATEGORIES, picture
from tui_trainer.tasks.vector.parameters import Values
from tui_trainer.tasks.vector.tracing import Traced

SHOWN = ("sharpness", "contrast", "noise", "edges", "smooth", "corners", "colours", "entropy", "complexity")
"""Scores that an observation holds."""
MOST_KEPT = 200_000
"""Tracings remembered."""
TRACE = "tui_trainer.tasks.vector.tracing:trace"


class Picture(NamedTuple):
    """A picture of the library."""

    pixels: Array
    """(H, W, 3) uint8."""
    category: str
    name: str
    digest: str
    features: Float
    """(len(SHOWN),)"""
    worth: float
    """Its measured quality, 0..1."""


class Traces:
    """Tracings by picture and parameters; each is done once, in worker processes, many at a time.

    A failed one is done once more, since a worker may have been killed from outside, and then remembered as None.
    """

    def __init__(self, jobs: int, timeout_s: float) -> None:
        self._workers = Workers(TRACE, jobs or _cores(), timeout_s)
        self._known: dict[tuple[str, Values], Traced | None] = {}

    def _forget(self, kept: Iterable[tuple[str, Values]]) -> None:
        """Make room; what is asked for just now stays."""
        self._known = {key: self._known[key] for key in kept if key in self._known}

    def __call__(self, pictures: Sequence[Picture], values: Sequence[Values]) -> list[Traced | None]:
        """Of each picture with its parameters; None where VTracer failed twice."""
        wanted = [(picture_.digest, each) for picture_, each in zip(pictures, values)]
        if len(self._known) > MOST_KEPT:
            self._forget(wanted)
        missing = {key: picture_ for key, picture_ in zip(wanted, pictures) if key not in self._known}
        if missing:
            self._trace(missing)
            self._trace({key: picture_ for key, picture_ in missing.items() if self._known[key] is None})
        return [self._known[key] for key in wanted]

    def _trace(self, missing: dict[tuple[str, Values], Picture]) -> None:
        outcomes = self._workers.map([(picture_.pixels, key[1]) for key, picture_ in missing.items()])
        for key, outcome in zip(missing, outcomes):
            self._known[key] = None if isinstance(outcome, Failed) else outcome

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the worker processes that live."""
        return self._workers.pids

    def close(self) -> None:
        """End the workers; what is known stays."""
        self._workers.close()


class Library(NamedTuple):
    """Pictures by use."""

    train: tuple[Picture, ...]
    held_out: tuple[Picture, ...]
    categories: tuple[str, ...]
    """From the easiest to the hardest."""
    train_quality: Array
    """(len(train),) percentiles in (0, 1]."""
    digest: str
    final: Callable[[], tuple[Picture, ...]]
    """Pictures that nothing but the final evaluation sees; empty where there are too few for that."""
    report: DataReport | None = None

    @property
    def shown(self) -> tuple[str, ...]:
        """Categories that hold out pictures; one with a single picture, or with like ones only, does not."""
        found = {each.category for each in self.held_out}
        return tuple(name for name in self.categories if name in found)


@functools.lru_cache(maxsize=4)
def generated(seed: int, side: int, count: int, held_out: int) -> Library:
    """`count` training pictures and `held_out` others of every category; the same arguments give the same ones."""
    made = [
        [_picture(picture(seed, kind, number, side), name, f"{name} {number}") for number in range(count + held_out)]
        for kind, name in enumerate(CATEGORIES)
    ]
    train = [each for row in made for each in row[:count]]
    found = _library(train, [each for row in made for each in row[count:]], CATEGORIES)
    return found._replace(final=functools.partial(_more, seed, side, count + held_out, held_out))


@functools.lru_cache(maxsize=4)
def _more(seed: int, side: int, first: int, count: int) -> tuple[Picture, ...]:
    """Further generated pictures, made when they are asked for."""
    return tuple(
        _picture(picture(seed, kind, number, side), name, f"{name} {number}")
        for kind, name in enumerate(CATEGORIES)
        for number in range(first, first + count)
    )


def from_folder(source: Path, side: int, share: float, seed: int, jobs: int, final_share: float) -> Library:
    """The usable pictures of a folder, split with near-duplicates on one side. Raises UsageError for too few."""
    store = Store(default_path(os.environ))
    try:
        found = catalogue.examine(source, "images", jobs=jobs or _cores(), store=store)
    finally:
        store.close()
    split = found.split(share, seed, final_share)
    if not split.train or not split.held_out:
        rejects = ", ".join(sorted({item.reject for item in found.items if item.reject})) or "none rejected"
        raise UsageError(
            f"{source}: {len(found.used)} of {len(found.items)} files can be used ({rejects}): too few to split",
            "give four pictures or more; `tui-trainer data check` tells why files are rejected",
        )
    root = source if source.is_dir() else source.parent
    pictures = [
        _picture(images.fitted(images.opened(root / item.path), side), item.category, item.path) for item in found.used
    ]
    train, held_out, final = ([pictures[i] for i in rows] for rows in split)
    return _library(train, held_out, _by_ease(train), final)._replace(report=found.report(split))


def _by_ease(pictures: Sequence[Picture]) -> tuple[str, ...]:
    """The known categories in their order; others after them, by their mean complexity."""
    names = {each.category for each in pictures}
    complexity = {
        name: np.mean([each.features[SHOWN.index("complexity")] for each in pictures if each.category == name])
        for name in names
    }
    return tuple(sorted(names, key=lambda name: (_rank(name), complexity[name], name)))


def _rank(name: str) -> int:
    return CATEGORIES.index(name) if name in CATEGORIES else len(CATEGORIES)


def _library(
    train: Sequence[Picture], held_out: Sequence[Picture], categories: tuple[str, ...], final: Sequence[Picture] = ()
) -> Library:
    known, kept = (tuple(each for each in part if each.category in categories) for part in (held_out, final))
    quality = np.zeros(len(train))
    for name in categories:
        rows = np.array([i for i, each in enumerate(train) if each.category == name], np.int64)
        worth = np.array([train[i].worth for i in rows])
        quality[rows] = np.searchsorted(np.sort(worth), worth, "right") / len(worth)
    lines = [f"{each.category} {each.digest}" for each in (*train, *known)]
    lines += [f"final {each.category} {each.digest}" for each in kept]
    digest = hashlib.sha256("\n".join([str(len(train)), *lines]).encode()).hexdigest()
    return Library(tuple(train), known, categories, quality, digest, lambda: kept)


def _picture(pixels: Array, category: str, name: str) -> Picture:
    scores = images.measured(pixels)
    features = np.array([scores[each] for each in SHOWN], np.float32)
    return Picture(pixels, category, name, images.digest(pixels), features, scores["quality"])


def described(pixels: Array) -> Picture:
    """A picture of no library, such as one to apply a policy to."""
    return _picture(pixels, "", "")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
