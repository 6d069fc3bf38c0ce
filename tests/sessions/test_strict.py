"""Files from elsewhere: what is not a plain checkpoint is refused quickly, in little memory, and never run."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from tui_trainer.core.text import is_clean
from tui_trainer.errors import DamagedSession
from tui_trainer.sessions.checkpoints import frozen_copy, load_foreign, serialise, state_sha256, thawed
from tui_trainer.sessions.strict import check_file

from . import hostile
from .world import small_state

LONG = (pytest.mark.long, pytest.mark.timeout(1200))
MEASURE = """
import json, sys, time
from pathlib import Path
from tui_trainer.errors import DamagedSession
from tui_trainer.sessions.strict import check_file

def mib(field):
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[field].split()[0]) / 1024
def measured(work):
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, began = mib("VmRSS"), time.process_time()
    said = work()
    return [said, time.process_time() - began, mib("VmHWM") - before]
def checked(path):
    try:
        check_file(Path(path))
        return "accepted"
    except DamagedSession as error:
        return str(error)
assert measured(lambda: str(len(b"x" * (60 << 20))))[2] > 50, "the control: 60 MiB are seen"
for name, path in json.loads(sys.stdin.read()).items():
    print(json.dumps([name, *measured(lambda: checked(path))]))
assert not {"torch", "numpy"} & set(sys.modules), "the check needs neither torch nor numpy"
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return hostile.write_all(tmp_path_factory.mktemp("hostile"))


def test_the_control_made_by_the_same_means_loads(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(hostile.harmless())
    check_file(path)
    assert load_foreign(path)["a"].tolist() == [0.0] * 4


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_hostile_files_are_refused_under_a_second_and_50_mb_without_torch(files: dict[str, Path]) -> None:
    asked = json.dumps({kind: str(path) for kind, path in files.items()})
    done = subprocess.run([sys.executable, "-c", MEASURE], input=asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(text) for text in done.stdout.splitlines()]
    assert len(rows) == len(files) > 75
    assert [name for name, said, _, _ in rows if said == "accepted"] == []
    assert [(name, seconds) for name, _, seconds, _ in rows if seconds > 1] == []
    assert [(name, growth) for name, _, _, growth in rows if growth > 50] == []
    assert [said for _, said, _, _ in rows if not is_clean(said) or "\n" in said or len(said) > 600] == []


def test_hostile_files_never_reach_torch_and_run_nothing(files: dict[str, Path], tmp_path: Path) -> None:
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        for kind, path in files.items():
            with pytest.raises(DamagedSession) as refused:
                load_foreign(path)
            assert refused.value.exit_code == 2, kind
            assert "torch refused" not in str(refused.value), kind
    finally:
        os.chdir(here)
    assert not (tmp_path / hostile.CANARY).exists()


def test_the_hostile_pickle_does_run_where_nothing_guards_it(tmp_path: Path) -> None:
    """The control: the payload is live, so its silence elsewhere means something."""
    import pickle

    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        pickle.loads(hostile.FILES["archive: plain pickle"]())
    finally:
        os.chdir(here)
    assert (tmp_path / hostile.CANARY).exists()


@pytest.mark.parametrize("dtype", [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64, torch.complex128,
])  # fmt: skip
def test_what_torch_saves_of_every_type_is_accepted(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "a.pt"
    whole = torch.zeros((3, 4)).to(dtype)
    torch.save({"whole": whole, "view": whole[1:, ::2], "turned": whole.T, "none": whole[:0], "one": whole[0, 0]}, path)
    loaded = load_foreign(path)
    assert loaded["view"].shape == (2, 2)
    assert all(torch.equal(value, value) for value in loaded.values())


def test_what_others_save_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    for state in (
        module.state_dict(),
        {
            "model": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "epoch": 3,
            "loss": 0.5,
            "names": ("a", None),
        },
        {"parameter": torch.nn.Parameter(torch.ones(2)), "size": torch.Size((1, 2)), "ordered": OrderedDict(a=1)},
    ):
        torch.save(state, path)
        assert state_sha256(load_foreign(path)) == state_sha256(frozen_copy(state))


def test_a_large_number_of_tensors_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({str(i): torch.full((2,), float(i)) for i in range(3000)}, path)
    assert load_foreign(path)["2999"].tolist() == [2999.0] * 2


def test_keys_that_imitate_our_own_marks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    for mark in (
        {"__array__": 3, "dtype": "<f8", "shape": [2]},
        {"__array__": torch.zeros(3, dtype=torch.uint8), "dtype": "<f8", "shape": [2]},
        {"__array__": torch.zeros(8, dtype=torch.uint8), "dtype": "O", "shape": [1]},
        {"__array__": torch.zeros(8, dtype=torch.uint8), "dtype": "nonsense", "shape": [1]},
        {"__array__": torch.zeros(8, dtype=torch.uint8), "dtype": "<f8", "shape": "x"},
        {"__array__": torch.zeros(0, dtype=torch.uint8), "dtype": "<f8", "shape": None},
        {"__int__": "ten"},
        {"__int__": "9" * 5000},
        {"__bytes__": 5},
    ):
        torch.save({"a": mark}, path)
        with pytest.raises(DamagedSession):
            load_foreign(path)
    torch.save([1, 2], path)
    with pytest.raises(DamagedSession, match="no dictionary"):
        load_foreign(path)


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=LONG)])
def test_no_mutated_file_loads_silently_wrong(tmp_path: Path, count: int) -> None:
    """Without a hash to compare: what is accepted is what was written, bit for bit."""
    chance = random.Random(5)
    data = bytes(serialise(frozen_copy(small_state(3))))
    true = state_sha256(small_state(3))
    path = tmp_path / "a.pt"
    for _ in range(count):
        at, length = chance.randrange(len(data)), chance.choice((1, 1, 1, 16, 200))
        kind = chance.randrange(4)
        bad = (
            data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :] if kind < 2
            else data[:at] if kind == 2
            else data[:at] + bytes(length) + data[at + length :]
        )  # fmt: skip
        path.write_bytes(bad)
        try:
            state = load_foreign(path)
        except DamagedSession:
            continue
        assert state_sha256(state) == true


