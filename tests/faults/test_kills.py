"""SIGKILL at any moment: the session loads, and nothing acknowledged is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.engine import process as p
from tests.faults.kills import kill_often
from tests.warm import Warm
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.names import session_names
from tui_trainer.sessions.store import Session
from tui_trainer.sessions.verify import verify

DYING = ("tests.sessions.dying", "entry")


def test_no_kill_loses_an_acknowledged_save_or_leaves_a_session_that_cannot_be_read(warm: Warm, root: Path) -> None:
    result = kill_often(warm, root, kills=12, seed=1)
    assert result.broken == []
    assert result.acknowledged > 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_kill_of_a_thousand_loses_anything(warm: Warm, root: Path) -> None:
    result = kill_often(warm, root, kills=1000, seed=2)
    assert result.broken == []
    assert result.in_save > 100


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_fork_killed_at_any_call_on_the_disk_goes_on_or_is_refused_and_its_parent_is_as_it_was(
    warm: Warm, root: Path
) -> None:
    """The command itself, from its first call to the end of its training."""
    assert warm.run(root, "run", "--no-ui", *p.TINY, "--max-updates=5", "--name=a").returncode == 0
    before = (verify(root / "a"), CheckpointStore(root / "a").survey())
    ways = dict.fromkeys(("nothing", "no session", "refused", "went on"), 0)
    words = ("fork", "a", "--name=b", "--no-ui", "--set=manager.termination.max_updates=7")
    for number in range(1, 2000):
        program = warm.start(root, *words, entry=DYING, DIES_AT=str(number))
        done = program.finish(60)
        assert (verify(root / "a"), CheckpointStore(root / "a").survey()) == before
        if done.returncode == 0:
            break
        assert done.returncode == -9, done
        ways[_way(warm, root)] += 1
        shutil.rmtree(root / "b", ignore_errors=True)
    print(f"{number - 1} kills: {ways}")
    assert done.returncode == 0
    assert all(ways.values())


def _way(warm: Warm, root: Path) -> str:
    """What became of a fork that was killed."""
    if "b" not in session_names(root):
        return "no session" if (root / "b").exists() else "nothing"
    if verify(root / "b").ok and (ended := Session.open(root / "b").read().status).termination_reason:
        assert ended.update == 7
        return "went on"
    done = warm.run(root, "resume", "b", "--no-ui")
    if done.returncode == 2:
        assert "was interrupted before it had that" in done.stderr, done
        return "refused"
    assert done.returncode == 0, done
    assert verify(root / "b").ok, verify(root / "b").findings
    assert Session.open(root / "b").read().status.update == 7
    return "went on"
