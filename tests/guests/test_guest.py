"""A loop that belongs to somebody else: recorded, watched and steered at its own boundaries."""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, root, tui
from tests.guests.loops import commands, kinds, make, ordered, status, steps, told, while_looping
from tui_trainer.client.orders import new_id, order
from tui_trainer.core.state import RunState, fold
from tui_trainer.errors import OrderRefused
from tui_trainer.guests.script import LONGEST_NAME, MAX_METRICS
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.journal import read_journal
from tui_trainer.sessions.store import Session, list_sessions

__all__ = ["root", "tui"]  # fixtures


def state(root: Path, name: str = "a") -> RunState:
    return fold(read_journal(root / name / "events.jsonl").events)


def test_what_the_script_logs_is_a_session_like_any_other(tmp_path: Path) -> None:
    config = argparse.Namespace(learning_rate=0.1, layers=[64, 64], seed=7, note=None, act=str)
    with make(tmp_path, config=config, total_steps=1000) as run:
        for n in range(100):
            run.log(10 * (n + 1), {"train/loss": 1.0 / (n + 1), "words": "many"}, episodes=n)
    file, end = Session.open(tmp_path / "a").read(), state(tmp_path)
    assert (end.update, end.global_step, end.episodes) == (100, 1000, 99)
    assert (file.status.state, file.status.termination_reason, file.status.exit_code) == ("ended", "finished", 0)
    assert file.config["task"] == {"learning_rate": 0.1, "layers": [64, 64], "seed": 7, "act": "<class 'str'>"}
    assert file.config["run"]["seed"] == 7
    assert end.metrics["train/loss"] == pytest.approx(0.01)
    assert end.limits["max_steps"] == 1000
    assert [e["text"] for e in told(tmp_path, "LogWritten")] == ["words is no number but str: it is not recorded"]


def test_a_pause_waits_in_the_scripts_own_call_until_it_is_resumed(tmp_path: Path) -> None:
    with make(tmp_path) as run:

        def pause_and_resume() -> str:
            order(tmp_path / "a", commands.Pause(id=new_id()))
            return order(tmp_path / "a", commands.Resume(id=new_id()))

        assert "goes on" in while_looping(run, pause_and_resume)
    (paused,), (continued,) = told(tmp_path, "RunPaused"), told(tmp_path, "RunContinued")
    assert paused["global_step"] == continued["global_step"]


def test_what_is_ordered_during_a_pause_is_done_in_it_with_the_script_as_it_stands(tmp_path: Path) -> None:
    def orders() -> None:
        for command in (
            commands.Pause(id=new_id()),
            commands.SetSetting(id=new_id(), key="learning_rate", value=0.05),
            commands.SaveCheckpoint(id=new_id()),
            commands.Resume(id=new_id()),
        ):
            order(tmp_path / "a", command)

    with make(tmp_path, config={"learning_rate": 0.1}) as run:
        at: list[int] = []
        run.on_set("learning_rate", lambda value: at.append(run.global_step))
        run.checkpoint(lambda: {"step": run.global_step})
        while_looping(run, orders)
    (paused,), (changed,) = told(tmp_path, "RunPaused"), told(tmp_path, "SettingChanged")
    assert changed["seq"] < told(tmp_path, "RunContinued")[0]["seq"]
    manual = CheckpointStore(tmp_path / "a").manifests()[-1]
    assert at == [paused["global_step"]] == [manual.global_step] == [10 * manual.update]


