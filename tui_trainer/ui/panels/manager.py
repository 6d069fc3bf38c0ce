"""Training Manager: how near each limit is, what intelligent termination thinks, the trend and the best model."""

from __future__ import annotations

from tui_trainer.charts.bars import bar
from tui_trainer.charts.span import Row, Span, cells, row_cells
from tui_trainer.core.events import RunStarted
from tui_trainer.core.format import about, count, duration, percent, si
from tui_trainer.core.progress import LimitProgress, eta, forecast_told, limit_progress, target_told
from tui_trainer.core.state import difficulty_label
from tui_trainer.ui.panels.texts import score, try_told
from tui_trainer.ui.rows import fitting, labelled, most_important, plain
from tui_trainer.ui.scene import Scene

TITLE = "Training Manager"

_NAMES = {"max_updates": "updates", "max_steps": "steps", "max_episodes": "episodes", "max_hours": "hours"}


def heading(scene: Scene) -> str:
    started = scene.state.started
    return (f"none, {started.origin}" if started.origin else started.mode) if started else ""


def render(scene: Scene, width: int, height: int) -> list[Row]:
    """Limits first; then what will end the run, then how training goes."""
    if scene.state.started is None:
        return _before(scene)
    if scene.state.started.origin:
        return _logged(scene, scene.state.started)[:height]
    rows: list[tuple[int, Row]] = []
    rows += [(0, _standing(scene, width))] if scene.state.status != "running" else []
    rows += [(index, limit_row(row, width, scene)) for index, row in enumerate(limit_progress(scene.state))]
    rows += _endings(scene, width) + _training(scene, width)
    return most_important(rows, height)


def _logged(scene: Scene, started: RunStarted) -> list[Row]:
    """Of a run that another tool logged: what the log tells of it."""
    state = scene.state
    rows = [
        ("logged by", f"{started.origin}, read-only"),
        ("task", started.task),
        ("algorithm", started.algorithm),
        ("seed", "" if started.seed is None else str(started.seed)),
        ("steps", count(state.global_step)),
        ("rows", count(state.update)),
        ("episodes", count(state.episodes) if state.episodes else ""),
        ("time", duration(state.elapsed_s)),
    ]
    return [labelled(name, text) for name, text in rows if text]


def _before(scene: Scene) -> list[Row]:
    if scene.kind == "replay":
        return [plain("before the first event: space plays, ] goes forward", "dim")]
    text = scene.link.text if scene.link and scene.link.status != "live" else "engine starting"
    return [plain(text, "warn"), plain("limits, trend and best model follow", "dim")]


def _standing(scene: Scene, width: int) -> Row:
    state = scene.state
    if state.status == "paused":
        return (Span(" ‖ PAUSED ", "paused"), Span(f" by {state.paused_by}: {state.paused_why}"))
    ended = state.ended
    if ended is None:
        return plain(state.status)
    return (Span(" ■ ENDED ", "ended"), Span(f" {ended.reason.name}", "bold"), Span(f", exit {ended.reason.exit_code}"))


def limit_row(row: LimitProgress, width: int, scene: Scene) -> Row:
    """`updates   1,204/5,000  ████▊·····  24 %   ~11 min`; the percentage gives way to the bar."""
    figures = f"{_amount(row.name, row.done)}/{_amount(row.name, row.limit)}"
    left = "" if row.eta_s is None or scene.state.status == "ended" else _roughly(*row.eta_s)
    gutter = 11 if width >= 46 else 9
    wide = max(11, len(figures))
    room = width - gutter - (wide + 1) - 6 - 10
    head = (Span(f"{_NAMES[row.name]:<{gutter}}", "dim"), Span(f"{figures:>{wide}} "))
    share = Span(f" {100 * row.fraction:3.0f} %") if room >= 4 else Span("")
    gauge = bar(row.fraction, room if room >= 4 else max(3, room + 6), scene.look.glyphs)
    return (*head, *gauge, share, Span(f" {left:>9}", "dim"))


def _roughly(low_s: float, high_s: float) -> str:
    """`~11 min`: the middle of the range, which stands in full elsewhere."""
    middle = (low_s + high_s) / 2
    return f"~{about(middle, middle)}"


def _amount(name: str, value: float) -> str:
    if name == "max_hours":
        return f"{value:.2f}" if value < 10 else f"{value:.1f}"
    return count(value) if value < 100_000 else si(value)


