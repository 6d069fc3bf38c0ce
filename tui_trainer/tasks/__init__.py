"""What can be trained. One file a task; the registry loads nothing heavy.

A task id is a registered name (`connect_four`), a family's prefix and a name (`gym:CartPole-v1`), `module:factory` of
your own, or a name that an installed package registers under the entry points `tui_trainer.tasks`. A factory is called
as `factory(options, num_envs, max_episode_steps)` and returns a Task (core/protocols.py).
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tui_trainer.core import registry
from tui_trainer.core.config import Settings, nearest
from tui_trainer.core.protocols import Task, TaskSpec
from tui_trainer.core.registry import Entry, load, load_attribute
from tui_trainer.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from tui_trainer.tasks.options import OptionDoc
    from tui_trainer.tasks.remote.task import ProcessOptions

ENTRY_POINTS = "tui_trainer.tasks"

PROCESSES = "processes"
"""The option of every task that puts its environments into worker processes."""

Factory = Callable[[Mapping[str, Any], int, int], Task]

TASKS: dict[str, Entry] = {
    entry.id: entry
    for entry in (
        Entry(
            id="connect_four",
            summary="Connect Four by self-play, ladder random to minimax-5",
            factory="tui_trainer.tasks.connect_four:make",
        ),
        Entry(
            id="tictactoe",
            summary="Tic-tac-toe by self-play: the debug task",
            factory="tui_trainer.tasks.tictactoe:make",
        ),
        Entry(
            id="cache",
            summary="manage a cache over requests that change phase, generated or your own trace",
            factory="tui_trainer.tasks.cache:make",
        ),
        Entry(
            id="trading",
            summary="momentum on OHLCV bars, generated or your own: short, flat or long",
            factory="tui_trainer.tasks.trading:make",
        ),
        Entry(
            id="openspiel:",
            summary="any two-player board game in OpenSpiel, such as openspiel:shogi",
            factory="tui_trainer.tasks.openspiel:make",
            extra="games",
        ),
        Entry(
            id="vectorize",
            summary="VTracer's parameters for pictures, generated or your own folder",
            factory="tui_trainer.tasks.vectorize:make",
            extra="vector",
        ),
        Entry(
            id="gym:",
            summary="any Gymnasium environment, such as gym:CartPole-v1",
            factory="tui_trainer.tasks.gym:make",
            extra="gym",
        ),
        Entry(
            id="pettingzoo:",
            summary="any PettingZoo environment, such as pettingzoo:connect_four_v3",
            factory="tui_trainer.tasks.pettingzoo:make",
            extra="pettingzoo",
        ),
    )
}
"""Every built-in task by id; an id that ends in `:` is a family and takes a name behind it."""


def make(task_id: str, options: Mapping[str, Any], num_envs: int, max_episode_steps: int = 0) -> Task:
    """The task with `num_envs` environments; `max_episode_steps` truncates longer episodes, 0 = the task's own limit.

    Raises UsageError for an unknown id, ConfigError for an unknown or impossible option, MissingExtra.
    """
    entry, name = _find(task_id)
    if PROCESSES in options:
        options, how = _split(options, task_id)
        if how.processes:
            from tui_trainer.tasks.remote.task import RemoteTask

            return RemoteTask(task_id, options, num_envs, max_episode_steps, how)
    factory: Callable[..., Task] = load(entry)
    if entry.id.endswith(":"):
        return factory(name, options, num_envs, max_episode_steps)
    return factory(options, num_envs, max_episode_steps)


def in_process(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without those of worker processes: for a task that is watched, played or examined."""
    return dict(_split(options, "")[0]) if PROCESSES in options else dict(options)


def _split(options: Mapping[str, Any], task_id: str) -> tuple[Mapping[str, Any], ProcessOptions]:
    """The task's own options, and how many processes hold it."""
    from tui_trainer.tasks.options import read_options
    from tui_trainer.tasks.remote.task import ProcessOptions

    common = ProcessOptions.__struct_fields__
    how = read_options(ProcessOptions, {key: value for key, value in options.items() if key in common}, task_id)
    return {key: value for key, value in options.items() if key not in common}, how