def test_a_checkpoint_holds_what_the_script_gives_and_a_later_start_gets_it_back(tmp_path: Path) -> None:
    import torch

    weights = torch.arange(4.0)
    with make(tmp_path) as run:
        run.checkpoint(lambda: {"weights": weights, "blob": b"\0\xff", "at": run.global_step})
        assert "saved" in ordered(run, tmp_path, lambda id: commands.SaveCheckpoint(id=id))
        weights += 1  # what was saved before stays as it was
    store = CheckpointStore(tmp_path / "a")
    assert [m.kind for m in store.manifests()] == ["final", "manual"]
    manual = store.load(store.manifests()[1])[0]["learner"]["host"]
    assert manual["weights"].tolist() == [0.0, 1.0, 2.0, 3.0]

    with make(tmp_path, resume=True) as again:
        back = again.restored()
        assert (back["blob"], back["weights"].tolist()) == (b"\0\xff", [1.0, 2.0, 3.0, 4.0])
        assert again.global_step == back["at"]
        again.log(back["at"] + 5, {})
    assert state(tmp_path).global_step == back["at"] + 5
    (resumed,) = told(tmp_path, "RunResumed")
    assert (resumed["exact"], resumed["checkpoint"]) == (False, store.manifests()[0].path)


def test_a_script_that_has_not_said_how_it_is_saved_refuses_a_checkpoint(tmp_path: Path) -> None:
    with make(tmp_path) as run:
        refusal = ordered(run, tmp_path, lambda id: commands.SaveCheckpoint(id=id))
    assert isinstance(refusal, OrderRefused)
    assert "run.checkpoint(state_fn)" in str(refusal)
    assert CheckpointStore(tmp_path / "a").manifests() == ()


def test_a_state_that_cannot_be_taken_costs_the_checkpoint_and_not_the_run(tmp_path: Path) -> None:
    with make(tmp_path) as run:
        run.checkpoint(lambda: {"weights": object()})
        ordered(run, tmp_path, lambda id: commands.SaveCheckpoint(id=id))
        next(steps(run))
    assert [e["kind"] for e in told(tmp_path, "CheckpointFailed")] == ["manual", "final"]
    assert status(tmp_path).termination_reason == "finished"
    assert status(tmp_path).exit_code == 4  # the work of the last steps is not saved


def test_a_setting_that_the_script_offers_is_set_and_another_is_refused_by_name(tmp_path: Path) -> None:
    taken: list[float] = []

    def picky(value: float) -> None:
        if value > 1:
            raise ValueError("too hot")
        taken.append(value)

    with make(tmp_path, config={"learning_rate": 0.1}) as run:
        run.on_set("learning_rate", picky)
        ordered(run, tmp_path, lambda id: commands.SetSetting(id=id, key="learning_rate", value=0.05))
        refusal = ordered(run, tmp_path, lambda id: commands.SetSetting(id=id, key="gamma", value=0.9))
        ordered(run, tmp_path, lambda id: commands.SetSetting(id=id, key="learning_rate", value=2.0))
        next(steps(run))
    assert taken == [0.05]
    assert [(e["old"], e["new"]) for e in told(tmp_path, "SettingChanged")] == [(0.1, 0.05)]
    assert "takes no gamma live" in str(refusal)
    assert "learning_rate" in str(refusal)
    assert "too hot" in told(tmp_path, "LogWritten")[-1]["text"]


def test_stop_asks_the_script_to_leave_and_saves_what_it_had(tmp_path: Path) -> None:
    with make(tmp_path) as run:
        run.checkpoint(lambda: b"all of it")
        ordered(run, tmp_path, lambda id: commands.Stop(id=id))
        assert run.should_stop
        run.log(10**9, {})  # a script that does not leave at once is no longer recorded
    assert kinds(tmp_path)[-1] == "RunEnded"
    assert status(tmp_path).termination_reason == "user"
    assert status(tmp_path).global_step < 10**9
    assert [m.kind for m in CheckpointStore(tmp_path / "a").manifests()] == ["final"]


def test_limits_and_the_target_end_a_script_that_asks_for_it(tmp_path: Path) -> None:
    settings = {"manager.termination.target": "eval/mean_reward >= 5"}
    with make(tmp_path, settings=settings) as run:
        for n, _ in enumerate(steps(run)):
            run.evaluated([float(n), float(n)])
    assert status(tmp_path).termination_reason == "target"


