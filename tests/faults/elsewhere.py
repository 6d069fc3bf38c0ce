"""Hostile text in what is not a run of ours: files of other tools, a study's storage, a guest's metrics; and where it
is shown."""

from __future__ import annotations

import csv
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.faults.foreign import HOSTILE
from tests.foreign.files import event_file, scalar
from tests.guests.loops import make
from tests.warm import WarmTerminal

NAME = HOSTILE.replace("/", "|")
"""As part of a path."""
ENTER, ESCAPE, DOWN, TAB = b"\r", b"\x1b", b"\x1b[B", b"\t"


class Shown(NamedTuple):
    """A screen: the command, what says that it is there, the
    keys that lead through it."""

    words: tuple[str, ...]
    sign: bytes
    keys: tuple[bytes, ...]


def make_elsewhere(root: Path) -> tuple[Path, Path]:
    """Runs of TensorBoard and of Stable-Baselines3 whose folders, tags and columns are hostile."""
    board, table = root / "logs" / f"board{NAME}", root / "logs" / f"table{NAME}"
    tags = ("rollout/ep_rew_mean", f"train/{HOSTILE}", HOSTILE)
    event_file(board, [scalar(tag, float(step), step, 1.7e9 + step) for step in range(0, 900, 100) for tag in tags])
    table.mkdir()
    with open(table / "progress.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["time/total_timesteps", "rollout/ep_rew_mean", f"train/{HOSTILE}", HOSTILE])
        writer.writerows([step, step / 10, step / 20, HOSTILE if step == 300 else step] for step in range(0, 900, 100))
    return board, table


def make_study(root: Path) -> None:
    """A study, its storage filled by a stranger: names and values of parameters, notes, sessions, its best."""
    import optuna

    from tui_trainer.studies.study import storage_url

    study = optuna.create_study(study_name="s", storage=storage_url(root, "s"), direction="maximize")
    study.set_user_attr("settings", {"space": {f"ppo.{HOSTILE}": {"choices": [HOSTILE, "[64]"]}}})
    study.set_user_attr("target", 12)
    for number in range(12):
        name = f"ppo.{HOSTILE}"
        study.add_trial(
            optuna.trial.create_trial(
                value=number / 12,
                params={name: (HOSTILE, "[64]")[number % 2]},
                distributions={name: optuna.distributions.CategoricalDistribution((HOSTILE, "[64]"))},
                user_attrs={"session": f"t{HOSTILE}", "note": HOSTILE},
            )
        )


def make_hostile_guest(root: Path) -> None:
    """A script that logs whatever it likes under whatever name."""
    with make(root, "g", {HOSTILE: HOSTILE}, task=HOSTILE, algorithm=HOSTILE) as run:
        for n in range(1, 30):
            run.log(10 * n, {f"train/{HOSTILE}": 1.0 / n, HOSTILE: float(n), "words": HOSTILE})


PAGES = (b"d", DOWN, ESCAPE, b"m", DOWN, ESCAPE, b"9", b"9", b"\x1b[A", ESCAPE)
"""The lists of decisions and of models, and the log on the whole screen."""
LOSSES = (b"6", b"6", DOWN, DOWN, ESCAPE, b"8", b"8", ESCAPE, b"?", ESCAPE)


NAMES = (
    "browser: order, tree, marks, help, form, question, filter", "comparison", "decisions, models, log",
    "a run of TensorBoard", "a run of Stable-Baselines3", "a guest", "a study",
)  # fmt: skip


def screens(root: Path) -> dict[str, Shown]:
    """Every screen that is no view of a live run, on what stands in `root`; `make_poisoned` made `a` to `d`."""
    board, table = make_elsewhere(root)
    make_study(root)
    make_hostile_guest(root)
    browsing = (DOWN, b"o", b"t", b" ", DOWN, b" ", b"?", ESCAPE, b"n", DOWN, DOWN, TAB, ESCAPE, b"d", ESCAPE, b"/x",
                ESCAPE)  # fmt: skip
    contrasting = (TAB, DOWN, b"b", b"v", ENTER, b"\x1b[C", ESCAPE, b"g", b"?", ESCAPE)
    end = "--at=end"
    found = (
        Shown(("--also", str(root / "logs")), b"Sessions", browsing),
        Shown(("compare", "--screen", "a", "b", str(board), str(table)), b"baseline", contrasting),
        Shown(("replay", "a", end), b"Training Manager", PAGES),
        Shown(("replay", str(board), end), b"Training Manager", LOSSES),
        Shown(("replay", str(table), end), b"Training Manager", LOSSES),
        Shown(("replay", "g", end), b"Training Manager", (*LOSSES, *PAGES)),
        Shown(("attach", "s"), b"trial", (DOWN, DOWN, b"e", ESCAPE, b"s", ESCAPE, b"?", ESCAPE)),
    )
    return dict(zip(NAMES, found, strict=True))


def walk_through(view: WarmTerminal, shown: Shown, rest_s: float) -> None:
    """Press its keys."""
    view.wait_for(shown.sign)
    for key in shown.keys:
        for typed in [key] if key.startswith(ESCAPE) else [bytes([byte]) for byte in key]:
            view.key(typed)
        view.read_for(rest_s)


def left(view: WarmTerminal) -> int | None:
    """The exit code once q was understood: together with an escape key before it, it would be another key."""
    for _ in range(30):
        with suppress(OSError):
            view.key(ESCAPE)
            view.read_for(0.3)
            view.key(b"q")
        if (code := view.exit_code(2.0)) is not None:
            return code
    return None
