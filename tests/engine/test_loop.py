"""The loop does what the manager decides, records it, and loses nothing when a phase breaks."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.fakes import PARTS, FakeLearner, FakeTask
from tui_trainer.core import commands, events
from tui_trainer.core.callbacks import Updated
from tui_trainer.core.config import Config, Layer, Resolved, resolve
from tui_trainer.core.events import AnyEvent
from tui_trainer.core.reports import SignalReport
from tui_trainer.core.state import RunState, fold
from tui_trainer.core.values import Reason
from tui_trainer.engine.archive import SessionArchive
from tui_trainer.engine.callbacks import Callbacks
from tui_trainer.engine.inbox import Inbox, Order
from tui_trainer.engine.loop import Place, Run, StateParts
from tui_trainer.engine.meter import Meter
from tui_trainer.engine.publisher import Publisher
from tui_trainer.engine.saver import Saver
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.journal import Journal, read_journal
from tui_trainer.sessions.store import Session
from tui_trainer.tasks.failures import Guarded
from tui_trainer.training.manager import TrainingManager


def settings(*, adviser: bool = False, **limits: Any) -> Resolved:
    return resolve(
        [
            Layer(
                "test",
                {
                    "manager": {
                        "termination": {"max_updates": 6, "intelligent": False, **limits},
                        "evaluation": {"every_updates": 3, "episodes": 4, "final_episodes": 4},
                        "checkpoints": {"every_updates": 2, "every_minutes": 0},
                    },
                    "run": {"log_every_updates": 1},
                    "continuous": {"enabled": adviser, "try_updates": 4},
                },
            )
        ]
    )


class Told(Callbacks):
    """A person's callback, called where the real ones are."""

    def __init__(self, bench: Bench) -> None:
        super().__init__({}, bench.inbox)
        self._bench = bench

    def updated(self, told: Updated) -> None:
        self._bench.after_update()


class Bench:
    """A whole run around fakes: real manager, journal, store and saver."""

    def __init__(
        self, tmp_path: Path, learner: FakeLearner | None = None, task: FakeTask | None = None, **limits: Any
    ) -> None:
        resolved = settings(**limits)
        self.config: Config = resolved.config
        self.session = Session.create(tmp_path, "bench", resolved, {})
        self.task, self.learner, self.inbox = task or FakeTask(), learner or FakeLearner(), Inbox()
        self.after_update: Callable[[], None] = lambda: None
        self.answering: Callable[[AnyEvent], None] = lambda event: None
        self.manager = TrainingManager(self.config, self.task.spec, self.task.difficulty_space())
        self.store = CheckpointStore(self.session.path)
        self.heard: list[AnyEvent] = []
        archive = SessionArchive(self.store, self.config)
        self.saver = Saver(archive.write, self.inbox)
        journal = Journal(self.session.journal_path)
        self.clock = itertools.count(0.0, 0.001)
        clock = lambda: next(self.clock)  # noqa: E731
        publisher = Publisher(journal, [lambda e, line: self.hear(e)], lambda: 1.7e9, 0, lambda why: None)
        self.run = Run(
            config=self.config,
            task=Guarded(self.task),
            learner=self.learner,
            manager=self.manager,
            publisher=publisher,
            saver=self.saver,
            archive=archive,
            inbox=self.inbox,
            state_parts=StateParts(read=dict, write=lambda state: None),
            crash_dir=self.session.crash_dir,
            place=Place(),
            is_watched=lambda: False,
            on_resources=lambda resources: [],
            meter=Meter(1, clock),
            clock=clock,
            hooks=Told(self),
        )
        self.orders: dict[int, commands.AnyCommand | SignalReport] = {}

    def hear(self, event: AnyEvent) -> None:
        """A listener that plays the person: gives the order planned for an update when that update is told."""
        self.heard.append(event)
        self.answering(event)
        if isinstance(event, events.UpdateFinished) and event.update in self.orders:
            order = self.orders.pop(event.update)
            self.inbox.put(order if isinstance(order, SignalReport) else Order(order, "user"))

    def execute(self) -> Reason:
        reason = self.run.execute()
        self.saver.stop()
        return reason

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.heard if isinstance(event, kind)]


