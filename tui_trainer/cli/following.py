"""`attach` where no app can be shown: what happens, line by line, until the run ends or the person leaves."""

from __future__ import annotations

import asyncio
import sys

from tui_trainer.client.live import LiveSource
from tui_trainer.client.source import Happened, Link, News, Snapshot
from tui_trainer.core.events import RunEnded
from tui_trainer.core.format import count
from tui_trainer.core.state import RunState
from tui_trainer.core.text import clean_line
from tui_trainer.headless.view import HeadlessView
from tui_trainer.sessions.store import Session


def follow_in_lines(session: Session) -> int:
    """Tell of a live run on stdout; the run's exit code where it ended meanwhile, 0 where the person left (ctrl+c)."""
    teller = Teller(session.name)
    try:
        return asyncio.run(_follow(LiveSource(session.path, readonly=True), teller))
    except KeyboardInterrupt:
        print(f"\n{session.name} goes on; tui-trainer attach {session.name} follows it again")
        return 0
    finally:
        teller.close()


async def _follow(source: LiveSource, teller: Teller) -> int:
    async for news in source.news():
        code = teller.tell(news)
        if code is not None:
            await source.close()
            return code
    return 0


class Teller:
    """News as lines: where the run stands, then each event."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._view: HeadlessView | None = None

    def tell(self, news: News) -> int | None:
        """Print it. The exit code once there is nothing more to come."""
        match news:
            case Snapshot(state=state):
                self._view = HeadlessView(sys.stdout, json=False, is_terminal=False, state=state)
                print(f"{self._name}: {state.status}, {_place(state)}", flush=True)
                return state.ended.reason.exit_code if state.ended is not None else None
            case Happened(events=events) if self._view is not None:
                for event in events:
                    self._view.show(event)
                return next((e.reason.exit_code for e in events if isinstance(e, RunEnded)), None)
            case Link(status="lost" | "gone", text=text):
                print(f"{self._name}: {clean_line(text)}", flush=True)
                return 0 if news.status == "gone" else None
            case _:
                return None

    def close(self) -> None:
        """Let a slow reader have the rest."""
        if self._view is not None:
            self._view.close()


def _place(state: RunState) -> str:
    return f"update {count(state.update)}, step {count(state.global_step)}"
