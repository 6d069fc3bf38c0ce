"""A study: Optuna proposes, engines run, evaluations feed the pruner. The only module that imports Optuna.

With one job everything follows from the seed: the sampler is made anew for each trial from the seed and the number of
trials before it, so that neither an interruption nor a retry changes what later trials try.
"""

from __future__ import annotations

import os
import re
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from tui_trainer.core import study as study_values
from tui_trainer.core.config import Dimension, Resolved, Scalar, StudySettings, to_table
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.study import StudyView, Trial
from tui_trainer.errors import ConfigError, StorageError, UsageError
from tui_trainer.sessions.names import check_name, find
from tui_trainer.sessions.store import Session
from tui_trainer.studies.engines import POLL_S, Curve, Follower
from tui_trainer.studies.space import Space, differences, is_whole, require_limit, trial_settings

_POSTGRES = re.compile(r"^postgres(ql)?://")
RETRIES = 2
"""How often a killed trial is queued again."""
TRIED = (TrialState.COMPLETE, TrialState.PRUNED)
STATES: dict[TrialState, study_values.TrialState] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a study is made of."""

    name: str
    root: Path
    base: Resolved
    space: dict[str, Dimension]
    higher_is_better: bool
    seed: int
    provenance: dict[str, Any]


def storage_url(root: Path, name: str) -> str:
    """The study's own file beside its sessions."""
    return f"sqlite:///{(root / f'{check_name(name)}.study').absolute()}"


