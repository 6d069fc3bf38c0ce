"""The conformance kit: tells the author of an environment exactly which promise of the Task contract it breaks.

`tui-trainer tasks check ID` prints its findings. A rule is a function that returns what it saw, or raises Broken.
"""

from __future__ import annotations

import contextlib
import copy
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np

from tui_trainer import tasks
from tui_trainer.core.protocols import Policy, Reset, Step, Task, TaskSpec
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.playing import LinearPlayer, RandomPlayer, difference, digest, episode_returns, play

ENVS = 16
SEED = 12345
STEPS = 1000
"""Steps of the state round trip, and of most other rules at most."""
TAIL = 40
"""Steps compared after a cut."""
EPISODES = 60


class Finding(msgspec.Struct, frozen=True):
    """One rule, whether the task keeps it, and what was seen."""

    rule: str
    ok: bool
    detail: str


class Broken(Exception):
    """A rule is broken; the message tells field, environment and step."""


class Kit(msgspec.Struct, frozen=True):
    """What the rules work on: `make(num_envs)`, and `limited(num_envs, max_episode_steps)` where that can be had."""

    make: Callable[[int], Task]
    limited: Callable[[int, int], Task] | None = None


@runtime_checkable
class HasReferencePlayer(Protocol):
    """A task may offer a fixed player good enough to feel every level; otherwise a random one plays."""

    def reference_player(self) -> Policy: ...


def check_task(task_id: str, options: Mapping[str, Any] | None = None) -> list[Finding]:
    """Every rule over the task with this id."""
    chosen = dict(options or {})
    return check(
        lambda num_envs: tasks.make(task_id, chosen, num_envs),
        limited=lambda num_envs, limit: tasks.make(task_id, chosen, num_envs, limit),
    )


def check(make: Callable[[int], Task], *, limited: Callable[[int, int], Task] | None = None) -> list[Finding]:
    """Every rule over the tasks that `make(num_envs)` builds; `limited(num_envs, max_episode_steps)` adds the rule
    that compares a limited task with an unlimited one."""
    kit = Kit(make, limited)
    return [run_rule(name, kit) for name in RULES]


def run_rule(name: str, kit: Kit) -> Finding:
    """One rule; global generators are afterwards as they were."""
    try:
        with _global_randomness_kept():
            return Finding(name, True, RULES[name](kit))
    except Broken as broken:
        return Finding(name, False, str(broken))
    except Exception as error:  # the boundary to foreign code: whatever it raises is what its author must know
        return Finding(name, False, f"raised {type(error).__name__}: {error}")


# --- shapes --------------------------------------------------------------------------------------------------


def spec_is_complete(kit: Kit) -> str:
    """Every fact of the spec is one that a learner can work with."""
    with contextlib.closing(kit.make(ENVS)) as task:
        spec = task.spec
    _require(spec.num_envs == ENVS, f"num_envs is {spec.num_envs}, {ENVS} were asked for")
    _require(spec.action in ("discrete", "box"), f"action is {spec.action!r}, not discrete or box")
    _require(spec.n >= 1, f"n is {spec.n}")
    _require(spec.players in (1, 2), f"players is {spec.players}")
    _require(spec.action_low < spec.action_high, f"action_low {spec.action_low} is not below {spec.action_high}")
    _require(len(set(spec.parts)) == len(spec.parts) > 0, f"parts are {spec.parts}: some name is missing or doubled")
    _require(not (spec.masked and spec.action == "box"), "a box action cannot be masked")
    _require(np.dtype(spec.obs_dtype).kind in "buif", f"obs_dtype {spec.obs_dtype} is no number")
    return f"observation {spec.obs_dtype} {spec.obs_shape}, {spec.action} {spec.n}, resume {spec.resume}"


def shapes_are_those_of_the_spec(kit: Kit) -> str:
    """Every field of Reset and Step has the shape and dtype that the spec and the contract name."""
    for num_envs in (1, 3, ENVS):
        with contextlib.closing(kit.make(num_envs)) as task:
            start = task.reset(SEED)
            _require_decision(task.spec, start, f"reset with {num_envs} environments")
            for t, step in enumerate(_random_play(task, start, 60)):
                _require_step(task.spec, step, f"step {t} with {num_envs} environments")
    return f"with 1, 3 and {ENVS} environments"


