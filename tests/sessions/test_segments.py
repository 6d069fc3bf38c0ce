"""Segments: saved once, shared by checkpoints, gone when nothing needs them, refused when they are not as they were."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tui_trainer.core.segments import Segment
from tui_trainer.errors import DamagedSession
from tui_trainer.sessions import pack
from tui_trainer.sessions.checkpoints import CheckpointStore, Manifest, load_foreign, state_sha256
from tui_trainer.sessions.segments import SegmentStore, load
from tui_trainer.sessions.store import Session
from tui_trainer.sessions.verify import verify

from .faulty_disks import RecordingDisk
from .world import new_session


class Buffer:
    """A stream of segments, of which the last `width` are part of the state."""

    def __init__(self, path: Path, width: int = 3) -> None:
        self.path, self.width = path, width
        self.disk = RecordingDisk()
        self.store = CheckpointStore(path, self.disk)
        self.segments: list[Segment] = []
        self.update = 0

    def grow(self) -> None:
        rows = np.full((64, 8), len(self.segments) + self.update, np.uint8)
        self.segments = [*self.segments, Segment(rows)][-self.width :]

    def state(self) -> dict[str, object]:
        return {"learner": {"replay": {"segments": list(self.segments)}}, "update": self.update}

    def save(self) -> Manifest:
        self.update += 1
        frozen = self.store.snapshot(self.state())
        return self.store.save(frozen, kind="regular", update=self.update, global_step=1)

    def files(self) -> set[str]:
        return set(os.listdir(self.path / "buffer"))

    def written(self) -> int:
        """Files of the buffer that were opened for writing."""
        return sum(call[0] == "open" and "/buffer/" in str(call[1]) for call in self.disk.calls)


@pytest.fixture
def buffer(tmp_path: Path) -> Buffer:
    return Buffer(new_session(tmp_path).path)


def rows_of(state: dict) -> list[int]:
    return [int(segment.array[0, 0]) for segment in state["learner"]["replay"]["segments"]]


def test_a_segment_is_written_once_however_many_checkpoints_hold_it(buffer: Buffer) -> None:
    for _ in range(4):
        buffer.grow()
        buffer.save()
        buffer.save()
    assert buffer.written() == 4
    assert len(buffer.files()) == 4


def test_every_checkpoint_gives_back_the_rows_it_had(buffer: Buffer) -> None:
    manifests = []
    for _ in range(5):
        buffer.grow()
        manifests.append((buffer.save(), rows_of(buffer.state())))
    for manifest, expected in manifests:
        state, _ = CheckpointStore(buffer.path).load(manifest)
        assert rows_of(state) == expected
        assert state_sha256(state) == manifest.state_sha256


def test_the_hash_of_a_state_is_that_of_its_rows(buffer: Buffer) -> None:
    buffer.grow()
    same = {"learner": {"replay": {"segments": [Segment(buffer.segments[0].array.copy())]}}, "update": 0}
    assert state_sha256(buffer.state()) == state_sha256(same)
    other = Segment(np.zeros((64, 8), np.uint8) + 99)
    assert state_sha256({"a": other}) != state_sha256({"a": buffer.segments[0]})


def test_a_saved_segment_is_a_map_of_its_file(buffer: Buffer) -> None:
    buffer.grow()
    buffer.save()
    assert isinstance(buffer.segments[0].array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        buffer.segments[0].array[0, 0] = 1


def test_pruning_deletes_what_no_checkpoint_and_no_living_state_needs(buffer: Buffer) -> None:
    for _ in range(9):
        buffer.grow()
        buffer.save()
        buffer.store.prune(2, 1, 0)
        needed = {name for manifest in buffer.store.manifests() for name in manifest.buffer}
        assert buffer.files() == needed
    assert len(buffer.files()) == 4
    frozen = buffer.store.snapshot(buffer.state())
    for _ in range(9):
        buffer.segments = []
        buffer.save()
        buffer.store.prune(1, 1, 0)
    late = buffer.store.save(frozen, kind="regular", update=99, global_step=1)
    assert rows_of(buffer.store.load(late)[0]) == rows_of(dict(frozen.state))


def test_a_segment_whose_file_vanished_is_written_again(buffer: Buffer) -> None:
    buffer.grow()
    buffer.save()
    for name in buffer.files():
        os.unlink(buffer.path / "buffer" / name)
    assert buffer.store.manifests() == ()
    again = buffer.save()
    assert rows_of(buffer.store.load(again)[0]) == rows_of(buffer.state())


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "link"])
def test_a_checkpoint_with_a_damaged_segment_is_passed_over_and_the_file_is_named(buffer: Buffer, damage: str) -> None:
    buffer.grow()
    old = buffer.save()
    buffer.grow()
    new = buffer.save()
    name = next(name for name in new.buffer if name not in old.buffer)
    path = buffer.path / "buffer" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    if damage == "link":
        path.with_name("other").write_bytes(data)
        path.symlink_to("other")
    elif damage != "gone":
        path.write_bytes(data if damage == "flip" else data[:-1])
    loaded = CheckpointStore(buffer.path).newest_good()
    assert loaded.manifest.number == old.number
    assert name in loaded.problems[0]
    assert not verify(buffer.path).ok


@pytest.mark.parametrize("name", ["../../etc/passwd", "x.npy", "A" * 64 + ".npy"])
def test_a_manifest_that_names_something_else_is_refused(buffer: Buffer, name: str) -> None:
    with pytest.raises(DamagedSession, match="as a segment"):
        SegmentStore(buffer.path, buffer.disk).require({name: 1})


def npy(header: str, data: bytes = b"x" * 8) -> bytes:
    return b"\x93NUMPY\x01\x00v\x00" + header.encode().ljust(117) + b"\n" + data


FILES = {
    "empty": b"",
    "cut": b"\x93NUMPY",
    "no header": b"\x93NUMPY\x01\x00\xff\xff{}",
    "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"),
    "too large": npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,), }"),
    "negative": npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, -8), }"),
    "code": npy("__import__('os').abort()"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_plain_array_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"{'0' * 64}.npy"
    path.write_bytes(FILES[kind])
    with pytest.raises(DamagedSession):
        load(path)


def test_the_same_file_with_a_true_header_is_read(tmp_path: Path) -> None:
    path = tmp_path / f"{'0' * 64}.npy"
    path.write_bytes(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 4), }"))
    assert load(path).shape == (2, 4)


def test_a_session_is_packed_and_copied_with_its_segments(buffer: Buffer, tmp_path: Path) -> None:
    buffer.grow()
    manifest = buffer.save()
    pack.pack(Session.open(buffer.path), tmp_path / "a.zip")
    arrived = pack.unpack(tmp_path / "a.zip", tmp_path / "elsewhere")
    assert CheckpointStore(arrived.path).newest_good().manifest.state_sha256 == manifest.state_sha256
    assert verify(arrived.path).ok
    child = CheckpointStore(new_session(tmp_path, "child").path)
    state, _ = buffer.store.load(manifest)
    planted = child.save(child.snapshot(state), kind="stage", update=1, global_step=1)
    assert planted.state_sha256 == manifest.state_sha256
    assert rows_of(child.load(planted)[0]) == rows_of(buffer.state())


def test_a_bare_state_finds_its_segments_beside_it_or_says_later_that_it_has_none(
    buffer: Buffer, tmp_path: Path
) -> None:
    buffer.grow()
    manifest = buffer.save()
    inside = buffer.path / manifest.path / "state.pt"
    assert rows_of(load_foreign(inside)) == rows_of(buffer.state())
    (tmp_path / "away.pt").write_bytes(inside.read_bytes())
    assert load_foreign(tmp_path / "away.pt")["learner"]["replay"]["segments"][0].array is None


def test_what_an_interrupted_save_left_is_noted_and_deleted_by_the_next_one(buffer: Buffer) -> None:
    buffer.grow()
    buffer.save()
    left = buffer.path / "buffer" / f".tmp-{'0' * 64}.npy"
    left.write_bytes(b"x")
    assert any("interrupted" in finding.text for finding in verify(buffer.path).findings)
    CheckpointStore(buffer.path).clean()
    assert not left.exists()
