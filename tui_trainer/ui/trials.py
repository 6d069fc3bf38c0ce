"""The screen of a study as rows: a pure function of its scene, and the one table of its keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from tui_trainer.charts.axes import short
from tui_trainer.charts.bars import bar
from tui_trainer.charts.chart import Chart, Line
from tui_trainer.charts.chart import draw as draw_chart
from tui_trainer.charts.span import Row, Span, cells, cut, row_cells
from tui_trainer.core.config import Scalar
from tui_trainer.core.format import count
from tui_trainer.core.series import Series
from tui_trainer.core.study import StudyView, Trial, TrialState, best_so_far
from tui_trainer.ui.look import Look
from tui_trainer.ui.rows import block, box, centred, ends, fitting, plain, wrapped

Deed: TypeAlias = Literal["open", "enqueue", "stop", "leave", "up", "down"]

_SIGNS: dict[TrialState, tuple[str, str]] = {
    "complete": ("✓", "good"), "pruned": ("✂", "dim"), "failed": ("✗", "bad"), "running": ("●", "key"),
    "waiting": ("◌", "warn"),
}  # fmt: skip
_LEAST_SCORE = 9
_FIXED = 19 + _LEAST_SCORE
"""Columns before the settings."""


class StudyScene(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of the screen."""

    view: StudyView
    look: Look = Look()
    chosen: int = -1
    """Number of the trial under the mark; -1 is the newest."""
    typed: str | None = None
    """The values being written for a trial of one's own, or None."""
    asking: bool = False
    """Whether the question of stopping is on the screen."""
    note: str = ""
    note_style: str = "warn"
    problem: str = ""
    """Why the study could not be read just now."""

    @property
    def shown(self) -> tuple[Trial, ...]:
        """Newest first."""
        return tuple(reversed(self.view.trials))

    @property
    def trial(self) -> Trial | None:
        """The one under the mark."""
        shown = self.shown
        return next((trial for trial in shown if trial.number == self.chosen), shown[0] if shown else None)


# --- keys ----------------------------------------------------------------------------------------------------------


class StudyKey(msgspec.Struct, frozen=True):
    """One line of the table. `keys` are Textual's names, `shown` is what a person reads."""

    deed: Deed
    keys: tuple[str, ...]
    shown: str
    label: str
    help: str
    command: str = ""


KEYS: tuple[StudyKey, ...] = (
    StudyKey("open", ("enter",), "enter", "open", "The chosen trial's session: live, or as a replay",
             "tui-trainer attach STUDY-t0001"),
    StudyKey("enqueue", ("e",), "e", "enqueue", "Try values of your own next: the chosen trial's, to be edited"),
    StudyKey("stop", ("s",), "s", "stop", "Stop the engines, save, leave their trials in the queue; asks first",
             "ctrl+c where `tune --no-ui` runs"),
    StudyKey("leave", ("q", "ctrl+c"), "q", "leave", "Leave the view; the study goes on", "tui-trainer attach STUDY"),
    StudyKey("up", ("up",), "↑", "", "The trial above"),
    StudyKey("down", ("down",), "↓", "", "The trial below"),
)  # fmt: skip


def key_named(name: str) -> StudyKey | None:
    """The key that Textual calls `name`."""
    return next((key for key in KEYS if name in key.keys), None)


def refusal(deed: Deed, scene: StudyScene) -> str:
    """Why the key cannot act now, in one sentence; empty where it can."""
    trial = scene.trial
    if deed == "stop" and scene.view.pid is None:
        return "nobody runs this study on this machine"
    if deed == "enqueue" and trial is None:
        return "no trial to start from yet"
    if deed == "open" and (trial is None or not trial.session):
        return "this trial has no session yet"
    return ""


def markdown() -> str:
    """The table as the documentation prints it; a test keeps the two equal."""
    head = "| key | what it does | the same as a command |\n|---|---|---|"
    commands = (f"`{key.command}`" if key.command.startswith("tui") else key.command for key in KEYS)
    return "\n".join((head, *(f"| `{k.shown}` | {k.help} | {c} |" for k, c in zip(KEYS, commands)))) + "\n"