def _require_step(spec: TaskSpec, step: Step, where: str) -> None:
    n = spec.num_envs
    _require_decision(spec, step, where)
    _require_array("final_obs", step.final_obs, (n, *spec.obs_shape), spec.obs_dtype, where)
    _require_array("reward", step.reward, (n,), "float32", where)
    for name in ("terminated", "truncated", "valid"):
        _require_array(name, getattr(step, name), (n,), "bool", where)
    _require_array("outcome", step.outcome, (n,), "int8", where)


def _require_decision(spec: TaskSpec, given: Reset | Step, where: str) -> None:
    n = spec.num_envs
    _require_array("obs", given.obs, (n, *spec.obs_shape), spec.obs_dtype, where)
    _require_array("to_move", given.to_move, (n,), "int8", where)
    _require(given.to_move.min() >= 0 and given.to_move.max() < spec.players, f"to_move names no player at {where}")
    if spec.masked or given.mask is not None:
        _require(spec.masked, f"a mask is given at {where}, but spec.masked is False")
        _require_array("mask", given.mask, (n, spec.n), "bool", where)


def _require_array(name: str, value: Any, shape: tuple[int, ...], dtype: str, where: str) -> None:
    _require(isinstance(value, np.ndarray), f"{name} is a {type(value).__name__}, not an array, at {where}")
    _require(value.shape == shape, f"{name} has shape {value.shape}, not {shape}, at {where}")
    _require(value.dtype == np.dtype(dtype), f"{name} is {value.dtype}, not {np.dtype(dtype)}, at {where}")


# --- values --------------------------------------------------------------------------------------------------


def masks_leave_a_legal_action(kit: Kit) -> str:
    """No decision is without a legal action."""
    with contextlib.closing(kit.make(ENVS)) as task:
        if not task.spec.masked:
            return "no masks"
        start = task.reset(SEED)
        _require_legal(start.mask, "reset")
        for t, step in enumerate(_random_play(task, start, 400)):
            _require_legal(step.mask, f"step {t}")
    return "400 steps"


def _require_legal(mask: Array | None, where: str) -> None:
    _require(mask is not None, f"there is no mask at {where}")
    assert mask is not None
    empty = np.flatnonzero(~mask.any(axis=1))
    _require(not len(empty), f"the mask of environment {empty[:1]} has no legal action at {where}")


def numbers_are_finite(kit: Kit) -> str:
    """Observations and rewards hold neither NaN nor infinity."""
    with contextlib.closing(kit.make(ENVS)) as task:
        start = task.reset(SEED)
        _require_finite("obs", start.obs, "reset")
        for t, step in enumerate(_random_play(task, start, 400)):
            for name in ("obs", "final_obs", "reward"):
                _require_finite(name, getattr(step, name), f"step {t}")
    return "400 steps"


def _require_finite(name: str, array: Array, where: str) -> None:
    if array.dtype.kind == "f":
        bad = np.argwhere(~np.isfinite(array))
        _require(not len(bad), f"{name} of environment {bad[:1, 0]} is not finite at {where}")


def flags_agree(kit: Kit) -> str:
    """An episode ends in one way; outcomes belong to ends; a row that is no transition carries nothing."""
    ends = 0
    with contextlib.closing(kit.make(ENVS)) as task:
        spec = task.spec
        for t, step in enumerate(_random_play(task, task.reset(SEED), 400)):
            ended = step.terminated | step.truncated
            ends += int(ended.sum())
            _require_none(step.terminated & step.truncated, "is terminated and truncated", t)
            _require_none((step.outcome != 0) & ~ended, "has an outcome without an end", t)
            _require_none((step.outcome < 0) | (step.outcome > len(spec.outcomes)), "has an unnamed outcome", t)
            _require_none(~step.valid & (ended | (step.reward != 0)), "is not valid, yet ends or is rewarded", t)
    return f"{ends} ends in {400 * ENVS} steps"


def _require_none(rows: Array, what: str, t: int) -> None:
    bad = np.flatnonzero(rows)
    _require(not len(bad), f"environment {bad[:1]} {what} at step {t}")


def arrays_stay_as_handed_out(kit: Kit) -> str:
    """A later step does not overwrite an earlier one's arrays."""
    with contextlib.closing(kit.make(ENVS)) as task:
        kept: list[tuple[int, Step, Step]] = []
        for t, step in enumerate(_random_play(task, task.reset(SEED), 50)):
            kept.append((t, step, copy.deepcopy(step)))
        for t, step, as_it_was in kept:
            changed = difference(step, as_it_was)
            _require(not changed, f"{changed} of step {t} changed afterwards: hand out copies")
    return "50 steps"


