"""What `doctor` prints: what this machine offers, what stands in the way, and what to do about it.

Nothing here imports torch: its version and build are read from the installed distribution.
"""

from __future__ import annotations

import locale
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import msgspec
import psutil

from tui_trainer.core.format import size
from tui_trainer.core.text import clean_line
from tui_trainer.telemetry.alerts import DISK_LOW_GIB
from tui_trainer.telemetry.limits import container_limits, memory_used
from tui_trainer.telemetry.nvml import Gpus
from tui_trainer.telemetry.sampler import available_cores, disk_free

_NVIDIA_PCI_VENDOR = "0x10de"
_DISPLAY_CLASSES = ("0x0300", "0x0302", "0x0380")
_NETWORK_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "lustre", "gpfs", "beegfs", "ceph"}
_SLOW_FSYNC_S = 0.2
_PINS = ("OPENBLAS_CORETYPE", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
_GIB = 1024**3
_ASK_S = 60.0
_ASK = """
import torch
torch.cuda.init()
count = torch.cuda.device_count()
print(f"sees {count} of them" if count > 1 else f"sees {torch.cuda.get_device_name(0)}")
"""
Environment = Mapping[str, str]


class Finding(msgspec.Struct, frozen=True):
    """One line of `doctor`: `advice` says what to do where `ok` is False, and may help where it is True."""

    name: str
    ok: bool
    value: str
    advice: str = ""


def probe(sessions: Path = Path("sessions"), environment: Environment | None = None) -> list[Finding]:
    """Everything worth knowing before a run, in the order a person would ask.

    Takes well under a second; where there is a GPU, some more, since torch is asked in a process of its own.
    """
    env = os.environ if environment is None else environment
    checks: tuple[Callable[[], Finding], ...] = (
        python_version,
        cpu_cores,
        lambda: arithmetic(env),
        memory,
        torch_build,
        gpu,
        *((torch_sees_gpu,) if gpu_present() else ()),
        lambda: terminal(env),
        lambda: multiplexer(env),
        logout,
        lambda: disk(sessions),
        lambda: write_time(sessions),
        lambda: file_system(sessions),
    )
    return [check() for check in checks]


# --- the machine ---


def python_version() -> Finding:
    """Python, and whether it is one that is supported."""
    ok = (3, 11) <= sys.version_info[:2] <= (3, 13)
    value = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("Python", ok, value, "" if ok else "use Python 3.11, 3.12 or 3.13")


def cpu_cores() -> Finding:
    """Cores that may be used, a container's quota counted in."""
    usable, present = available_cores(), psutil.cpu_count() or 1
    value = f"{usable} cores" if usable == present else f"{usable} of {present} cores (affinity or container quota)"
    return Finding("CPU", True, value)


def arithmetic(env: Environment) -> Finding:
    """Whether numpy and torch may use what this CPU has: a pinned kernel is up to twice as slow."""
    pinned = [f"{name}={clean_line(env[name], 40)}" for name in _PINS if env.get(name)]
    if pinned:
        advice = "unset it for speed; keep it where bits must agree between different CPUs"
        return Finding("arithmetic", False, f"pinned by {', '.join(pinned)}", advice)
    return Finding("arithmetic", True, "libraries choose for this CPU")


def memory() -> Finding:
    """Memory, a container's limit counted in."""
    machine, limit = psutil.virtual_memory(), container_limits().memory
    total, free, where = machine.total, machine.available, ""
    if limit and limit.limit < total:
        total, where = limit.limit, " (container limit)"
        free = min(free, max(0, total - (memory_used(limit) or 0)))
    ok = free > 1 * _GIB
    return Finding("memory", ok, f"{size(free)} free of {size(total)}{where}", "" if ok else "close other programs")


# --- torch and GPU ---


def torch_build() -> Finding:
    """torch's version and whether it is built for the GPU that is here; torch is not imported."""
    try:
        installed = metadata.distribution("torch")
    except metadata.PackageNotFoundError:
        return Finding("torch", False, "not installed", "pip install torch")
    build = torch_accelerator(installed.version, _version_file(installed))
    value = f"{installed.version}, {build or 'CPU build'}"
    if not build and gpu_present():
        advice = "an NVIDIA GPU is here: pip uninstall torch, then pip install torch without a CPU-only index"
        return Finding("torch", False, value, advice)
    return Finding("torch", True, value)


def torch_accelerator(version: str, version_file: str) -> str:
    """What a torch is built for, such as `CUDA 13.0` or `ROCm 6.4`; nothing for a CPU build."""
    for name, label in (("cuda", "CUDA"), ("hip", "ROCm")):
        found = re.search(rf"^{name}\b[^=]*=\s*['\"]([\d.]+)", version_file, re.MULTILINE)
        if found:
            return f"{label} {found[1]}"
    local = re.search(r"\+cu(\d+)(\d)$", version)
    return f"CUDA {local[1]}.{local[2]}" if local else ""


def _version_file(installed: metadata.Distribution) -> str:
    return _text(Path(str(installed.locate_file("torch/version.py"))))


def gpu() -> Finding:
    """GPUs by NVML; without NVML, whether one is in the machine at all."""
    gpus = Gpus()
    gpus.open()
    found = gpus.read()
    gpus.close()
    if found:
        return Finding("GPU", True, ", ".join(f"{g.name} {g.memory_total_gib:.0f} GiB" for g in found))
    if gpu_present():
        return Finding("GPU", False, f"present, but {gpus.note}", "install or load the NVIDIA driver")
    return Finding("GPU", True, f"none ({gpus.note}); training uses the CPU")


def torch_sees_gpu(ask: Sequence[str] = (sys.executable, "-c", _ASK)) -> Finding:
    """What torch itself says, for a GPU that is here: a build may fit and the driver be too old for it."""
    try:
        done = subprocess.run(ask, capture_output=True, text=True, timeout=_ASK_S, check=False)
    except subprocess.TimeoutExpired:
        return Finding("torch on GPU", False, f"no answer within {_ASK_S:g} s", "run it again; is the GPU hung?")
    answer = clean_line((done.stdout.strip().splitlines() or [""])[-1], 80)
    if done.returncode == 0 and answer.startswith("sees "):
        return Finding("torch on GPU", True, answer)
    why = clean_line((done.stderr.strip().splitlines() or [answer])[-1], 160)
    return Finding("torch on GPU", False, f"torch cannot use it: {why}", "a newer driver, or a torch for this one")


def gpu_present(proc: Path = Path("/proc"), sys_root: Path = Path("/sys")) -> bool:
    """True where the driver or the PCI bus knows an NVIDIA display device; needs no library."""
    if any(proc.glob("driver/nvidia/gpus/*")):
        return True
    return any(_is_nvidia(device) for device in sys_root.glob("bus/pci/devices/*"))


def _is_nvidia(device: Path) -> bool:
    return _word(device / "vendor") == _NVIDIA_PCI_VENDOR and _word(device / "class").startswith(_DISPLAY_CLASSES)


def _word(path: Path) -> str:
    try:
        return path.read_text().strip().lower()
    except OSError:
        return ""


# --- the terminal ---


def terminal(env: Environment) -> Finding:
    """What the app can draw on."""
    term = clean_line(env.get("TERM", ""), 40)
    columns, lines = shutil.get_terminal_size()
    encoding = (getattr(sys.stdout, "encoding", None) or locale.getpreferredencoding(False)).lower()
    value = f"{term or 'TERM is not set'}, {columns}x{lines}, {colours(env)}, {encoding}"
    if term in ("", "dumb"):
        return Finding("terminal", False, value, "the app needs a TERM such as xterm-256color; `run --no-ui` does not")
    if "utf" not in encoding:
        return Finding("terminal", False, value, "set LANG=C.UTF-8 for line charts, or use --ascii")
    if columns < 40 or lines < 12:
        return Finding("terminal", False, value, "make the window at least 40x12, better 80x24")
    return Finding("terminal", True, value)


def colours(env: Environment) -> str:
    """How many colours the terminal says it has."""
    if env.get("NO_COLOR"):
        return "no colour (NO_COLOR)"
    if env.get("COLORTERM", "") in ("truecolor", "24bit"):
        return "true colour"
    term = env.get("TERM", "")
    if term in ("", "dumb"):
        return "no colour"
    return "256 colours" if "256" in term else "16 colours"


def multiplexer(env: Environment) -> Finding:
    """tmux, screen, mosh or plain SSH. A run outlives all of them; the view does not outlive the last."""
    names = [name for key, name in (("TMUX", "tmux"), ("STY", "screen")) if env.get(key)]
    if _below_mosh():
        names.append("mosh")
    elif env.get("SSH_CONNECTION"):
        names.append("ssh")
    return Finding("session", True, ", ".join(names) or "local", "")


def _below_mosh() -> bool:
    try:
        return any(parent.name() == "mosh-server" for parent in psutil.Process().parents())
    except psutil.Error:
        return False


def logout(roots: tuple[Path, ...] = (Path("/usr/lib/systemd"), Path("/run/systemd"), Path("/etc/systemd"))) -> Finding:
    """Whether the login manager ends a user's processes at logout (logind.conf: KillUserProcesses)."""
    if not _kills_user_processes(roots):
        return Finding("logout", True, "a run survives the logout")
    user = clean_line(os.environ.get("USER", "$USER"), 40)
    if Path("/var/lib/systemd/linger", user).exists():
        return Finding("logout", True, "a run survives the logout (lingering is enabled)")
    return Finding("logout", False, "the login manager kills processes at logout", f"loginctl enable-linger {user}")


def _kills_user_processes(roots: tuple[Path, ...]) -> bool:
    files = [root / "logind.conf" for root in roots]
    files += sorted((part for root in roots for part in root.glob("logind.conf.d/*.conf")), key=lambda p: p.name)
    said = [word for file in files for word in re.findall(r"^\s*KillUserProcesses\s*=\s*(\w+)", _text(file), re.M)]
    return bool(said) and said[-1].lower() in ("yes", "true", "1", "on")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


# --- the disk ---


def disk(sessions: Path) -> Finding:
    """Room where sessions are saved."""
    free = disk_free(sessions)
    ok = free > DISK_LOW_GIB * _GIB
    return Finding(
        "disk", ok, f"{size(free)} free in {_shown(sessions)}", "" if ok else "free some, or use --sessions DIR"
    )


def write_time(sessions: Path) -> Finding:
    """How long a small write takes to reach the disk: each checkpoint and each decision waits for it."""
    place = _existing(sessions)
    try:
        seconds = _fsync_seconds(place)
    except OSError as error:
        return Finding("fsync", False, f"cannot write in {_shown(place)}: {error.strerror}", "use --sessions DIR")
    ok = seconds < _SLOW_FSYNC_S
    return Finding("fsync", ok, f"{1000 * seconds:.1f} ms", "" if ok else "a slow disk: save checkpoints less often")


def _fsync_seconds(directory: Path, tries: int = 3) -> float:
    """Median seconds of writing 4 KiB and fsyncing it."""
    took = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(tries):
            start = time.perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - start)
    return sorted(took)[tries // 2]


def file_system(sessions: Path, mounts: Path = Path("/proc/mounts")) -> Finding:
    """Whether sessions lie on a network file system, where locks and fsync promise less."""
    kind = file_system_type(_existing(sessions).resolve(), _text(mounts))
    if kind in _NETWORK_FILESYSTEMS:
        return Finding("file system", False, kind, "locks and saves are safest on a local disk: use --sessions DIR")
    return Finding("file system", True, kind or "unknown")


def file_system_type(path: Path, mounts: str) -> str:
    """Type of the file system that `path` lies on, by a table as in /proc/mounts."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[1]))
        depth = len(point.parts)
        if depth >= best and (path == point or point in path.parents):
            best, kind = depth, fields[2]
    return clean_line(kind, 40)


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def _shown(path: Path) -> str:
    return clean_line(str(path), 200)
