"""One line of the list of sessions, and the same session in more words: pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tui_trainer.charts.chart import Chart, Line, draw
from tui_trainer.charts.span import Row, Span
from tui_trainer.core.format import ago, count, si, size
from tui_trainer.core.series import Series
from tui_trainer.core.values import is_guest
from tui_trainer.ui.look import Look
from tui_trainer.ui.rows import block, labelled, wrapped

SIGNS = {"running": ("●", "good"), "paused": ("‖", "warn"), "starting": ("◌", "warn"), "ended": ("■", "dim"),
         "interrupted": ("◆", "warn"), "crashed": ("✗", "bad"), "read-only": ("○", "dim")}  # fmt: skip
_WORDS = 46
"""Columns of the words beside the chart."""


class SessionRow(msgspec.Struct, frozen=True):
    """One session as the list shows it. `changed` is Unix time, `size` bytes; a `live` one has an engine."""

    name: str
    state: str
    task: str
    algorithm: str
    update: int
    global_step: int
    best: float | None
    changed: float
    size: int
    live: bool
    scores: tuple[float | None, ...] = ()
    """Recent evaluations, oldest first."""
    parent: str = ""
    """The session it was forked from."""
    about: str = ""
    """Why it ended, or what is wrong with it."""
    origin: str = ""
    """The tool that logged it, for a run that is no session of ours."""


def told(row: SessionRow, now: float, width: int, height: int, look: Look) -> list[Row]:
    """Where it stands and how it came to that, and its newest evaluations as a chart where there are some."""
    if not has_chart(row, width):
        return block(_words(row, now, width), width, height)
    words = block(_words(row, now, _WORDS), _WORDS, height)
    chart = _history(row, width - _WORDS - 2, height, look)
    return [(*left, Span("  "), *right) for left, right in zip(words, chart, strict=True)]


def has_chart(row: SessionRow, width: int) -> bool:
    """Are there evaluations to draw, and room for them?"""
    return width >= 2 * _WORDS and any(score is not None for score in row.scores)


def _words(row: SessionRow, now: float, width: int) -> Iterator[Row]:
    sign, style = SIGNS.get(row.state, ("?", "warn"))
    yield labelled("state", (Span(f"{sign} {row.state}", style), *_about(row)))
    yield labelled("task", " · ".join(filter(None, (row.task, row.algorithm, row.origin))))
    yield labelled("trained", f"{count(row.update)} updates, {si(row.global_step)} steps")
    yield labelled("score", ", ".join(_scores(row)) or "not evaluated yet")
    if row.parent:
        yield labelled("fork of", row.parent)
    yield labelled("on disk", f"{size(row.size)}, changed {ago(max(0.0, now - row.changed))}")
    for index, line in enumerate(wrapped(_next(row), max(8, width - 11), "dim")):
        yield labelled("next" if index == 0 else "", line)


def _about(row: SessionRow) -> Row:
    return (Span(f": {row.about}"),) if row.about else ()


def _scores(row: SessionRow) -> Iterator[str]:
    known = [score for score in row.scores if score is not None]
    if known:
        yield f"{_score(known[-1])} at last"
    if row.best is not None:
        yield f"best surely {_score(row.best)}"


def _score(value: float) -> str:
    """Four digits."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def _next(row: SessionRow) -> str:
    """What a person may want to do with a session like this."""
    if row.live:
        return "enter attaches to it"
    if row.origin:
        return f"a run of {row.origin}: it opens read-only"
    if is_guest(row.task):
        return "its script, started again, goes on"
    if row.state in ("crashed", "interrupted"):
        return "resume takes it up from its newest good checkpoint"
    return "replay plays it back, fork trains a copy of it"


def _history(row: SessionRow, width: int, height: int, look: Look) -> list[Row]:
    """The newest evaluations, oldest at the left."""
    series = Series()
    for index, score in enumerate(row.scores, 1):
        series = series.append(index, float(index), index, score)
    line = Line(series, "s0")
    return block(draw(Chart((line,), x_start=1.0, x_unit="evaluations"), width, height, look.glyphs), width, height)