def as_words(params: dict[str, Scalar]) -> str:
    """`ppo.learning_rate=0.001 ppo.n_epochs=3`, to be edited."""
    return " ".join(f"{key}={str(value).replace(' ', '')}" for key, value in params.items())


def from_words(text: str) -> dict[str, str]:
    """The reverse; what is no KEY=VALUE comes back with an empty value."""
    return {key: value for key, _, value in (word.partition("=") for word in text.split())}


# --- the picture ---------------------------------------------------------------------------------------------------


def draw(scene: StudyScene, width: int, height: int) -> list[Row]:
    """The whole screen: `height` rows of `width` columns."""
    if height < 4:
        rows = [_head(scene, width)]
    else:
        rows = [_head(scene, width), *_body(scene, width, height - 3), _status(scene), _footer(scene, width)]
    return [scene.look.printable(row) for row in block(rows, width, height)]


def _head(scene: StudyScene, width: int) -> Row:
    view = scene.view
    running = (Span("● running ", "good"),) if view.pid is not None else (Span("■ at rest ", "dim"),)
    of = f" of {count(view.target)}" if view.target else ""
    brand = (Span(" tui-trainer", "brand"), Span("  study ", "dim")) if width >= 60 else (Span(" "),)
    short = f"{count(view.ended)}{of} "
    room = max(4, width - row_cells((*brand, *running)) - cells(short) - 2)
    name = view.name if cells(view.name) <= room else cut(view.name, room - 1) + "…"
    left = (*brand, Span(f"{name}  ", "bold"), *running)
    return ends(left, plain(fitting(width - row_cells(left), f"{count(view.ended)}{of} trials ended ", short)), width)


