"""Which panel stands where at a given size: nothing here knows what a panel shows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Place(msgspec.Struct, frozen=True):
    """A panel's rectangle; `boxed` ones have a frame within it."""

    panel: str
    x: int
    y: int
    width: int
    height: int
    boxed: bool = True


class Slot(msgspec.Struct, frozen=True):
    """Part of a column: panels side by side, each with its share of the width.

    `least` and `most` are rows, frame included; `weight` is its share of spare rows; the highest `rank` goes first
    where there is no room.
    """

    panels: tuple[tuple[str, int], ...]
    least: int
    weight: int = 1
    most: int = 999
    rank: int = 0
    boxed: bool = True


def _slot(name: str, least: int, weight: int = 1, most: int = 999, rank: int = 0, boxed: bool = True) -> Slot:
    return Slot(((name, 1),), least, weight, most, rank, boxed)


def arrange(
    width: int, height: int, *, replay: bool = False, ended: bool = False, logged: bool = False
) -> tuple[Place, ...]:
    """Every panel's place on a screen of this size; none overlaps, none leaves the screen.

    Of a run that another tool `logged` there is neither game, advice, checkpoint nor machine: its curves have the room.
    """
    if width < 1 or height < 1:
        return ()
    tall = height >= 16 and width >= 50
    lines = ["timeline"] if replay and height >= 6 else []
    lines += ["machine"] if width >= 60 and height >= 20 and not (logged or _has_machine(width, height)) else []
    lines += ["status"] if tall else []
    lines += ["footer"] if height >= 3 else []
    body = max(0, height - 1 - len(lines))
    places = [Place("header", 0, 0, width, 1, False)]
    advice = "summary" if ended else "recommendation"
    if logged and width >= 70 and body >= 12:
        places += _columns(_logged(ended), width, body)
    else:
        places += _body(width, body, advice)
    places += [Place(name, 0, height - len(lines) + i, width, 1, False) for i, name in enumerate(lines)]
    return tuple(places)


def maximised(panel: str, width: int, height: int) -> tuple[Place, ...]:
    """One panel on the whole screen, with the lines around it."""
    if height < 5 or width < 20:
        return (Place(panel, 0, 0, width, height, False),)
    return (
        Place("header", 0, 0, width, 1, False),
        Place(panel, 0, 1, width, height - 3),
        Place("status", 0, height - 2, width, 1, False),
        Place("footer", 0, height - 1, width, 1, False),
    )


def listed(page: str, width: int, height: int, *, replay: bool = False) -> tuple[Place, ...]:
    """A list on the whole screen; a replay keeps its timeline."""
    if not replay or height < 8 or width < 20:
        return maximised(page, width, height)
    head, body, *rest = maximised(page, width, height - 1)
    line = Place("timeline", 0, height - 3, width, 1, False)
    return (head, body, line, *(msgspec.structs.replace(place, y=place.y + 1) for place in rest))


def _has_machine(width: int, height: int) -> bool:
    """Does the body hold the machine as a panel of its own?"""
    return width >= 108 and height >= 26


def _body(width: int, height: int, advice: str) -> list[Place]:
    if width >= 170 and height >= 30:
        return _columns(_wide(advice), width, height)
    if _has_machine(width, height + 3):
        return _columns(_large(advice), width, height)
    if width >= 70 and height >= 12:
        return _columns(_medium(advice), width, height)
    return _stack(_narrow(height, advice), 0, 1, width, height)


def _logged(ended: bool) -> tuple[tuple[int, list[Slot]], ...]:
    summary = [_slot("summary", 7, 1, 13)] if ended else []
    return (
        (45, [_slot("manager", 7, 1, 12), *summary, _slot("log", 4, 3)]),
        (71, [_slot("win_rate", 7, 3), Slot((("speed", 20), ("losses", 17)), 7, 2)]),
    )


def _wide(advice: str) -> tuple[tuple[int, list[Slot]], ...]:
    return (
        (50, [_slot("manager", 10, 1, 14), _slot(advice, 10, 2, 16), Slot((("game", 5), ("checkpoints", 6)), 8, 3)]),
        (88, [_slot("win_rate", 12, 3), _slot("speed", 9, 2), _slot("losses", 8, 2, 16)]),
        (64, [_slot("machine", 7, 1, 10), _slot("decisions", 6, 1), _slot("log", 6, 2)]),
    )


