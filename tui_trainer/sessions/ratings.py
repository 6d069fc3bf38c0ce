"""The ratings of a session's snapshots, kept beside it for its report."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from tui_trainer.core.values import Ratings
from tui_trainer.errors import DamagedSession, StorageError
from tui_trainer.sessions.files import read_bytes, shown

NAME = "elo.json"
_MOST_BYTES = 1 << 20


def write_ratings(session: Path, ratings: Ratings) -> Path:
    """Replace what was measured before. Raises StorageError."""
    path = session / NAME
    draft = path.with_suffix(".new")
    try:
        draft.write_bytes(msgspec.json.encode(ratings) + b"\n")
        os.replace(draft, path)
    except OSError as error:
        raise StorageError(f"{shown(path)}: {error.strerror}", "--json prints the ratings all the same") from None
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
