"""What doctor prints: true, quick, and with advice where something is in the way."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

from tui_trainer.core.text import is_clean
from tui_trainer.telemetry.probe import (
    Finding,
    arithmetic,
    colours,
    file_system_type,
    gpu_present,
    logout,
    multiplexer,
    probe,
    terminal,
    torch_accelerator,
    torch_sees_gpu,
    write_time,
)

XTERM = {"TERM": "xterm-256color"}


def found(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_everything_is_probed_quickly_and_said_cleanly(tmp_path: Path) -> None:
    start = time.process_time()
    findings = probe(tmp_path / "sessions", {"TERM": "\x1b[2J", "USER": "x"})
    assert time.process_time() - start < 5
    names = [finding.name for finding in findings]
    assert names == [
        "Python", "CPU", "arithmetic", "memory", "torch", "GPU", "terminal", "session", "logout", "disk", "fsync",
        "file system",
    ]  # fmt: skip
    assert all(is_clean(f.value) and is_clean(f.advice) and "\n" not in f.value for f in findings)
    assert all(finding.advice for finding in findings if not finding.ok)
    assert not (tmp_path / "sessions").exists()


def test_a_pinned_kernel_is_named_since_it_makes_arithmetic_slow() -> None:
    assert arithmetic({}).ok
    pinned = arithmetic({"OPENBLAS_CORETYPE": "Haswell"})
    assert not pinned.ok
    assert "OPENBLAS_CORETYPE=Haswell" in pinned.value


def test_torch_is_named_without_being_imported() -> None:
    code = (
        "import sys; from tui_trainer.telemetry.probe import probe;"
        "print([f.value for f in probe() if f.name == 'torch'], 'torch' in sys.modules)"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert metadata.version("torch") in said
    assert said.rstrip().endswith("False")


@pytest.mark.parametrize(
    ("version", "file", "built_for"),
    [
        ("2.13.0+cpu", "__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\nhip: Optional[str] = None\n", ""),
        ("2.13.0", "cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n", "CUDA 13.0"),
        ("2.13.0", "cuda = '12.8'\n", "CUDA 12.8"),
        ("2.13.0", "cuda: Optional[str] = None\nhip: Optional[str] = '6.4.43482'\n", "ROCm 6.4.43482"),
        ("2.13.0+cu126", "", "CUDA 12.6"),
        ("2.13.0", "", ""),
    ],
)
def test_a_torch_build_is_told_from_its_files(version: str, file: str, built_for: str) -> None:
    assert torch_accelerator(version, file) == built_for


@pytest.mark.parametrize(
    ("vendor", "kind", "present"),
    [
        ("0x10de", "0x030200", True),
        ("0x10de", "0x030000", True),
        ("0x10de", "0x040300", False),
        ("0x8086", "0x030000", False),
    ],
)
def test_a_gpu_is_seen_on_the_bus(tmp_path: Path, vendor: str, kind: str, present: bool) -> None:
    device = tmp_path / "bus/pci/devices/0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text(vendor + "\n")
    (device / "class").write_text(kind + "\n")
    assert gpu_present(tmp_path / "proc", tmp_path) is present


def test_a_gpu_is_seen_by_its_driver(tmp_path: Path) -> None:
    (tmp_path / "driver/nvidia/gpus/0000:01:00.0").mkdir(parents=True)
    assert gpu_present(tmp_path, tmp_path / "sys")


@pytest.mark.parametrize("term", ["", "dumb"])
def test_a_dumb_terminal_is_sent_to_no_ui(term: str) -> None:
    finding = terminal({"TERM": term})
    assert not finding.ok
    assert "--no-ui" in finding.advice


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({"NO_COLOR": "1", **XTERM}, "no colour (NO_COLOR)"),
        ({"COLORTERM": "truecolor", **XTERM}, "true colour"),
        (XTERM, "256 colours"),
        ({"TERM": "xterm"}, "16 colours"),
        ({"TERM": "dumb"}, "no colour"),
        ({}, "no colour"),
    ],
)
def test_colours_are_told_from_the_environment(env: dict[str, str], text: str) -> None:
    assert colours(env) == text


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({}, "local"),
        ({"TMUX": "/t"}, "tmux"),
        ({"STY": "1", "SSH_CONNECTION": "a"}, "screen, ssh"),
        ({"SSH_CONNECTION": "a"}, "ssh"),
    ],
)
def test_the_way_here_is_named(env: dict[str, str], text: str) -> None:
    assert multiplexer(env).value == text


@pytest.mark.parametrize(
    ("files", "ok"),
    [
        ({}, True),
        ({"etc/logind.conf": "[Login]\n#KillUserProcesses=yes\n"}, True),
        ({"etc/logind.conf": "[Login]\nKillUserProcesses=no\n"}, True),
        ({"etc/logind.conf": "[Login]\nKillUserProcesses=yes\n"}, False),
        ({"etc/logind.conf": "KillUserProcesses=no\n", "usr/logind.conf.d/50.conf": "KillUserProcesses=yes\n"}, False),
        ({"usr/logind.conf": "KillUserProcesses=yes\n", "etc/logind.conf": "KillUserProcesses=no\n"}, True),
    ],
)
def test_a_login_manager_that_kills_is_found(tmp_path: Path, files: dict[str, str], ok: bool) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    finding = logout((tmp_path / "usr", tmp_path / "etc"))
    assert finding.ok is ok
    assert ok or "enable-linger" in finding.advice


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/me/fast\\040disk xfs rw 0 0
tmpfs /home/me/tmp tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/x", "ext4"),
        ("/home/me/sessions", "nfs4"),
        ("/home/me/fast disk/sessions", "xfs"),
        ("/home/me/tmp", "tmpfs"),
        ("/homeless", "ext4"),
    ],
)
def test_the_file_system_of_the_nearest_mount_holds(path: str, kind: str) -> None:
    assert file_system_type(Path(path), MOUNTS) == kind


def test_a_write_is_timed_and_leaves_nothing_behind(tmp_path: Path) -> None:
    finding = write_time(tmp_path)
    assert finding.value.endswith(" ms")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "ok", "said"),
    [
        ("print('a warning'); print('sees NVIDIA H200')", True, "sees NVIDIA H200"),
        ("raise SystemExit('RuntimeError: Found no NVIDIA driver')", False, "RuntimeError: Found no NVIDIA driver"),
        ("raise ModuleNotFoundError('No module named torch')", False, "No module named torch"),
        ("pass", False, "torch cannot use it"),
    ],
)
def test_torch_is_asked_itself_whether_it_sees_the_gpu(code: str, ok: bool, said: str) -> None:
    finding = torch_sees_gpu((sys.executable, "-c", code))
    assert finding.ok is ok
    assert said in finding.value
    assert bool(finding.advice) is not ok


@pytest.mark.gpu
@pytest.mark.skipif(not gpu_present(), reason="no GPU here")
def test_torch_sees_the_gpu_of_this_machine() -> None:
    assert torch_sees_gpu().ok
