"""`ab`: two configurations over the same seeds."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from tui_trainer import tasks
from tui_trainer.cli import find
from tui_trainer.cli.settings import resolve_run
from tui_trainer.core.config import Resolved
from tui_trainer.engine.threads import pin_threads
from tui_trainer.errors import UsageError
from tui_trainer.sessions.names import check_name
from tui_trainer.sessions.provenance import collect
from tui_trainer.sessions.store import Session
from tui_trainer.studies.engines import Curve
from tui_trainer.studies.paired import Comparison, compare
from tui_trainer.studies.pairs import Meeting, Pair, at_equal_steps, meeting, train_all
from tui_trainer.studies.space import require_limit

EQUAL = ["manager.termination.intelligent=false", "manager.termination.target="]
"""Both arms go to their limit."""


class Pairing(msgspec.Struct):
    """What `ab` was told."""

    configs: tuple[str, str]
    seeds: int
    jobs: int
    name: str
    assignments: list[str]
    sessions: str | None
    json: bool = False


def pair(wish: Pairing) -> int:
    """Train, compare, say it."""
    higher, where = _checked(wish)
    made = [_create(wish, arm, seed) for seed in range(1, wish.seeds + 1) for arm in (0, 1)]
    curves = train_all(made, wish.jobs, lambda session, curve: _tell(wish, session, curve))
    pairs = [at_equal_steps(seed + 1, curves[2 * seed], curves[2 * seed + 1], where) for seed in range(wish.seeds)]
    kept = [each for each in pairs if each is not None]
    if len(kept) < wish.seeds:
        raise UsageError("the two have no evaluation at common steps", "evaluate both at the same steps")
    found = compare([each.a for each in kept], [each.b for each in kept], higher_is_better=higher)
    if wish.json:
        print(msgspec.json.encode({"pairs": kept, "comparison": found}).decode())
    else:
        print("\n".join(summary(wish.configs, kept, found)))
    return 0


def summary(configs: tuple[str, str], pairs: list[Pair], found: Comparison) -> list[str]:
    """The pairs, the difference with its interval, the verdict."""
    lines = ["", f"A = {configs[0]}   B = {configs[1]}", "", " seed       step         A         B     B - A"]
    lines += [f"{p.seed:>5}  {p.step:>9}  {p.a:>8.4f}  {p.b:>8.4f}  {p.b - p.a:>+8.4f}" for p in pairs]
    low, high = found.ci
    return [
        *lines, "",
        f"B against A: {found.difference:+.4f}, 95 % interval {low:+.4f} to {high:+.4f} (above 0 is better), "
        f"B ahead in {found.wins} of {found.pairs}, p = {found.p:.3f}",
        found.verdict,
    ]  # fmt: skip


def _resolved(wish: Pairing, arm: int, seed: int) -> Resolved:
    return resolve_run(wish.configs[arm], {"run.seed": seed}, [*wish.assignments, *EQUAL])


def _checked(wish: Pairing) -> tuple[bool, Meeting | None]:
    """Whether a higher score is better, and where the two meet. Raises UsageError where they cannot be compared."""
    a, b = (_resolved(wish, arm, 1).config for arm in (0, 1))
    check_name(f"{wish.name}-a-s{wish.seeds}")
    if a.run.task != b.run.task:
        raise UsageError(f"{a.run.task} and {b.run.task} are different tasks", "compare two ways to train one")
    for config in (a, b):
        require_limit(config)
    where = meeting(a, b)
    pin_threads(1)
    task = tasks.make(a.run.task, a.task, 1)
    higher = task.spec.higher_is_better
    task.close()
    return higher, where


def _create(wish: Pairing, arm: int, seed: int) -> Session:
    name = f"{wish.name}-{'ab'[arm]}-s{seed}"
    return Session.create(find.root(wish.sessions), name, _resolved(wish, arm, seed), collect(sys.argv, Path.cwd()))


def _tell(wish: Pairing, session: Session, curve: Curve) -> None:
    facts = {"session": session.name, "step": curve.steps, "score": curve.last}
    print(msgspec.json.encode(facts).decode() if wish.json else f"{session.name} · {curve.last:.4f}", flush=True)
