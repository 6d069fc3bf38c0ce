"""Starts the real program in a fraction of a second: a process that has torch and Textual loaded forks each command.

The child runs the console script's own `entry` on the descriptors and in the environment it is given, so that only
the interpreter's start and the imports are spared. What depends on those (locale, threads) is started cold.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
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
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyte

from tests.engine import process as p
from tests.ui.pty_terminal import PtyTerminal

HERE = Path(__file__).resolve().parents[2]
LARGEST = 1 << 16


class Warm:
    """The process that forks. One for a test session."""

    def __init__(self, within: Sequence[str] = ()) -> None:
        """`within`: words in front of the command, such as those that give it a /tmp of its own."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel = ours
        self._server = subprocess.Popen(
            [*within, sys.executable, "-c", f"from tests.faults.warm import serve; serve({theirs.fileno()})"],
            pass_fds=[theirs.fileno()], cwd=HERE, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        theirs.close()
        assert self._channel.recv(LARGEST) == b"ready"

    def start(self, root: Path, *words: str, **environ: str) -> Program:
        """A command under way, its stdout and stderr readable."""
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        pid = self._fork(words, {**p.overrides(root), **environ}, [nothing, out_end, err_end])
        return Program(self, pid, out, err)

    def run(self, root: Path, *words: str, timeout: float = 60, **environ: str) -> Done:
        """A command to its end."""
        program = self.start(root, *words, **environ)
        return program.finish(timeout)

    def terminal(
        self, root: Path, *words: str, size: tuple[int, int] = (120, 40), environ: Mapping[str, str] = {}
    ) -> WarmTerminal:
        """A command in a pseudo-terminal."""
        ours, theirs = pty.openpty()
        resize(theirs, *size)
        given = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        pid = self._fork(words, {**p.overrides(root), **given, **environ}, [theirs, os.dup(theirs), os.dup(theirs)])
        return WarmTerminal(self, pid, ours, *size)

    def code(self, pid: int) -> int | None:
        """The exit code (negative: the signal) of an ended child; None while it runs."""
        answer = self._ask({"wait": pid})["code"]
        return None if answer is None else int(answer)

    def close(self) -> None:
        self._channel.close()
        self._server.wait(10)

    def _fork(self, words: tuple[str, ...], environ: Mapping[str, str], fds: list[int]) -> int:
        answer = self._ask({"words": words, "environ": dict(environ)}, fds)
        for fd in fds:
            os.close(fd)
        return int(answer["pid"])

    def _ask(self, request: dict[str, Any], fds: Sequence[int] = ()) -> dict[str, Any]:
        socket.send_fds(self._channel, [json.dumps(request).encode()], list(fds))
        answer: dict[str, Any] = json.loads(self._channel.recv(LARGEST))
        return answer


class Done:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.returncode = code
        self.stdout = out
        self.stderr = err

    def __repr__(self) -> str:
        return f"exit {self.returncode}\n{self.stdout}\n{self.stderr}"


class Program:
    """A started command."""

    def __init__(self, warm: Warm, pid: int, out: int, err: int) -> None:
        self._warm = warm
        self.pid = pid
        self.stdout = os.fdopen(out, errors="replace")
        self.stderr = os.fdopen(err, errors="replace")

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

    def wait(self, timeout_s: float = 30.0) -> int:
        """The exit code."""
        ended: tuple[int] = p.wait_for(self._ended, timeout_s)
        return ended[0]

    def _ended(self) -> tuple[int] | None:
        code = self._warm.code(self.pid)
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
        return Done(self.wait(max(1.0, deadline - time.monotonic())), out, err)


class WarmTerminal(PtyTerminal):
    """A forked command on the other side of a pseudo-terminal."""

    def __init__(self, warm: Warm, pid: int, fd: int, width: int, height: int) -> None:
        self._warm = warm
        self.started = time.perf_counter()
        self.pid, self.fd = pid, fd
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self.screen)
        self.bytes = 0
        self.recent = b""
        self.seen = b""

    def read(self, timeout_s: float) -> bytes:
        data = super().read(timeout_s)
        self.seen += data
        return data

    def exit_code(self, timeout_s: float = 10.0) -> int | None:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self.pid and (code := self._warm.code(self.pid)) is not None:
                self.pid = 0
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


def serve(number: int) -> None:
    """Fork for every command that comes; tell exit codes. Ends with its channel."""
    import numpy as np
    import torch

    import tui_trainer.engine.assembly
    import tui_trainer.ui.app  # noqa: F401

    torch.set_num_threads(1)
    torch.zeros(2).sum() + np.zeros(2).sum()
    gc.freeze()
    channel = socket.socket(fileno=number)
    channel.send(b"ready")
    while True:
        data, fds, _, _ = socket.recv_fds(channel, LARGEST, 3)
        if not data:
            return
        request = json.loads(data)
        if "wait" in request:
            channel.send(json.dumps({"code": _ended(request["wait"])}).encode())
            continue
        pid = os.fork()
        if pid == 0:
            channel.close()
            break
        for fd in fds:
            os.close(fd)
        channel.send(json.dumps({"pid": pid}).encode())
    _become(request, fds)


def _ended(pid: int) -> int | None:
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status) if found else None


def _become(request: dict[str, Any], fds: list[int]) -> None:
    """The command itself; never returns."""
    from tui_trainer.cli.main import entry

    os.setsid()
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
        os.close(fd)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.environ.update(request["environ"])
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.argv = ["tui-trainer", *request["words"]]
    entry()
