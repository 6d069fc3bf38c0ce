"""Verifying, packing, exporting, removing: what a person does with sessions when nothing trains."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import shutil
import stat
import zipfile
from contextlib import suppress
from pathlib import Path

import msgspec
import polars
import pytest

from tui_trainer.core.config import Layer, resolve
from tui_trainer.core.events import (
    AnyEvent,
    CheckpointsPruned,
    Event,
    ResourcesSampled,
    RunResumed,
    UpdateFinished,
    stamp,
)
from tui_trainer.core.rows import Row
from tui_trainer.core.values import Resources
from tui_trainer.errors import DamagedSession, SessionInUse, StorageError, TuiTrainerError, UsageError
from tui_trainer.sessions.checkpoints import CheckpointStore, state_sha256
from tui_trainer.sessions.export import CLEANRL, as_csv, as_json, as_parquet, metric_rows
from tui_trainer.sessions.journal import Journal, read_journal
from tui_trainer.sessions.pack import INDEX, LEFT_OUT, pack, unpack
from tui_trainer.sessions.store import Session, disk_usage, encode_session_file, list_sessions, remove
from tui_trainer.sessions.verify import verify

from .faulty_disks import FailingDisk
from .world import line, new_session, save, saved_event, small_state

LONG = (pytest.mark.long, pytest.mark.timeout(1200))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Three checkpoints, the first one pruned, and the history of it."""
    session = new_session(tmp_path / "sessions", "a")
    store, journal = CheckpointStore(session.path), Journal(session.journal_path)
    for update in (1, 2, 3):
        manifest = save(store, update)
        journal.append([line(journal.last_seq + 1), saved_event(manifest, journal.last_seq + 2)])
    pruned = CheckpointsPruned(paths=store.prune(2, 1, 0))
    journal.append([stamp(pruned, seq=7, time=1.0, update=3, global_step=30)])
    journal.close()
    session.write_status("ended", update=3)
    return session


def damaged(session: Session) -> list[str]:
    return [finding.where for finding in verify(session.path).findings if finding.level == "damaged"]


def notes(session: Session) -> list[str]:
    return [finding.where for finding in verify(session.path).findings if finding.level == "note"]


# --- verify ----------------------------------------------------------------------------------------------------------


def test_a_sound_session_verifies_and_is_left_as_it_was(session: Session) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in session.path.rglob("*"))
    verdict = verify(session.path)
    assert verdict.ok
    assert notes(session) == []
    assert [f.where for f in verdict.findings] == [
        "session.toml",
        "events.jsonl",
        "checkpoints/3-u3",
        "checkpoints/2-u2",
    ]
    assert sorted((path, path.stat().st_mtime_ns) for path in session.path.rglob("*")) == before


def test_verify_names_each_damaged_part(session: Session) -> None:
    state = session.path / "checkpoints" / "2-u2" / "state.pt"
    data = bytearray(state.read_bytes())
    data[500] ^= 1
    state.write_bytes(data)
    assert damaged(session) == ["checkpoints/2-u2"]
    (session.path / "session.toml").write_text("format = ")
    assert damaged(session) == ["session.toml", "checkpoints/2-u2"]
    lines = session.journal_path.read_bytes().splitlines(keepends=True)
    session.journal_path.write_bytes(b"".join([*lines[:2], b"{broken\n", *lines[3:]]))
    assert damaged(session) == ["session.toml", "events.jsonl:3", "checkpoints/2-u2"]
    session.journal_path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    assert damaged(session) == ["session.toml", "events.jsonl", "checkpoints/2-u2"]


def test_verify_misses_a_checkpoint_that_history_says_was_saved(session: Session) -> None:
    shutil.rmtree(session.path / "checkpoints" / "2-u2")
    assert damaged(session) == ["checkpoints/2-u2"]


def test_verify_sees_a_checkpoint_swapped_for_another_sound_one(session: Session, tmp_path: Path) -> None:
    other = new_session(tmp_path / "sessions", "b")
    store = CheckpointStore(other.path)
    save(store, 8)
    frozen = store.snapshot(small_state(99))
    store.save(frozen, kind="regular", update=2, global_step=20)
    shutil.rmtree(session.path / "checkpoints" / "2-u2")
    shutil.copytree(other.path / "checkpoints" / "2-u2", session.path / "checkpoints" / "2-u2")
    assert damaged(session) == ["checkpoints/2-u2"]


