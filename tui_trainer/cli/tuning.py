"""`tune`: a study, told a line a trial."""

from __future__ import annotations

import importlib.util
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tui_trainer.cli import find
from tui_trainer.cli.settings import resolve_run
from tui_trainer.core.config import Dimension, Resolved, Scalar, UiSettings, search_space
from tui_trainer.core.study import Trial
from tui_trainer.core.text import clean_line
from tui_trainer.engine.threads import pin_threads
from tui_trainer.errors import ConfigError, MissingExtra, UsageError
from tui_trainer.launch.spawn import spawn_words
from tui_trainer.sessions.names import check_name
from tui_trainer.sessions.provenance import collect

if TYPE_CHECKING:
    from tui_trainer.studies.study import Plan


class Tune(msgspec.Struct):
    """What `tune` was told."""

    config: str
    trials: int
    jobs: int
    assignments: list[str]
    sessions: str | None
    storage: str | None = None
    earlier: str | None = None
    name: str | None = None
    seed: int | None = None
    json: bool = False
    no_ui: bool = False


def tune(wish: Tune) -> int:
    """Bring the study to so many finished trials; exit code 1 where none of them has a result.

    On a terminal the study runs in a process of its own, and the app is opened on it.
    """
    require_optuna()
    pin_threads(1)  # before optuna brings numpy
    from tui_trainer.studies.study import Study, open_storage, storage_url
    from tui_trainer.studies.watching import running

    base, root = resolve_run(wish.config, {}, wish.assignments), find.root(wish.sessions)
    name = check_name(wish.name or f"{Path(wish.config).stem}-study")
    space, best = _space(wish, base, root)
    root.mkdir(parents=True, exist_ok=True)
    with running(root, name):
        study = Study(
            _plan(wish, base, root, name, space),
            open_storage(wish.storage or storage_url(root, name)),
            lambda trial: print(msgspec.json.encode(trial).decode() if wish.json else line(trial), flush=True),
        )
        study.start_from(best)
        if _wants_app(wish):
            study.ask_for(wish.trials)
        else:
            _obey_signals()
            study.run(wish.trials, wish.jobs)
    if _wants_app(wish):
        return _in_app(wish, root, name)
    if wish.json:
        print(msgspec.json.encode({"study": name, "trials": len(study.trials), "best": study.best}).decode())
    else:
        print("\n".join(summary(study.trials, study.best, higher=study.higher_is_better)))
    return 0 if study.best else 1


def require_optuna() -> None:
    """Raises MissingExtra where it is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtra("tune needs the library optuna", 'install it with: pip install "tui-trainer[tune]"')


def _wants_app(wish: Tune) -> bool:
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return is_terminal and not (wish.no_ui or wish.json)


def _obey_signals() -> None:
    """SIGTERM and SIGINT stop the engines and leave, also in a process whose parent ignored them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _in_app(wish: Tune, root: Path, name: str) -> int:
    """Start the study in a process that outlives the terminal, and look at it."""
    words = [sys.executable, "-m", "tui_trainer", "tune", wish.config, f"--trials={wish.trials}", f"--jobs={wish.jobs}"]
    words += [f"--name={name}", f"--sessions={root}", "--no-ui", *(f"--set={text}" for text in wish.assignments)]
    words += [f"--storage={wish.storage}"] if wish.storage else []
    words += [f"--from={wish.earlier}"] if wish.earlier else []
    words += [f"--seed={wish.seed}"] if wish.seed is not None else []
    spawn_words(words, root / f"{name}.study.log")
    return view_study(root, name, wish.storage)


def view_study(root: Path, name: str, storage: str | None = None) -> int:
    """The app on a study, until the person leaves; a chosen trial is shown in the app on its session."""
    require_optuna()
    from tui_trainer.studies.study import open_storage, storage_url
    from tui_trainer.studies.watching import Watch
    from tui_trainer.ui.study import run_study

    watch = Watch(root, name, open_storage(storage or storage_url(root, name)))
    while (session := run_study(watch, watch.read(), UiSettings())) is not None:
        _open_trial(root, session)
    view = watch.read()
    verb = "goes on" if view.pid is not None else "rests"
    print(f"{name} {verb}, {view.ended} of {view.target} trials ended; tui-trainer attach {name} opens it again")
    return 0


