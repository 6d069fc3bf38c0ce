"""The cache: known policies by hand, readers, workloads, the batched simulator, evaluation, state."""

from __future__ import annotations

import gzip
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_trainer import tasks
from tui_trainer.core.values import Difficulty
from tui_trainer.data import requests as files
from tui_trainer.errors import ConfigError, DamagedSession, UsageError
from tui_trainer.tasks.cache import BANDS, PlainLru
from tui_trainer.tasks.caching import policies
from tui_trainer.tasks.caching.policies import ONLINE, arc, belady, lfu, lru, s3_fifo, sieve
from tui_trainer.tasks.caching.simulator import (
    EVICT_IMPROBABLE,
    EVICT_OLD,
    FETCH_1,
    FETCH_3,
    KEEP,
    NOTHING,
    Caches,
)
from tui_trainer.tasks.caching.traces import (
    FINAL_SEGMENTS,
    LENGTH,
    Traces,
    generated,
    predictability,
    predictions,
    split_by_time,
)
from tui_trainer.tasks.playing import LinearPlayer, RandomPlayer, digest, play


def hits(policy: policies.Policy, requests: str, capacity: int) -> str:
    """`+` where a request hits, `.` where it misses; letters are objects."""
    found = policy([ord(letter) for letter in requests], capacity)
    return "".join("+" if hit else "." for hit in found)


# --- known policies ---------------------------------------------------------------------------------------------

TEXTBOOK = "70120304230321201701"
"""Silberschatz, Galvin and Gagne, Operating System Concepts: 12 faults for LRU and 9 for the optimum on 3 frames."""


def test_lru_and_belady_fault_as_often_as_the_textbook_says() -> None:
    assert hits(lru, TEXTBOOK, 3).count(".") == 12
    assert hits(belady, TEXTBOOK, 3).count(".") == 9
    assert hits(lru, "123412512345", 3).count(".") == 10
    assert hits(belady, "123412512345", 3).count(".") == 7


