"""One rank of a run that `run --nproc` started: what torchrun executes, once for each rank and again after a loss."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from tui_trainer.engine.main import follow_leader, forgive_prints, run_engine
from tui_trainer.errors import TuiTrainerError
from tui_trainer.sessions import words
from tui_trainer.sessions.store import Session
from tui_trainer.telemetry.world import die_with_parent, world


def main(argv: Sequence[str] | None = None) -> int:
    """0 where the run came to an end, whichever: its exit code stands in the session; else torchrun begins again."""
    parser = words.parser("tui_trainer.cli.rank")
    parser.add_argument("--lines", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    die_with_parent()
    place = world()
    try:
        session = Session.open(args.session)
        if place.restarts and session.read().status.exit_code is not None:
            return 0  # it came to an end, and a rank was lost only after that
        if place.rank:
            return follow_leader(place)
        _lead(session, args)
    except TuiTrainerError as error:
        print(f"tui-trainer: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _lead(session: Session, args: argparse.Namespace) -> None:
    from tui_trainer.cli.running import run_foreground
    from tui_trainer.core.config import assignments_layer

    if args.lines or args.json:
        run_foreground(session, args.assignments, args.callbacks, json=args.json)
    else:
        forgive_prints()
        run_engine(session, overrides=assignments_layer(args.assignments), callbacks=args.callbacks)


if __name__ == "__main__":
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where a person's own tasks and callbacks lie
    raise SystemExit(main())
