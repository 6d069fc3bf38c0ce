"""A run on several ranks: rank 0 leads, the others follow.

The loop and the manager of rank 0 know one learner and one task, as in a run on one process. Here these are a `Leader`
and a `LedTask`: whatever they are asked, all ranks do, each with its own learner, environments and generators. What
the ranks must not do by the clock they do not do by the clock: slices of a collect end when each rank's time is up,
the rollout when all are full, and parameters meet only while learning.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar, assert_never

from tui_trainer.core.protocols import Learner, Policy, Task
from tui_trainer.core.reports import CollectReport, UpdateReport
from tui_trainer.core.segments import Segment
from tui_trainer.core.values import Difficulty, Metrics, RankLoad
from tui_trainer.engine.signals import BURST_S
from tui_trainer.errors import Diverged, RankLost, TaskFailed, TuiTrainerError
from tui_trainer.tasks.failures import Guarded
from tui_trainer.telemetry.sampler import resident_gib

if TYPE_CHECKING:
    from tui_trainer.algorithms.group import Group

_ENDS = (signal.SIGTERM, signal.SIGINT)
LOADS_S = 2.0
"""Seconds between two looks at how the ranks fare."""
Report = TypeVar("Report", CollectReport, UpdateReport)


# --- what rank 0 says ----------------------------------------------------------------------------------------------


class Begin(NamedTuple):
    """The settings of the run, as JSON."""

    config: bytes


class Collect(NamedTuple):
    """Step for about so many seconds."""

    budget_s: float


class Learn(NamedTuple):
    """Update, together."""


class Apply(NamedTuple):
    """Change a live setting."""

    key: str
    value: float


class Face(NamedTuple):
    """Take a new difficulty."""

    difficulty: Difficulty


class Hand(NamedTuple):
    """Hand over everything that decides the next bit and is not the same on all ranks."""


class Load(NamedTuple):
    """Go back to this: what all ranks share, and each rank's own."""

    common: Mapping[str, object]
    own: Sequence[Mapping[str, object]]


class TakeOver(NamedTuple):
    """Go on from what another number of ranks left."""

    state: Mapping[str, object]


class Leave(NamedTuple):
    """The run is over."""


Word: TypeAlias = Collect | Learn | Apply | Face | Hand | Load | TakeOver | Leave


class Failed(NamedTuple):
    """What a rank's task or learner raised; what follows is rank 0's to decide."""

    rank: int
    kind: str
    detail: str


class Kept(NamedTuple):
    """In place of a segment that rank 0 has by its number."""

    number: int


class RankLearner(Learner, Protocol):
    """A learner that can be one of several."""

    @property
    def shared(self) -> tuple[str, ...]:
        """Keys of its state, dotted where they lie deeper, that are the same on every rank."""
        ...

    def join(self, group: Group) -> None: ...

    def take_over(self, state: Mapping[str, object], rank: int, size: int) -> None: ...


# --- rank 0 ----------------------------------------------------------------------------------------------------------


