"""PyTorch Lightning under the same app: `Trainer(callbacks=[Steer("name", monitor="val_loss")])`. One process."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tui_trainer.guests.guest import Guest, guest, saved
from tui_trainer.guests.optimizers import rate, set_rate

try:
    from lightning.pytorch import Callback
except ModuleNotFoundError:
    from pytorch_lightning import Callback


class Steer(Callback):
    """The callback. `monitor`: the validation metric that counts as evaluation; lower is better unless told otherwise.

    Everything else is `guest`'s. A batch that moved the optimizer is an update, what the module logs are its numbers.
    """

    def __init__(self, name: str = "", *, monitor: str = "val_loss", higher_is_better: bool = False, **wishes: Any):
        self._name = name
        self._monitor = monitor
        self._wishes = {"metric": monitor, "higher_is_better": higher_is_better, **wishes}
        self._step = 0
        self.run: Guest | None = None
        """The guest while `fit` goes on."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to record."""
        if not trainer.is_global_zero:
            return
        wishes = {
            "config": dict(pl_module.hparams),
            "task": type(pl_module).__name__,
            "algorithm": "lightning",
            "total_steps": max(0, int(trainer.max_steps)),
            "first_step": int(trainer.global_step),
            "parameters": sum(p.numel() for p in pl_module.parameters()),
            "device": str(pl_module.device),
            **self._wishes,
        }
        self._step = int(trainer.global_step)
        self.run = run = guest(self._name, wishes.pop("config"), **wishes)
        run.open()
        run.checkpoint(lambda: {"checkpoint": _saved(trainer), "step": int(trainer.global_step)})
        if trainer.optimizers:
            schedules = [each.scheduler for each in trainer.lr_scheduler_configs]
            run.on_set("learning_rate", lambda v: set_rate(trainer.optimizers, schedules, v), rate(trainer.optimizers))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """One update, where the optimizer moved; orders are met."""
        run = self.run
        if run is None:
            return
        if trainer.global_step != self._step:
            self._step = trainer.global_step
            run.log(self._step, trainer.callback_metrics)
        elif run.is_due:
            run.meet()
        if run.should_stop:
            trainer.should_stop = True

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """The monitored metric is an evaluation."""
        found = trainer.callback_metrics.get(self._monitor)
        if self.run is not None and found is not None and not trainer.sanity_checking:
            self.run.evaluated(float(found))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """End."""
        if self.run is not None:
            self.run.close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """End as failed, or as interrupted by ctrl+c."""
        if self.run is not None:
            self.run.close(exception)


def restore(name: str, path: Path | str, *, sessions: str | None = None) -> Path | None:
    """Write the newest checkpoint of a session to `path`, for `trainer.fit(..., ckpt_path=path)`; None without one."""
    state = saved(name, sessions)
    if state is None:
        return None
    Path(path).write_bytes(state["checkpoint"])
    return Path(path)


def _saved(trainer: Any) -> bytes:
    """What Lightning itself would write."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "state.ckpt"
        trainer.save_checkpoint(path)
        return path.read_bytes()
