"""Samples CPU, memory, disk, network and GPUs in a background thread, away from the training loop."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from tui_trainer.core.values import Resources
from tui_trainer.telemetry.forecast import DiskPace
from tui_trainer.telemetry.limits import Limits, container_limits, cpu_seconds_used, memory_used
from tui_trainer.telemetry.nvml import Gpus

_GIB = 1024**3
_MIB = 1024**2
_MOST_CORES = 128
"""Beyond these, each core's load would make the journal long and tell nobody anything."""
_FIRST_WINDOW_S = 0.1
"""Rates need two readings; the first sample waits this long between them."""


class Machine:
    """Readings of this machine and of this process with its children; rates are since the last `sample`."""

    def __init__(self, disk_path: Path, *, limits: Limits | None = None, gpus: Gpus | None = None) -> None:
        self._disk_path = disk_path
        self._limits = container_limits() if limits is None else limits
        self._gpus = Gpus() if gpus is None else gpus
        self._gpus.open()
        self._rates = _Rates(self._limits)
        self._pace = DiskPace()
        self._me = psutil.Process()
        self._family: dict[int, psutil.Process] = {self._me.pid: self._me}
        self._rates.read(time.monotonic())
        core_percents()
        self._processes()

    def sample(self) -> Resources:
        """The machine now. Raises psutil.Error or OSError only where the system's own counters fail."""
        used, total = self._memory()
        busy, written, network = self._rates.read(time.monotonic())
        process_cpu, rss = self._processes()
        gpus = self._gpus.read(self._family)
        disk = disk_usage(self._disk_path)
        return Resources(
            cpu_percent=busy,
            process_cpu_percent=process_cpu,
            memory_used_gib=used / _GIB,
            memory_total_gib=total / _GIB,
            process_rss_gib=rss / _GIB,
            disk_free_gib=disk.free / _GIB,
            disk_total_gib=disk.total / _GIB,
            disk_full_s=self._pace.observe(time.monotonic(), disk.free),
            cores=available_cores(self._limits),
            disk_write_mib_s=written / _MIB,
            network_mib_s=network / _MIB,
            gpus=gpus,
            gpu_note=self._gpus.note,
            core_percents=core_percents(),
        )

    def close(self) -> None:
        """Let NVML go."""
        self._gpus.close()

    def _memory(self) -> tuple[int, int]:
        """Used and total bytes, of the container where it has a limit below the machine's."""
        machine = psutil.virtual_memory()
        limit = self._limits.memory
        held = memory_used(limit) if limit else None
        if limit and held is not None and limit.limit < machine.total:
            return held, limit.limit
        return machine.total - machine.available, machine.total

    def _processes(self) -> tuple[float, int]:
        """CPU percent (100 a busy core) and resident bytes of this process and its children."""
        alive = {self._me.pid: self._me, **{child.pid: child for child in self._me.children(recursive=True)}}
        self._family = {pid: self._family.get(pid, process) for pid, process in alive.items()}
        readings = [_process(process) for process in self._family.values()]
        return sum(cpu for cpu, _ in readings), sum(rss for _, rss in readings)


class _Rates:
    """System counters turned into rates since the last reading."""

    def __init__(self, limits: Limits) -> None:
        self._quota = limits.cpu if limits.cpu and limits.cpu.cores < _affinity() else None
        self._at = time.monotonic()
        self._cpu_s, self._written, self._network = self._counters()

    def read(self, now: float) -> tuple[float, float, float]:
        """CPU percent of what may be used, bytes a second written to disks, and over the network."""
        window = max(1e-6, now - self._at)
        cpu_s, written, network = self._counters()
        busy = psutil.cpu_percent(None)
        if self._quota and cpu_s is not None and self._cpu_s is not None:
            busy = 100 * (cpu_s - self._cpu_s) / (window * self._quota.cores)
        rates = (written - self._written) / window, (network - self._network) / window
        self._at, self._cpu_s, self._written, self._network = now, cpu_s, written, network
        return min(100.0, max(0.0, busy)), max(0.0, rates[0]), max(0.0, rates[1])

    def _counters(self) -> tuple[float | None, int, int]:
        disks = psutil.disk_io_counters()
        net = psutil.net_io_counters()
        return (
            cpu_seconds_used(self._quota) if self._quota else None,
            disks.write_bytes if disks else 0,
            net.bytes_sent + net.bytes_recv if net else 0,
        )


def resident_gib() -> float:
    """Memory of this process without its children."""
    return float(psutil.Process().memory_info().rss) / _GIB


class Sampler:
    """Calls `deliver` with a sample every `interval_s` seconds, on its own daemon thread.

    `deliver` must return at once and not raise; a reading that fails is skipped and counted in `missed`.
    """

    def __init__(self, interval_s: float, disk_path: Path, deliver: Callable[[Resources], None]) -> None:
        self._interval_s = interval_s
        self._disk_path = disk_path
        self._deliver = deliver
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self.missed = 0

    def start(self) -> None:
        """Begin; the first sample comes after about a tenth of a second."""
        self._thread.start()

    def stop(self) -> None:
        """End and wait for the thread, two seconds at most: a hung driver must not hold the engine."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        machine = Machine(self._disk_path)
        wait = min(_FIRST_WINDOW_S, self._interval_s)
        while not self._stop.wait(wait):
            wait = self._interval_s
            try:
                sample = machine.sample()
            except (psutil.Error, OSError):
                self.missed += 1
                continue
            self._deliver(sample)
        machine.close()


def sample_once(path: Path) -> Resources:
    """One sample, over a tenth of a second."""
    machine = Machine(path)
    time.sleep(_FIRST_WINDOW_S)
    try:
        return machine.sample()
    finally:
        machine.close()


def available_cores(limits: Limits | None = None) -> int:
    """Cores this process may use: affinity and container quota (rounded up) counted in."""
    limits = container_limits() if limits is None else limits
    quota = limits.cpu.cores if limits.cpu else float(_affinity())
    return max(1, min(_affinity(), int(-(-quota // 1))))


def core_percents() -> tuple[int, ...]:
    """How busy each core that may be used was since the last call on this thread, 0..100."""
    if _affinity() > _MOST_CORES:
        return ()
    busy = psutil.cpu_percent(None, percpu=True)
    ours = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(busy))
    return tuple(round(share) for core, share in enumerate(busy) if core in ours)


class DiskUsage(NamedTuple):
    """Bytes of a file system, and how many are free to this user."""

    total: int
    free: int


def disk_usage(path: Path) -> DiskUsage:
    """The file system that `path` lies on, or would lie on."""
    for place in (path, *path.absolute().parents):
        try:
            found = shutil.disk_usage(place)
        except FileNotFoundError:
            continue
        return DiskUsage(found.total, found.free)
    return DiskUsage(0, 0)


def disk_free(path: Path) -> int:
    """Bytes free to this user where `path` lies, or would lie."""
    return disk_usage(path).free


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _process(process: psutil.Process) -> tuple[float, int]:
    try:
        with process.oneshot():
            return process.cpu_percent(None), process.memory_info().rss
    except psutil.Error:
        return 0.0, 0
