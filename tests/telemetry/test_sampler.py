"""Samples are sane, cheap, and never a reason for training to stop."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from tests.telemetry.fake_nvml import (
    FakeNvml,
    NVMLError,
    NVMLError_DriverNotLoaded,
    NVMLError_GpuIsLost,
    NVMLError_LibraryNotFound,
    NVMLError_NoPermission,
    NVMLError_NotSupported,
)
from tui_trainer.core.values import Gpu, Resources
from tui_trainer.telemetry.limits import CpuLimit, Limits, MemoryLimit
from tui_trainer.telemetry.nvml import Gpus
from tui_trainer.telemetry.sampler import Machine, Sampler, available_cores, disk_free, sample_once


def spin(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_a_sample_is_sane(tmp_path: Path) -> None:
    r = sample_once(tmp_path)
    assert 0 <= r.cpu_percent <= 100
    assert 0 < r.process_rss_gib < r.memory_used_gib <= r.memory_total_gib
    assert 0 < r.disk_free_gib < r.disk_total_gib
    assert r.disk_full_s is None
    assert 1 <= r.cores <= (os.cpu_count() or 1)
    assert all(math.isfinite(v) for v in msgspec.structs.astuple(r) if isinstance(v, float))
    assert bool(r.gpus) != bool(r.gpu_note)


def test_every_core_that_may_be_used_has_its_load(tmp_path: Path) -> None:
    loads = sample_once(tmp_path).core_percents
    assert len(loads) == len(os.sched_getaffinity(0))
    assert all(0 <= load <= 100 for load in loads)


def test_own_work_shows_as_load_of_this_process(tmp_path: Path) -> None:
    before, burnt = time.monotonic(), time.process_time()
    machine = Machine(tmp_path)
    begin = time.monotonic()
    spin(0.3)
    end = time.monotonic()
    share = machine.sample().process_cpu_percent
    assert 50 * 0.3 / (time.monotonic() - before) < share < 150 * (time.process_time() - burnt) / (end - begin)


def test_children_count_as_this_process(tmp_path: Path) -> None:
    alone = sample_once(tmp_path).process_rss_gib
    hold = "import sys; held = bytearray(200 * 2**20); print(flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    together = sample_once(tmp_path).process_rss_gib
    child.communicate()
    assert together > alone + 0.19


def test_a_directory_that_is_gone_still_has_a_disk(tmp_path: Path) -> None:
    assert disk_free(tmp_path / "not" / "there") == pytest.approx(disk_free(tmp_path), rel=0.1)


def test_a_containers_memory_limit_is_the_memory(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text(str(2**29))
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {2**27}\n")
    limit = MemoryLimit(2**30, tmp_path / "memory.current", tmp_path / "memory.stat")
    r = Machine(tmp_path, limits=Limits(memory=limit)).sample()
    assert (r.memory_total_gib, r.memory_used_gib) == (1.0, 0.375)


def test_a_containers_quota_is_the_machine(tmp_path: Path) -> None:
    usage = tmp_path / "cpu.stat"
    usage.write_text("usage_usec 1000000\n")
    before = time.monotonic()
    machine = Machine(tmp_path, limits=Limits(cpu=CpuLimit(0.5, usage)))
    begin = time.monotonic()
    time.sleep(0.2)
    usage.write_text("usage_usec 1050000\n")
    end = time.monotonic()
    r = machine.sample()
    assert r.cores == 1
    assert 99 * 0.05 / (0.5 * (time.monotonic() - before)) < r.cpu_percent < 101 * 0.05 / (0.5 * (end - begin))


@pytest.mark.parametrize(("quota", "cores"), [(0.2, 1), (1.0, 1), (1.5, 2), (1000.0, available_cores(Limits()))])
def test_a_quota_is_rounded_up_to_cores(quota: float, cores: int, tmp_path: Path) -> None:
    assert available_cores(Limits(cpu=CpuLimit(quota, tmp_path))) == min(cores, available_cores(Limits()))


def test_a_sample_costs_little(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    start = time.process_time()
    for _ in range(10):
        machine.sample()
    assert (time.process_time() - start) / 10 < 0.05


# --- the thread ---


def test_samples_arrive_until_it_is_stopped(tmp_path: Path) -> None:
    got: list[Resources] = []
    enough = threading.Event()

    def deliver(sample: Resources) -> None:
        got.append(sample)
        if len(got) >= 3:
            enough.set()

    sampler = Sampler(0.05, tmp_path, deliver)
    sampler.start()
    assert enough.wait(60)
    sampler.stop()
    count = len(got)
    time.sleep(0.2)
    assert len(got) == count
    assert sampler.missed == 0


def test_stopping_does_not_wait_for_the_interval(tmp_path: Path) -> None:
    sampler = Sampler(3600, tmp_path, lambda sample: None)
    sampler.start()
    time.sleep(0.2)
    start = time.monotonic()
    sampler.stop()
    assert time.monotonic() - start < 60


def test_stopping_what_was_never_started_is_nothing(tmp_path: Path) -> None:
    Sampler(1, tmp_path, lambda sample: None).stop()


# --- GPUs ---


def opened(nvml: FakeNvml) -> Gpus:
    gpus = Gpus(lambda: nvml)
    gpus.open()
    return gpus


def test_every_gpu_is_read() -> None:
    gpus = opened(FakeNvml(2, name=b"NVIDIA H200"))
    first, second = gpus.read()
    assert first == Gpu(
        index=0,
        name="NVIDIA H200",
        utilisation=87.0,
        memory_used_gib=1.0,
        memory_total_gib=141.0,
        power_w=412.0,
        temperature_c=61.0,
    )
    assert (second.index, second.memory_used_gib) == (1, 2.0)
    assert gpus.note == ""


def test_what_the_engine_holds_on_each_gpu_is_told_where_the_driver_tells_it(tmp_path: Path) -> None:
    nvml = FakeNvml(2)
    first, second = Machine(tmp_path, gpus=Gpus(lambda: nvml)).sample().gpus
    assert (first.process_memory_gib, second.process_memory_gib) == (0.5, None)
    nvml.fails = {"nvmlDeviceGetComputeRunningProcesses": NVMLError_NoPermission()}
    assert [gpu.process_memory_gib for gpu in opened(nvml).read([os.getpid()])] == [None, None]


def test_without_the_library_it_says_no_nvml() -> None:
    def absent() -> FakeNvml:
        raise ModuleNotFoundError("No module named 'pynvml'")

    gpus = Gpus(absent)
    assert not gpus.open()
    assert (gpus.read(), gpus.note) == ((), "no NVML")
    gpus.close()


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (NVMLError_LibraryNotFound(), "no NVML"),
        (NVMLError_DriverNotLoaded(), "NVIDIA driver not loaded"),
        (NVMLError_NoPermission(), "NVML: no permission"),
        (NVMLError("some\x1b[2Jthing"), "NVML: some·[2Jthing"),
    ],
)
def test_a_driver_that_does_not_answer_is_named(error: NVMLError, note: str) -> None:
    gpus = opened(FakeNvml(1, {"nvmlInit": error}))
    assert (gpus.read(), gpus.note) == ((), note)


def test_a_machine_without_gpus_says_so() -> None:
    gpus = opened(FakeNvml(0))
    assert (gpus.read(), gpus.note) == ((), "no GPU")


def test_figures_a_gpu_does_not_offer_are_left_out() -> None:
    fails = {
        f"nvmlDeviceGet{what}": NVMLError_NotSupported() for what in ("UtilizationRates", "PowerUsage", "Temperature")
    }
    (gpu,) = opened(FakeNvml(1, dict(fails))).read()
    assert (gpu.utilisation, gpu.power_w, gpu.temperature_c) == (0.0, None, None)


def test_a_gpu_that_falls_off_the_bus_is_named_and_seen_again_when_it_is_back() -> None:
    nvml = FakeNvml(1)
    gpus = opened(nvml)
    nvml.fails = {"nvmlDeviceGetHandleByIndex": NVMLError_GpuIsLost()}
    assert (gpus.read(), gpus.note) == ((), "GPU lost")
    nvml.fails = {}
    assert (len(gpus.read()), gpus.note) == (1, "")


def test_nvml_is_let_go(tmp_path: Path) -> None:
    nvml = FakeNvml(1)
    machine = Machine(tmp_path, gpus=Gpus(lambda: nvml))
    assert machine.sample().gpus[0].name == "H200"
    assert nvml.is_open
    machine.close()
    assert not nvml.is_open


def test_importing_telemetry_loads_neither_torch_nor_nvml() -> None:
    code = (
        "import sys, tui_trainer.telemetry.sampler, tui_trainer.telemetry.probe, tui_trainer.telemetry.alerts;"
        "print([name for name in ('torch', 'pynvml', 'numpy', 'textual') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_the_stand_in_has_the_names_of_the_real_library() -> None:
    import pynvml

    names = {name for kind in (FakeNvml, Gpus) for name in vars(kind) if name.lower().startswith("nvml")}
    assert len(names) > 12
    assert [name for name in names if not hasattr(pynvml, name)] == []
