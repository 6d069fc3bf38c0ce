"""The form that starts a run: settings with their meaning, checked as they are written. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from tui_trainer.charts.span import Row, Span, cells, cut, fit
from tui_trainer.core.config import Resolved, get, known_keys, setting_choices, setting_doc
from tui_trainer.errors import TuiTrainerError
from tui_trainer.ui.rows import block, box, plain, wrapped

Settle = Callable[[tuple[str, ...]], Resolved]
"""KEY=VALUE words to the settings of a run. Raises TuiTrainerError naming what is wrong."""

_FIRST = ("run.task", "run.algorithm", "run.name", "run.seed", "run.device", "run.note",
          "manager.termination.max_hours", "manager.termination.max_updates", "manager.termination.target",
          "manager.evaluation.every_updates", "continuous.auto_accept")  # fmt: skip
_LEARNER = ("learning_rate", "num_envs", "n_steps", "batch_size", "gamma", "ent_coef", "hidden")
START = "start"


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of the form. `written` are the settings that differ from preset and defaults, as text."""

    resolved: Resolved
    written: dict[str, str] = {}
    chosen: str = START
    editing: bool = False
    text: str = ""
    everything: bool = False
    """All settings, or those that matter at first."""
    problem: str = ""
    choices: Mapping[str, tuple[str, ...]] = {}
    """Known words for settings that take any, such as task ids."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The lines: the start, then settings."""
        if self.everything:
            return (START, *known_keys())
        algorithm = self.resolved.config.run.algorithm
        own = (f"{algorithm}.{name}" for name in _LEARNER)
        return (START, *_FIRST, *(key for key in own if key in known_keys()))

    @property
    def words(self) -> tuple[str, ...]:
        """What was written, as words of the command `run`; the task chooses its preset."""
        pairs = (
            ("--task", text) if key == "run.task" else ("--set", f"{key}={text}") for key, text in self.written.items()
        )
        return tuple(word for pair in pairs for word in pair)


def new_form(settle: Settle, choices: Mapping[str, tuple[str, ...]]) -> Form:
    """A form with preset and defaults."""
    return Form(resolved=settle(()), choices=choices)


def pressed(form: Form, name: str, character: str | None, settle: Settle) -> Form:
    """The form after a key that neither starts nor leaves it."""
    if form.editing:
        return _typed(form, name, character, settle)
    match name:
        case "up" | "down" | "pageup" | "pagedown" | "home" | "end":
            return _moved(form, name)
        case "left" | "right":
            return _turned(form, 1 if name == "right" else -1, settle)
        case "tab":
            return _with(form, everything=not form.everything, chosen=START)
        case "backspace" | "delete":
            return _settled(form, {key: v for key, v in form.written.items() if key != form.chosen}, settle)
        case "enter":
            return _with(form, editing=True, text=value(form, form.chosen), problem="")
        case _ if character is not None and character.isprintable() and form.chosen != START:
            return _with(form, editing=True, text=character, problem="")
        case _:
            return form


def _typed(form: Form, name: str, character: str | None, settle: Settle) -> Form:
    match name:
        case "escape":
            return _with(form, editing=False, problem="")
        case "enter" | "up" | "down":
            after = _settled(form, {**form.written, form.chosen: form.text.strip()}, settle)
            return after if name == "enter" or after.problem else _moved(after, name)
        case "backspace":
            return _with(form, text=form.text[:-1])
        case "ctrl+u":
            return _with(form, text="")
        case _ if character is not None and character.isprintable():
            return _with(form, text=(form.text + character)[:200])
        case _:
            return form


def _settled(form: Form, written: dict[str, str], settle: Settle) -> Form:
    """With these settings where they make sense; else as it was, with what is wrong."""
    try:
        resolved = settle(tuple(f"{key}={value}" for key, value in written.items()))
    except TuiTrainerError as error:
        return _with(form, problem=str(error))
    return _with(form, resolved=resolved, written=written, editing=False, problem="")


def _turned(form: Form, step: int, settle: Settle) -> Form:
    """The next of a few words."""
    words = choices_of(form, form.chosen)
    if not words:
        return form
    now = value(form, form.chosen)
    at = words.index(now) if now in words else -1
    return _settled(form, {**form.written, form.chosen: words[(at + step) % len(words)]}, settle)


