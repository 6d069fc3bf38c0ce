"""A study over several machines: two `tune`s with sessions of their own and one storage."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine import process as p
from tests.studies.test_tune import tune
from tui_trainer.errors import StorageError
from tui_trainer.studies.study import open_storage

TRIALS = 8


def binary(name: str) -> str | None:
    """Where PostgreSQL's program lies: distributions keep it out of the path."""
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(beside[-1]) if beside else None)


def needs_postgres() -> None:
    if binary("postgres") is None or binary("initdb") is None:
        pytest.skip("no PostgreSQL server is installed")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("the extra postgres is not installed")


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URL of a server of our own, with an empty database."""
    needs_postgres()
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to be run by root
        shutil.chown(directory, "postgres")
        user = {"user": "postgres", "cwd": directory}
    data = directory / "data"
    setup = [str(binary("initdb")), "-D", str(data), "-U", "tui", "--auth=trust", "--no-sync"]
    subprocess.run(setup, check=True, stdout=subprocess.DEVNULL, **user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [str(binary("postgres")), "-D", str(data), "-p", str(port), "-k", str(directory), "-c", "fsync=off"]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)
    try:
        p.wait_for(lambda: answers(port), 60)
        yield f"postgresql://tui@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)
        shutil.rmtree(directory)


def answers(port: int) -> bool:
    import psycopg

    try:
        psycopg.connect(f"postgresql://tui@127.0.0.1:{port}/postgres", connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def require_shared_out(url: str, root: Path) -> None:
    """Two machines bring one study to its trials: each trial runs once, on one of them, with values of its own."""
    roots = [root / "one", root / "two"]
    words = [tune(each, f"--trials={TRIALS}", f"--storage={url}", updates=5) for each in roots]
    first = p.start(roots[0], *words[0])
    p.until(first, lambda row: "number" in row)
    second = p.start(roots[1], *words[1])
    told = [list(each.events()) for each in (first, second)]
    assert (first.wait(), second.wait()) == (0, 0)
    ran = [{path.name for path in each.glob("s-t*")} for each in roots]
    assert not ran[0] & ran[1]
    assert ran[1]
    trials = open_storage(url).get_all_trials(open_storage(url).get_study_id_from_name("s"))
    assert {t.state.name for t in trials} == {"COMPLETE"}
    assert TRIALS <= len(trials) <= TRIALS + 1, "each machine may begin the last one"
    assert {t.user_attrs["session"] for t in trials} == ran[0] | ran[1]
    assert len({t.params["ppo.learning_rate"] for t in trials}) == len(trials)
    assert all(rows[-1]["best"] is not None for rows in told)


@pytest.mark.long
def test_machines_share_a_study_on_postgresql(postgres: str, tmp_path: Path) -> None:
    require_shared_out(postgres, tmp_path)


@pytest.mark.long
def test_machines_share_a_study_in_a_journal_file(tmp_path: Path) -> None:
    require_shared_out(f"journal:{tmp_path / 'study.log'}", tmp_path)


@pytest.mark.parametrize("url", ["journal:/nowhere/study.log", "mysterious://host/db"])
def test_a_storage_that_cannot_be_opened_is_named(url: str) -> None:
    with pytest.raises(StorageError, match=url.partition(":")[0]):
        open_storage(url)


def test_a_database_that_does_not_answer_is_named() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StorageError, match=r"127\.0\.0\.1"):
        open_storage("postgresql://nobody@127.0.0.1:1/none")
