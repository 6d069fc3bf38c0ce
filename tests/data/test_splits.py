"""Splits and batches: stratified, leak-free, balanced, exact."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer.data.batches import Batches
from tui_trainer.data.splits import ALIKE, groups_of, split


def name(n: int) -> str:
    return hashlib.sha256(str(n).encode()).hexdigest()


def look(*values: int) -> str:
    return bytes(values).hex()


# --- splits -----------------------------------------------------------------------------------------------------


def test_every_category_gives_its_share() -> None:
    categories = ["a"] * 40 + ["b"] * 8 + ["c"] * 2
    found = split(categories, list(range(50)), [name(n) for n in range(50)], 0.25, seed=1)
    assert Counter(categories[i] for i in found.held_out) == {"a": 10, "b": 2, "c": 1}
    assert sorted((*found.train, *found.held_out)) == list(range(50))


def test_a_category_of_one_stays_in_training() -> None:
    assert split(["a", "b", "b"], [0, 1, 2], ["x", "y", "z"], 0.5, 0).train[0] == 0


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12)), max_size=60), st.floats(0.05, 0.9), st.integers()
)
def test_no_group_is_on_both_sides_and_nothing_is_lost(items: list[tuple[str, int]], share: float, seed: int) -> None:
    categories, groups = [c for c, _ in items], [g for _, g in items]
    found = split(categories, groups, [name(n) for n in range(len(items))], share, seed)
    assert sorted((*found.train, *found.held_out)) == list(range(len(items)))
    assert {groups[i] for i in found.train} & {groups[i] for i in found.held_out} == set()


def test_which_are_held_out_depends_on_content_and_seed_and_not_on_the_order() -> None:
    names = [name(n) for n in range(30)]
    one = {names[i] for i in split(["a"] * 30, list(range(30)), names, 0.3, 5).held_out}
    turned = names[::-1]
    assert {turned[i] for i in split(["a"] * 30, list(range(30)), turned, 0.3, 5).held_out} == one
    assert {names[i] for i in split(["a"] * 30, list(range(30)), names, 0.3, 6).held_out} != one


def test_looks_that_differ_little_everywhere_are_one_group_also_through_others() -> None:
    chain = [look(50, 50 + k * ALIKE, 90) for k in (2, 0, 1)]
    groups = groups_of([*chain, look(50, 200, 90), "", ""])
    assert groups[0] == groups[1] == groups[2]
    assert len({groups[0], groups[3], groups[4], groups[5]}) == 4
    apart = groups_of([look(50, 50, 50), look(50, 50, 51 + ALIKE)])
    assert apart[0] != apart[1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=25))
def test_groups_are_those_of_comparing_every_pair(points: list[tuple[int, int]]) -> None:
    groups = groups_of([look(*point) for point in points])
    linked = {i: {i} for i in range(len(points))}
    for _ in points:
        for i, a in enumerate(points):
            for j, b in enumerate(points):
                if max(abs(a[0] - b[0]), abs(a[1] - b[1])) <= ALIKE:
                    linked[i] |= linked[j]
    assert all((groups[i] == groups[j]) == (j in linked[i]) for i in linked for j in linked)


# --- batches ----------------------------------------------------------------------------------------------------

KINDS = ["a"] * 9 + ["b"] * 3


def test_round_robin_gives_every_category_the_same_and_every_item_a_turn() -> None:
    batches, rng = Batches(KINDS, "round_robin"), np.random.default_rng(1)
    drawn = batches.draw(18, np.ones(12, np.bool_), rng).tolist()
    assert Counter(KINDS[i] for i in drawn) == {"a": 9, "b": 9}
    assert Counter(drawn) == {**dict.fromkeys(range(9), 1), **dict.fromkeys(range(9, 12), 3)}


def test_least_evaluated_evens_out_what_was_drawn_unevenly() -> None:
    batches, rng = Batches(KINDS, "least_evaluated"), np.random.default_rng(1)
    batches.draw(30, np.arange(12) < 3, rng)
    late = batches.draw(90, np.ones(12, np.bool_), rng)
    assert Counter(late.tolist()) == dict.fromkeys(range(3, 12), 10)


def test_random_draws_any_with_the_same_chance() -> None:
    batches, rng = Batches(KINDS, "random"), np.random.default_rng(1)
    counts = np.bincount(batches.draw(12_000, np.ones(12, np.bool_), rng), minlength=12)
    assert counts.min() > 880
    assert counts.max() < 1120


@pytest.mark.parametrize("order", ["round_robin", "random", "least_evaluated"])
def test_only_what_is_allowed_is_drawn_and_a_saved_state_goes_on_alike(order: str) -> None:
    allowed = np.arange(12) % 2 == 0
    one, rng = Batches(KINDS, order), np.random.default_rng(3)  # type: ignore[arg-type]
    assert set(one.draw(50, allowed, rng).tolist()) == set(range(0, 12, 2))
    state, twin_rng = one.state(), np.random.default_rng()
    twin_rng.bit_generator.state = rng.bit_generator.state
    twin = Batches(KINDS, order)  # type: ignore[arg-type]
    twin.load(state)
    assert one.draw(40, allowed, rng).tolist() == twin.draw(40, allowed, twin_rng).tolist()
    with pytest.raises(ValueError, match="no item may be drawn"):
        one.draw(1, np.zeros(12, np.bool_), rng)
