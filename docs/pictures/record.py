"""Puts down what the pictures of the list, of comparisons, studies, ranks and games show: real runs, read once.

python docs/pictures/record.py SESSIONS STUDY NAME...        # writes docs/pictures/recorded.json
python docs/pictures/record.py --live SESSIONS STUDY NAME    # recorded-live.json, and ranks.jsonl of the session NAME

The second form is for a study that is running and a session on several ranks; the game is one against the sample.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import msgspec

from tui_trainer.cli.browsing import Cupboard
from tui_trainer.cli.comparing import contrast
from tui_trainer.cli.reporting import facts
from tui_trainer.client.duel import DuelProcess
from tui_trainer.core import duel as d
from tui_trainer.core.study import StudyView
from tui_trainer.sessions.store import Session
from tui_trainer.studies.study import open_storage, storage_url
from tui_trainer.studies.watching import Watch
from tui_trainer.ui.contrast import Contrast
from tui_trainer.ui.shelf import SessionRow

RECORDED = Path(__file__).with_name("recorded.json")
LIVE = Path(__file__).with_name("recorded-live.json")
RANKS = Path(__file__).with_name("ranks.jsonl")
SAMPLE = Path(__file__).parents[2] / "sessions" / "sample"
MOVES = ("4", "3", "5")
"""A person's answers to the sample, as far as they are legal."""


class Recorded(msgspec.Struct):
    """`now` is the Unix time at which the list was read."""

    now: float
    rows: list[SessionRow]
    contrast: Contrast
    study: StudyView


class Live(msgspec.Struct):
    """A study amid its trials, a game against the sample amid its moves."""

    study: StudyView
    opened: d.Opened
    position: d.Position


def load() -> Recorded:
    """What was put down."""
    return msgspec.json.decode(RECORDED.read_bytes(), type=Recorded)


def load_live() -> Live:
    """What was put down of things that were going on."""
    return msgspec.json.decode(LIVE.read_bytes(), type=Live)


def main(root: Path, study: str, *names: str) -> None:
    """Read everything and write it."""
    compared = contrast([facts(Session.open(root / name)) for name in names], "")
    view = Watch(root, study, open_storage(storage_url(root, study))).read()
    found = Recorded(time.time(), Cupboard(root).load(), compared, view)
    RECORDED.write_bytes(msgspec.json.encode(found) + b"\n")


def record_live(root: Path, study: str, ranked: str) -> None:
    """Read what is going on and write it."""
    view = Watch(root, study, open_storage(storage_url(root, study))).read()
    line = DuelProcess(d.Open(source=str(SAMPLE), rival=d.PERSON, first=d.LEARNER))
    try:
        position = _played(line)
        LIVE.write_bytes(msgspec.json.encode(Live(view, line.opened, position)) + b"\n")
    finally:
        line.close()
    shutil.copy(root / ranked / "events.jsonl", RANKS)


def _played(line: DuelProcess) -> d.Position:
    """The game after some moves, a person's turn."""
    at = line.ask(d.NewGame())
    for move in MOVES:
        assert isinstance(at, d.Position)
        at = at if at.player == d.PERSON else line.ask(d.Go())
        played = line.ask(d.Play(move=move))
        at = played if isinstance(played, d.Position) else at
        at = line.ask(d.Go())
    assert isinstance(at, d.Position)
    return at


if __name__ == "__main__":
    if sys.argv[1] == "--live":
        record_live(Path(sys.argv[2]), *sys.argv[3:])
    else:
        main(Path(sys.argv[1]), *sys.argv[2:])