def test_verify_notes_what_is_harmless(session: Session) -> None:
    (session.path / "checkpoints" / ".tmp-9-u9").mkdir(mode=0o700)
    with open(session.journal_path, "ab") as file:
        file.write(b'{"type":"LogWri')
    (session.path / "engine.log").write_text("")
    (session.path / "engine.log").chmod(0o644)
    session.write_status(lineage={"parent": "gone"})
    assert verify(session.path).ok
    assert notes(session) == ["events.jsonl:8", "checkpoints/.tmp-9-u9", "lineage", "permissions"]


def test_a_report_may_be_read_by_whoever_may_enter_the_session(session: Session) -> None:
    (session.path / "report").mkdir(mode=0o755)
    (session.path / "report" / "report.md").write_text("")
    (session.path / "report" / "report.md").chmod(0o644)
    assert "permissions" not in notes(session)
    session.journal_path.chmod(0o644)
    assert "permissions" in notes(session)


def test_verify_notes_a_session_file_that_was_edited(session: Session) -> None:
    path = session.path / "session.toml"
    path.write_text(path.read_text().replace("seed = 1", "seed = 2"))
    assert verify(session.path).ok
    assert notes(session) == ["session.toml"]


def test_verify_follows_a_fork_to_its_parent(session: Session) -> None:
    digest = CheckpointStore(session.path).manifests()[1].state_sha256
    child = new_session(session.path.parent, "b")
    child.write_status("ended", lineage={"parent": "a", "state_sha256": digest})
    save(CheckpointStore(child.path), 1)
    assert [f.text for f in verify(child.path).findings if f.where == "lineage"] == ["began from a 2-u2"]
    shutil.rmtree(session.path / "checkpoints" / "2-u2")
    assert any("no longer has" in f.text for f in verify(child.path).findings if f.where == "lineage")


# --- pack and unpack -------------------------------------------------------------------------------------------------


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file() and p.name != "lock"}


