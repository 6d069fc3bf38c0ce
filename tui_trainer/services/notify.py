"""[notify]: a command, a webhook. Foreign text reaches a command through its environment only, never as its words."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

import msgspec

from tui_trainer.core.config import NotifySettings
from tui_trainer.core.events import AlertRaised, AnyEvent
from tui_trainer.core.notices import Kind, Notice, notice_of, where
from tui_trainer.errors import ConfigError


class NotDelivered(Exception):
    """A message reached nobody; says why in one line."""


QUIET_S = 600.0
"""An alert that comes and goes is told once in this time."""


class Selection:
    """Which events are told, and in what words."""

    def __init__(self, session: str, kinds: Sequence[Kind]) -> None:
        self._session = session
        self._kinds = kinds
        self._alerts: dict[tuple[str, str], float] = {}

    def notice(self, event: AnyEvent) -> Notice | None:
        """The message, or None for what nobody wants to hear, or has heard a moment ago."""
        found = notice_of(event, self._session)
        if found is None or found.kind not in self._kinds or self._is_repeated(event):
            return None
        return found

    def _is_repeated(self, event: AnyEvent) -> bool:
        if not isinstance(event, AlertRaised):
            return False
        alert = (event.key, event.severity)
        if 0 <= event.time - self._alerts.get(alert, float("-inf")) < QUIET_S:
            return True
        self._alerts[alert] = event.time
        return False


class CommandNotice:
    """Runs a program for each message; waits `timeout_s` seconds for it, then ends it and all that it started."""

    def __init__(self, settings: NotifySettings, session: str, kinds: Sequence[Kind]) -> None:
        self._argv = settings.command
        self._timeout_s = settings.timeout_s
        self._selection = Selection(session, kinds)

    def take(self, event: AnyEvent) -> None:
        """Raises NotDelivered where the program does not end well."""
        notice = self._selection.notice(event)
        if notice is not None:
            run_command(self._argv, variables(notice), self._timeout_s)

    def close(self) -> None:
        """Nothing is kept open."""


class WebhookNotice:
    """Posts each message as JSON."""

    def __init__(self, settings: NotifySettings, session: str, kinds: Sequence[Kind]) -> None:
        self._url = named_in_environment(settings.webhook, os.environ)
        self._timeout_s = settings.timeout_s
        self._selection = Selection(session, kinds)

    def take(self, event: AnyEvent) -> None:
        """Raises NotDelivered where the server does not answer with 2xx in time."""
        notice = self._selection.notice(event)
        if notice is not None:
            post(self._url, body(notice), self._timeout_s)

    def close(self) -> None:
        """Nothing is kept open."""


# --- a command -----------------------------------------------------------------------------------------------------


def variables(notice: Notice) -> dict[str, str]:
    """A message as environment variables; its texts are clean and on one line."""
    return {
        "NOTIFY_KIND": notice.kind,
        "NOTIFY_SESSION": notice.session,
        "NOTIFY_TITLE": notice.title,
        "NOTIFY_TEXT": notice.text,
        "NOTIFY_UPDATE": str(notice.update),
        "NOTIFY_STEP": str(notice.global_step),
        "NOTIFY_TIME": f"{notice.time:.3f}",
        "NOTIFY_HOST": socket.gethostname(),
    }


def run_command(argv: Sequence[str], more: Mapping[str, str], timeout_s: float) -> None:
    """The program with `more` in its environment; what it prints goes where the engine's output goes."""
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, env={**os.environ, **more}, start_new_session=True, close_fds=True
        )
    except (OSError, ValueError) as error:
        raise NotDelivered(f"notify.command {argv[0]}: {getattr(error, 'strerror', None) or error}") from None
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise NotDelivered(f"notify.command {argv[0]}: not done in {timeout_s:g} s") from None
    if code:
        raise NotDelivered(f"notify.command {argv[0]}: exit code {code}")


# --- a webhook -----------------------------------------------------------------------------------------------------


def body(notice: Notice) -> bytes:
    """A message as JSON: `text` is the whole of it on one line, which chat servers show; the parts stand beside it."""
    whole = f"{notice.line} ({where(notice)}, {socket.gethostname()})"
    parts = {
        "text": whole,
        "kind": notice.kind,
        "session": notice.session,
        "title": notice.title,
        "detail": notice.text,
        "update": notice.update,
        "global_step": notice.global_step,
        "time": notice.time,
        "host": socket.gethostname(),
    }
    return msgspec.json.encode(parts)


def post(url: str, data: bytes, timeout_s: float) -> None:
    """One POST. The address may hold a secret, so that no error repeats more of it than the server's name."""
    request = urllib.request.Request(
        url, data=data, headers={"Content-Type": "application/json", "User-Agent": "tui-trainer"}, method="POST"
    )
    server = request.host
    try:
        with urllib.request.urlopen(request, timeout=timeout_s):
            return
    except urllib.error.HTTPError as error:
        raise NotDelivered(f"notify.webhook {server}: the server answered {error.code}") from None
    except urllib.error.URLError as error:
        raise NotDelivered(f"notify.webhook {server}: {error.reason}") from None
    except OSError as error:
        raise NotDelivered(f"notify.webhook {server}: {error}") from None


def named_in_environment(text: str, environ: Mapping[str, str]) -> str:
    """`$NAME` is the variable's value, so that a secret need not lie in a session. Raises ConfigError."""
    if not text.startswith("$"):
        return text
    value = environ.get(text[1:], "")
    if not value.startswith(("http://", "https://")):
        raise ConfigError(f"notify.webhook: {text} holds no http address", "set it where the engine is started")
    return value