def _moved(form: Form, name: str) -> Form:
    keys = form.keys
    at = keys.index(form.chosen) if form.chosen in keys else 0
    to = {"up": at - 1, "down": at + 1, "pageup": at - 10, "pagedown": at + 10, "home": 0}.get(name, len(keys) - 1)
    return _with(form, chosen=keys[max(0, min(len(keys) - 1, to))], problem="")


def _with(form: Form, **changes: object) -> Form:
    return msgspec.structs.replace(form, **changes)


def value(form: Form, key: str) -> str:
    """The setting in force, as `--set` takes it."""
    if key == START:
        return ""
    found = get(form.resolved.config, key)
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, tuple):
        return "[" + ", ".join(str(item) for item in found) + "]"
    return f"{found:g}" if isinstance(found, float) else str(found)


def choices_of(form: Form, key: str) -> tuple[str, ...]:
    """The words that a setting may be, where they are few; none where it takes anything."""
    if key == START:
        return ()
    if isinstance(get(form.resolved.config, key), bool):
        return ("false", "true")
    return tuple(form.choices.get(key, ())) or setting_choices(key)


# --- the picture ---------------------------------------------------------------------------------------------------


def draw_form(form: Form, width: int, height: int) -> list[Row]:
    """The form in a box: settings above, what the chosen one means below."""
    wide = max(0, width - 4)
    below = _explained(form, wide)[: max(0, height - 5)]
    room = max(0, height - 2 - len(below))
    keys = form.keys
    at = keys.index(form.chosen) if form.chosen in keys else 0
    first = max(0, min(at - room // 2, len(keys) - room))
    rows = [_field(form, key, wide) for key in keys[first : first + room]]
    title: Row = (Span("New run", "title"), Span(f" ─ {'all settings' if form.everything else 'the first settings'}",
                                                 "dim"))  # fmt: skip
    return box(title, [*block(rows, wide, room), *below], width, height, "focus")


def _field(form: Form, key: str, width: int) -> Row:
    here = key == form.chosen
    mark = Span("▸ " if here else "  ", "key")
    if key == START:
        return (mark, Span("start this run", "focus" if here else "bold"), Span(f"   {_what(form)}", "dim"))
    gutter = 36 if width >= 70 else 26
    name = cut(key, gutter - 2)
    label = Span(name + " " * (gutter - cells(name)), "focus" if here else "")
    if here and form.editing:
        return (mark, label, Span(form.text), Span("_", "key"))
    origin = form.resolved.origins.get(key, "default")
    style = "bold" if key in form.written else ""
    shown = fit((Span(value(form, key) or "-", style),), 18, "…")
    return fit((mark, label, *shown, Span(f"  {origin}", "dim")), width, "…")


def form_keys(form: Form) -> Row:
    """What can be pressed, for the footer."""
    keys = (
        (("enter", "take it"), ("esc", "as it was"), ("ctrl+u", "empty"))
        if form.editing
        else (("enter", "start" if form.chosen == START else "change"), ("↑ ↓", "choose"), ("← →", "next value"),
              ("delete", "take back"), ("tab", "the first ones" if form.everything else "all settings"),
              ("esc", "leave"))
    )  # fmt: skip
    return tuple(span for key, label in keys for span in (Span(" "), Span(key, "key"), Span(f" {label} ")))


def _what(form: Form) -> str:
    run = form.resolved.config.run
    return f"{run.task} with {run.algorithm}, seed {run.seed}"


def _explained(form: Form, width: int) -> list[Row]:
    if form.problem:
        return [(), *wrapped(form.problem, width, "bad")]
    if form.chosen == START:
        text = "enter starts it; ↑ ↓ choose a setting, tab shows all of them, esc leaves"
    elif form.editing:
        text = f"{setting_doc(form.chosen)} enter takes it, esc leaves it as it was"
    else:
        words = choices_of(form, form.chosen)
        hint = f"← → choose: {', '.join(words)}" if words else "enter or a letter changes it, delete takes it back"
        text = f"{setting_doc(form.chosen)} {hint}"
    return [(), *wrapped(text, width, "dim")] if text else [plain("")]
