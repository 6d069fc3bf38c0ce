"""Choose VTracer's parameters for a picture: like the original, in few bytes. Needs the extra `vector`.

An episode is a picture and `attempts` tracings of it. The reward of an attempt is its score, see Worth, and after the
first one what it adds to the best so far: an episode's return is its best score. Where `task.reward` is gain, it is
tanh((score - score of VTracer's defaults) / GAIN) of the best, so that every picture weighs about the same. An attempt
at which VTracer fails ends the episode with the return FAILED, whatever came before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from tui_trainer.core.config import Settings
from tui_trainer.core.data import DataReport
from tui_trainer.core.protocols import Applied, Policy, Reset, Step, TaskSpec
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.data.batches import Batches
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
    loaded,
    require_same_data,
)
from tui_trainer.tasks.options import FINAL_SHARE, FinalShare, read_options
from tui_trainer.tasks.splits import recalled
from tui_trainer.tasks.vector import library as libraries
from tui_trainer.tasks.vector.applying import apply
from tui_trainer.tasks.vector.library import SHOWN, Library, Picture, Traces
from tui_trainer.tasks.vector.parameters import COUNT, DEFAULTS, Values, units_of, values_of
from tui_trainer.tasks.vector.results import FAILED, NOTHING, Best, Worth, comparison, result
from tui_trainer.tasks.vector.tracing import Traced

GAIN = 0.02
"""A score this far above that of VTracer's defaults is rewarded with tanh(1), where `task.reward` is gain."""
OUTCOMES = ("better", "worse", "even", "failed")
BETTER, WORSE, EVEN, BROKEN = 1, 2, 3, 4


class Options(Settings, frozen=True):
    """[task] of vectorize."""

    data: Annotated[str, Meta(description="Folder of pictures, category/name.png; empty = generated ones.")] = ""
    pixels: Annotated[int, Meta(ge=16, le=512, description="Longer side at which pictures are traced.")] = 64
    pictures: Annotated[int, Meta(ge=4, le=4096, description="Generated training pictures of each category.")] = 64
    held_out: Annotated[int, Meta(ge=4, le=4096, description="Generated held-out pictures of each category.")] = 40
    held_out_share: Annotated[float, Meta(gt=0, lt=1, description="Of a folder, the share held out.")] = 0.25
    picture_seed: Annotated[
        int, Meta(ge=0, le=2**31 - 1, description="Which pictures are generated, or held out of a folder.")
    ] = 0
    batch: Annotated[
        Literal["round_robin", "random", "least_evaluated"],
        Meta(description="Next picture: categories in turn, any, or the one traced least so far."),
    ] = "round_robin"
    attempts: Annotated[int, Meta(ge=1, le=16, description="Tracings of a picture in an episode.")] = 2
    byte_weight: Annotated[float, Meta(ge=0, le=1, description="SSIM that a doubling of the bytes costs.")] = 0.01
    byte_budget: Annotated[
        float, Meta(ge=0, le=100, description="Most bytes, in those of VTracer's defaults; 0 = no bound.")
    ] = 0.0
    reward: Annotated[
        Literal["score", "gain"],
        Meta(description="score: as it is; gain: how far above VTracer's defaults, -1 to 1, learned faster."),
    ] = "score"
    over_budget_weight: Annotated[float, Meta(ge=0, le=10, description="SSIM a doubling past the budget costs.")] = 0.2
    workers: Annotated[int, Meta(ge=0, le=256, description="Worker processes; 0 = one a core.")] = 0
    step_timeout_s: Annotated[float, Meta(gt=0, le=3600, description="A tracing that takes longer has failed.")] = 20.0
    final_share: FinalShare = FINAL_SHARE


