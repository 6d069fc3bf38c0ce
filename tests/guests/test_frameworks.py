"""Lightning and Hugging Face's Trainer, steered, where they are installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.guests.loops import QUIET, status, told
from tui_trainer.client.orders import new_id
from tui_trainer.core import commands
from tui_trainer.engine.inbox import Order
from tui_trainer.guests import saved


def order_at(run: Any, step: int, *, stop_at: int) -> None:
    """Another terminal's orders, as the hub hands them on."""
    if stop_at and step == stop_at // 2:
        run._life.inbox.put(Order(commands.SetSetting(id=new_id(), key="learning_rate", value=0.005), "user"))
    if stop_at and step == stop_at:
        run._life.inbox.put(Order(commands.Stop(id=new_id()), "user"))


def test_lightning_is_recorded_set_and_stopped_and_goes_on(tmp_path: Path) -> None:
    lightning = pytest.importorskip("pytorch_lightning")
    from torch.utils.data import DataLoader, TensorDataset

    from tui_trainer.guests.lightning import Steer, restore

    class Line(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, stop_at: int = 0) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)
            self.stop_at = stop_at

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            loss = (self.layer(batch[0]) - 2 * batch[0]).pow(2).mean()
            self.log("train/loss", loss)
            order_at(steer.run, self.global_step, stop_at=self.stop_at)
            return loss

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_loss", (self.layer(batch[0]) - 2 * batch[0]).pow(2).mean())

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    data = DataLoader(TensorDataset(torch.randn(64, 1)), batch_size=8)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "accelerator": "cpu"}

    def fit(module: Any, callback: Any, epochs: int, path: Any = None) -> Any:
        more = {"enable_checkpointing": False, "default_root_dir": tmp_path, **quiet}
        trainer = lightning.Trainer(max_epochs=epochs, callbacks=[callback], **more)
        trainer.fit(module, data, data, ckpt_path=path, weights_only=False)
        return trainer

    steer = Steer("a", sessions=str(tmp_path), settings=QUIET)
    first = fit(Line(stop_at=20), steer, 50)
    assert 20 <= first.global_step < 400
    assert first.optimizers[0].param_groups[0]["lr"] == 0.005
    assert status(tmp_path).termination_reason == "user"
    assert told(tmp_path, "EvaluationFinished")[0]["result"]["metric"] == "val_loss"

    path = restore("a", tmp_path / "a.ckpt", sessions=str(tmp_path))
    at = saved("a", str(tmp_path))["step"]
    steer = Steer("a", sessions=str(tmp_path), settings=QUIET, resume=True)
    second = fit(Line(), steer, 5, path)
    assert second.global_step == status(tmp_path).global_step == 40 > at
    assert status(tmp_path).termination_reason == "finished"


def test_hugging_faces_trainer_is_recorded_set_and_stopped(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from tui_trainer.guests.transformers import Steer

    class Line(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            if self.training:
                order_at(steer.run, trainer.state.global_step, stop_at=10)
            out = self.layer(x)
            return {"loss": (out - labels).pow(2).mean(), "logits": out}

    rows = [{"x": torch.randn(1), "labels": torch.randn(1)} for _ in range(64)]
    args = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"), max_steps=1000, per_device_train_batch_size=8, logging_steps=2, use_cpu=True,
        eval_strategy="steps", eval_steps=4, save_strategy="no", report_to=[], disable_tqdm=True, learning_rate=0.01,
    )  # fmt: skip
    steer = Steer("a", sessions=str(tmp_path), settings=QUIET)
    trainer = transformers.Trainer(Line(), args, train_dataset=rows, eval_dataset=rows, callbacks=[steer])
    trainer.train()
    assert 10 <= trainer.state.global_step < 1000
    assert status(tmp_path).termination_reason == "user"
    assert [e["new"] for e in told(tmp_path, "SettingChanged")] == [0.005]
    assert told(tmp_path, "EvaluationFinished")[0]["result"]["metric"] == "eval_loss"
    assert "train/loss" in {name for e in told(tmp_path, "UpdateFinished") for name in e["metrics"]}
    kept = saved("a", str(tmp_path))
    assert kept["model"]["layer.weight"].equal(trainer.model.layer.weight.detach())
