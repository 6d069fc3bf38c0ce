"""The app in a web page, over real HTTP and a real websocket: nobody without the token, and nobody's page but ours."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.engine import process as p
from tui_trainer.errors import UsageError
from tui_trainer.ui.web import WebServer, terminal_environment

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address that `serve sample` prints."""
    root = tmp_path_factory.mktemp("served")
    process = p.start(root, "serve", "sample", "--port", "0")
    assert process.stdout
    yield process.stdout.readline().split()[1]
    process.send(signal.SIGINT)
    assert process.wait() == 0


def parts(address: str) -> tuple[str, str]:
    base, _, token = address.partition("/?token=")
    assert len(token) >= 32
    return base, token


@asynccontextmanager
async def visitor(**more: object) -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(120), **more) as session:  # type: ignore[arg-type]
        yield session


async def test_without_the_token_there_is_nothing(served: str) -> None:
    base, token = parts(served)
    async with visitor() as guest:
        for path in ("/", "/ws", "/static/js/textual.js", "/?token=", f"/?token={token[:-1]}", f"/ws?token={token}"):
            async with guest.get(base + path) as answer:
                assert answer.status == 403, path
                assert token not in await answer.text()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await guest.ws_connect(base + "/ws")
        assert refused.value.status == 403


async def test_the_token_becomes_a_cookie_and_leaves_the_address(served: str) -> None:
    base, _ = parts(served)
    async with visitor() as person, person.get(served) as page:
        assert (page.status, str(page.url)) == (200, base + "/")
        text = await page.text()
        assert "https://" not in text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        (cookie,) = person.cookie_jar
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
        async with person.get(base + "/static/js/textual.js") as script:
            assert script.status == 200


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}],
    ids=lambda h: "-".join(h.values()),
)
async def test_another_pages_request_is_refused_even_with_the_token(served: str, headers: dict[str, str]) -> None:
    base, _ = parts(served)
    async with visitor() as person:
        async with person.get(served):
            pass
        async with person.get(base + "/", headers=headers) as answer:
            assert answer.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await person.ws_connect(base + "/ws", headers=headers)


NONSENSE = ("{", "[]", '["stdin"]', '["stdin", 7]', '["resize", {"width": -5, "height": 1e9}]', "[" * 9999)


async def until(page: aiohttp.ClientWebSocketResponse, wanted: bytes) -> bytes:
    """Output up to what is wanted."""
    seen = b""
    while wanted not in seen:
        message = await asyncio.wait_for(page.receive(), 120)
        assert message.type is aiohttp.WSMsgType.BINARY, (message, seen[-500:])
        seen += message.data
    return seen


async def test_the_page_shows_the_app_and_takes_keys(served: str) -> None:
    base, _ = parts(served)
    async with visitor() as person:
        async with person.get(served):
            pass
        async with person.ws_connect(base + "/ws?width=100&height=30", origin=base) as page:
            await until(page, b"Training Manager")
            await page.send_json(["stdin", "?"])
            await until(page, b"checkpoint")
            for nonsense in NONSENSE:
                await page.send_str(nonsense)
            await page.send_json(["stdin", "x"])
            await page.send_json(["stdin", "\x1a"])
            await page.send_json(["resize", {"width": 60, "height": 20}])
            await page.send_json(["stdin", "q"])
            while (message := await asyncio.wait_for(page.receive(), 120)).type is aiohttp.WSMsgType.BINARY:
                continue
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)


async def test_a_closed_page_leaves_no_process_behind(tmp_path: Path) -> None:
    script = f"echo $$ > {tmp_path}/pid; trap '' HUP; exec sleep 60"
    server = WebServer(["sh", "-c", script], "test", 0)
    runner = aiohttp.web.AppRunner(server.application())
    await runner.setup()
    await aiohttp.web.SockSite(runner, server._socket).start()
    async with visitor() as person:
        async with person.get(server.url):
            pass
        page = await person.ws_connect(f"http://127.0.0.1:{server.port}/ws")
        pid = int(await asyncio.to_thread(p.wait_for, lambda: written(tmp_path / "pid")))
        await page.close()
        await asyncio.to_thread(p.wait_for, lambda: not Path(f"/proc/{pid}").exists())
    await runner.cleanup()


def written(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def test_a_port_in_use_is_one_line() -> None:
    first = WebServer(["true"], "", 0)
    with pytest.raises(UsageError, match="choose another with --port"):
        WebServer(["true"], "", first.port)
    first._socket.close()


def test_the_browsers_terminal_is_not_the_servers() -> None:
    ours = {"TMUX": "x", "STY": "y", "TERM": "dumb", "LANG": "C", "LC_ALL": "C", "NO_COLOR": "1", "HOME": "/h"}
    assert terminal_environment(ours) == {
        "HOME": "/h", "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8",
    }  # fmt: skip


def test_readonly_needs_a_run(tmp_path: Path) -> None:
    done = p.run(tmp_path, "serve", "--readonly")
    assert done.returncode == 2
    assert "--readonly needs a live run" in done.stderr
