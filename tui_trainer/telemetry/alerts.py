"""Alerts about the machine, with hysteresis: raised past one bound, cleared only past a kinder one. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from statistics import mean, median
from typing import Literal, NamedTuple

from tui_trainer.core.events import AlertCleared, AlertRaised
from tui_trainer.core.values import Gpu, Resources

MEMORY_HIGH, MEMORY_OK = 0.90, 0.85
MEMORY_CRITICAL = 0.97
DISK_LOW_GIB, DISK_OK_GIB = 2.0, 3.0
DISK_CRITICAL_GIB = 0.5
DISK_SOON_S, DISK_LATER_S = 1800.0, 3600.0
DISK_AT_ONCE_S = 300.0
GPU_HOT_C, GPU_OK_C = 87.0, 82.0
GPU_CRITICAL_C = 93.0

Severity = Literal["warning", "critical"]


class _Gauge(NamedTuple):
    """A reading that is worse the larger it is: alerts from `high` (`critical`) on, is over below `ok`."""

    key: str
    value: float
    high: float
    critical: float
    ok: float
    text: str

    @property
    def severity(self) -> Severity | None:
        if self.value > self.critical:
            return "critical"
        return "warning" if self.value > self.high else None


class AlertWatch:
    """Watches samples; each alert is raised once, again when it turns critical, and cleared once."""

    def __init__(self) -> None:
        self._raised: dict[str, Severity] = {}

    def observe(self, resources: Resources) -> list[AlertRaised | AlertCleared]:
        """What changed with this sample."""
        gauges = list(_gauges(resources))
        changes = [change for gauge in gauges if (change := self._change(gauge))]
        gone = [AlertCleared(key=key) for key in self._raised if key not in {g.key for g in gauges}]
        for event in gone:
            del self._raised[event.key]
        return [*changes, *gone]

    def _change(self, gauge: _Gauge) -> AlertRaised | AlertCleared | None:
        before, now = self._raised.get(gauge.key), gauge.severity
        if now and before != now and before != "critical":
            self._raised[gauge.key] = now
            return AlertRaised(key=gauge.key, severity=now, text=gauge.text)
        if before and gauge.value < gauge.ok:
            del self._raised[gauge.key]
            return AlertCleared(key=gauge.key)
        return None


def _gauges(r: Resources) -> Iterator[_Gauge]:
    yield _memory(r)
    yield _disk(r)
    if r.disk_full_s is not None:
        yield _pace(r, r.disk_full_s)
    for gpu in r.gpus:
        if gpu.temperature_c is not None:
            yield _heat(gpu, gpu.temperature_c)


def _memory(r: Resources) -> _Gauge:
    share = r.memory_used_gib / r.memory_total_gib if r.memory_total_gib > 0 else 0.0
    text = f"memory {share:.0%} full: {r.memory_used_gib:.1f} of {r.memory_total_gib:.1f} GiB"
    return _Gauge("memory", share, MEMORY_HIGH, MEMORY_CRITICAL, MEMORY_OK, text)


def _disk(r: Resources) -> _Gauge:
    text = f"disk almost full: {r.disk_free_gib:.1f} GiB free"
    return _Gauge("disk", -r.disk_free_gib, -DISK_LOW_GIB, -DISK_CRITICAL_GIB, -DISK_OK_GIB, text)


def _pace(r: Resources, left_s: float) -> _Gauge:
    minutes = max(1, round(left_s / 60))
    text = f"disk full in about {minutes} min at the present pace: {r.disk_free_gib:.1f} GiB free"
    return _Gauge("disk_pace", -left_s, -DISK_SOON_S, -DISK_AT_ONCE_S, -DISK_LATER_S, text)


def _heat(gpu: Gpu, celsius: float) -> _Gauge:
    text = f"GPU {gpu.index} is hot: {celsius:.0f} °C"
    return _Gauge(f"gpu{gpu.index}_hot", celsius, GPU_HOT_C, GPU_CRITICAL_C, GPU_OK_C, text)


# --- falling speed ---------------------------------------------------------------------------------------------------

EVERY_S = 1.0
"""What is measured within so many seconds counts as one: fast updates jitter, and ten of them are no trend."""
WINDOW = 10
"""Measurements in the newer median."""
BEFORE = 60
"""Measurements that it is compared with: those just before."""
SLOW, WELL = 0.7, 0.85
"""Share of the usual speed below which it is told, and above which that is over."""


class SpeedWatch:
    """Tells when training has become clearly slower than it usually is. Medians, so that a pause is no fall."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds and never runs back."""
        self._clock = clock
        self._due = clock()
        self._fresh: list[float] = []
        self._seen: deque[float] = deque(maxlen=BEFORE + WINDOW)
        self._usual = 0.0
        """The speed at the moment of the alert; 0 while none is up."""

    def observe(self, sps: float) -> list[AlertRaised | AlertCleared]:
        """What changed with this measurement of environment steps a second."""
        if sps <= 0:
            return []
        self._fresh.append(sps)
        if self._clock() < self._due:
            return []
        self._due = self._clock() + EVERY_S
        self._seen.append(mean(self._fresh))
        self._fresh = []
        return self._judged()

    def _judged(self) -> list[AlertRaised | AlertCleared]:
        seen = list(self._seen)
        if len(seen) < 3 * WINDOW:
            return []
        now = median(seen[-WINDOW:])
        if self._usual:
            return self._over() if now > WELL * self._usual else []
        usual = median(seen[:-WINDOW])
        if now >= SLOW * usual:
            return []
        self._usual = usual
        return [AlertRaised(key="sps_low", severity="warning", text=_slow(now, usual))]

    def _over(self) -> list[AlertRaised | AlertCleared]:
        self._usual = 0.0
        return [AlertCleared(key="sps_low")]


def _slow(now: float, usual: float) -> str:
    return (
        f"SPS fell to {now:,.0f} from {usual:,.0f}: another process on this machine, heat, or longer episodes; "
        "`tui-trainer profile` tells where the time goes"
    )


def alerting(is_wanted: bool) -> Callable[[Resources], list[AlertRaised | AlertCleared]]:
    """From a sample to the alerts that it raises or clears; to none where none are wanted."""
    watch = AlertWatch()
    return lambda resources: list(watch.observe(resources)) if is_wanted else []
