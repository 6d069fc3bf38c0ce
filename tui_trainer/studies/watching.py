"""A study seen from another process: read it from its storage, put trials into its queue, stop whoever runs it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState as OptunaState
from sqlalchemy.exc import SQLAlchemyError

from tui_trainer.core.config import Dimension, Scalar, nearest
from tui_trainer.core.study import StudyView
from tui_trainer.errors import ConfigError, OrderRefused, SessionInUse, StorageError, UsageError
from tui_trainer.sessions.lock import SessionLock, owner
from tui_trainer.studies.space import is_whole
from tui_trainer.studies.study import as_trial

ENOUGH = 8
"""Complete trials before their importance is told."""


def lock_path(root: Path, name: str) -> Path:
    """Held by the process that runs the study on this machine."""
    return root / f".{name}.study.{socket.gethostname()}.lock"


@contextmanager
def running(root: Path, name: str) -> Iterator[None]:
    """Hold the study. Raises SessionInUse where another process on this machine does."""
    try:
        held = SessionLock(lock_path(root, name), name)
    except SessionInUse:
        holder = owner(lock_path(root, name))
        who = f"process {holder.pid}" if holder else "another process"
        raise SessionInUse(f"{who} runs the study {name}", f"`tui-trainer attach {name}` shows it") from None
    with held:
        yield


class Watch:
    """One study's storage. Every method may be called from any thread, one at a time."""

    def __init__(self, root: Path, name: str, storage: optuna.storages.BaseStorage) -> None:
        self._root = root
        self._name = name
        self._storage = storage
        self._importance: tuple[int, dict[str, float]] = (0, {})

    def read(self) -> StudyView:
        """As it is now. Raises UsageError where there is no such study, StorageError where it cannot be read."""
        study = self._open()
        holder = owner(lock_path(self._root, self._name))
        return StudyView(
            name=self._name,
            higher_is_better=study.direction == optuna.study.StudyDirection.MAXIMIZE,
            seed=int(study.user_attrs.get("seed", 0)),
            target=int(study.user_attrs.get("target", 0)),
            pid=holder.pid if holder else None,
            trials=tuple(as_trial(each) for each in study.get_trials(deepcopy=False)),
            importance=self._important(study),
        )

    def enqueue(self, params: Mapping[str, Scalar]) -> str:
        """Try these values next, on top of what was asked for. Raises ConfigError where the study has no such value."""
        study = self._open()
        values = checked(params, dimensions(study))
        study.enqueue_trial(values, user_attrs={"by_hand": True})
        return (
            "in the queue" if owner(lock_path(self._root, self._name)) else "in the queue, for when the study goes on"
        )

    def stop(self) -> str:
        """Ask the process that runs it to stop its engines, save and leave. Raises OrderRefused where there is none."""
        holder = owner(lock_path(self._root, self._name))
        if holder is None or holder.pid <= 0:
            raise OrderRefused(f"nobody runs the study {self._name} on this machine", "the same `tune` goes on with it")
        os.kill(holder.pid, signal.SIGTERM)
        return "stopping: its engines save and leave, their trials stay in the queue"

    def _open(self) -> optuna.Study:
        try:
            return optuna.load_study(study_name=self._name, storage=self._storage)
        except KeyError:
            raise UsageError(f"there is no study {self._name}", "`tui-trainer tune` begins one") from None
        except SQLAlchemyError as error:
            raise StorageError(f"the study {self._name}: {str(error).splitlines()[0]}") from None

    def _important(self, study: optuna.Study) -> dict[str, float]:
        """By PED-ANOVA (Watanabe, Bansal and Hutter 2023), anew when another trial has come to its end."""
        complete = study.get_trials(deepcopy=False, states=(OptunaState.COMPLETE,))
        if len(complete) < ENOUGH or len({trial.value for trial in complete}) < 2:
            return {}
        if self._importance[0] != len(complete):
            found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
            self._importance = (len(complete), dict(found))
        return self._importance[1]


def dimensions(study: optuna.Study) -> dict[str, Dimension]:
    """The space that the study was begun with."""
    settings = study.user_attrs.get("settings", {})
    return {key: msgspec.convert(table, Dimension) for key, table in settings.get("space", {}).items()}


def checked(params: Mapping[str, Scalar], space: Mapping[str, Dimension]) -> dict[str, Scalar]:
    """Every value in its dimension's kind. Raises ConfigError naming what is missing, unknown or outside."""
    for key in params:
        if key not in space:
            close = nearest(key, list(space))
            raise ConfigError(f"{key} is not in this study's space", f"did you mean {close}?" if close else "")
    missing = [key for key in space if key not in params]
    if missing:
        raise ConfigError(f"{', '.join(missing)}: no value", "a trial needs one for each setting of the space")
    return {key: _checked(key, params[key], of) for key, of in space.items()}


def _checked(key: str, value: Scalar, of: Dimension) -> Scalar:
    """The value as the study knows it, whatever it was typed as."""
    if of.choices:
        found = next((choice for choice in of.choices if _bare(choice) == _bare(value)), None)
        if found is None:
            raise ConfigError(f"{key} = {value}: not in the space", f"one of {', '.join(map(str, of.choices))}")
        return found
    number = _number(value)
    if number is None or not _holds(number, of) or (is_whole(key, of) and number != int(number)):
        step = f" in steps of {of.step:g}" if of.step else ""
        raise ConfigError(f"{key} = {value}: not in the space", f"{of.low} to {of.high}{step}")
    return int(number) if is_whole(key, of) else number


def _bare(value: Scalar) -> str:
    return str(value).replace(" ", "").lower()


def _number(value: Scalar) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _holds(number: float, of: Dimension) -> bool:
    """Within both ends, and on the grid where there is one."""
    if of.low is None or of.high is None or not of.low <= number <= of.high:
        return False
    steps = (number - of.low) / of.step if of.step else 0.0
    return abs(steps - round(steps)) < 1e-9


__all__ = ["Watch", "checked", "dimensions", "lock_path", "running"]
