"""The one widget: it holds the picture's lines and has Textual write only the cells that changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from rich.cells import get_character_cell_size
from rich.console import Console
from rich.control import Control
from rich.segment import Segment
from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate
from textual.events import Key, MouseDown, MouseMove, MouseScrollDown, MouseScrollUp, MouseUp, Resize
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tui_trainer.charts.span import Row
from tui_trainer.ui.driver import TerminalDriver
from tui_trainer.ui.look import Look

_JOIN = 6
"""Changed cells this near to each other are written in one go: moving the cursor costs about as much."""
_CLEAR = "\x1b[J"
_MOVE = 10
"""Bytes to move the cursor and to set a style."""


class ExactUpdate(ChopsUpdate):
    """A partial update that writes exactly the changed spans; Textual's own starts each at the widget's left edge."""

    def render_segments(self, console: Console) -> str:
        """Terminal sequences: for each span a cursor move and its cells."""
        out: list[str] = []
        for y, left, right in self.spans:
            if not 0 <= y < len(self.chops):
                continue
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= right or end <= left:
                    continue
                start, stop = max(x, left), min(end, right)
                out.append(Control.move_to(start, y).segment.text)
                out.append(strip.crop(start - x, stop - x).render(console))
        return "".join(out)


class FullUpdate(LayoutUpdate):
    """The whole screen; where nothing stands on it, an order to clear it in place of thousands of blanks."""

    def render_segments(self, console: Console) -> str:
        """Terminal sequences."""
        if any(strip.text.strip() for line in self.strips for strip in line):
            return super().render_segments(console)
        return Control.move_to(0, 0).segment.text + _CLEAR


class ExactCompositor(Compositor):
    """Textual's compositor with exact partial updates."""

    def render_full_update(self, simplify: bool = False) -> LayoutUpdate:
        """Every cell."""
        update = super().render_full_update(simplify)
        return FullUpdate([list(line) for line in update.strips], update.region)

    def render_partial_update(self) -> ChopsUpdate | None:
        """The dirty spans, or None."""
        update = super().render_partial_update()
        return None if update is None else ExactUpdate(update.chops, update.spans, update.chop_ends)


class Pointed(NamedTuple):
    """What the mouse did at a cell; `step` is -1 or 1 for the wheel away from or towards the person."""

    deed: Literal["press", "drag", "wheel"]
    x: int
    y: int
    step: int = 0


class RunScreen(Screen[None]):
    """The screen under everything; it has no widgets but the view."""

    ALLOW_SELECT = False

    def __init__(
        self,
        press: Callable[[str, str | None], None],
        repaint: Callable[[], None],
        point: Callable[[Pointed], None] = lambda pointed: None,
    ) -> None:
        super().__init__()
        self._compositor = ExactCompositor()
        self._press = press
        self._repaint = repaint
        self._point = point

    def compose(self) -> Iterator[Widget]:
        yield RunView(self._repaint, self._point)

    def on_resize(self) -> None:
        """Before Textual writes every cell anew: a slow line has the picture in pieces."""
        for view in self.query(RunView):
            view.blank_if_slow()

    def on_key(self, event: Key) -> None:
        """Every key goes to the one table."""
        event.stop()
        event.prevent_default()
        self._press(event.key, event.character)


