"""Puts a report on the disk: Markdown beside its pictures, or one HTML file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tui_trainer.core.text import clean_line
from tui_trainer.errors import StorageError
from tui_trainer.reports.blocks import html_page, markdown
from tui_trainer.reports.facts import Facts
from tui_trainer.reports.page import blocks
from tui_trainer.reports.pictures import draw


def write_report(facts: Facts, directory: Path, *, html: bool = False) -> list[Path]:
    """The files written: `report.md` first, or `report.html` alone. Raises MissingExtra, StorageError."""
    drawn = draw(facts)
    page = blocks(facts, {name: picture.shows for name, picture in drawn.items()})
    if html:
        text = html_page(page, {name: picture.svg for name, picture in drawn.items()})
        return _written(directory, {"report.html": text.encode()})
    files = {"report.md": markdown(page).encode()}
    for name, picture in drawn.items():
        files |= {f"{name}.svg": picture.svg, f"{name}.png": picture.png}
    return _written(directory, files)


def _written(directory: Path, files: dict[str, bytes]) -> list[Path]:
    try:
        others = _others_may(directory)
        directory.mkdir(0o777 if others else 0o700, parents=True, exist_ok=True)
        for name, data in files.items():
            path = directory / name
            with open(
                path, "wb", opener=lambda place, flags: os.open(place, flags, 0o666 if others else 0o600)
            ) as file:
                file.write(data)
    except OSError as error:
        where = clean_line(str(error.filename or directory))
        raise StorageError(f"{where}: {error.strerror}", "choose another directory with --out") from None
    return [directory / name for name in files]


def _others_may(directory: Path) -> bool:
    """False within a session, which is its owner's alone whatever the umask."""
    return not directory.parent.is_dir() or bool(stat.S_IMODE(directory.parent.stat().st_mode) & 0o077)
