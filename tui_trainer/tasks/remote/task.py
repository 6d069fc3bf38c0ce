"""A task whose environments live in worker processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from tui_trainer.core.config import Settings
from tui_trainer.core.protocols import Policy, Reset, Step, TaskSpec
from tui_trainer.core.values import Difficulty, DifficultySpace, PartResult
from tui_trainer.errors import DamagedSession, TaskFailed, TuiTrainerError
from tui_trainer.tasks.arrays import Array, generator_of
from tui_trainer.tasks.remote.process import PREPARE_S, EnvironmentRaised, Lost, Process


class ProcessOptions(Settings, frozen=True):
    """[task] of every task."""

    processes: Annotated[
        int, Meta(ge=0, le=256, description="Worker processes that hold the environments; 0 = the engine itself.")
    ] = 0
    step_timeout_s: Annotated[
        float, Meta(gt=0, le=86_400, description="With processes: one that takes longer is ended and begun anew.")
    ] = 60.0


class RemoteTask:
    """Rows in the order of the workers. A worker that hangs or dies costs its open episodes: it is replaced."""

    def __init__(
        self, task_id: str, options: Mapping[str, Any], num_envs: int, max_episode_steps: int, how: ProcessOptions
    ) -> None:
        cuts = np.array_split(np.arange(num_envs), min(how.processes, num_envs))
        self._rows = [slice(int(cut[0]), int(cut[-1]) + 1) for cut in cuts]
        self._difficulty: Difficulty | None = None
        self._seed = 0
        self._restarts = [0] * len(cuts)
        self._processes: list[Process] = []
        try:
            for number, rows in enumerate(self._rows):
                who = f"{task_id}: worker {number} (environments {rows.start} to {rows.stop - 1})"
                recipe = (task_id, dict(options), rows.stop - rows.start, max_episode_steps)
                with _named():
                    self._processes.append(Process(who, how.step_timeout_s, recipe))
        except BaseException:
            self.close()
            raise
        spec, self._space, self._baselines = self._processes[0].facts
        self._spec: TaskSpec = msgspec.structs.replace(spec, num_envs=num_envs)

    @property
    def spec(self) -> TaskSpec:
        """The task's, over all workers."""
        return self._spec

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the workers."""
        return tuple(process.pid for process in self._processes)

    def reset(self, seed: int) -> Reset:
        """Each worker has a seed of its own."""
        self._seed, self._restarts = seed, [0] * len(self._processes)
        with _named():
            for number, process in enumerate(self._processes):
                process.send("reset", self._seed_of(number))
            return _joined_reset([process.receive() for process in self._processes])

    def _seed_of(self, number: int) -> int:
        return int(generator_of(self._seed, number + 1, self._restarts[number]).integers(2**31))

    def step(self, action: Array) -> Step:
        """One step everywhere, the workers side by side."""
        lost: dict[int, str] = {}
        for number, process in enumerate(self._processes):
            try:
                process.send("step", np.asarray(action)[self._rows[number]])
            except Lost as error:
                lost[number] = str(error)
        steps: list[Step] = []
        raised: list[Exception] = []
        for number, process in enumerate(self._processes):
            try:
                steps.append(self._replaced(number, lost[number]) if number in lost else process.receive())
            except Lost as error:
                steps.append(self._replaced(number, str(error)))
            except (TuiTrainerError, EnvironmentRaised) as error:  # raised below, once every worker has answered
                raised.append(error)
        if raised:
            raise raised[0]
        return _joined_step(steps)

    def _replaced(self, number: int, why: str) -> Step:
        """A new worker in place of a lost one: its episodes broke, new ones begin."""
        process = self._processes[number]
        with _named():
            process.restart()
        self._restarts[number] += 1
        if self._difficulty is not None:
            self._call(process, "set_difficulty", self._difficulty)
        start = self._call(process, "reset", self._seed_of(number))
        count = len(start.obs)
        none, zero, quiet = np.zeros(count, np.bool_), np.zeros(count, np.float32), np.zeros(count, np.int8)
        return Step(start.obs, zero, none, ~none, start.obs, start.mask, start.to_move, none, quiet, (why,))

    def _call(
        self, process: Process, method: str, *given: Any, policy: Policy | None = None, patience_s: float = 0.0
    ) -> Any:
        with _named():
            return process.call(method, *given, policy=policy, patience_s=patience_s)

    def difficulty_space(self) -> DifficultySpace | None:
        """The task's."""
        space: DifficultySpace | None = self._space
        return space

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """In every worker."""
        for process in self._processes:
            self._call(process, "set_difficulty", difficulty)
        self._difficulty = difficulty

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """In the first worker; each answer there within the time limit."""
        return self.judge(policy, part, episodes, seed, is_final=False)

    def judge(self, policy: Policy, part: str, episodes: int, seed: int, *, is_final: bool) -> PartResult:
        """An evaluation, on what is kept for the final one where it is that and the task keeps some."""
        given, patience_s = (part, episodes, seed, is_final), PREPARE_S if is_final else 0.0
        result: PartResult = self._call(self._processes[0], "evaluate", *given, policy=policy, patience_s=patience_s)
        return result

    def final(self) -> RemoteFinal:
        """What the task keeps for the final evaluation, in the first worker."""
        return RemoteFinal(self, *self._call(self._processes[0], "final_facts", patience_s=PREPARE_S))

    def recall_split(self, state: Mapping[str, Any]) -> bool:
        """Of the first worker, which evaluates; every state of every worker names the same data."""
        mine: Mapping[str, Any] = next(iter(state.get("workers", ())), {})
        found: bool = self._call(self._processes[0], "recall_split", mine, patience_s=PREPARE_S)
        return found

    def baselines(self) -> dict[str, float]:
        """The task's."""
        return dict(self._baselines)

    def state_dict(self) -> dict[str, object]:
        """Every worker's."""
        states = [self._call(process, "state_dict") for process in self._processes]
        return {"workers": states, "seed": self._seed, "restarts": list(self._restarts)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue exactly. Raises DamagedSession for a state of another number of workers."""
        if len(state.get("workers", ())) != len(self._processes) or not {"seed", "restarts"} <= state.keys():
            raise DamagedSession(
                f"the task's state is not one of {len(self._processes)} workers", "resume with the same task.processes"
            )
        for process, one in zip(self._processes, state["workers"], strict=True):
            self._call(process, "load_state_dict", one)
        self._seed, self._restarts = int(state["seed"]), [int(count) for count in state["restarts"]]

    def render_text(self, env: int) -> str:
        """Asked of the worker that holds it."""
        number = next(i for i, rows in enumerate(self._rows) if env < rows.stop)
        text: str = self._call(self._processes[number], "render_text", env - self._rows[number].start)
        return text

    def close(self) -> None:
        """End the workers."""
        for process in self._processes:
            process.close()


class RemoteFinal(NamedTuple):
    """The final evaluation of a task in worker processes."""

    task: RemoteTask
    known: dict[str, float]
    limit: float | None

    def evaluate(self, policy: Policy, *, part: str, episodes: int, seed: int) -> PartResult:
        """In the first worker."""
        return self.task.judge(policy, part, episodes, seed, is_final=True)

    def baselines(self) -> dict[str, float]:
        """Of what it is evaluated on."""
        return self.known

    def bound(self) -> float | None:
        """Of what it is evaluated on, where the task knows one."""
        return self.limit


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """A worker that is lost where no episode could be given up for it."""
    try:
        yield
    except Lost as lost:
        raise TaskFailed(str(lost), "mend the environment, or raise task.step_timeout_s") from None


def _joined_reset(parts: list[Reset]) -> Reset:
    return Reset(*(_joined(list(column)) for column in zip(*parts, strict=True)))


def _joined_step(parts: list[Step]) -> Step:
    columns = dict(zip(Step._fields, zip(*parts, strict=True), strict=True))
    failures = tuple(reason for part in parts for reason in part.failures)
    if any(part.final_to_move is None for part in parts):
        columns["final_to_move"] = tuple(None for _ in parts)
    apart = ("failures", "info")
    joined = {name: _joined(list(column)) for name, column in columns.items() if name not in apart}
    return Step(**joined, failures=failures, info=_joined_info(parts))


def _joined_info(parts: list[Step]) -> dict[str, Array] | None:
    """Every name that a worker tells, NaN in the rows of the others."""
    names = dict.fromkeys(name for part in parts for name in part.info or ())
    silent = [np.full(len(part.valid), np.nan) for part in parts]
    return {
        name: np.concatenate([(part.info or {}).get(name, none) for part, none in zip(parts, silent, strict=True)])
        for name in names
    } or None


def _joined(arrays: list[Any]) -> Any:
    return None if arrays[0] is None else np.concatenate(arrays)
