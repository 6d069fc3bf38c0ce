"""The ratings beside a session: its owner's alone, whole or as they were."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tui_trainer.core.values import Pairing, Rating, Ratings
from tui_trainer.errors import DamagedSession, StorageError
from tui_trainer.sessions.ratings import NAME, read_ratings, write_ratings

from .faulty_disks import FailingDisk


def rated(seed: int) -> Ratings:
    players = (Rating(name="3", elo=120.0, error=9.5, games=20), Rating(name="random", elo=0.0, error=0.0, games=20))
    pairings = (Pairing(one="3", two="random", wins=14, draws=2, losses=4),)
    return Ratings(task="tictactoe", anchor="random", seed=seed, games=20, players=players, pairings=pairings)


def test_ratings_are_read_as_they_were_written_and_replaced(tmp_path: Path) -> None:
    assert read_ratings(tmp_path) is None
    for seed in (1, 2):
        write_ratings(tmp_path, rated(seed))
        assert read_ratings(tmp_path) == rated(seed)
    assert os.listdir(tmp_path) == [NAME]


def test_ratings_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = write_ratings(tmp_path, rated(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_whichever_call_fails_the_earlier_ratings_stay_or_the_new_ones_are_there(tmp_path: Path) -> None:
    count = FailingDisk()
    write_ratings(tmp_path, rated(1), disk=count)
    for number in range(1, count.calls + 1):
        write_ratings(tmp_path, rated(1))
        with pytest.raises(StorageError):
            write_ratings(tmp_path, rated(2), disk=FailingDisk(number, number))
        assert read_ratings(tmp_path) in (rated(1), rated(2))
    write_ratings(tmp_path, rated(3))
    assert [name for name in os.listdir(tmp_path) if name != NAME] == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"task": 7}', b"\xff\xfe"])
def test_a_file_that_holds_no_ratings_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(DamagedSession, match=f"{NAME}.*measures anew"):
        read_ratings(tmp_path)
