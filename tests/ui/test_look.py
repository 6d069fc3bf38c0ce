"""Colours that can be read: contrast as WCAG 2.2 counts it, on dark and on light backgrounds."""

from __future__ import annotations

import pytest
from rich.color import Color

from tui_trainer.core.config import UiSettings
from tui_trainer.ui.look import LINE_STYLES, Look, look_for

TEXT = ("axis", "mark", "focus", "dim", "brand", "key", "good", "warn", "bad", "card", *LINE_STYLES)
BADGES = ("paused", "ended", "replay", "sent")
DARK = ("#000000", "#1e1e1e", "#282828", "#002b36")
LIGHT = ("#ffffff", "#fafafa", "#fdf6e3")


def luminance(color: Color) -> float:
    """Relative luminance of an sRGB colour."""
    assert color.triplet
    parts = [part / 255 for part in color.triplet]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_knows_black_on_white() -> None:
    assert contrast(Color.parse("#000000"), Color.parse("#ffffff")) == pytest.approx(21)
    assert contrast(Color.parse("#777777"), Color.parse("#ffffff")) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("name", TEXT)
def test_text_has_a_contrast_of_four_and_a_half(name: str, light: bool) -> None:
    color = Look(light=light).style(name).color
    assert color
    for ground in LIGHT if light else DARK:
        assert contrast(color, Color.parse(ground)) >= 4.5, ground


@pytest.mark.parametrize("name", BADGES)
@pytest.mark.parametrize("light", [False, True])
def test_badges_have_it_on_their_own_background(name: str, light: bool) -> None:
    style = Look(light=light).style(name)
    assert style.color
    assert style.bgcolor
    assert contrast(style.color, style.bgcolor) >= 4.5


@pytest.mark.parametrize("light", [False, True])
def test_frames_can_be_seen(light: bool) -> None:
    color = Look(light=light).style("frame").color
    assert color
    assert all(contrast(color, Color.parse(ground)) >= 3 for ground in (LIGHT[:2] if light else DARK))


def test_what_lies_behind_is_fainter_than_its_line() -> None:
    for light, ground in ((False, "#000000"), (True, "#ffffff")):
        line, behind = (Look(light=light).style(name).color for name in ("s1", "s1-"))
        assert line
        assert behind
        assert contrast(behind, Color.parse(ground)) < contrast(line, Color.parse(ground))
    assert Look(colour=False).style("s1-").dim


@pytest.mark.parametrize(
    ("background", "environ", "light"),
    [("auto", {}, False), ("auto", {"COLORFGBG": "0;15"}, True), ("auto", {"COLORFGBG": "15;0"}, False),
     ("auto", {"COLORFGBG": "0;default;7"}, True), ("light", {}, True), ("dark", {"COLORFGBG": "0;15"}, False)],
)  # fmt: skip
def test_the_background_is_asked_for(background: str, environ: dict[str, str], light: bool) -> None:
    settings = UiSettings(background=background)  # type: ignore[arg-type]
    assert look_for(settings, environ).light is light


@pytest.mark.parametrize(
    ("environ", "sixteen"),
    [({"TERM": "xterm"}, True), ({"TERM": "linux"}, True), ({"TERM": "screen-256color"}, False),
     ({"TERM": "xterm", "COLORTERM": "truecolor"}, False), ({"TERM": "xterm-kitty"}, False)],
)  # fmt: skip
def test_a_terminal_of_sixteen_colours_is_known(environ: dict[str, str], sixteen: bool) -> None:
    assert look_for(UiSettings(), environ).sixteen is sixteen


@pytest.mark.parametrize("light", [False, True])
def test_no_two_lines_share_one_of_sixteen_colours(light: bool) -> None:
    colors = [Look(light=light, sixteen=True).style(name).color for name in LINE_STYLES]
    numbers = [color.number for color in colors if color]
    assert len(set(numbers)) == len(LINE_STYLES)
    assert all(number is not None and number < 16 for number in numbers)
