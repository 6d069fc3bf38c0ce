"""Any Gymnasium environment by its id: `gym:CartPole-v1`. Needs the extra `gym`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import FlattenObservation
from msgspec import Meta

from tui_trainer.core.config import Settings, nearest
from tui_trainer.core.protocols import Policy, Reset, Step, TaskSpec
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.errors import DamagedSession, MissingExtra, TaskFailed, UsageError
from tui_trainer.tasks import gym_info, gym_state
from tui_trainer.tasks.arrays import Array, Bool, generator_of, loaded, require_legal
from tui_trainer.tasks.failures import broken
from tui_trainer.tasks.gym_failures import Breakable, marked
from tui_trainer.tasks.gym_pictures import picture
from tui_trainer.tasks.options import read_options
from tui_trainer.tasks.spaces import Looked, Views, actions_of, planes_are_last
from tui_trainer.tasks.statistics import normal

_WAVE = {"vector": 128, "sync": 32}
"""Evaluation episodes played side by side."""
_MOST_STEPS = 2_000
"""An evaluation's episode is cut after this many steps where the environment names no limit: some never end."""
FLOOR = 0.3
_NAMESPACES = {"ALE": "ale_py"}
"""Modules that register the environments of a namespace."""
_NEEDS = {
    "Box2D": 'install it with: pip install "tui-trainer[box2d]"',
    "mujoco": 'install it with: pip install "tui-trainer[mujoco]"',
    "imageio": 'install it with: pip install "tui-trainer[mujoco]"',
    "ale_py": "install it with: pip install ale-py; it is under the GPL, so that the choice is yours",
}
"""What to do where a library is absent that an environment needs."""


class Options(Settings, frozen=True):
    """[task] of a Gymnasium environment."""

    vectorization: Annotated[
        Literal["auto", "vector", "sync"],
        Meta(description="vector: the environment's own batched form; sync: one after the other; auto: whichever is."),
    ] = "auto"
    autoreset: Annotated[
        Literal["same_step", "next_step", "disabled"],
        Meta(description="When a finished environment of `sync` starts anew; a batched form has its own way."),
    ] = "same_step"
    masks: Annotated[
        bool, Meta(description="Choose only among the actions that an environment names as its action_mask.")
    ] = True
    kwargs: Annotated[dict[str, Any], Meta(description="The environment's own arguments, as task.kwargs.NAME.")] = {}


def make(name: str, options: Mapping[str, Any], num_envs: int, max_episode_steps: int) -> GymTask:
    """`num_envs` environments. Raises UsageError for an unknown id, MissingExtra where its own library is absent."""
    return GymTask(name, read_options(Options, options, f"gym:{name}"), num_envs, max_episode_steps)


def check_name(name: str) -> None:
    """Raise UsageError naming the nearest id where Gymnasium has no such environment."""
    _registered(name)


