"""Manage a cache: for each request keep, prefetch or evict, so that the next requests hit.

An episode is a segment of 1,024 requests on a cache that is empty at first. The reward of an action is 1 where the next
request hits, less `fetch_cost` for every object that it prefetched. Objects are of unit size. With `reward = "gain"` it
is less 1, too, where plain LRU hits: what is best to do stays the same, since LRU's hits depend on the requests alone,
and most of the noise of what the requests happen to be is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from tui_trainer.core.config import Settings
from tui_trainer.core.data import DataReport
from tui_trainer.core.protocols import Policy, Reset, Step, TaskSpec
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import (
    Array,
    Bool,
    Float,
    Int,
    Small,
    generator_of,
    generator_state,
    load_generator,
    require_legal,
    require_same_data,
)
from tui_trainer.tasks.caching import traces
from tui_trainer.tasks.caching.observations import COUNT, Watcher, load_watcher, watcher_state
from tui_trainer.tasks.caching.results import Counts, picture, result
from tui_trainer.tasks.caching.simulator import ACTIONS, NOTHING, Caches
from tui_trainer.tasks.caching.traces import LENGTH, Library, Traces
from tui_trainer.tasks.options import FINAL_SHARE, FinalShare, read_options
from tui_trainer.tasks.splits import recalled

BANDS = {"0.70-1.00": (0.7, 1.0), "0.50-0.70": (0.5, 0.7), "0.30-0.50": (0.3, 0.5)}
"""Parts of the evaluation: qualities of held-out segments."""
SPACE = DifficultySpace(ranged=True, floor=0.3, step=0.05, unit="predictability percentile")


class Options(Settings, frozen=True):
    """[task] of cache."""

    data: Annotated[str, Meta(description="Trace file; empty = generated workloads.")] = ""
    format: Annotated[
        Literal["auto", "plain", "csv", "oracle_general"], Meta(description="Of the file; auto: by its name.")
    ] = "auto"
    workload_seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="Which workloads are generated.")] = 0
    capacity: Annotated[int, Meta(ge=4, le=512, description="Objects that the cache holds.")] = 32
    fetch_cost: Annotated[float, Meta(ge=0, le=10, description="Cost of an object prefetched, in hits.")] = 0.5
    reward: Annotated[
        Literal["hits", "gain"], Meta(description="What an action earns: hits, or hits beyond those of plain LRU.")
    ] = "hits"
    final_share: FinalShare = FINAL_SHARE


def make(options: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> CacheTask:
    """`num_envs` caches. Observations (N, 60), see tasks/caching/observations.py."""
    chosen = read_options(Options, options, "cache")
    return CacheTask(_library(chosen), chosen, num_envs, max_episode_steps)


def _library(options: Options) -> Library:
    if options.data:
        path = Path(options.data).expanduser()
        return traces.from_file(path, options.format, options.capacity, options.final_share)
    return traces.generated(options.workload_seed, options.capacity)


class CacheTask:
    """Caches on training segments."""

    def __init__(self, library: Library, options: Options, num_envs: int, max_episode_steps: int) -> None:
        self._library, self._options = library, options
        self._limit = min(max_episode_steps or LENGTH, LENGTH)
        self._range = library.train.between(Difficulty().low, Difficulty().high)
        self._rng = generator_of(0)
        self._caches = Caches(library.train, num_envs)
        self._watcher = Watcher(self._caches)
        self._quiet: Small = np.zeros(num_envs, np.int8)
        self._all: Bool = np.ones(num_envs, np.bool_)
        self._spec = TaskSpec(
            id="cache",
            obs_shape=(COUNT,),
            obs_dtype="float32",
            action="discrete",
            n=len(ACTIONS),
            num_envs=num_envs,
            masked=True,
            metric="win_rate",
            parts=tuple(BANDS),
        )
        self.reset(0)

    @property
    def spec(self) -> TaskSpec:
        """Fixed facts."""
        return self._spec

    @property
    def data_report(self) -> DataReport | None:
        """What of the user's trace is used; None for generated workloads."""
        return self._library.report

    # --- stepping --------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Reset:
        """A training segment of the present quality range for every cache."""
        self._rng = generator_of(seed)
        self._begin(self._caches.rows)
        self._legal = self._caches.mask()
        return Reset(self._watcher.observe(), self._legal, self._quiet)

    def _begin(self, rows: Int) -> None:
        self._caches.begin(rows, self._rng.integers(*self._range, len(rows)))
        self._watcher.begin(rows)

    def step(self, action: Array) -> Step:
        """Serve the present request by `action`, (N,). Raises UsageError for one that is masked."""
        reward, fetched = self.serve(np.asarray(action))
        info = {"hit_ratio": self._caches.is_hit.copy(), "prefetches": fetched}
        over, cut = self._caches.t == LENGTH, self._caches.t == self._limit
        obs = self._watcher.observe()
        final_obs = obs
        if cut.any():
            self._begin(np.flatnonzero(cut))
            obs = self._watcher.observe()
        self._legal = self._caches.mask()
        quiet = self._quiet
        return Step(obs, reward, over, cut & ~over, final_obs, self._legal, quiet, self._all, quiet, info=info)

    def serve(self, action: Array) -> tuple[Float, Array]:
        """Move every cache on by one request; the rewards (N,), and how many objects each prefetched (N,)."""
        require_legal("cache", action, self._legal)
        likely = self._watcher.before(action)
        fetched = self._caches.act(action)
        self._watcher.after(likely, fetched)
        earned = self._caches.is_hit - self._options.fetch_cost * fetched
        if self._options.reward == "gain":
            earned = earned - self._caches.is_hit_of_lru()
        return earned.astype(np.float32), fetched

    # --- difficulty ------------------------------------------------------------------------------------------

    def difficulty_space(self) -> DifficultySpace | None:
        """The range of qualities that training segments are drawn from."""
        return SPACE

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """Draw the next episodes' segments from the qualities [low, high]. Raises UsageError for another level."""
        if difficulty.level != 0:
            raise UsageError("cache has no levels", "its difficulty is the range [difficulty.low, difficulty.high]")
        if not 0 <= difficulty.low < difficulty.high <= 1:
            raise UsageError(f"[{difficulty.low}, {difficulty.high}] is no range of qualities")
        self._range = self._library.train.between(difficulty.low, difficulty.high)

    # --- evaluation ------------------------------------------------------------------------------------------

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """Held-out segments of a band; a win is a net hit ratio above the best of the five online policies' there.

        `extra`: demand hit ratio, net hit ratio (hits less the cost of prefetching), prefetches a request, the share of
        the gap between LRU and Belady that the demand hits close, and every known policy's hit ratio.
        """
        segments = self.held_out(part, episodes, seed)
        counts = self.play(policy, segments)
        known = [self._library.held_out.baselines(int(s)) for s in segments]
        return result(counts, known, self._options.fetch_cost, segments)

    def held_out(self, part: str, episodes: int, seed: int) -> Int:
        """Held-out segments of a band, chosen by the seed, none twice while it can."""
        if part not in BANDS:
            raise UsageError(f"cache has no part {part!r}", f"it has {', '.join(BANDS)}")
        first, last = self._library.held_out.between(*BANDS[part])
        rng = generator_of(seed, 1)
        rounds = -(-episodes // (last - first))
        order = np.concatenate([rng.permutation(np.arange(first, last)) for _ in range(rounds)])
        chosen: Int = order[:episodes]
        return chosen

    def play(self, policy: Policy, segments: Int) -> Counts:
        """The policy on held-out segments, in caches of their own."""
        return _Player(self._library.held_out, self._library, self._options, segments, self._limit).run(policy)

    def final(self) -> CacheTask:
        """Evaluates on segments that nothing else sees."""
        kept = self._library._replace(held_out=self._library.final())
        return CacheTask(kept, self._options, 1, self._limit)

    def baselines(self) -> dict[str, float]:
        """Win rates; a known policy is never above the best of them."""
        return {"best of five": 0.0}

    def bound(self) -> float:
        """Belady's win rate: the share of held-out segments on which the optimum is above the best of the five."""
        held_out = self._library.held_out
        known = [held_out.baselines(s) for band in BANDS.values() for s in range(*held_out.between(*band))]
        return sum(baselines.bound > baselines.best for baselines in known) / len(known)

    def reference_player(self) -> PlainLru:
        """The player that feels the difficulty in the conformance kit."""
        return PlainLru()

    # --- state -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, object]:
        """Everything that decides the next transition; the requests themselves are named by their hash."""
        return {
            "caches": self._caches.state(),
            "watcher": watcher_state(self._watcher),
            "range": [int(edge) for edge in self._range],
            "rng": generator_state(self._rng),
            "data": self._library.digest,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly. Raises DamagedSession where the requests are others than it was made with."""
        self.recall_split(state)
        require_same_data(state, self._library.digest, "requests", "restore its trace file")
        self._caches.load(state["caches"])
        load_watcher(self._watcher, state["watcher"])
        first, last = state["range"]
        self._range = int(first), int(last)
        load_generator(self._rng, state["rng"])
        self._legal = self._caches.mask()

    def recall_split(self, state: Mapping[str, Any]) -> bool:
        """Back to the split of the session that `state` is of: before there was a final share it was another one."""
        if self._options.data:
            earlier = msgspec.structs.replace(self._options, final_share=0.0)
            self._library = recalled(self._library, state, lambda: _library(earlier))
        return bool(state.get("data") == self._library.digest)

    def render_text(self, env: int) -> str:
        """Hits so far, what the cache holds, the last action."""
        return picture(Counts.of(self._caches), self._caches, int(self._watcher.action[env]), env)

    def close(self) -> None:
        """Nothing is held open."""


class _Player(CacheTask):
    """Caches on given segments of other traces."""

    def __init__(self, held_out: Traces, library: Library, options: Options, segments: Int, limit: int) -> None:
        super().__init__(library._replace(train=held_out), options, len(segments), limit)
        self._caches.begin(self._caches.rows, segments)
        self._watcher.begin(self._caches.rows)
        self._legal = self._caches.mask()

    def run(self, policy: Policy) -> Counts:
        for _ in range(self._limit - 1):
            self.serve(np.asarray(policy.act(self._watcher.observe(), self._legal)))
            self._legal = self._caches.mask()
        return Counts.of(self._caches)


class PlainLru:
    """Does nothing: the cache is a plain LRU."""

    def act(self, obs: Array, mask: Bool | None) -> Array:
        """(N, 60) -> (N,) int64."""
        return np.full(len(obs), NOTHING)

    def probabilities(self, obs: Array, mask: Bool | None) -> Float:
        """1 for its action."""
        found: Float = np.eye(len(ACTIONS), dtype=np.float32)[self.act(obs, mask)]
        return found

    def value(self, obs: Array) -> Float:
        """It expects nothing."""
        return np.zeros(len(obs), np.float32)
