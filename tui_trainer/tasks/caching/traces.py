"""Segments of requests, ready for many caches at once: dense ids, predictions, quality, baselines.

Predictions come from an online first-order Markov table: for the object requested last, the successors seen so far and
their shares. They depend on requests alone, so they are worked out once, for all segments together.

The quality of a segment is the percentile, among the training segments, of its predictability: the mean of

    1 - share of one-hit wonders,   1 - H(next | last) / log2(length),   1 - drift

where H is the conditional entropy and drift is the share of the objects of one eighth of the segment that the eighth
before did not request, averaged.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tui_trainer.core.data import DataReport
from tui_trainer.data import requests as files
from tui_trainer.data.catalogue import Catalogue, Item, measure_requests
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Array, Bool, Float, Int, between
from tui_trainer.tasks.caching import workloads
from tui_trainer.tasks.caching.policies import ONLINE, belady, lru

LENGTH = 1024
"""Requests of a segment."""
SUCCESSORS = 5
TRAIN_SEGMENTS, HELD_OUT_SEGMENTS, FINAL_SEGMENTS = 768, 512, 512
"""Of a generated library."""
HELD_OUT_SHARE = 0.25
"""Of a user's trace, its end; the segment before it is the embargo."""
_EIGHTHS = 8

Short = NDArray[np.int16]


class Baselines(NamedTuple):
    """Hit ratios on one segment."""

    online: dict[str, float]
    bound: float
    """Belady's, who may leave an object out as the action does."""

    @property
    def best(self) -> float:
        """Of the online policies, whichever happens to be best here."""
        return max(self.online.values())


class Traces:
    """Segments in ascending quality; S segments, each with at most `objects` objects."""

    def __init__(self, requests: Short, sizes: Float, quality: Array, capacity: int) -> None:
        self.requests = requests
        """(S, LENGTH) dense ids, 0 to objects - 1 within a segment."""
        self.size_of = _by_object(requests, sizes)
        """(S, objects) log2 of an object's size over the median size."""
        self.quality = quality
        self.capacity = capacity
        self.objects = int(requests.max()) + 1
        self.successor, self.probability = predictions(requests, self.objects)
        self._known: dict[int, Baselines] = {}

    def between(self, low: float, high: float) -> tuple[int, int]:
        """First and past-the-last index of the qualities in [low, high]; the nearest segment where there is none."""
        return between(self.quality, low, high)

    @functools.cached_property
    def lru_hits(self) -> Bool:
        """(S, LENGTH): which requests hit in a plain LRU."""
        return np.array([lru(row.tolist(), self.capacity) for row in self.requests], np.bool_)

    def baselines(self, segment: int) -> Baselines:
        """Known policies on a segment; worked out when first asked for."""
        if segment not in self._known:
            requests = self.requests[segment].tolist()
            ratios = {name: sum(policy(requests, self.capacity)) / LENGTH for name, policy in ONLINE.items()}
            self._known[segment] = Baselines(ratios, sum(belady(requests, self.capacity, bypass=True)) / LENGTH)
        return self._known[segment]


class Library(NamedTuple):
    """Segments to train on, segments held out, and a hash that names them."""

    train: Traces
    held_out: Traces
    digest: str
    final: Callable[[], Traces]
    """Segments that nothing but the final evaluation sees; those held out where there are too few for that."""
    report: DataReport | None = None
    """What of a person's trace is used; None for generated workloads."""


@functools.lru_cache(maxsize=2)
def generated(seed: int, capacity: int) -> Library:
    """Generated workloads; the same arguments give the same ones."""
    count = TRAIN_SEGMENTS + HELD_OUT_SEGMENTS
    requests = np.stack([workloads.segment(seed, number, LENGTH, capacity)[0] for number in range(count)])
    split = Split(np.arange(TRAIN_SEGMENTS), np.arange(TRAIN_SEGMENTS, count))
    found = _library(requests, np.zeros(requests.shape, np.float32), split, capacity)
    return found._replace(final=functools.partial(_more, seed, capacity))


@functools.lru_cache(maxsize=2)
def _more(seed: int, capacity: int) -> Traces:
    """Further segments of the same workloads, made when they are asked for."""
    first = TRAIN_SEGMENTS + HELD_OUT_SEGMENTS
    numbers = range(first, first + FINAL_SEGMENTS)
    dense = _dense(np.stack([workloads.segment(seed, number, LENGTH, capacity)[0] for number in numbers]))
    among = _worths(generated(seed, capacity).train.requests)
    return _ranked(dense, np.zeros(dense.shape, np.float32), _worths(dense), among, capacity)


def from_file(path: Path, form: str, capacity: int, final_share: float) -> Library:
    """A user's trace, cut into segments; its end is held out. Raises UsageError where it is too short or no trace."""
    trace = files.read(path, form)
    count = len(trace.ids) // LENGTH
    if count < 3:
        raise UsageError(
            f"{path} holds {len(trace.ids)} requests: too few for training, an embargo and held-out ones",
            f"a segment is {LENGTH} requests; give three segments or more",
        )
    requests = trace.ids[: count * LENGTH].reshape(count, LENGTH)
    sizes = np.log2(np.maximum(trace.sizes, 1) / max(1.0, float(np.median(trace.sizes)))).astype(np.float32)
    sizes = sizes[: count * LENGTH].reshape(count, LENGTH)
    split = split_by_time(count, final_share)
    library = _library(requests, sizes, split, capacity)
    return library._replace(report=_report(path, trace, library, split))


