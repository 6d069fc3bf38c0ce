"""Gymnasium environments written for the tests; importing this module registers them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete


class Counter(gymnasium.Env[Any, Any]):
    """Counts its steps; ends at `length` steps, which a difficulty shortens from the next reset on."""

    observation_space = Box(0, 100, (1,), np.float32)
    action_space: Any = Discrete(2, start=1)

    def __init__(self, length: int = 10) -> None:
        self.length = length
        self.count = 0
        self.actions: list[float] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.count, self.actions = 0, []
        return self._obs(), {}

    def step(self, action: Any) -> Any:
        self.count += 1
        self.actions.append(np.asarray(action).tolist())
        return self._obs(), 1.0, self.count >= self.length, False, {}

    def _obs(self) -> Any:
        return np.array([self.count], np.float32)


class Hard(Counter):
    def set_difficulty(self, x: float) -> None:
        self.length = round(20 * (1 - x))


class UnevenBox(Counter):
    action_space = Box(np.array([0, -10], np.float32), np.array([1, 30], np.float32))


class Joint(Counter):
    action_space = MultiDiscrete([2, 3])


class Armed(Counter):
    """Two parts of 2 and 3 choices; the second part's choice 2 is legal at even counts only, told part by part."""

    action_space = MultiDiscrete([2, 3], start=[1, 10])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        obs, _ = super().reset(seed=seed, options=options)
        return obs, self._told()

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        obs, reward, terminated, truncated, _ = super().step(action)
        return obs, reward, terminated, truncated, self._told()

    def _told(self) -> dict[str, Any]:
        return {"action_mask": (np.ones(2, np.int8), np.array([1, 1, self.count % 2 == 0], np.int8))}


class Shown(Counter):
    """Shows its legal actions beside what it sees: at odd counts the second alone."""

    observation_space: Any = Dict(
        {"observation": Box(0, 100, (1,), np.float32), "action_mask": Box(0, 1, (2,), np.int8)}
    )

    def _obs(self) -> Any:
        return {"observation": super()._obs(), "action_mask": np.array([self.count % 2 == 0, True], np.int8)}


class DictAction(Counter):
    action_space = Dict({"a": Discrete(2)})


class Image(Counter):
    """A bright square left or right; the reward is 1 for the action that names its side."""

    observation_space = Box(0, 255, (48, 40, 3), np.uint8)
    action_space = Discrete(2)

    def step(self, action: Any) -> Any:
        reward = float(action == self.side)
        self.count += 1
        return self._obs(), reward, self.count >= self.length, False, {}

    def _obs(self) -> Any:
        self.side = int(self.np_random.integers(2))
        self.row = int(self.np_random.integers(36))
        found = np.zeros((48, 40, 3), np.uint8)
        found[self.row : self.row + 10, 20 * self.side + 5 : 20 * self.side + 15] = 255
        return found


class HoldsAnObject(Counter):
    """Keeps something that cannot be copied as plain values."""

    def __init__(self) -> None:
        super().__init__()
        self.world = object()


class Talker(Counter):
    """Tells what it counts beside each step, among things that are no numbers; its reset tells something, too."""

    def __init__(self, crowd: int = 0) -> None:
        super().__init__()
        self.crowd = crowd

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        obs, _ = super().reset(seed=seed, options=options)
        return obs, {"count": 1000, "\x1b[2Jbirth": 1.0}

    def step(self, action: Any) -> Any:
        *found, _ = super().step(action)
        even = {"even": self.count / 2} if self.count % 2 == 0 else {}
        told = {"count": self.count, "is_late": self.count > 8, "name": "x", "place": np.ones(3), "more": {"n": 1}}
        return *found, {**told, **even, **{f"x{i}": 0.0 for i in range(self.crowd)}}


class Fragile(Counter):
    """Raises at the third step of its first, third ... episode, if its number among those made is in `breaking`."""

    breaking: frozenset[int] = frozenset()
    made = 0

    def __init__(self) -> None:
        super().__init__()
        self.episode = 0
        self.place = Fragile.made
        Fragile.made += 1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed is not None:
            self.episode = 0
        self.episode += 1
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        found = super().step(action)
        if self.count == 3 and self.episode % 2 and self.place in self.breaking:
            raise ZeroDivisionError("in the environment")
        return found


for kind in (Counter, Hard, UnevenBox, Joint, Armed, Shown, DictAction, Image, HoldsAnObject, Talker, Fragile):
    if f"{kind.__name__}-v0" not in gymnasium.registry:
        gymnasium.register(f"{kind.__name__}-v0", entry_point=kind, max_episode_steps=50)