class GymTask:
    """A Gymnasium vector environment under the Task contract, whichever way it resets itself."""

    def __init__(self, name: str, options: Options, num_envs: int, max_episode_steps: int) -> None:
        self._name, self._options, self._limit = name, options, max_episode_steps
        self._registered = _registered(name)
        self._form = _form(self._registered, options)
        self._broken: list[tuple[Breakable, str]] = []
        self._env = self._build(num_envs)
        self._actions = actions_of(self._env.single_action_space, f"gym:{name}")
        self._mode = self._env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        self._seed = self._resumed = 0
        self._is_stale = False
        self._quiet = np.zeros(num_envs, np.int8)
        self._all = np.ones(num_envs, np.bool_)
        self._ended: Bool = np.zeros(num_envs, np.bool_)
        self._mask: Bool | None = None
        self._masked = False
        self.reset(0)
        self._masked = options.masks and self._form == "sync" and all(env.legal is not None for env in self._env.envs)
        self._keep_mask()
        space = self._env.single_observation_space
        self._spec = TaskSpec(
            id=f"gym:{name}",
            obs_shape=space.shape,
            obs_dtype="uint8" if space.dtype == np.uint8 else "float32",
            action=self._actions.kind,
            n=self._actions.n,
            num_envs=num_envs,
            masked=self._masked,
            metric="mean_reward",
            resume="exact" if gym_state.is_exact(self._env) else "episode",
            action_low=self._actions.low,
            action_high=self._actions.high,
        )

    @property
    def spec(self) -> TaskSpec:
        """Fixed facts; `resume` tells whether the environment's state can be copied."""
        return self._spec

    def _build(self, num_envs: int) -> Any:
        arguments = dict(self._options.kwargs)
        if self._limit:
            arguments["max_episode_steps"] = self._limit
        if self._form == "vector":
            return _made(self._name, lambda: _make_vector(self._name, num_envs, arguments))
        mode = AutoresetMode[self._options.autoreset.upper()]
        one = lambda: Breakable(_make_one(self._name, arguments), self._name, self._broken)  # noqa: E731
        return _made(self._name, lambda: gymnasium.vector.SyncVectorEnv([one] * num_envs, autoreset_mode=mode))

    # --- stepping --------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Reset:
        """New episodes everywhere; environment i is seeded by the i-th number of the seed's stream."""
        self._seed, self._resumed, self._is_stale = seed, 0, False
        return Reset(self._start(seed), self._mask, self._quiet)

    def _start(self, *stream: int) -> Array:
        self._ended = np.zeros(self._env.num_envs, np.bool_)
        obs = self._keep(_seeded_reset(self._env, self._form, generator_of(*stream)))
        self._keep_mask()
        return obs

    def _keep(self, obs: Any) -> Array:
        """A copy: an environment may write its next observations over these."""
        self._obs: Array = np.array(obs, np.uint8 if obs.dtype == np.uint8 else np.float32)
        return self._obs

    def _keep_mask(self) -> None:
        """Legal actions of the next decision; at an end that the next step only resets, all of them."""
        if self._masked:
            self._mask = np.stack([env.legal for env in self._env.envs]) | self._ended[:, None]

    def step(self, action: Array) -> Step:
        """One transition of every environment; rows in which an environment only reset are not `valid`.

        Raises UsageError for an action that is masked.
        """
        if self._is_stale:
            return self._fresh_step()
        if self._mask is not None:
            require_legal(self._spec.id, action, self._mask)
        obs, reward, terminated, truncated, info = self._env.step(self._actions.to_env(action))
        terminated = np.array(terminated)
        truncated = truncated & ~terminated
        ended, before = terminated | truncated, self._ended
        final_obs = obs = self._keep(obs)
        valid = self._all
        match self._mode:
            case AutoresetMode.NEXT_STEP:
                self._ended = ended
                valid = ~before if np.count_nonzero(before) else self._all
            case AutoresetMode.SAME_STEP:
                final_obs = _final_observations(self._name, obs, ended, info)
            case _ if ended.any():
                fresh, _ = self._env.reset(options={"reset_mask": ended})
                obs = self._keep(fresh)
        self._keep_mask()
        step = Step(
            obs, reward.astype(np.float32), terminated, truncated, final_obs, self._mask, self._quiet, valid,
            self._quiet, info=gym_info.numbers(info, ended),
        )  # fmt: skip
        return self._marked(step) if self._broken else step

    def _marked(self, step: Step) -> Step:
        these, self._broken[:] = tuple(self._broken), ()
        return marked(step, self._env.envs, these)

    def _fresh_step(self) -> Step:
        """After a resume that is not exact: every row starts a new episode, and none is a transition."""
        self._is_stale = False
        none, zero = np.zeros_like(self._all), np.zeros(len(self._all), np.float32)
        return Step(self._obs, zero, none, none, self._obs, self._mask, self._quiet, none, self._quiet)

    # --- difficulty and evaluation ---------------------------------------------------------------------------

    def difficulty_space(self) -> DifficultySpace | None:
        """A range where the environment has `set_difficulty(x)`, 0 easy to 1 hard; otherwise None."""
        if self._form == "sync" and _has_difficulty(self._env.envs[0]):
            return DifficultySpace(ranged=True, floor=FLOOR, unit="1 - difficulty")
        return None

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """Hand `1 - low` to each environment at its next reset."""
        if self.difficulty_space() is None:
            raise UsageError(f"gym:{self._name} has no difficulty")
        for env in self._env.envs:
            _difficulty_layer(env).pending = 1.0 - difficulty.low

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """Greedy episodes in environments of their own; a difficulty stands at its hardest."""
        if part not in self._spec.parts:
            raise UsageError(f"gym:{self._name} has no part {part!r}", f"it has {', '.join(self._spec.parts)}")
        wave = min(episodes, _WAVE[self._form])
        other = GymTask(self._name, self._options, wave, self._limit)
        try:
            if other.difficulty_space() is not None:
                other.set_difficulty(Difficulty(low=FLOOR))
            waves = -(-episodes // wave)
            returns = np.concatenate([other.play(policy, seed, number) for number in range(waves)])[:episodes]
            return _result(_whole(returns, self._name), other.render_text(0))
        finally:
            other.close()

    def play(self, policy: Policy, *stream: int) -> Array:
        """The return of the first episode of each environment, (N,) float64; one without any limit is cut.

        NaN where it broke.
        """
        obs = self._start(*stream)
        mask = self._mask
        returns, alive = np.zeros(len(obs)), np.ones(len(obs), np.bool_)
        for _ in range(max(self._limit, self._registered.max_episode_steps or _MOST_STEPS)):
            step = self.step(policy.act(obs, mask))
            returns += step.reward * alive
            if step.failures:
                returns[broken(step) & alive] = np.nan
            alive &= ~(step.terminated | step.truncated)
            if not alive.any():
                break
            obs, mask = step.obs, step.mask
        return returns

    def baselines(self) -> dict[str, float]:
        """The return that counts as solved, where the environment names one."""
        threshold = self._registered.reward_threshold
        return {} if threshold is None else {"solved": float(threshold)}

    # --- state -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, object]:
        """Every layer's state where that can be copied, otherwise what the next episodes are seeded by."""
        state: dict[str, object] = {
            "seed": self._seed,
            "resumed": self._resumed,
            "is_stale": self._is_stale,
            "ended": self._ended.copy(),
            "obs": self._obs.copy(),
        }
        if self._mask is not None:
            state["mask"] = self._mask.copy()
        return {**state, "layers": gym_state.read(self._env)} if self._spec.resume == "exact" else state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly, or, where that cannot be, with new episodes and one step that is no transition."""
        self._ended = loaded(self._ended, state, "ended")
        self._obs = loaded(self._obs, state, "obs")
        self._mask = None if self._mask is None else loaded(self._mask, state, "mask")
        self._seed, self._resumed, self._is_stale = int(state["seed"]), int(state["resumed"]), bool(state["is_stale"])
        if self._spec.resume == "episode":
            self._resumed += 1
            self._start(self._seed, self._resumed)
            self._is_stale = True
        elif "layers" in state:
            gym_state.write(self._env, state["layers"])
        else:
            raise DamagedSession(f"the state of gym:{self._name} is incomplete", "use an older checkpoint")

    def render_text(self, env: int) -> str:
        """The observation as a picture, or as numbers with bars."""
        return f"{self._name}\n{picture(self._name, self._obs[env])}"

    def close(self) -> None:
        """Close the environments."""
        self._env.close()


class DifficultyAtReset(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Hands the pending difficulty to the environment at each reset."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.pending = 1.0 - Difficulty().low

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Set the difficulty, then reset."""
        inner: Any = self.env.unwrapped
        inner.set_difficulty(self.pending)
        return self.env.reset(seed=seed, options=options)


class MaskInInfo(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An observation of `observation` and `action_mask` as the first alone; the second goes into `info`."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.observation_space = env.observation_space["observation"]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Apart."""
        seen, info = self.env.reset(seed=seed, options=options)
        return seen["observation"], {**info, "action_mask": seen["action_mask"]}

    def step(self, action: Any) -> Any:
        """Apart."""
        seen, reward, terminated, truncated, info = self.env.step(action)
        return seen["observation"], reward, terminated, truncated, {**info, "action_mask": seen["action_mask"]}


class PlanesFirst(gymnasium.ObservationWrapper[Any, Any, Any]):
    """An image as (planes, rows, columns), which is what networks take."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        space = env.observation_space
        self.observation_space = Box(np.moveaxis(space.low, 2, 0), np.moveaxis(space.high, 2, 0), dtype=space.dtype)

    def observation(self, observation: Any) -> Any:
        """Turned."""
        return np.ascontiguousarray(np.moveaxis(observation, 2, 0))


def _has_difficulty(env: Any) -> bool:
    return hasattr(env.unwrapped, "set_difficulty")


def _difficulty_layer(env: Any) -> DifficultyAtReset:
    return next(layer for layer in gym_state.layers(env) if isinstance(layer, DifficultyAtReset))


def _registered(name: str) -> Any:
    """The registered spec. Raises UsageError naming the nearest id."""
    module, colon, plain = name.rpartition(":")
    try:
        for needed in (module if colon else "", _NAMESPACES.get(plain.partition("/")[0], "")):
            if needed:
                importlib.import_module(needed)
        return gymnasium.spec(plain)
    except ModuleNotFoundError as error:
        raise _missing(name, error, error.name or "") from None
    except gymnasium.error.Error as error:
        close = nearest(name, list(gymnasium.registry))
        hint = f"did you mean gym:{close}?" if close else "gymnasium.pprint_registry() lists its environments"
        raise UsageError(f"Gymnasium has no environment {name!r} ({str(error).splitlines()[0]})", hint) from None


def _form(registered: Any, options: Options) -> Literal["vector", "sync"]:
    has_vector = registered.vector_entry_point is not None and not registered.additional_wrappers
    if options.vectorization == "vector" and not has_vector:
        raise UsageError(f"gym:{registered.id} has no batched form", "use task.vectorization = sync")
    if options.vectorization == "sync":
        return "sync"
    return "vector" if has_vector else "sync"


def _made(name: str, build: Callable[[], Any]) -> Any:
    try:
        _let_mujoco_warn_on_stderr(name)
        return build()
    except (gymnasium.error.DependencyNotInstalled, ModuleNotFoundError) as error:
        cause = error if isinstance(error, ModuleNotFoundError) else error.__cause__ or error.__context__
        module = (getattr(cause, "name", None) or "").partition(".")[0]
        raise _missing(name, error, module) from None
    except TypeError as error:
        raise UsageError(f"gym:{name} was refused its arguments: {error}", "look at task.kwargs") from None


def _missing(name: str, error: Exception, module: str) -> MissingExtra:
    if module in _NEEDS:
        return MissingExtra(f"gym:{name} needs the module {module}", _NEEDS[module])
    return MissingExtra(f"gym:{name}: {str(error).splitlines()[0]}", "install what it names beside tui-trainer")


def _make_vector(name: str, num_envs: int, arguments: dict[str, Any]) -> Any:
    if name.rpartition(":")[2].partition("/")[0] == "ALE":
        arguments = _in_frames(arguments)
    env = gymnasium.make_vec(name, num_envs, vectorization_mode="vector_entry_point", **arguments)
    if isinstance(env.action_space, MultiDiscrete) and isinstance(env.single_action_space, Discrete):
        env.action_space = Looked(env.action_space)
    return env


def _in_frames(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The Arcade Learning Environment's own batched form counts a limit in frames, of which a step has several."""
    found = {key: value for key, value in arguments.items() if key != "max_episode_steps"}
    if "max_episode_steps" in arguments:
        found["max_num_frames_per_episode"] = arguments["max_episode_steps"] * found.get("frameskip", 4)
    return found


def _let_mujoco_warn_on_stderr(name: str) -> None:
    """Its own way is a file MUJOCO_LOG.TXT in the working directory, for each environment that is made. What a model's
    author should rename is no news to who trains it."""
    if not str(_registered(name).entry_point).startswith("gymnasium.envs.mujoco"):
        return
    mujoco = importlib.import_module("mujoco")
    seen: set[str] = set()

    def warn(text: Any) -> None:
        line = clean_line(text.decode(errors="replace") if isinstance(text, bytes) else str(text))
        if line not in seen and "deprecated" not in line:
            seen.add(line)
            sys.stderr.write(f"mujoco: {line}\n")

    mujoco.set_mju_user_warning(warn)


def _make_one(name: str, arguments: dict[str, Any]) -> Any:
    env = gymnasium.make(name, disable_env_checker=True, **arguments)
    if _has_difficulty(env):
        env = DifficultyAtReset(env)
    if Views(env.observation_space).masked:
        env = MaskInInfo(env)
    if not isinstance(env.observation_space, Box):
        return FlattenObservation(env)
    return PlanesFirst(env) if planes_are_last(env.observation_space) else env


def _seeded_reset(env: Any, form: str, rng: np.random.Generator) -> Any:
    """First observations. A batched form takes one seed, others one for each environment."""
    seeds = rng.integers(0, 2**31, env.num_envs if form == "sync" else 1).tolist()
    obs, _ = env.reset(seed=seeds if form == "sync" else seeds[0])
    return obs


def _final_observations(name: str, obs: Array, ended: Bool, info: Mapping[str, Any]) -> Array:
    """The true last observations of a same-step reset, which hands them over in `info`. Raises UsageError without."""
    if not ended.any():
        return obs
    if "final_obs" not in info:
        raise UsageError(
            f"gym:{name} starts anew in the step that ends an episode and hands over no final_obs: the last is lost",
            "mend it, or use task.vectorization = sync",
        )
    final = obs.copy()
    for row in np.flatnonzero(ended):
        final[row] = info["final_obs"][row]
    return final


def _whole(returns: Array, name: str) -> Array:
    """The returns of the episodes that did not break. Raises TaskFailed where all did."""
    whole: Array = returns[~np.isnan(returns)]
    if not len(whole):
        raise TaskFailed(
            f"all {len(returns)} episodes of an evaluation of gym:{name} broke, or were paid what is no number",
            "mend it, then resume",
        )
    return whole


def _result(returns: Array, frame: str) -> PartResult:
    mean, std = float(returns.mean()), float(returns.std())
    return PartResult(
        episodes=len(returns),
        ci=normal(mean, std, len(returns)),
        mean=mean,
        std=std,
        min=float(returns.min()),
        max=float(returns.max()),
        frame=frame,
    )
