"""Kills, power cuts and failing system calls: what was acknowledged is there, what was not does no harm."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from tui_trainer.errors import StorageError
from tui_trainer.sessions.checkpoints import CheckpointStore, Manifest
from tui_trainer.sessions.journal import Journal, read_journal
from tui_trainer.sessions.store import Session

from .faulty_disks import FailingDisk, RecordingDisk
from .kills import kill_at_random
from .powercuts import cut_at_random
from .world import line, new_session, save


def test_no_kill_loses_an_acknowledged_checkpoint_or_leaves_a_session_that_cannot_be_read(tmp_path: Path) -> None:
    result = kill_at_random(tmp_path, kills=25, seed=1)
    assert result.broken == []
    assert result.acknowledged > 5


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_no_kill_of_a_thousand_loses_anything(tmp_path: Path) -> None:
    result = kill_at_random(tmp_path, kills=1000, seed=2)
    assert result.broken == []


def test_no_power_cut_loses_an_acknowledged_checkpoint_or_a_synced_event(tmp_path: Path) -> None:
    assert cut_at_random(tmp_path, RecordingDisk(), cuts=150, seed=1).broken == []


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_no_power_cut_of_two_thousand_loses_anything(tmp_path: Path) -> None:
    assert cut_at_random(tmp_path, RecordingDisk(), cuts=2000, seed=2).broken == []


def test_control_without_fsync_of_files_power_cuts_lose_checkpoints(tmp_path: Path) -> None:
    assert cut_at_random(tmp_path, RecordingDisk(sync_files=False), cuts=40, seed=1).broken


def test_control_without_fsync_of_directories_power_cuts_lose_checkpoints(tmp_path: Path) -> None:
    assert cut_at_random(tmp_path, RecordingDisk(sync_directories=False), cuts=40, seed=1).broken


def calls_of_a_save(root: Path) -> int:
    session = new_session(root, "count")
    save(CheckpointStore(session.path), 1)
    disk = FailingDisk()
    save(CheckpointStore(session.path, disk), 2)
    return disk.calls


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("lasts", [False, True], ids=["once", "from then on"])
def test_whichever_call_of_a_save_fails_the_previous_checkpoint_loads(tmp_path: Path, code: int, lasts: bool) -> None:
    calls = calls_of_a_save(tmp_path)
    assert calls >= 10
    for n in range(1, calls + 1):
        session = new_session(tmp_path, f"n{n}")
        save(CheckpointStore(session.path), 1)
        disk = FailingDisk(n, 10**9 if lasts else n, code)
        store = CheckpointStore(session.path, disk)
        with pytest.raises(StorageError) as refused:
            save(store, 2)
        assert ("disk full: needs" in str(refused.value)) == (code != errno.EIO)
        assert not disk.open_files
        assert CheckpointStore(session.path).newest_good().manifest.update in (1, 2)
        leftovers = [name for name in os.listdir(session.checkpoints_dir) if name.startswith(".")]
        assert lasts or leftovers == []
        disk.first = disk.last = 0
        assert save(store, 3).number == 3
        assert store.newest_good().manifest.update == 3
        assert store.survey().bad == ()
        store.clean()
        assert not [name for name in os.listdir(session.checkpoints_dir) if name.startswith(".")]


def test_whichever_call_of_a_prune_fails_the_kept_checkpoints_load(tmp_path: Path) -> None:
    for n in range(1, 12):
        session = new_session(tmp_path, f"n{n}")
        for update in range(1, 5):
            save(CheckpointStore(session.path), update)
        store = CheckpointStore(session.path, FailingDisk(n, n))
        with suppress(StorageError):
            store.prune(1, 1, 0)
        assert store.survey().bad == ()
        assert store.newest_good().manifest.update == 4
        store.clean()
        assert {m.update for m in store.manifests()} >= {4}


def test_whichever_call_of_a_status_write_fails_the_old_or_new_status_reads(tmp_path: Path) -> None:
    for n in range(1, 8):
        session = new_session(tmp_path, f"n{n}")
        other = Session.open(session.path, disk=FailingDisk(n, n))
        with suppress(StorageError):
            other.write_status("running", update=7)
        assert session.read().status.update in (0, 7)
        session.write_status("paused", update=8)
        assert session.read().status.update == 8


def test_creating_a_session_fails_whole_and_frees_its_name(tmp_path: Path) -> None:
    disk = FailingDisk()
    new_session(tmp_path, "count", disk)
    for n in range(1, disk.calls + 1):
        with pytest.raises(StorageError):
            new_session(tmp_path, "a", FailingDisk(n, n))
        new_session(tmp_path, "a")
        os.rename(tmp_path / "a", tmp_path / f"done{n}")


def test_events_that_a_full_disk_refused_are_written_once_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    disk = FailingDisk()
    journal = Journal(path, disk)
    journal.append([line(1)])
    disk.first, disk.last, disk.code = disk.calls + 1, 10**9, errno.ENOSPC
    for seq in (2, 3):
        with pytest.raises(StorageError, match="disk full: needs"):
            journal.append([line(seq)])
    assert journal.waiting > 0
    disk.first = disk.last = 0
    journal.append([line(4)])
    journal.sync()
    read = read_journal(path)
    assert ([e.seq for e in read.events], journal.waiting) == ([1, 2, 3, 4], 0)
    assert read.skipped == 2, "one for each write that a full disk cut short"


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """A real file system of 1 MiB on `place`. Skips where it may not be mounted."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root; the limit on file sizes stands in for it")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def limited_files(_: Path) -> Iterator[None]:
    """No file may grow beyond 16 KiB; the kernel refuses in the middle of a write, as a full disk does."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.mark.parametrize("limit", [small_disk, limited_files])
def test_on_a_truly_full_disk_the_last_checkpoint_stays_and_saving_goes_on_when_there_is_room(
    tmp_path: Path, limit: Callable[[Path], AbstractContextManager[None]]
) -> None:
    with limit(tmp_path):
        session = new_session(tmp_path)
        store, journal = CheckpointStore(session.path), Journal(session.journal_path)
        save(store, 1)
        with pytest.raises(StorageError, match=f"disk full: needs [0-9.]+ MiB in {session.checkpoints_dir}"):
            store.save(store.snapshot({"large": bytes(2 << 20)}), kind="regular", update=2, global_step=2)
        assert store.newest_good().manifest.update == 1
        with pytest.raises(StorageError, match="disk full: needs"):
            journal.append([line(n, "x" * 3000) for n in range(1, 700)])
        assert save_small(store, session).update == 3
        assert store.survey().bad == ()
        assert journal.waiting > 0, "what was refused is kept"
        journal.close()


def save_small(store: CheckpointStore, session: Session) -> Manifest:
    """Make room as a person would, then save."""
    (session.path / "events.jsonl").write_bytes(b"")
    return save(store, 3)


def test_an_unwritable_place_is_refused_with_exit_code_4(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file" / "sessions", Path("/proc/sessions")):
        with pytest.raises(StorageError) as refused:
            new_session(root)
        assert refused.value.exit_code == 4


def test_a_session_that_vanished_says_so(tmp_path: Path) -> None:
    session = new_session(tmp_path)
    store = CheckpointStore(session.path)
    os.rename(session.path, tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="has vanished"):
        save(store, 1)
    with pytest.raises(StorageError, match="has vanished"):
        session.write_status("running")
