"""`data check`: what a folder holds, before anything is trained on it."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tui_trainer.cli.listing import table
from tui_trainer.core.data import DataKind, DataReport, counted
from tui_trainer.core.text import clean_line
from tui_trainer.errors import UsageError
from tui_trainer.tasks.options import FINAL_SHARE

if TYPE_CHECKING:
    from tui_trainer.data.catalogue import Catalogue, Item

HELD_OUT = 0.25
"""Share that the printed split holds out."""
KINDS = ("auto", "images", "bars", "requests")


def check_data(source: str, kind: str, jobs: int, seed: int, *, fresh: bool, json: bool) -> int:
    """Print the examination; 1 where nothing of it can be used."""
    from tui_trainer.data import catalogue
    from tui_trainer.data.store import Store, default_path

    if kind not in KINDS:
        raise UsageError(f"--kind {kind} is none", f"one of {', '.join(KINDS)}")
    wanted: DataKind | None = None if kind == "auto" else msgspec.convert(kind, DataKind)
    store = Store(None if fresh else default_path(os.environ))
    try:
        found = catalogue.examine(Path(source).expanduser(), wanted, jobs=jobs or os.cpu_count() or 1, store=store)
    finally:
        store.close()
    report = found.report(found.split(HELD_OUT, seed, FINAL_SHARE) if found.kind == "images" else None)
    _print_json(found, report) if json else _print(found, report, seed)
    return 0 if report.used else 1


def _print_json(found: Catalogue, report: DataReport) -> None:
    """A line a file, then the report."""
    for item in found.items:
        clean = {name: clean_line(getattr(item, name)) for name in ("path", "category", "detail")}
        item = msgspec.structs.replace(item, **clean)
        sys.stdout.write(msgspec.json.encode(item).decode() + "\n")
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")


def _print(found: Catalogue, report: DataReport, seed: int) -> None:
    print(f"{report.kind} in {clean_line(report.source)}: {report.files} files, {report.used} used")
    names = list(report.scores)
    rows = [
        _category_row(name, [i for i in found.used if clean_line(i.category) == name], names)
        for name in report.categories
    ]
    if rows:
        print(table([("category", "files", *names), *rows]))
        print("scores are medians")
    if report.rejects:
        print(f"\nrejected: {counted(report.rejects)}")
        print("\n".join(f"  {clean_line(line)}" for line in report.examples))
    if report.near_duplicates:
        print(f"\n{report.near_duplicates} look like another one: both stay on one side of a split")
    if report.split:
        print(f"\nsplit with seed {seed}: {counted(report.split)}, every category on both sides where it can be")


def _category_row(name: str, items: Sequence[Item], scores: Sequence[str]) -> tuple[str, ...]:
    medians = (statistics.median([item.scores[score] for item in items]) for score in scores)
    return (clean_line(name), str(len(items)), *(f"{m:,.0f}" if m >= 100 else f"{m:.2f}" for m in medians))