def check_options(task_id: str, options: Mapping[str, Any]) -> None:
    """Raises ConfigError for an unknown or impossible option. Builds the task once, with one environment."""
    make(task_id, options, 1).close()


def spec_of(task_id: str, options: Mapping[str, Any] | None = None, num_envs: int = 1) -> TaskSpec:
    """What is fixed about the task. Builds it once."""
    task = make(task_id, options or {}, num_envs)
    try:
        return task.spec
    finally:
        task.close()


def check_id(task_id: str) -> None:
    """Raise UsageError with the nearest right id where there is no such task. Builds nothing; a built-in id loads
    nothing, a family's name loads its library, `module:factory` its module."""
    entry, name = _find(task_id)
    if name:
        load(msgspec.structs.replace(entry, factory=f"{_module(entry)}:check_name"))(name)


def options_doc(task_id: str) -> tuple[OptionDoc, ...]:
    """The task's options with defaults and sentences: its module's `Options`, or none where it has no such struct."""
    from tui_trainer.tasks.options import option_docs

    kind = _options(task_id)
    return () if kind is None else option_docs(kind)


def process_options_doc() -> tuple[OptionDoc, ...]:
    """The options that every task has: how many worker processes hold it, and how long a step may take there."""
    from tui_trainer.tasks.options import option_docs
    from tui_trainer.tasks.remote.task import ProcessOptions

    return option_docs(ProcessOptions)


def installed() -> dict[str, Entry]:
    """The tasks that installed packages register, by name."""
    return registry.installed(ENTRY_POINTS)


def _options(task_id: str) -> type[Settings] | None:
    entry, _ = _find(task_id)
    load(entry)
    kind = getattr(importlib.import_module(_module(entry)), "Options", None)
    return kind if isinstance(kind, type) and issubclass(kind, Settings) else None


def _module(entry: Entry) -> str:
    return entry.factory.partition(":")[0]


def _find(task_id: str) -> tuple[Entry, str]:
    """The entry and, for a family, the name behind its prefix."""
    if task_id in TASKS and not task_id.endswith(":"):
        return TASKS[task_id], ""
    family, colon, name = task_id.partition(":")
    if family == "guest" and name:
        raise UsageError(
            f"{task_id} is trained by a script of its own, not by tui-trainer",
            "its checkpoints are the script's: run.restored() opens them there",
        )
    if colon and name and f"{family}:" in TASKS:
        return TASKS[f"{family}:"], name
    if task_id in TASKS:
        raise UsageError(f"{task_id!r} takes a name behind the colon", TASKS[task_id].summary)
    plugins = installed()
    if task_id in plugins:
        return plugins[task_id], ""
    if colon and family and name:
        return _own(task_id), ""
    raise _unknown(task_id, [*TASKS, *plugins])


def _own(task_id: str) -> Entry:
    """`module:factory`. Raises UsageError where there is no such module or attribute, MissingExtra for its imports."""
    try:
        found = load_attribute(task_id)
    except ModuleNotFoundError as error:
        module = task_id.partition(":")[0]
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise _unknown(task_id, list(TASKS), f"there is no module {module}") from None
        raise MissingExtra(f"{task_id} imports {error.name}, which is not installed", "install it") from None
    _require_factory(task_id, found)
    return Entry(id=task_id, summary="your own", factory=task_id)


def _require_factory(task_id: str, found: object) -> None:
    """Raises UsageError where it cannot be called as a factory is."""
    try:
        if callable(found):
            inspect.signature(found).bind({}, 1, 0)
            return
    except TypeError:
        pass
    except ValueError:
        return  # a callable that tells no signature, such as one written in C
    raise UsageError(f"{task_id} is no task factory", "it is called as factory(options, num_envs, max_episode_steps)")


def _unknown(task_id: str, known: list[str], why: str = "") -> UsageError:
    close = nearest(task_id, known)
    hint = f"did you mean {close}?" if close else "`tui-trainer tasks list` shows every task"
    return UsageError(f"{task_id!r} is not a task" + (f": {why}" if why else ""), hint)