@pytest.mark.parametrize(
    ("policy", "requests", "capacity", "expected"),
    [
        (lru, "ABCADB", 3, "...+.."),  # D evicts B, the oldest
        (lfu, "AABCAB", 2, ".+..+."),  # C evicts B, used once; B evicts C
        (lfu, "ABCB", 2, "...+"),  # used once each: C evicts A, the older
        (belady, "ABCAB", 2, "...+."),  # C takes the place of B, which is asked for later than A
        (sieve, "ABCADBAEA", 3, "...+..+.+"),  # the hand passes A, evicts B; then C; then D
        (s3_fifo, "AAABCDBACEBA", 3, ".++....+...+"),  # A to main; B, C return from the ghosts; E evicts B from main
        (s3_fifo, "AABCDA", 3, ".+...."),  # asked for once more is too seldom: A goes to the ghosts
        (arc, "ABACBCAC", 2, "..+..+.+"),  # B returns from B1 (p = 1), A from B2 (p = 0)
        (arc, "AAABCCDEFDGEBDE", 4, ".++..+........."),  # B from B1 lifts p by |B2| / |B1| = 2, so that T2 gives E
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_policy_on_a_sequence_worked_by_hand(
    policy: policies.Policy, requests: str, capacity: int, expected: str
) -> None:
    assert hits(policy, requests, capacity) == expected


def test_belady_who_may_leave_an_object_out_hits_more_than_one_who_admits_everything() -> None:
    assert belady([0, 1, 0], 1) == [False, False, False]
    assert belady([0, 1, 0], 1, bypass=True) == [False, False, True]
    rng = np.random.default_rng(8)
    for capacity in (1, 3, 9):
        requests = rng.zipf(1.2, 800).clip(0, 80).tolist()
        assert sum(belady(requests, capacity)) < sum(belady(requests, capacity, bypass=True))


@pytest.mark.parametrize("name", ONLINE)
def test_no_policy_hits_more_than_belady_or_on_a_first_request(name: str) -> None:
    rng = np.random.default_rng(4)
    for capacity in (1, 2, 5, 17):
        requests = rng.zipf(1.3, 600).clip(0, 60).tolist()
        found = ONLINE[name](requests, capacity)
        assert sum(found) <= sum(belady(requests, capacity))
        first = {x: t for t, x in reversed(list(enumerate(requests)))}
        assert not any(found[t] for t in first.values())


@pytest.mark.parametrize("name", [*ONLINE, "Belady"])
def test_what_fits_is_never_missed_twice(name: str) -> None:
    policy = {**ONLINE, "Belady": belady}[name]
    assert sum(policy(list(range(10)) * 5, 10)) == 40


def test_a_loop_over_more_than_fits_never_hits_under_lru() -> None:
    requests = list(range(11)) * 8
    assert sum(lru(requests, 10)) == 0
    assert sum(belady(requests, 10)) > 50


# --- readers ----------------------------------------------------------------------------------------------------


def oracle_general(path: Path, ids: list[int]) -> Path:
    """24-byte records as libCacheSim lays them out: clock u32, id u64, size u32, next access i64."""
    following = [next((t for t in range(k + 1, len(ids)) if ids[t] == x), -1) for k, x in enumerate(ids)]
    records = [struct.pack("<IQIq", 100 + k, x, 10 + x % 5, n) for k, (x, n) in enumerate(zip(ids, following))]
    path.write_bytes(b"".join(records))
    return path


def test_oracle_general_records_are_24_bytes_in_libcachesims_order(tmp_path: Path) -> None:
    path = oracle_general(tmp_path / "a.oracleGeneral.bin", [2**63 + 7, 3, 2**63 + 7])
    assert path.stat().st_size == 72
    trace = files.read(path)
    assert trace.ids.tolist() == [0, 1, 0]
    assert trace.sizes.tolist() == [10 + (2**63 + 7) % 5, 13, 10 + (2**63 + 7) % 5]


def test_plain_ids_and_csv_name_the_same_objects(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x\n\nhello\nx\n")
    (tmp_path / "a.csv").write_text("time,ID,size\n1,x,5\n2,hello,7\n3,x,5\n")
    plain, table = files.read(tmp_path / "a.txt"), files.read(tmp_path / "a.csv")
    assert plain.ids.tolist() == table.ids.tolist() == [0, 1, 0]
    assert (plain.sizes.tolist(), table.sizes.tolist()) == ([1, 1, 1], [5, 7, 5])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.oracleGeneral", b"x" * 25, "25 bytes, no whole number of 24-byte records"),
        (
            "a.oracleGeneral",
            gzip.compress(b"\0" * 24 * 50, mtime=0) + b"?" * 24,
            "24-byte records|clock that runs back",
        ),
        ("a.oracleGeneral", bytes(range(256)) * 24, "clock that runs back"),
        ("a.txt", b"", "holds no requests"),
        ("a.txt", b"\xff\xfe\x00", "is no text"),
        ("a.csv", b"name\nx\n", "lacks the column id"),
        ("a.csv", b"id,size\nx,big\n", "line 2: 'big' is no size"),
        ("a.csv", b"size,id\n4\n", "line 2: 1 columns are too few"),
        ("a.csv", b"id\n" + b"x" * 200_000, "is no text"),
        ("a.txt", b"x\n" * 2000, "too few for training"),
    ],
)
def test_what_is_no_trace_is_refused_with_its_reason(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=words):
        tasks.make("cache", {"data": str(tmp_path / name)}, 1)


def test_a_trace_that_is_not_there_and_an_unknown_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no file"):
        tasks.make("cache", {"data": str(tmp_path / "none")}, 1)
    with pytest.raises(ConfigError, match=r"task\.format"):
        tasks.make("cache", {"format": "parquet"}, 1)


def test_a_users_trace_is_trained_on_but_for_its_end_and_an_embargo(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = oracle_general(tmp_path / "a.oracleGeneral", rng.zipf(1.2, 8 * 1024).clip(0, 400).tolist()[:8200])
    task: Any = tasks.make("cache", {"data": str(path)}, 4)
    assert len(task._library.train.requests) == 5
    assert len(task._library.held_out.requests) == 2
    part = task.evaluate(PlainLru(), part="0.30-0.50", episodes=2, seed=1)
    assert part.extra["demand_hit_ratio"] == pytest.approx(part.extra["hit_ratio LRU"])


# --- workloads --------------------------------------------------------------------------------------------------


def test_every_known_policys_hit_ratio_falls_with_the_quality_of_the_segments() -> None:
    held_out = generated(0, 32).held_out
    means = []
    for low, high in ((0.75, 1.0), (0.5, 0.75), (0.25, 0.5), (0.0, 0.25)):
        known = [held_out.baselines(s) for s in range(*held_out.between(low, high))]
        means.append([*np.mean([list(k.online.values()) for k in known], axis=0), np.mean([k.bound for k in known])])
    assert (np.diff(np.array(means), axis=0) < -0.02).all(), np.round(means, 3)


def test_predictability_is_high_for_a_loop_and_low_for_what_never_returns() -> None:
    loop, scan = np.arange(1024) % 20, np.arange(1024)
    noise = np.random.default_rng(1).integers(0, 500, 1024)
    assert predictability(loop) > 0.95
    assert predictability(scan) < 0.05
    assert predictability(scan) < predictability(noise) < predictability(loop)


def test_predictions_know_successors_by_their_counts_and_nothing_of_the_future() -> None:
    requests = np.array([[0, 1, 0, 1, 0, 2, 0, 3, 3, 3]], np.int16)
    ids, shares = predictions(requests, 4)
    assert ids[0, 0].tolist() == [-1] * 5
    assert (ids[0, 2, 0], shares[0, 2, 0]) == (1, pytest.approx(1 / 1.5))
    assert ids[0, 6, :2].tolist() == [1, 2]
    assert shares[0, 6, :2] == pytest.approx([2 / 3.5, 1 / 3.5])
    other = requests.copy()
    other[0, 7:] = 1
    assert np.array_equal(predictions(other, 4)[0][:, :7], ids[:, :7])
    assert np.array_equal(predictions(other, 4)[1][:, :7], shares[:, :7])


# --- the simulator ----------------------------------------------------------------------------------------------


def traces_of(*rows: list[int], capacity: int) -> Traces:
    """Segments whose requests begin with these and repeat them."""
    requests = np.stack([np.resize(row, LENGTH) for row in rows]).astype(np.int16)
    return Traces(requests, np.zeros(requests.shape, np.float32), np.linspace(0.1, 1, len(rows)), capacity)


def caches_of(*rows: list[int], capacity: int) -> Caches:
    caches = Caches(traces_of(*rows, capacity=capacity), len(rows))
    caches.begin(caches.rows, np.arange(len(rows)))
    return caches


def drive(caches: Caches, choose: Any, steps: int = LENGTH - 1) -> list[bool]:
    """Whether each request from the second on hits; `choose(object)` is the action, nothing where it is illegal."""
    found = []
    for _ in range(steps):
        wish = np.array([choose(int(x)) for x in caches.request])
        action = np.where(caches.mask()[caches.rows, wish], wish, NOTHING)
        caches.act(action)
        found.append(bool(caches.is_hit[0]))
    return found


def test_doing_nothing_is_lru_request_by_request() -> None:
    held_out = generated(0, 32).held_out
    caches = Caches(held_out, 6)
    caches.begin(caches.rows, np.arange(6) * 80)
    found = []
    for _ in range(LENGTH - 1):
        caches.act(np.zeros(6, np.int64))
        found.append(caches.is_hit.copy())
    for env in range(6):
        assert [bool(row[env]) for row in found] == lru(held_out.requests[env * 80].tolist(), 32)[1:]


def test_keeping_some_of_a_loop_hits_on_them_where_lru_never_hits() -> None:
    loop = list(range(12))
    assert not any(drive(caches_of(loop, capacity=8), lambda x: NOTHING))
    found = drive(caches_of(loop, capacity=8), lambda x: KEEP if x < 6 else NOTHING)
    assert found == [t >= 12 and t % 12 < 6 for t in range(1, LENGTH)]


def test_evicting_the_improbable_keeps_what_is_asked_for_often_through_a_scan() -> None:
    requests = [0, 1] * 50 + list(range(2, 102)) + [0, 1]
    kept = drive(caches_of(requests, capacity=4), lambda x: EVICT_IMPROBABLE, len(requests) - 1)
    lost = drive(caches_of(requests, capacity=4), lambda x: NOTHING, len(requests) - 1)
    assert kept[-2:] == [True, True]
    assert lost[-2:] == [False, False]


def test_a_batch_evicts_the_oldest_eighth_and_never_the_object_asked_for() -> None:
    caches = caches_of([*range(16), 15, 0, 1, 2], capacity=16)
    drive(caches, lambda x: NOTHING, 16)
    caches.act(np.array([EVICT_OLD]))
    assert set(range(18)) - set(caches.held[0].tolist()) == {0, 1, 16, 17}
    assert not caches.is_hit[0]


def test_a_prefetch_needs_a_probable_successor_that_is_not_cached() -> None:
    loop = list(range(12))
    caches = caches_of(loop, capacity=4)
    drive(caches, lambda x: NOTHING, 12)
    assert caches.mask()[0].tolist() == [True, True, False, True, True, True, True]  # one sighting: p = 2/3
    drive(caches, lambda x: NOTHING, 12)
    assert caches.mask()[0, FETCH_1]  # two sightings: p = 4/5
    assert caches.act(np.array([FETCH_1])).tolist() == [1]
    assert (bool(caches.is_hit[0]), bool(caches.was_fetched[0])) == (True, True)
    assert (int(caches.hits[0]), int(caches.fetched_hits[0]), int(caches.prefetches[0])) == (0, 1, 1)
    assert caches.act(np.array([NOTHING])).tolist() == [0]
    assert not caches.fetched[0].any(), "asked for, it counts as cached on demand"


def test_the_first_cache_of_all_has_nothing_to_prefetch() -> None:
    caches = caches_of([0, 1, 2], capacity=4)
    assert caches.mask()[0].tolist() == [True, True, False, False, False, False, False]


def test_places_and_contents_agree_whatever_is_done() -> None:
    task: Any = tasks.make("cache", {}, 24)
    start = task.reset(4)
    for step in play(task, RandomPlayer(task.spec, 2), start.obs, start.mask, 700):
        caches = task._caches
        assert (step.mask[:, 0]).all()
        for env in range(0, 24, 6):
            held = caches.held[env]
            real = np.flatnonzero(held >= 0)
            assert len(set(held[real].tolist())) == len(real)
            assert (caches.place[env, held[real]] == real).all()
            assert (caches.place[env] >= 0).sum() == len(real)


def test_the_reward_is_a_hit_less_the_cost_of_what_was_fetched() -> None:
    task: Any = tasks.make("cache", {"fetch_cost": 0.25}, 32)
    start = task.reset(4)
    before, seen = task._caches.prefetches.copy(), set()
    for step in play(task, RandomPlayer(task.spec, 2), start.obs, start.mask, 600):
        fetched = task._caches.prefetches - before
        assert step.reward == pytest.approx(task._caches.is_hit - 0.25 * fetched)
        before = task._caches.prefetches.copy()
        seen |= set(fetched.tolist())
    assert seen >= {0, 1, 2}


def test_the_gain_is_the_reward_less_what_plain_lru_hits_on_the_same_requests() -> None:
    """Whatever is done, over a segment the two differ by what no action changes; and doing nothing gains nothing."""
    hits, gain, idle = (tasks.make("cache", {"reward": each}, 3) for each in ("hits", "gain", "gain"))
    (obs, mask, _), player, sums = hits.reset(4), RandomPlayer(hits.spec, 1), np.zeros((2, 3))
    gain.reset(4)
    idle.reset(4)
    segments, requests = hits._caches.segment.tolist(), hits._library.train.requests
    for _ in range(LENGTH - 1):
        action = player.act(obs, mask)
        steps = hits.step(action), gain.step(action)
        obs, mask = steps[0].obs, steps[0].mask
        sums += [step.reward for step in steps]
        assert not idle.step(np.full(3, NOTHING)).reward.any()
    assert sums[0] - sums[1] == pytest.approx([sum(lru(requests[s].tolist(), 32)) for s in segments])
    assert sums[0].tolist() != sums[1].tolist()


def test_the_observation_holds_nothing_of_later_requests() -> None:
    row = generated(0, 32).held_out.requests[100].tolist()
    other = row[:600] + row[599::-1][: LENGTH - 600]
    one, twin = caches_of(row, capacity=32), caches_of(other, capacity=32)
    from tui_trainer.tasks.caching.observations import Watcher

    watchers = [Watcher(one), Watcher(twin)]
    for t in range(610):
        obs = [watcher.observe() for watcher in watchers]
        assert np.array_equal(*obs) == (t < 600) or t > 600, t
        action = np.array([KEEP if t % 3 else EVICT_IMPROBABLE]) if t > 2 else np.array([NOTHING])
        for caches, watcher in zip((one, twin), watchers):
            likely = watcher.before(action)
            watcher.after(likely, caches.act(action))


# --- the task ---------------------------------------------------------------------------------------------------


def test_the_spec_names_60_observations_and_7_masked_actions() -> None:
    spec = tasks.make("cache", {}, 3).spec
    assert (spec.obs_shape, spec.n, spec.masked, spec.metric) == ((60,), 7, True, "win_rate")


def test_a_masked_action_and_one_that_is_none_are_refused() -> None:
    task = tasks.make("cache", {}, 2)
    task.reset(1)
    with pytest.raises(UsageError, match="action 3 is illegal in environment 1"):
        task.step(np.array([0, FETCH_3]))
    with pytest.raises(UsageError, match="action 7 is illegal in environment 0"):
        task.step(np.array([7, 0]))


def test_lru_closes_none_of_the_gap_and_wins_nowhere() -> None:
    part = tasks.make("cache", {}, 1).evaluate(PlainLru(), part="0.70-1.00", episodes=40, seed=1)
    assert part.win_rate == 0
    assert part.extra["gap_closed"] == pytest.approx(0)
    assert part.extra["demand_hit_ratio"] == pytest.approx(part.extra["hit_ratio LRU"])
    assert part.extra["net_hit_ratio"] == pytest.approx(part.extra["demand_hit_ratio"])
    best = max(value or 0 for name, value in part.extra.items() if name.startswith("hit_ratio") and "Bel" not in name)
    assert best < (part.extra["hit_ratio Belady"] or 0)


def test_no_demand_hit_ratio_is_above_beladys_even_with_prefetching() -> None:
    task: Any = tasks.make("cache", {}, 1)
    for player in (RandomPlayer(task.spec, 1), LinearPlayer(task.spec, 2)):
        segments = task.held_out("0.70-1.00", 30, 3)
        demand = task.play(player, segments).demand()
        bounds = [task._library.held_out.baselines(int(s)).bound for s in segments]
        assert (demand <= np.array(bounds) + 1e-9).all()


def test_the_range_says_which_segments_are_drawn_from_the_next_episode_on() -> None:
    task: Any = tasks.make("cache", {}, 64)
    quality = task._library.train.quality
    task.set_difficulty(Difficulty(low=0.3, high=0.5))
    assert quality[task._caches.segment].min() >= 0.7
    for _ in range(LENGTH):
        step = task.step(np.zeros(64, np.int64))
    assert step.terminated.all()
    drawn = quality[task._caches.segment]
    assert (drawn.min() >= 0.3, drawn.max() <= 0.5) == (True, True)


@pytest.mark.parametrize("wish", [Difficulty(level=1), Difficulty(low=0.9, high=0.4)])
def test_an_impossible_difficulty_and_part_are_refused(wish: Difficulty) -> None:
    task = tasks.make("cache", {}, 1)
    with pytest.raises(UsageError):
        task.set_difficulty(wish)
    with pytest.raises(UsageError, match="has no part 'all'"):
        task.evaluate(PlainLru(), part="all", episodes=2, seed=1)


def test_the_final_evaluation_has_segments_of_its_own() -> None:
    library = generated(0, 32)
    seen, kept = (library.train, library.held_out), library.final()
    rows = [{row.tobytes() for row in traces.requests} for traces in (*seen, kept)]
    assert len(rows[2]) == FINAL_SEGMENTS
    assert not rows[2] & (rows[0] | rows[1])
    task: Any = tasks.make("cache", {}, 2)
    for low, high in BANDS.values():
        assert np.diff(kept.between(low, high))[0] >= 60  # as many as the preset's final evaluation asks for, or near
    same = task.final().evaluate(PlainLru(), part="0.70-1.00", episodes=40, seed=7)
    assert same.extra["gap_closed"] == pytest.approx(0)
    assert same != task.evaluate(PlainLru(), part="0.70-1.00", episodes=40, seed=7)


@pytest.mark.parametrize("count", [3, 8, 11, 12, 16, 40, 1000])
def test_a_trace_is_split_in_the_order_of_time_with_an_embargo_before_each_part(count: int) -> None:
    split = split_by_time(count, 0.33)
    train, held_out = split.train, split.held_out
    assert held_out[0] - train[-1] == 2
    if split.final is None:
        assert count < 12
        assert held_out[-1] == count - 1
    else:
        assert split.final[0] - held_out[-1] == 2
        assert split.final[-1] == count - 1
        assert len(split.final) == pytest.approx(0.33 * (count - held_out[0]), abs=1)
    assert split_by_time(count, 0.0).held_out[-1] == count - 1


def test_a_session_from_before_the_final_share_goes_on_with_the_split_it_began_with(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "trace.csv"
    path.write_text("id\n" + "\n".join(map(str, rng.integers(0, 80, 16 * LENGTH))))
    before: Any = tasks.make("cache", {"data": str(path), "final_share": 0}, 2)
    now: Any = tasks.make("cache", {"data": str(path)}, 2)
    assert (before.data_report.split, now.data_report.split) == (
        {"training": 11, "held out": 4},
        {"training": 11, "held out": 2, "final": 1},
    )
    results = [
        [each.evaluate(PlainLru(), part="0.70-1.00", episodes=4, seed=1) for each in (task, task.final())]
        for task in (before, now)
    ]
    before.reset(1)
    now.load_state_dict(before.state_dict())
    after = [each.evaluate(PlainLru(), part="0.70-1.00", episodes=4, seed=1) for each in (now, now.final())]
    assert after == results[0] != results[1]
    assert digest(now.state_dict()) == digest(before.state_dict())


def test_the_seed_chooses_the_held_out_segments_and_none_comes_twice_while_it_can() -> None:
    task: Any = tasks.make("cache", {}, 1)
    first, other = task.held_out("0.70-1.00", 40, 1), task.held_out("0.70-1.00", 40, 2)
    assert len(set(first.tolist())) == 40
    assert not np.array_equal(first, other)
    assert len(task.held_out("0.50-0.70", 400, 1)) == 400


def test_a_state_goes_on_only_with_the_requests_it_was_made_with() -> None:
    state = tasks.make("cache", {}, 2).state_dict()
    with pytest.raises(DamagedSession, match="the requests are not those"):
        tasks.make("cache", {"capacity": 16}, 2).load_state_dict(state)


def test_a_state_keeps_the_range_for_episodes_to_come() -> None:
    one, other = tasks.make("cache", {}, 3, 20), tasks.make("cache", {}, 3, 20)
    one.set_difficulty(Difficulty(low=0.3, high=0.4))
    other.load_state_dict(one.state_dict())
    for task in (one, other):
        for _ in range(25):
            task.step(np.zeros(3, np.int64))
    assert digest(one.state_dict()) == digest(other.state_dict())


def test_the_picture_tells_hits_contents_and_the_last_action() -> None:
    task = tasks.make("cache", {}, 1)
    task.reset(1)
    for _ in range(50):
        task.step(np.ones(1, np.int64))
    lines = task.render_text(0).splitlines()
    assert lines[0].startswith("request   51 of 1024")
    assert lines[0].endswith("did: keep")
    assert "+" in lines[3]
    assert max(map(len, lines)) < 80


@pytest.mark.long
def test_raw_speed_at_256_caches() -> None:
    """The goal is 200,000 requests a second of processor time; the bound leaves room for a machine with cold caches."""
    task = tasks.make("cache", {}, 256)
    last: Any = task.reset(1)
    player = RandomPlayer(task.spec, 1)
    best = 0.0
    for _ in range(5):
        spent = 0.0
        for _ in range(100):
            action = player.act(last.obs, last.mask)
            begun = time.process_time()
            last = task.step(action)
            spent += time.process_time() - begun
        best = max(best, 100 * 256 / spent)
    assert best > 100_000