def _large(advice: str) -> tuple[tuple[int, list[Slot]], ...]:
    return (
        (46, [
            _slot("manager", 9, 1, 13), _slot(advice, 9, 2, 13, rank=0),
            Slot((("game", 11), ("checkpoints", 12)), 7, 3, rank=1),
        ]),
        (70, [
            _slot("win_rate", 9, 5, 22), Slot((("speed", 20), ("losses", 17)), 8, 3, 14, rank=1),
            _slot("machine", 5, 1, 7, rank=2), _slot("decisions", 4, 1, 8, rank=4), _slot("log", 4, 2, rank=3),
        ]),
    )  # fmt: skip


def _medium(advice: str) -> tuple[tuple[int, list[Slot]], ...]:
    return (
        (39, [
            _slot("manager", 7, 2, 12), _slot(advice, 7, 2, 13),
            Slot((("game", 11), ("checkpoints", 12)), 7, 1, rank=3),
        ]),
        (41, [
            _slot("win_rate", 9, 3, 20), _slot("speed", 7, 2, 14), _slot("losses", 6, 1, 12, rank=2),
            _slot("log", 5, 1, rank=4),
        ]),
    )  # fmt: skip


def _narrow(height: int, advice: str) -> list[Slot]:
    boxed = height >= 26
    edge = 2 if boxed else 0
    roomy = 3 if boxed else 0
    return [
        _slot("manager", 1 + edge + roomy, 1, 1 + edge + max(0, (height - 12) // 3), 0, boxed),
        _slot("win_rate", 5 + edge + roomy, 4, 14 + edge, 1, boxed),
        _slot(advice, 3 + edge + roomy, 2, 9 + edge, 2, boxed),
        _slot("speed", 6 + edge, 2, 12 + edge, 3, boxed),
        _slot("losses", 5 + edge, 1, 10 + edge, 4, boxed),
        _slot("log", 4 + edge, 1, 999, 5, boxed),
    ]


def _columns(columns: Sequence[tuple[int, list[Slot]]], width: int, height: int) -> list[Place]:
    total = sum(share for share, _ in columns)
    places: list[Place] = []
    x = shares = 0
    for share, slots in columns:
        shares += share
        end = width * shares // total
        places += _stack(slots, x, 1, end - x, height)
        x = end
    return places


def _stack(slots: Sequence[Slot], x: int, y: int, width: int, height: int) -> list[Place]:
    kept = list(slots)
    while kept and sum(slot.least for slot in kept) > height:
        if len(kept) == 1:
            kept[0] = msgspec.structs.replace(kept[0], least=height, boxed=kept[0].boxed and height >= 3)
            break
        kept.remove(max(kept, key=lambda slot: slot.rank))
    places: list[Place] = []
    for slot, rows in zip(kept, _rows(kept, height), strict=True):
        if rows > 0:
            places += _side_by_side(slot, x, y, width, rows)
        y += rows
    return places


def _rows(slots: Sequence[Slot], height: int) -> list[int]:
    """Rows for each: its least, and spare ones by weight up to its most; what is left goes to the heaviest."""
    rows = [slot.least for slot in slots]
    spare = height - sum(rows)
    while spare > 0:
        open_ = [i for i, slot in enumerate(slots) if slot.weight and rows[i] < slot.most]
        if not open_:
            break
        neediest = min(open_, key=lambda i: ((rows[i] - slots[i].least) / slots[i].weight, i))
        rows[neediest] += 1
        spare -= 1
    if rows and spare > 0:
        rows[max(range(len(rows)), key=lambda i: slots[i].weight)] += spare
    return rows


def _side_by_side(slot: Slot, x: int, y: int, width: int, height: int) -> list[Place]:
    total = sum(share for _, share in slot.panels)
    places: list[Place] = []
    upto, left = 0, x
    for name, share in slot.panels:
        upto += share
        end = x + width * upto // total
        places.append(Place(name, left, y, end - left, height, slot.boxed))
        left = end
    return places
