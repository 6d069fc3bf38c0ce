"""Nothing that steers a terminal passes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.core.text import ascii_fold, clean, clean_line, is_clean

ANY = st.text(alphabet=st.characters(exclude_categories=()), max_size=80)


@pytest.mark.parametrize(
    "attack",
    [
        "\x1b]52;c;cm0gLXJm\x07",
        "\x1b]2;title\x1b\\",
        "\x1b[2J\x1b[H",
        "\x9b2J",
        "\x9d52;c;x\x9c",
        "\x1bP+q544e\x1b\\",
        "\x08\x08\x08",
        "\x7f",
        "line\rover",
        "\x0b\x0c",
        "\u202egnp.exe",
        "\u2066\u2069",
        "\u200b\u200d\ufeff",
        "\u2028\u2029",
        "\ud800",
        "\U000e0041",
    ],
)
def test_an_attack_loses_every_byte_that_acts(attack: str) -> None:
    shown = clean(attack)
    assert is_clean(shown)
    assert not is_clean(attack)
    assert shown.isprintable()


@given(ANY)
def test_clean_text_has_no_control_but_tab_and_newline(text: str) -> None:
    shown = clean(text)
    left = {char for char in shown if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")}
    assert left <= {"\t", "\n"}
    shown.encode("utf-8")


@given(ANY)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(ANY, st.integers(1, 50))
def test_clean_text_keeps_to_its_limit(text: str, limit: int) -> None:
    assert len(clean(text, limit)) <= limit
    assert len(clean_line(text, limit)) <= limit


@given(ANY)
def test_a_clean_line_is_one_line(text: str) -> None:
    assert len(clean_line(text).splitlines()) <= 1
    assert "\t" not in clean_line(text)


@given(ANY)
def test_an_ascii_reading_is_ascii(text: str) -> None:
    assert ascii_fold(text).isascii()


def test_ordinary_text_is_left_alone() -> None:
    text = "größe → 98 % · 日本 ● [bold]x[/bold]"
    assert clean(text) == text