def test_a_packed_session_arrives_bit_for_bit_private_and_verified(session: Session, tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    index = pack(session, target)
    assert (index.name, stat.S_IMODE(target.stat().st_mode)) == ("a", 0o600)
    old = os.umask(0)
    try:
        arrived = unpack(target, tmp_path / "elsewhere")
    finally:
        os.umask(old)
    assert contents(arrived.path) == contents(session.path)
    assert verify(arrived.path).ok
    assert notes(arrived) == []
    loaded = CheckpointStore(arrived.path).newest_good()
    assert state_sha256(loaded.state) == state_sha256(small_state(3))
    assert list_sessions(tmp_path / "elsewhere")[0].state == "ended"


def test_unpacking_under_another_name_tells_so_and_never_overwrites(session: Session, tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    pack(session, target)
    with pytest.raises(UsageError, match="session a exists"):
        unpack(target, session.path.parent)
    arrived = unpack(target, session.path.parent, "b")
    assert (arrived.read().name, arrived.read().lineage) == ("b", {"packed_as": "a"})
    with pytest.raises(UsageError):
        unpack(target, session.path.parent, "../c")
    with pytest.raises(UsageError, match=r"a\.zip exists"):
        pack(session, target)


def test_a_running_session_is_not_packed(session: Session, tmp_path: Path) -> None:
    with session.lock(), pytest.raises(SessionInUse):
        pack(session, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_a_session_that_cannot_be_read_is_not_packed(session: Session, tmp_path: Path) -> None:
    (session.path / "session.toml").write_text("format = ")
    with pytest.raises(DamagedSession, match=r"session\.toml"):
        pack(session, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_leftovers_links_and_the_lock_stay_behind(session: Session, tmp_path: Path) -> None:
    session.lock().release()
    (session.path / "checkpoints" / ".tmp-9-u9").mkdir()
    (session.path / "checkpoints" / ".tmp-9-u9" / "state.pt").write_text("x")
    (session.path / "link").symlink_to("/etc/passwd")
    os.mkfifo(session.path / "pipe")
    names = pack(session, tmp_path / "a.zip").files
    assert sorted(name for name in names if not name.startswith("buffer/")) == [
        "checkpoints/2-u2/manifest.toml", "checkpoints/2-u2/state.pt",
        "checkpoints/3-u3/manifest.toml", "checkpoints/3-u3/state.pt", "events.jsonl", "session.toml",
    ]  # fmt: skip


def test_what_starts_or_sends_something_stays_behind_and_an_edited_file_stays_edited(tmp_path: Path) -> None:
    settings = Layer("test", {"notify": {"webhook": "https://h/s3cret", "command": ["mail"]}, "run": {"note": "mine"}})
    words = ["run", "--set=notify.webhook=https://h/s3cret", "notify.webhook=$HOOK"]
    session = Session.create(tmp_path, "a", resolve([settings]), {"command": words})
    assert pack(session, tmp_path / "a.zip").left_out == ("notify.command", "notify.webhook")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        text = archive.read("session.toml").decode()
    assert "s3cret" not in text
    assert "mine" in text
    assert "--set=notify.webhook=https://h/..." in text
    assert "notify.webhook=$HOOK" in text
    arrived = unpack(tmp_path / "a.zip", tmp_path / "in").read()
    assert arrived.lineage == {LEFT_OUT: ["notify.command", "notify.webhook"]}
    plain = new_session(tmp_path, "plain")
    edited = (plain.path / "session.toml").read_bytes().replace(b'note = ""', b'note = "by hand"')
    (plain.path / "session.toml").write_bytes(edited)
    assert pack(plain, tmp_path / "b.zip").left_out == ()
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert archive.read("session.toml") == edited


def test_a_forged_list_of_what_was_left_out_is_not_believed(session: Session, tmp_path: Path) -> None:
    file = session.read()
    for wrong in (5, ["\x1b]2;x\x07", {"a": 1}], "notify.webhook"):
        forged = encode_session_file(msgspec.structs.replace(file, lineage={LEFT_OUT: wrong}))
        forge(session.path, tmp_path / "a.zip", {"session.toml": forged})
        arrived = unpack(tmp_path / "a.zip", tmp_path / "in", name="x")
        assert LEFT_OUT not in arrived.read().lineage
        shutil.rmtree(arrived.path)


def forge(source: Path, target: Path, names: dict[str, bytes], **index: object) -> None:
    """A packed file whose list and contents are `names`, consistent in themselves."""
    from tui_trainer.sessions.files import toml_bytes

    files = {n: {"size": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in names.items()}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(INDEX, toml_bytes({"format": 1, "name": "a", "files": files, **index}))
        for name, data in names.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/evil",
        "a/../../evil",
        "a//b",
        "lock",
        ".hidden",
        "a\\b",
        "a/b/c/d/e/f",
        "x" * 101,
        "-rf",
        "é",
        "a/",
        " ",
    ],
)
def test_a_packed_file_cannot_write_outside_its_session(session: Session, tmp_path: Path, name: str) -> None:
    toml = (session.path / "session.toml").read_bytes()
    forge(session.path, tmp_path / "a.zip", {"session.toml": toml, name: b"evil"})
    before = set(tmp_path.rglob("*"))
    with pytest.raises(DamagedSession) as refused:
        unpack(tmp_path / "a.zip", tmp_path / "in")
    assert refused.value.exit_code == 2
    assert set(tmp_path.rglob("*")) - before <= {tmp_path / "in"}


def test_a_packed_bomb_is_stopped_at_its_declared_size(session: Session, tmp_path: Path) -> None:
    toml = (session.path / "session.toml").read_bytes()
    names = {"session.toml": toml, "events.jsonl": bytes(1 << 26)}
    forge(session.path, tmp_path / "a.zip", names)
    listed = {n: {"size": 10, "sha256": "0" * 64} for n in names}
    forge(session.path, tmp_path / "b.zip", names, files=listed)
    with pytest.raises(DamagedSession, match="is not what was packed"):
        unpack(tmp_path / "b.zip", tmp_path / "in")
    wrong = {n: {"size": len(d), "sha256": "0" * 64} for n, d in names.items()}
    forge(session.path, tmp_path / "d.zip", names, files=wrong)
    with pytest.raises(DamagedSession, match="is not what was packed"):
        unpack(tmp_path / "d.zip", tmp_path / "in")
    huge = {n: {"size": 1 << 60, "sha256": "0" * 64} for n in names}
    forge(session.path, tmp_path / "c.zip", names, files=huge)
    with pytest.raises(StorageError, match="disk full: needs"):
        unpack(tmp_path / "c.zip", tmp_path / "in")
    assert disk_usage(tmp_path / "in") == 0


def test_a_packed_file_holds_neither_more_nor_longer_files_than_it_lists(session: Session, tmp_path: Path) -> None:
    toml = (session.path / "session.toml").read_bytes()
    own = {"size": len(toml), "sha256": hashlib.sha256(toml).hexdigest()}
    begin = {"size": 5, "sha256": hashlib.sha256(b"start").hexdigest()}
    names = {"session.toml": toml, "engine.log": b"start and more"}
    for listed in ({"session.toml": own}, {"session.toml": own, "engine.log": begin}):
        forge(session.path, tmp_path / "a.zip", names, files=listed)
        with pytest.raises(DamagedSession):
            unpack(tmp_path / "a.zip", tmp_path / "in")


def test_other_odd_packed_files_are_refused(session: Session, tmp_path: Path) -> None:
    toml = (session.path / "session.toml").read_bytes()
    target = tmp_path / "a.zip"
    cases: list[tuple[type[TuiTrainerError], dict[str, bytes], dict[str, object]]] = [
        (UsageError, {"session.toml": toml}, {"format": 2}),
        (UsageError, {"session.toml": b"format = 9\n"}, {}),
        (DamagedSession, {"session.toml": b"format = "}, {}),
        (DamagedSession, {"events.jsonl": b""}, {}),
        (UsageError, {"session.toml": toml}, {"name": "../x"}),
        (DamagedSession, {"session.toml": toml}, {"files": {}}),
        (DamagedSession, {"session.toml": toml}, {"files": 3}),
    ]
    for error, names, index in cases:
        forge(session.path, target, names, **index)
        with pytest.raises(error) as refused:
            unpack(target, tmp_path / "in")
        assert refused.value.exit_code == 2
    for data in (b"", b"PK", b"x" * 1000):
        target.write_bytes(data)
        with pytest.raises(DamagedSession):
            unpack(target, tmp_path / "in")
    assert os.listdir(tmp_path / "in") == []


@pytest.mark.parametrize("count", [60, pytest.param(3_000, marks=LONG)])
def test_no_mutation_of_a_packed_file_arrives_different(session: Session, tmp_path: Path, count: int) -> None:
    chance = random.Random(11)
    target = tmp_path / "a.zip"
    pack(session, target)
    data, true = target.read_bytes(), contents(session.path)
    root = tmp_path / "in"
    for _ in range(count):
        bad = bytearray(data)
        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        target.write_bytes(bad)
        try:
            arrived = unpack(target, root, "b")
        except TuiTrainerError:
            assert not root.exists() or os.listdir(root) == []
            continue
        assert {k: v for k, v in contents(arrived.path).items() if k != "session.toml"} == {
            k: v for k, v in true.items() if k != "session.toml"
        }
        shutil.rmtree(arrived.path)


def test_whichever_call_fails_packing_and_unpacking_leave_nothing_half_done(session: Session, tmp_path: Path) -> None:
    pack(session, tmp_path / "good.zip")
    for n in range(1, 40):
        disk = FailingDisk(n, n)
        try:
            pack(Session.open(session.path, disk=disk), tmp_path / "a.zip", disk)
        except StorageError:
            assert not (tmp_path / "a.zip").exists() or zipfile.ZipFile(tmp_path / "a.zip").testzip() is None
        (tmp_path / "a.zip").unlink(missing_ok=True)
        with suppress(StorageError):
            unpack(tmp_path / "good.zip", tmp_path / "in", disk=FailingDisk(n, n))
        left = os.listdir(tmp_path / "in") if (tmp_path / "in").exists() else []
        assert left in ([], ["a"])
        assert left == [] or verify(tmp_path / "in" / "a").ok
        shutil.rmtree(tmp_path / "in", ignore_errors=True)
    assert disk.calls == 0 or session.owner() is None


# --- export and remove -----------------------------------------------------------------------------------------------


def updated(seq: int, update: int, loss: float | None) -> Event:
    event = UpdateFinished(
        updates=1, metrics={"train/value_loss": loss}, sps=5.0, seconds={}, episodes=0, elapsed_s=0.0
    )
    return stamp(event, seq=seq, time=float(seq), update=update, global_step=10 * update)


def test_exports_follow_the_surviving_timeline(tmp_path: Path) -> None:
    resumed = RunResumed(
        from_update=1, from_step=10, checkpoint="checkpoints/1-u1", pid=1, host="h", exact=True, limits={}
    )
    events: list[Event | AnyEvent] = [
        updated(1, 1, 0.5), updated(2, 2, 0.4), stamp(resumed, seq=3, time=3.0, update=1, global_step=10),
        updated(4, 2, None),
    ]  # fmt: skip
    journal = Journal(tmp_path / "events.jsonl")
    journal.append(events)
    journal.close()
    rows = metric_rows(tmp_path / "events.jsonl", CLEANRL)
    assert [(row.time, row.update) for row in rows] == [(1.0, 1), (4.0, 2)]
    assert json.loads(as_json(rows))[0] == {
        "time": 1.0, "update": 1, "global_step": 10, "losses/value_loss": 0.5, "charts/SPS": 5.0,
    }  # fmt: skip
    table = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert [row["losses/value_loss"] for row in table] == ["0.5", ""]
    assert as_csv([]) == "time,update,global_step\n"


def test_parquet_is_the_same_table_with_types(tmp_path: Path) -> None:
    rows = [Row(1.5, 1, 64, {"train/loss": 0.5}), Row(2.5, 2, 128, {"eval/win_rate": 1.0, "train/loss": None})]
    table = polars.read_parquet(as_parquet(rows))
    assert table.to_dict(as_series=False) == {
        "time": [1.5, 2.5], "update": [1, 2], "global_step": [64, 128],
        "eval/win_rate": [None, 1.0], "train/loss": [0.5, None],
    }  # fmt: skip
    assert polars.read_parquet(as_parquet([])).height == 0


def test_the_machines_figures_are_exported_where_asked_for(tmp_path: Path) -> None:
    shown = Resources(
        cpu_percent=50, process_cpu_percent=1, memory_used_gib=1, memory_total_gib=2, process_rss_gib=1,
        disk_free_gib=9, cores=2,
    )  # fmt: skip
    journal = Journal(tmp_path / "events.jsonl")
    sampled = stamp(ResourcesSampled(resources=shown), seq=1, time=1.0, update=0, global_step=0)
    journal.append([sampled, updated(2, 1, 0.5)])
    journal.close()
    assert len(metric_rows(tmp_path / "events.jsonl")) == 1
    first, _ = metric_rows(tmp_path / "events.jsonl", machine=True)
    assert first.metrics["system/cpu_percent"] == 50


def test_a_removed_session_is_gone_with_all_it_had_and_nothing_else(session: Session, tmp_path: Path) -> None:
    other = new_session(session.path.parent, "b")
    (session.path / "link").symlink_to(other.path)
    with session.lock(), pytest.raises(SessionInUse):
        remove(Session.open(session.path))
    freed = remove(session)
    assert freed > 1000
    assert os.listdir(session.path.parent) == ["b"]
    assert read_journal(other.journal_path).skipped == 0
    (tmp_path / "sessions" / "c").symlink_to(other.path)
    with pytest.raises(UsageError, match="is a link"):
        remove(Session.open(tmp_path / "sessions" / "c"))
    assert msgspec.structs.asdict(other.read())["name"] == "b"


def test_what_prune_would_free_is_told_before_it_does(session: Session) -> None:
    store = CheckpointStore(session.path)
    planned = store.plan(1, 1, 0)
    assert [m.path for m in planned] == ["checkpoints/2-u2"]
    assert sum(m.size for m in planned) > 0
    assert len(store.manifests()) == 2
    assert store.prune(1, 1, 0) == ("checkpoints/2-u2",)
