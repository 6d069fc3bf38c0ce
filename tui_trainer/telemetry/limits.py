"""What a container allows: CPU quota and memory limit of cgroup versions 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

_UNLIMITED = 2**60
"""cgroup v1 writes 'no limit' as a number near 2^63."""


class CpuLimit(msgspec.Struct, frozen=True):
    """At most `cores` cores' worth of time; `usage` is the file that counts what was used."""

    cores: float
    usage: Path


class MemoryLimit(msgspec.Struct, frozen=True):
    """At most `limit` bytes; `usage` and `stat` tell what is held against it."""

    limit: int
    usage: Path
    stat: Path


class Limits(msgspec.Struct, frozen=True):
    """The tightest limits above this process; None where there is none."""

    cpu: CpuLimit | None = None
    memory: MemoryLimit | None = None


def container_limits(membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> Limits:
    """The tightest CPU quota and memory limit of the cgroups this process is in."""
    groups = list(_groups(membership, root))
    cpus = [cpu for group in groups if (cpu := _cpu(group))]
    memories = [held for group in groups if (held := _memory(group))]
    return Limits(
        min(cpus, key=lambda limit: limit.cores, default=None),
        min(memories, key=lambda limit: limit.limit, default=None),
    )


def cpu_seconds_used(limit: CpuLimit) -> float | None:
    """CPU seconds the limited group has used so far."""
    for line in _lines(limit.usage):
        name, _, value = line.partition(" ")
        if name == "usage_usec":
            return int(value) / 1e6
        if name.isdigit():
            return int(name) / 1e9
    return None


def memory_used(limit: MemoryLimit) -> int | None:
    """Bytes held against the limit, without file cache that the kernel would drop first."""
    used = _number(limit.usage)
    if used is None:
        return None
    cache = {"inactive_file", "total_inactive_file"}
    found = [int(value) for name, value in (line.split() for line in _lines(limit.stat)) if name in cache]
    return max(0, used - max(found, default=0))


def _groups(membership: Path, root: Path) -> Iterator[Path]:
    """Directories of this process's cgroups and of everything above them."""
    for line in _lines(membership):
        _, controllers, path = line.split(":", 2)
        for base in _bases(controllers, root):
            yield from _upwards(base, path)


def _bases(controllers: str, root: Path) -> list[Path]:
    if not controllers:
        return [root, root / "unified"]
    return [root / name for name in {controllers, *controllers.split(",")}]


def _upwards(base: Path, path: str) -> Iterator[Path]:
    inner = base / path.lstrip("/")
    for directory in (inner, *inner.parents):
        if directory == base or base in directory.parents:
            yield directory


def _cpu(group: Path) -> CpuLimit | None:
    quota = _lines(group / "cpu.max")
    if quota:
        allowed, _, period = quota[0].partition(" ")
        return None if allowed == "max" else CpuLimit(int(allowed) / int(period or 100_000), group / "cpu.stat")
    allowed_us = _number(group / "cpu.cfs_quota_us")
    period_us = _number(group / "cpu.cfs_period_us")
    if not allowed_us or not period_us or allowed_us < 0:
        return None
    return CpuLimit(allowed_us / period_us, group / "cpuacct.usage")


def _memory(group: Path) -> MemoryLimit | None:
    for limit, usage in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        allowed = _number(group / limit)
        if allowed is not None and allowed < _UNLIMITED:
            return MemoryLimit(allowed, group / usage, group / "memory.stat")
    return None


def _number(path: Path) -> int | None:
    lines = _lines(path)
    text = lines[0].strip() if lines else ""
    return int(text) if text.lstrip("-").isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
