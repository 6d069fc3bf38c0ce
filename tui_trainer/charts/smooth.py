"""Smoothing of a history: exponential moving averages."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tui_trainer.core.series import Bucket, Series


def smoothed(values: Sequence[float], weight: float = 0.9) -> list[float]:
    """Exponential moving average without a bias to its start: s_t = sum(w^i x_{t-i}) / sum(w^i)."""
    total = norm = 0.0
    means = []
    for value in values:
        total, norm = weight * total + value, weight * norm + 1.0
        means.append(total / norm)
    return means


def smooth(series: Series, weight: float) -> Series:
    """The series with each mean smoothed and no lows and highs beside it; gaps stay gaps and have no say."""
    known = smoothed([bucket.mean for bucket in series.buckets if bucket.mean is not None], weight)
    means = iter(known)
    return Series(tail=tuple(b if b.mean is None else _at(b, next(means)) for b in series.buckets))


def _at(bucket: Bucket, mean: float) -> Bucket:
    return msgspec.structs.replace(bucket, mean=mean, low=mean, high=mean)
