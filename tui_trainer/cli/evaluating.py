"""`eval`: a checkpoint's result as a table or as one JSON object."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from tui_trainer.cli import find
from tui_trainer.cli.listing import table
from tui_trainer.core.conditions import parse_condition
from tui_trainer.core.config import nearest
from tui_trainer.core.format import percent
from tui_trainer.core.values import EvalResult, Metrics, PartResult
from tui_trainer.engine.examine import Subject, evaluate, from_file, from_session
from tui_trainer.engine.results import in_full
from tui_trainer.errors import UsageError

OTHER_DATA = (
    "tui-trainer: the data are not those that the session was trained on: this is today's split, "
    "and some of what it holds out may have been trained on"
)


def evaluate_session(
    sessions: str | None, name: str, checkpoint: str, episodes: int, seed: int, expect: str, *, json: bool
) -> int:
    """Print the result; 1 where `expect` does not hold."""
    wish = parse_condition(expect) if expect else None
    subject = subject_of(sessions, name, checkpoint)
    result, same_split = evaluate(subject, episodes, seed)
    if not same_split:
        print(OTHER_DATA, file=sys.stderr)
    if wish is not None:
        _require_known(wish.metric, known_metrics(result))
    if json:
        sys.stdout.write(msgspec.json.encode(in_full(result) | {"same_split": same_split}).decode() + "\n")
    else:
        print(f"{subject.label}, {result.episodes} episodes, seed {seed}")
        print(table([("against", "win", "95 % interval", "draw", "loss", "return"), *map(_row, result.by.items())]))
        print(f"{result.metric} {result.value:.4f} ({result.ci[0]:.4f} to {result.ci[1]:.4f})")
    if wish is not None and not wish.holds(known_metrics(result)):
        print(f"tui-trainer: expected {wish}", file=sys.stderr)
        return 1
    return 0


def known_metrics(result: EvalResult) -> Metrics:
    """Names usable in `--expect`, with and without the `eval/` of the charts."""
    plain: Metrics = {result.metric: result.value, "mean_reward": result.mean}
    for part, found in result.by.items():
        plain[f"{result.metric}/{part}"] = found.mean if found.win_rate is None else found.win_rate
    return {**plain, **{f"eval/{name}": value for name, value in plain.items()}}


def _require_known(metric: str, known: Metrics) -> None:
    if metric not in known:
        close = nearest(metric, list(known))
        hint = f"did you mean {close}?" if close else f"there are {', '.join(known)}"
        raise UsageError(f"--expect: {metric} is not measured here", hint)


def subject_of(sessions: str | None, name: str, checkpoint: str) -> Subject:
    """A session's checkpoint, or a state.pt."""
    path = Path(name)
    if name.endswith(".pt"):
        return from_file(path)
    return from_session(find.session(sessions, name), checkpoint)


def _row(item: tuple[str, PartResult]) -> tuple[str, ...]:
    part, r = item
    result = (percent(r.win_rate), interval_text(r), percent(r.draw_rate), percent(r.loss_rate))
    return part, *result, f"{r.mean:.3f} ± {r.std:.3f}"


def interval_text(part: PartResult) -> str:
    """The interval in the score's own unit: percent for a win rate, plain numbers for a return."""
    if part.ci is None:
        return "-"
    low, high = part.ci
    return f"{low:.1f} to {high:.1f}" if part.win_rate is None else f"{100 * low:.1f}-{100 * high:.1f} %"