class RunView(Widget, can_focus=False):
    """Shows rows. `show` compares with what stands there, so that an unchanged cell costs nothing."""

    ALLOW_SELECT = False

    def __init__(self, repaint: Callable[[], None], point: Callable[[Pointed], None] = lambda pointed: None) -> None:
        super().__init__()
        self._repaint = repaint
        self._point = point
        self._rows: list[Row] = []
        """What was written; on a slow line some rows are older than others."""
        self._whole_at: list[int] = []
        self._next = 0
        self.shows = 0
        """Pictures so far."""
        self._strips: dict[int, Strip] = {}
        self._look = Look()

    def on_resize(self, event: Resize) -> None:
        """The picture is made for the new size."""
        self._strips.clear()
        self._repaint()

    def on_mouse_down(self, event: MouseDown) -> None:
        if event.button == 1:
            self.capture_mouse()
            self._point(Pointed("press", event.x, event.y))

    def on_mouse_move(self, event: MouseMove) -> None:
        if event.button == 1:
            self._point(Pointed("drag", event.x, event.y))

    def on_mouse_up(self, event: MouseUp) -> None:
        self.release_mouse()

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self._point(Pointed("wheel", event.x, event.y, -1))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self._point(Pointed("wheel", event.x, event.y, 1))

    def may_show(self) -> bool:
        """False while the terminal has not come as far as the last picture; once it has, the app paints anew."""
        driver = self._terminal
        return driver is None or driver.may_paint(self._repaint)

    def show(self, rows: list[Row], look: Look, first: Iterable[int] = ()) -> int:
        """Replace the picture; returns how many spans of cells changed.

        On a slow line only as much of it as arrives soon, rows `first` before the others and these in turn; the rest
        is asked for again, as the newest picture has it.
        """
        self.shows += 1
        if len(self._rows) != len(rows):
            self._rows = (self._rows + [()] * len(rows))[: len(rows)]
            self._whole_at = [0] * len(rows)
            self._strips.clear()
        self._look = look
        regions = self._taken(rows, list(dict.fromkeys((*first, *range(self._next, len(rows)), *range(len(rows))))))
        if regions:
            self.refresh(*regions)
        return len(regions)

    def redraw(self, look: Look) -> None:
        """Every cell anew, as it looks now; on a slow line in pieces."""
        self._look = look
        self._strips.clear()
        self.refresh()
        if self.blank_if_slow():
            self._repaint()

    def blank_if_slow(self) -> bool:
        """On a slow line begin with an empty screen, which costs nothing; the next picture fills it in pieces."""
        driver = self._terminal
        if driver is None or driver.room is None:
            return False
        self._rows = [()] * len(self._rows)
        self._whole_at = [0] * len(self._rows)
        self._strips.clear()
        return True

    @property
    def _terminal(self) -> TerminalDriver | None:
        driver = self.app._driver
        return driver if isinstance(driver, TerminalDriver) else None

    def stands_since(self, show: int, rows: range) -> bool:
        """Has each of these rows been written as the picture number `show`, or a later one, has it?"""
        return all(whole_at >= show for whole_at in self._whole_at[rows.start : rows.stop])

    def _taken(self, rows: list[Row], order: list[int]) -> list[Region]:
        """Take over rows in this order while there is room, and see to it that the others follow."""
        driver = self._terminal
        room = None if driver is None else driver.room
        regions: list[Region] = []
        spent = 0
        for y in order:
            changed = self._changed(y, rows[y])
            if changed and driver is not None and room is not None and spent >= room:
                self._next = y
                driver.go_on_with(self._repaint)
                break
            self._rows[y], self._whole_at[y] = rows[y], self.shows
            if changed:
                regions += changed
                self._strips.pop(y, None)
                spent += _bytes(rows[y], changed)
        if driver is not None and room is not None and spent:
            driver.take(spent)
        return regions

    def _changed(self, y: int, after: Row) -> list[Region]:
        before = self._rows[y]
        if before == after:
            return []
        return [Region(left, y, right - left, 1) for left, right in changed_spans(before, after)]

    def render_line(self, y: int) -> Strip:
        """Line `y` as Textual wants it."""
        strip = self._strips.get(y)
        if strip is None:
            strip = self._strips[y] = self._strip(y)
        return strip

    def _strip(self, y: int) -> Strip:
        row = self._rows[y] if y < len(self._rows) else ()
        strip = Strip([Segment(span.text, self._look.style(span.style)) for span in row])
        return strip.adjust_cell_length(self.size.width)

    def text(self) -> str:
        """The screen as plain text."""
        return "\n".join("".join(span.text for span in row).rstrip() for row in self._rows)


def _bytes(row: Row, changed: list[Region]) -> int:
    """About what it costs to write these parts of a row."""
    wide = sum(len(text) for text, _ in row) or 1
    each = (sum(len(text.encode()) for text, _ in row) + _MOVE * len(row)) / wide
    return sum(_MOVE + int(each * region.width) for region in changed)


Cells = list[tuple[str, str]]


def changed_spans(before: Row, after: Row) -> list[tuple[int, int]]:
    """Runs of columns that differ, near ones joined; a wide character is never cut in two."""
    old, new = _cells(before), _cells(after)
    if len(old) != len(new):
        return [(0, max(len(old), len(new)))]
    spans: list[tuple[int, int]] = []
    for x in (x for x, (a, b) in enumerate(zip(old, new, strict=True)) if a != b):
        left = x - 1 if x and "" in (new[x][0], old[x][0]) else x
        if spans and left - spans[-1][1] <= _JOIN:
            spans[-1] = (spans[-1][0], x + 1)
        else:
            spans.append((left, x + 1))
    return [(left, _past_wide(right, old, new)) for left, right in spans]


def _past_wide(right: int, old: Cells, new: Cells) -> int:
    while right < len(new) and "" in (new[right][0], old[right][0]):
        right += 1
    return right


def _cells(row: Row) -> Cells:
    """One entry a column: (character, style); the second column of a wide character is empty."""
    out: Cells = []
    for text, style in row:
        if text.isascii():
            out += [(char, style) for char in text]
            continue
        for char in text:
            width = get_character_cell_size(char)
            if width:
                out.append((char, style))
            if width == 2:
                out.append(("", style))
    return out
