"""Bars of a file or folder, ready for a task, with the catalogue of what was used."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tui_trainer.data import bars
from tui_trainer.data.bars import Bars
from tui_trainer.data.catalogue import Catalogue, Item, measure_bars, require_libraries
from tui_trainer.errors import UsageError


def load(source: Path) -> tuple[Catalogue, list[Bars]]:
    """Every usable series, by the name of its file. Raises UsageError where there is none, MissingExtra.

    In a folder a file that cannot be used, or holds the same bars as another, is a reject; a file that is named alone
    must be usable.
    """
    files = bars.find(source)
    require_libraries("bars", files)
    root = source if source.is_dir() else source.parent
    items: list[Item] = []
    series: dict[str, Bars] = {}
    for path in files:
        name = path.relative_to(root).as_posix()
        try:
            found = bars.read(path)
        except UsageError as error:
            items.append(_refused(path, name, error))
            continue
        item = _item(path, name, found)
        items.append(_doubled(item, items) if item.sha256 in series else item)
        series.setdefault(item.sha256, found.bars)
    if not series:
        raise UsageError(f"{source}: {items[0].detail}" if len(items) > 1 else items[0].detail, "mend the file")
    return Catalogue(source, "bars", tuple(items)), list(series.values())


def _item(path: Path, name: str, found: bars.Found) -> Item:
    measured = measure_bars(found)
    folder = name.partition("/")[0] if "/" in name else ""
    return Item(
        name, path.stat().st_size, _digest(found.bars), folder or measured.category, measured.scores, rows=measured.rows
    )


def _refused(path: Path, name: str, error: UsageError) -> Item:
    return Item(name, path.stat().st_size, reject="broken", detail=error.message)


def _doubled(item: Item, items: list[Item]) -> Item:
    first = next(each.path for each in items if each.sha256 == item.sha256)
    return Item(item.path, item.size, item.sha256, reject="duplicate", detail=f"the same bars as {first}")


def _digest(series: Bars) -> str:
    found = hashlib.sha256()
    for field in series:
        found.update(field.tobytes())
    return found.hexdigest()
