"""Starts the real program in a fraction of a second: a process that has torch and Textual loaded forks each command.

The child runs the console script's own `entry` on the descriptors and in the environment it is given, so that only
the interpreter's start and the imports are spared. What depends on those (locale, threads) is started cold.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import gc
import importlib
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.engine import process as p
from tests.patience import PATIENCE_S
from tests.ui.pty_terminal import PtyTerminal

HERE = Path(__file__).resolve().parents[1]
LARGEST = 1 << 17
ENTRY = ("tui_trainer.cli.main", "entry")
"""Of the console script."""


class Warm:
    """The process that forks. One for a test session."""

    def __init__(self, within: Sequence[str] = ()) -> None:
        """`within`: words in front of the command, such as those that give it a /tmp of its own."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel = ours
        self._server = subprocess.Popen(
            [*within, sys.executable, "-c", f"from tests.warm import serve; serve({theirs.fileno()})"],
            pass_fds=[theirs.fileno()], cwd=HERE, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        theirs.close()
        assert self._channel.recv(LARGEST) == b"ready"

    def start(
        self, root: Path, *words: str, typed: str = "", entry: tuple[str, str] = ENTRY, **environ: str
    ) -> Program:
        """A command under way, its stdout and stderr readable; `typed`: all of its stdin; `entry`: see `terminal`."""
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        given = _stdin(typed)
        pid = self._fork(words, {**p.environment(root), **environ}, [given, out_end, err_end], entry)
        return Program(self, pid, out, err)

    def run(self, root: Path, *words: str, timeout: float = PATIENCE_S, typed: str = "", **environ: str) -> Done:
        """A command to its end."""
        program = self.start(root, *words, typed=typed, **environ)
        return program.finish(timeout)

    def terminal(
        self,
        root: Path,
        *words: str,
        size: tuple[int, int] = (120, 40),
        environ: Mapping[str, str] = {},
        entry: tuple[str, str] = ENTRY,
    ) -> WarmTerminal:
        """A command in a pseudo-terminal; `entry`: module and function of another program."""
        ours, theirs = pty.openpty()
        resize(theirs, *size)
        given = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        known = {**p.environment(root), **given, **environ}
        pid = self._fork(words, known, [theirs, os.dup(theirs), os.dup(theirs)], entry)
        return WarmTerminal(self, pid, ours, *size)

    def code(self, pid: int) -> int | None:
        """The exit code (negative: the signal) of an ended child; None while it runs."""
        code, _ = self.end(pid)
        return code

    def end(self, pid: int) -> tuple[int | None, float]:
        """The same, and the processor seconds that it took with the children it waited for."""
        answer = self._ask({"wait": pid})
        return answer["code"], answer["cpu_s"]

    def close(self) -> None:
        self._channel.close()
        self._server.wait(10)

    def _fork(
        self, words: tuple[str, ...], environ: Mapping[str, str], fds: list[int], entry: tuple[str, str] = ENTRY
    ) -> int:
        module, function = entry
        answer = self._ask({"words": words, "environ": dict(environ), "module": module, "function": function}, fds)
        for fd in fds:
            os.close(fd)
        return int(answer["pid"])

    def _ask(self, request: dict[str, Any], fds: Sequence[int] = ()) -> dict[str, Any]:
        socket.send_fds(self._channel, [json.dumps(request).encode()], list(fds))
        answer: dict[str, Any] = json.loads(self._channel.recv(LARGEST))
        return answer


@functools.cache
def shared() -> Warm:
    """The one of this test process."""
    warm = Warm()
    atexit.register(warm.close)
    return warm


def _stdin(typed: str) -> int:
    """A descriptor that gives `typed`, at most what a pipe holds, and then its end."""
    if not typed:
        return os.open(os.devnull, os.O_RDONLY)
    given, end = os.pipe()
    with os.fdopen(end, "w") as keyboard:
        keyboard.write(typed)
    return given


class Done:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str, cpu_s: float = 0.0) -> None:
        self.returncode = code
        self.stdout = out
        self.stderr = err
        self.cpu_s = cpu_s
        """Processor seconds: on a busy machine they say how long it took, which a clock on the wall does not."""

    def __repr__(self) -> str:
        return f"exit {self.returncode}\n{self.stdout}\n{self.stderr}"


