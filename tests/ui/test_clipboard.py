"""What is copied reaches the terminal, also from within tmux and screen."""

from __future__ import annotations

import base64
import re

from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.ui.clipboard import sequence


def copied(written: str) -> str:
    """What a terminal that gets this would put on its clipboard."""
    found = re.search(r"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07", written)
    assert found
    return base64.b64decode(found[1]).decode()


@given(st.text(max_size=2000))
def test_a_bare_terminal_gets_the_text(text: str) -> None:
    assert copied(sequence(text, {})) == text


@given(st.text(max_size=2000))
def test_tmux_gets_it_for_itself_and_to_pass_on(text: str) -> None:
    plain, _, wrapped = sequence(text, {"TMUX": "/tmp/tmux-1/default,1,0"}).partition("\x1bPtmux;")
    assert copied(plain) == text
    assert wrapped.endswith("\x1b\\")
    assert copied(wrapped.removesuffix("\x1b\\").replace("\x1b\x1b", "\x1b")) == text


@given(st.text(max_size=2000))
def test_screen_gets_it_in_pieces(text: str) -> None:
    pieces = re.findall(r"\x1bP(.*?)\x1b\\", sequence(text, {"STY": "1.pts"}), flags=re.DOTALL)
    assert all(len(piece) <= 500 for piece in pieces)
    assert copied("".join(pieces)) == text
