"""Sessions side by side on one screen: curves laid over each other, scores, means over seeds, settings that differ."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tui_trainer.charts.axes import XKind, short
from tui_trainer.charts.chart import DASHES, Chart, Line, Plan, draw, plan
from tui_trainer.charts.smooth import smooth
from tui_trainer.charts.span import Row, Span, cells, cut, fit, row_cells
from tui_trainer.core.format import percent, si
from tui_trainer.core.series import Series
from tui_trainer.ui.keymap import UNCHANGED, BoundKey, Changes, remapped
from tui_trainer.ui.lens import Lens, extent
from tui_trainer.ui.look import LINE_STYLES, Look
from tui_trainer.ui.rows import block, box, centred, ends, help_box, help_rows, key_line, plain, wrapped

FRAME = 3
"""Rows above and below the picture."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One session. `series` counts its time from its own start; scores are None where it has none."""

    name: str
    seed: int | None = None
    series: Series = Series()
    best: float | None = None
    last: float | None = None
    at_equal_steps: float | None = None
    steps: float | None = None
    sps: float | None = None
    settings: tuple[str, ...] = ()
    """Values of the settings that differ, in their order."""


class Group(msgspec.Struct, frozen=True):
    """Sessions that differ in their seed alone: their mean with its interval, over each kind of x."""

    names: tuple[str, ...]
    mean: dict[XKind, Series]
    """Means; lows and highs are the interval's ends."""
    text: str
    """Mean, interval and interquartile mean of the score, in words."""


