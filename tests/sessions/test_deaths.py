"""SIGKILL at every single call of the operating system that a command of a person makes on the disk."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tui_trainer.cli.forking import Fork, create_fork
from tui_trainer.cli.main import execute
from tui_trainer.core.events import CheckpointsPruned, RunEnded, stamp
from tui_trainer.core.values import Reason
from tui_trainer.errors import UsageError
from tui_trainer.sessions import segments, trash
from tui_trainer.sessions.checkpoints import CheckpointStore, state_sha256
from tui_trainer.sessions.journal import Journal, last_event
from tui_trainer.sessions.names import session_names
from tui_trainer.sessions.oslayer import Disk
from tui_trainer.sessions.pack import pack, unpack
from tui_trainer.sessions.pruning import prune_by_hand
from tui_trainer.sessions.store import Session, list_sessions, remove
from tui_trainer.sessions.verify import verify

from .world import SETTINGS, line, new_session, save, saved_event, small_state

CALLS = ("mkdir", "open", "write", "fsync", "truncate", "close", "rename", "fsync_dir", "unlink", "rmdir")
MOST = 200


def killed_at(number: int, work: Callable[[], object]) -> bool:
    """Do the work in a fork that SIGKILLs itself before its call `number`; False where it made fewer and ended well."""
    child = os.fork()
    if child == 0:
        try:
            die_at(number)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def die_at(number: int) -> None:
    """From now on this process counts its calls on the disk and is killed before that one."""
    left = number

    def dying(real: Callable[..., Any], *words: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return None if real.__name__.startswith("fsync") else real(*words)

    for name in CALLS:
        setattr(Disk, name, functools.partialmethod(functools.partial(_turned, dying, getattr(Disk, name))))


def _turned(dying: Callable[..., Any], real: Callable[..., Any], disk: Disk, *words: Any) -> Any:
    return dying(real, disk, *words)


def every_death(work: Callable[[], object]) -> Iterator[int]:
    """The number of each call before which the work was killed."""
    for number in range(1, MOST):
        if not killed_at(number, work):
            return
        yield number
    raise AssertionError(f"more than {MOST} calls")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sessions: `a` has four checkpoints and has ended."""
    session = new_session(tmp_path / "sessions", "a")
    store, journal = CheckpointStore(session.path), Journal(session.journal_path)
    for update in (1, 2, 3, 4):
        manifest = save(store, update)
        journal.append([line(journal.last_seq + 1), saved_event(manifest, journal.last_seq + 2)])
    ended = RunEnded(reason=Reason("max_updates"))
    journal.append([stamp(ended, seq=journal.last_seq + 1, time=9.0, update=4, global_step=40)])
    journal.close()
    session.write_status("ended", update=4)
    return tmp_path / "sessions"


def fresh(root: Path) -> Path:
    """A copy of the sessions, whatever happened to the last one."""
    copy = root.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root, copy)
    return copy


def test_a_pruning_that_is_killed_leaves_a_sound_session_and_the_next_one_finishes_it(root: Path) -> None:
    here = fresh(root)
    deaths = 0
    for _ in every_death(lambda: prune_by_hand(Session.open(here / "a"), 1, 1, 0)):
        deaths += 1
        assert verify(here / "a").ok, verify(here / "a").findings
        CheckpointStore(here / "a").require_good()
        prune_by_hand(Session.open(here / "a"), 1, 1, 0)
        assert os.listdir(here / "a/checkpoints") == ["4-u4"]
        assert len(os.listdir(here / "a" / segments.DIRECTORY)) == len(
            CheckpointStore(here / "a").manifests()[0].buffer
        )
        assert verify(here / "a").ok
        fresh(root)
    assert deaths > 10


def test_a_pruning_stands_where_the_run_came_to_and_not_where_its_status_was_written(root: Path) -> None:
    session = Session.open(fresh(root) / "a")
    newest = last_event(session.journal_path)
    assert newest is not None
    session.write_status("running", update=1, global_step=1, now=1.0)
    assert prune_by_hand(session, 1, 1, 0)
    told = last_event(session.journal_path)
    assert isinstance(told, CheckpointsPruned)
    assert (told.update, told.global_step) == (newest.update, newest.global_step)


