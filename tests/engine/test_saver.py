"""The saver: training waits for no disk, nothing that must be kept is skipped, a refusal is told and retried."""

from __future__ import annotations

import threading
import time

from tui_trainer.core.values import CheckpointKind
from tui_trainer.engine.inbox import Inbox, Item, SaveDone, SaveFailed, StorageBack
from tui_trainer.engine.saver import SaveJob, Saver, Written
from tui_trainer.errors import StorageError


class FakeDisk:
    """Writes when the gate is open; refuses while `full`."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.full = False
        self.busy = threading.Event()
        self.written: list[int] = []

    def __call__(self, job: SaveJob) -> Written:
        self.busy.set()
        self.gate.wait(60)
        if self.full:
            raise StorageError("disk full: needs 3 MB in /s")
        self.written.append(job.update)
        return Written(job.update, f"checkpoints/{job.update}", 10, "0" * 64, 0.0, ())


def job(update: int, kind: CheckpointKind = "regular") -> SaveJob:
    return SaveJob({}, kind, update, update, {}, None, True)


def arrived(inbox: Inbox, kind: type, within_s: float = 60.0) -> list[Item]:
    """Everything up to and including the first item of a kind."""
    seen: list[Item] = []
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and not any(isinstance(item, kind) for item in seen):
        inbox.wait(0.05)
        seen += inbox.drain()
    return seen


def test_a_save_is_told_when_it_is_written() -> None:
    disk, inbox = FakeDisk(), Inbox()
    saver = Saver(disk, inbox)
    saver.submit(job(3, "manual"))
    assert saver.finish(60)
    done = arrived(inbox, SaveDone)
    assert [item.update for item in done if isinstance(item, SaveDone)] == [3]
    saver.stop()


def test_submitting_does_not_wait_for_a_slow_disk_and_regular_saves_coalesce() -> None:
    disk, inbox = FakeDisk(), Inbox()
    disk.gate.clear()
    saver = Saver(disk, inbox)
    saver.submit(job(1))
    assert disk.busy.wait(60)
    for update in range(2, 20):
        saver.submit(job(update))
    assert not disk.gate.is_set()
    disk.gate.set()
    assert saver.finish(60)
    assert disk.written == [1, 19]
    saver.stop()


def test_a_manual_save_is_never_replaced() -> None:
    disk, inbox = FakeDisk(), Inbox()
    disk.gate.clear()
    saver = Saver(disk, inbox)
    saver.submit(job(1))
    assert disk.busy.wait(60)
    saver.submit(job(2, "manual"))
    threading.Timer(0.1, disk.gate.set).start()
    saver.submit(job(3))
    assert saver.finish(60)
    assert disk.written == [1, 2, 3]
    saver.stop()


def test_a_full_disk_is_told_once_and_the_save_succeeds_when_there_is_room() -> None:
    disk, inbox = FakeDisk(), Inbox()
    disk.full = True
    saver = Saver(disk, inbox)
    saver.submit(job(1, "manual"))
    failed = [item for item in arrived(inbox, SaveFailed) if isinstance(item, SaveFailed)]
    assert failed == [SaveFailed("manual", "disk full: needs 3 MB in /s")]
    assert not saver.finish(0.1)
    disk.full = False
    told = arrived(inbox, StorageBack)
    assert [type(item) for item in told] == [SaveDone, StorageBack]
    assert disk.written == [1]
    saver.stop()


def test_stop_ends_the_retrying() -> None:
    disk, inbox = FakeDisk(), Inbox()
    disk.full = True
    saver = Saver(disk, inbox)
    saver.submit(job(1, "manual"))
    arrived(inbox, SaveFailed)
    saver.stop()
    saver._thread.join(60)
    assert not saver._thread.is_alive()
