"""The page in a real browser: Chromium without a window, driven over its debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.engine import process as p

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.long, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    process = p.start(tmp_path / "sessions", "serve", "sample", "--port", "0")
    assert process.stdout
    yield process.stdout.readline().split()[1]
    process.send(signal.SIGINT)
    assert process.wait(15) == 0


@pytest.fixture
def debugger(tmp_path: Path) -> Iterator[str]:
    """Address of a Chromium's debugging socket."""
    assert CHROMIUM
    words = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
             "--window-size=1200,800", f"--user-data-dir={tmp_path / 'profile'}", "about:blank"]  # fmt: skip
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    port = p.wait_for(lambda: read(tmp_path / "profile/DevToolsActivePort"), 60).splitlines()[0]
    yield f"http://127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


class Tab:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            answer = await asyncio.wait_for(self._socket.receive_json(), 60)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                found: dict[str, Any] = answer["result"]
                return found

    async def says(self, script: str) -> Any:
        return (await self.do("Runtime.evaluate", expression=script))["result"].get("value")

    async def until(self, script: str) -> None:
        for _ in range(300):
            if await self.says(script):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"never true: {script}")

    async def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" else {}
            await self.do("Input.dispatchKeyEvent", type=kind, key=key, **text)

    async def picture(self) -> bytes:
        return base64.b64decode((await self.do("Page.captureScreenshot"))["data"])


async def test_a_person_opens_the_page_looks_and_leaves(served: str, debugger: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{debugger}/json/new?about:blank") as made:
            address = (await made.json())["webSocketDebuggerUrl"]
        async with session.ws_connect(address, max_msg_size=0) as socket:
            tab = Tab(socket)
            await tab.do("Page.navigate", url=served)
            await tab.until("document.body && document.body.classList.contains('-first-byte')")
            assert "token" not in await tab.says("location.href")
            await asyncio.sleep(3)
            shown = await tab.picture()
            await tab.says("document.querySelector('.xterm-helper-textarea').focus()")
            await tab.press("?")
            await asyncio.sleep(2)
            helped = await tab.picture()
            assert shown != helped
            keep(shown, "web-run.png")
            keep(helped, "web-help.png")
            await tab.press("x")
            await asyncio.sleep(1)
            await tab.press("q")
            await tab.until("document.body.classList.contains('-closed')")
            assert "goes on" in await tab.says("document.querySelector('.over').innerText")


def keep(picture: bytes, name: str) -> None:
    """For a person to look at."""
    if directory := os.environ.get("PICTURES"):
        (Path(directory) / name).write_bytes(picture)
