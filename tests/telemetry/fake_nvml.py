"""A stand-in for pynvml: as many GPUs as asked for, and the errors the real library raises."""

from __future__ import annotations

import os
from types import ModuleType, SimpleNamespace
from typing import Any


class NVMLError(Exception):
    pass


class NVMLError_LibraryNotFound(NVMLError):
    pass


class NVMLError_DriverNotLoaded(NVMLError):
    pass


class NVMLError_NoPermission(NVMLError):
    pass


class NVMLError_NotSupported(NVMLError):
    pass


class NVMLError_GpuIsLost(NVMLError):
    pass


class FakeNvml(ModuleType):
    """Attributes as pynvml's functions. Set `fails` to have a function raise, by its name."""

    NVMLError = NVMLError
    NVMLError_LibraryNotFound = NVMLError_LibraryNotFound
    NVMLError_DriverNotLoaded = NVMLError_DriverNotLoaded
    NVMLError_NoPermission = NVMLError_NoPermission
    NVMLError_NotSupported = NVMLError_NotSupported
    NVMLError_GpuIsLost = NVMLError_GpuIsLost
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, gpus: int = 2, fails: dict[str, NVMLError] | None = None, name: str | bytes = "H200") -> None:
        super().__init__("pynvml")
        self.gpus = gpus
        self.fails = fails or {}
        self.name = name
        self.is_open = False

    def _answer(self, function: str, value: Any) -> Any:
        if function in self.fails:
            raise self.fails[function]
        return value

    def nvmlInit(self) -> None:
        self._answer("nvmlInit", None)
        self.is_open = True

    def nvmlShutdown(self) -> None:
        self.is_open = False

    def nvmlDeviceGetCount(self) -> int:
        return int(self._answer("nvmlDeviceGetCount", self.gpus))

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return int(self._answer("nvmlDeviceGetHandleByIndex", index))

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(used=2**30 * (handle + 1), total=2**30 * 141)

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:
        return self.name

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        return self._answer("nvmlDeviceGetUtilizationRates", SimpleNamespace(gpu=87))

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return int(self._answer("nvmlDeviceGetPowerUsage", 412_000))

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:
        mine = SimpleNamespace(pid=os.getpid(), usedGpuMemory=2**29)
        strangers = SimpleNamespace(pid=1, usedGpuMemory=None)
        return list(self._answer("nvmlDeviceGetComputeRunningProcesses", [mine, strangers] if handle == 0 else []))

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        return int(self._answer("nvmlDeviceGetTemperature", 61))
