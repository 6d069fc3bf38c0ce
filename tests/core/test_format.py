"""Numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.core.format import about, ago, count, duration, percent, si, size

ANY = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1000, "1.00k"),
        (1234567, "1.23M"),
        (98_400, "98.4k"),
        (999_960, "1.00M"),
        (1.5e9, "1.50G"),
        (2e12, "2.00T"),
        (0.123, "0.12"),
        (-1500, "-1.50k"),
        (float("inf"), "-"),
        (float("nan"), "-"),
    ],
)
def test_si(value: float, text: str) -> None:
    assert si(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (90, "1:30"), (3599.9, "59:59"), (4000, "1:06:40"), (200_000, "2 d 07:33"), (-5, "0:00")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (540, 720, "9-12 min"),
        (600, 780, "10-13 min"),
        (5, 5, "5 s"),
        (0, 0, "0 s"),
        (30, 80, "30-80 s"),
        (3600, 7200, "1.0-2.0 h"),
        (200_000, 400_000, "2.3-4.6 d"),
        (1, float("inf"), "-"),
    ],
)
def test_about_is_a_range_in_one_unit(low: float, high: float, text: str) -> None:
    assert about(low, high) == text


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [(0, "0 B"), (1023, "1023 B"), (2_200_000, "2.1 MiB"), (1024**3, "1.0 GiB"), (1024**4, "1.0 TiB")],
)
def test_size(bytes_: float, text: str) -> None:
    assert size(bytes_) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "just now"), (-9, "just now"), (200, "3 min ago"), (90_000, "1 d ago")]
)
def test_ago(seconds: float, text: str) -> None:
    assert ago(seconds) == text


def test_percent_and_count() -> None:
    assert (percent(0.978), percent(None), percent(1, 0), count(1234.4)) == ("97.8 %", "-", "100 %", "1,234")


@given(ANY, ANY)
def test_no_number_breaks_a_view(a: float, b: float) -> None:
    for text in (si(a), count(a), percent(a), duration(a), about(a, b)):
        assert text
        assert "nan" not in text
        assert "inf" not in text


@given(st.floats(1, 1e14))
def test_si_is_never_wider_than_six(value: float) -> None:
    assert len(si(value)) <= 6
