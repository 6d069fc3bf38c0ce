"""The hub: every view is told everything exactly once, and training never waits for a view."""

from __future__ import annotations

import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui_trainer.core import events, wire
from tui_trainer.core.commands import Pause
from tui_trainer.core.state import RunState, fold
from tui_trainer.engine import hub as hub_module
from tui_trainer.engine.hub import Hub
from tui_trainer.engine.inbox import Inbox, Order


def log(seq: int, text: str = "x") -> events.AnyEvent:
    return events.stamp(events.LogWritten(level="info", text=text), seq=seq, time=float(seq), update=0, global_step=0)


class Line:
    """A client's end of the socket."""

    def __init__(self, path: Path, hello: wire.Hello | None = None) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._rest = b""
        self.send(wire.encode(hello or wire.Hello()))

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> wire.ServerMessage | events.AnyEvent:
        while b"\n" not in self._rest:
            chunk = self._socket.recv(1 << 16)
            if not chunk:
                raise EOFError
            self._rest += chunk
        line, self._rest = self._rest.split(b"\n", 1)
        return wire.decode_server(line)

    def drain(self) -> None:
        while True:
            self.receive()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def hub(tmp_path: Path, inbox: Inbox) -> Iterator[Hub]:
    hub = Hub(tmp_path / "s" / "run.sock", inbox, RunState())
    hub.start()
    yield hub
    hub.stop()


def publish(hub: Hub, *published: events.AnyEvent) -> None:
    for event in published:
        hub.publish(event, events.encode(event))


def test_a_view_gets_the_state_and_then_each_event_once(hub: Hub, tmp_path: Path) -> None:
    publish(hub, log(1), log(2))
    line = Line(tmp_path / "s" / "run.sock")
    first = line.receive()
    assert isinstance(first, wire.StateSent)
    assert first.state == fold([log(1), log(2)])
    publish(hub, log(3), log(4))
    assert [line.receive(), line.receive()] == [log(3), log(4)]
    line.close()


def test_two_views_at_once_hear_the_same(hub: Hub, tmp_path: Path) -> None:
    lines = [Line(tmp_path / "s" / "run.sock") for _ in range(2)]
    for line in lines:
        assert isinstance(line.receive(), wire.StateSent)
    publish(hub, log(1))
    assert [line.receive() for line in lines] == [log(1), log(1)]


def test_a_command_is_received_at_once_although_the_loop_is_busy(hub: Hub, tmp_path: Path, inbox: Inbox) -> None:
    line = Line(tmp_path / "s" / "run.sock")
    line.receive()
    line.send(wire.encode(Pause(id="7")))
    assert line.receive() == wire.CommandReceived("7")
    assert inbox.drain() == [Order(Pause(id="7"), "user")]


def test_a_readonly_view_gives_no_orders(hub: Hub, tmp_path: Path, inbox: Inbox) -> None:
    line = Line(tmp_path / "s" / "run.sock", wire.Hello(readonly=True))
    line.receive()
    line.send(wire.encode(Pause(id="7")))
    answer = line.receive()
    assert isinstance(answer, wire.CommandDeclined)
    assert answer.id == "7"
    assert inbox.drain() == []


@pytest.mark.parametrize("noise", [b"\n", b"{}\n", b"\xff\xfe\n", b'{"type":"Pause"}\n', b"[" * 5000 + b"\n"])
def test_noise_is_declined_and_the_line_stays(hub: Hub, tmp_path: Path, noise: bytes) -> None:
    line = Line(tmp_path / "s" / "run.sock")
    line.receive()
    line.send(noise)
    assert isinstance(line.receive(), wire.CommandDeclined)
    publish(hub, log(1))
    assert line.receive() == log(1)


def test_a_line_without_end_closes_only_that_view(hub: Hub, tmp_path: Path) -> None:
    good, bad = (Line(tmp_path / "s" / "run.sock") for _ in range(2))
    good.receive()
    bad.receive()
    bad.send(b"x" * (2 * wire.MAX_LINE))
    with pytest.raises((EOFError, OSError)):
        bad.drain()
    publish(hub, log(1))
    assert good.receive() == log(1)


def test_a_view_that_falls_behind_gets_the_whole_state_later(hub: Hub, tmp_path: Path) -> None:
    line = Line(tmp_path / "s" / "run.sock")
    assert isinstance(line.receive(), wire.StateSent)
    count = 4000
    publish(hub, *(log(seq, "y" * 3000) for seq in range(1, count + 1)))  # waits for no reader: this one comes later
    time.sleep(0.5)
    state = RunState()
    while state.seq < count:
        message = line.receive()
        if isinstance(message, wire.StateSent):
            state = message.state
        elif not isinstance(message, wire.CommandReceived | wire.CommandDeclined):
            assert message.seq == state.seq + 1
            state = state.apply(message)
    assert state.log[-1].text == "y" * 3000


def test_the_socket_is_private_from_birth_and_bound_again_when_it_vanishes(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "s" / "run.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.unlink()
    path.parent.rmdir()
    while not path.exists():  # hardly a rest: it answers as soon as it can be found
        time.sleep(0.0005)
    assert isinstance(Line(path).receive(), wire.StateSent)


def test_stopping_delivers_what_is_left_and_removes_the_socket(tmp_path: Path, inbox: Inbox) -> None:
    hub = Hub(tmp_path / "run.sock", inbox, RunState())
    hub.start()
    line = Line(tmp_path / "run.sock")
    line.receive()
    publish(hub, log(1))
    hub.stop()
    assert line.receive() == log(1)
    with pytest.raises(EOFError):
        line.receive()
    assert not (tmp_path / "run.sock").exists()


def test_views_that_have_frozen_hold_the_end_up_once_and_not_each(
    tmp_path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "FAREWELL_S", 0.3)
    hub = Hub(tmp_path / "run.sock", inbox, RunState())
    hub.start()
    frozen = [Line(tmp_path / "run.sock") for _ in range(6)]
    for line in frozen:
        assert isinstance(line.receive(), wire.StateSent)
    publish(hub, *(log(seq, "x" * 1000) for seq in range(1, 2000)))
    hub.stop()
    assert not (tmp_path / "run.sock").exists()  # it came to its end, and was not given up
    for line in frozen:
        line.close()


def test_a_view_that_is_slow_at_the_end_still_hears_the_last_word(tmp_path: Path, inbox: Inbox) -> None:
    hub = Hub(tmp_path / "run.sock", inbox, RunState())
    hub.start()
    line = Line(tmp_path / "run.sock")
    line.receive()
    publish(hub, *(log(seq, "x" * 1000) for seq in range(1, 300)))
    reader = threading.Thread(target=lambda: heard.extend(line.receive() for _ in range(1, 300)))
    heard: list[object] = []
    reader.start()
    hub.stop()
    reader.join(30)
    assert heard[-1] == log(299, "x" * 1000)