def _endings(scene: Scene, width: int) -> list[tuple[int, Row]]:
    state = scene.state
    rows: list[tuple[int, Row]] = []
    coming = eta(state)
    if state.status != "ended" and coming is not None:
        limit, span = coming
        rows.append((3, labelled("ends in", f"{about(*span)}, by {_NAMES[limit.name]}")))
    if state.started and state.started.target:
        rows.append((4, labelled("target", _target(scene, width - 11))))
    if state.trying is not None:
        rows.append((1, labelled("trying", f"{state.trying.id}, {try_told(scene).removeprefix('try: ')}")))
    if told := forecast_told(state):
        short = told.replace("update ", "u ")
        rows.append((5, labelled("forecast", fitting(width - 11, told, short, short.replace(" to ", "-")))))
    if state.trend is not None:
        told = state.trend.termination.removeprefix("plateau ")
        rows.append((2, labelled("plateau", fitting(width - 11, told, told.replace("not before update", "from u")))))
    return rows


def _target(scene: Scene, room: int) -> str:
    started = scene.state.started
    target = started.target if started else ""
    now = scene.state.metrics.get(target.split()[0]) if target else None
    short = target.removeprefix("eval/").replace(">=", "≥").replace("<=", "≤")
    when = f", {told}" if (told := target_told(scene.state)) else ""
    if now is None:
        return short
    told = f"{now:.3f} now, {short}"
    return fitting(room, told + when, told, f"{now:.3f}, {short.partition('/')[2] or short}")


def _training(scene: Scene, width: int) -> list[tuple[int, Row]]:
    state = scene.state
    rows = [*_trend(scene, width), (4, labelled("best", _best(scene)))]
    if state.trend is not None and state.trend.trend != "unknown":
        spread = f"{state.trend.stability:.3f}, consistency {percent(state.trend.consistency, 0)}"
        rows.append((8, labelled("stability", spread)))
    if state.difficulty is not None:
        rows.append((5, labelled("difficulty", _difficulty(scene))))
    rows.append((6, labelled("now", phase_text(scene))))
    rows.append((7, labelled("episodes", _episodes(scene))))
    return rows


def _trend(scene: Scene, width: int) -> list[tuple[int, Row]]:
    trend = scene.state.trend
    if trend is None:
        return [(3, labelled("trend", plain("unknown yet", "dim")))]
    style = {"degrading": "bad", "struggling": "warn", "plateau": "warn"}.get(trend.trend, "good")
    sign = {"degrading": "▼ ", "struggling": "▼ ", "improving": "▲ ", "excelling": "▲ "}
    head: Row = (
        Span(f"{sign.get(trend.trend, '→ ')}{trend.trend}", style),
        Span(f", {100 * trend.confidence:.0f} % sure"),
    )
    if trend.trend == "unknown":
        head = plain("unknown yet", "dim")
    whole = (*head, Span(f": {trend.evidence}", "dim"))
    if not trend.evidence or row_cells(whole) <= width - 11:
        return [(3, labelled("trend", whole if trend.evidence else head))]
    below = " " * (11 if cells(trend.evidence) <= width - 11 else 2)
    return [(3, labelled("trend", head)), (5, plain(below + trend.evidence, "dim"))]


def _best(scene: Scene) -> str:
    best = scene.state.best
    if best is None:
        return "none yet"
    reached = "" if best.score is None else f", {score(scene, best.score)}"
    return f"update {count(best.at_update)}{reached}"


def _difficulty(scene: Scene) -> str:
    state = scene.state
    space = state.started.space if state.started else None
    if state.difficulty is None or space is None:
        return "fixed, the task has one"
    place = f" ({state.difficulty.level + 1} of {len(space.levels)})" if space.levels else ""
    return difficulty_label(state, state.difficulty) + place


def _episodes(scene: Scene) -> str:
    state = scene.state
    failed = f", {count(state.failed_episodes)} failed" if state.failed_episodes else ""
    return f"{count(state.episodes)}{failed}"


def phase_text(scene: Scene) -> str:
    """What the loop does at this moment."""
    state = scene.state
    if state.status in ("paused", "ended"):
        return f"{state.status} after {duration(state.elapsed_s)} of running"
    phase = state.phase
    if phase is None:
        return "collect and learn"
    progress = f" {count(phase.done)}/{count(phase.of)}" if phase.of else ""
    return f"{phase.phase} {phase.part}".strip() + progress
