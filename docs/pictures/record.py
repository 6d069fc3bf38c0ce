"""Puts down what the pictures of the list, of a comparison and of a study show: real runs, read once.

python docs/pictures/record.py SESSIONS STUDY NAME...   # writes docs/pictures/recorded.json
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec

from tui_trainer.cli.browsing import Cupboard
from tui_trainer.cli.comparing import contrast
from tui_trainer.cli.reporting import facts
from tui_trainer.core.study import StudyView
from tui_trainer.sessions.store import Session
from tui_trainer.studies.study import open_storage, storage_url
from tui_trainer.studies.watching import Watch
from tui_trainer.ui.contrast import Contrast
from tui_trainer.ui.shelf import SessionRow

RECORDED = Path(__file__).with_name("recorded.json")


class Recorded(msgspec.Struct):
    """`now` is the Unix time at which the list was read."""

    now: float
    rows: list[SessionRow]
    contrast: Contrast
    study: StudyView


def load() -> Recorded:
    """What was put down."""
    return msgspec.json.decode(RECORDED.read_bytes(), type=Recorded)


def main(root: Path, study: str, *names: str) -> None:
    """Read everything and write it."""
    compared = contrast([facts(Session.open(root / name)) for name in names], "")
    view = Watch(root, study, open_storage(storage_url(root, study))).read()
    found = Recorded(time.time(), Cupboard(root).load(), compared, view)
    RECORDED.write_bytes(msgspec.json.encode(found) + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
