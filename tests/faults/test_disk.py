"""Disks that are full, read-only, gone or slow: the run waits, says why, and loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine import process as p
from tests.engine.test_try import OVERSHOOTING
from tests.warm import Program, Warm
from tui_trainer.client.orders import live_state, new_id, order
from tui_trainer.core import commands
from tui_trainer.sessions.checkpoints import CheckpointStore

RUN = ("run", "--no-ui", "--json", *p.TINY, "--name=a", "--max-updates=1000000", "--step-delay=0.01")
IS_ROOT = os.geteuid() == 0


def mounted(place: Path, *options: str) -> bool:
    """Mount a memory disk of 8 MiB there; False where this may not be done. The `root` fixture takes it down."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", ",".join(("size=8m", *options)), "tmpfs", str(place)]
    return IS_ROOT and subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.fixture
def small(root: Path, record_property: Any) -> Path:
    """A disk of 8 MiB."""
    place = root / "small"
    if not mounted(place):
        pytest.skip("mounting needs root; the limit on file sizes stands in for it")
    record_property("injector", "tmpfs of 8 MiB")
    return place


def fill(place: Path) -> Path:
    """Leave not a byte."""
    filler = place / "filler"
    fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(fd, bytes(4096)):
            pass
    os.close(fd)
    return filler


def assert_nothing_is_lost(session: Path) -> None:
    """No gap in the journal, one line for every update, every acknowledged save on the disk or pruned."""
    events = p.journal(session)
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    updates = [e["update"] for e in events if e["type"] == "UpdateFinished"]
    assert updates == list(range(1, len(updates) + 1))
    saved = {e["path"] for e in events if e["type"] == "CheckpointSaved"}
    pruned = {path for e in events if e["type"] == "CheckpointsPruned" for path in e["paths"]}
    assert saved - pruned == {manifest.path for manifest in CheckpointStore(session).manifests()}
    assert CheckpointStore(session).survey().bad == ()


def finish(run: Program) -> None:
    """The run still trains, saves and ends in order."""
    run.until("CheckpointSaved")
    assert run.stop() == 143
    list(run.events())


def test_a_full_disk_pauses_the_run_which_goes_on_by_itself_when_there_is_room(warm: Warm, small: Path) -> None:
    """Its task prints, too: what the full disk refuses of engine.log is no reason to end."""
    run = warm.start(small, *RUN, "--task=tests.faults.foreign:noisy", FAULT_AT="1")
    run.until("CheckpointSaved")
    filler = fill(small)
    paused = run.until("RunPaused")[-1]
    assert "disk full: needs" in paused["why"]
    assert f"in {small / 'a'}" in paused["why"]
    assert live_state(small / "a").status == "paused"
    refused = warm.run(small, "resume", "a", "--no-ui")
    assert (refused.returncode, "goes on by itself" in refused.stderr) == (6, True)
    filler.unlink()
    run.until("RunContinued")
    finish(run)
    events = [json.loads(line) for line in (small / "a/events.jsonl").read_text().splitlines() if _is_json(line)]
    (small / "a/events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    assert_nothing_is_lost(small / "a")


def _is_json(line: str) -> bool:
    """A line cut by the full disk is closed and written again: a reader skips the piece."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_a_run_stopped_on_a_full_disk_never_ends_with_0_and_keeps_its_acknowledged_checkpoint(
    warm: Warm, small: Path
) -> None:
    run = warm.start(small, *RUN)
    saved = run.until("CheckpointSaved")[-1]
    filler = fill(small)
    run.until("RunPaused")
    stopping = warm.run(small, "stop", "a")
    code = run.wait()
    assert code == 4, stopping
    rest = list(run.events())
    assert "the last save failed: disk full" in rest[-1]["reason"]["evidence"]
    filler.unlink()
    assert CheckpointStore(small / "a").newest_good().manifest.update >= saved["at_update"]
    assert warm.run(small, "resume", "a", "--no-ui", "--max-updates=3").returncode == 0


def test_a_limit_on_file_sizes_acts_as_a_full_disk(warm: Warm, root: Path, record_property: Any) -> None:
    """What an unprivileged user can inject: the kernel refuses to let the running engine's files grow."""
    record_property("injector", "RLIMIT_FSIZE")
    run = warm.start(root, *RUN)
    run.until("CheckpointSaved")
    unlimited = resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    assert "disk full: needs" in run.until("RunPaused")[-1]["why"]
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, unlimited)
    run.until("RunContinued")
    finish(run)


TRIED = (
    "run", "--no-ui", "--json", *OVERSHOOTING, "--step-delay=0.05", "--set=continuous.try_updates=40",
    "--set=manager.checkpoints.every_updates=15",
)  # fmt: skip


def start_try(warm: Warm, root: Path, branch: str) -> Program:
    """A run in the middle of one of the two branches of a try."""
    run = warm.start(root, *TRIED)
    number = run.until("RecommendationRaised")[-1]["id"]
    tried = commands.Answer(id=new_id(), recommendation=number, verdict="try")
    assert order(root / "a", tried).startswith("tried")
    run.until("TryStarted" if branch == "without" else "TryReturned")
    run.until("UpdateFinished")
    return run


