"""The evaluation's curves: a line for each opponent or category, with its latest value and interval at its end."""

from __future__ import annotations

from tui_trainer.charts.axes import short
from tui_trainer.charts.bars import bar
from tui_trainer.charts.chart import DASHES, Chart, Level, Line, draw
from tui_trainer.charts.span import Row, Span
from tui_trainer.core.format import count, si
from tui_trainer.core.series import Bucket, Series
from tui_trainer.core.values import EvalResult, PartResult
from tui_trainer.ui.look import LINE_STYLES
from tui_trainer.ui.panels.curves import is_large, lens_text, moments, seen
from tui_trainer.ui.panels.texts import is_rate
from tui_trainer.ui.rows import centred, plain
from tui_trainer.ui.scene import Scene

TITLE = "Evaluation"
RETURN = "rollout/ep_rew_mean"


def heading(scene: Scene) -> str:
    last = scene.state.last_evaluation
    if last is None:
        return lens_text(scene, "win_rate")
    result = last.result
    return ", ".join(
        part for part in (_told(scene, result), f"update {count(last.update)}", lens_text(scene, "win_rate")) if part
    )


def _told(scene: Scene, result: EvalResult) -> str:
    """The score and half of its interval, where that is known."""
    scale, unit = (100, " %") if is_rate(scene) else (1, "")
    value = f"{100 * result.value:.1f}" if is_rate(scene) else si(result.value)
    if result.interval is None:
        return value + unit
    half = scale * (result.interval[1] - result.interval[0]) / 2
    return f"{value} ±{f'{half:.1f}' if is_rate(scene) else si(half)}{unit}"


def title(scene: Scene) -> str:
    """The score's name; of a run that is never evaluated, what stands for it."""
    if shows_returns(scene):
        return "Return in training"
    return _metric(scene).capitalize() if scene.state.started else TITLE


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """The chart, or when the first point will come."""
    if not scene.state.evaluations and not shows_returns(scene):
        return _waiting(scene, width, height)
    return draw(chart(scene, width), width, height, scene.look.glyphs)


def shows_returns(scene: Scene) -> bool:
    """Whether nothing will be evaluated, so that the return in training has the chart."""
    state = scene.state
    planned = state.started is None or state.started.evaluate_every > 0
    return not planned and not state.evaluations and RETURN in state.series


def chart(scene: Scene, width: int) -> Chart:
    """A line for each part, intervals where the chart has the screen."""
    if shows_returns(scene):
        line = Line(scene.state.series[RETURN], "s0")
        return seen(scene, "win_rate", Chart((line,), moments(scene, "win_rate", ())))
    rate = is_rate(scene)
    return seen(scene, "win_rate", Chart(
        lines=_lines(scene, rate, wide=width >= 44),
        marks=moments(scene, "win_rate", ("evaluation", "level")),
        levels=_levels(scene),
        y_range=(0.0, 1.0) if rate else None,
        y_text=(lambda value: f"{100 * value:.3g}") if rate else short,
    ))  # fmt: skip


def _levels(scene: Scene) -> tuple[Level, ...]:
    """Scores of known players, and the best that can be had; beside many lines only where there is room."""
    started = scene.state.started
    if started is None or (len(_parts(scene)) > 1 and not is_large(scene, "win_rate")):
        return ()
    known = [Level(value, name) for name, value in started.baselines.items()]
    bound = next((e.result.bound for e in scene.state.final_evaluations if e.result.bound is not None), None)
    return (*known, *([] if bound is None else [Level(bound, "bound")]))


def _metric(scene: Scene) -> str:
    started = scene.state.started
    return started.metric.replace("_", " ") if started else "score"


def _parts(scene: Scene) -> tuple[str, ...]:
    started, last = scene.state.started, scene.state.last_evaluation
    known = tuple(last.result.by) if last else ()
    return started.parts if started and started.parts else known


def _lines(scene: Scene, rate: bool, wide: bool) -> tuple[Line, ...]:
    started = scene.state.started
    prefix = f"eval/{started.metric if started else 'score'}"
    parts = _parts(scene)
    if not parts:
        return (_line(scene, prefix, 0, "all", None, rate, wide),)
    last = scene.state.last_evaluation
    by = last.result.by if last else {}
    return tuple(_line(scene, f"{prefix}/{p}", i, p, by.get(p), rate, wide) for i, p in enumerate(parts))


def _line(scene: Scene, metric: str, index: int, part: str, result: PartResult | None, rate: bool, wide: bool) -> Line:
    series = scene.state.series.get(metric, Series())
    value = scene.state.metrics.get(metric)
    style = LINE_STYLES[index % len(LINE_STYLES)]
    dash = DASHES[index % len(DASHES)]
    band = _interval(scene, part) if is_large(scene, "win_rate") and _is_first(scene, part) else None
    return Line(series, style, _label(scene, part, value, result, rate, wide), dash, part, band)


def _is_first(scene: Scene, part: str) -> bool:
    """The one line whose interval is shaded: six bands over each other hide every line."""
    return part in (_present_level(scene), "all") or len(_parts(scene)) == 1


def _interval(scene: Scene, part: str) -> Series | None:
    """The part's confidence intervals, as far as evaluations are kept; of the whole score where there are no parts."""
    found = []
    for e in scene.state.evaluations:
        result = e.result.by.get(part)
        ci = e.result.interval if part == "all" else result.ci if result else None
        if ci is not None:
            found.append(Bucket(e.global_step, e.time, e.update, (ci[0] + ci[1]) / 2, ci[0], ci[1]))
    return Series(tail=tuple(found)) if found else None


def _label(scene: Scene, part: str, value: float | None, result: PartResult | None, rate: bool, wide: bool) -> str:
    widest = max((len(name) for name in _parts(scene)), default=3)
    sign = "▸" if part == _present_level(scene) else " "
    number = "     -" if value is None else (f"{100 * value:5.1f}" if rate else f"{si(value):>6}")
    if not wide:
        return f"{sign}{part[: min(widest, 9)]:<{min(widest, 9)}}{number}"
    half = "" if result is None or result.ci is None else f" {f'±{50 * (result.ci[1] - result.ci[0]):.1f}':>5}"
    return f"{sign}{part:<{widest}} {number}{half if rate else ''}{_trend(scene, part)}"


def _trend(scene: Scene, part: str) -> str:
    """Where this part's own score goes, in words, where the chart has the screen."""
    started, trend = scene.state.started, scene.state.trend
    if trend is None or started is None or part not in trend.parts or not is_large(scene, "win_rate"):
        return ""
    reading = trend.parts[part].reading(higher_is_better=started.higher_is_better)
    return f" {reading}" if reading != "steady" else ""


def _present_level(scene: Scene) -> str:
    """The opponent that training meets now."""
    space = scene.state.started.space if scene.state.started else None
    level = scene.state.difficulty.level if scene.state.difficulty else -1
    return space.levels[level] if space is not None and 0 <= level < len(space.levels) else ""


def _waiting(scene: Scene, width: int, height: int) -> list[Row]:
    started = scene.state.started
    if started is None or not started.evaluate_every:
        return centred([plain("no evaluation yet", "dim")], width, height)
    every = started.evaluate_every
    text = f"first evaluation after update {count(every)}"
    wide = min(40, width)
    share = min(1.0, scene.state.update / every)
    lines: list[Row] = [plain(text), (*bar(share, wide, scene.look.glyphs),)]
    against = f"against {', '.join(started.parts)}" if started.players > 1 else ", ".join(started.parts)
    if started.parts and len(against) <= width:
        lines += [(Span(against, "dim"),)]
    return centred(lines, width, height)
