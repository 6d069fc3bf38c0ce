"""Harder means harder, and from the next episode on."""

from __future__ import annotations

import contextlib
import math
from typing import Protocol, runtime_checkable

from tui_trainer.core.protocols import Policy, Task
from tui_trainer.core.values import Difficulty, DifficultySpace
from tui_trainer.errors import UsageError
from tui_trainer.tasks.checks.kit import ENVS, SEED, Broken, Kit, after, random_play, require
from tui_trainer.tasks.playing import RandomPlayer, difference, episode_returns

EPISODES = 60
PLAYED = 300
"""Steps of every environment in which a difficulty is measured: more than an episode of most tasks."""
LONGEST = 1200
"""The same where that were too few for ENOUGH episodes."""
ENOUGH = 10


@runtime_checkable
class HasReferencePlayer(Protocol):
    """A task may offer a fixed player good enough to feel every level; otherwise a random one plays."""

    def reference_player(self) -> Policy: ...


def difficulty_is_harder(kit: Kit) -> str:
    """A fixed player's return falls from the easiest to the hardest difficulty, and never rises clearly between."""
    with contextlib.closing(kit.make(ENVS)) as task:
        space = task.difficulty_space()
        if space is None:
            return _require_refusal(task, Difficulty(level=1), "there is no difficulty")
        if space.levels:
            _require_refusal(task, Difficulty(level=len(space.levels)), "a level beyond the last")
    grades = _grades(space)
    means = [_return_at(kit, grade) for _, grade in grades]
    for (name, _), (harder, _), (mean, error), (then, its_error) in zip(grades, grades[1:], means, means[1:]):
        noise = 3 * math.hypot(error, its_error)
        require(then - mean <= noise, f"{harder} is easier than {name}: {then:.3f} after {mean:.3f}")
    (first, error), (last, its_error) = means[0], means[-1]
    require(first - last > 2 * math.hypot(error, its_error), f"{grades[-1][0]} is not harder than {grades[0][0]}: "
             f"{last:.3f} against {first:.3f}; does set_difficulty act?")  # fmt: skip
    return ", ".join(f"{name} {mean:.2f}" for (name, _), (mean, _) in zip(grades, means))


def _grades(space: DifficultySpace) -> list[tuple[str, Difficulty]]:
    levels = [(name, Difficulty(level=level)) for level, name in enumerate(space.levels)]
    if not space.ranged:
        return levels
    widest = Difficulty().low if levels else 0.9  # beside levels the range starts where theirs was: one thing at a time
    lows = [widest, (widest + space.floor) / 2, space.floor]
    return levels[:-1] + [(f"range from {low:.2f}", Difficulty(level=len(levels[1:]), low=low)) for low in lows]


def _return_at(kit: Kit, difficulty: Difficulty) -> tuple[float, float]:
    """The mean return of a fixed player and its standard error."""
    with contextlib.closing(kit.make(4 * ENVS)) as task:
        task.set_difficulty(difficulty)
        player = task.reference_player() if isinstance(task, HasReferencePlayer) else RandomPlayer(task.spec, 3)
        returns = episode_returns(task, player, SEED, PLAYED)
        if len(returns) < ENOUGH:
            returns = episode_returns(task, player, SEED, LONGEST)
    require(len(returns) >= ENOUGH, f"hardly an episode ends within {LONGEST} steps: a difficulty cannot be measured")
    return float(returns.mean()), float(returns.std() / math.sqrt(len(returns)))


def _require_refusal(task: Task, difficulty: Difficulty, what: str) -> str:
    try:
        task.set_difficulty(difficulty)
    except UsageError:
        return what
    raise Broken(f"set_difficulty(level={difficulty.level}) is accepted though {what} is asked for; raise UsageError")


def levels_of_the_evaluation_are_harder(kit: Kit) -> str:
    """Where the evaluation has a part for each level, a fixed player's score falls from part to part."""
    with contextlib.closing(kit.make(ENVS)) as task:
        space = task.difficulty_space()
        if space is None or not space.levels or space.levels != task.spec.parts:
            return "its parts are no levels"
        player = task.reference_player() if isinstance(task, HasReferencePlayer) else RandomPlayer(task.spec, 3)
        results = [task.evaluate(player, part=part, episodes=EPISODES, seed=5) for part in space.levels]
        scores = [result.mean if result.win_rate is None else result.win_rate for result in results]
        margin = 0.5 / math.sqrt(EPISODES) * 2
        for one, other, score, then in zip(space.levels, space.levels[1:], scores, scores[1:]):
            require(then <= score + margin, f"{other} is easier than {one}: {then:.2f} after {score:.2f}")
        require(scores[-1] < scores[0], f"{space.levels[-1]} is not harder than {space.levels[0]}")
    return ", ".join(f"{level} {score:.2f}" for level, score in zip(space.levels, scores))


def difficulty_waits_for_the_next_episode(kit: Kit) -> str:
    """A change of difficulty leaves the episodes that are going on as they are."""
    with contextlib.closing(kit.make(ENVS)) as task, contextlib.closing(kit.make(ENVS)) as twin:
        space = task.difficulty_space()
        if space is None:
            return "there is no difficulty"
        last, same = after(task, 3), after(twin, 3)
        task.set_difficulty(_grades(space)[-1][1])
        steps = 0
        for a, b in zip(random_play(task, last, 200), random_play(twin, same, 200)):
            ended = bool((b.terminated | b.truncated).any())
            fields = difference(a._replace(obs=a.final_obs, mask=None, to_move=b.to_move),
                                b._replace(obs=b.final_obs, mask=None))  # fmt: skip
            require(not fields, f"{fields} change within an episode, {steps} steps after set_difficulty")
            steps += 1
            if ended:
                break
    return f"{steps} steps"
