"""A policy taken elsewhere: written as a file that other programs run, and compared with the policy it came from."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tui_trainer.engine.examine import Subject
from tui_trainer.errors import MissingExtra, TuiTrainerError, UsageError
from tui_trainer.sessions.files import shown
from tui_trainer.sessions.oslayer import REAL, replace_file, storage_errors

SEED = 7
"""Of the play that gives the observations to compare on."""


class Exported(msgspec.Struct, frozen=True):
    """What was written, and how far it is from the policy: `equal` of `observations` actions."""

    path: str
    size: int
    observations: int
    equal: int
    difference: float
    """The largest of any output number."""


def export_onnx(subject: Subject, path: Path, observations: int) -> Exported:
    """Write the checkpoint's greedy policy as an ONNX model, unless that acts otherwise on any observation.

    Raises MissingExtra, UsageError where the file exists, TuiTrainerError where an action differs, StorageError.
    """
    try:
        from tui_trainer.algorithms.onnx_check import compare
        from tui_trainer.algorithms.onnx_graph import model_of
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "onnxruntime"):
            raise
        hint = 'install it with: pip install "tui-trainer[onnx]"'
        raise MissingExtra(f"an ONNX model needs the library {error.name}", hint) from None
    from tui_trainer.algorithms.policies import FrozenPolicy, GreedyPolicy
    from tui_trainer.engine import assembly

    if path.exists():
        raise UsageError(f"{shown(path)} exists", "choose another name with --out")
    task = assembly.bare_task(subject.config)
    try:
        policy = assembly.make_learner(task, subject.config, "cpu").policy_from(subject.state["learner"])
        assert isinstance(policy, FrozenPolicy | GreedyPolicy)
        run = subject.config.run
        data = model_of(policy, task.spec, {"task": run.task, "algorithm": run.algorithm, "checkpoint": subject.label})
        found = compare(data, policy, task, observations, SEED)
    finally:
        task.close()
    if found.equal < found.observations:
        raise TuiTrainerError(
            f"the model would act otherwise on {found.observations - found.equal} of {found.observations} observations",
            "nothing was written; please report it with the configuration",
        )
    with storage_errors(path.parent):
        replace_file(REAL, path, data)
    return Exported(str(path), len(data), found.observations, found.equal, found.difference)
