"""Weights & Biases, online or offline. The library runs in a process of its own and on the sink's thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tui_trainer.core.events import AnyEvent, RunEnded
from tui_trainer.core.rows import row_of
from tui_trainer.errors import MissingExtra


class WandbRun:
    """A sink that logs every figure; a resumed session goes on in the same W&B run.

    Its files lie where W&B keeps them, `WANDB_DIR` or ./wandb. W&B's own step only ever counts up; charts are over
    `global_step`, which goes back where a resume does.
    """

    def __init__(
        self,
        mode: Literal["offline", "online"],
        project: str,
        session: str,
        settings: Mapping[str, Any],
    ) -> None:
        try:
            import wandb
        except ModuleNotFoundError:
            raise MissingExtra("telemetry.wandb needs wandb", "pip install 'tui-trainer[wandb]'") from None
        self._exit_code = 0
        self._run = wandb.init(
            mode=mode,
            project=project,
            name=session,
            id=session,
            resume="allow",
            config=dict(settings),
            settings=wandb.Settings(console="off", silent=True, disable_git=True, x_disable_stats=True),
        )
        self._run.define_metric("global_step", hidden=True)
        self._run.define_metric("*", step_metric="global_step")

    def take(self, event: AnyEvent) -> None:
        """Log what the event brings."""
        if isinstance(event, RunEnded):
            self._run.summary["termination_reason"] = event.reason.name
            self._exit_code = event.reason.exit_code
        elif row := row_of(event):
            known = {name: value for name, value in row.metrics.items() if value is not None}
            self._run.log({**known, "global_step": row.global_step, "update": row.update})

    def close(self) -> None:
        """Finish the W&B run; online this waits for the upload."""
        self._run.finish(exit_code=self._exit_code)