def make(options: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> VectorizeTask:
    """`num_envs` pictures at a time. Observations (N, 25), actions (N, 8) in [0, 1]."""
    chosen = read_options(Options, options, "vectorize")
    return VectorizeTask(_library(chosen), chosen, num_envs, max_episode_steps)


def _library(options: Options) -> Library:
    if not options.data:
        return libraries.generated(options.picture_seed, options.pixels, options.pictures, options.held_out)
    source = Path(options.data).expanduser()
    return libraries.from_folder(
        source, options.pixels, options.held_out_share, options.picture_seed, options.workers, options.final_share
    )


_SHARED: dict[str, Traces] = {}
"""Tracings are the same whoever asks: tasks on the same pictures in a process share them, by the library's digest."""


class VectorizeTask:
    """Pictures in training, one an environment."""

    def __init__(self, library: Library, options: Options, num_envs: int, max_episode_steps: int) -> None:
        self._library, self._options = library, options
        self._limit = min(max_episode_steps or options.attempts, options.attempts)
        self._worth = Worth(options.byte_weight, options.byte_budget, options.over_budget_weight)
        self._traces = _shared(library, options)
        self._batches = Batches([each.category for each in library.train], options.batch)
        self._allowed = self._drawn_from(Difficulty())
        self._rng = generator_of(0)
        self._all: Bool = np.ones(num_envs, np.bool_)
        self._quiet: Small = np.zeros(num_envs, np.int8)
        self._pictures: Int = np.zeros(num_envs, np.int64)
        self._attempt: Int = np.zeros(num_envs, np.int64)
        self._last: Array = np.zeros((num_envs, COUNT))
        """Parameters of the last attempt; before the first, VTracer's defaults."""
        self._best: Array = np.zeros((num_envs, COUNT))
        self._spec = TaskSpec(
            id="vectorize",
            obs_shape=(OBSERVED,),
            obs_dtype="float32",
            action="box",
            n=COUNT,
            num_envs=num_envs,
            metric="win_rate",
            outcomes=OUTCOMES,
            parts=library.shown,
            action_low=0.0,
            action_high=1.0,
        )
        self._begun = False

    @property
    def spec(self) -> TaskSpec:
        """Fixed facts."""
        return self._spec

    @property
    def data_report(self) -> DataReport | None:
        """What of the user's folder is used; None for generated pictures."""
        return self._library.report

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Of the processes that trace."""
        return self._traces.pids

    # --- stepping --------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Reset:
        """A training picture for every environment."""
        self._rng = generator_of(seed)
        self._batches = Batches([each.category for each in self._library.train], self._options.batch)
        self._begin(np.arange(len(self._all)))
        return Reset(self._observe(), None, self._quiet)

    def _begin(self, rows: Int) -> None:
        self._begun = True
        self._pictures[rows] = self._batches.draw(len(rows), self._allowed, self._rng)
        self._attempt[rows] = 0
        self._last[rows] = self._best[rows] = DEFAULTS

    def step(self, action: Array) -> Step:
        """Trace every picture with the parameters of `action`, (N, 8) in [0, 1]."""
        self._require_begun()
        reward, failed, info = self._try(action)
        over = failed | (self._attempt == self._options.attempts)
        cut = (self._attempt == self._limit) & ~over
        outcome = np.where(over | cut, self._outcomes(failed), 0).astype(np.int8)
        obs = final_obs = self._observe()
        if (over | cut).any():
            self._begin(np.flatnonzero(over | cut))
            obs = self._observe()
        return Step(obs, reward, over, cut, final_obs, None, self._quiet, self._all, outcome, info=info)

    def _require_begun(self) -> None:
        if not self._begun:
            self.reset(0)

    def _try(self, action: Array) -> tuple[Float, Bool, dict[str, Array]]:
        """Attempts at all pictures: rewards (N,), which failed (N,), and what is told of the others."""
        values = values_of(np.asarray(action, np.float64))
        defaults, before = self._defaults(), self._scores(self._best)
        traced = self._traced(values)
        scores = np.array([self._worth.score(t, d) for t, d in zip(traced, defaults)])
        failed = np.array([t is None for t in traced])
        first = self._attempt == 0
        reward = self._rewards(scores, before, failed)
        improved = first | (scores > before)
        self._last = np.array(values)
        self._best = np.where(improved[:, None], self._last, self._best)
        self._attempt = self._attempt + 1
        return reward, failed, _told(traced, defaults)

    def _rewards(self, scores: Array, before: Array, failed: Bool) -> Float:
        """What each attempt adds to the return, (N,); an episode that fails returns FAILED."""
        base = self._base()
        if self._options.reward == "gain":
            scores, before = np.tanh((scores - base) / GAIN), np.tanh((before - base) / GAIN)
        before = np.where(self._attempt == 0, 0, before)
        added = np.where(self._attempt == 0, scores, np.maximum(scores - before, 0))
        return np.where(failed, FAILED - before, added).astype(np.float32)

    def _base(self) -> Array:
        """The defaults' scores, (N,)."""
        return np.array([self._worth.score(d, d) for d in self._defaults()])

    def _here(self) -> list[Picture]:
        return [self._library.train[i] for i in self._pictures.tolist()]

    def _traced(self, values: list[Values]) -> list[Traced | None]:
        return self._traces(self._here(), values)

    def _defaults(self) -> list[Traced]:
        return [each or NOTHING for each in self._traced([DEFAULTS] * len(self._pictures))]

    def _scores(self, values: Array) -> Array:
        """Of the tracings with these parameters, (N, 8) -> (N,)."""
        traced = self._traced([tuple(row) for row in values.tolist()])
        return np.array([self._worth.score(t, d) for t, d in zip(traced, self._defaults())])

    def _outcomes(self, failed: Bool) -> Small:
        found = np.full(len(failed), WORSE, np.int8)
        best = self._traced([tuple(row) for row in self._best.tolist()])
        for row, (traced, default) in enumerate(zip(best, self._defaults())):
            if failed[row]:
                found[row] = BROKEN
            elif self._worth.is_better(traced, default):
                found[row] = BETTER
            elif self._worth.is_even(traced, default):
                found[row] = EVEN
        return found

    def _observe(self) -> Float:
        """(N, 25): scores of the picture 9, the defaults' SSIM and bytes, how far the episode is, the last
        parameters 8, their SSIM and bytes against the defaults', the best score against theirs, budget 2.
        """
        defaults = self._defaults()
        last = self._traced([tuple(row) for row in self._last.tolist()])
        obs = np.zeros((len(defaults), OBSERVED), np.float32)
        obs[:, : len(SHOWN)] = [each.features for each in self._here()]
        obs[:, 9:11] = [(d.ssim, _log_bytes(d)) for d in defaults]
        obs[:, 11] = self._attempt / self._options.attempts
        obs[:, 12:20] = 2 * units_of([tuple(row) for row in self._last.tolist()]) - 1
        obs[:, 20:22] = [_against(t, d) for t, d in zip(last, defaults)]
        started = self._attempt > 0
        obs[:, 22] = np.where(started, 10 * (self._scores(self._best) - self._base()), 0)
        obs[:, 23] = self._options.byte_budget > 0
        obs[:, 24] = np.log2(self._options.byte_budget) if self._options.byte_budget else 0
        return np.clip(obs, -5, 5)

    # --- difficulty ------------------------------------------------------------------------------------------

    def difficulty_space(self) -> DifficultySpace | None:
        """Categories up to the level's, and the range of qualities that training pictures are drawn from."""
        first, *more = self._library.categories
        return DifficultySpace(
            levels=(first, *(f"+{name}" for name in more)), ranged=True, floor=0.3, step=0.05, unit="quality percentile"
        )

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """Draw the next episodes' pictures from these. Raises UsageError for a level or range that cannot be."""
        if not 0 <= difficulty.level < len(self._library.categories):
            raise UsageError(f"level {difficulty.level} is none of 0 to {len(self._library.categories) - 1}")
        if not 0 <= difficulty.low < difficulty.high <= 1:
            raise UsageError(f"[{difficulty.low}, {difficulty.high}] is no range of qualities")
        self._allowed = self._drawn_from(difficulty)

    def _drawn_from(self, difficulty: Difficulty) -> Bool:
        """Training pictures of the categories up to the level, in the range; of a category without any, its nearest."""
        allowed = np.zeros(len(self._library.train), np.bool_)
        quality = self._library.train_quality
        kinds = np.array([each.category for each in self._library.train])
        for name in self._library.categories[: difficulty.level + 1]:
            rows = np.flatnonzero(kinds == name)
            if not len(rows):
                continue
            inside = rows[(quality[rows] >= difficulty.low - 1e-9) & (quality[rows] <= difficulty.high + 1e-9)]
            nearest = rows[np.abs(quality[rows] - difficulty.low).argmin() :][:1]
            allowed[inside if len(inside) else nearest] = True
        return allowed

    # --- evaluation ------------------------------------------------------------------------------------------

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """Held-out pictures of a category; a win is a best attempt that beats VTracer's defaults.

        `extra`: SSIM, MSE, PSNR and bytes, beside those of the defaults; failed tracings; the share within the budget.
        """
        if part not in self._library.shown:
            raise UsageError(f"vectorize has no part {part!r}", f"it has {', '.join(self._library.shown)}")
        mine = [each for each in self._library.held_out if each.category == part]
        order = np.concatenate(
            [generator_of(seed, 1, k).permutation(len(mine)) for k in range(-(-episodes // len(mine)))]
        )
        return result(self.attempt(policy, [mine[i] for i in order[:episodes]]), self._worth)

    def final(self) -> VectorizeTask:
        """Evaluates on pictures that nothing else sees; in a category that has too few of them, on those held out."""
        kept = self._library.final()
        known = {each.category for each in kept}
        rest = tuple(each for each in self._library.held_out if each.category not in known)
        return VectorizeTask(self._library._replace(held_out=(*kept, *rest)), self._options, 1, self._limit)

    def attempt(self, policy: Policy, pictures: list[Picture]) -> list[Best]:
        """The best of the policy's attempts at each picture; training stands as it was."""
        return _Attempts(self._library, self._options, pictures, self._limit).run(policy)

    def apply(self, policy: Policy, source: Path, target: Path, pixels: int) -> Iterator[Applied]:
        """Trace a folder with what the policy chooses and write the SVGs; see tasks/vector/applying.py."""
        return apply(lambda picture: self._tried(policy, picture), self._worth, source, target, pixels, self._options)

    def _tried(self, policy: Policy, picture: Picture) -> list[Values]:
        other = _Attempts(self._library, self._options, [picture], self._limit)
        other.run(policy)
        return [tuple(row) for tried in other.tried for row in tried.tolist()]

    def baselines(self) -> dict[str, float]:
        """Win rates; the defaults never beat themselves."""
        return {"VTracer's defaults": 0.0}

    def reference_player(self) -> Unaided:
        """The player that feels the difficulty in the conformance kit."""
        return Unaided()

    # --- state -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, object]:
        """Everything that decides the next transition; the pictures themselves are named by their hash."""
        return {
            "pictures": self._pictures.copy(),
            "attempt": self._attempt.copy(),
            "last": self._last.copy(),
            "best": self._best.copy(),
            "allowed": self._allowed.copy(),
            "batches": self._batches.state(),
            "rng": generator_state(self._rng),
            "data": self._library.digest,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly. Raises DamagedSession where the pictures are others than it was made with."""
        self.recall_split(state)
        require_same_data(state, self._library.digest, "pictures", "restore the folder")
        self._pictures, self._attempt = (
            loaded(self._pictures, state, "pictures"),
            loaded(self._attempt, state, "attempt"),
        )
        self._last, self._best = loaded(self._last, state, "last"), loaded(self._best, state, "best")
        self._allowed = loaded(self._allowed, state, "allowed")
        self._batches.load(state["batches"])
        load_generator(self._rng, state["rng"])
        self._begun = True

    def recall_split(self, state: Mapping[str, Any]) -> bool:
        """Back to the split of the session that `state` is of: before there was a final share it was another one."""
        if self._options.data:
            earlier = msgspec.structs.replace(self._options, final_share=0.0)
            self._library = recalled(self._library, state, lambda: _library(earlier))
        return bool(state.get("data") == self._library.digest)

    def render_text(self, env: int) -> str:
        """The picture beside the best tracing of it so far, and their figures."""
        self._require_begun()
        values = tuple(self._best[env].tolist())
        found = self._traces([self._here()[env]] * 2, [values, DEFAULTS])
        picture, (traced, default) = self._here()[env], found
        return f"{picture.name}\n{comparison(Best(picture, values, traced, default or NOTHING))}"

    def close(self) -> None:
        """End the worker processes; another task on the same pictures starts its own when it needs them."""
        self._traces.close()


OBSERVED = len(SHOWN) + 16


class _Attempts(VectorizeTask):
    """Attempts at given pictures."""

    def __init__(self, library: Library, options: Options, pictures: list[Picture], limit: int) -> None:
        shown = library._replace(train=tuple(pictures), train_quality=np.ones(len(pictures)))
        super().__init__(shown, options, len(pictures), limit)
        self._pictures = np.arange(len(pictures))
        self._last[:] = self._best[:] = DEFAULTS
        self.tried: list[Array] = []
        """Parameters of every attempt, (N, 8) each."""

    def run(self, policy: Policy) -> list[Best]:
        for _ in range(self._limit):
            self._try(policy.act(self._observe(), None))
            self.tried.append(self._last)
        values = [tuple(row) for row in self._best.tolist()]
        return [Best(*each) for each in zip(self._here(), values, self._traced(values), self._defaults())]


class Unaided:
    """VTracer's defaults for every picture."""

    def act(self, obs: Array, mask: Bool | None) -> Array:
        """(N, 25) -> (N, 8) float32."""
        return np.repeat(units_of([DEFAULTS]), len(obs), axis=0)

    def probabilities(self, obs: Array, mask: Bool | None) -> Float:
        """Its action."""
        return self.act(obs, mask).astype(np.float32)

    def value(self, obs: Array) -> Float:
        """It expects nothing."""
        return np.zeros(len(obs), np.float32)


def _shared(library: Library, options: Options) -> Traces:
    key = f"{library.digest} {options.workers} {options.step_timeout_s}"
    if key not in _SHARED:
        if len(_SHARED) > 8:
            _SHARED.pop(next(iter(_SHARED))).close()
        _SHARED[key] = Traces(options.workers, options.step_timeout_s)
    return _SHARED[key]


def _told(traced: Sequence[Traced | None], defaults: Sequence[Traced]) -> dict[str, Array]:
    """SSIM and kilobytes of each tracing, and its bytes in those of the defaults; NaN where it failed."""
    nothing = (math.nan, math.nan, math.nan)
    rows = [(t.ssim, t.size / 1024, t.size / max(1.0, d.size)) if t else nothing for t, d in zip(traced, defaults)]
    return dict(zip(("ssim", "kilobytes", "bytes_to_defaults"), np.array(rows).T))


def _log_bytes(traced: Traced) -> float:
    return float(np.log2(max(1.0, traced.size) / 1024))


def _against(traced: Traced | None, default: Traced) -> tuple[float, float]:
    """SSIM times 10 and log2 of the bytes, against the defaults'."""
    if traced is None:
        return FAILED, FAILED
    return 10 * (traced.ssim - default.ssim), _log_bytes(traced) - _log_bytes(default)
