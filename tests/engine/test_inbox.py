"""Waiting for mail while signals come."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

WAITS = """
import os, signal, threading
from tui_trainer.engine.clock import SteadyClock
from tui_trainer.engine.inbox import Inbox
from tui_trainer.engine.signals import Signals

inbox = Inbox()
Signals(inbox, SteadyClock(), lambda code: None, lambda: None).install()
threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGTSTP)).start()
inbox.wait(0.3)
print("goes on", flush=True)
"""


def test_a_wait_during_which_the_process_was_stopped_ends() -> None:
    """Stopped, by itself, for longer than the wait: its deadline has passed when it goes on."""
    with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        stat = Path(f"/proc/{waiting.pid}/stat")
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.01)
        time.sleep(0.5)
        waiting.send_signal(signal.SIGCONT)
        try:
            assert waiting.communicate(timeout=60)[0] == "goes on\n"
        finally:
            waiting.kill()
