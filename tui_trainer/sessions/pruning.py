"""Checkpoints deleted by hand, and said so in the history."""

from __future__ import annotations

import time
from collections.abc import Callable

from tui_trainer.core.events import CheckpointsPruned, stamp
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.journal import Journal, last_event
from tui_trainer.sessions.oslayer import REAL, Disk
from tui_trainer.sessions.store import Session


def prune_by_hand(
    session: Session,
    keep_last: int,
    keep_best: int,
    max_gib: float,
    *,
    disk: Disk = REAL,
    clock: Callable[[], float] = time.time,
) -> tuple[str, ...]:
    """Delete what retention would with these numbers, and what an earlier pruning or save left half done.

    The history is told first: a checkpoint that it calls pruned and that a kill has spared is no damage, one that is
    gone without a word is. Raises SessionInUse, StorageError.
    """
    with session.lock():
        store = CheckpointStore(session.path, disk)
        store.clean()
        doomed = tuple(manifest.path for manifest in store.plan(keep_last, keep_best, max_gib))
        if doomed:
            _tell(session, doomed, disk, clock())
        return store.prune(keep_last, keep_best, max_gib)


def _tell(session: Session, doomed: tuple[str, ...], disk: Disk, now: float) -> None:
    newest, journal = last_event(session.journal_path) or session.read().status, Journal(session.journal_path, disk)
    try:
        event = stamp(
            CheckpointsPruned(paths=doomed),
            seq=journal.last_seq + 1,
            time=now,
            update=newest.update,
            global_step=newest.global_step,
        )
        journal.append([event])
        journal.sync()
    finally:
        journal.close()
