"""Deleting that can be undone: sessions are put aside under `.trash`, and for good after a week."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from tui_trainer.errors import UsageError
from tui_trainer.sessions.names import SESSION_FILE
from tui_trainer.sessions.oslayer import REAL, Disk, make_directories, storage_errors
from tui_trainer.sessions.store import Session, bury, clear_away

TRASH = ".trash"
KEPT_S = 7 * 86400.0


def put_aside(session: Session, *, disk: Disk = REAL, now: float | None = None) -> Path:
    """Move a session that nobody runs out of the list; where it lies. Raises SessionInUse, StorageError."""
    path = session.path
    if path.is_symlink():
        raise UsageError(f"{path.name} is a link", "delete the link by hand")
    moment = int(time.time() if now is None else now)
    while os.path.lexists(aside := path.parent / TRASH / f"{moment}-{path.name}"):
        moment += 1
    with session.lock(), storage_errors(path.parent):
        make_directories(disk, aside.parent)
        disk.rename(path, aside)
        disk.fsync_dir(path.parent)
        disk.fsync_dir(aside.parent)
    return aside


def bring_back(root: Path, name: str, *, disk: Disk = REAL) -> Path:
    """The session of that name that was put aside last. Raises UsageError where there is none, or its name is taken."""
    aside = max((entry for entry in _entries(root) if _name(entry) == name), key=_moment, default=None)
    if aside is None:
        raise UsageError(f"{name} is not in {root / TRASH}", "after a week it is gone for good")
    path = root / name
    if os.path.lexists(path):
        raise UsageError(f"{name} is in use again", f"it lies in {aside}")
    with storage_errors(root):
        disk.rename(aside, path)
        disk.fsync_dir(root)
        disk.fsync_dir(aside.parent)
    return path


def empty(root: Path, *, disk: Disk = REAL, now: float | None = None) -> int:
    """Delete what was put aside more than a week ago; returns how many. Raises StorageError."""
    moment = time.time() if now is None else now
    old = [entry for entry in _entries(root) if moment - _moment(entry) > KEPT_S]
    with storage_errors(root):
        for entry in old:
            bury(disk, entry, root)
    clear_away(root, disk)
    return len(old)


def _entries(root: Path) -> Iterator[Path]:
    """Sessions that were put aside; anything else under `.trash` is left alone."""
    trash = root / TRASH
    for name in sorted(os.listdir(trash)) if trash.is_dir() and not trash.is_symlink() else ():
        entry = trash / name
        if name.partition("-")[0].isdecimal() and not entry.is_symlink() and (entry / SESSION_FILE).is_file():
            yield entry


def _moment(entry: Path) -> int:
    return int(entry.name.partition("-")[0])


def _name(entry: Path) -> str:
    return entry.name.partition("-")[2]
