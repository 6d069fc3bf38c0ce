"""The background: asked for where it is not known, and no part of the answer is taken for a key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ui.slow_terminal import SlowTerminal
from tui_trainer.core.config import UiSettings
from tui_trainer.ui.ground import QUERY, GroundSieve, is_light
from tui_trainer.ui.look import asks_ground

ROOT = str(Path(__file__).resolve().parents[2])
WHITE = "\x1b]11;rgb:ffff/ffff/ffff\x1b\\"
BLACK = "\x1b]11;rgb:0000/0000/0000\x07"


@pytest.mark.parametrize("cut", range(len(WHITE) + 2))
def test_an_answer_in_pieces_between_keys_is_taken_out(cut: int) -> None:
    text, sieve = f"a{WHITE}b", GroundSieve()
    pieces = [sieve.sifted(piece, expecting=True) for piece in (text[:cut], text[cut:])]
    assert "".join(typed for typed, _ in pieces) == "ab"
    assert [light for _, light in pieces if light is not None] == [True]


def test_a_key_that_begins_like_an_answer_is_only_held_until_the_next_look() -> None:
    sieve = GroundSieve()
    assert sieve.sifted("\x1b", expecting=True) == ("", None)
    assert sieve.is_holding
    assert sieve.sifted("", expecting=True) == ("\x1b", None)
    assert sieve.sifted("\x1b[A", expecting=True) == ("\x1b[A", None)
    assert sieve.sifted("\x1b", expecting=False) == ("\x1b", None)


@pytest.mark.parametrize(
    ("colour", "light"),
    [(("ffff", "ffff", "ffff"), True), (("00", "00", "00"), False), (("fd", "f6", "e3"), True),
     (("00", "2b", "36"), False), (("f", "f", "d"), True), (("1e1e", "1e1e", "1e1e"), False)],
)  # fmt: skip
def test_a_background_is_light_where_black_reads_better(colour: tuple[str, str, str], light: bool) -> None:
    assert is_light(*colour) is light


@pytest.mark.parametrize(
    ("background", "environ", "asks"),
    [("auto", {"TERM": "xterm"}, True), ("auto", {"TERM": "screen", "TMUX": "x"}, True),
     ("auto", {"TERM": "linux"}, False),
     ("auto", {"TERM": "xterm", "COLORFGBG": "0;15"}, False), ("light", {"TERM": "xterm"}, False),
     ("auto", {"TERM": "xterm", "NO_COLOR": "1"}, False), ("auto", {}, False)],
)  # fmt: skip
def test_only_who_may_know_is_asked_and_only_what_is_not_known(
    background: str, environ: dict[str, str], asks: bool
) -> None:
    assert asks_ground(UiSettings(background=background), environ) is asks  # type: ignore[arg-type]


class Light(SlowTerminal):
    """A terminal with a white background that says so, as slowly as two reads."""

    told = False

    def hear(self, data: bytes) -> None:
        if data and QUERY.encode() in self.recent and not self.told:
            self.told = True
            self.key(WHITE[:9].encode())
            self.key(WHITE[9:].encode())


@pytest.fixture
def app() -> Iterator[Light]:
    terminal = Light([sys.executable, "-m", "tests.ui.demo", "paused"], 120, 40, {"PYTHONPATH": ROOT})
    terminal.wait_for(b"PAUSED")
    yield terminal
    terminal.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_on_a_white_terminal_the_colours_are_the_dark_ones_and_nothing_is_typed(app: Light) -> None:
    app.wait_for_any("? help")
    while b"38;2;0;101;158" not in app.recent:  # s0 of the light palette
        assert app.read(30.0), "colours for a light background"
    assert "Training Manager" in app.text()
    assert "filter" not in app.text().splitlines()[-2], "no letter of the answer was a key"