class Leader:
    """All ranks' learners as one, see core.protocols.Learner."""

    def __init__(
        self, group: Group, learner: RankLearner, device: str, told: Callable[[tuple[RankLoad, ...]], None]
    ) -> None:
        self._group, self._learner, self._told = group, learner, told
        self._segments: list[dict[int, Segment]] = [{} for _ in range(group.size)]
        self._pulse = Pulse(group, device)
        self._loads_due = time.monotonic() + LOADS_S
        self._is_lost = False
        learner.join(group)

    @property
    def ranks(self) -> int:
        return self._group.size

    @property
    def parameters_count(self) -> int:
        return self._learner.parameters_count

    @property
    def steps_per_update(self) -> int:
        return self._learner.steps_per_update * self._group.size

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self._learner.notes, f"{self._group.size} ranks, each with its part of environments and batches")

    def collect(self, budget_s: float) -> CollectReport:
        """A slice on every rank; complete when all are full."""
        return merged_collect(self._all(Collect(budget_s), lambda: self._learner.collect(budget_s)))

    def learn(self) -> UpdateReport:
        """The update that all ranks make together."""
        found = self._all(Learn(), self._learner.learn)
        return UpdateReport(metrics=means([each.metrics for each in found]), seconds=found[0].seconds)

    def policy(self) -> Policy:
        return self._learner.policy()

    def policy_from(self, state: Mapping[str, object]) -> Policy:
        return self._learner.policy_from(state)

    def set(self, key: str, value: float) -> float:
        """Change a live setting everywhere."""
        old = self._learner.set(key, value)
        self._group.tell(Apply(key, value))
        return old

    def face(self, difficulty: Difficulty) -> None:
        """The other ranks' tasks take a new difficulty."""
        self._group.tell(Face(difficulty))

    def state_dict(self) -> dict[str, object]:
        """Rank 0's, and under `ranks` what the others have of their own."""
        own = self._learner.state_dict()
        self._group.tell(Hand())
        parts = self._group.gather({"sum": checksum(own)})
        for rank, part in enumerate(parts):
            if part["sum"] != parts[0]["sum"]:
                raise TuiTrainerError(f"rank {rank} has other parameters than rank 0", "resume from a checkpoint")
        return {**own, "ranks": [self._received(rank, part) for rank, part in enumerate(parts) if rank]}

    def _received(self, rank: int, part: Mapping[str, Any]) -> Any:
        """A rank's part with the segments that it had sent before."""
        held = {**self._segments[rank], **part["segments"]}
        self._segments[rank] = {number: held[number] for number in part["numbers"]}
        return replaced(part["state"], lambda v: held[v.number] if isinstance(v, Kept) else v)

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """All ranks back where `state_dict` was taken, on as many ranks."""
        common = {key: value for key, value in state.items() if key != "ranks"}
        parts = state["ranks"]
        assert isinstance(parts, list)
        self._group.tell(Load(only(common, self._learner.shared), parts))
        self._learner.load_state_dict(common)
        self._group.gather(None)

    def take_over(self, state: Mapping[str, object]) -> None:
        """All ranks go on from what another number of ranks left."""
        self._group.tell(TakeOver(state))
        self._learner.take_over(state, 0, self._group.size)
        self._group.gather(None)

    def dismiss(self) -> None:
        """The other ranks end; where one is lost, they find out themselves."""
        if not self._is_lost:
            self._group.tell(Leave())
            self._group.leave()

    def _all(self, word: Word, own: Callable[[], Report]) -> list[Report]:
        """Every rank's report of the same work. Raises what broke on rank 0, else what broke on another."""
        try:
            self._group.tell(word)
            mine = attempt(word, own)
            theirs: list[tuple[Any, RankLoad]] = self._group.gather((None, self._pulse.load(mine)))[1:]
        except RankLost:
            self._is_lost = True
            raise
        self._tell_loads(mine, [load for _, load in theirs])
        if isinstance(mine, BaseException):
            raise mine
        failed = [report for report, _ in theirs if isinstance(report, Failed)]
        if failed:
            raise as_error(failed[0])
        return [mine, *(report for report, _ in theirs)]

    def _tell_loads(self, mine: object, theirs: Sequence[RankLoad]) -> None:
        if time.monotonic() >= self._loads_due:
            self._loads_due = time.monotonic() + LOADS_S
            self._told((self._pulse.last, *theirs))


class LedTask(Guarded):
    """Rank 0's task: a new difficulty reaches every rank's."""

    leader: Leader | None = None

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """Everywhere."""
        super().set_difficulty(difficulty)
        if self.leader is not None:
            self.leader.face(difficulty)


# --- the others ------------------------------------------------------------------------------------------------------


