"""The machine: processors, memory, GPUs or why there are none, disk."""

from __future__ import annotations

from tui_trainer.charts.bars import bar, resampled, spark
from tui_trainer.charts.span import Row, Span
from tui_trainer.core.series import Series
from tui_trainer.core.values import Gpu, Resources
from tui_trainer.ui.rows import labelled, most_important, plain
from tui_trainer.ui.scene import Scene

TITLE = "Machine"


def heading(scene: Scene) -> str:
    started = scene.state.started
    return started.host if started else ""


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """A line for each part; with one line only, all of them in short."""
    resources = scene.state.resources
    if resources is None:
        return [plain("the first sample comes within seconds", "dim")]
    if height == 1:
        return [(*_alarm(scene), *in_short(resources))]
    return most_important(_rows(scene, resources, width), height)


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
    spans += [Span("   disk", "dim"), Span(f" {r.disk_free_gib:.0f} GiB free")]
    return tuple(spans)


def _alarm(scene: Scene) -> Row:
    """The newest alert, where there is one line only."""
    alerts = scene.state.alerts
    return (Span("! ", "bad"), Span(f"{alerts[-1].text}   ", "warn")) if alerts else ()


def _rows(scene: Scene, r: Resources, width: int) -> list[tuple[int, Row]]:
    memory = f"{r.memory_used_gib:.1f}/{r.memory_total_gib:.0f} GiB"
    rows = [
        (0, _gauge(scene, "cpu", r.cpu_percent, f"{r.cpu_percent:3.0f} % of {r.cores} cores", "cpu_percent", width)),
        (1, _gauge(scene, "ram", 100 * r.memory_used_gib / max(r.memory_total_gib, 1e-9), memory,
                   "memory_used_gib", width)),
    ]  # fmt: skip
    for gpu in r.gpus:
        rows.append((2, _gauge(scene, f"gpu{gpu.index}", gpu.utilisation, _gpu_text(gpu),
                               f"gpu{gpu.index}_percent", width)))  # fmt: skip
    if not r.gpus:
        rows.append((2, labelled("gpu", r.gpu_note or "none", 8)))
    engine = f"{r.process_cpu_percent:.0f} % of a core, {r.process_rss_gib:.2f} GiB"
    rows.append((3, labelled("engine", engine, 8)))
    traffic = f"{r.disk_free_gib:.0f} GiB free, writing {r.disk_write_mib_s:.1f} MiB/s"
    rows.append((4, labelled("disk", traffic, 8)))
    rows.append((5, labelled("network", f"{r.network_mib_s:.1f} MiB/s", 8)))
    rows += [(1, (Span("! ", "bad"), Span(alert.text, "warn"))) for alert in scene.state.alerts]
    return rows


def _gauge(scene: Scene, name: str, percent: float, text: str, metric: str, width: int) -> Row:
    """Name, bar, figures, and the history where there is room."""
    figures = 29 if scene.state.resources and scene.state.resources.gpus else 18
    wide = max(6, min(16, width - 8 - figures - 1))
    history = max(0, min(60, width - 8 - wide - 2 - figures))
    series = scene.state.series.get(f"system/{metric}", Series())
    line = spark(resampled(series, history), history, scene.look.glyphs, "s0") if history >= 6 else ()
    gauge = bar(percent / 100, wide, scene.look.glyphs)
    return (Span(f"{name:<8}", "dim"), *gauge, Span(f" {text:<{figures}} "), *line)


def _gpu_text(gpu: Gpu) -> str:
    text = f"{gpu.utilisation:3.0f} % {gpu.memory_used_gib:.1f}/{gpu.memory_total_gib:.0f} GiB"
    text += "" if gpu.power_w is None else f" {gpu.power_w:.0f} W"
    return text + ("" if gpu.temperature_c is None else f" {gpu.temperature_c:.0f} °C")
