"""The machine: CPU, memory, GPUs or why there are none, the engine's own share, disk, network, and their courses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from tui_trainer.charts.bars import bar, gauges, resampled, spark
from tui_trainer.charts.chart import Chart, Line, draw
from tui_trainer.charts.scale import nice_range
from tui_trainer.charts.span import Row, Span
from tui_trainer.core.format import duration, percent, si
from tui_trainer.core.series import Series
from tui_trainer.core.values import Gpu, RankLoad, Resources
from tui_trainer.ui.panels.curves import is_large, seen
from tui_trainer.ui.rows import block, labelled, most_important, plain
from tui_trainer.ui.scene import Scene

TITLE = "Machine"
_TWO_COLUMNS = 90
_LEAST_CHART, _MOST_CHART = 7, 14
_SOON_S = 86400.0
"""A disk that lasts longer than a day is not counted down."""


def heading(scene: Scene) -> str:
    started = scene.state.started
    return started.host if started else ""


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """A line for each part; with one line only, all of them in short."""
    resources = scene.state.resources
    if resources is None:
        begun = scene.state.started
        return [plain("not recorded" if begun and begun.origin else "the first sample comes within seconds", "dim")]
    if height == 1:
        return [(*_alarm(scene), *in_short(resources))]
    rows = most_important(_rows(scene, resources, width), height)
    if not is_large(scene, "machine"):
        return rows
    return [*rows, *_courses(scene, resources, width, height - len(rows))]


def _courses(scene: Scene, r: Resources, width: int, height: int) -> list[Row]:
    """Charts of what there is a history of, two beside each other where both have room."""
    wide = width // 2 - 1 if width >= _TWO_COLUMNS else width
    columns = 2 if wide < width else 1
    charts = [(name, chart) for name, chart in _charts(scene, r) if chart.lines[0].series.last is not None]
    charts = charts[: columns * (height // _LEAST_CHART)]
    if not charts:
        return []
    lines = -(-len(charts) // columns)
    high = min(_MOST_CHART, height // lines)
    drawn = [_titled(name, chart, wide, high, scene) for name, chart in charts]
    rows: list[Row] = []
    for left, right in itertools.zip_longest(drawn[::columns], drawn[1::columns] if columns == 2 else [], fillvalue=()):
        beside = right or [()] * high
        rows += [(*one, Span("  "), *other) for one, other in zip(left, beside, strict=True)]
    return rows


def _charts(scene: Scene, r: Resources) -> Iterator[tuple[str, Chart]]:
    """By title, what is worth a chart; shares from 0 to 100, memory up to all there is."""
    total = r.memory_total_gib
    for gpu in r.gpus:
        yield f"gpu{gpu.index}, %", _course(scene, f"gpu{gpu.index}_percent", 100.0)
        yield f"gpu{gpu.index}, GiB", _course(scene, f"gpu{gpu.index}_memory_gib", gpu.memory_total_gib)
    yield "cpu, %", _course(scene, "cpu_percent", 100.0)
    yield "ram, GiB", _course(scene, "memory_used_gib", total)
    yield "engine, % of a core", _course(scene, "process_cpu_percent", None)
    yield "network, MiB/s", _course(scene, "network_mib_s", None)


def _course(scene: Scene, metric: str, top: float | None) -> Chart:
    series = scene.state.series.get(f"system/{metric}", Series())
    highest = max((bucket.high for bucket in series.buckets if bucket.high is not None), default=1.0)
    high = nice_range(0.0, max(highest, 1e-3), 4)[1] if top is None else top
    return seen(scene, "machine", Chart((Line(series, "s0"),), y_range=(0.0, high)))


def _titled(name: str, chart: Chart, width: int, height: int, scene: Scene) -> list[Row]:
    return block([plain(name, "dim"), *draw(chart, width, height - 1, scene.look.glyphs)], width, height)


def in_short(r: Resources) -> Row:
    """`cpu  98 %   ram 1.2/24 GiB   gpu0 87 % 9.1/141 GiB 412 W 61 °C`."""
    spans = [
        Span("cpu", "dim"), Span(f" {r.cpu_percent:3.0f} %"),
        Span("   ram", "dim"), Span(f" {r.memory_used_gib:.1f}/{r.memory_total_gib:.0f} GiB"),
    ]  # fmt: skip
    for gpu in r.gpus:
        spans += [Span(f"   gpu{gpu.index}", "dim"), Span(f" {_gpu_text(gpu)}")]
    if not r.gpus:
        spans += [Span("   gpu", "dim"), Span(f" {r.gpu_note or 'none'}")]
    spans += [Span("   disk", "dim"), Span(f" {r.disk_free_gib:.0f} GiB free{_countdown(r)}")]
    return tuple(spans)


def _alarm(scene: Scene) -> Row:
    """What the newest alert tells, where there is one line only; the log has its possible causes."""
    alerts = scene.state.alerts
    return (Span("! ", "bad"), Span(f"{alerts[-1].text.partition(': ')[0]}   ", "warn")) if alerts else ()


def _rows(scene: Scene, r: Resources, width: int) -> Iterator[tuple[int, Row]]:
    """Rows with their rank: those with the highest go first where room is short."""
    cores = f"{r.cores} core{'s' if r.cores != 1 else ''}"
    memory = f"{r.memory_used_gib:.1f}/{r.memory_total_gib:.0f} GiB"
    in_use = 100 * r.memory_used_gib / max(r.memory_total_gib, 1e-9)
    yield 0, _gauge(scene, "cpu", r.cpu_percent, f"{r.cpu_percent:3.0f} % of {cores}", "cpu_percent", width)
    yield 1, _gauge(scene, "ram", in_use, memory, "memory_used_gib", width)
    for gpu in r.gpus:
        yield 2, _gauge(scene, f"gpu{gpu.index}", gpu.utilisation, _gpu_text(gpu), f"gpu{gpu.index}_percent", width)
    if not r.gpus:
        yield 2, labelled("gpu", r.gpu_note or "none", 8)
    yield 3, _told(scene, "engine", _engine_text(r), "process_cpu_percent", width)
    yield from ((1 if index == 0 else 5, row) for index, row in enumerate(_ranks(scene.state.ranks)))
    yield 4, _told(scene, "disk", _disk_text(r), "disk_free_gib", width)
    yield 5, _told(scene, "network", f"{r.network_mib_s:.1f} MiB/s", "network_mib_s", width)
    for gpu in r.gpus:
        if gpu.power_w is not None:
            yield 6, _told(scene, f"power {gpu.index}", f"{gpu.power_w:.0f} W", f"gpu{gpu.index}_power_w", width)
        if gpu.temperature_c is not None:
            metric, text = f"gpu{gpu.index}_temperature_c", f"{gpu.temperature_c:.0f} °C"
            yield 7, _told(scene, f"heat {gpu.index}", text, metric, width)
    if len(r.core_percents) > 1:
        busiest = f"  the busiest {max(r.core_percents)} %"
        columns = gauges(r.core_percents, width - 8 - len(busiest), scene.look.glyphs, "s0")
        yield 8, (Span(f"{'cores':<8}", "dim"), columns, Span(busiest, "dim"))
    yield from ((1, (Span("! ", "bad"), Span(alert.text, "warn"))) for alert in scene.state.alerts)


def _gauge(scene: Scene, name: str, in_use: float, text: str, metric: str, width: int) -> Row:
    """Name, bar of so many percent, figures, and the history where there is room."""
    figures, wide, history = _columns(scene, width)
    gauge = bar(in_use / 100, wide, scene.look.glyphs)
    return (Span(f"{name:<8}", "dim"), *gauge, Span(f" {text:<{figures}} "), *_history(scene, metric, history))


def _told(scene: Scene, name: str, text: str, metric: str, width: int) -> Row:
    """Name, figures in words, and the history under that of the gauges where both fit."""
    figures, wide, history = _columns(scene, width)
    room = wide + 1 + figures
    line = _history(scene, metric, history) if len(text) <= room else ()
    return (Span(f"{name:<8}", "dim"), Span(f"{text:<{room}} "), *line)


def _columns(scene: Scene, width: int) -> tuple[int, int, int]:
    """Columns of the figures, the bar and the history."""
    figures = 29 if scene.state.resources and scene.state.resources.gpus else 18
    wide = max(6, min(16, width - 8 - figures - 1))
    return figures, wide, max(0, min(60, width - 8 - wide - 2 - figures))


def _history(scene: Scene, metric: str, width: int) -> Row:
    """The course of a figure, shares from 0 to 100 and others from lowest to highest; nothing where it never changed,
    or there is no room.
    """
    series = scene.state.series.get(f"system/{metric}", Series())
    has_course = len({bucket.mean for bucket in series.buckets}) > 1
    if width < 6 or not has_course:
        return ()
    means = resampled(series, width)
    if not metric.endswith("_percent") or metric.startswith("process"):
        return spark(means, width, scene.look.glyphs, "s0")
    shares = gauges([0.0 if mean is None else mean for mean in means], width, scene.look.glyphs, "s0")
    return (Span(" " * (width - len(means))), shares)


def _engine_text(r: Resources) -> str:
    held = [gpu.process_memory_gib for gpu in r.gpus if gpu.process_memory_gib is not None]
    on_gpu = f", {sum(held):.1f} GiB on GPUs" if held else ""
    return f"{r.process_cpu_percent:.0f} % of a core, {r.process_rss_gib:.2f} GiB{on_gpu}"


def _ranks(loads: Sequence[RankLoad]) -> Iterator[Row]:
    """All ranks in a line with the slowest, then each in a line of its own; nothing of a run on one process."""
    if not loads:
        return
    slowest = min(loads, key=lambda load: load.sps)
    quickest = max(load.sps for load in loads)
    behind = 0.0 if not quickest else 1 - slowest.sps / quickest
    text = f"{len(loads)}, slowest {slowest.rank} at {si(slowest.sps)} SPS"
    yield labelled("ranks", f"{text}, {percent(behind, 0)} behind the quickest" if behind >= 0.005 else text, 8)
    for load in loads:
        parts = (
            f"{si(load.sps)} SPS",
            f"works {percent(load.work, 0)}",
            f"{load.memory_gib:.2f} GiB",
            load.device,
            load.host,
        )
        yield labelled(f"rank {load.rank}", ", ".join(parts), 8)


def _disk_text(r: Resources) -> str:
    return f"{r.disk_free_gib:.0f} GiB free{_countdown(r)}, writing {r.disk_write_mib_s:.1f} MiB/s"


def _countdown(r: Resources) -> str:
    """How long the disk lasts, where that is less than a day."""
    return "" if r.disk_full_s is None or r.disk_full_s > _SOON_S else f", full in {duration(r.disk_full_s)}"


def _gpu_text(gpu: Gpu) -> str:
    text = f"{gpu.utilisation:3.0f} % {gpu.memory_used_gib:.1f}/{gpu.memory_total_gib:.0f} GiB"
    text += "" if gpu.power_w is None else f" {gpu.power_w:.0f} W"
    return text + ("" if gpu.temperature_c is None else f" {gpu.temperature_c:.0f} °C")
