"""Text from outside, on every screen: shown literally, and not one byte of it an order to the terminal."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.engine import process as p
from tests.faults.elsewhere import NAMES, Shown, left, screens, walk_through
from tests.faults.foreign import HOSTILE, HostileTable, hostile_game
from tests.ui.pty_terminal import ESCAPES
from tests.ui.test_web import until, visitor
from tests.warm import Program, Warm, WarmTerminal
from tui_trainer.core.duel import PERSON, Open, Opened, decode_answer, encode
from tui_trainer.core.events import decode
from tui_trainer.core.text import is_clean
from tui_trainer.engine.duel import Duel
from tui_trainer.errors import UsageError
from tui_trainer.headless.duel import play_lines, watch_lines
from tui_trainer.tasks.playing import RandomPlayer

SCREENS = (b"11", b"\x1b", b"22", b"\x1b", b"33", b"\x1b", b"4", b"5", b"66", b"\x1b", b"77", b"\x1b", b"8",
           b"99", b"\x1b", b"?", b"\x1b", b"/x", b"\x1b", b"\x10", b"\x1b", b"s", b"\x1b")  # fmt: skip
"""Every panel, then every panel on the whole screen, help, filter, palette, the question before a stop."""
SIZES = [(120, 40), (80, 24)]


def foreign_orders(drawn: bytes) -> list[str]:
    """What of the stream is neither text nor an escape sequence that Textual makes."""
    told = re.findall(rb"\x1b\]([^\x07\x1b]*)", drawn)
    known = b"11;?"  # our question for the background
    titles = [order for order in told if not order.startswith(b"22;") and order != known]
    text = ESCAPES.sub(b"", drawn).decode("utf-8", "ignore")
    controls = {char for char in text if ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or char in "\u202e\u202c\u200b"}
    return [repr(order) for order in titles] + [ascii(char) for char in controls - set("\r\n")]


def test_an_order_to_the_terminal_is_found() -> None:
    drawn = f"\x1b[1mtext\x1b[0m {HOSTILE} \x1b]22;default\x07".encode()
    assert foreign_orders(b"\x1b[1mtext\x1b[0m\x1b]22;default\x07") == []
    assert len(foreign_orders(drawn)) > 5


def walk(terminal: WarmTerminal) -> None:
    for key in SCREENS:
        for byte in key:
            terminal.key(bytes([byte]))
        terminal.read_for(0.2 if key == b"\x1b" else 0.1)


@pytest.fixture(scope="module")
def hostile_run(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("hostile")
    program = start_hostile(warm, root)
    yield root
    program.kill()


def start_hostile(warm: Warm, root: Path) -> Program:
    """A live run whose task, parts, outcomes, picture, log, note and callback want to take the terminal over."""
    words = ["--task=tests.faults.foreign:hostile", f"--set=run.note={HOSTILE}", "--max-updates=100000000"]
    hook = "--callback=tests.faults.foreign:failing_callback"
    program = warm.start(
        root, "run", "--no-ui", "--json", *p.TINY, *words, hook, "--name=a", "--step-delay=0.05", FAULT_AT="never"
    )
    program.until("EvaluationFinished")
    return program


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_hostile_live_run_changes_nothing_of_the_terminal(warm: Warm, hostile_run: Path, size: Any) -> None:
    view = warm.terminal(hostile_run, "attach", "a", size=size)
    view.wait_for(b"running")
    walk(view)
    assert left(view) == 0
    assert foreign_orders(view.seen) == []
    assert "[/][bold]b" in (hostile_run / "a/events.jsonl").read_text(), "the text is there, and literal"
    view.close()


@pytest.fixture(scope="module")
def poisoned(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_poisoned(warm, tmp_path_factory.mktemp("poisoned"))


def make_poisoned(warm: Warm, root: Path) -> Path:
    """A finished session, each text of whose files was made hostile by hand, and others with hostile names."""
    assert warm.run(root, "run", "--no-ui", *p.TINY, "--max-updates=20", "--name=a").returncode == 0
    journal = root / "a/events.jsonl"
    events = p.journal(root / "a")
    log = {"type": "LogWritten", "level": "error", "text": HOSTILE, "seq": len(events) + 1, "time": events[-1]["time"],
           "update": 20, "global_step": events[-1]["global_step"]}  # fmt: skip
    journal.write_text("".join(json.dumps(line) + "\n" for line in [*map(poison, events[:-1]), log]))
    for number, name in enumerate(["x\x1b]2;HIJACKED\x07", "[/red]", "b", "c", "d"]):
        shutil.copytree(root / "a", root / name)
        text = (root / name / "session.toml").read_text()
        wild = json.dumps(HOSTILE)
        for old in ('task = "tictactoe"', 'note = ""', 'termination_reason = "max_updates"')[: number - 1]:
            text = text.replace(old, f"{old.split()[0]} = {wild}", 1)
        (root / name / "session.toml").write_text(text)
    return root


def poison(event: dict[str, Any]) -> dict[str, Any]:
    """The event with every text hostile that may be any text, and a hostile metric; its origin stays our own."""
    for key, value in list(event.items()):
        for poisoned in (hostile_of(value),):
            changed = {**event, key: poisoned}
            if key not in ("type", "origin") and poisoned != value and is_event(changed):
                event = changed
    return event


def hostile_of(value: Any) -> Any:
    if isinstance(value, str):
        return value + HOSTILE
    if isinstance(value, list):
        return [hostile_of(item) for item in value]
    if isinstance(value, dict):
        return {f"{key}{HOSTILE}" if "/" in key else key: hostile_of(item) for key, item in value.items()}
    return value


def is_event(fields: dict[str, Any]) -> bool:
    try:
        decode(json.dumps(fields).encode())
    except (msgspec.MsgspecError, ValueError):
        return False
    return True


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_poisoned_session_is_replayed_without_an_order_to_the_terminal(warm: Warm, poisoned: Path, size: Any) -> None:
    view = warm.terminal(poisoned, "replay", "a", "--at=update:15", size=size)
    view.wait_for(b"HIJACK")  # shown, as text
    view.key(b" ")  # from here it plays to its end
    walk(view)
    for key in (b"\x1b[F", b"N", b"N", b"E"):
        view.key(key)
        view.read_for(0.1)
    assert left(view) == 0
    assert foreign_orders(view.seen) == []
    view.close()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_list_of_poisoned_sessions_is_harmless(warm: Warm, poisoned: Path, size: Any) -> None:
    view = warm.terminal(poisoned, size=size)
    view.wait_for(b"Sessions")
    view.wait_for(b"ended")
    for key in (b"\x1b[B", b"\x1b[B", b"\x1b[B", b"?", b"\x1b", b"\x1b[A"):
        view.key(key)
        view.read_for(0.1)
    assert left(view) == 0
    assert foreign_orders(view.seen) == []
    view.close()


@pytest.fixture(scope="module")
def others(poisoned: Path) -> dict[str, Shown]:
    return screens(poisoned)


@pytest.mark.parametrize("name", NAMES)
def test_no_other_screen_sends_an_order_either(warm: Warm, poisoned: Path, others: dict[str, Shown], name: str) -> None:
    view = warm.terminal(poisoned, *others[name].words)
    walk_through(view, others[name], 0.1)
    assert left(view) == 0
    assert foreign_orders(view.seen) == []
    view.close()


def test_a_duel_with_a_hostile_task_is_harmless(warm: Warm, hostile_run: Path) -> None:
    view = warm.terminal(hostile_run, "watch", "a", environ={"FAULT_AT": "never"})
    view.wait_for(b"HIJACKED")
    view.read_for(0.5)
    assert left(view) == 0
    assert foreign_orders(view.seen) == []
    view.close()


@pytest.fixture(scope="module")
def hostile_board(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_hostile_board(warm, tmp_path_factory.mktemp("board"))


def make_hostile_board(warm: Warm, root: Path) -> Path:
    """A finished run of a hostile game for two."""
    words = (*p.TINY, "--task=tests.faults.foreign:hostile_game", "--max-updates=2", "--name=a")
    assert warm.run(root, "run", "--no-ui", *words).returncode == 0
    return root


def test_a_game_played_against_a_hostile_task_is_harmless(warm: Warm, hostile_board: Path) -> None:
    view = warm.terminal(hostile_board, "play", "a")
    play_through(view)
    assert left(view) == 0
    assert foreign_orders(view.seen) == []
    assert b"no legal move here" in view.seen
    view.close()


def play_through(view: WarmTerminal) -> None:
    """The hint, a move by name, one that is taken back, and moves until the game is over and another begins."""
    view.wait_for(b"HIJACKED")
    for key in (b"h", b"1", b"u", b"\r", b"no move", b"\r"):
        for typed in key:
            view.key(bytes([typed]))
        view.read_for(0.3)
    over = "\u25a0".encode()  # the sign before how it ended
    for number in range(200):
        if over in view.seen:
            break
        view.key(b"%d" % (1 + number % 9))
        view.read_for(0.3)
    assert over in view.seen
    view.key(b"n")
    view.read_for(0.3)


class Local:
    """A duel in this process; its answers come as they would from its own."""

    def __init__(self, rival: str) -> None:
        self.duel = Duel(HostileTable(), RandomPlayer(hostile_game({}, 1, 0).spec, 1), Open(source="", rival=rival))
        self.opened = Opened(label="", task="", players=2)

    def ask(self, question: Any) -> Any:
        return decode_answer(encode(self.duel.answer(question)))

    def close(self) -> None:
        pass


def test_lines_of_a_game_with_a_hostile_task_are_harmless() -> None:
    for told in (played(), watched("self", json=False), watched("self", json=True), watched(f"r{HOSTILE}", json=True)):
        assert "HIJACKED" in told
        assert is_clean(told)


def played() -> str:
    out = io.StringIO()
    play_lines(Local(PERSON), ["h", "zz", *"123456789123456789", "u", "h", "n", "q"], out)
    assert "no legal move" in out.getvalue()
    return out.getvalue()


def watched(rival: str, *, json: bool) -> str:
    out = io.StringIO()
    watch_lines(Local(rival), out, json=json)
    return out.getvalue()


def test_an_opponent_that_is_not_there_is_said_without_an_order() -> None:
    with pytest.raises(UsageError, match="no opponent 'nobody'") as refused:
        Local("nobody")
    assert "HIJACKED" in refused.value.hint
    assert is_clean(refused.value.hint)


def served_pages(live: Path, still: Path) -> dict[str, tuple[list[str], bytes]]:
    """What `serve` is given, and the sign that it is there; `screens` has been made in `still`."""
    board = next(path for path in (still / "logs").iterdir() if path.name.startswith("board"))
    return {
        "a run of TensorBoard": ([str(board)], b"Training Manager"),
        "a live run": ([str(live / "a")], b"Training Manager"),
        "the list of sessions": ([], b"Sessions"),
    }


LONG = [pytest.param(name, marks=pytest.mark.long) for name in ("a live run", "the list of sessions")]


@pytest.mark.parametrize("what", ["a run of TensorBoard", *LONG])
async def test_a_served_page_hands_on_no_order_either(
    poisoned: Path, others: dict[str, Shown], hostile_run: Path, what: str
) -> None:
    words, sign = served_pages(hostile_run, poisoned)[what]
    page, drawn = await walk_served(poisoned, words, sign)
    assert foreign_orders(drawn) == []
    assert ("HIJACKED" in page) == (what == "a run of TensorBoard")
    assert is_clean(page)
    assert b"]52;c" in drawn, "the text is there, as text"


async def walk_served(root: Path, words: list[str], sign: bytes) -> tuple[str, bytes]:
    """A page of a server of its own, walked from panel to panel."""
    server = p.start(root, "serve", *words, "--port", "0")
    address = server.stdout.readline().split()[1]
    page, drawn = await served(address, sign, [key for key in SCREENS if key != b"\x10"])
    assert server.stop(signal.SIGINT) == 0
    return page, drawn


async def served(address: str, sign: bytes, keys: list[bytes]) -> tuple[str, bytes]:
    """The page, and what its terminal was sent while the keys were pressed and until the app was left."""
    base = address.partition("/?token=")[0]
    async with visitor() as person:
        async with person.get(address) as answer:
            page = await answer.text()
        async with person.ws_connect(base + "/ws?width=120&height=40", origin=base) as terminal:
            drawn = bytearray(await until(terminal, sign))
            for typed in "".join(key.decode() for key in keys) + "\x1b\x1b":
                await terminal.send_json(["stdin", typed])
                drawn += await for_a_while(terminal, 0.2)
            while not terminal.closed:
                await terminal.send_json(["stdin", "q"])
                drawn += await for_a_while(terminal, 1.0)
    return page, bytes(drawn)


async def for_a_while(terminal: aiohttp.ClientWebSocketResponse, seconds: float) -> bytes:
    """What comes within the time."""
    drawn = bytearray()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for message in terminal:
                drawn += message.data if message.type is aiohttp.WSMsgType.BINARY else b""
    return bytes(drawn)


def test_every_other_screen_is_walked_through(others: dict[str, Shown]) -> None:
    assert tuple(others) == NAMES


def test_what_commands_print_of_poisoned_sessions_is_harmless(warm: Warm, poisoned: Path) -> None:
    for words in (
        "replay a --no-ui", "replay a --no-ui --json", "sessions list", "sessions list --json", "sessions show a",
        "sessions verify a", "sessions export a", "config show a",
    ):  # fmt: skip
        terminal = warm.terminal(poisoned, *words.split())
        assert terminal.exit_code() is not None, words
        while terminal.read(0.05):
            pass
        assert foreign_orders(terminal.seen) == [], words
        assert b"\x1b" not in terminal.seen, words
        terminal.close()
    for name in ("x\x1b]2;HIJACKED\x07", "[/red]"):
        done = warm.run(poisoned, "sessions", "show", name)
        assert (done.returncode, "\x1b" in done.stderr, "\x07" in done.stderr) == (2, False, False)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_title_and_clipboard_stay_as_they_were_in_tmux(poisoned: Path) -> None:
    tmux = ["tmux", "-L", f"tui-trainer-test-{os.getpid()}", "-f", "/dev/null"]

    def told(*words: str) -> bytes:
        return subprocess.run([*tmux, *words], capture_output=True, check=False).stdout

    command = p.command("replay", "a", "--at=update:15")
    subprocess.run(
        [*tmux, "new-session", "-d", "-x", "120", "-y", "40", ";", "set", "-g", "set-clipboard", "on", ";",
         "set", "-g", "allow-rename", "on", ";", "select-pane", "-T", "mine", ";", "respawn-pane", "-k", *command],
        env=p.environment(poisoned), check=True,
    )  # fmt: skip
    try:
        p.wait_for(lambda: b"Training Manager" in told("capture-pane", "-p"))
        for key in ("9", "9", "Escape", "3", "3", "Escape", "End"):
            told("send-keys", key)
        p.wait_for(lambda: b"HIJACKED" in told("capture-pane", "-p"))
        assert told("display", "-p", "#{pane_title}").strip() == b"mine"
        assert told("list-buffers") == b""
        assert b"HIJACKED" not in told("display", "-p", "#{window_name}")
    except AssertionError:
        raise AssertionError(told("capture-pane", "-p").decode()) from None
    finally:
        told("kill-server")
