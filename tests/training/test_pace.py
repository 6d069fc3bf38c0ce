"""Advice that rests on timings: when it is raised, what it says, and that it touches nothing of the run."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
import pytest

from tui_trainer.core import commands as orders
from tui_trainer.core.actions import AnyAction, Collect, Evaluate, Learn
from tui_trainer.core.events import AnyEvent, CommandRefused, RecommendationAnswered, RecommendationRaised
from tui_trainer.core.reports import AnyReport, CollectReport, EvaluationReport, MachineReport, UpdateReport
from tui_trainer.training.manager import TrainingManager

from .world import HALF, SPACE, SPEC, World, config

PER_UPDATE = {"env": 0.3, "forward": 0.1, "learn": 0.2}
FORWARD = {"env": 0.2, "forward": 1.0, "learn": 0.3}
LEARN = {"env": 0.1, "forward": 0.1, "learn": 1.8}


class Timed(World):
    """A world whose phases take time."""

    def __init__(self, manager: TrainingManager, spent: Mapping[str, float]) -> None:
        super().__init__(manager, HALF, slices=1)
        self.spent = dict(spent)

    def answer(self, action: AnyAction) -> AnyReport | None:
        report = super().answer(action)
        match action, report:
            case Collect(), CollectReport():
                return msgspec.structs.replace(report, seconds={k: self.spent[k] for k in ("env", "forward")})
            case Learn(), UpdateReport():
                return msgspec.structs.replace(report, seconds={"learn": self.spent["learn"]})
            case Evaluate(), EvaluationReport():
                return msgspec.structs.replace(report, seconds=0.01)
            case _:
                return report

    def step(self, seconds: float = 0.0) -> list[AnyEvent]:
        action = self.manager.next_action()
        spent = {Collect: ("env", "forward"), Learn: ("learn",)}.get(type(action), ())
        return super().step(sum(self.spent[name] for name in spent))


def timed(
    spent: Mapping[str, float] = PER_UPDATE, machine: tuple[int, float, float] = (8, 100.0, 100.0), **more: object
) -> Timed:
    chosen = config(
        manager__evaluation__every_updates=10,
        manager__termination={"intelligent": False},
        ppo={"num_envs": 64, "n_steps": 128, "batch_size": 512, "n_epochs": 4},
        **more,
    )
    world = Timed(TrainingManager(chosen, SPEC, SPACE), spent)
    world.start()
    cores, busy, own = machine
    world.manager.observe(MachineReport(cores=cores, busy_percent=busy, own_percent=own), world.now)
    return world


def advice(world: World) -> list[RecommendationRaised]:
    return [e for e in world.events if isinstance(e, RecommendationRaised) and e.timed]


def answer(world: World, number: int, verdict: str) -> list[AnyEvent]:
    command = orders.Answer(id="1", recommendation=number, verdict=verdict)  # type: ignore[arg-type]
    events = world.manager.handle(command, by="user", now=world.now)
    world.events += events
    return events


def test_a_forward_pass_that_takes_long_asks_for_more_environments_with_figures() -> None:
    world = timed(FORWARD).update_by(61)
    (raised,) = advice(world)
    assert (raised.id, raised.subject, raised.change.key) == (9001, "num_envs", "fork.ppo.num_envs")
    assert (raised.change.old, raised.change.new) == (64, 128)
    assert raised.evidence[0].startswith("the forward pass takes 67 % of the time and serves 64 environments")
    assert "env 13 %, forward 67 %, learn 20 %, evaluate 0 %" in raised.evidence[1]
    assert raised.expected.startswith("1 to 1.50 times the steps a second; needs a new run")
    assert raised.confidence == pytest.approx(0.83, abs=0.01)


def test_one_measurement_alone_says_nothing() -> None:
    world = timed(FORWARD).update_by(21)
    assert advice(world) == []
    world.spent = dict(PER_UPDATE)
    world.update_by(70)
    world.spent = dict(FORWARD)
    assert advice(world.update_by(21)) == []
    assert len(advice(world.update_by(40))) == 1


@pytest.mark.parametrize(
    ("machine", "threads", "wanted"),
    [
        ((8, 20.0, 100.0), 1, (1, 2)),
        ((8, 95.0, 100.0), 1, None),
        ((1, 0.0, 100.0), 1, None),
        ((2, 99.0, 95.0), 2, (2, 1)),
        ((2, 99.0, 190.0), 2, None),
    ],
    ids=["idle cores", "busy cores", "one core", "crowded", "well used"],
)
def test_threads_follow_the_cores_that_are_free(
    machine: tuple[int, float, float], threads: int, wanted: tuple[int, int] | None
) -> None:
    world = timed(LEARN, machine, run__threads=threads).update_by(41)
    found = [(r.change.old, r.change.new) for r in advice(world) if r.subject == "threads"]
    assert found == ([] if wanted is None else [wanted])


def test_many_quick_batches_ask_for_larger_ones() -> None:
    """64 batches an update; 0.1 s for all of them."""
    world = timed({"env": 0.01, "forward": 0.01, "learn": 0.1}).update_by(700)
    assert [(r.change.key, r.change.new) for r in advice(world)] == [("fork.ppo.batch_size", 1024)]
    assert "1.56 ms for each batch of 512" in advice(world)[0].evidence[0]


@pytest.mark.parametrize("verdict", ["accept", "try", "undo"])
def test_it_cannot_be_done_in_this_run(verdict: str) -> None:
    world = timed(FORWARD).update_by(41)
    (refused,) = answer(world, 9001, verdict)
    assert isinstance(refused, CommandRefused)
    assert "tui-trainer fork NAME --set ppo.num_envs=128" in refused.why


def test_a_rejected_one_stays_quiet_and_an_unanswered_one_expires() -> None:
    quiet = {"continuous__quiet_evaluations": 10, "continuous__expires_updates": 30}
    world = timed(FORWARD, **quiet).update_by(41)
    answer(world, 9001, "reject")
    assert world.manager.open_recommendations == ()
    world.update_by(80)
    assert len(advice(world)) == 1
    world.update_by(80)
    assert [r.id for r in advice(world)][:2] == [9001, 9002]
    verdicts = {e.id: e.verdict for e in world.events if isinstance(e, RecommendationAnswered)}
    assert (verdicts[9001], verdicts[9002]) == ("rejected", "expired")
    assert isinstance(answer(world, 9001, "reject")[0], CommandRefused)
    assert isinstance(answer(world, 9999, "reject")[0], CommandRefused)


@pytest.mark.parametrize(
    "settings",
    [{"manager__mode": "optuna"}, {"continuous__enabled": False}, {"run__algorithm": "other"}],
    ids=["optuna", "no advice", "an algorithm of a package"],
)
def test_where_there_is_none(settings: dict[str, object]) -> None:
    assert advice(timed(FORWARD, **settings).update_by(90)) == []


def test_it_is_never_accepted_by_itself_and_leaves_what_decides_bits_alone() -> None:
    """A slow run and a quick one of the same decisions: the same state but for the clock's part, the same numbers."""
    eager = {"continuous": {"auto_accept": True, "auto_accept_confidence": 0.0, "min_confidence": 0.0}}
    slow, quick = (timed(spent, **eager).update_by(90) for spent in (FORWARD, PER_UPDATE))
    for world in (slow, quick):
        answer(world, 9001, "reject")
    assert advice(slow)
    assert advice(quick) == []
    states = [json.dumps(world.manager.state_dict()["manager"], sort_keys=True) for world in (slow, quick)]
    assert states[0] == states[1]


def test_a_session_taken_up_with_that_setting_withdraws_it() -> None:
    world = timed(FORWARD).update_by(41)
    saved = world.manager.state_dict()
    for envs, wanted in ((64, []), (128, ["withdrawn"])):
        chosen = config(ppo={"num_envs": envs, "n_steps": 128, "batch_size": 512})
        manager = TrainingManager(chosen, SPEC, SPACE)
        manager.load_state_dict(saved)
        told = [e.verdict for e in manager.start(0.0) if isinstance(e, RecommendationAnswered)]
        assert told == wanted
        assert len(manager.open_recommendations) == 1 - len(wanted)
