"""What an examination of a person's data found: a value that events, lists and screens share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from tui_trainer.core.format import count
from tui_trainer.core.values import Value

DataKind: TypeAlias = Literal["images", "bars", "requests"]


class DataReport(Value, frozen=True):
    """What a file or folder holds and what of it is used."""

    source: str
    kind: DataKind
    digest: str
    """Hash of what is used, categories included: the same digest is the same data."""
    files: int
    used: int
    categories: dict[str, int] = {}
    """Files in use, by category."""
    rejects: dict[str, int] = {}
    """What is not used, by reason: files, and rows of tables."""
    examples: tuple[str, ...] = ()
    """The first rejects with their reasons in full."""
    scores: dict[str, tuple[float, float, float]] = {}
    """Of the files in use: lowest, median and highest of each score."""
    split: dict[str, int] = {}
    """How many are for training and held out, where files are split; series are split by time."""
    near_duplicates: int = 0
    """Files that look like another one; both lie on the same side of a split."""


def sentence(report: DataReport) -> str:
    """The report in a line."""
    parts = [f"{count(report.used)} of {count(report.files)} files of {report.source} used"]
    if len(report.categories) > 1:
        parts.append(counted(report.categories))
    if report.split:
        parts.append(counted(report.split))
    if report.rejects:
        parts.append(f"rejected: {counted(report.rejects)}")
    return " · ".join(parts)


def counted(numbers: Mapping[str, int]) -> str:
    """Such as `simple 12, text 9`."""
    return ", ".join(f"{name} {count(number)}" for name, number in numbers.items())
