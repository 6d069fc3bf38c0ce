"""Conditions over metrics."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.core.conditions import Condition, parse_condition
from tui_trainer.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("eval/win_rate >= 0.95", Condition("eval/win_rate", ">=", 0.95)),
        ("train/approx_kl<1e-3", Condition("train/approx_kl", "<", 1e-3)),
        ("  eval/win_rate/minimax-2 > -1 ", Condition("eval/win_rate/minimax-2", ">", -1.0)),
        ("task/a.b:c <= +2", Condition("task/a.b:c", "<=", 2.0)),
    ],
)
def test_a_condition_is_read(text: str, condition: Condition) -> None:
    assert parse_condition(text) == condition
    assert parse_condition(str(condition)) == condition


@pytest.mark.parametrize(
    "text", ["", "win_rate", "a >= ", "a >= b", "a == 1", ">= 1", "a >= nan", "a > 1e999", "a > --1"]
)
def test_what_is_no_condition_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"eval/win_rate >= 0\.95"):
        parse_condition(text)


@pytest.mark.parametrize(
    ("op", "holds"),
    [
        (">=", (False, True, True)),
        (">", (False, False, True)),
        ("<=", (True, True, False)),
        ("<", (True, False, False)),
    ],
)
def test_a_condition_holds_as_its_sign_says(op: str, holds: tuple[bool, ...]) -> None:
    condition = Condition("m", op, 1.0)
    assert tuple(condition.holds({"m": value}) for value in (0.0, 1.0, 2.0)) == holds


@pytest.mark.parametrize("op", [">=", ">", "<=", "<"])
@pytest.mark.parametrize("metrics", [{}, {"m": None}, {"m": float("nan")}, {"m": float("inf")}, {"m": float("-inf")}])
def test_an_unknown_metric_holds_nothing(op: str, metrics: dict[str, float | None]) -> None:
    assert not Condition("m", op, 1.0).holds(metrics)


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert parse_condition(text).metric