def open_storage(url: str) -> optuna.storages.BaseStorage:
    """A database, or with `journal:FILE` a file that machines share. Raises StorageError where it cannot be opened."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kind, _, rest = url.partition(":")
    try:
        if kind == "journal":
            return JournalStorage(JournalFileBackend(rest, lock_obj=JournalFileOpenLock(rest)))
        return optuna.storages.RDBStorage(_POSTGRES.sub("postgresql+psycopg://", url))
    except (SQLAlchemyError, ImportError, OSError) as error:
        raise StorageError(f"{url}: {str(error).splitlines()[0]}", "is it an Optuna storage URL?") from None


def best_params(storage: optuna.storages.BaseStorage, name: str) -> dict[str, Scalar]:
    """What the best trial of an earlier study tried. Raises UsageError where there is none."""
    try:
        study = optuna.load_study(study_name=name, storage=storage)
        return dict(study.best_params)
    except KeyError:
        known = ", ".join(optuna.get_all_study_names(storage)) or "none"
        raise UsageError(f"there is no study {name}", f"known: {known}") from None
    except ValueError:
        raise UsageError(f"the study {name} has no finished trial to start from") from None


class Study:
    """A study under way: `run` brings it to so many finished trials."""

    def __init__(self, plan: Plan, storage: optuna.storages.BaseStorage, tell: Callable[[Trial], None]) -> None:
        require_limit(plan.base.config)
        self._plan = plan
        self._settings = plan.base.config.study
        self._tell = tell
        self._live: list[_Running] = []
        self._study = optuna.create_study(
            study_name=plan.name,
            storage=storage,
            direction="maximize" if plan.higher_is_better else "minimize",
            pruner=make_pruner(self._settings),
            load_if_exists=True,
        )
        self._require_same()

    def start_from(self, params: Mapping[str, Scalar]) -> None:
        """Try these values first, where the study is new."""
        if not self._study.get_trials(deepcopy=False):
            self._study.enqueue_trial({key: params[key] for key in self._plan.space if key in params})

    def run(self, trials: int, jobs: int) -> None:
        """Until the study has `trials` that ended; `jobs` engines at a time. Interrupted, it leaves nothing running.

        Trials that a person puts into the queue meanwhile are run, too, and come on top.
        """
        self.ask_for(trials)
        self._take_over_lost()
        try:
            while self._fill(trials, jobs) or self._live:
                if not self._advance():
                    time.sleep(POLL_S)
        except BaseException:
            self._abandon()
            raise

    def ask_for(self, trials: int) -> None:
        """Note how many trials are wanted, for whoever looks at the study."""
        self._study.set_user_attr("target", trials)

    @property
    def trials(self) -> list[Trial]:
        """Every trial, by number."""
        return [as_trial(each) for each in self._study.get_trials(deepcopy=False)]

    @property
    def higher_is_better(self) -> bool:
        """Which way the task's score is better."""
        return self._plan.higher_is_better

    @property
    def best(self) -> Trial | None:
        """The best complete trial; the earliest of equals."""
        view = StudyView(name="", higher_is_better=self._plan.higher_is_better, trials=tuple(self.trials))
        return view.best

    def _require_same(self) -> None:
        """A study compares like with like: its settings never change once it has begun."""
        table = {**to_table(self._plan.base.config), "space": msgspec.to_builtins(self._plan.space)}
        table["run"] = {key: value for key, value in table["run"].items() if key not in ("name", "note", "tags")}
        table = msgspec.json.decode(msgspec.json.encode(table))
        known = self._study.user_attrs.get("settings")
        if known is None:
            self._study.set_user_attr("settings", table)
            self._study.set_user_attr("seed", self._plan.seed)
            self._study.set_user_attr("begun_by", self._place())
        elif (known, self._study.user_attrs.get("seed")) != (table, self._plan.seed):
            what = ", ".join(differences(known, table)[:3]) or "seed"
            raise UsageError(f"the study {self._plan.name} was begun with another {what}", "name a new one: --name")

    def _place(self) -> str:
        """Which of the machines that share the study this is."""
        return f"{os.uname().nodename}:{self._plan.root.resolve()}"

    def _seed(self) -> int:
        """Of the next trial's sampler: another one on each machine, else two would try the same."""
        others = self._study.user_attrs.get("begun_by", self._place()) != self._place()
        return 1_000_003 * self._plan.seed + self._count() + (zlib.crc32(self._place().encode()) if others else 0)

    # --- trials that nobody runs any more ---------------------------------------------------------------------

    def _take_over_lost(self) -> None:
        """Trials of a `tune` on this host that is gone are marked failed and queued again."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not _is_alive(trial):
                self._study.tell(trial.number, state=TrialState.FAIL)
                self._queue_again(trial)

    def _queue_again(self, trial: FrozenTrial) -> None:
        tries = int(trial.user_attrs.get("tries", 0)) + 1
        if tries <= RETRIES and set(trial.params) == set(self._plan.space):
            session = trial.user_attrs.get("session", "")
            by_hand = bool(trial.user_attrs.get("by_hand"))
            attributes = {"retry_of": trial.number, "tries": tries, "session": session, "by_hand": by_hand}
            self._study.enqueue_trial(trial.params, user_attrs=attributes)

    def _abandon(self) -> None:
        """Stop what runs, save it, and leave it in the queue."""
        for running in self._live:
            running.follower.stop()
        while self._live:
            self._lose(self._live.pop())

    def _lose(self, running: _Running) -> None:
        """Killed rather than failed: the next one with these values takes up its session."""
        frozen = self._study.get_trials(deepcopy=False)[running.trial.number]
        running.trial.set_user_attr("note", "killed; queued again")
        self._end(running, TrialState.FAIL)
        self._queue_again(frozen)

    # --- one trial after another ------------------------------------------------------------------------------

    def _fill(self, target: int, jobs: int) -> bool:
        """Start what is wanted and fits; whether anything is wanted still."""
        while len(self._live) < jobs:
            if self._count() >= target and not self._is_asked_by_hand():
                return False
            self._begin()
        return True

    def _count(self) -> int:
        """Trials that ended for good, and those that run: a killed one counts by its retry, one by hand not at all."""
        trials = self._study.get_trials(deepcopy=False)
        left_out = {trial.user_attrs.get("retry_of") for trial in trials}
        left_out |= {trial.number for trial in trials if trial.user_attrs.get("by_hand")}
        return sum(trial.state != TrialState.WAITING and trial.number not in left_out for trial in trials)

    def _is_asked_by_hand(self) -> bool:
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return any(trial.user_attrs.get("by_hand") for trial in waiting)

    def _begin(self) -> None:
        self._study.sampler = make_sampler(self._settings, self._seed())
        trial = self._study.ask()
        trial.set_user_attr("host", os.uname().nodename)
        trial.set_user_attr("pid", os.getpid())
        params = suggest(trial, self._plan.space)
        try:
            session = self._session(trial, params)
        except ConfigError as error:
            trial.set_user_attr("note", error.message)
            self._study.tell(trial, state=TrialState.FAIL)
            self._report(trial.number)
            return
        trial.set_user_attr("session", session.name)
        self._live.append(_Running(trial, Follower(session)))

    def _session(self, trial: optuna.Trial, params: Mapping[str, Scalar]) -> Session:
        """The killed trial's, where this one is its retry, otherwise a new one."""
        plan, name = self._plan, trial.user_attrs.get("session", "")
        if name and (plan.root / name).exists():
            return Session.open(find(plan.root, name))
        origin = f"study {plan.name} trial {trial.number}"
        resolved = trial_settings(plan.base, params, origin, f"trial {trial.number} of the study {plan.name}")
        return Session.create(plan.root, f"{plan.name}-t{trial.number:04d}", resolved, plan.provenance)

    def _advance(self) -> bool:
        """Read every engine's news; whether anything ended."""
        ended = [running for running in self._live if self._has_finished(running)]
        self._live = [running for running in self._live if running not in ended]
        return bool(ended)

    def _has_finished(self, running: _Running) -> bool:
        gone = running.follower.has_ended  # asked first, so that the last lines are read after it
        for event in running.follower.news():
            if running.curve.take(event) and self._should_prune(running) and not self._is_last(event):
                running.follower.stop()
                self._end(running, TrialState.PRUNED)
                return True
        if gone:
            self._conclude(running)
        return gone

    def _should_prune(self, running: _Running) -> bool:
        """Evaluations count as 0, 1, 2 ...: the pruner compares trials at the same one."""
        score = running.curve.last
        if score is not None:
            running.trial.report(score, len(running.curve.points) - 1)
        return running.trial.should_prune()

    def _is_last(self, event: AnyEvent) -> bool:
        """The evaluation at the limit: this trial has come to its end, however it did."""
        limits = self._plan.base.config.manager.termination
        return 0 < limits.max_updates <= event.update or 0 < limits.max_steps <= event.global_step

    def _conclude(self, running: _Running) -> None:
        code, value = running.follower.exit_code, running.curve.last
        reason = running.follower.reason
        if code < 0 or reason in ("signal", "scheduler", ""):
            self._lose(running)
        elif code == 0 and reason != "user" and value is not None:
            self._end(running, TrialState.COMPLETE, value)
        else:
            note = "stopped by a person" if reason == "user" else f"{reason or 'failed'}, exit code {code}"
            running.trial.set_user_attr("note", note if value is not None else f"{note}; no evaluation")
            self._end(running, TrialState.FAIL)

    def _end(self, running: _Running, state: TrialState, value: float | None = None) -> None:
        self._study.tell(running.trial, value, state=state)
        self._report(running.trial.number)

    def _report(self, number: int) -> None:
        self._tell(as_trial(self._study.get_trials(deepcopy=False)[number]))


