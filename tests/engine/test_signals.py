"""A second signal ends at once; of a rank's SIGTERMs those of one burst are one."""

from __future__ import annotations

import subprocess
import sys

import pytest

SENDS = """
import signal, sys
from tui_trainer.engine.clock import SteadyClock
from tui_trainer.engine.inbox import Inbox
from tui_trainer.engine.signals import Signals

inbox = Inbox()
Signals(inbox, SteadyClock(), lambda code: print("at once", code), lambda: None, float(sys.argv[1])).install()
for name in sys.argv[2:]:
    signal.raise_signal(signal.Signals[name])
print(len(list(inbox.drain())))
"""


@pytest.mark.parametrize(
    ("burst_s", "sent", "said"),
    [
        ("0", "SIGTERM SIGTERM", "at once 143\n2\n"),
        ("100", "SIGTERM", "1\n"),
        ("100", "SIGTERM SIGTERM SIGTERM", "1\n"),
        ("100", "SIGTERM SIGTERM SIGINT", "at once 130\n2\n"),
        ("100", "SIGINT SIGTERM", "at once 143\n2\n"),
    ],
)
def test_the_second_signal_ends_at_once_unless_it_is_of_one_burst(burst_s: str, sent: str, said: str) -> None:
    words = [sys.executable, "-c", SENDS, burst_s, *sent.split()]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == said