def assert_the_try_lost_nothing(warm: Warm, run: Program, root: Path) -> None:
    """It is decided, the run ends as it should, and another execution of its decisions comes to the same bits."""
    run.until("TryEnded")
    rest = list(run.events())
    assert (run.wait(), rest[-1]["type"]) == (0, "RunEnded")
    journal = root / "a/events.jsonl"
    whole = [line for line in journal.read_text().splitlines() if _is_json(line)]
    assert [json.loads(line)["seq"] for line in whole] == list(range(1, len(whole) + 1))
    done = warm.run(root, "rerun", "a", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, [row["equal"] for row in rows]) == (0, [True] * len(rows)), done
    assert "try" in {manifest.kind for manifest in CheckpointStore(root / "a").manifests()}


@pytest.mark.parametrize("branch", [pytest.param("without", marks=pytest.mark.long), "with"])
def test_a_disk_that_fills_during_a_try_pauses_it_and_loses_nothing_of_it(warm: Warm, small: Path, branch: str) -> None:
    run = start_try(warm, small, branch)
    filler = fill(small)
    assert "disk full: needs" in run.until("RunPaused")[-1]["why"]
    paused = live_state(small / "a")
    assert paused.status == "paused"
    assert paused.trying is not None
    filler.unlink()
    run.until("RunContinued")
    assert_the_try_lost_nothing(warm, run, small)


@pytest.mark.long
@pytest.mark.parametrize("branch", ["without", "with"])
def test_a_limit_on_file_sizes_during_a_try_acts_as_a_full_disk(
    warm: Warm, root: Path, branch: str, record_property: Any
) -> None:
    record_property("injector", "RLIMIT_FSIZE")
    run = start_try(warm, root, branch)
    unlimited = resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    assert "disk full: needs" in run.until("RunPaused")[-1]["why"]
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, unlimited)
    run.until("RunContinued")
    assert_the_try_lost_nothing(warm, run, root)


@pytest.mark.skipif(not IS_ROOT, reason="root reads and writes everywhere else; others need no mount for this")
def test_a_read_only_place_is_refused_before_training(warm: Warm, root: Path) -> None:
    place = root / "readonly"
    assert mounted(place, "ro")
    done = warm.run(place, *RUN)
    assert done.cpu_s < 2
    assert (done.returncode, done.stdout) == (4, "")
    assert "cannot be written: Read-only file system" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_resume_in_a_read_only_place_is_refused_with_4_and_changes_nothing(warm: Warm, small: Path) -> None:
    assert warm.run(small, *RUN, "--max-updates=5").returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    for words in (["--no-ui"], ["--detach"]):
        done = warm.run(small, "resume", "a", "--max-updates=9", *words)
        assert done.returncode == 4, done
        assert "Read-only file system" in done.stderr
        assert done.stderr.count("\n") == 1
    assert warm.run(small, "replay", "a", "--no-ui").returncode == 0
    assert warm.run(small, "sessions", "list").returncode == 0


@pytest.fixture
def run(warm: Warm, root: Path) -> Program:
    program = warm.start(root, *RUN)
    program.until("CheckpointSaved")
    return program


@pytest.mark.parametrize("back", [True, False], ids=["put back", "for ever"])
def test_a_session_directory_that_vanishes_pauses_the_run_with_a_message(run: Program, root: Path, back: bool) -> None:
    if back:
        (root / "a").rename(root / "elsewhere")
    else:
        shutil.rmtree(root / "a")
    paused = run.until("RunPaused")[-1]
    assert "has vanished" in paused["why"]
    if back:
        (root / "elsewhere").rename(root / "a")
        run.until("RunContinued")
        finish(run)
        assert_nothing_is_lost(root / "a")
    else:
        assert run.stop() == 143
        rest = list(run.events())
        assert "the last save failed" in rest[-1]["reason"]["evidence"]
    assert "Traceback" not in run.stderr.read()


def test_on_a_slow_disk_saves_coalesce_and_views_are_answered_at_once(warm: Warm, root: Path) -> None:
    """Every fsync of the real engine takes a fifth of a second."""
    words = ("--task=tests.faults.foreign:slow_disk", "--set=manager.checkpoints.every_updates=1")
    engine = warm.start(root, *RUN, *words, SLOW_S="0.2")
    saved = engine.until("CheckpointSaved", number=2)
    answers = []
    for _ in range(10):
        began = time.monotonic()
        live_state(root / "a")
        answers.append(time.monotonic() - began)
        time.sleep(0.05)
    assert sorted(answers)[5] < 0.3
    numbers = [e["number"] for e in saved if e["type"] == "CheckpointSaved"]
    assert numbers[1] > 3, "at most one waits: those in between gave way to it"
    engine.kill()