class Follower:
    """A rank that does what rank 0 says, with its own learner, task and generators."""

    def __init__(self, group: Group, learner: RankLearner, task: Task, device: str, generators: Generators) -> None:
        self._group, self._learner, self._task, self._generators = group, learner, task, generators
        self._pulse = Pulse(group, device)
        self._sent: dict[int, Segment] = {}
        self._next = 0
        learner.join(group)

    def follow(self) -> None:
        """Until rank 0 says that the run is over. Raises RankLost where it is gone."""
        while not isinstance(word := self._group.hear(), Leave):
            self._do(word)
        self._group.leave()

    def _do(self, word: Word) -> None:
        match word:
            case Collect(budget_s=budget_s):
                self._report(word, lambda: self._learner.collect(budget_s))
            case Learn():
                self._report(word, self._learner.learn)
            case Apply(key=key, value=value):
                self._learner.set(key, value)
            case Face(difficulty=difficulty):
                self._task.set_difficulty(difficulty)
            case Hand():
                self._group.gather(self._part())
            case Load(common=common, own=own):
                self._load(common, own[self._group.rank - 1])
                self._group.gather(None)
            case TakeOver(state=state):
                self._learner.take_over(state, self._group.rank, self._group.size)
                self._group.gather(None)
            case Leave():
                raise AssertionError("Leave ends the loop")
            case _:
                assert_never(word)

    def _report(self, word: Word, work: Callable[[], Report]) -> None:
        report = attempt(word, work)
        told = failure(self._group.rank, report) if isinstance(report, BaseException) else report
        self._group.gather((told, self._pulse.load(report)))

    def _part(self) -> dict[str, object]:
        """What is this rank's own; segments that rank 0 has are named only."""
        state = self._learner.state_dict()
        fresh: dict[int, Segment] = {}
        numbers: dict[int, Segment] = {}
        known = {id(segment): number for number, segment in self._sent.items()}

        def named(value: object) -> object:
            if not isinstance(value, Segment):
                return value
            number = known.get(id(value))
            if number is None:
                number, self._next = self._next, self._next + 1
                fresh[number] = value
            numbers[number] = value
            return Kept(number)

        own = {"learner": without(state, self._learner.shared), "task": self._task.state_dict()}
        part = replaced({**own, "rng": self._generators.read()["rng"]}, named)
        self._sent = numbers
        return {"sum": checksum(state), "state": part, "segments": fresh, "numbers": list(numbers)}

    def _load(self, common: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        self._learner.load_state_dict(joined(common, own["learner"]))
        self._task.load_state_dict(own["task"])
        self._generators.write(own)


class Generators(NamedTuple):
    """Reads and writes the global generators."""

    read: Callable[[], dict[str, Any]]
    write: Callable[[Mapping[str, Any]], None]


class SignalWatch:
    """SIGTERM and SIGINT ask rank 0 for an end: another rank takes the first for a hint and leaves on the second, or on
    any while it has met no rank 0. A thread waits for them, as the main thread is mostly out of Python's reach.

    Made before other threads are, which would take the signals otherwise.
    """

    def __init__(self) -> None:
        self.has_leader = False
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        threading.Thread(target=self._watch, name="signals", daemon=True).start()

    def _watch(self) -> None:
        number = signal.sigwait(_ENDS)
        if self.has_leader:
            number = _behind_a_burst()
        os._exit(128 + number)


def _behind_a_burst() -> int:
    """Wait for an end that does not follow another so closely that both are one, see engine.signals."""
    while True:
        began = time.monotonic()
        number = signal.sigwait(_ENDS)
        if number != signal.SIGTERM or time.monotonic() - began >= BURST_S:
            return number


# --- what each rank measures -----------------------------------------------------------------------------------------


class Pulse:
    """How a rank fares: its speed while it works, and the share of time that it waits for others."""

    def __init__(self, group: Group, device: str) -> None:
        self._group, self._device = group, device
        self._began = time.monotonic()
        self._steps, self._work_s = 0, 0.0
        self.last = RankLoad(rank=group.rank, host=socket.gethostname(), device=device)

    def load(self, report: object) -> RankLoad:
        """Take in a report; the figures of the last seconds."""
        if isinstance(report, CollectReport | UpdateReport):
            self._work_s += sum(seconds for name, seconds in report.seconds.items() if name != "sync")
        if isinstance(report, CollectReport):
            self._steps += report.steps
        elapsed = time.monotonic() - self._began
        if elapsed >= LOADS_S / 2 and self._steps:
            self.last = RankLoad(
                rank=self._group.rank,
                host=self.last.host,
                device=self._device,
                sps=round(self._steps / max(self._work_s, 1e-9), 1),
                work=round(min(1.0, self._work_s / elapsed), 3),
                memory_gib=round(resident_gib(), 3),
            )
            self._began, self._steps, self._work_s = time.monotonic(), 0, 0.0
        return self.last


# --- pure ------------------------------------------------------------------------------------------------------------


def attempt(word: Word, work: Callable[[], Report]) -> Report | BaseException:
    """A report, or what was raised. While learning only Diverged is raised on all ranks at once; whatever else leaves
    the others waiting in an exchange, so the rank is lost."""
    try:
        return work()
    except (RankLost, KeyboardInterrupt):
        raise
    except (Exception, SystemExit) as error:
        if isinstance(word, Learn) and not isinstance(error, Diverged):
            raise RankLost(f"a rank failed while learning: {type(error).__name__}: {error}") from error
        return error


def failure(rank: int, error: BaseException) -> Failed:
    """To be sent."""
    kind = "memory" if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" else "failed"
    return Failed(rank, "diverged" if isinstance(error, Diverged) else kind, f"{type(error).__name__}: {error}")


def as_error(failed: Failed) -> Exception:
    """What rank 0 raises for another."""
    text = f"rank {failed.rank}: {failed.detail}"
    if failed.kind == "diverged":
        return Diverged(text)
    return MemoryError(text) if failed.kind == "memory" else TaskFailed(text)


def merged_collect(reports: Sequence[CollectReport]) -> CollectReport:
    """A slice of all ranks: sums and means; seconds are those of rank 0."""
    why = [
        f"rank {rank}: {each.failure}" if rank else each.failure for rank, each in enumerate(reports) if each.failure
    ]
    return CollectReport(
        steps=sum(each.steps for each in reports),
        episodes=sum(each.episodes for each in reports),
        complete=all(each.complete for each in reports),
        metrics=means([each.metrics for each in reports]),
        seconds=reports[0].seconds,
        failed_episodes=sum(each.failed_episodes for each in reports),
        failure=why[-1] if why else "",
    )


def means(metrics: Sequence[Metrics]) -> Metrics:
    """Each metric's mean over the ranks that have it."""
    found: Metrics = {}
    for name in dict.fromkeys(name for each in metrics for name in each):
        values = [value for each in metrics if (value := each.get(name)) is not None]
        found[name] = sum(values) / len(values) if values else None
    return found


def checksum(state: Mapping[str, Any]) -> int:
    """Of the parameters in a learner's state."""
    return zlib.crc32(state["parameters"].detach().cpu().contiguous().numpy())


def replaced(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same nest of dictionaries and lists with every leaf changed."""
    if isinstance(value, Kept):
        return change(value)
    if isinstance(value, Mapping):
        return {key: replaced(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([replaced(inner, change) for inner in value])
    return change(value)


def without(state: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """A state less some keys, dotted where they lie deeper."""
    left = {key: value for key, value in state.items() if key not in keys}
    for first, rest in _deeper(keys):
        if isinstance(left.get(first), Mapping):
            left[first] = without(left[first], [rest])
    return left


def only(state: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """What `without` leaves out."""
    found = {key: state[key] for key in keys if key in state}
    for first, rest in _deeper(keys):
        if isinstance(state.get(first), Mapping):
            found[first] = only(state[first], [rest])
    return found


def joined(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The state of which `only` and `without` are the parts."""
    both = {**common, **own}
    for key in common.keys() & own.keys():
        if isinstance(common[key], Mapping) and isinstance(own[key], Mapping):
            both[key] = joined(common[key], own[key])
    return both


def _deeper(keys: Sequence[str]) -> list[tuple[str, str]]:
    return [(first, rest) for first, dot, rest in (key.partition(".") for key in keys) if dot and first not in keys]


def ranks_of(state: Mapping[str, Any]) -> int:
    """How many ranks a learner's state was taken of."""
    return 1 + len(state.get("ranks", ()))


def restore(learner: Learner, task: Task, state: Mapping[str, Any]) -> None:
    """Put learner and task back where a state was taken; what another number of ranks left is taken over instead."""
    held = state["learner"]
    size: int = getattr(learner, "ranks", 1)
    if ranks_of(held) == size:
        task.load_state_dict(state["task"])
        learner.load_state_dict(held)  # a rollout on another kind of device begins anew, and its episodes with it
    elif isinstance(learner, Leader):
        learner.take_over(held)
    else:
        take_over: Callable[[Mapping[str, Any], int, int], None] = getattr(learner, "take_over")  # noqa: B009
        take_over(held, 0, 1)
