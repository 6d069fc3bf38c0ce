"""A comparison as text: a table, settings that differ, groups of seeds, and a chart where there is a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tui_trainer.core.format import duration, si
from tui_trainer.reports.comparison import Comparison, Group, Reached, Scored, Spread
from tui_trainer.reports.statistics import Point

MARKERS = "●○■□▲△◆◇"
ASCII_MARKERS = "*ox+#@%&"
_FRAME = str.maketrans("┌┐└┘─│┤├┬┴┼", "++++-||||||")
HEIGHT = 14


def text(comparison: Comparison) -> str:
    """Everything but the chart; newline at the end."""
    lines = [f"{comparison.metric}, {'higher' if comparison.higher_is_better else 'lower'} is better", ""]
    lines += aligned([_header(comparison), *(_cells(line) for line in comparison.sessions)])
    if comparison.settings:
        names = [line.name for line in comparison.sessions]
        lines += ["", "settings that differ", ""]
        lines += aligned([("", *names), *((key, *values) for key, values in comparison.settings.items())])
    for group in comparison.groups:
        lines += ["", *_group(group)]
    return "\n".join(lines) + "\n"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns aligned, two blanks between them; numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    return ["  ".join(_cell(cell, width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _cell(cell: str, width: int) -> str:
    return cell.rjust(width) if cell.lstrip("-.")[:1].isdigit() else cell.ljust(width)


def _header(c: Comparison) -> tuple[str, ...]:
    equal = f"at {si(c.equal_steps)}" if c.equal_steps is not None else "at equal steps"
    levels = [f"to {level}" for level in (c.sessions[0].reached if c.sessions else {})]
    return ("session", "best", "last", "steps", equal, *levels, "SPS")


def _cells(line: Scored) -> tuple[str, ...]:
    return (
        line.name,
        number(line.best),
        number(line.last),
        _steps(line.last_step),
        number(line.at_equal_steps),
        *(_when(reached) for reached in line.reached.values()),
        _steps(line.sps),
    )


def number(value: float | None) -> str:
    """Four digits, `-` where unknown."""
    return "-" if value is None else f"{value:.4g}"


def _steps(value: float | None) -> str:
    return "-" if value is None else si(value)


def _when(reached: Reached | None) -> str:
    return "-" if reached is None else f"{si(reached.steps)} ({duration(reached.seconds)})"


def _group(group: Group) -> Iterator[str]:
    yield f"{len(group.names)} seeds: {', '.join(group.names)}"
    rows = (("best", group.best), ("last", group.last), ("at equal steps", group.at_equal_steps))
    yield from aligned([("", "mean", "95 % interval", "IQM"), *(_spread(name, s) for name, s in rows if s)])


def _spread(name: str, s: Spread) -> tuple[str, ...]:
    return name, number(s.mean), f"[{number(s.ci[0])}, {number(s.ci[1])}]", number(s.iqm)


# --- the chart -------------------------------------------------------------------------------------------------------


def chart(comparison: Comparison, width: int, *, ascii_only: bool = False) -> str:
    """The curves over environment steps, each with its own marker, one value as a dot; empty where there is none."""
    curves = [(line.name, line.curve) for line in comparison.sessions if line.curve]
    if not curves:
        return ""
    markers = ASCII_MARKERS if ascii_only else MARKERS
    legend = "  ".join(f"{markers[i % len(markers)]} {name}" for i, (name, _) in enumerate(curves))
    drawn = _drawn([curve for _, curve in curves], markers, width)
    return f"{legend}\n{drawn.translate(_FRAME) if ascii_only else drawn}\n"


def _drawn(curves: Sequence[Sequence[Point]], markers: str, width: int) -> str:
    from plotext import figure

    figure.clear()
    figure.theme("colorless")
    figure.plot_size(width, HEIGHT)
    for index, curve in reversed(list(enumerate(curves))):
        signal = figure.signal([x for x, _ in curve], [y for _, y in curve], marker=markers[index % len(markers)])
        signal.lines()
        figure.draw(signal)
    _ticks(figure.ruler("x"), [x for curve in curves for x, _ in curve], max(2, width // 16))
    _ticks(figure.ruler("y"), [y for curve in curves for _, y in curve], 5)
    return str(figure.build().string(colorless=True)).rstrip()


def _ticks(ruler: Any, values: Sequence[float], n: int) -> None:
    low, high = min(values), max(values)
    high = high if high > low else low + max(1.0, abs(low))
    positions = [low + (high - low) * i / (n - 1) for i in range(n)]
    ruler.lim(low, high)
    ruler.ticks(positions, [si(position) for position in positions])
