"""The list of sessions as a picture, and what may be done with each: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from tui_trainer.charts.bars import spark
from tui_trainer.charts.span import Row, Span, cells, cut, fit
from tui_trainer.core.format import ago, count, si, size
from tui_trainer.core.values import is_guest
from tui_trainer.ui.form import Form, draw_form, form_keys
from tui_trainer.ui.keymap import UNCHANGED, BoundKey, Changes, remapped
from tui_trainer.ui.look import Look
from tui_trainer.ui.rows import block, box, centred, ends, help_box, help_rows, key_line, over, plain, wrapped
from tui_trainer.ui.session_row import SIGNS, SessionRow, has_chart, told

__all__ = ["SessionRow"]

Verb: TypeAlias = Literal["run", "attach", "resume", "replay", "fork", "compare", "report"]
Order: TypeAlias = Literal["age", "name", "state", "best", "steps", "size"]

ORDERS: tuple[Order, ...] = ("age", "name", "state", "best", "steps", "size")

KEYS: tuple[BoundKey, ...] = (
    BoundKey("new", ("n",), "n", "new", "Start a run: a form with every setting, its meaning and its check"),
    BoundKey("open", ("enter",), "enter", "open", "Attach to a live session; replay one that is not"),
    BoundKey("resume", ("r",), "r", "resume", "Take the session up from its newest good checkpoint"),
    BoundKey("replay", ("p",), "p", "replay", "Play the session back"),
    BoundKey("filter", ("slash",), "/", "filter", "Show sessions with these words; status:running, task:cache"),
    BoundKey("help", ("question_mark",), "?", "help", "All keys"),
    BoundKey("quit", ("q", "ctrl+c"), "q", "quit", "Quit; live runs go on"),
    BoundKey("mark", ("space",), "space", "mark", "Mark for a comparison, or take the mark away"),
    BoundKey("compare", ("c",), "c", "compare", "Compare the marked sessions; the first one is the baseline"),
    BoundKey("fork", ("f",), "f", "fork", "Begin a new session from its newest checkpoint"),
    BoundKey("delete", ("d", "delete"), "d", "delete", "Delete the session, after a question; u brings it back"),
    BoundKey("restore", ("u",), "u", "undo", "Bring the session back that was deleted last"),
    BoundKey("report", ("w",), "w", "report", "Write the session's report: Markdown and pictures"),
    BoundKey("order", ("o",), "o", "sort", "The next order: age, name, state, best, steps, size"),
    BoundKey("tree", ("t",), "t", "tree", "Forks under the session that they come from, or a flat list"),
    BoundKey("up", ("up",), "↑", "", "The session above"),
    BoundKey("down", ("down",), "↓", "", "The session below"),
    BoundKey("page_up", ("pageup",), "pgup", "", "Ten up"),
    BoundKey("page_down", ("pagedown",), "pgdn", "", "Ten down"),
    BoundKey("home", ("home",), "home", "", "The first one"),
    BoundKey("end", ("end",), "end", "", "The last one"),
    BoundKey("back", ("escape",), "esc", "", "Clear the filter, then the marks"),
)


class Choice(msgspec.Struct, frozen=True):
    """What the person wants next; `run` has no name, `compare` several; `words` are further ones of the command."""

    verb: Verb
    name: str = ""
    words: tuple[str, ...] = ()


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of the list."""

    rows: tuple[SessionRow, ...] | None = None
    """None before the first reading."""
    now: float = 0.0
    chosen: str = ""
    filter: str = ""
    filtering: bool = False
    note: str = ""
    order: Order = "age"
    tree: bool = False
    marked: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    """What undo can bring back, the newest last."""
    asking: str = ""
    """The session whose deletion waits for an answer."""
    help: bool = False
    help_scroll: int = 0
    form: Form | None = None
    keys: Changes = UNCHANGED

    @property
    def shown(self) -> tuple[SessionRow, ...]:
        """Those that hold every word of the filter, in order; `status:running` filters by state."""
        words = self.filter.casefold().split()
        found = [row for row in self.rows or () if all(_holds(row, word) for word in words)]
        ordered = sorted(found, key=lambda row: _rank(row, self.order))
        return tuple(row for row, _ in nested(ordered)) if self.tree else tuple(ordered)

    @property
    def row(self) -> SessionRow | None:
        """The one under the mark."""
        shown = self.shown
        return next((row for row in shown if row.name == self.chosen), shown[0] if shown else None)


