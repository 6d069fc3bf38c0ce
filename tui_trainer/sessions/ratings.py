"""The ratings of a session's snapshots, kept beside it for its report."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tui_trainer.core.values import Ratings
from tui_trainer.errors import DamagedSession
from tui_trainer.sessions.files import read_bytes, shown
from tui_trainer.sessions.oslayer import REAL, Disk, replace_file, storage_errors

NAME = "elo.json"
_MOST_BYTES = 1 << 20


def write_ratings(session: Path, ratings: Ratings, *, disk: Disk = REAL) -> Path:
    """Replace what was measured before. Raises StorageError."""
    path = session / NAME
    with storage_errors(session):
        replace_file(disk, path, msgspec.json.encode(ratings) + b"\n")
    return path


def read_ratings(session: Path) -> Ratings | None:
    """What was measured last, or None. Raises DamagedSession for a file that is none of ours."""
    path = session / NAME
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(read_bytes(path, _MOST_BYTES), type=Ratings)
    except msgspec.MsgspecError as error:
        raise DamagedSession(f"{shown(path)}: {error}", "delete it; `tui-trainer elo` measures anew") from None
