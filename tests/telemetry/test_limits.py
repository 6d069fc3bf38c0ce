"""Container limits of both cgroup versions, from trees as the kernel shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_trainer.telemetry.limits import container_limits, cpu_seconds_used, memory_used


def tree(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def membership(root: Path, text: str) -> Path:
    path = root / "membership"
    path.write_text(text)
    return path


def test_version_2_limits_are_read(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "job/cpu.max": "150000 100000\n",
            "job/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
            "job/memory.max": "1073741824\n",
            "job/memory.current": "500\n",
            "job/memory.stat": "anon 300\ninactive_file 200\n",
        },
    )
    limits = container_limits(membership(tmp_path, "0::/job\n"), tmp_path)
    assert limits.cpu is not None
    assert limits.memory is not None
    assert (limits.cpu.cores, cpu_seconds_used(limits.cpu)) == (1.5, 2.5)
    assert (limits.memory.limit, memory_used(limits.memory)) == (2**30, 300)


def test_version_1_limits_are_read(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "cpu,cpuacct/job/cpu.cfs_quota_us": "200000\n",
            "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            "cpu,cpuacct/job/cpuacct.usage": "3000000000\n",
            "memory/job/memory.limit_in_bytes": "1048576\n",
            "memory/job/memory.usage_in_bytes": "1000\n",
            "memory/job/memory.stat": "inactive_file 1\ntotal_inactive_file 400\n",
        },
    )
    limits = container_limits(membership(tmp_path, "4:memory:/job\n3:cpu,cpuacct:/job\n0::/\n"), tmp_path)
    assert limits.cpu is not None
    assert limits.memory is not None
    assert (limits.cpu.cores, cpu_seconds_used(limits.cpu)) == (2.0, 3.0)
    assert (limits.memory.limit, memory_used(limits.memory)) == (2**20, 600)


def test_the_tightest_limit_on_the_way_up_holds(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "a/memory.max": "1000",
            "a/b/memory.max": "5000",
            "a/b/cpu.max": "max 100000",
            "a/cpu.max": "400000 100000",
            "cpu.max": "100000 100000",
        },
    )
    limits = container_limits(membership(tmp_path, "0::/a/b"), tmp_path)
    assert limits.memory is not None
    assert limits.cpu is not None
    assert (limits.memory.limit, limits.cpu.cores) == (1000, 1.0)


def test_a_container_that_sees_only_its_own_tree_reads_its_root(tmp_path: Path) -> None:
    tree(tmp_path, {"memory.max": "1000", "memory.current": "10"})
    limits = container_limits(membership(tmp_path, "0::/docker/0123abc"), tmp_path)
    assert limits.memory is not None
    assert limits.memory.limit == 1000


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": "max 100000", "memory.max": "max"},
        {
            "cpu/cpu.cfs_quota_us": "-1",
            "cpu/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": "9223372036854771712",
        },
    ],
)
def test_no_limit_is_none(tmp_path: Path, files: dict[str, str]) -> None:
    tree(tmp_path, files)
    limits = container_limits(membership(tmp_path, "4:memory:/\n2:cpu:/\n0::/\n"), tmp_path)
    assert (limits.cpu, limits.memory) == (None, None)


def test_where_there_are_no_cgroups_there_is_no_limit(tmp_path: Path) -> None:
    limits = container_limits(tmp_path / "absent", tmp_path)
    assert (limits.cpu, limits.memory) == (None, None)
