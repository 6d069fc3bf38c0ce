"""Alerts about the training itself."""

from __future__ import annotations

import pytest

from tui_trainer.core.events import AlertCleared, AlertRaised, AnyEvent
from tui_trainer.core.reports import UpdateReport
from tui_trainer.core.values import Metrics
from tui_trainer.training.health import CLEAR_AFTER, RAISE_AFTER, examine

from .world import build

SICK: dict[str, Metrics] = {
    "kl_high": {"train/approx_kl": 0.3},
    "entropy_low": {"train/entropy_loss": -0.001},
    "explained_variance_low": {"train/explained_variance": -2.0},
    "q_diverging": {"train/q_mean": -1e6},
}
WELL: Metrics = {
    "train/approx_kl": 0.01,
    "train/entropy_loss": -1.0,
    "train/explained_variance": 0.7,
    "train/q_mean": 12.0,
}


def examined(course: list[Metrics]) -> list[AnyEvent]:
    symptoms, events = {}, []
    for metrics in course:
        symptoms, told = examine(symptoms, metrics, actions=7)
        events += told
    return events


@pytest.mark.parametrize("key", sorted(SICK))
def test_what_lasts_is_told_once_and_cleared_once_it_has_been_well_for_long(key: str) -> None:
    events = examined([SICK[key]] * 3 * RAISE_AFTER + [WELL] * 3 * CLEAR_AFTER)
    assert [(type(e), e.key) for e in events] == [(AlertRaised, key), (AlertCleared, key)]  # type: ignore[union-attr]


@pytest.mark.parametrize("key", sorted(SICK))
def test_what_passes_is_not_told(key: str) -> None:
    assert not examined(([SICK[key]] * (RAISE_AFTER - 1) + [WELL]) * 4)


def test_an_alert_does_not_flicker() -> None:
    events = examined([SICK["kl_high"]] * RAISE_AFTER + ([WELL] * (CLEAR_AFTER - 1) + [SICK["kl_high"]]) * 3)
    assert len(events) == 1


@pytest.mark.parametrize("key", sorted(SICK))
def test_every_alert_says_what_is_amiss_and_what_to_do(key: str) -> None:
    told = examined([SICK[key]] * RAISE_AFTER)
    assert isinstance(told[0], AlertRaised)
    amiss, _, advice = told[0].text.partition("; ")
    assert amiss
    assert any(word in advice for word in ("helps", "help", "keeps"))


def test_metrics_that_are_not_told_or_not_finite_raise_nothing() -> None:
    assert not examined([{"train/approx_kl": None}, {"train/approx_kl": float("nan")}, {}] * 10)


def test_the_manager_passes_the_alerts_on_unless_they_are_switched_off() -> None:
    for wanted in (True, False):
        world = build(telemetry__alerts=wanted)
        for _ in range(RAISE_AFTER):
            world.events += world.manager.observe(UpdateReport(metrics=SICK["kl_high"]), world.now)
        assert bool(world.seen(AlertRaised)) is wanted
