"""The manager as a state machine: whatever happens in whatever order, these rules hold."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tui_trainer.core import commands as orders
from tui_trainer.core.actions import Collect, End, Learn, SaveCheckpoint
from tui_trainer.core.config import Config
from tui_trainer.core.events import (
    AnyEvent,
    CommandApplied,
    CommandRefused,
    DifficultyChanged,
    RecommendationAnswered,
    RecommendationRaised,
    RunContinued,
    RunPaused,
)
from tui_trainer.core.reports import AnyReport, FaultReport, SignalReport, StorageReport, TickReport
from tui_trainer.core.values import Difficulty
from tui_trainer.training.manager import TrainingManager

from .world import SPACE, SPEC, World, config

STAGES = [{"when": "update >= 5", "level": 1}, {"when": "eval/win_rate > 0.6", "level": 2, "low": 0.5}]
RATES = st.floats(0, 1, allow_nan=False)
SECONDS = st.sampled_from([0.0, 0.5, 30.0, 600.0, -5.0, -1e9, 1e9])
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "max_updates": st.integers(1, 150),
        "max_episodes": st.integers(1, 300),
        "max_steps": st.integers(1, 3000),
        "max_hours": st.floats(0.01, 1.5),
        "target": st.sampled_from(["eval/win_rate >= 0.99", "eval/win_rate/random > 0.97"]),
        "patience": st.integers(2, 20),
        "min_updates": st.integers(0, 10),
    },
)
KEYS = st.sampled_from(
    [
        "ppo.learning_rate",
        "ppo.ent_coef",
        "dqn.learning_rate",
        "ppo.gamma",
        "ppo.lerning_rate",
        "manager.evaluation.every_updates",
        "manager.checkpoints.every_updates",
        "manager.termination.max_updates",
        "manager.termination.max_steps",
        "manager.termination.max_hours",
    ]
)
COMMANDS = st.one_of(
    st.builds(orders.Pause, id=st.just("c"), when=st.sampled_from(["", "eval/win_rate > 0.5", "nonsense"])),
    st.builds(orders.Resume, id=st.just("c")),
    st.builds(orders.SaveCheckpoint, id=st.just("c")),
    st.builds(
        orders.Answer,
        id=st.just("c"),
        recommendation=st.integers(0, 6),
        verdict=st.sampled_from(["accept", "reject", "undo", "try"]),
    ),
    st.builds(
        orders.SetDifficulty,
        id=st.just("c"),
        difficulty=st.builds(Difficulty, level=st.integers(-1, 4), low=st.sampled_from([0.1, 0.7])),
    ),
    st.builds(
        orders.SetSetting, id=st.just("c"), key=KEYS, value=st.sampled_from([0.0, 1e-4, 0.5, 3.0, 12.0, float("nan")])
    ),
    st.builds(orders.RunFor, id=st.just("c"), updates=st.integers(-1, 5)),
)
REPORTS = st.one_of(
    st.just(TickReport()),
    st.builds(SignalReport, name=st.sampled_from(["usr1", "usr2"])),
    st.just(FaultReport(kind="memory_limit", detail="3.9 of 4 GiB")),
    st.builds(StorageReport, ok=st.booleans(), detail=st.just("disk full")),
)
ENDINGS = st.one_of(
    st.builds(SignalReport, name=st.sampled_from(["term", "int"])),
    st.builds(
        FaultReport,
        kind=st.sampled_from(["nonfinite", "out_of_memory", "storage", "exception"]),
        detail=st.just("broke"),
    ),
)


def outside_wall(manager: TrainingManager) -> object:
    return manager.state_dict()["manager"]


class Steering(RuleBasedStateMachine):
    """One run, and now and then a twin restored from its saved state that must live the same future."""

    mode = "production"

    @initialize(
        limits=LIMITS,
        every=st.integers(1, 6),
        spaced=st.sampled_from([True, True, True, False]),
        intelligent=st.booleans(),
        auto=st.booleans(),
        rate=st.sampled_from([0.02, 0.5, 0.95]),
        stages=st.sampled_from([[], [], STAGES]),
    )
    def begin(
        self,
        limits: dict[str, object],
        every: int,
        spaced: bool,
        auto: bool,
        rate: float,
        intelligent: bool,
        stages: list[object],
    ) -> None:
        self.config: Config = config(
            curriculum__schedule=stages if spaced else [],
            manager__mode=self.mode,
            manager__termination={"intelligent": intelligent, **limits},
            manager__evaluation__every_updates=every,
            manager__checkpoints__every_updates=4,
            continuous__auto_accept=auto,
            continuous__expires_updates=20,
            continuous__quiet_evaluations=2,
        )
        self.space = SPACE if spaced else None
        self.rate = rate
        self.world = World(TrainingManager(self.config, SPEC, self.space), lambda update, part: self.rate)
        self.world.start()
        self.twin: TrainingManager | None = None
        self.paused = False
        self.newest = 0
        self.acts = 0

    @property
    def manager(self) -> TrainingManager:
        return self.world.manager

    # --- what may happen ---------------------------------------------------------------------------------------

    @rule(seconds=SECONDS, actions=st.sampled_from([1, 1, 5, 40, 100]))
    def act(self, seconds: float, actions: int) -> None:
        self.acts += 1
        for _ in range(actions):
            report = self.world.answer(self.manager.next_action())
            if report is not None:
                self.world.now += seconds
                self.tell(report)

    @rule(rate=RATES)
    def play_differently(self, rate: float) -> None:
        self.rate = rate

    @rule(command=COMMANDS)
    def order(self, command: orders.AnyCommand) -> None:
        self.command(command)

    @rule(report=REPORTS)
    def befall(self, report: AnyReport) -> None:
        self.tell(report)

    @precondition(lambda self: self.acts > 12)
    @rule(report=ENDINGS)
    def break_down(self, report: AnyReport) -> None:
        self.tell(report)
        assert isinstance(self.manager.next_action(), End)

    @precondition(lambda self: self.acts > 12)
    @rule()
    def stop(self) -> None:
        self.command(orders.Stop(id="s"))
        assert isinstance(self.manager.next_action(), End)

    @precondition(lambda self: self.manager.reason is None)
    @rule()
    def save_and_restore(self) -> None:
        """The twin begins after the saves that are due, as a resume from the last of them would."""
        while isinstance(action := self.manager.next_action(), SaveCheckpoint):
            self.manager.observe(self.world.answer(action), self.world.now)  # type: ignore[arg-type]
        self.twin = TrainingManager(self.config, SPEC, self.space)
        self.twin.load_state_dict(self.manager.state_dict())
        self.tell(TickReport())

    @rule()
    def reject_what_is_open(self) -> None:
        for raised in self.manager.open_recommendations:
            if raised.id == self.manager.state_dict()["manager"]["adviser"]["trying"]:  # type: ignore[index]
                continue  # rejecting that one goes back to the other branch
            before = (self.manager.difficulty, self.manager.next_action(), self.plans())
            self.command(orders.Answer(id="r", recommendation=raised.id, verdict="reject"))
            assert before == (self.manager.difficulty, self.manager.next_action(), self.plans())

    @precondition(lambda self: self.newest > 0)
    @rule(verdict=st.sampled_from(["accept", "reject", "undo", "try", "try"]), back=st.integers(0, 2))
    def answer_a_recent_one(self, verdict: str, back: int) -> None:
        """The numbers run 1, 2, 3 ...: the newest few are the ones that a person answers."""
        if self.newest > back:
            number = self.newest - back
            self.command(orders.Answer(id="a", recommendation=number, verdict=verdict))  # type: ignore[arg-type]

    def plans(self) -> list[object]:
        state = self.manager.state_dict()["manager"]
        assert isinstance(state, dict)
        return [state[key] for key in ("move", "tunings", "overrides", "live", "evaluating", "pause_at")]

    # --- how it is told ----------------------------------------------------------------------------------------

    def tell(self, report: AnyReport) -> None:
        ended = self.manager.reason
        events = self.manager.observe(report, self.world.now)
        if self.twin is not None:
            assert self.twin.observe(report, self.world.now) == events
        if ended is not None:
            assert events == []
            assert self.manager.reason is ended
        self.heard(events)

    def command(self, command: orders.AnyCommand) -> None:
        ended = self.manager.reason
        events = self.manager.handle(command, by="user", now=self.world.now)
        if self.twin is not None:
            assert self.twin.handle(command, by="user", now=self.world.now) == events
        answers = [e for e in events if isinstance(e, CommandApplied | CommandRefused)]
        assert len(answers) == 1
        if isinstance(answers[0], CommandRefused):
            assert answers[0].why
            assert len(events) == 1
        if ended is not None:
            assert isinstance(answers[0], CommandRefused)
            assert self.manager.reason is ended
        self.heard(events)

    def heard(self, events: list[AnyEvent]) -> None:
        """Pauses and continuations alternate on the screen, and difficulty never changes without a space."""
        for event in events:
            match event:
                case RecommendationRaised(id=number):
                    assert number == self.newest + 1
                    self.newest = number
                case RunPaused():
                    self.paused = True
                case RunContinued():
                    assert self.paused
                    self.paused = False
                case DifficultyChanged(old=old, new=new):
                    assert self.space is not None
                    assert old != new
                case RecommendationAnswered(verdict="rejected"):
                    assert not any(isinstance(e, DifficultyChanged) for e in events)

    # --- what always holds -------------------------------------------------------------------------------------

    @invariant()
    def a_reached_limit_is_the_end(self) -> None:
        m = self.manager
        done = {
            "max_updates": m.update,
            "max_episodes": m.episodes,
            "max_steps": m.global_step,
            "max_hours": m.elapsed_s / 3600,
        }
        if any(done[name] >= limit for name, limit in m.limits.items()):
            assert isinstance(m.next_action(), End)

    @invariant()
    def the_end_is_the_end(self) -> None:
        if self.manager.reason is not None:
            action = self.manager.next_action()
            assert isinstance(action, End)
            assert action.reason == self.manager.reason
            assert not self.manager.is_paused

    @invariant()
    def asking_changes_nothing(self) -> None:
        before = self.manager.state_dict()
        assert self.manager.next_action() == self.manager.next_action()
        assert self.manager.state_dict() == before

    @invariant()
    def nothing_is_trained_during_a_pause(self) -> None:
        if self.manager.is_paused:
            assert not isinstance(self.manager.next_action(), Collect | Learn)
        if self.manager.reason is None:
            assert self.manager.is_paused == self.paused

    @invariant()
    def the_twin_does_the_same(self) -> None:
        if self.twin is not None:
            assert self.twin.next_action() == self.manager.next_action()
            assert self.twin.state_dict() == self.manager.state_dict()

    @invariant()
    def the_clock_only_runs_forward(self) -> None:
        assert 0 <= self.manager.elapsed_s < 3600 * 24 * 365


class Studying(Steering):
    """The same machine with a trial of a study."""

    mode = "optuna"


class TwoClocks(RuleBasedStateMachine):
    """A trial and its twin, fed with the same reports at quite different times."""

    @initialize(every=st.integers(1, 4), limits=LIMITS)
    def begin(self, every: int, limits: dict[str, object]) -> None:
        settings_ = config(
            manager__mode="optuna", manager__evaluation__every_updates=every, manager__termination=limits
        )
        self.rate = 0.5
        self.one = World(TrainingManager(settings_, SPEC, SPACE), lambda update, part: self.rate).start()
        self.other = TrainingManager(settings_, SPEC, SPACE)
        self.other.start(7.0)
        self.now = 7.0

    @rule(seconds=SECONDS, actions=st.integers(1, 30), rate=RATES)
    def act(self, seconds: float, actions: int, rate: float) -> None:
        self.rate = rate
        for _ in range(actions):
            report = self.one.answer(self.one.manager.next_action())
            if report is not None:
                self.now += seconds
                self.one.now += 0.25
                events = self.one.manager.observe(report, self.one.now)
                assert self.other.observe(report, self.now) == events

    @invariant()
    def they_do_not_differ(self) -> None:
        assert self.one.manager.next_action() == self.other.next_action()
        assert outside_wall(self.one.manager) == outside_wall(self.other)


FEW = settings(
    max_examples=120, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestSteering = Steering.TestCase
TestSteering.settings = FEW
TestStudying = Studying.TestCase
TestStudying.settings = FEW
TestTwoClocks = TwoClocks.TestCase
TestTwoClocks.settings = FEW


MANY = settings(FEW, max_examples=400, stateful_step_count=60, derandomize=False)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("machine", [Steering, Studying, TwoClocks])
def test_the_rules_hold_over_long_random_histories(machine: type[RuleBasedStateMachine]) -> None:
    run_state_machine_as_test(machine, settings=MANY)  # type: ignore[no-untyped-call]