# --- episode ends --------------------------------------------------------------------------------------------


def ends_hand_over_the_last_observation(kit: Kit) -> str:
    """`final_obs` is the true last observation where an episode ends, and `obs` elsewhere."""
    seen = _Ends()
    with contextlib.closing(kit.make(ENVS)) as task:
        start = task.reset(SEED)
        before = start.obs
        for t, step in enumerate(_random_play(task, start, 3 * STEPS)):
            ended = step.terminated | step.truncated
            going = np.flatnonzero(~ended & step.valid)
            same = np.array_equal(step.final_obs[going], step.obs[going])
            _require(same, f"final_obs differs from obs where no episode ended, at step {t}")
            seen.look(before, step, ended)
            before = step.obs
            if seen.ends >= 50:
                break
    return seen.verdict()


class _Ends:
    """Compares each end's `final_obs` with the observation before it and with the new episode's first.

    Where the new episode begins one step later, that next row is not valid: such an end is not among the `followed`.
    """

    def __init__(self) -> None:
        self.ends = self.stale = self.followed = self.new = 0
        self._last: tuple[Step, Array] | None = None

    def look(self, before: Array, step: Step, ended: Array) -> None:
        if self._last is not None:
            last, rows = self._last
            follow = rows[step.valid[rows]]
            self.followed += len(follow)
            self.new += sum(np.array_equal(last.final_obs[row], last.obs[row]) for row in follow)
        rows = np.flatnonzero(ended)
        self.ends += len(rows)
        self.stale += sum(np.array_equal(step.final_obs[row], before[row]) for row in rows)
        self._last = step, rows

    def verdict(self) -> str:
        if not self.ends:
            return f"no episode ended within {3 * STEPS} steps of {ENVS} environments: not checked"
        _require(not 0 < self.followed == self.new, f"final_obs is the new episode's first observation in all of "
                 f"{self.new} ends: the last one is lost")  # fmt: skip
        _require(self.stale < self.ends, f"final_obs is the observation before the last step in all {self.ends} ends")
        return f"{self.ends} ends"


def a_limit_truncates(kit: Kit) -> str:
    """With a limit of k steps an episode is as without, and ends as truncated after step k, last observation kept."""
    if kit.limited is None:
        return "no limit can be set: not checked"
    limit = _half_an_episode(kit)
    with contextlib.closing(kit.make(ENVS)) as free, contextlib.closing(kit.limited(ENVS, limit)) as limited:
        start, begun = free.reset(SEED), limited.reset(SEED)
        _require(np.array_equal(start.obs, begun.obs), "a limit changes the first observation")
        ended = np.zeros(ENVS, np.bool_)
        player = RandomPlayer(free.spec, SEED)
        obs, mask = start.obs, start.mask
        for t in range(1, limit + 1):
            action = player.act(obs, mask)
            one, other = free.step(action), limited.step(action)
            if t < limit:
                changed = difference(one, other)
                _require(not changed, f"a limit of {limit} steps changes {changed} at step {t}")
            ended |= (one.terminated | one.truncated) if t < limit else False
            obs, mask = one.obs, one.mask
    return _compare_at_limit(one, other, np.flatnonzero(~ended), limit)


def _compare_at_limit(free: Step, limited: Step, rows: Array, limit: int) -> str:
    """`rows` are in their first episode, at its step `limit`."""
    over = free.terminated[rows] | free.truncated[rows]
    cut = rows[~over]
    _require(np.array_equal(free.terminated[rows], limited.terminated[rows]), "a limit is reported as terminated")
    _require(
        bool(limited.truncated[cut].all()), f"an episode goes on after its limit of {limit} steps: truncation lost"
    )
    kept = np.array_equal(limited.final_obs[cut], free.final_obs[cut])
    _require(kept, "final_obs of a truncated episode is not its true last observation")
    return f"{len(cut)} episodes cut after {limit} steps"


