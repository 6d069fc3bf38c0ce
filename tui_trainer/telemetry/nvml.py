"""Every NVIDIA GPU's load through NVML, or one word on why there is none. Loads the library on first use only."""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import ModuleType
from typing import TypeVar

from tui_trainer.core.text import clean_line
from tui_trainer.core.values import Gpu

_GIB = 1024**3
T = TypeVar("T")


class Gpus:
    """The GPUs of this machine. `note` says why `read` returns none, such as `no NVML`."""

    def __init__(self, load: Callable[[], ModuleType] | None = None) -> None:
        self._load = load or _pynvml
        self._nvml: ModuleType | None = None
        self.note = ""

    def open(self) -> bool:
        """Start NVML; False with a `note` where that cannot be."""
        try:
            nvml = self._load()
        except ImportError:
            self.note = "no NVML"
            return False
        try:
            nvml.nvmlInit()
            self._nvml = nvml
            self.note = "" if nvml.nvmlDeviceGetCount() else "no GPU"
        except nvml.NVMLError as error:
            self.note = _why(nvml, error)
        return not self.note

    def read(self, pids: Collection[int] = ()) -> tuple[Gpu, ...]:
        """One entry a GPU, by index, with what the processes `pids` hold on it.

        Where one cannot be read there are none, and `note` says why.
        """
        nvml = self._nvml
        if nvml is None:
            return ()
        found = []
        try:
            for index in range(nvml.nvmlDeviceGetCount()):
                found.append(_one(nvml, index, pids))
        except nvml.NVMLError as error:
            self.note = _why(nvml, error)
        else:
            self.note = "" if found else "no GPU"
        return tuple(found)

    def close(self) -> None:
        """Let NVML go."""
        nvml, self._nvml = self._nvml, None
        if nvml is None:
            return
        try:
            nvml.nvmlShutdown()
        except nvml.NVMLError as error:
            self.note = _why(nvml, error)


def _pynvml() -> ModuleType:
    import pynvml

    module: ModuleType = pynvml
    return module


def _one(nvml: ModuleType, index: int, pids: Collection[int]) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    name = nvml.nvmlDeviceGetName(handle)
    rates = _optional(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    power_mw = _optional(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(handle))
    heat = _optional(nvml, lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
    return Gpu(
        index=index,
        name=clean_line(name.decode() if isinstance(name, bytes) else name, 80),
        utilisation=float(rates or 0.0),
        memory_used_gib=memory.used / _GIB,
        memory_total_gib=memory.total / _GIB,
        power_w=None if power_mw is None else power_mw / 1000,
        temperature_c=None if heat is None else float(heat),
        process_memory_gib=_held(nvml, handle, pids),
    )


def _held(nvml: ModuleType, handle: object, pids: Collection[int]) -> float | None:
    """GiB of this GPU that `pids` hold; None where the driver tells of none of them (or, in a container, cannot)."""
    running = _optional(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or []
    held = [process.usedGpuMemory for process in running if process.pid in pids]
    known = [used for used in held if used is not None]
    return sum(known) / _GIB if known else None


def _optional(nvml: ModuleType, read: Callable[[], T]) -> T | None:
    """None where this GPU does not offer the figure (MIG slices, some laptops)."""
    try:
        return read()
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_NoPermission):
        return None


def _why(nvml: ModuleType, error: Exception) -> str:
    match error:
        case nvml.NVMLError_LibraryNotFound():
            return "no NVML"
        case nvml.NVMLError_DriverNotLoaded():
            return "NVIDIA driver not loaded"
        case nvml.NVMLError_NoPermission():
            return "NVML: no permission"
        case nvml.NVMLError_GpuIsLost():
            return "GPU lost"
        case _:
            return clean_line(f"NVML: {error}", 60)
