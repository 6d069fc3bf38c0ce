"""Waiting for what a thread of the app does: for the event, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot

from tests.patience import PATIENCE_S


async def until(pilot: Pilot[Any], holds: Callable[[], bool], what: str = "", within_s: float = PATIENCE_S) -> None:
    """Return as soon as `holds`, the app running on meanwhile."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"did not happen: {what}"
        await pilot.pause(0.01)


async def see(pilot: Pilot[Any], screen: Callable[[], str], text: str) -> None:
    """Return as soon as `text` stands on the screen."""
    try:
        await until(pilot, lambda: text in screen())
    except AssertionError:
        raise AssertionError(f"{text!r} did not appear:\n{screen()}") from None
