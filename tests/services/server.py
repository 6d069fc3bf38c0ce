"""A real HTTP server on this machine that keeps what is posted to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Answers with `status` after `delay_s`; `bodies` holds what came."""

    daemon_threads = True

    def __init__(self, status: int, delay_s: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = status
        self.delay_s = delay_s
        self.bodies: list[bytes] = []
        self.kinds: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.kinds.append(self.headers["Content-Type"])
        time.sleep(self.server.delay_s)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def listening(status: int = 200, delay_s: float = 0.0) -> Iterator[Server]:
    server = Server(status, delay_s)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