def test_an_exception_of_the_script_is_its_own_and_is_recorded(tmp_path: Path) -> None:
    def loop() -> None:
        with make(tmp_path) as run:
            run.checkpoint(lambda: b"half changed")
            next(steps(run))
            raise KeyError("its own business")

    with pytest.raises(KeyError, match="its own business"):
        loop()
    assert status(tmp_path).termination_reason == "failed"
    assert "its own business" in told(tmp_path, "RunEnded")[0]["reason"]["evidence"]
    assert any("its own business" in f.read_text() for f in (tmp_path / "a" / "crash").iterdir())
    assert CheckpointStore(tmp_path / "a").manifests() == ()  # nobody knows whether its state was whole


def test_ctrl_c_is_an_interruption(tmp_path: Path) -> None:
    def loop() -> None:
        with make(tmp_path) as run:
            next(steps(run))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert (status(tmp_path).state, status(tmp_path).exit_code) == ("interrupted", 130)


def test_what_breaks_in_us_is_told_once_and_the_script_goes_on_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with make(tmp_path, settings={"manager.no_such_thing": 1}) as run:
        assert len(list(itertools.islice(steps(run), 100))) == 100
    assert capsys.readouterr().err.count("goes on alone") == 1
    with make(tmp_path) as run:
        next(steps(run))
        run.evaluated(object())  # type: ignore[arg-type]
        assert len(list(itertools.islice(steps(run), 100))) == 100
    assert capsys.readouterr().err.count("goes on alone") == 1
    assert status(tmp_path).state == "crashed"
    assert Session.open(tmp_path / "a").owner() is None


def test_a_name_in_use_gets_a_number_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with make(tmp_path) as first, make(tmp_path, resume=True) as second:
        assert (first.name, second.name) == ("a", "a-2")
    with make(tmp_path) as third:
        assert third.name == "a-3"
    assert "a is in use: this run is a-3" in capsys.readouterr().err


def test_other_processes_of_the_job_and_a_wish_to_be_left_alone_record_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("RANK", "1"), ("TUI_TRAINER_GUESTS", "0")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with make(tmp_path) as run:
                assert len(list(itertools.islice(steps(run), 3))) == 3
                assert (run.name, run.restored()) == ("", None)
    assert list_sessions(tmp_path) == []


def test_a_forked_child_writes_nothing_into_its_parents_session(tmp_path: Path) -> None:
    with make(tmp_path) as run:
        next(steps(run))
        child = os.fork()
        if child == 0:
            run.log(10**6, {"train/loss": 0.0})
            run.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        next(steps(run))
    assert (state(tmp_path).global_step, status(tmp_path).termination_reason) == (20, "finished")


def test_a_signal_ends_a_forked_child_as_it_would_without_us(tmp_path: Path) -> None:
    """Data loaders and pools end their workers so, and wait for them."""
    with make(tmp_path) as run:
        stands, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(tell, b"1")
            time.sleep(60)
            os._exit(0)
        os.read(stands, 1)
        os.kill(child, signal.SIGTERM)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGTERM
        assert not run.should_stop


class Odd:
    def __float__(self) -> float:
        raise KeyError("no number today")


@pytest.mark.parametrize(
    "value", [10**400, Odd(), 1j, [1.0], "many"], ids=["huge", "raises", "complex", "list", "text"]
)
def test_a_value_that_is_no_number_costs_itself_alone(tmp_path: Path, value: object) -> None:
    with make(tmp_path) as run:
        run.log(1, {"odd": value, "train/loss": 0.5})
    assert state(tmp_path).metrics["train/loss"] == 0.5
    (line,) = told(tmp_path, "LogWritten")
    assert line["text"] == f"odd is no number but {type(value).__name__}: it is not recorded"


def test_a_call_that_means_nothing_costs_itself_alone(tmp_path: Path) -> None:
    with make(tmp_path) as run:
        run.log(1, {"train/loss": 0.5})
        run.log(None, {"train/loss": 0.1})  # type: ignore[arg-type]
        run.log(3, "loss")  # type: ignore[arg-type]
    assert (state(tmp_path).global_step, state(tmp_path).metrics["train/loss"]) == (1, 0.5)
    (line,) = told(tmp_path, "LogWritten")
    assert line["text"].startswith("a call of log could not be understood and is left out: TypeError")


