"""`elo`: how strong a session's snapshots are, beside the task's own opponents."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

from tui_trainer.cli import find
from tui_trainer.cli.listing import table
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import Pairing, Ratings
from tui_trainer.engine.examine import from_session, rate
from tui_trainer.errors import UsageError
from tui_trainer.sessions.checkpoints import CheckpointStore, Manifest
from tui_trainer.sessions.ratings import write_ratings
from tui_trainer.sessions.store import Session


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What `elo` was told."""

    sessions: str | None
    name: str
    games: int
    snapshots: int
    against: tuple[str, ...]
    seed: int
    json: bool


def rate_session(wish: Wish) -> None:
    """Let every pair play, print ratings and results, and keep them in the session for its report."""
    session = find.session(wish.sessions, wish.name)
    subject = from_session(session, "latest")
    store = CheckpointStore(session.path)
    chosen = spread(_loadable(store, session), wish.snapshots)
    states = {f"update {m.update}": store.load(m)[0]["learner"] for m in chosen}
    ratings = rate(subject, states, wish.against, wish.games, wish.seed, _say)
    if wish.json:
        sys.stdout.write(msgspec.json.encode(ratings).decode() + "\n")
    else:
        print(text(ratings))
    write_ratings(session.path, ratings)


def _loadable(store: CheckpointStore, session: Session) -> list[Manifest]:
    """One checkpoint an update, oldest first."""
    found = {manifest.update: manifest for manifest in sorted(store.manifests(), key=lambda m: m.number)}
    if not found:
        raise UsageError(f"{clean_line(session.name)} has no checkpoint")
    return [found[update] for update in sorted(found)]


def spread(manifests: Sequence[Manifest], most: int) -> list[Manifest]:
    """At most `most`, evenly from the oldest to the newest, both among them."""
    if len(manifests) <= most:
        return list(manifests)
    if most == 1:
        return [manifests[-1]]
    return [manifests[round(i * (len(manifests) - 1) / (most - 1))] for i in range(most)]


def _say(pair: Pairing) -> None:
    if sys.stderr.isatty():
        print(f"{pair.one} against {pair.two}: {pair.wins} {pair.draws} {pair.losses}", file=sys.stderr)


def text(ratings: Ratings) -> str:
    """Ratings, and below them the share of points of the row's player against the column's."""
    rows = [(p.name, f"{p.elo:+.0f}", f"± {p.error:.0f}", str(p.games)) for p in ratings.players]
    names = [player.name for player in ratings.players]
    shares = [(name, *(_share(ratings, name, other) for other in names)) for name in names]
    return "\n".join(
        [
            f"{ratings.task}, {ratings.games} games a pair, {ratings.anchor} = 0",
            table([("player", "Elo", "95 %", "games"), *rows]),
            "",
            "points of the row against the column, percent",
            table([("", *names), *shares]),
        ]
    )


def _share(ratings: Ratings, one: str, two: str) -> str:
    for pair in ratings.pairings:
        games = pair.wins + pair.draws + pair.losses
        if (pair.one, pair.two) == (one, two):
            return f"{100 * (pair.wins + pair.draws / 2) / games:.0f}"
        if (pair.one, pair.two) == (two, one):
            return f"{100 * (pair.losses + pair.draws / 2) / games:.0f}"
    return "-"