def _body(scene: StudyScene, width: int, height: int) -> list[Row]:
    if height < 14 or width < 60:
        return _table(scene, width, height)
    low = max(7, min(13, height // 3))
    table = box(plain(_summary(scene.view), "title"), _table(scene, width - 4, height - low - 2), width, height - low)
    return [*table, *_pictures(scene, width, low)]


def _summary(view: StudyView) -> str:
    states: tuple[TrialState, ...] = ("complete", "pruned", "failed", "running", "waiting")
    return "Trials ─ " + ", ".join(f"{view.count(state)} {state}" for state in states if view.count(state))


def _table(scene: StudyScene, width: int, height: int) -> list[Row]:
    shown = scene.shown
    if not shown:
        return centred([plain("no trial yet: the first one is being prepared", "dim")], width, height)
    at = next((i for i, trial in enumerate(shown) if trial is scene.trial), 0)
    first = max(0, min(at - (height - 1) // 2, len(shown) - (height - 1)))
    whole = _widths(shown)
    columns = _roomy(whole, width - _FIXED)
    columns = columns if len(columns) == len(whole) else _roomy(whole, width - _FIXED - 2)
    rows = [(*_columns(columns), Span(" …" if len(columns) < len(whole) else "", "dim"))]
    rows += [_line(scene, trial, columns) for trial in shown[first : first + max(0, height - 1)]]
    return block(rows, width, height)


def _widths(trials: Sequence[Trial]) -> dict[str, int]:
    """By setting, how wide its column is."""
    keys = dict.fromkeys(key for trial in trials for key in trial.params)
    return {key: max(cells(_short(key)), *(cells(_value(trial.params.get(key))) for trial in trials)) for key in keys}


def _roomy(columns: dict[str, int], room: int) -> dict[str, int]:
    """Those that have room for their whole values, in their order; half a number would be another one."""
    kept: dict[str, int] = {}
    for key, wide in columns.items():
        room -= wide + 2
        if room + 2 < 0:
            break
        kept[key] = wide
    return kept


def _short(key: str) -> str:
    return key.rpartition(".")[2]


def _value(value: Scalar | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _columns(columns: dict[str, int]) -> Row:
    settings = "  ".join(f"{_short(key):>{wide}}" for key, wide in columns.items())
    return plain(f"  {'trial':>6}   {'score':>{_LEAST_SCORE}} {'evals':>5}  {settings}", "dim")


def _line(scene: StudyScene, trial: Trial, columns: dict[str, int]) -> Row:
    here, best = trial is scene.trial, scene.view.best
    sign, style = _SIGNS[trial.state]
    score = "-" if trial.value is None else f"{trial.value:.4f}"
    settings = "  ".join(f"{_value(trial.params.get(key)):>{wide}}" for key, wide in columns.items())
    notes = [trial.note, "by hand" if trial.by_hand else ""]
    told = f"  {', '.join(note for note in notes if note)}" if any(notes) else ""
    return (
        Span("▸" if here else " ", "key"),
        Span("★" if best is not None and trial.number == best.number else " ", "good"),
        Span(f"{trial.number:>6} ", "focus" if here else ""),
        Span(f"{sign} ", style),
        Span(f"{score:>{_LEAST_SCORE}}", "dim" if trial.state in ("pruned", "failed") else ""),
        Span(f" {trial.evaluations:>5}  ", "dim"),
        Span(settings),
        Span(told, "dim"),
    )


def _pictures(scene: StudyScene, width: int, height: int) -> list[Row]:
    """Best so far beside what mattered."""
    left = width * 3 // 5
    best = scene.view.best
    title = (
        "Best so far" if best is None or best.value is None else f"Best so far ─ {best.value:.4f}, trial {best.number}"
    )
    first = box(plain(title, "title"), _best(scene, left - 4, height - 2), left, height)
    second = box(plain("Importance", "title"), _importance(scene, width - left - 4, height - 2), width - left, height)
    return [(*one, *other) for one, other in zip(first, second, strict=True)]


def _best(scene: StudyScene, width: int, height: int) -> list[Row]:
    points = best_so_far(scene.view)
    if not points:
        return [plain("no trial has come to its end", "dim")]
    best, each = Series(), Series()
    for number, value in points:
        best = best.append(number, 0.0, number, value)
    for trial in scene.view.trials:
        if trial.state == "complete":
            each = each.append(trial.number, 0.0, trial.number, trial.value)
    lines = (Line(best, "s0", "best"), Line(each, "s1", "each", (2, 2)))
    end = float(max(2, len(scene.view.trials)))
    return draw_chart(Chart(lines, x_end=end, y_text=short, x_unit="trials"), width, height, scene.look.glyphs)


def _importance(scene: StudyScene, width: int, height: int) -> list[Row]:
    found = sorted(scene.view.importance.items(), key=lambda item: -item[1])
    if not found:
        return wrapped("told from 8 complete trials on", max(8, width), "dim")
    wide = min(max(cells(_short(key)) for key, _ in found), max(6, width // 2))
    return [
        (
            Span(f"{cut(_short(key), wide):<{wide}} "),
            *bar(share, max(3, width - wide - 7), scene.look.glyphs),
            Span(f" {100 * share:3.0f} %"),
        )
        for key, share in found[:height]
    ]


def _status(scene: StudyScene) -> Row:
    if scene.typed is not None:
        return (
            Span(" try: ", "key"),
            Span(scene.typed),
            Span("_", "key"),
            Span("  enter enqueues, esc leaves it", "dim"),
        )
    if scene.asking:
        return (Span(" stop the engines and leave their trials in the queue? ", "warn"), Span("s", "key"),
                Span(" or "), Span("y", "key"), Span(" stops, any other key goes on"))  # fmt: skip
    if scene.note:
        return (Span(f" {scene.note}", scene.note_style),)
    return (Span(f" {scene.problem}", "bad"),)


def _footer(scene: StudyScene, width: int) -> Row:
    row: list[Span] = []
    for key in KEYS:
        if key.label:
            style = "dim" if refusal(key.deed, scene) else ""
            row += [Span(" "), Span(key.shown, style or "key"), Span(f" {key.label} ", style)]
    return tuple(row)