def test_a_limit_ends_the_run_after_exactly_its_updates(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    reason = bench.execute()
    assert (reason.name, reason.exit_code) == ("max_updates", 0)
    assert bench.learner.updates == 6
    assert [event.update for event in bench.of(events.UpdateFinished)] == [1, 2, 3, 4, 5, 6]
    assert isinstance(bench.heard[-1], events.RunEnded)


def test_the_journal_holds_what_was_heard_and_folds_to_the_same_state(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.execute()
    read = read_journal(bench.session.journal_path)
    assert read.skipped == 0
    assert [event.seq for event in read.events] == list(range(1, len(read.events) + 1))
    live = RunState()
    for event in bench.heard:
        live = live.apply(event)
    assert fold(read.events) == live.durable()


def test_evaluations_run_part_by_part_and_count_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.execute()
    reference = [event for event in bench.of(events.EvaluationFinished) if event.suite == "reference"]
    assert [tuple(event.result.by) for event in reference] == [PARTS] * len(reference)
    assert len(reference) >= 1
    assert [event.suite for event in bench.of(events.EvaluationFinished)].count("final") >= 1


def test_the_final_evaluation_is_of_what_the_task_keeps_for_it(tmp_path: Path) -> None:
    class Keeping(FakeTask):
        def final(self) -> FakeTask:
            return kept

    kept = FakeTask()
    bench = Bench(tmp_path, task=Keeping())
    bench.execute()
    suites = [event.suite for event in bench.of(events.EvaluationFinished)]
    assert kept.evaluations == len(PARTS) * suites.count("final") > 0


def test_regular_and_final_checkpoints_reach_the_disk_before_they_are_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.execute()
    told = {event.path for event in bench.of(events.CheckpointSaved)}
    pruned = {path for event in bench.of(events.CheckpointsPruned) for path in event.paths}
    assert {manifest.path for manifest in bench.store.manifests()} == told - pruned
    assert bench.store.newest_good().manifest.kind == "final"


def test_pause_then_stop_saves_and_exits_with_zero(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_updates=10_000)
    bench.orders = {2: commands.Pause(id="1")}

    def answer(event: AnyEvent) -> None:
        if isinstance(event, events.RunPaused):
            bench.inbox.put(Order(commands.Stop(id="2"), "user"))

    bench.answering = answer
    reason = bench.execute()
    assert (reason.name, reason.exit_code) == ("user", 0)
    assert bench.learner.updates == 2
    assert [e.id for e in bench.of(events.CommandApplied)] == ["1", "2"]
    assert bench.store.newest_good().manifest.update == 2


def test_a_changed_setting_reaches_the_learner_and_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.orders = {2: commands.SetSetting(id="1", key="ppo.learning_rate", value=5e-4)}
    bench.execute()
    assert bench.learner.learning_rate == 5e-4
    (changed,) = bench.of(events.SettingChanged)
    assert (changed.key, changed.new) == ("ppo.learning_rate", 5e-4)


def test_what_the_learner_finds_out_on_its_way_is_told_once(tmp_path: Path) -> None:
    class Finding(FakeLearner):
        @property
        def notes(self) -> tuple[str, ...]:  # type: ignore[override]
            return ("a fake", *["no CUDA graph: out of luck"] * (self.updates > 2))

    bench = Bench(tmp_path, learner=Finding())
    bench.execute()
    said = [event for event in bench.of(events.LogWritten) if event.text == "no CUDA graph: out of luck"]
    assert [event.update for event in said] == [3]
    assert not [event for event in bench.of(events.LogWritten) if event.text == "a fake"]


@pytest.mark.parametrize(("name", "code"), [("term", 143), ("int", 130)])
def test_a_signal_saves_and_leaves_with_its_code(tmp_path: Path, name: Any, code: int) -> None:
    bench = Bench(tmp_path, max_updates=10_000)
    bench.orders = {3: SignalReport(name=name)}
    assert bench.execute().exit_code == code
    assert bench.store.newest_good().manifest.update == 3


def trying_bench(tmp_path: Path, moment: int) -> Bench:
    """A run that tries its first recommendation and is told to leave at a moment: the n-th event or callback in it."""
    bench = Bench(tmp_path, FakeLearner(kl=1.0), max_updates=22, adviser=True)
    moments = itertools.count()

    def passed() -> None:
        if bench.manager.is_trying and next(moments) == moment:
            bench.inbox.put(SignalReport(name="term"))

    def hear(event: AnyEvent) -> None:
        if isinstance(event, events.RecommendationRaised):
            bench.inbox.put(Order(commands.Answer(id="t", recommendation=event.id, verdict="try"), "user"))
        passed()

    bench.answering, bench.after_update = hear, passed
    return bench


def test_a_signal_at_any_moment_of_a_try_leaves_a_whole_state_of_the_line_without_the_change(tmp_path: Path) -> None:
    """Also right after an update, where the end forgets the try before it saves."""
    branches = set()
    for moment in itertools.count():
        bench = trying_bench(tmp_path / str(moment), moment)
        if bench.execute().name != "signal":
            break
        newest = bench.store.newest_good()
        assert newest.manifest.kind in ("final", "best")
        assert newest.state["learner"]["updates"] == newest.manifest.update == bench.manager.update
        branches |= {event.branch for event in bench.of(events.TryReturned)}
    assert moment > 20
    assert branches == {"start", "without"}


def test_divergence_keeps_the_last_consistent_state_and_exits_with_five(tmp_path: Path) -> None:
    bench = Bench(tmp_path, FakeLearner(diverge_at=4))
    reason = bench.execute()
    assert (reason.name, reason.exit_code) == ("diverged", 5)
    assert "nan" in reason.evidence
    assert bench.learner.updates == 3
    assert bench.store.newest_good().manifest.update in (1, 2, 3)


@pytest.mark.parametrize("learner", [FakeLearner(break_at=2), FakeLearner(out_of_memory_at=2)])
def test_a_broken_phase_leaves_an_emergency_checkpoint_and_a_crash_report(tmp_path: Path, learner: FakeLearner) -> None:
    bench = Bench(tmp_path, learner)
    reason = bench.execute()
    assert reason.exit_code == 1
    kinds = [manifest.kind for manifest in bench.store.manifests()]
    assert "emergency" in kinds
    text = (bench.session.crash_dir / "traceback.txt").read_text()
    assert "Error" in text
    assert "\x1b" not in text
    assert all("\x1b" not in str(event) for event in bench.heard)


def test_an_evaluation_that_breaks_at_the_very_end_does_not_undo_a_finished_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def hear(event: AnyEvent) -> None:
        if isinstance(event, events.CheckpointSaved) and event.kind == "final":
            bench.task.fail_evaluation = True

    bench.answering = hear
    assert bench.execute().exit_code == 0
    assert "fell off" in str(bench.of(events.LogWritten)[-1].text)
