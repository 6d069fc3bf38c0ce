"""What came of a run, as text: reason, scores, time, what is saved, what to do next; charts where there is room."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from tui_trainer.core.events import EvaluationFinished
from tui_trainer.core.format import count, duration, percent, si
from tui_trainer.core.progress import forecast_told
from tui_trainer.core.state import RunState
from tui_trainer.core.values import is_guest
from tui_trainer.headless.lines import SEPARATOR, ended_text, interval_text, part_text, score_text
from tui_trainer.headless.output import carries, encodable

_LABEL = 16
_NARROWEST_CHART = 30
_WIDEST_CHART = 120


def summary(state: RunState, width: int, *, charts: bool, encoding: str = "utf-8") -> str:
    """The end of a run in lines of at most `width` characters of `encoding`, newline at the end."""
    lines = [part for line in _lines(state) for part in _fitted(line, width)]
    if charts and width >= _NARROWEST_CHART:
        lines += _charts(state, min(width, _WIDEST_CHART), encoding)
    lines += [part for line in _next_steps(state) for part in _fitted(line, width)]
    return "".join(encodable(line, encoding) + "\n" for line in lines)


def _fitted(line: str, width: int) -> list[str]:
    """A long line goes on below its text, not below its label."""
    indent = " " * _LABEL if width >= 3 * _LABEL else ""
    return textwrap.wrap(line.rstrip(), max(1, width), subsequent_indent=indent) or [""]


def _lines(s: RunState) -> Iterator[str]:
    yield ""
    if s.started:
        e = s.started
        yield SEPARATOR.join(filter(None, (e.session, e.task, e.algorithm, e.seed_told, e.device, e.origin)))
    if s.ended:
        yield _row("ended", ended_text(s.ended))
    yield _row("did", _work(s))
    if shares := _time_shares(s.seconds):
        yield _row("time", shares)
    yield from _evaluations(s)
    yield from _saved(s)
    if answers := _answers(s):
        yield _row("advice", answers)
    if coming := forecast_told(s):
        yield _row("going on", f"{s.started.metric if s.started else 'score'} {coming} (80 % range)")


def _row(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}{text}"


def _work(s: RunState) -> str:
    speed = f"{si(s.global_step / s.elapsed_s)} SPS on average" if s.elapsed_s > 0 else ""
    failed = f"{count(s.failed_episodes)} episodes failed" if s.failed_episodes else ""
    parts = (
        f"{count(s.update)} updates",
        f"{si(s.global_step)} steps",
        f"{count(s.episodes)} episodes",
        duration(s.elapsed_s),
        speed,
        failed,
    )
    return ", ".join(part for part in parts if part)


def _time_shares(seconds: dict[str, float]) -> str:
    """Where the time went, the largest share first."""
    total = sum(seconds.values())
    if total <= 0:
        return ""
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {percent(spent / total, 0)}" for name, spent in ordered if spent / total >= 0.005)


def _evaluations(s: RunState) -> Iterator[str]:
    if s.last_evaluation:
        yield from _evaluation(f"update {count(s.last_evaluation.update)}", s.last_evaluation)
    for final in s.final_evaluations:
        yield from _evaluation("unseen seeds", final)


def _evaluation(label: str, e: EvaluationFinished) -> Iterator[str]:
    which = f"{SEPARATOR}{e.checkpoint}" if e.checkpoint else ""
    yield _row(label, f"{score_text(e.result)}, {count(e.result.episodes)} episodes{which}")
    longest = max((len(name) for name in e.result.by), default=0)
    for name, part in e.result.by.items():
        interval = interval_text(part)
        draws = f"draws {percent(part.draw_rate)}" if part.draw_rate else ""
        yield _row("", f"  {name:<{longest}} {part_text(part):>8} {interval:<20} {draws}")


def _saved(s: RunState) -> Iterator[str]:
    latest = s.checkpoints[-1] if s.checkpoints else None
    for label, found in (("best", s.best), ("latest", latest)):
        if found:
            score = f", score {found.score:.4g}" if found.score is not None else ""
            yield _row(label, f"{found.path}{score}")


def _answers(s: RunState) -> str:
    verdicts = [r.verdict or "unanswered" for r in s.recommendations]
    counted = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
    return f"{counted}; {s.advice.told}" if s.advice.told else counted


def _next_steps(s: RunState) -> Iterator[str]:
    if s.started is None or s.ended is None:
        return
    name = s.started.session
    if is_guest(s.started.task):
        yield _row("next", SEPARATOR.join((f"tui-trainer replay {name}", f"tui-trainer report {name}")))
        return
    steps = [f"tui-trainer replay {name}", f"tui-trainer eval {name}"]
    if not s.ended.reason.name.startswith("max_"):
        steps.append(f"tui-trainer resume {name}")
    yield _row("next", SEPARATOR.join(steps))


# --- charts ---


class _Curve:
    """One line of a chart: its name, newest value as text, x in steps, y."""

    def __init__(self, name: str, shown: str, points: Iterable[tuple[float, float]]) -> None:
        self.name = name
        self.shown = shown
        self.points = list(points)


def _charts(s: RunState, width: int, encoding: str) -> list[str]:
    metric = s.started.metric if s.started else "win_rate"
    ascii_only = not carries(encoding, _MARKERS + "┤")
    charts = (
        (
            metric,
            [_curve(s, f"eval/{metric}/{part}", part) for part in _part_names(s)],
        ),
        ("SPS", [_curve(s, "time/fps", "SPS")]),
    )
    lines: list[str] = []
    for title, curves in charts:
        drawn = [curve for curve in curves if curve.points]
        if drawn:
            lines += ["", *chart(title, drawn, width, ascii_only=ascii_only)]
    return [*lines, ""] if lines else []


def _part_names(s: RunState) -> tuple[str, ...]:
    return tuple(s.last_evaluation.result.by) if s.last_evaluation else ()


def _curve(s: RunState, name: str, label: str) -> _Curve:
    series = s.series.get(name)
    buckets = series.buckets if series else ()
    newest = s.metrics.get(name)
    points = ((float(b.step), b.mean) for b in buckets if b.mean is not None)
    return _Curve(label, "-" if newest is None else si(newest), points)


_MARKERS = "●○■□▲△◆◇"
_ASCII_MARKERS = "*ox+#@%&"
_FRAME = str.maketrans("┌┐└┘─│┤├┬┴┼", "++++-||||||")
_HEIGHT = 12


def chart(title: str, curves: list[_Curve], width: int, *, ascii_only: bool) -> list[str]:
    """Curves over environment steps, each with its own marker; the first line names them."""
    from plotext import figure

    markers = _ASCII_MARKERS if ascii_only else _MARKERS
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(width, _HEIGHT)
    for index, curve in reversed(list(enumerate(curves))):
        xs, ys = zip(*curve.points)
        signal = figure.signal(list(xs), list(ys), marker=markers[index % len(markers)])
        signal.lines()
        figure.draw(signal)
    top = max(y for curve in curves for _, y in curve.points)
    top = 1.0 if 0.5 < top <= 1 else top
    bottom = min(0.0, *(y for curve in curves for _, y in curve.points))
    _ticks(figure.ruler("x"), *_span([x for curve in curves for x, _ in curve.points]), max(2, width // 16))
    _ticks(figure.ruler("y"), *_span([bottom, top]), 5)
    text = str(figure.build().string(colorless=True))
    legend = "  ".join(f"{markers[i % len(markers)]} {c.name} {c.shown}" for i, c in enumerate(curves))
    rows = [*_fitted(f"{title}:  {legend}", width), *text.rstrip().splitlines()]
    return [row.translate(_FRAME) if ascii_only else row for row in rows]


def _span(values: list[float]) -> tuple[float, float]:
    """Lowest and highest, apart from each other."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low, low + max(1.0, abs(low)))


def _ticks(ruler: Any, low: float, high: float, n: int) -> None:
    """The axis from `low` to `high`, with `n` ticks in k, M, G."""
    positions = [low + (high - low) * i / (n - 1) for i in range(n)]
    ruler.lim(low, high)
    ruler.ticks(positions, [si(position) for position in positions])
