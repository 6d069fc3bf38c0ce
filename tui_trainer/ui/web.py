"""The app in a web page of this machine: textual-serve's page in the browser, a pseudo-terminal behind it.

Whoever opens the page can do what the app can, so each request must bear the token, come for this very address and,
from a browser, from this very page.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import textual_serve
from aiohttp import WSMsgType, web

from tui_trainer.core.text import clean_line
from tui_trainer.errors import UsageError
from tui_trainer.ui.pty import PtyProcess

HOST = "127.0.0.1"
STATIC = Path(textual_serve.__file__).parent / "static"
LARGEST_MESSAGE = 1 << 20
_SUSPEND = "\x1a"
"""ctrl+z: there is no shell to come back to."""
_FOREIGN = ("TMUX", "STY", "SSH_CONNECTION", "SSH_TTY", "COLUMNS", "LINES", "NO_COLOR", "LC_ALL", "LC_CTYPE")
"""What the server's own terminal says of itself."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
        "img-src 'self' data:; connect-src 'self' ws://127.0.0.1:* ws://localhost:*; "
        "base-uri 'none'; form-action 'none'"
    ),
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebServer:
    """Serves `argv`, a program for a terminal: each page has a process of its own, which ends with the page."""

    def __init__(self, argv: Sequence[str], title: str, port: int, token: str = "") -> None:
        self._argv = list(argv)
        self._title = title
        self.token = token or secrets.token_urlsafe(32)
        self._socket = _listening(port)
        self.port: int = self._socket.getsockname()[1]
        self._cookie = f"tui-trainer-{self.port}"
        self._open: set[web.WebSocketResponse] = set()

    @property
    def url(self) -> str:
        """What a person opens; the token goes into a cookie and out of the address."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    def serve(self) -> None:
        """Until SIGINT or SIGTERM."""
        web.run_app(self.application(), sock=self._socket, print=None, access_log=None, shutdown_timeout=5.0)

    def application(self) -> web.Application:
        """The routes behind the guard."""
        app = web.Application(middlewares=[self._guard])
        app.add_routes([web.get("/", self._page), web.get("/ws", self._terminal), web.static("/static", STATIC)])
        app.on_shutdown.append(self._hang_up)
        return app

    # --- who may ---------------------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host not in self._hosts or not self._is_ours(request.headers.get("Origin")):
            return _refused("this address is not the one that the app is served at")
        given = request.query.get("token")
        if given is not None and request.path == "/" and self._fits(given):
            return self._welcome()
        if not self._fits(request.cookies.get(self._cookie, "")):
            return _refused("open the address that `tui-trainer serve` printed: it holds the token")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    @property
    def _hosts(self) -> tuple[str, ...]:
        """Another name that leads here would be somebody's trick (DNS rebinding)."""
        return f"{HOST}:{self.port}", f"localhost:{self.port}"

    def _is_ours(self, origin: str | None) -> bool:
        return origin is None or origin in [f"http://{host}" for host in self._hosts]

    def _fits(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _welcome(self) -> web.Response:
        response = web.Response(status=303, headers={"Location": "/", **_HEADERS})
        response.set_cookie(self._cookie, self.token, httponly=True, samesite="Strict", path="/")
        return response

    # --- what is served --------------------------------------------------------------------------------------------

    async def _page(self, request: web.Request) -> web.Response:
        text = _PAGE.replace("{title}", _escaped(clean_line(self._title))).replace("{ws}", f"ws://{request.host}/ws")
        return web.Response(text=text, content_type="text/html")

    async def _terminal(self, request: web.Request) -> web.WebSocketResponse:
        """One browser page: output as binary messages, keys and sizes as JSON lists."""
        page = web.WebSocketResponse(heartbeat=15, max_msg_size=LARGEST_MESSAGE)
        await page.prepare(request)
        width, height = (_number(request.query.get(name), usual) for name, usual in (("width", 80), ("height", 24)))
        process = PtyProcess(self._argv, terminal_environment(os.environ), width, height)
        self._open.add(page)
        output = asyncio.create_task(_send_output(process, page))
        try:
            async for message in page:
                if message.type is WSMsgType.TEXT:
                    await _obey(process, page, message.data)
        finally:
            self._open.discard(page)
            output.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await output
            await process.close()
        return page

    async def _hang_up(self, app: web.Application) -> None:
        for page in list(self._open):
            await page.close()


def terminal_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The browser's terminal: UTF-8, true colour, nothing of the terminal that the server runs in."""
    kept = {name: value for name, value in environ.items() if name not in _FOREIGN}
    return {**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}


async def _send_output(process: PtyProcess, page: web.WebSocketResponse) -> None:
    """Until the program ends: then the page is told, too."""
    with contextlib.suppress(ConnectionError):
        while data := await process.read():
            await page.send_bytes(data)
        await page.close()


async def _obey(process: PtyProcess, page: web.WebSocketResponse, text: str) -> None:
    """What the page sends; anything else is ignored."""
    match _decoded(text):
        case ["stdin", str(typed)]:
            await process.write(typed.replace(_SUSPEND, "").encode())
        case ["resize", {"width": int(width), "height": int(height)}]:
            process.resize(width, height)
        case ["ping", str(when)]:
            await page.send_json(["pong", when])
        case _:
            return


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _number(text: str | None, usual: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 5 else usual


def _refused(why: str) -> web.Response:
    return web.Response(status=403, text=f"403: {why}\n", headers=_HEADERS)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _listening(port: int) -> socket.socket:
    """Raises UsageError where the port is taken."""
    try:
        return socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"port {port} of {HOST} cannot be used: {why}", "choose another with --port") from None


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="/static/css/xterm.css">
<script src="/static/js/textual.js"></script>
<style>
html, body { margin: 0; height: 100%; background: #000; color: #ddd; font: 16px/1.5 monospace; }
#terminal { height: 100vh; }
.over { display: none; position: fixed; inset: 0; place-content: center; text-align: center; background: #000c; }
body.-closed .over { display: grid; }
a { color: #56b4e9; }
</style></head>
<body><div id="terminal" class="textual-terminal" data-session-websocket-url="{ws}" data-font-size="15"></div>
<div class="over"><p>The app was left; a run that was started goes on.</p><p><a href="/">Open it again</a></p></div>
</body></html>
"""
