"""Hugging Face's Trainer under the same app: `Trainer(..., callbacks=[Steer("name")])`."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from tui_trainer.guests.guest import Guest, guest
from tui_trainer.guests.optimizers import rate, set_rate


class Steer(TrainerCallback):
    """The callback. `monitor`: the metric that counts as evaluation; lower is better unless told otherwise.

    Everything else is `guest`'s. What Trainer logs (`logging_steps`) is an update; orders are met after every step.
    A checkpoint holds model and optimizer; Trainer's own checkpoints go on beside it.
    """

    def __init__(self, name: str = "", *, monitor: str = "eval_loss", higher_is_better: bool = False, **wishes: Any):
        self._name = name
        self._monitor = monitor
        self._wishes = {"metric": monitor, "higher_is_better": higher_is_better, **wishes}
        self.run: Guest | None = None
        """The guest while `train` goes on."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Begin to record."""
        if not state.is_world_process_zero:
            return
        model, optimizer, schedule = more["model"], more.get("optimizer"), more.get("lr_scheduler")
        wishes = {
            "config": {key: value for key, value in args.to_dict().items() if value is not None},
            "task": type(model).__name__,
            "algorithm": "transformers",
            "total_steps": int(state.max_steps),
            "first_step": int(state.global_step),
            "parameters": sum(p.numel() for p in model.parameters()),
            "device": str(args.device),
            **self._wishes,
        }
        self.run = run = guest(self._name, wishes.pop("config"), **wishes)
        run.open()
        run.checkpoint(lambda: _state(model, optimizer, state))
        if optimizer is not None:
            run.on_set("learning_rate", lambda value: set_rate([optimizer], [schedule], value), rate([optimizer]))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **more: Any) -> None:
        """One update with the numbers of the log; evaluations come by themselves."""
        numbers = {f"train/{key}": value for key, value in (logs or {}).items() if not key.startswith("eval_")}
        if self.run is not None and numbers:
            self.run.log(int(state.global_step), numbers)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Meet orders."""
        run = self.run
        if run is None:
            return
        if run.is_due:
            run.meet()
        if run.should_stop:
            control.should_training_stop = True

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, Any] | None = None, **more: Any
    ) -> None:
        """The monitored metric is an evaluation."""
        found = (metrics or {}).get(self._monitor)
        if self.run is not None and found is not None:
            self.run.evaluated(float(found))

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """End."""
        if self.run is not None:
            self.run.close()


def _state(model: Any, optimizer: Any, state: Any) -> dict[str, Any]:
    held = {} if optimizer is None else {"optimizer": optimizer.state_dict()}
    return {"model": dict(model.state_dict()), "step": int(state.global_step), **held}