def test_serialised_states_come_back_as_they_were() -> None:
    state = small_state(4)
    back = thawed(torch.load(io.BytesIO(serialise(frozen_copy(state))), weights_only=True))
    assert state_sha256(back) == state_sha256(state)
    assert type(back["counters"]["shape"]) is tuple


# --- larger than 4 GiB -----------------------------------------------------------------------------------------------


def widened(data: bytes, *, leave_out: bool = False) -> bytes:
    """The same archive with sizes and places of its records in 64 bits, as those of a large one are."""
    place = len(data) - 22 - 20 - 56
    count, length, offset = struct.unpack_from("<3Q", data, place + 32)
    directory, at = b"", offset
    for _ in range(count):
        packed, size, n_name, n_extra, n_comment = struct.unpack_from("<2L3H", data, at + 20)
        (header,) = struct.unpack_from("<L", data, at + 42)
        wide = struct.pack("<4H3Q", 0x7777, 0, 1, 24, size, packed, header)
        wide = wide[:4] if leave_out else wide
        entry = bytearray(data[at : at + 46 + n_name])
        struct.pack_into("<2L3H", entry, 20, 0xFFFFFFFF, 0xFFFFFFFF, n_name, len(wide), 0)
        struct.pack_into("<L", entry, 42, 0xFFFFFFFF)
        directory += bytes(entry) + wide
        at += 46 + n_name + n_extra + n_comment
    assert at == offset + length
    ending = bytearray(data[place:])
    struct.pack_into("<Q", ending, 40, len(directory))
    struct.pack_into("<Q", ending, 56 + 8, offset + len(directory))
    struct.pack_into("<L", ending, 56 + 20 + 12, len(directory))
    return data[:offset] + directory + bytes(ending)


def test_a_checkpoint_with_sizes_in_64_bits_is_read_as_any_other(tmp_path: Path) -> None:
    state = small_state(3)
    path = tmp_path / "state.pt"
    path.write_bytes(widened(bytes(serialise(frozen_copy(state)))))
    torch.load(path, weights_only=True)  # it is an archive as torch reads it, too
    assert state_sha256(load_foreign(path)) == state_sha256(frozen_copy(state))


def test_a_large_record_without_its_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    path.write_bytes(widened(bytes(serialise(frozen_copy(small_state(3)))), leave_out=True))
    with pytest.raises(DamagedSession, match="a large record has no size"):
        check_file(path)