def _rank(row: SessionRow, order: Order) -> tuple[object, ...]:
    """Live ones first, then by the order; names decide between equals."""
    match order:
        case "age":
            key: object = -row.changed
        case "best":
            key = float("inf") if row.best is None else -row.best
        case "steps":
            key = -row.global_step
        case "size":
            key = -row.size
        case "state":
            key = row.state
        case "name":
            return (row.name,)
    return (not row.live, key, row.name)


def _holds(row: SessionRow, word: str) -> bool:
    kind, colon, wanted = word.partition(":")
    named = {"status": row.state, "state": row.state, "task": row.task, "algorithm": row.algorithm}
    if colon and kind in named:
        return named[kind].casefold().startswith(wanted)
    return any(word in text.casefold() for text in (row.name, row.state, row.task, row.algorithm, row.origin))


def nested(rows: Sequence[SessionRow]) -> list[tuple[SessionRow, int]]:
    """Each fork under its parent, with its depth; the order among siblings stays. A circle of parents is cut."""
    names = {row.name for row in rows}
    children: dict[str, list[SessionRow]] = {}
    for row in rows:
        children.setdefault(row.parent if row.parent in names else "", []).append(row)
    out: list[tuple[SessionRow, int]] = []
    placed: set[str] = set()

    def place(siblings: Iterable[SessionRow], depth: int) -> None:
        for row in siblings:
            if row.name not in placed:
                placed.add(row.name)
                out.append((row, depth))
                place(children.get(row.name, ()), depth + 1)

    place(children.get("", ()), 0)
    place(rows, 0)
    return out


def refusal(action: str, shelf: Shelf) -> str:
    """Why the key cannot act now; empty where it can."""
    row = shelf.row
    if action in ("open", "resume", "replay", "fork", "report", "delete", "mark") and row is None:
        return "no session is chosen"
    if action in ("resume", "fork", "delete") and row is not None and row.origin:
        return f"{row.name} is a run of {row.origin}, which opens read-only"
    if action in ("resume", "fork") and row is not None and is_guest(row.task):
        return f"{row.name} is trained by a script of its own, which alone can go on with it: start it again"
    if action == "resume" and row is not None and row.live:
        return f"{row.name} is live: {_key(shelf, 'open')} attaches to it"
    if action == "delete" and row is not None and row.live:
        return f"{row.name} is live: stop it first"
    if action == "compare" and len(_compared(shelf)) < 2:
        return f"mark two sessions or more with {_key(shelf, 'mark')}"
    if action == "restore" and not shelf.deleted:
        return "nothing was deleted here"
    return ""


def _key(shelf: Shelf, action: str) -> str:
    return next(key.shown for key in remapped(KEYS, shelf.keys) if key.action == action)


def _compared(shelf: Shelf) -> tuple[str, ...]:
    """The marked ones; the chosen one, too, where only one is marked."""
    row = shelf.row
    if len(shelf.marked) == 1 and row is not None and row.name not in shelf.marked:
        return (*shelf.marked, row.name)
    return shelf.marked


def choice_of(action: str, shelf: Shelf) -> Choice | None:
    """The command that a key stands for, where it leaves the list."""
    row = shelf.row
    if action == "compare":
        first, *others = _compared(shelf)
        return Choice("compare", first, (*others, "--screen"))
    if row is None:
        return None
    match action:
        case "open":
            return Choice("attach" if row.live else "replay", row.name)
        case "resume":
            return Choice("resume", row.name)
        case "replay":
            return Choice("replay", row.name)
        case "fork":
            return Choice("fork", row.name)
        case "report":
            return Choice("report", row.name)
        case _:
            return None


# --- the picture -------------------------------------------------------------------------------------------------


def draw(shelf: Shelf, width: int, height: int, look: Look) -> list[Row]:
    """The whole screen."""
    if height < 3:
        return block([], width, height)
    body = _body(shelf, width, height - FRAME, look)
    rows = [_head(width), *body, _status(shelf), _footer(shelf, width)]
    rows = over([fit(row, width, "…") for row in rows], _question(shelf, width), width)
    return [look.printable(row) for row in rows][:height]


