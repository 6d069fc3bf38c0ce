"""Who plays how many episodes of an evaluation, where all parts together may play fewer than they would.

What is left over after an equal share, or the few parts that are played at all, go round by one of three rules. A part
that is not played keeps its last result: the score stays one over all parts.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import assert_never

import msgspec

from tui_trainer.core.config import EvaluationSettings
from tui_trainer.core.values import PartResult

LEAST = 10
"""Episodes of a part that is played at all: fewer tell nothing, so that fewer parts are played instead."""


class Played(msgspec.Struct, frozen=True):
    """What earlier evaluations played."""

    turn: int = 0
    following: int = 0
    """Index of the part whose turn is next, round robin."""
    episodes: dict[str, int] = {}
    last: dict[str, PartResult] = {}


def is_bounded(parts: Sequence[str], settings: EvaluationSettings) -> bool:
    """Whether the parts may play fewer episodes than `episodes` each."""
    return 0 < settings.most_episodes < settings.episodes * len(parts)


def shares(parts: Sequence[str], settings: EvaluationSettings, played: Played | None, seed: int) -> dict[str, int]:
    """Episodes by part, in the order of `parts`; parts that wait are left out. Before all were played, all are."""
    if not is_bounded(parts, settings):
        return dict.fromkeys(parts, settings.episodes)
    before = played or Played()
    least, count = min(LEAST, settings.episodes), len(parts)
    if all(part in before.last for part in parts):
        count = min(count, max(1, settings.most_episodes // least))
    share, rest = divmod(max(settings.most_episodes, least * count), count)
    chosen = _in_turn(parts, settings, before, seed)[:count]
    more = set(chosen[:rest])
    return {part: min(settings.episodes, share + (part in more)) for part in parts if part in chosen}


def after(
    parts: Sequence[str], settings: EvaluationSettings, played: Played | None, done: Mapping[str, PartResult]
) -> Played | None:
    """What is remembered once the parts in `done` were played; None where nothing needs to be."""
    if not is_bounded(parts, settings):
        return None
    before = played or Played()
    moved = len(done) if len(done) < len(parts) else settings.most_episodes % len(parts)
    counts = {part: before.episodes.get(part, 0) + (done[part].episodes if part in done else 0) for part in parts}
    following = (before.following + moved) % len(parts)
    return Played(before.turn + 1, following, counts, {**before.last, **done})


def _in_turn(parts: Sequence[str], settings: EvaluationSettings, played: Played, seed: int) -> list[str]:
    """The parts, those first that are to be played next, or to play one more."""
    match settings.balance:
        case "round-robin":
            return [*parts[played.following :], *parts[: played.following]]
        case "least-evaluated":
            return sorted(parts, key=lambda part: (played.episodes.get(part, 0), parts.index(part)))
        case "random":
            return sorted(parts, key=lambda part: zlib.crc32(f"{seed}:{played.turn}:{part}".encode()))
        case other:
            assert_never(other)