class _Running:
    """A trial and the engine that runs it."""

    def __init__(self, trial: optuna.Trial, follower: Follower) -> None:
        self.trial = trial
        self.follower = follower
        self.curve = Curve()


def make_sampler(settings: StudySettings, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler of one trial."""
    seed %= 2**32
    match settings.sampler:
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=settings.startup_trials)
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)


def make_pruner(settings: StudySettings) -> optuna.pruners.BasePruner:
    """Steps are evaluations, counted from 0."""
    match settings.pruner:
        case "median":
            return optuna.pruners.MedianPruner(settings.startup_trials, settings.warmup_evaluations)
        case "halving":
            return optuna.pruners.SuccessiveHalvingPruner(min_resource=max(1, settings.warmup_evaluations))
        case "none":
            return optuna.pruners.NopPruner()


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Scalar]:
    """A value for every dimension, in the order of the file."""
    return {key: _value(trial, key, dimension) for key, dimension in space.items()}


def _value(trial: optuna.Trial, key: str, of: Dimension) -> Scalar:
    if of.low is None or of.high is None:
        chosen: Scalar = of.choices[of.choices.index(trial.suggest_categorical(key, list(of.choices)))]
        return chosen
    if is_whole(key, of):
        return trial.suggest_int(key, int(of.low), int(of.high), step=int(of.step or 1), log=of.log)
    return trial.suggest_float(key, of.low, of.high, step=of.step, log=of.log)


def as_trial(frozen: FrozenTrial) -> Trial:
    """Optuna's record in our words; of a trial without a result the value is its last evaluation."""
    attributes = frozen.user_attrs
    last = max(frozen.intermediate_values, default=None)
    fixed = frozen.system_attrs.get("fixed_params", {})
    return Trial(
        number=frozen.number,
        state=STATES[frozen.state],
        value=frozen.intermediate_values[last] if frozen.value is None and last is not None else frozen.value,
        params=dict(frozen.params or fixed),
        session=attributes.get("session", ""),
        note=attributes.get("note", ""),
        retry_of=attributes.get("retry_of"),
        evaluations=len(frozen.intermediate_values),
        by_hand=bool(attributes.get("by_hand")),
    )


def _is_alive(trial: FrozenTrial) -> bool:
    """Whether the `tune` that runs it is there: on another host nobody can tell from here, so it is left alone."""
    pid, host = trial.user_attrs.get("pid"), trial.user_attrs.get("host")
    if pid is None or pid == os.getpid():
        return False
    if host != os.uname().nodename:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


__all__ = ["Plan", "Study", "as_trial", "best_params", "open_storage", "storage_url"]