def _footer(shelf: Shelf, width: int) -> Row:
    if shelf.form is not None:
        return form_keys(shelf.form)
    return key_line(remapped(KEYS, shelf.keys), width, lambda key: _is_off(shelf, key))


def _is_off(shelf: Shelf, key: object) -> bool:
    return isinstance(key, BoundKey) and bool(refusal(key.action, shelf))


def _body(shelf: Shelf, width: int, height: int, look: Look) -> list[Row]:
    if shelf.form is not None:
        return draw_form(shelf.form, width, height)
    if shelf.help:
        return help_box(keys_told(shelf, width, look), shelf.help_scroll, width, height)
    if width < 30:
        return block(_table(shelf, width, height, look), width, height)
    title: Row = (Span("Sessions", "title"), Span(f" ─ {_summary(shelf)}", "dim"))
    needed = min(_ROOMY, _TOLD + 3 + len(shelf.shown))
    below = _told(shelf, width, look) if height >= needed and width >= 60 else []
    high = height - len(below)
    return [*box(title, _table(shelf, width - 4, max(0, high - 2), look), width, high), *below]


def _told(shelf: Shelf, width: int, look: Look) -> list[Row]:
    """The session under the mark, in more words."""
    row = shelf.row
    if row is None:
        return []
    inside = told(row, shelf.now, width - 4, _TOLD - 2, look)
    beside = " ─ newest evaluations" if has_chart(row, width - 4) else ""
    return box((Span(row.name, "title"), Span(beside, "dim")), inside, width, _TOLD)


def keys_told(shelf: Shelf, width: int, look: Look) -> list[Row]:
    """The help's rows on a screen of that width."""
    return help_rows(remapped(KEYS, shelf.keys), width - 4, look.glyphs)


def _head(width: int) -> Row:
    slogan = (Span("  trains agents in the terminal", "dim"),) if width >= 44 else ()
    return ends((Span(" tui-trainer", "brand"), *slogan), (), width)


def _summary(shelf: Shelf) -> str:
    rows = shelf.rows or ()
    if not rows:
        return "none"
    live = sum(row.live for row in rows)
    parts = [f"{len(rows)}, {live} live", f"by {shelf.order}"]
    parts += ["forks under their parents"] if shelf.tree else []
    parts += [f"{len(shelf.marked)} marked"] if shelf.marked else []
    return ", ".join(parts)


