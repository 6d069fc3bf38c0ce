"""Retention: whatever is saved, killed, damaged, resumed and pruned, best, latest and last verified stay."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tui_trainer.core.values import CheckpointKind
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.retention import GIB, prunable, room

from .world import new_session, save

KINDS: tuple[CheckpointKind, ...] = ("regular", "best", "manual", "final", "emergency", "stage")


class Item(NamedTuple):
    number: int
    kind: CheckpointKind
    score: float | None
    size: int
    buffer: dict[str, int] = {}


histories = st.lists(
    st.tuples(st.sampled_from(KINDS), st.one_of(st.none(), st.floats(0, 1)), st.integers(1, GIB)), max_size=25
).map(lambda rows: [Item(i + 1, *row) for i, row in enumerate(rows)])


@given(histories, st.integers(1, 4), st.integers(1, 3), st.floats(0, 5))
def test_retention_keeps_what_it_must_and_counts_within_limits(
    items: list[Item], keep_last: int, keep_best: int, max_gib: float
) -> None:
    doomed = prunable(items, keep_last, keep_best, max_gib)
    kept = [item for item in items if item not in doomed]
    assert not {item.kind for item in doomed} & {"manual", "stage"}
    assert items[-1:] == kept[-1:]
    best = [item for item in items if item.kind == "best"]
    scores = [item.score for item in best if item.score is not None]
    assert all(item not in doomed for item in best[-1:])
    assert not scores or max(scores) in [item.score for item in kept if item.kind == "best"]
    assert len([i for i in kept if i.kind == "best"]) <= keep_best + 2
    assert len([i for i in kept if i.kind in ("regular", "final", "emergency")]) <= keep_last + 1
    assert prunable(kept, keep_last, keep_best, max_gib) == ()


@given(histories, st.floats(0.001, 5))
def test_a_bound_on_size_holds_as_far_as_what_must_stay_allows(items: list[Item], max_gib: float) -> None:
    kept = [item for item in items if item not in prunable(items, 100, 100, max_gib)]
    others = [item for item in kept[:-1] if item.kind in ("regular", "final", "emergency")]
    assert sum(item.size for item in kept) <= max_gib * GIB or not others


def test_what_checkpoints_share_counts_once_and_is_freed_with_the_last_that_needs_it() -> None:
    rows = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")]
    items = [Item(n, "regular", None, GIB, dict.fromkeys(names, GIB)) for n, names in enumerate(rows, 1)]
    assert room(items) == 9 * GIB
    numbers = {limit: [item.number for item in prunable(items, 9, 9, limit)] for limit in (9, 8, 7, 6, 4, 1)}
    assert numbers == {9: [], 8: [1], 7: [1], 6: [1, 2], 4: [1, 2, 3], 1: [1, 2, 3]}


def test_the_oldest_regular_ones_go_first() -> None:
    items = [Item(n, "regular", None, 1) for n in range(1, 8)]
    assert [item.number for item in prunable(items, 3, 1, 0)] == [1, 2, 3, 4]


def test_while_the_newest_is_damaged_the_one_before_stays(tmp_path: Path) -> None:
    store = CheckpointStore(new_session(tmp_path).path)
    for update in (1, 2, 3):
        save(store, update)
    state = tmp_path / "a" / "checkpoints" / "3-u3" / "state.pt"
    state.write_bytes(bytes(len(state.read_bytes())))
    assert store.prune(1, 1, 0) == ("checkpoints/1-u1",)
    assert store.newest_good().manifest.update == 2


class Histories(RuleBasedStateMachine):
    """Saves, kills, damage, resumes and prunings in any order, on a real disk."""

    @initialize(keep_last=st.integers(1, 3), keep_best=st.integers(1, 2), room=st.sampled_from([0, 1, 3, 6]))
    def begin(self, keep_last: int, keep_best: int, room: int) -> None:
        """`room`: for how many checkpoints of the usual size max_gib leaves room; 0 = no bound."""
        self.keep_last, self.keep_best, self.room = keep_last, keep_best, room
        self.root = tempfile.TemporaryDirectory()
        self.path = new_session(Path(self.root.name)).path
        self.store = CheckpointStore(self.path)
        self.update = 0
        self.numbers: set[int] = set()
        self.damaged: set[str] = set()
        self.kept_forever: set[str] = set()

    @rule(kind=st.sampled_from(KINDS), score=st.floats(0, 1))
    def save(self, kind: Any, score: float) -> None:
        self.update += 1
        manifest = save(self.store, self.update, kind, score)
        assert manifest.number not in self.numbers, "a number is never used twice"
        self.numbers.add(manifest.number)
        if kind in ("manual", "stage"):
            self.kept_forever.add(manifest.directory)

    @rule()
    def kill_in_a_save_and_resume(self) -> None:
        (self.path / "checkpoints" / f".tmp-{max(self.numbers, default=0) + 1}-u{self.update}").mkdir(exist_ok=True)
        self.store = CheckpointStore(self.path)

    @rule()
    def kill_and_resume(self) -> None:
        self.store = CheckpointStore(self.path)
        self.store.clean()

    @precondition(lambda self: len(self.store.manifests()) - len(self.damaged) > 1)
    @rule()
    def damage_the_newest(self) -> None:
        newest = self.store.manifests()[0]
        with open(self.path / "checkpoints" / newest.directory / "state.pt", "r+b") as file:
            file.seek(newest.size // 2)
            byte = file.read(1)[0]
            file.seek(newest.size // 2)
            file.write(bytes([byte ^ 1]))
        self.damaged ^= {newest.directory}

    @rule()
    def prune(self) -> None:
        before = self.store.manifests()
        verified = [m for m in before if m.directory not in self.damaged]
        best = self.store.best()
        max_gib = self.room * max((m.size for m in before), default=0) / GIB
        planned = [m.path for m in self.store.plan(self.keep_last, self.keep_best, max_gib)]
        gone = self.store.prune(self.keep_last, self.keep_best, max_gib)
        assert list(gone) == planned, "what was told is what is deleted"
        assert self.store.prune(self.keep_last, self.keep_best, max_gib) == (), "once is enough"
        after = {m.directory for m in self.store.manifests()}
        self.require_room(max_gib, verified[:1])
        assert {m.path for m in before} - {f"checkpoints/{name}" for name in after} == set(gone)
        assert {m.directory for m in (*before[:1], *verified[:1], *([best] if best else []))} <= after
        kinds = [m.kind for m in self.store.manifests()]
        assert sum(kind in ("regular", "final", "emergency") for kind in kinds) <= self.keep_last + 2
        assert kinds.count("best") <= self.keep_best + 3

    def require_room(self, max_gib: float, verified: Sequence[Any]) -> None:
        """Past max_gib only what must stay is left: the newest, the last verified, best, manual and stage ones."""
        left = self.store.manifests()
        if max_gib and sum(m.size for m in left) > max_gib * GIB:
            must_stay = {m.number for m in (*left[:1], *verified)}
            assert not [m for m in left if m.kind in ("regular", "final", "emergency") and m.number not in must_stay]

    @rule()
    def lose_power_in_a_prune(self) -> None:
        """Pruning renames first: what it left behind is no checkpoint, and is cleaned away at the next start."""
        doomed = self.store.plan(self.keep_last, self.keep_best, 0)
        for manifest in doomed[:1]:
            place = self.path / "checkpoints"
            os.rename(place / manifest.directory, place / f".pruned-{manifest.directory}")
        self.store = CheckpointStore(self.path)

    @rule()
    def load_the_newest_good(self) -> None:
        """Whatever happened, the newest checkpoint that was not damaged is what a resume gets."""
        good = [m for m in self.store.manifests() if m.directory not in self.damaged]
        if good:
            assert self.store.newest_good().manifest.number == good[0].number

    @invariant()
    def what_must_stay_is_there(self) -> None:
        if hasattr(self, "path"):
            assert self.kept_forever <= set(os.listdir(self.path / "checkpoints"))

    def teardown(self) -> None:
        if hasattr(self, "root"):
            self.root.cleanup()


Ordinary = Histories.TestCase
Ordinary.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_thousand_random_histories_keep_best_latest_and_last_verified() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=1000, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
