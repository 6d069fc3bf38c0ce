"""Messages reach a real program and a real server; foreign text stays text."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Literal

import pytest

from tests.services.server import listening
from tui_trainer.core.config import NotifySettings, assignments_layer, resolve
from tui_trainer.core.events import AlertRaised, AnyEvent, RecommendationRaised, RunEnded, RunPaused, UpdateFinished
from tui_trainer.core.notices import KINDS, NOTABLE, notice_of
from tui_trainer.core.values import Change, Reason
from tui_trainer.engine.outgoing import notifiers, told_kinds
from tui_trainer.errors import ConfigError
from tui_trainer.services.notify import (
    CommandNotice,
    NotDelivered,
    Selection,
    WebhookNotice,
    named_in_environment,
    post,
)

NASTY = "$(touch hacked); `touch hacked` && touch hacked\n\x1b]0;x\x07 'quoted\" \x00"
END = RunEnded(
    update=7, global_step=448, time=12.5, reason=Reason(name="target", evidence="eval/win_rate 0.96 >= 0.95")
)
ALERT = AlertRaised(key="disk", severity="critical", text=NASTY)
ASK = RecommendationRaised(
    id=3,
    rule="harder",
    subject="difficulty",
    title="raise the difficulty",
    change=Change(key="difficulty.level", old=0, new=1),
    evidence=("won 9 of 10", "twice"),
    expected="",
    confidence=0.9,
    expires_update=100,
)


def script(tmp_path: Path, code: str) -> tuple[str, ...]:
    path = tmp_path / "told.py"
    path.write_text(code)
    return (sys.executable, str(path), str(tmp_path / "told.json"))


WRITES = """
import json, os, sys
told = {name: value for name, value in os.environ.items() if name.startswith("NOTIFY_")}
open(sys.argv[1], "a").write(json.dumps(told) + "\\n")
"""


def told(tmp_path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (tmp_path / "told.json").read_text().splitlines()]


# --- what is told ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (END, "a ended: target: eval/win_rate 0.96 >= 0.95"),
        (RunEnded(reason=Reason(name="failed", exit_code=1)), "a ended: failed (exit code 1)"),
        (RunPaused(by="manager", why="disk full"), "a waits, paused by manager: disk full"),
        (AlertRaised(key="k", severity="warning", text="GPU 0 is hot"), "a: warning: GPU 0 is hot"),
        (ASK, "a asks 3: raise the difficulty: won 9 of 10; twice"),
    ],
)
def test_a_message_says_what_happened_to_which_session(event: AnyEvent, line: str) -> None:
    notice = notice_of(event, "a")
    assert notice is not None
    assert notice.line == line
    assert isinstance(event, NOTABLE)


def test_every_kind_has_an_event_and_a_persons_own_pause_is_no_news() -> None:
    events: tuple[AnyEvent, ...] = (END, RunPaused(by="engine", why=""), ALERT, ASK)
    assert {notice.kind for event in events if (notice := notice_of(event, "a"))} == set(KINDS)
    assert notice_of(RunPaused(by="user", why="p"), "a") is None
    assert notice_of(UpdateFinished(updates=1, metrics={}, sps=1, seconds={}, episodes=0, elapsed_s=0), "a") is None


def test_an_alert_that_comes_and_goes_is_told_once_in_ten_minutes_and_at_once_when_it_turns_critical() -> None:
    selection = Selection("a", KINDS)

    def is_told(time: float, severity: Literal["warning", "critical"] = "warning", key: str = "sps_low") -> bool:
        return selection.notice(AlertRaised(key=key, severity=severity, text="", time=time)) is not None

    assert [is_told(t) for t in (1000.0, 1001.0, 1599.0, 1601.0, 1602.0)] == [True, False, False, True, False]
    assert is_told(1603.0, "critical")
    assert is_told(1603.0, key="disk")
    assert [selection.notice(ASK) is not None for _ in range(2)] == [True, True]


# --- a program -------------------------------------------------------------------------------------------------------


def test_a_program_gets_the_message_in_its_environment(tmp_path: Path) -> None:
    CommandNotice(NotifySettings(command=script(tmp_path, WRITES)), "a", KINDS).take(END)
    (seen,) = told(tmp_path)
    assert {key: seen[key] for key in seen if key != "NOTIFY_HOST"} == {
        "NOTIFY_KIND": "end",
        "NOTIFY_SESSION": "a",
        "NOTIFY_TITLE": "a ended: target",
        "NOTIFY_TEXT": "eval/win_rate 0.96 >= 0.95",
        "NOTIFY_UPDATE": "7",
        "NOTIFY_STEP": "448",
        "NOTIFY_TIME": "12.500",
    }


def test_foreign_text_is_never_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    CommandNotice(NotifySettings(command=script(tmp_path, WRITES)), "a", KINDS).take(ALERT)
    CommandNotice(NotifySettings(command=("sh", "-c", 'printf %s "$NOTIFY_TEXT" > text')), "a", KINDS).take(ALERT)
    text = (tmp_path / "text").read_text()
    assert text == told(tmp_path)[0]["NOTIFY_TEXT"]
    assert text.startswith("$(touch hacked); `touch hacked`")
    assert text.isprintable()
    assert not (tmp_path / "hacked").exists()


def test_kinds_that_nobody_wants_are_not_told(tmp_path: Path) -> None:
    sink = CommandNotice(NotifySettings(command=script(tmp_path, WRITES)), "a", ("end",))
    sink.take(ALERT)
    sink.take(ASK)
    sink.take(END)
    assert [seen["NOTIFY_KIND"] for seen in told(tmp_path)] == ["end"]


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("/nowhere/notify",), "notify.command /nowhere/notify: No such file or directory"),
        (("sh", "-c", "exit 3"), "notify.command sh: exit code 3"),
    ],
)
def test_a_program_that_fails_says_how(argv: tuple[str, ...], why: str) -> None:
    with pytest.raises(NotDelivered, match=why):
        CommandNotice(NotifySettings(command=argv), "a", KINDS).take(END)


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    hangs = ("sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait")
    began = time.monotonic()
    with pytest.raises(NotDelivered, match="not done in 2 s"):
        CommandNotice(NotifySettings(command=hangs, timeout_s=2), "a", KINDS).take(END)
    assert time.monotonic() - began < 40
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and is_running(pid):
        time.sleep(0.02)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- a server --------------------------------------------------------------------------------------------------------


def test_a_server_gets_the_message_as_json() -> None:
    with listening() as server:
        WebhookNotice(NotifySettings(webhook=server.url), "a", KINDS).take(END)
    body = json.loads(server.bodies[0])
    assert server.kinds == ["application/json"]
    assert body["text"].startswith("a ended: target: eval/win_rate 0.96 >= 0.95 (update 7, step 448, ")
    assert (body["kind"], body["session"], body["detail"], body["update"], body["global_step"], body["time"]) == (
        "end", "a", "eval/win_rate 0.96 >= 0.95", 7, 448, 12.5,
    )  # fmt: skip


def test_a_server_that_says_no_or_nothing_says_how_and_tells_no_secret() -> None:
    with listening(status=500) as server, pytest.raises(NotDelivered) as refused:
        post(server.url + "?token=secret", b"{}", 60)
    assert "the server answered 500" in str(refused.value)
    with listening(delay_s=5.0) as server, pytest.raises(NotDelivered) as late:
        post(server.url + "?token=secret", b"{}", 0.2)
    assert "timed out" in str(late.value)
    with pytest.raises(NotDelivered) as gone:
        post(server.url + "?token=secret", b"{}", 60)
    assert "refused" in str(gone.value)
    assert not any("secret" in str(failure.value) for failure in (refused, late, gone))


def test_an_address_may_come_from_the_environment() -> None:
    assert named_in_environment("$HOOK", {"HOOK": "https://example.org/x"}) == "https://example.org/x"
    for environ in ({}, {"HOOK": "file:///etc/passwd"}):
        with pytest.raises(ConfigError, match=r"\$HOOK holds no http address"):
            named_in_environment("$HOOK", environ)


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["notify.webhook=file:///etc/passwd", "notify.webhook=hook", "notify.events=[dinner]"]
)
def test_wrong_settings_are_refused(words: str) -> None:
    with pytest.raises(ConfigError, match="notify"):
        resolve([assignments_layer([words])])


def test_studies_tell_nobody_and_advice_that_is_taken_unasked_is_no_message() -> None:
    def config(*words: str):  # type: ignore[no-untyped-def]
        return resolve([assignments_layer(['notify.command=["true"]', *words])]).config

    assert len(notifiers("a", config(), lambda text: None)) == 1
    assert notifiers("a", config("manager.mode=optuna"), lambda text: None) == []
    assert told_kinds(config()) == KINDS
    assert "recommendation" not in told_kinds(config("continuous.auto_accept=true"))