def test_what_a_person_prunes_is_no_damage(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--sessions", str(root)]
    assert execute(["sessions", "prune", "a", "--keep-last", "1", "--keep-best", "1", "--yes", *where]) == 0
    assert execute(["sessions", "verify", "a", *where]) == 0
    assert execute(["replay", "a", "--no-ui", *where]) == 0
    assert "deleted 3" in capsys.readouterr().out


def test_of_two_prunings_at_once_one_is_refused_with_the_pid(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Session.open(root / "a").lock():
        words = ["sessions", "prune", "a", "--keep-last", "1", "--keep-best", "1", "--yes", "--sessions", str(root)]
        assert execute(words) == 3
    assert str(os.getpid()) in capsys.readouterr().err
    assert len(CheckpointStore(root / "a").manifests()) == 4


def test_a_checkpoint_that_a_killed_run_had_pruned_unsaid_is_a_note(root: Path) -> None:
    session = Session.open(root / "a")
    keep = session.read().settings().manager.checkpoints.keep_last
    store, journal = CheckpointStore(session.path), Journal(session.journal_path)
    for update in range(5, 6 + keep):
        journal.append([saved_event(save(store, update), journal.last_seq + 1)])
    journal.close()
    gone = store.prune(keep, 1, 0)
    assert "checkpoints/1-u1" in gone
    verdict = verify(session.path)
    assert verdict.ok
    assert {f.where for f in verdict.findings if "kill" in f.text} == set(gone)
    shutil.rmtree(session.path / store.manifests()[1].path)
    assert not verify(session.path).ok, "the newest ones are never pruned"


def test_a_packing_that_is_killed_leaves_the_session_as_it_was_and_no_half_file(root: Path, tmp_path: Path) -> None:
    target, deaths = tmp_path / "a.zip", 0
    for _ in every_death(lambda: pack(Session.open(root / "a"), target)):
        deaths += 1
        assert not target.exists() or zipfile.ZipFile(target).testzip() is None
        target.unlink(missing_ok=True)
    assert deaths >= 4
    assert verify(root / "a").ok


def test_an_unpacking_that_is_killed_leaves_nothing_or_a_whole_session_and_is_cleared_away(
    root: Path, tmp_path: Path
) -> None:
    packed, there = tmp_path / "a.zip", tmp_path / "there"
    pack(Session.open(root / "a"), packed)
    deaths = 0
    for _ in every_death(lambda: unpack(packed, there)):
        deaths += 1
        assert not (there / "a").exists() or verify(there / "a").ok
        shutil.rmtree(there / "a", ignore_errors=True)
    assert deaths > 10
    shutil.rmtree(there / "a")
    left = [path for path in there.iterdir() if path.name.startswith(".unpack-a-")]
    assert left
    for path in left[1:]:
        os.utime(path, (0, 0))
    unpack(packed, there)
    assert sorted(os.listdir(there)) == sorted([left[0].name, "a"]), "what is young may be under way"


def contents(place: Path) -> dict[str, bytes]:
    """Every file of a session, but for the lock, which any look at it may leave."""
    files = (path for path in place.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(place)): path.read_bytes() for path in files}


def parent_of_forks(root: Path) -> Path:
    """The sessions with a checkpoint of `a` whose state says how far it is, as a real one does."""
    store = CheckpointStore(root / "a")
    counters = {"manager": {"manager": {"update": 6, "global_step": 60}}}
    store.save(store.snapshot(small_state(6) | counters), kind="final", update=6, global_step=60)
    return root


def test_a_fork_that_is_killed_leaves_its_parent_alone_and_is_whole_or_refused_or_not_there(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent_of_forks(root)
    wish, before = Fork(str(root), "a", "latest", "b", []), contents(root / "a")
    seen = set()
    for _ in every_death(lambda: create_fork(wish)):
        seen.add(stage := stage_of_fork(root, capsys))
        assert contents(root / "a") == before
        if stage == "stump":
            with pytest.raises(UsageError, match=r"no session in .*: remove it, or choose another name"):
                create_fork(wish)
            shutil.rmtree(root / "b")
        elif stage == "refused":
            assert execute(["sessions", "rm", "b", "--yes", "--sessions", str(root)]) == 0
        shutil.rmtree(root / "b", ignore_errors=True)
        assert names(root) == ["a"]
    assert seen == {"absent", "stump", "refused", "whole"}
    assert stage_of_fork(root, capsys) == "whole"


def stage_of_fork(root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """How far the fork `b` came; it claims nothing that it is not."""
    if "b" not in os.listdir(root):
        return "absent"
    if "b" not in session_names(root):
        return "stump"
    assert verify(root / "b").ok, verify(root / "b").findings
    if CheckpointStore(root / "b").manifests():
        state = CheckpointStore(root / "b").newest_good().state
        assert state_sha256(state) == Session.open(root / "b").read().lineage["state_sha256"]
        return "whole"
    assert execute(["resume", "b", "--no-ui", "--sessions", str(root)]) == 2
    assert "sessions rm b" in capsys.readouterr().err
    return "refused"


def names(root: Path) -> list[str]:
    return [summary.name for summary in list_sessions(root)]


def test_a_session_is_deleted_as_one_however_early_that_is_killed(root: Path) -> None:
    before, deaths = contents(root / "a"), 0
    here = fresh(root)
    for _ in every_death(lambda: remove(Session.open(here / "a"))):
        deaths += 1
        if names(here):
            assert contents(here / "a") == before
        left = [name for name in os.listdir(here) if name.startswith(".removed-a-")]
        assert len(left) + len(names(here)) == 1
        remove(new_session(here, "other"))
        assert [name for name in os.listdir(here) if name != "a"] == [], "the next one clears that away"
        fresh(root)
    assert deaths > 20


def test_a_session_put_aside_or_brought_back_is_whole_in_one_place_however_early_that_is_killed(root: Path) -> None:
    before = contents(root / "a")
    here = fresh(root)

    def aside() -> list[Path]:
        return list((here / trash.TRASH).glob("*-a"))

    for _ in every_death(lambda: trash.put_aside(Session.open(here / "a"))):
        assert [contents(place) == before for place in (*aside(), *here.glob("a"))] == [True]
        trash.bring_back(here, "a") if aside() else trash.put_aside(Session.open(here / "a"))
        fresh(root)
    for _ in every_death(lambda: trash.bring_back(here, "a")):
        assert [contents(place) == before for place in (*aside(), *here.glob("a"))] == [True]
        if not aside():
            trash.put_aside(Session.open(here / "a"))
    assert names(here) == ["a"]


def test_a_trash_that_was_being_emptied_at_a_kill_is_emptied_by_the_next(root: Path) -> None:
    here, deaths = fresh(root), 0
    trash.put_aside(Session.open(here / "a"), now=0.0)
    for _ in every_death(lambda: trash.empty(here)):
        deaths += 1
        trash.empty(here)
        assert os.listdir(here) == [trash.TRASH]
        assert os.listdir(here / trash.TRASH) == []
        trash.put_aside(Session.open(fresh(root) / "a"), now=0.0)
    assert deaths > 20


def test_two_of_a_name_that_are_put_aside_in_one_second_are_both_kept(root: Path) -> None:
    for _ in range(2):
        trash.put_aside(Session.open(fresh_among(root) / "a"), now=7.0)
    assert sorted(os.listdir(root / trash.TRASH)) == ["7-a", "8-a"]


def fresh_among(root: Path) -> Path:
    """The sessions, with an `a` again."""
    if "a" not in names(root):
        new_session(root, "a")
    return root


def test_a_fork_that_was_killed_before_it_had_its_parents_state_is_not_trained_from_nothing(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lineage = {"parent": "a", "checkpoint": "checkpoints/4-u4", "update": 4, "state_sha256": "x"}
    Session.create(root, "b", SETTINGS, {}, lineage=lineage)
    assert execute(["resume", "b", "--no-ui", "--sessions", str(root)]) == 2
    told = capsys.readouterr().err
    assert "b was to begin from a checkpoints/4-u4, and was interrupted before it had that" in told
    assert "sessions rm b" in told


def test_strange_things_among_the_checkpoints_are_neither_taken_up_nor_touched(root: Path, tmp_path: Path) -> None:
    """What somebody put there, or another tool: a link to elsewhere is never followed by a deletion."""
    place, elsewhere = root / "a/checkpoints", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("mine")
    (place / "notes.txt").write_text("mine")
    (place / "8-u8").write_text("no directory")
    (place / "9-u9").symlink_to(elsewhere)
    (place / "10-u10").mkdir()
    os.mkfifo(place / "11-u11")
    store = CheckpointStore(root / "a")
    assert store.newest_good().manifest.update == 4
    assert {bad.directory for bad in store.survey().bad} == {"8-u8", "9-u9", "10-u10", "11-u11"}
    assert store.snapshot({"a": 1}).number == 12, "a number that stands there is not given again"
    assert not verify(root / "a").ok
    assert prune_by_hand(Session.open(root / "a"), 1, 1, 0)
    assert sorted(os.listdir(place)) == ["10-u10", "11-u11", "4-u4", "8-u8", "9-u9", "notes.txt"]
    assert (elsewhere / "precious").read_text() == "mine"