class Contrast(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is compared, for one metric."""

    metric: str
    metrics: tuple[str, ...]
    higher_is_better: bool
    entries: tuple[Entry, ...]
    settings: tuple[str, ...] = ()
    """Names of the settings that differ."""
    groups: tuple[Group, ...] = ()
    equal_steps: float | None = None


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of the screen. `baseline` is the name that the others are measured against, or empty."""

    contrast: Contrast | None = None
    look: Look = Look()
    lens: Lens = Lens()
    chosen: int = 0
    baseline: str = ""
    hidden: frozenset[str] = frozenset()
    means: bool = True
    large: bool = False
    """The chart alone."""
    help: bool = False
    help_scroll: int = 0
    keys: Changes = UNCHANGED
    note: str = ""


KEYS: tuple[BoundKey, ...] = (
    BoundKey("baseline", ("b",), "b", "baseline", "Measure the others against the chosen session; again: against none"),
    BoundKey("hide", ("space",), "space", "hide", "Hide or show the chosen session's line"),
    BoundKey("next_metric", ("tab",), "tab", "metric", "The next metric"),
    BoundKey("help", ("question_mark",), "?", "help", "All keys"),
    BoundKey("leave", ("q", "ctrl+c"), "q", "leave", "Leave the comparison"),
    BoundKey("means", ("g",), "g", "means", "Means over seeds with their intervals, or the single runs alone"),
    BoundKey("large", ("enter",), "enter", "large", "The chart on the whole screen, and back"),
    BoundKey("x_axis", ("v",), "v", "x", "x in steps, wall time or updates"),
    BoundKey("zoom_in", ("plus", "equals_sign"), "+", "zoom", "Half as much of the runs"),
    BoundKey("log_axis", ("l",), "l", "log", "y logarithmic or linear"),
    BoundKey("smooth", ("f",), "f", "smooth", "A moving average over the raw values"),
    BoundKey("up", ("up",), "↑", "", "The session above"),
    BoundKey("down", ("down",), "↓", "", "The session below"),
    BoundKey("previous_metric", ("shift+tab",), "shift+tab", "", "The metric before"),
    BoundKey("zoom_out", ("minus",), "-", "", "Twice as much of the runs"),
    BoundKey("pan_left", ("shift+left",), "shift+←", "", "Earlier"),
    BoundKey("pan_right", ("shift+right",), "shift+→", "", "Later"),
    BoundKey("left", ("left",), "←", "", "Crosshair to the left: every session's value there"),
    BoundKey("right", ("right",), "→", "", "Crosshair to the right"),
    BoundKey("whole", ("0",), "0", "", "The whole runs, no crosshair"),
    BoundKey("back", ("escape",), "esc", "", "Back: from the large chart, the crosshair, the screen"),
)


# --- what is shown -------------------------------------------------------------------------------------------------


def newest(desk: Desk) -> float:
    """The farthest x of any session."""
    found = desk.contrast.entries if desk.contrast else ()
    return max((_x(desk.lens.kind, entry.series) for entry in found), default=1.0)


def _x(kind: XKind, series: Series) -> float:
    last = series.last
    if last is None:
        return 0.0
    return {"steps": float(last.step), "time": last.time, "update": float(last.update)}[kind]


def is_rate(metric: str) -> bool:
    """Is the metric a share in [0, 1]? A learning rate is none."""
    words = metric.partition("/")[2].split("_")
    return "rate" in words and "learning" not in words


def number(contrast: Contrast, value: float | None) -> str:
    """A score as people read it."""
    if value is None:
        return "-"
    return percent(value) if is_rate(contrast.metric) else f"{value:.4g}"


def chart(desk: Desk) -> Chart:
    """All lines that are not hidden; means over seeds with their intervals where there are groups."""
    contrast = desk.contrast
    assert contrast is not None
    start, end = extent(desk.lens, newest(desk))
    rate = is_rate(contrast.metric) and "log" not in desk.lens.log
    return Chart(
        lines=(*_means(desk, contrast), *_singles(desk, contrast)),
        y_range=(0.0, 1.0) if rate else None,
        x_start=start,
        x_end=end,
        y_text=(lambda value: f"{100 * value:.3g}") if is_rate(contrast.metric) else short,
        kind=desk.lens.kind,
        log="log" in desk.lens.log,
        smoothing=desk.lens.smoothing,
        cross=desk.lens.cross,
    )


def _singles(desk: Desk, contrast: Contrast) -> list[Line]:
    """The sessions' own lines; behind the means of their groups they are faint and bear no label."""
    grouped = {name for group in contrast.groups for name in group.names} if desk.means else set()
    lines = []
    for index, entry in enumerate(contrast.entries):
        if entry.name in desk.hidden:
            continue
        style, dash = style_of(index)
        within = entry.name in grouped
        label = "" if within else _label(desk, contrast, entry, index)
        lines.append(Line(entry.series, style + "-" if within else style, label, dash, _short(entry.name)))
    return sorted(lines, key=lambda line: line.name != _short(desk.baseline))


def _means(desk: Desk, contrast: Contrast) -> list[Line]:
    lines = []
    for group in contrast.groups if desk.means else ():
        if all(name in desk.hidden for name in group.names):
            continue
        names = [entry.name for entry in contrast.entries]
        style, dash = style_of(names.index(group.names[0]))
        mean = group.mean[desk.lens.kind]
        last = mean.last.mean if mean.last else None
        label = f"mean of {len(group.names)} {number(contrast, last):>7}"
        lines.append(Line(smooth(mean, 0.0), style, label, dash, f"mean of {len(group.names)}", mean))
    return lines


def style_of(index: int) -> tuple[str, tuple[int, int]]:
    """Colour and pattern of the n-th session: no two of the first 24 have both."""
    return LINE_STYLES[index % len(LINE_STYLES)], DASHES[index % len(DASHES)]


def _label(desk: Desk, contrast: Contrast, entry: Entry, index: int) -> str:
    mark = "▸" if index == desk.chosen else "*" if entry.name == desk.baseline else " "
    return f"{mark}{_short(entry.name)} {number(contrast, entry.last):>7}"


def _short(name: str) -> str:
    return name if cells(name) <= 20 else cut(name, 9) + "…" + name[-9:]


# --- the picture ---------------------------------------------------------------------------------------------------


def draw_desk(desk: Desk, width: int, height: int) -> list[Row]:
    """The whole screen."""
    if height < 4:
        return block([], width, height)
    body = _body(desk, width, height - FRAME)
    rows = [_head(desk, width), *body, _status(desk), key_line(remapped(KEYS, desk.keys), width)]
    return [fit(row, width, "…") for row in rows]


def _body(desk: Desk, width: int, height: int) -> list[Row]:
    if desk.contrast is None:
        return centred([plain(desk.note or "reading sessions", "dim")], width, height)
    if desk.help:
        return help_box(keys_told(desk, width), desk.help_scroll, width, height)
    top = chart_height(desk, width, height)
    return [*_chart_box(desk, width, top), *_tables(desk, width, height - top)]


def chart_height(desk: Desk, width: int, height: int) -> int:
    """Rows of the chart's box, frame included."""
    contrast = desk.contrast
    if desk.large or contrast is None:
        return height
    means = len(_spreads(contrast, width))
    below = 3 + len(contrast.entries) + means + (2 + len(contrast.settings) if contrast.settings else 0)
    top = max(min(height, 7), height - min(below, max(0, height * 11 // 20)))
    return top if height - top >= 4 else height


def _chart_box(desk: Desk, width: int, height: int) -> list[Row]:
    contrast = desk.contrast
    assert contrast is not None
    title: Row = (Span(contrast.metric, "title"), Span(f" ─ {_way(desk, contrast)}", "dim"))
    inside = draw(chart(desk), max(0, width - 4), max(0, height - 2), desk.look.glyphs)
    return box(title, inside, width, height, "focus" if desk.large else "frame")


def chart_plan(desk: Desk, width: int, height: int) -> Plan | None:
    """Where the chart's plot lies on a screen of this size: two columns and two rows from its corner."""
    if desk.contrast is None or desk.help:
        return None
    return plan(chart(desk), width - 4, chart_height(desk, width, height - 3) - 2)


def _way(desk: Desk, contrast: Contrast) -> str:
    parts = ["higher is better" if contrast.higher_is_better else "lower is better"]
    parts += ["log"] if "log" in desk.lens.log else []
    parts += [f"smoothed {percent(desk.lens.smoothing, 0)}"] if desk.lens.smoothing else []
    return ", ".join(parts)


def _head(desk: Desk, width: int) -> Row:
    found = len(desk.contrast.entries) if desk.contrast else 0
    left = (
        Span(" tui-trainer", "brand"),
        Span("  compare ", "dim"),
        Span(f"{found} sessions" if found else "", "bold"),
    )
    right = (Span(f"baseline {desk.baseline} ", "dim"),) if desk.baseline else ()
    return ends(left, right if row_cells(left) + row_cells(right) < width else (), width)


def _tables(desk: Desk, width: int, height: int) -> list[Row]:
    """Scores, the groups' means, then as many of the settings that differ as fit."""
    contrast = desk.contrast
    if contrast is None or height < 3:
        return block([], width, max(0, height))
    rows = _scores(desk, contrast, width - 4)
    rows += _spreads(contrast, width)
    rows += _differing(contrast, width, height - 2 - len(rows))
    return box(plain("Scores", "title"), _around(rows, 1 + desk.chosen, height - 2), width, height)


def _spreads(contrast: Contrast, width: int) -> list[Row]:
    """Means over seeds, in words."""
    return [row for group in contrast.groups for row in wrapped(group.text, width - 4)]


def _differing(contrast: Contrast, width: int, room: int) -> list[Row]:
    """Settings that differ under their heading, as many as there is room for, and how many others there are."""
    if not contrast.settings or room < 2:
        return []
    rows, heading = _settings(contrast, width - 4), plain("settings that differ", "dim")
    if len(rows) + 1 <= room:
        gap: list[Row] = [()] if len(rows) + 2 <= room else []
        return [*gap, heading, *rows]
    kept = rows[: room - 2]
    more = plain(f"… {len(rows) - len(kept)} more settings differ: tui-trainer compare prints them", "dim")
    return [heading, *kept, more]


def _around(rows: list[Row], at: int, height: int) -> list[Row]:
    """The head line, and the rest scrolled so that the line `at` is shown."""
    first = max(0, min(at - height + 1, len(rows) - height))
    return [rows[0], *rows[1 + first : first + height]]


_COLUMNS = ("best", "last", "steps", "at equal", "vs base", "SPS")


def _scores(desk: Desk, contrast: Contrast, width: int) -> list[Row]:
    names = max(12, min(36, max(cells(entry.name) for entry in contrast.entries)))
    room = max(0, (width - names - 6) // 10)
    keep = _kept(desk, room)
    head: Row = (Span(f"{'':4}{'session':<{names}}" + "".join(f"{title:>10}" for title in keep), "dim"),)
    return [head, *(_score(desk, contrast, index, names, keep) for index in range(len(contrast.entries)))]


def _kept(desk: Desk, room: int) -> list[str]:
    """Columns by importance, in the table's order."""
    wanted = ["last", "best", *(["vs base"] if desk.baseline else []), "at equal", "steps", "SPS"][:room]
    return [title for title in _COLUMNS if title in wanted]


def _score(desk: Desk, contrast: Contrast, index: int, names: int, keep: Sequence[str]) -> Row:
    entry = contrast.entries[index]
    base = next((other for other in contrast.entries if other.name == desk.baseline), None)
    values = {
        "best": number(contrast, entry.best),
        "last": number(contrast, entry.last),
        "steps": "-" if entry.steps is None else si(entry.steps),
        "at equal": number(contrast, entry.at_equal_steps),
        "vs base": _difference(contrast, entry, base),
        "SPS": "-" if entry.sps is None else si(entry.sps),
    }
    style, _ = style_of(index)
    here, off = index == desk.chosen, entry.name in desk.hidden
    name = cut(entry.name, names)
    figures = "".join(f"{values[title]:>10}" for title in keep)
    return (
        Span("▸ " if here else "  ", "key"), Span("○ " if off else "● ", style),
        Span(name + " " * (names - cells(name)), "focus" if here else "dim" if off else ""), Span(figures),
    )  # fmt: skip


def _difference(contrast: Contrast, entry: Entry, base: Entry | None) -> str:
    """Against the baseline at the last step that all reached."""
    if base is None or entry is base:
        return "base" if base is not None else ""
    if entry.at_equal_steps is None or base.at_equal_steps is None:
        return "-"
    difference = entry.at_equal_steps - base.at_equal_steps
    return f"{100 * difference:+.1f} %" if is_rate(contrast.metric) else f"{difference:+.3g}"


def _settings(contrast: Contrast, width: int) -> list[Row]:
    """A line a setting, a column a session, in the table's order."""
    gutter = max(4, min(max(cells(name) for name in contrast.settings) + 2, width // 2))
    wide = max(8, min(16, (width - gutter) // max(1, len(contrast.entries))))
    rows = []
    for at, name in enumerate(contrast.settings):
        spans = [Span(f"{cut(name, gutter - 1):<{gutter}}", "dim")]
        for index, entry in enumerate(contrast.entries):
            value = cut(entry.settings[at] or "-", wide - 1)
            spans.append(Span(value + " " * (wide - cells(value)), style_of(index)[0]))
        rows.append(tuple(spans))
    return rows


def keys_told(desk: Desk, width: int) -> list[Row]:
    """The help's rows on a screen of that width."""
    return help_rows(remapped(KEYS, desk.keys), width - 4, desk.look.glyphs)


def _status(desk: Desk) -> Row:
    return (Span(f" {desk.note}", "warn"),)
