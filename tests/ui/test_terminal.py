"""The terminal of the tests: on a busy machine it misses nothing that was shown, and takes nothing old for new."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ui.pty_terminal import PtyTerminal

PASSES = r"\033[2;1Horder sent\033[2;7Hreceived\033[2;1H              \033[3;1Hlast"
"""What an app paints one after the other, read at once."""


@pytest.fixture
def terminal() -> Iterator[PtyTerminal]:
    shell = ["sh", "-c", f"printf '{PASSES}'; read key; printf '\\033[4;1Hanswered'; exec cat"]
    terminal = PtyTerminal(shell, 40, 10)
    yield terminal
    terminal.close()


def test_what_stood_on_the_screen_only_between_two_reads_is_found_in_its_order(terminal: PtyTerminal) -> None:
    terminal.wait_for(b"order sent")
    terminal.wait_for(b"order received")
    terminal.wait_for_any("nothing", "last")
    assert "order" not in terminal.text()
    with pytest.raises(AssertionError, match="order sent"):
        terminal.wait_for(b"order sent", 0.2)


def test_what_was_shown_before_a_key_is_no_answer_to_it(terminal: PtyTerminal) -> None:
    terminal.wait_for(b"order sent")
    terminal.wait_for(b"last")
    terminal.key(b"\n")
    terminal.wait_for(b"answered")
    with pytest.raises(AssertionError, match="order received"):
        terminal.wait_for(b"order received", 0.2)


def test_a_sequence_that_two_reads_cut_in_two_is_no_text(terminal: PtyTerminal) -> None:
    terminal.wait_for(b"last")
    sequence = b"\x1b[?2026h\x1b[>1u\x1b[5;3Hwhole\x1b[?2026l"
    for cut in range(len(sequence)):
        terminal._show(b"\x1b[2J" + sequence[:cut])
        terminal._show(sequence[cut:])
        assert terminal.text().split() == ["whole"], cut