def _table(shelf: Shelf, width: int, height: int, look: Look) -> list[Row]:
    if shelf.rows is None:
        return centred([plain("reading sessions", "dim")], width, height)
    shown = shelf.shown
    if not shown:
        text = (
            f"no session with “{shelf.filter}”"
            if shelf.rows
            else f"no sessions yet: {_key(shelf, 'new')} starts one on connect_four"
        )
        return centred([plain(text, "dim")], width, height)
    depths = [depth for _, depth in nested(shown)] if shelf.tree else [0] * len(shown)
    most = max(24, min(40, 2 * width // 5))
    names = max(12, min(most, max(cells(row.name) + 2 * depth for row, depth in zip(shown, depths))))
    at = next((i for i, row in enumerate(shown) if row is shelf.row), 0)
    first = max(0, min(at - (height - 1) // 2, len(shown) - (height - 1)))
    kept = list(zip(shown, depths))[first : first + max(0, height - 1)]
    columns = _columns(names, width, max(cells(row.task) for row in shown), max(cells(row.algorithm) for row in shown))
    head = _cells({name: title for name, title, _ in _COLUMNS}, columns)
    return [
        (Span(f"    {'name':<{names}}", "dim"), *(Span(span.text, "dim") for span in head)),
        *(_line(shelf, row, depth, names, columns, look) for row, depth in kept),
    ]


_COLUMNS = (
    ("state", "state", 13), ("task", "task", 14), ("algorithm", "algo", 6), ("update", "update", 8),
    ("steps", "steps", 8), ("best", "best", 8), ("history", "history", 10), ("changed", "changed", 12),
    ("size", "size", 11),
)  # fmt: skip
"""In the order in which they stand: name, title, columns with the blanks before them."""
_LEFT = ("state", "task", "algorithm")
_NEEDED = ("state", "best", "update", "task", "changed", "history", "steps", "algorithm", "size")
"""In the order in which they get room."""
_HISTORY = 30
_ROOMY, _TOLD = 24, 9
"""Rows from which the chosen session stands below the list in more words (below a short list sooner), and how many it
takes.
"""
FRAME = 3
"""Rows above and below the list."""


def _columns(names: int, width: int, tasks: int, algorithms: int) -> dict[str, int]:
    """The columns that there is room for, each with its width; what is left widens words that are cut, then history."""
    room = width - names - 4
    wide = {name: columns for name, _, columns in _COLUMNS}
    kept: list[str] = []
    for name in _NEEDED:
        if wide[name] > room:
            break
        kept.append(name)
        room -= wide[name]
    for name, longest in (("task", tasks), ("algorithm", algorithms)):
        more = min(max(0, longest + 2 - wide[name]), room, 12)
        wide[name], room = wide[name] + more, room - more
    wide["history"] = min(_HISTORY, wide["history"] + room)
    return {name: wide[name] for name, _, _ in _COLUMNS if name in kept}


def _cells(texts: Mapping[str, str], columns: Mapping[str, int]) -> list[Span]:
    """A span a column: words to the left, numbers to the right."""
    return [
        Span(f"  {cut(texts[name], wide - 2):<{wide - 2}}" if name in _LEFT else f"{texts[name]:>{wide}}")
        for name, wide in columns.items()
    ]


def _line(shelf: Shelf, row: SessionRow, depth: int, names: int, columns: Mapping[str, int], look: Look) -> Row:
    here, marked = row is shelf.row, row.name in shelf.marked
    sign, style = SIGNS.get(row.state, ("?", "warn"))
    name = cut("  " * (depth - 1) + ("└ " if depth else "") + _name(row, names), names)
    styles = {"state": style, "changed": "dim", "size": "dim"}
    spans = [
        Span(span.text, styles.get(column, ""))
        for column, span in zip(columns, _cells(_texts(shelf, row), columns), strict=True)
    ]
    if "history" in columns:
        at, wide = list(columns).index("history"), columns["history"]
        spans[at : at + 1] = [Span("  "), *spark(row.scores, wide - 2, look.glyphs, "s0")]
    return (
        Span("▸" if here else " ", "key"), Span("✓" if marked else " ", "warn"), Span(f"{sign} ", style),
        Span(name + " " * (names - cells(name)), "focus" if here else "bold" if row.live else ""), *spans,
    )  # fmt: skip


def _name(row: SessionRow, width: int) -> str:
    """A session's name; of a path that is too long the end, which tells runs apart."""
    return f"…{row.name[1 - width :]}" if row.origin and cells(row.name) > width else row.name


def _texts(shelf: Shelf, row: SessionRow) -> dict[str, str]:
    return {
        "state": row.state,
        "task": row.task,
        "algorithm": row.algorithm,
        "update": count(row.update),
        "steps": si(row.global_step),
        "best": "-" if row.best is None else f"{row.best:.3f}",
        "history": "",
        "changed": ago(max(0.0, shelf.now - row.changed)),
        "size": size(row.size),
    }


def _status(shelf: Shelf) -> Row:
    if shelf.filtering:
        return (Span(" filter: ", "key"), Span(shelf.filter), Span("_", "key"),
                Span("  enter keeps it, esc clears", "dim"))  # fmt: skip
    if shelf.note:
        return (Span(f" {shelf.note}", "warn"),)
    if shelf.filter:
        return (Span(f" filter: {shelf.filter}", "warn"),)
    if shelf.row is None or shelf.form is not None:
        return ()
    origin = f"read-only, {shelf.row.origin}" if shelf.row.origin else ""
    about = "; ".join(filter(None, (origin, shelf.row.about)))
    return (Span(f" {shelf.row.name}: {about}" if about else "", "dim"),)


def _question(shelf: Shelf, width: int) -> list[Row]:
    if not shelf.asking or width < 20:
        return []
    wide = min(width - 2, 56)
    undo = _key(shelf, "restore")
    rows = wrapped(
        f"Delete it with its checkpoints? {undo} brings it back; after a week it is gone for good.", wide - 4
    )
    keys: Row = (Span("d", "key"), Span(" or "), Span("y", "key"), Span(" delete   "), Span("esc", "key"),
                 Span(" keep"))  # fmt: skip
    return box(plain(f"Delete {shelf.asking}", "title"), [*rows, (), keys], wide, len(rows) + 4, "card")
