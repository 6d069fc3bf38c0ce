"""The whole product from outside, on this machine: `python benchmarks/whole_app.py [--slices 5] [--seconds 8]`.

Starts the real engine on connect_four and measures
- time from the command to the first frame of the app, and to the first update shown,
- SPS headless (`run --no-ui`), detached, and with an app attached at 120x40, interleaved, as ratios; the same while
  the terminal is resized a hundred times a second,
- key to its *sent* mark and to its effect (pause, go on) on the screen, p50 and p95, while it trains,
- bytes a second to the terminal and the app's share of a core at 80x24 and 120x40,
- journal growth, and the time of `--help` and `sessions list`.
Python keeps the byte code of our modules, as of any that are installed, whatever PYTHONDONTWRITEBYTECODE says here.
Linux only.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.ui.pty_terminal import PtyTerminal  # noqa: E402
from tui_trainer.client.orders import live_state  # noqa: E402
from tui_trainer.core import wire  # noqa: E402
from tui_trainer.core.commands import SaveCheckpoint  # noqa: E402
from tui_trainer.errors import OrderRefused  # noqa: E402
from tui_trainer.sessions.names import socket_path  # noqa: E402
from tui_trainer.sessions.store import Session  # noqa: E402

WORDS = ("--set=manager.termination.max_hours=1", "--set=manager.evaluation.every_updates=100000")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "tui_trainer", *words]


def environ(root: Path) -> dict[str, str]:
    return {
        "TUI_TRAINER_SESSIONS": str(root), "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": os.path.join(tempfile.gettempdir(), "bench-byte-code"),
    }  # fmt: skip


def start(root: Path) -> Path:
    """A detached run that trains."""
    subprocess.run(command("run", "--detach", "--name=bench", *WORDS), env={**os.environ, **environ(root)}, check=True)
    return training(root / "bench")


@contextmanager
def headless(root: Path) -> Iterator[Path]:
    """`run --no-ui`, its lines going nowhere; it does not outlive the block."""
    words = command("run", "--no-ui", "--name=headless", *WORDS)
    process = subprocess.Popen(words, env={**os.environ, **environ(root)}, stdout=subprocess.DEVNULL)
    try:
        yield training(root / "headless")
    finally:
        process.kill()
        process.wait()


SIZES = ((120, 40), (80, 24), (40, 12), (1, 1), (200, 50), (3, 90))


def training(session: Path) -> Path:
    while updates(session) < 20:
        time.sleep(0.2)
    return session


@contextmanager
def frozen(session: Path) -> Iterator[None]:
    """The engine takes no processor time meanwhile."""
    pid = owner(session)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def owner(session: Path) -> int:
    found = Session.open(session).owner()
    if not found:
        raise SystemExit(f"{session.name} is not running")
    return found.pid


def updates(session: Path) -> int:
    try:
        return live_state(session).update
    except OrderRefused:
        return 0


def sps(session: Path, seconds: float) -> float:
    """Steps a second over a slice, by the engine's own count."""
    before, began = live_state(session), time.monotonic()
    time.sleep(seconds)
    after = live_state(session)
    return (after.global_step - before.global_step) / (time.monotonic() - began)


def attached(root: Path, width: int = 120, height: int = 40) -> PtyTerminal:
    terminal = PtyTerminal(command("attach", "bench"), width, height, environ(root))
    terminal.wait_for(b"running")
    terminal.read_for(1.0)
    return terminal


def sps_attached(root: Path, seconds: float) -> float:
    terminal = attached(root)
    before, began = live_state(root / "bench"), time.monotonic()
    terminal.read_for(seconds)
    after = live_state(root / "bench")
    terminal.close()
    return (after.global_step - before.global_step) / (time.monotonic() - began)


def sps_resized(root: Path, seconds: float) -> float:
    """As `sps_attached`, the terminal changing its size a hundred times a second, down to one cell."""
    terminal = attached(root)
    terminal.screen.resize = lambda *size: None  # only the program's own work counts, not that of our picture of it
    before, began = live_state(root / "bench"), time.monotonic()
    for size in itertools.cycle(SIZES):
        if time.monotonic() - began > seconds:
            break
        terminal.resize(*size)
        drain(terminal.fd, 0.01)
    after, span = live_state(root / "bench"), time.monotonic() - began
    terminal.close()
    return (after.global_step - before.global_step) / span


def drain(fd: int, seconds: float) -> None:
    """Take what comes for so long, and look at none of it."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            os.read(fd, 1 << 16)


def first_frame(tries: int) -> tuple[list[float], list[float]]:
    """Seconds from the command to the frame, and to the first update in it."""
    frames, first_updates = [], []
    for _ in range(tries):
        root = Path(tempfile.mkdtemp())
        terminal = PtyTerminal(command("run", "--name=bench", *WORDS), 120, 40, environ(root))
        terminal.wait_for(b"Training Manager")
        frames.append(time.perf_counter() - terminal.started)
        terminal.wait_for(b"running")
        terminal.wait_for(b"learn")
        first_updates.append(time.perf_counter() - terminal.started)
        terminal.close()
        kill(root / "bench")
        shutil.rmtree(root)
    return frames, first_updates


def kill(session: Path) -> None:
    os.kill(owner(session), signal.SIGKILL)
    time.sleep(0.3)


def keys(root: Path, count: int) -> list[float]:
    """Seconds from a key (checkpoint) to `sent` on the screen, or to the decision where that was quicker."""
    terminal, delays = attached(root), []
    for _ in range(count):
        terminal.read_for(0.613)
        terminal.wait_gone(b" checkpoint received ")
        decided = re.search(r"Decisions ─ (\d+)", terminal.text())
        after = f"Decisions ─ {int(decided[1]) + 1 if decided else 1} "
        terminal.key(b"c")
        delays.append(terminal.wait_for_any(" checkpoint sent ", " checkpoint received ", after))
    terminal.close()
    return sorted(delays)


def carried_out(root: Path, count: int) -> list[float]:
    """Seconds from a key (pause, go on) to the run's new state on the screen."""
    terminal, delays = attached(root), []
    for state in ("‖ PAUSED", "● running") * count:
        terminal.read_for(0.417)
        terminal.key(b"p")
        delays.append(terminal.wait_for_any(state))
    terminal.close()
    return sorted(delays)