class Program:
    """A started command."""

    def __init__(self, warm: Warm, pid: int, out: int, err: int) -> None:
        self._warm = warm
        self.pid = pid
        self.stdout = os.fdopen(out, errors="replace")
        self.stderr = os.fdopen(err, errors="replace")
        self.returncode: int | None = None
        self.cpu_s = 0.0

    def events(self) -> Iterator[dict[str, Any]]:
        """Lines of a `--json` run as they come; a killed writer's torn last line is no event."""
        for line in self.stdout:
            if line.endswith("\n"):
                yield json.loads(line)

    def until(self, kind: str, **holds: Any) -> list[dict[str, Any]]:
        """Events up to and including the first of a kind with these values; `update=5` means 5 or later."""
        seen = []
        for event in self.events():
            seen.append(event)
            if event["type"] == kind and all(_is(event[key], value) for key, value in holds.items()):
                return seen
        raise AssertionError(f"ended before {kind} {holds}: {seen[-3:]} {self.stderr.read()}")

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """The exit code."""
        ended: tuple[int] = p.wait_for(self._ended, timeout_s)
        return ended[0]

    def poll(self) -> int | None:
        """The exit code of an ended command; None while it runs."""
        if self.returncode is None:
            self.returncode, self.cpu_s = self._warm.end(self.pid)
        return self.returncode

    def _ended(self) -> tuple[int] | None:
        code = self.poll()
        return None if code is None else (code,)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.send(number)
        return self.wait()

    def kill(self) -> list[dict[str, Any]]:
        """SIGKILL; the events it had still printed."""
        self.send(signal.SIGKILL)
        rest = list(self.events())
        self.wait()
        return rest

    def finish(self, timeout_s: float) -> Done:
        """Read everything, then the exit code."""
        deadline, texts = time.monotonic() + timeout_s, {self.stdout.fileno(): b"", self.stderr.fileno(): b""}
        open_fds = set(texts)
        while open_fds:
            ready, _, _ = select.select(list(open_fds), [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"not over within {timeout_s} s: {texts}"
            for fd in ready:
                data = os.read(fd, LARGEST)
                texts[fd] += data
                open_fds -= set() if data else {fd}
        out, err = (text.decode(errors="replace") for text in texts.values())
        code = self.wait(max(1.0, deadline - time.monotonic()))
        return Done(code, out, err, self.cpu_s)


class WarmTerminal(PtyTerminal):
    """A forked command on the other side of a pseudo-terminal."""

    def __init__(self, warm: Warm, pid: int, fd: int, width: int, height: int) -> None:
        self._warm = warm
        self.started = time.perf_counter()
        self.pid, self.fd = pid, fd
        self._look(width, height)
        self.seen = b""

    def read(self, timeout_s: float) -> bytes:
        data = super().read(timeout_s)
        self.seen += data
        return data

    def exit_code(self, timeout_s: float = PATIENCE_S) -> int | None:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.pid and (code := self._warm.code(self.pid)) is not None:
                self.pid = 0
                self.read_rest()
                return code
            if self.fd >= 0:
                self.read(0.05)
            else:
                time.sleep(0.05)
        return None

    def close(self) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.exit_code()
        if self.fd >= 0:
            os.close(self.fd)


def resize(fd: int, width: int, height: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def _is(found: Any, wanted: Any) -> bool:
    return bool(found >= wanted) if isinstance(wanted, int) else bool(found == wanted)


LOADED = (
    "tui_trainer.ui.app", "tui_trainer.ui.browser", "tui_trainer.engine.assembly", "tui_trainer.engine.main",
    "tui_trainer.headless.view", "tui_trainer.headless.summary", "tui_trainer.client.orders",
    "tui_trainer.client.replay", "tui_trainer.launch.spawn", "tui_trainer.telemetry.sampler",
    "tui_trainer.tasks.tictactoe",
    *(f"tui_trainer.cli.{name}" for name in (
        "main", "running", "listing", "storing", "evaluating", "forking", "rerunning", "ordering", "replaying",
        "viewing", "browsing", "configuring",
    )),
)  # fmt: skip
"""What commands load when they begin."""


def serve(number: int) -> None:
    """Fork for every command that comes; tell exit codes. Ends with its channel, and ends what still runs."""
    import numpy as np
    import torch

    for name in LOADED:
        importlib.import_module(name)
    torch.set_num_threads(1)
    torch.zeros(2).sum() + np.zeros(2).sum()
    gc.freeze()
    channel = socket.socket(fileno=number)
    channel.send(b"ready")
    running: set[int] = set()
    while True:
        data, fds, _, _ = socket.recv_fds(channel, LARGEST, 3)
        if not data:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            return
        request = json.loads(data)
        if "wait" in request:
            code, cpu_s = _ended(request["wait"])
            running -= {request["wait"]} if code is not None else set()
            channel.send(json.dumps({"code": code, "cpu_s": cpu_s}).encode())
            continue
        pid = os.fork()
        if pid == 0:
            channel.close()
            break
        for fd in fds:
            os.close(fd)
        running.add(pid)
        channel.send(json.dumps({"pid": pid}).encode())
    _become(request, fds)


def _ended(pid: int) -> tuple[int | None, float]:
    try:
        found, status, used = os.wait4(pid, os.WNOHANG)
    except ChildProcessError:
        return 0, 0.0
    return os.waitstatus_to_exitcode(status) if found else None, used.ru_utime + used.ru_stime


def _become(request: dict[str, Any], fds: list[int]) -> None:
    """The command itself; never returns."""
    entry = getattr(importlib.import_module(request["module"]), request["function"])

    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the tests were started by, nohup among it
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
        os.close(fd)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.environ.clear()
    os.environ.update(request["environ"])
    sys.path[:0] = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place not in sys.path]
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.argv = ["tui-trainer", *request["words"]]
    _leave(_exit_code(entry))


def _exit_code(entry: Callable[[], object]) -> int:
    try:
        entry()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _leave(code: int) -> None:
    """As an interpreter ends, less the taking apart of what this process shares with the one that forked it."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 120
    os._exit(code)