def _half_an_episode(kit: Kit) -> int:
    """A limit that cuts most first episodes: half the length of the shorter ones."""
    with contextlib.closing(kit.make(ENVS)) as task:
        for t, step in enumerate(_random_play(task, task.reset(SEED), 200), start=1):
            if (step.terminated | step.truncated).sum() >= 2:
                return max(1, t // 2)
    return 50


# --- randomness ----------------------------------------------------------------------------------------------


def the_same_seed_repeats(kit: Kit) -> str:
    """Two tasks with one seed agree, and so does a used one that is reset."""
    with contextlib.closing(kit.make(ENVS)) as one, contextlib.closing(kit.make(ENVS)) as other:
        for _ in _random_play(other, other.reset(SEED + 1), 30):
            pass
        _require_twins(one, other, "with the same seed")
    return "300 steps, fresh against used"


def _require_twins(one: Task, other: Task, what: str) -> None:
    start, begun = one.reset(SEED), other.reset(SEED)
    _require(np.array_equal(start.obs, begun.obs), f"first observations differ {what}")
    for t, (a, b) in enumerate(zip(_random_play(one, start, 300), _random_play(other, begun, 300))):
        changed = difference(a, b)
        _require(not changed, f"{changed} differ {what} at step {t}")


def no_hidden_randomness(kit: Kit) -> str:
    """Nothing is drawn from the global generators of `random` and numpy."""
    recorded = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        with contextlib.closing(kit.make(ENVS)) as task:
            before = _global_state()
            recorded.append(list(_random_play(task, task.reset(SEED), 300)))
            drawn = [name for name, old, new in zip(("random", "numpy.random"), before, _global_state()) if old != new]
            _require(not drawn, f"draws from the global generator of {' and '.join(drawn)}: use one seeded by reset")
    for t, (a, b) in enumerate(zip(*recorded)):
        changed = difference(a, b)
        _require(not changed, f"{changed} at step {t} depend on a global generator or on the clock")
    return "300 steps"


def _global_state() -> tuple[object, object]:
    name, keys, *rest = np.random.get_state(legacy=True)
    return random.getstate(), (name, keys.tobytes(), *rest)  # type: ignore[union-attr]


@contextlib.contextmanager
def _global_randomness_kept() -> Iterator[None]:
    ours, theirs = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(theirs)


# --- evaluation ----------------------------------------------------------------------------------------------


def evaluation_leaves_training_as_it_was(kit: Kit) -> str:
    """Neither the state nor the next transitions change."""
    with contextlib.closing(kit.make(ENVS)) as task, contextlib.closing(kit.make(ENVS)) as twin:
        player = LinearPlayer(task.spec, 1)
        last, same = _after(task, 25), _after(twin, 25)
        for part in task.spec.parts:
            before = digest(task.state_dict())
            task.evaluate(player, part=part, episodes=4, seed=7)
            _require(digest(task.state_dict()) == before, f"evaluate(part={part!r}) changes state_dict()")
        for t, (a, b) in enumerate(zip(_random_play(task, last, TAIL), _random_play(twin, same, TAIL))):
            changed = difference(a, b)
            _require(not changed, f"{changed} differ {t} steps after an evaluation from those without one")
    return f"{len(task.spec.parts)} parts"


def evaluation_repeats(kit: Kit) -> str:
    """The same policy and seed give the same result, over as many episodes as were asked for."""
    with contextlib.closing(kit.make(ENVS)) as task:
        for part in task.spec.parts:
            one, again = (
                task.evaluate(RandomPlayer(task.spec, 1), part=part, episodes=6, seed=7) for _ in ("once", "again")
            )
            _require(one == again, f"two evaluations of {part!r} with one seed differ")
            _require_result(one, part)
        with contextlib.suppress(UsageError):
            task.evaluate(RandomPlayer(task.spec, 1), part="no such part", episodes=2, seed=7)
            raise Broken("evaluate accepts a part that the spec does not name; raise UsageError")
    return f"{len(task.spec.parts)} parts"


def _require_result(result: PartResult, part: str) -> None:
    _require(result.episodes == 6, f"{part!r}: {result.episodes} episodes were played, 6 asked for")
    numbers = (result.mean, result.std, result.min, result.max)
    _require(all(map(math.isfinite, numbers)), f"{part!r}: mean, std, min or max is not finite")
    _require(result.min <= result.mean + 1e-6 and result.mean <= result.max + 1e-6, f"{part!r}: mean outside min..max")
    rates = [result.win_rate, result.draw_rate, result.loss_rate]
    if None not in rates:
        _require(math.isclose(sum(r for r in rates if r is not None), 1.0), f"{part!r}: the rates do not add up to 1")


# --- state ---------------------------------------------------------------------------------------------------


def state_round_trip(kit: Kit) -> str:
    """A new task that loads the state goes on bit for bit: cuts after the reset, amid episodes and on finished ones."""
    with contextlib.closing(kit.make(ENVS)) as task:
        last: Reset | Step = task.reset(SEED)
        if task.spec.resume != "exact":
            return _require_goes_on(kit, task)
        cuts = 0
        for t in range(STEPS):
            ends = isinstance(last, Step) and bool((last.terminated | last.truncated).any())
            if t in (0, 1, 2, STEPS // 2) or t % 250 == 137 or (ends and cuts < 8):
                _require_same_future(kit, task, last, t)
                cuts += 1
            last = task.step(RandomPlayer(task.spec, t).act(last.obs, last.mask))
        _require_same_future(kit, task, last, STEPS)
    return f"{cuts + 1} cuts in {STEPS} steps"


def _require_same_future(kit: Kit, task: Task, last: Reset | Step, t: int) -> None:
    """Compare a loaded task's future with the original's, then put the original back."""
    state = task.state_dict()
    taken = digest(state)
    with contextlib.closing(kit.make(ENVS)) as twin:
        original = list(_random_play(task, last, TAIL))
        _require(digest(state) == taken, f"a state taken at step {t} changes when the task goes on: copy its arrays")
        twin.load_state_dict(state)
        _require(digest(twin.state_dict()) == taken, f"a loaded state of step {t} is not the state that was saved")
        for k, (a, b) in enumerate(zip(original, _random_play(twin, last, TAIL))):
            changed = difference(a, b)
            _require(not changed, f"{changed} differ {k} steps after a state taken at step {t} was loaded")
        _require(digest(twin.state_dict()) == digest(task.state_dict()), f"states differ {TAIL} steps after {t}")
    task.load_state_dict(state)
    _require(digest(state) == taken, f"the state of step {t} changes when it is loaded: copy its arrays")


def _require_goes_on(kit: Kit, task: Task) -> str:
    last = _after(task, 25)
    state = task.state_dict()
    digest(state)
    with contextlib.closing(kit.make(ENVS)) as twin:
        twin.load_state_dict(state)
        first = twin.step(RandomPlayer(twin.spec, 1).act(last.obs, last.mask))
        _require(not first.valid.any(), "after a resume that is not exact the first step must not be valid")
        for t, step in enumerate(_random_play(twin, first, TAIL)):
            _require_step(twin.spec, step, f"step {t} after a resume")
    return "resume = episode: open episodes start afresh"


# --- difficulty ----------------------------------------------------------------------------------------------


def difficulty_is_harder(kit: Kit) -> str:
    """A fixed player's return falls from the easiest to the hardest difficulty, and never rises clearly between."""
    with contextlib.closing(kit.make(ENVS)) as task:
        space = task.difficulty_space()
        if space is None:
            return _require_refusal(task, Difficulty(level=1), "there is no difficulty")
        _require_refusal(task, Difficulty(level=max(1, len(space.levels))), "a level beyond the last")
    grades = _grades(space)
    means = [_return_at(kit, grade) for _, grade in grades]
    for (name, _), (later, _), (mean, error), (then, after) in zip(grades, grades[1:], means, means[1:]):
        rise = then - mean
        _require(rise <= 3 * math.hypot(error, after), f"{later} is easier than {name}: {then:.3f} after {mean:.3f}")
    (first, error), (last, after) = means[0], means[-1]
    _require(first - last > 2 * math.hypot(error, after), f"{grades[-1][0]} is not harder than {grades[0][0]}: "
             f"{last:.3f} against {first:.3f}; does set_difficulty act?")  # fmt: skip
    return ", ".join(f"{name} {mean:.2f}" for (name, _), (mean, _) in zip(grades, means))


def _grades(space: DifficultySpace) -> list[tuple[str, Difficulty]]:
    levels = [(name, Difficulty(level=level)) for level, name in enumerate(space.levels)]
    if not space.ranged:
        return levels
    lows = [0.9, (0.9 + space.floor) / 2, space.floor]
    return levels[:-1] + [(f"range from {low:.2f}", Difficulty(level=len(levels[1:]), low=low)) for low in lows]


def _return_at(kit: Kit, difficulty: Difficulty) -> tuple[float, float]:
    """The mean return of a fixed player and its standard error."""
    with contextlib.closing(kit.make(4 * ENVS)) as task:
        task.set_difficulty(difficulty)
        player = task.reference_player() if isinstance(task, HasReferencePlayer) else RandomPlayer(task.spec, 3)
        returns = episode_returns(task, player, SEED, 250)
    _require(len(returns) >= 10, "hardly an episode ends within 250 steps: a difficulty cannot be measured")
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
            _require(then <= score + margin, f"{other} is easier than {one}: {then:.2f} after {score:.2f}")
        _require(scores[-1] < scores[0], f"{space.levels[-1]} is not harder than {space.levels[0]}")
    return ", ".join(f"{level} {score:.2f}" for level, score in zip(space.levels, scores))


def difficulty_waits_for_the_next_episode(kit: Kit) -> str:
    """A change of difficulty leaves the episodes that are going on as they are."""
    with contextlib.closing(kit.make(ENVS)) as task, contextlib.closing(kit.make(ENVS)) as twin:
        space = task.difficulty_space()
        if space is None:
            return "there is no difficulty"
        last, same = _after(task, 3), _after(twin, 3)
        task.set_difficulty(_grades(space)[-1][1])
        steps = 0
        for a, b in zip(_random_play(task, last, 200), _random_play(twin, same, 200)):
            ended = bool((b.terminated | b.truncated).any())
            fields = difference(a._replace(obs=a.final_obs, mask=None, to_move=b.to_move),
                                b._replace(obs=b.final_obs, mask=None))  # fmt: skip
            _require(not fields, f"{fields} change within an episode, {steps} steps after set_difficulty")
            steps += 1
            if ended:
                break
    return f"{steps} steps"


# --- the rest ------------------------------------------------------------------------------------------------


def text_is_clean(kit: Kit) -> str:
    """The text picture is short and holds no control characters."""
    with contextlib.closing(kit.make(2)) as task:
        _after(task, 3)
        for env in range(2):
            text = task.render_text(env)
            _require(isinstance(text, str) and bool(text.strip()), f"render_text({env}) is empty")
            _require(text.count("\n") < 40, f"render_text({env}) has more than 40 lines")
            bad = sorted({c for c in text if c != "\n" and not c.isprintable()})
            _require(not bad, f"render_text({env}) holds control characters {bad}")
    return "2 environments"


def speed(kit: Kit) -> str:
    """Environment steps a second with 64 environments; no bound, a figure."""
    with contextlib.closing(kit.make(64)) as task:
        spent, steps, last = 0.0, 0, _after(task, 5)
        player = RandomPlayer(task.spec, 1)
        while spent < 0.2 and steps < 2000:
            action = player.act(last.obs, last.mask)
            began = time.perf_counter()
            last = task.step(action)
            spent += time.perf_counter() - began
            steps += 1
    return f"{64 * steps / spent:,.0f} steps/s at 64 environments"


def _random_play(task: Task, last: Reset | Step, steps: int) -> Iterator[Step]:
    return play(task, RandomPlayer(task.spec, SEED), last.obs, last.mask, steps)


def _after(task: Task, steps: int) -> Step:
    """The last of the first `steps` transitions."""
    *_, last = _random_play(task, task.reset(SEED), steps)
    return last


def _require(kept: bool, otherwise: str) -> None:
    if not kept:
        raise Broken(otherwise)


RULES: dict[str, Callable[[Kit], str]] = {
    "the spec is complete": spec_is_complete,
    "shapes and dtypes are those of the spec": shapes_are_those_of_the_spec,
    "masks leave a legal action": masks_leave_a_legal_action,
    "numbers are finite": numbers_are_finite,
    "flags agree": flags_agree,
    "arrays stay as handed out": arrays_stay_as_handed_out,
    "ends hand over the last observation": ends_hand_over_the_last_observation,
    "a limit truncates": a_limit_truncates,
    "the same seed repeats": the_same_seed_repeats,
    "no hidden randomness": no_hidden_randomness,
    "evaluation leaves training as it was": evaluation_leaves_training_as_it_was,
    "evaluation repeats": evaluation_repeats,
    "state round trip": state_round_trip,
    "difficulty is harder": difficulty_is_harder,
    "levels of the evaluation are harder": levels_of_the_evaluation_are_harder,
    "difficulty waits for the next episode": difficulty_waits_for_the_next_episode,
    "text is clean": text_is_clean,
    "speed": speed,
}