def received(session: Path, count: int) -> list[float]:
    """Seconds from sending an order over the socket to the hub's answer that it has it."""
    line = socket.socket(socket.AF_UNIX)
    line.connect(str(socket_path(session)))
    line.sendall(wire.encode(wire.Hello()))
    delays = []
    for number in range(count):
        time.sleep(0.11)
        order = wire.encode(SaveCheckpoint(id=f"bench-{number}"))
        began, wanted, seen = time.perf_counter(), f'"CommandReceived","id":"bench-{number}"'.encode(), b""
        line.sendall(order)
        while wanted not in seen:
            seen += line.recv(1 << 20)
        delays.append(time.perf_counter() - began)
    line.close()
    return sorted(delays)


def app_cost(root: Path, width: int, height: int, seconds: float) -> tuple[float, float, float]:
    """kB/s to the terminal, share of a core, RSS in MiB."""
    terminal = attached(root, width, height)
    terminal.read_for(2.0)
    bytes_, cpu, began = terminal.bytes, terminal.cpu_s(), time.perf_counter()
    terminal.read_for(seconds)
    wall = time.perf_counter() - began
    rss = terminal.rss_mib()
    result = (terminal.bytes - bytes_) / wall / 1000, (terminal.cpu_s() - cpu) / wall, rss
    terminal.close()
    return result


def timed(root: Path, *words: str, tries: int = 7) -> float:
    """Median seconds of a command."""
    spans = []
    for _ in range(tries):
        began = time.perf_counter()
        subprocess.run(command(*words), env={**os.environ, **environ(root)}, stdout=subprocess.DEVNULL, check=True)
        spans.append(time.perf_counter() - began)
    return statistics.median(spans)


def speeds(root: Path, session: Path, options: argparse.Namespace) -> None:
    """SPS of one engine headless and of another detached and watched, in turn, the other one frozen."""
    rows = []
    with headless(root) as alone:
        for _ in range(options.slices):
            with frozen(session):
                bare = sps(alone, options.seconds)
            with frozen(alone):
                rows.append((bare, sps(session, options.seconds), sps_attached(root, options.seconds)))
    medians = [statistics.median(column) for column in zip(*rows)]
    say("SPS", "headless {:,.0f}, detached {:,.0f}, with an app {:,.0f}".format(*medians))
    for name, first, second in (("detached/headless", 1, 0), ("with app/headless", 2, 0), ("with app/detached", 2, 1)):
        ratios = sorted(row[first] / row[second] for row in rows)
        say("", f"{name} {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")


def storm(root: Path, session: Path, options: argparse.Namespace) -> None:
    """What resizing costs training, in turn with none."""
    pairs = [(sps(session, options.seconds), sps_resized(root, options.seconds)) for _ in range(options.slices)]
    ratios = sorted(resized / alone for alone, resized in pairs)
    say("resize storm", f"SPS {statistics.median(ratios):.3f} of detached ({ratios[0]:.3f} to {ratios[-1]:.3f})")


def say(what: str, figure: str) -> None:
    print(f"{what:<18}{figure}", flush=True)


def measure(root: Path, session: Path, options: argparse.Namespace) -> None:
    """Everything that needs a run under way."""
    began, size = time.monotonic(), (session / "events.jsonl").stat().st_size
    speeds(root, session, options)
    storm(root, session, options)
    hub = received(session, 50)
    p95 = hub[int(0.95 * len(hub))]
    say("order received", f"p50 {1000 * statistics.median(hub):.1f} ms, p95 {1000 * p95:.1f} ms, by the hub thread")
    delays = keys(root, options.keys)
    p95 = delays[int(0.95 * len(delays))]
    say("key to its mark", f"p50 {1000 * statistics.median(delays):.0f} ms, p95 {1000 * p95:.0f} ms")
    delays = carried_out(root, options.keys // 2)
    p95 = delays[int(0.95 * len(delays))]
    say("key to its effect", f"p50 {1000 * statistics.median(delays):.0f} ms, p95 {1000 * p95:.0f} ms")
    for width, height in ((80, 24), (120, 40)):
        rate, core, rss = app_cost(root, width, height, 15.0)
        say(f"app at {width}x{height}", f"{rate:.1f} kB/s to the terminal, {core:.2f} of a core, {rss:.0f} MiB")
    grown, span = (session / "events.jsonl").stat().st_size - size, time.monotonic() - began
    say("journal", f"{grown / span * 86400 / 1e6:.0f} MB/day")
    say("--help", f"{timed(root, '--help'):.2f} s; sessions list {timed(root, 'sessions', 'list'):.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--keys", type=int, default=30)
    options = parser.parse_args()
    first_frame(1)  # the byte code is there from now on
    frames, firsts = first_frame(5)
    say("first frame", f"{statistics.median(frames):.2f} s (worst {max(frames):.2f})")
    say("first update", f"{statistics.median(firsts):.2f} s after the command")
    root = Path(tempfile.mkdtemp())
    session = start(root)
    try:
        measure(root, session, options)
    finally:
        kill(session)
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
