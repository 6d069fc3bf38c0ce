"""`rerun`: is every checkpoint what seed and decisions lead to?"""

from __future__ import annotations

import sys

import msgspec

from tui_trainer.cli import find
from tui_trainer.engine.threads import pin_threads
from tui_trainer.errors import SessionInUse, UsageError
from tui_trainer.sessions.store import Session

WORDS = {True: "equal", False: "DIFFERENT", None: "not compared"}


def rerun_session(sessions: str | None, name: str, *, json: bool) -> int:
    """Print one line a checkpoint; 1 where one differs, 2 where none could be compared."""
    session = find.session(sessions, name)
    owner = session.owner()
    if owner:
        raise SessionInUse(f"{session.name} is live, pid {owner.pid}", "rerun it when it has ended")
    pin_threads(_threads(session))
    from tui_trainer.engine.rerun import Compared, Rerun

    def tell(compared: Compared) -> None:
        if json:
            sys.stdout.write(msgspec.json.encode(compared).decode() + "\n")
        else:
            word = WORDS[compared.equal]
            print(f"update {compared.update:>8}  {word:<12} {compared.checkpoint}  {compared.why}".rstrip())

    results = Rerun(session, tell).execute()
    compared = [result.equal for result in results if result.equal is not None]
    if not compared:
        raise UsageError(f"no checkpoint of {session.name} could be compared")
    print(f"{sum(compared)} of {len(compared)} compared checkpoints are bit-equal", file=sys.stderr)
    return 0 if all(compared) else 1


def _threads(session: Session) -> int:
    return int(session.read().config.get("run", {}).get("threads", 1))