class Split(NamedTuple):
    """Numbers of segments by use."""

    train: Int
    held_out: Int
    final: Int | None = None
    """None: those held out serve the final evaluation, too."""


def split_by_time(count: int, final_share: float) -> Split:
    """Segments to train on, an embargo of one, those held out; the last share of these is kept for the final
    evaluation, after an embargo of one, where three or more are held out."""
    first = count - max(1, int(count * HELD_OUT_SHARE))
    kept = min(round((count - first) * final_share), count - first - 2)
    train, held_out = np.arange(first - 1), np.arange(first, count)
    return Split(train, held_out) if kept < 1 else Split(train, held_out[: -kept - 1], held_out[-kept:])


def _report(path: Path, trace: files.Trace, library: Library, split: Split) -> DataReport:
    """A trace is split by time, into segments."""
    measured = measure_requests(trace)
    item = Item(path.name, path.stat().st_size, library.digest, measured.category, measured.scores)
    counts = {"training": len(split.train), "held out": len(split.held_out)}
    if split.final is not None:
        counts["final"] = len(split.final)
    return msgspec.structs.replace(Catalogue(path, "requests", (item,)).report(), split=counts)


def _library(requests: Int, sizes: Float, split: Split, capacity: int) -> Library:
    dense = _dense(requests)
    worth = _worths(dense)

    def ranked(rows: Int) -> Traces:
        return _ranked(dense[rows], sizes[rows], worth[rows], worth[split.train], capacity)

    found = hashlib.sha256(dense.tobytes() + sizes.tobytes() + repr((len(split.train), capacity)).encode())
    if split.final is not None:
        found.update(f"final {len(split.final)}".encode())
    held_out = ranked(split.held_out)
    final = held_out if split.final is None else ranked(split.final)
    return Library(ranked(split.train), held_out, found.hexdigest(), lambda: final)


def _dense(requests: Int) -> Short:
    """(S, T): each segment's ids from 0 on."""
    return np.stack([np.unique(row, return_inverse=True)[1] for row in requests]).astype(np.int16)


def _worths(dense: Short) -> Array:
    """Predictability of each segment, (S,)."""
    return np.array([predictability(row) for row in dense])


def _ranked(dense: Short, sizes: Float, worth: Array, among: Array, capacity: int) -> Traces:
    """Segments in the order of their quality: the share of `among` that is worth no more."""
    quality = np.searchsorted(np.sort(among), worth, "right") / len(among)
    order = np.argsort(quality, kind="stable")
    return Traces(dense[order], sizes[order], quality[order], capacity)


def _by_object(requests: Short, sizes: Float) -> Float:
    found = np.zeros((len(requests), int(requests.max()) + 1), np.float32)
    found[np.arange(len(requests))[:, None], requests] = sizes
    return found


def predictability(requests: Sequence[int] | Array) -> float:
    """How much of what comes next can be told from what came before, 0..1."""
    row = np.asarray(requests).astype(np.int64)
    length = len(row)
    counts = np.bincount(row)
    wonders = float((counts == 1).sum()) / length
    entropy = _conditional_entropy(row) / np.log2(length)
    eighths = [np.unique(part) for part in np.array_split(row, _EIGHTHS)]
    drift = np.mean([1 - np.isin(b, a).mean() for a, b in itertools.pairwise(eighths)])
    return float((1 - wonders + 1 - entropy + 1 - drift) / 3)


def _conditional_entropy(row: Int) -> float:
    """H(next | last) in bits, from the pairs of the segment itself; a pair seen once counts as not foreseen.

    Entropy of pairs minus entropy of what came first; single pairs are each given the surprise of any request.
    """
    pairs = row[:-1] * (int(row.max()) + 1) + row[1:]
    _, inverse, counts = np.unique(pairs, return_inverse=True, return_counts=True)
    share = counts[inverse] / np.bincount(row[:-1])[row[:-1]]
    surprise = np.where(counts[inverse] > 1, -np.log2(share), np.log2(len(row)))
    return float(surprise.mean())


def predictions(requests: Short, objects: int) -> tuple[Short, Float]:
    """Likeliest successors after each request, (S, T, 5) ids (-1 = none) and probabilities, likeliest first.

    Each object remembers five successors; a new one takes the place of the rarest. The share of a successor is its
    count over the object's own count and a half, so that one sighting is no certainty.
    """
    segments, length = requests.shape
    rows = np.arange(segments)
    known = np.full((segments, objects, SUCCESSORS), -1, np.int16)
    counts = np.zeros((segments, objects, SUCCESSORS), np.int16)
    total = np.zeros((segments, objects), np.float32)
    found = np.empty((segments, length, SUCCESSORS), np.int16)
    shares = np.empty((segments, length, SUCCESSORS), np.float32)
    for t in range(length):
        x = requests[:, t]
        if t:
            last = requests[:, t - 1]
            match = known[rows, last] == x[:, None]
            rarest = counts[rows, last].argmin(axis=1)
            at = np.where(match.any(axis=1), match.argmax(axis=1), rarest)
            counts[rows, last, at] = np.where(match.any(axis=1), counts[rows, last, at], 0) + 1
            known[rows, last, at] = x
            total[rows, last] += 1
        order = np.argsort(-counts[rows, x], axis=1, kind="stable")
        found[:, t] = np.take_along_axis(known[rows, x], order, axis=1)
        shares[:, t] = np.take_along_axis(counts[rows, x], order, axis=1) / (total[rows, x] + 0.5)[:, None]
    return found, shares