def test_names_are_bounded_in_number_and_length_and_clean(tmp_path: Path) -> None:
    with make(tmp_path) as run:
        run.log(1, {"a\x1b[31m\nred": 1.0, "x" * 10_000: 2.0, **{f"at/{n}": n for n in range(10_000)}})
    names = list(state(tmp_path).metrics)
    assert MAX_METRICS <= len(names) < MAX_METRICS + 20
    assert all(len(name) <= LONGEST_NAME and name.isprintable() for name in names)
    (line,) = told(tmp_path, "LogWritten")
    assert "more than 1000 names of metrics" in line["text"]


def test_a_state_fn_that_logs_and_threads_that_log_do_no_harm(tmp_path: Path) -> None:
    with make(tmp_path) as run:

        def taken() -> dict[str, int]:
            run.log(run.global_step + 1, {"z": 1.0})
            run.meet()
            return {"z": 1}

        def log(first: int) -> None:
            for n in range(2000):
                run.log(first + n, {f"m/{first}/{n % 50}": n})

        run.checkpoint(taken)
        threads = [threading.Thread(target=log, args=(100 * n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ordered(run, tmp_path, lambda id: commands.SaveCheckpoint(id=id))
        assert run.name
    assert status(tmp_path).termination_reason == "finished"
    assert state(tmp_path).update >= 8000
    assert CheckpointStore(tmp_path / "a").newest_good().state["learner"]["host"] == {"z": 1}


def test_an_evaluation_played_while_another_call_has_the_turn_is_recorded_by_the_next(tmp_path: Path) -> None:
    with make(tmp_path) as run:

        def taken() -> dict[str, int]:
            run.evaluated(2.0)
            return {"z": 1}

        run.checkpoint(taken)
        run.log(1, {"z": 1.0})
        assert ordered(run, tmp_path, lambda id: commands.SaveCheckpoint(id=id))
    assert {each.result.value for each in state(tmp_path).evaluations} == {2.0}


def evaluate(run: Any, values: list[float], spread: float = 0.5) -> None:
    loop = steps(run)
    for value in values:
        next(loop)
        run.evaluated(value, spread, 20)


def test_evaluations_give_a_trend_the_best_checkpoint_and_advice_that_can_be_accepted(tmp_path: Path) -> None:
    taken: list[float] = []
    with make(tmp_path, config={"learning_rate": 0.1}) as run:
        run.checkpoint(lambda: b"weights")
        run.on_set("learning_rate", taken.append)
        evaluate(run, [float(n) for n in range(12)])
        assert told(tmp_path, "TrendAssessed")[-1]["trend"] == "improving"
        evaluate(run, [float("nan")])
        evaluate(run, [12.0 + 0.05 * (n % 3) for n in range(40)])
        raised = told(tmp_path, "RecommendationRaised")
        (lower,) = [e for e in raised if e["subject"] == "learning_rate"][:1]
        refused = ordered(run, tmp_path, lambda id: commands.Answer(id=id, recommendation=lower["id"], verdict="try"))
        ordered(run, tmp_path, lambda id: commands.Answer(id=id, recommendation=lower["id"], verdict="accept"))
        next(steps(run))
    assert taken == [0.05]
    assert "cannot be taken back" in str(refused)
    assert not {e["subject"] for e in raised} - {"learning_rate", "stop"}
    assert any(m.kind == "best" for m in CheckpointStore(tmp_path / "a").manifests())
    assert status(tmp_path).termination_reason == "finished"


def test_commands_that_need_the_loop_say_that_the_script_has_it(root: Path, tui: Run) -> None:
    with make(root) as run:
        run.checkpoint(lambda: b"weights")
        next(steps(run))
    for words in (("resume", "a", "--no-ui"), ("fork", "a", "--no-ui"), ("eval", "a")):
        done = tui(*words)
        assert (done.code, "script of its own" in done.complaint) == (2, True)
    assert "guest('a', resume=True)" in tui("resume", "a", "--no-ui").complaint
    assert tui("sessions", "verify", "a").code == 0
    assert [row.name for row in list_sessions(root)] == ["a"]
