"""Checkpoints: what was saved comes back bit for bit, or not at all and with the reason."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tui_trainer.errors import DamagedSession, UsageError
from tui_trainer.sessions.checkpoints import (
    CheckpointStore,
    FileHash,
    encode_manifest,
    read_manifest,
    state_sha256,
)

from . import hostile
from .world import new_session, save, small_state

LONG = (pytest.mark.long, pytest.mark.timeout(1200))


@pytest.fixture
def session_dir(tmp_path: Path) -> Path:
    return new_session(tmp_path).path


def everything() -> dict[str, Any]:
    """Every kind of value that a learner, task or manager may keep."""
    module = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    return {
        "learner": {"parameters": module.state_dict(), "optimizer": optimizer.state_dict()},
        "rng": torch.get_rng_state(),
        "python": random.Random(3).getstate(),
        "numpy": np.random.default_rng(3).bit_generator.state,
        "arrays": [np.arange(12, dtype=np.uint64).reshape(3, 4)[:, ::2], np.zeros((0, 3)), np.array(7, np.int8)],
        "board": np.asfortranarray(np.arange(6).reshape(2, 3) > 2),
        "scalars": (np.float32(0.1), np.int64(5), np.bool_(True), 1.5, -0.0, float("nan"), float("inf")),
        "integers": {0: -1, 1: 2**63, 2: -(2**200), "bool": True},
        "text": "ü\x1b\ud800", "bytes": b"\x00\xff", "none": None, "empty": {}, "tuple": (), "list": [],
        "half": torch.zeros(3, dtype=torch.bfloat16), "turned": torch.arange(6.0).reshape(2, 3).T,
        "scalar": torch.tensor(3), "ordered": OrderedDict(a=1),
        "wall": {"elapsed_s": 3.0},
    }  # fmt: skip


def test_every_kind_of_value_comes_back_bit_for_bit(session_dir: Path) -> None:
    state = everything()
    store = CheckpointStore(session_dir)
    manifest = store.save(store.snapshot(state), kind="manual", update=1, global_step=2)
    loaded, _ = store.load(manifest)
    assert state_sha256(loaded) == manifest.state_sha256 == state_sha256(state)
    assert random.Random(0).setstate(loaded["python"]) is None
    assert loaded["numpy"] == state["numpy"]
    assert [a.dtype for a in loaded["arrays"]] == [a.dtype for a in state["arrays"]]
    assert [type(s) for s in loaded["scalars"]] == [type(s) for s in state["scalars"]]
    assert loaded["integers"] == state["integers"]
    assert loaded["wall"] == {"elapsed_s": 3.0}
    assert loaded["text"] == state["text"]


def test_a_snapshot_does_not_follow_training(session_dir: Path) -> None:
    weight, board, names = torch.zeros(3), np.zeros(3), ["a"]
    store = CheckpointStore(session_dir)
    frozen = store.snapshot({"weight": weight, "board": board, "names": names})
    weight += 1
    board += 1
    names.append("b")
    loaded, _ = store.load(store.save(frozen, kind="regular", update=1, global_step=1))
    assert (loaded["weight"].sum(), loaded["board"].sum(), loaded["names"]) == (0, 0, ["a"])


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, {(1, 2): 3}, {"__array__": 1}, np.array([object()]), np.array(["a"]), lambda: 0, {1.5: 2}],
)
def test_what_a_checkpoint_cannot_hold_is_refused_with_its_place(session_dir: Path, value: object) -> None:
    with pytest.raises(TypeError, match=r"learner\.pool\[1\]"):
        CheckpointStore(session_dir).snapshot({"learner": {"pool": [0, value]}})


# --- the hash --------------------------------------------------------------------------------------------------------

CHANGES = [
    (1, 1.0), (1, True), (0, None), (0, False), ("1", 1), ("a", b"a"), ([1], (1,)), ([], {}), ([], None), (0.0, -0.0),
    ({"a": 1}, {"b": 1}), ({1: 1}, {"1": 1}), (["ab"], ["a", "b"]), ([[1], 2], [[1, 2]]),
    (torch.zeros(2), torch.zeros(2, 1)), (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
    (torch.zeros(2), np.zeros(2, np.float32)), (torch.tensor(0), 0), (torch.zeros(2), torch.tensor([0.0, -0.0])),
    (np.zeros(2), np.zeros((2, 1))), (np.zeros(2), np.zeros(2, ">f8")), (np.float64(1.0), 1.0),
    (np.float32(1), np.array(1, np.float32)), (np.zeros(1, np.int64), np.zeros(1, np.uint64)),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), CHANGES, ids=lambda value: repr(value)[:20])
def test_any_difference_changes_the_hash(first: object, second: object) -> None:
    assert state_sha256({"a": first}) != state_sha256({"a": second})
    assert state_sha256([first]) != state_sha256([second])


def test_the_hash_ignores_order_of_keys_memory_layout_and_wall_time() -> None:
    square = torch.arange(9.0).reshape(3, 3)
    first = {"a": square.T, "b": np.arange(6).reshape(2, 3).T, "c": {"wall": 1, "d": 2}, "wall": 5}
    second = {"wall": 7, "c": {"d": 2}, "b": np.arange(6).reshape(2, 3).T.copy(), "a": square.T.contiguous()}
    assert state_sha256(first) == state_sha256(second)
    assert state_sha256({"a": {"wall": 1}}) == state_sha256({"a": {}})
    assert state_sha256({"a": OrderedDict(b=1)}) == state_sha256({"a": {"b": 1}})


def test_every_single_bit_of_a_tensor_changes_the_hash() -> None:
    seen = set()
    for bit in range(64):
        tensor = torch.zeros(2, dtype=torch.int32)
        tensor[bit // 32] = (1 << (bit % 32)) - (1 << 32 if bit % 32 == 31 else 0)
        seen.add(state_sha256({"t": tensor}))
    assert len(seen) == 64


# --- damage ----------------------------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "state.pt flipped": lambda d: flip(d / "state.pt"),
    "state.pt cut": lambda d: os.truncate(d / "state.pt", 100),
    "state.pt empty": lambda d: os.truncate(d / "state.pt", 0),
    "state.pt absent": lambda d: (d / "state.pt").unlink(),
    "state.pt of another": lambda d: shutil.copy(d.parent / "1-u1" / "state.pt", d / "state.pt"),
    "state.pt a pipe": lambda d: ((d / "state.pt").unlink(), os.mkfifo(d / "state.pt")),
    "state.pt a link": lambda d: ((d / "state.pt").unlink(), (d / "state.pt").symlink_to(d.parent / "1-u1/state.pt")),
    "manifest.toml flipped": lambda d: flip(d / "manifest.toml"),
    "manifest.toml empty": lambda d: os.truncate(d / "manifest.toml", 0),
    "manifest.toml absent": lambda d: (d / "manifest.toml").unlink(),
    "manifest.toml of another": lambda d: shutil.copy(d.parent / "1-u1" / "manifest.toml", d / "manifest.toml"),
    "manifest.toml edited": lambda d: (d / "manifest.toml").write_text(
        (d / "manifest.toml").read_text().replace("global_step = 30", "global_step = 31")
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_loads(session_dir: Path, damage: str) -> None:
    store = CheckpointStore(session_dir)
    for update in (1, 2, 3):
        save(store, update)
    DAMAGE[damage](session_dir / "checkpoints" / "3-u3")
    loaded = CheckpointStore(session_dir).newest_good()
    assert loaded.manifest.update == 2
    assert state_sha256(loaded.state) == state_sha256(small_state(2))
    [problem] = loaded.problems
    assert f"3-u3/{damage.split()[0]}" in problem or "3-u3: " in problem


def test_when_all_are_damaged_every_reason_is_listed_and_nothing_is_changed(session_dir: Path) -> None:
    store = CheckpointStore(session_dir)
    for update in (1, 2, 3):
        save(store, update)
    DAMAGE["state.pt flipped"](session_dir / "checkpoints" / "1-u1")
    DAMAGE["state.pt empty"](session_dir / "checkpoints" / "2-u2")
    DAMAGE["manifest.toml absent"](session_dir / "checkpoints" / "3-u3")
    before = sorted((path, path.stat().st_size) for path in session_dir.rglob("*"))
    with pytest.raises(DamagedSession) as refused:
        CheckpointStore(session_dir).newest_good()
    assert refused.value.exit_code == 2
    assert all(part in str(refused.value) for part in ("1-u1/state.pt", "2-u2/state.pt", "3-u3/manifest.toml"))
    assert sorted((path, path.stat().st_size) for path in session_dir.rglob("*")) == before


def test_a_session_without_a_checkpoint_says_so(session_dir: Path) -> None:
    with pytest.raises(UsageError, match="has no checkpoint yet"):
        CheckpointStore(session_dir).newest_good()


def test_a_manifest_cannot_name_a_file_elsewhere(session_dir: Path) -> None:
    store = CheckpointStore(session_dir)
    manifest = save(store, 1)
    path = session_dir / "checkpoints" / "1-u1" / "manifest.toml"
    for name in ("../../etc/passwd", "/etc/passwd", "../2-u2/state.pt", "state.pt\x00", "sub/state.pt"):
        entry = manifest.files["state.pt"]
        forged = {"state.pt": entry, name: entry} if name != "/etc/passwd" else {name: entry}
        import msgspec

        path.write_bytes(encode_manifest(msgspec.structs.replace(manifest, files=forged)))
        with pytest.raises(DamagedSession, match="names odd files"):
            read_manifest(path.parent)


def test_a_hostile_state_with_a_manifest_to_match_never_reaches_torch(session_dir: Path) -> None:
    import hashlib

    import msgspec

    store = CheckpointStore(session_dir)
    manifest = save(store, 1)
    directory = session_dir / "checkpoints" / "1-u1"
    for kind in ("bomb: stride 0", "code: os.system", "bomb: contains itself"):
        data = hostile.made(kind)
        entry = FileHash(len(data), hashlib.sha256(data).hexdigest())
        (directory / "state.pt").write_bytes(data)
        forged = msgspec.structs.replace(manifest, files={"state.pt": entry}, size=entry.size)
        (directory / "manifest.toml").write_bytes(encode_manifest(forged))
        store.verify(store.manifests()[0])
        with pytest.raises(DamagedSession, match="not a plain checkpoint"):
            store.newest_good()


def test_a_checkpoint_of_a_newer_format_is_told_apart_from_a_damaged_one(session_dir: Path) -> None:
    import msgspec

    store = CheckpointStore(session_dir)
    save(store, 1)
    manifest = save(store, 2)
    path = session_dir / "checkpoints" / "2-u2" / "manifest.toml"
    path.write_bytes(encode_manifest(msgspec.structs.replace(manifest, format=9)))
    assert "made by a newer version (format 9)" in store.survey().bad[0].why
    assert store.newest_good().manifest.update == 1


@pytest.mark.parametrize("count", [60, pytest.param(10_000, marks=LONG)])
def test_no_mutation_of_a_checkpoint_is_loaded(session_dir: Path, count: int) -> None:
    chance = random.Random(7)
    store = CheckpointStore(session_dir)
    manifest = save(store, 1)
    directory = session_dir / "checkpoints" / manifest.directory
    whole = {name: (directory / name).read_bytes() for name in ("state.pt", "manifest.toml")}
    for _ in range(count):
        name = chance.choice(sorted(whole))
        data = bytearray(whole[name])
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        (directory / name).write_bytes(data)
        with pytest.raises(DamagedSession):
            store.newest_good()
        (directory / name).write_bytes(whole[name])
    assert store.newest_good().problems == []


# --- numbers and leftovers -------------------------------------------------------------------------------------------


def test_a_number_is_never_used_twice(session_dir: Path) -> None:
    store = CheckpointStore(session_dir)
    numbers = [save(store, 1).number, save(store, 2).number]
    store.snapshot({})
    numbers.append(save(store, 3).number)
    store.prune(1, 1, 0)
    numbers.append(save(CheckpointStore(session_dir), 4).number)
    (session_dir / "checkpoints" / ".tmp-9-u9").mkdir()
    numbers.append(save(CheckpointStore(session_dir), 5).number)
    assert numbers == [1, 2, 4, 5, 10]


def test_leftovers_of_interrupted_saves_are_no_checkpoints_and_are_cleaned(session_dir: Path) -> None:
    store = CheckpointStore(session_dir)
    save(store, 1)
    for name in (".tmp-7-u7", ".pruned-3-u3", "notes", "5-u5x"):
        shutil.copytree(session_dir / "checkpoints" / "1-u1", session_dir / "checkpoints" / name)
    assert [m.directory for m in store.manifests()] == ["1-u1"]
    assert store.clean() == (".pruned-3-u3", ".tmp-7-u7")
    (session_dir / "checkpoints" / ".tmp-8-u8").mkdir()
    save(CheckpointStore(session_dir), 2)
    shutil.rmtree(session_dir / "checkpoints" / "9-u2")
    assert sorted(os.listdir(session_dir / "checkpoints")) == ["1-u1", "5-u5x", "notes"]


def test_best_is_the_highest_score_and_ties_go_to_the_newer(session_dir: Path) -> None:
    store = CheckpointStore(session_dir)
    assert store.best() is None
    for update, score in ((1, 0.4), (2, 0.9), (3, 0.9), (4, 0.5)):
        save(store, update, "best", score)
    save(store, 5, "regular", 1.0)
    best = store.best()
    assert best is not None
    assert best.update == 3


def test_a_checkpoint_of_an_older_release_still_loads() -> None:
    loaded = CheckpointStore(Path(__file__).parent / "old" / "format-1").newest_good()
    assert (loaded.manifest.update, loaded.problems) == (3, [])
    before_segments = {name: value for name, value in small_state(3).items() if name != "replay"}
    assert state_sha256(loaded.state) == loaded.manifest.state_sha256 == state_sha256(before_segments)


# --- what loads ------------------------------------------------------------------------------------------------------

LOOK = """
import sys
from pathlib import Path
from tui_trainer.sessions import checkpoints, configs, journal, names, provenance, store, strict
path = Path(sys.argv[1])
store.list_sessions(path.parent)
session = store.Session.open(path)
session.read(), session.owner(), journal.read_journal(session.journal_path)
found = checkpoints.CheckpointStore(path)
found.verify(found.manifests()[0]), found.plan(1, 1, 0), found.best()
strict.check_file(path / "checkpoints" / found.manifests()[0].directory / "state.pt")
provenance.collect([], path)
print(sorted({"torch", "numpy", "textual", "typer", "psutil"} & set(sys.modules)))
"""


def test_looking_at_a_session_loads_no_torch_and_no_numpy(session_dir: Path) -> None:
    store = CheckpointStore(session_dir)
    for update in (1, 2, 3):
        save(store, update)
    done = subprocess.run([sys.executable, "-c", LOOK, str(session_dir)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
