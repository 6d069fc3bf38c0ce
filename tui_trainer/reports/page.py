"""A session's report, told in blocks: what it was, how it ended, what it reached, what was decided."""

from __future__ import annotations

from collections.abc import Iterator

from tui_trainer.core.events import EvaluationFinished, RunEnded
from tui_trainer.core.format import count, duration, percent, si, size
from tui_trainer.core.state import RunState
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import PartResult, Ratings
from tui_trainer.reports.blocks import Block, Heading, Paragraph, Picture, Table
from tui_trainer.reports.facts import Facts, differing

MOST_ROWS = 60
"""Of decisions: the newest. Evaluations are thinned to half of it."""


def blocks(facts: Facts, pictures: dict[str, str]) -> list[Block]:
    """The page; `pictures` says what each picture shows, by name."""
    s = facts.state
    found: list[Block] = [
        Heading(f"{facts.name}", 1),
        Table(("", ""), tuple(_overview(facts))),
        *(Picture(name, shows) for name, shows in pictures.items()),
    ]
    sections = (
        ("Evaluations", _table(("update", "steps", "suite", "score", "interval", "by part"), _evaluations(s))),
        ("By part", _table(("suite", "part", "score", "interval", "draws", "episodes", "distinct"), _parts(s))),
        *_strength(facts.ratings),
        ("Checkpoints", _table(("update", "kind", "score", "size", "path"), _checkpoints(s))),
        ("Decisions", _table(("update", "by", "what", "why", "outcome"), _decisions(s))),
        ("Where time went", _table(("phase", "time", "share"), _phases(s.seconds))),
        ("Machine", _table(("figure", "mean", "highest"), _machine(s))),
        ("Alerts", _table(("update", "alert"), _alerts(s))),
        ("Settings that differ from the defaults", _table(("setting", "value", "default"), _settings(facts))),
    )
    for title, block in sections:
        found += [Heading(title), block]
    return found


def _table(header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Block:
    kept = tuple(rows)
    return Table(header, kept) if kept else Paragraph("None.")


def _overview(facts: Facts) -> Iterator[tuple[str, str]]:
    s = facts.state
    if e := s.started:
        yield "task", e.task
        size = f"{count(e.parameters)} parameters" if e.parameters else ""
        yield "algorithm", ", ".join(filter(None, (e.algorithm, e.seed_told, e.device, size)))
        if e.origin:
            yield "logged by", e.origin
    yield "state", facts.status or s.status
    if s.ended:
        yield "ended", ended(s.ended)
    known = s.episodes or not (s.started and s.started.origin)
    episodes = f", {count(s.episodes)} episodes" if known else ""
    yield "done", f"{count(s.update)} updates, {count(s.global_step)} steps{episodes}"
    yield "time", duration(s.elapsed_s)
    if s.elapsed_s > 0:
        yield "SPS", f"{si(s.global_step / s.elapsed_s)} on average, {si(s.sps)} at the end"
    if s.advice.told:
        yield "advice", s.advice.told
    if s.best:
        yield "best checkpoint", f"{s.best.path}, score {number(s.best.score)}"
    for final in s.final_evaluations:
        yield "unseen seeds", f"{score(final)}{f', {final.checkpoint}' if final.checkpoint else ''}"


def _strength(ratings: Ratings | None) -> Iterator[tuple[str, Block]]:
    """Elo and every pair, where `elo` has measured them."""
    if ratings is None:
        return
    title = f"Elo, {ratings.anchor} = 0, {count(ratings.games)} games a pair"
    players = ((clean_line(p.name), f"{p.elo:+.0f} ± {p.error:.0f}", count(p.games)) for p in ratings.players)
    pairs = ((clean_line(p.one), clean_line(p.two), str(p.wins), str(p.draws), str(p.losses)) for p in ratings.pairings)
    yield title, _table(("player", "Elo", "games"), players)
    yield "Head to head", _table(("player", "against", "won", "drawn", "lost"), pairs)


def ended(e: RunEnded) -> str:
    """The termination reason with its evidence."""
    return f"{e.reason.name}: {e.reason.evidence}" if e.reason.evidence else e.reason.name


def score(e: EvaluationFinished) -> str:
    """The score and its interval."""
    r = e.result
    score = f"{r.metric} {number(r.value)}"
    return f"{score} {interval(r.interval)}, {count(r.episodes)} episodes" if r.episodes else score


def number(value: float | None) -> str:
    """Four digits, `-` where unknown."""
    return "-" if value is None else f"{value:.4g}"


def interval(ci: tuple[float, float] | None) -> str:
    """`[low, high]`, empty where unknown."""
    return "" if ci is None else f"[{number(ci[0])}, {number(ci[1])}]"


def _evaluations(s: RunState) -> Iterator[tuple[str, ...]]:
    for e in (*_thinned(s.evaluations, MOST_ROWS // 2), *s.final_evaluations):
        by = ", ".join(f"{name} {_part(part)}" for name, part in e.result.by.items())
        yield count(e.update), count(e.global_step), e.suite, number(e.result.value), interval(e.result.interval), by


def _part(part: PartResult) -> str:
    return number(part.mean) if part.win_rate is None else percent(part.win_rate)


def _parts(s: RunState) -> Iterator[tuple[str, ...]]:
    """The newest reference evaluation and the final ones, opponent by opponent or category by category."""
    for e in (*s.evaluations[-1:], *s.final_evaluations):
        for name, part in e.result.by.items():
            draws = "" if part.draw_rate is None else percent(part.draw_rate)
            distinct = "" if part.distinct is None else count(part.distinct)
            yield e.suite, name, _part(part), interval(part.ci), draws, count(part.episodes), distinct


def _machine(s: RunState) -> Iterator[tuple[str, ...]]:
    for name, series in sorted(s.series.items()):
        known = [(b.mean, b.high, b.count) for b in series.buckets if b.mean is not None and b.high is not None]
        if name.startswith("system/") and known:
            mean = sum(mean * points for mean, _, points in known) / sum(points for _, _, points in known)
            yield name.removeprefix("system/"), number(mean), number(max(high for _, high, _ in known))


def _alerts(s: RunState) -> Iterator[tuple[str, ...]]:
    for mark in s.marks:
        if mark.kind == "alert":
            yield count(mark.update), mark.label


def _thinned(events: tuple[EvaluationFinished, ...], most: int) -> tuple[EvaluationFinished, ...]:
    """At most about `most`, evenly, the newest among them."""
    stride = max(1, -(-len(events) // most))
    return events[::-1][::stride][::-1]


def _checkpoints(s: RunState) -> Iterator[tuple[str, ...]]:
    for c in s.checkpoints[-MOST_ROWS:]:
        yield count(c.at_update), c.kind, number(c.score), size(c.size), c.path


def _decisions(s: RunState) -> Iterator[tuple[str, ...]]:
    for d in s.decisions[-MOST_ROWS:]:
        yield count(d.update), d.by, d.what if d.applied else f"refused: {d.what}", d.why, d.outcome


def _phases(seconds: dict[str, float]) -> Iterator[tuple[str, ...]]:
    total = sum(seconds.values())
    for name, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        if spent > 0:
            yield name, duration(spent), percent(spent / total)


def _settings(facts: Facts) -> Iterator[tuple[str, ...]]:
    for setting in differing(facts.settings):
        yield setting.key, setting.value, setting.default