def _open_trial(root: Path, name: str) -> None:
    """A live trial's app, or the replay of one that ended."""
    from tui_trainer.cli.replaying import replay_session
    from tui_trainer.cli.running import attach_view

    is_live = find.session(str(root), name).owner() is not None
    if is_live:
        attach_view(str(root), name, readonly=False)
    else:
        replay_session(str(root), name, "20", "end", no_ui=False, json=False)


def _space(wish: Tune, base: Resolved, root: Path) -> tuple[dict[str, Dimension], dict[str, Scalar]]:
    """The space, narrowed around an earlier study's best where one is named, and that best."""
    from tui_trainer.studies.space import narrow, require_ends
    from tui_trainer.studies.study import best_params, open_storage, storage_url

    space = search_space(base.config)
    if not space:
        raise ConfigError(f"{wish.config}: [study.space] is empty", "`tui-trainer config show optuna` has an example")
    require_ends(space)
    if wish.earlier is None:
        return space, {}
    own = root / f"{check_name(wish.earlier)}.study"
    if wish.storage is None and not own.exists():
        raise UsageError(f"there is no study {wish.earlier} in {root}", "--storage says where it lies")
    best = best_params(open_storage(wish.storage or storage_url(root, wish.earlier)), wish.earlier)
    return narrow(space, best), best


def _plan(wish: Tune, base: Resolved, root: Path, name: str, space: dict[str, Dimension]) -> Plan:
    from tui_trainer import tasks
    from tui_trainer.studies.study import Plan

    run = base.config.run
    task = tasks.make(run.task, base.config.task, 1)
    higher = task.spec.higher_is_better
    task.close()
    return Plan(
        name=name,
        root=root,
        base=base,
        space=space,
        higher_is_better=higher,
        seed=run.seed if wish.seed is None else wish.seed,
        provenance=collect(sys.argv, Path.cwd()),
    )


def line(trial: Trial) -> str:
    """`trial 3 · complete · 0.812 · ppo.learning_rate 0.0021`"""
    parts = [f"trial {trial.number}", trial.state, score(trial), shown(trial), trial.note]
    return clean_line(" · ".join(part for part in parts if part))


def score(trial: Trial) -> str:
    """The value to four places; a dash where there is none."""
    return "-" if trial.value is None else f"{trial.value:.4f}"


def shown(trial: Trial) -> str:
    """What it tried, floats to four digits."""
    return clean_line(
        ", ".join(f"{key} {f'{v:.4g}' if isinstance(v, float) else v}" for key, v in trial.params.items())
    )


def summary(trials: Sequence[Trial], best: Trial | None, *, higher: bool, rows: int = 10) -> list[str]:
    """The best trials as a table, how the others ended, and how to train with the best."""
    sign = -1.0 if higher else 1.0
    complete = sorted((t for t in trials if t.state == "complete"), key=lambda t: sign * (t.value or 0.0))
    counts = {state: sum(t.state == state for t in trials) for state in ("complete", "pruned", "failed")}
    lines = ["", ", ".join(f"{count} {state}" for state, count in counts.items()), ""]
    lines += [f"{'trial':>5}  {'score':>8}  {'session':<24}  settings"]
    lines += [f"{t.number:>5}  {score(t):>8}  {t.session:<24}  {shown(t)}" for t in complete[:rows]]
    if best is None:
        return [*lines, "", "no trial came to its end"]
    settings = " ".join(f"--set {shlex.quote(f'{key}={value}')}" for key, value in best.params.items())
    return [
        *lines,
        "",
        f"best: trial {best.number}, {score(best)}, session {best.session}",
        f"  {clean_line(settings)}",
    ]
