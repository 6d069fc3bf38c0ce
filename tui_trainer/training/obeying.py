"""Orders of a person, carried out or refused: pauses, checkpoints, difficulty, settings, the end."""

from __future__ import annotations

from typing import assert_never

from tui_trainer.core import commands as orders
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.config import get
from tui_trainer.core.events import AnyEvent, SettingChanged
from tui_trainer.core.values import Author, Difficulty, Reason
from tui_trainer.training import answering, ending, staging, trial, wishes
from tui_trainer.training import difficulty as ladder
from tui_trainer.training.desk import Desk, Refused, condition
from tui_trainer.training.orders import (
    HOSTED_KEYS,
    LEARNER_KEYS,
    host_setting_objection,
    setting_objection,
    with_values,
)
from tui_trainer.training.state import Move, Override


def obey(desk: Desk, command: AnyCommand, by: Author) -> tuple[str, list[AnyEvent]]:
    """What follows from an order, in words and events. Raises Refused with the reason where nothing does."""
    _check(desk, command)
    match command:
        case orders.Pause(when=when):
            return _pause(desk, when, by)
        case orders.Resume():
            return _resume(desk, by)
        case orders.SaveCheckpoint():
            return _order_save(desk), []
        case orders.Answer(recommendation=number, verdict=verdict):
            return answering.answer(desk, number, verdict, by)
        case orders.SetDifficulty(difficulty=wish):
            return _set_difficulty(desk, wish, by), []
        case orders.SetSetting(key=key, value=value):
            return _set_setting(desk, key, value, by)
        case orders.RunFor(updates=updates):
            return _run_for(desk, updates, by)
        case orders.Stop():
            evidence = f"stopped by {by} at update {desk.state.update}"
            return "the run ends", ending.end(desk, Reason(name="user", evidence=evidence))
        case _:
            assert_never(command)


def planned_pause(desk: Desk) -> list[AnyEvent]:
    """The pause that was ordered for later, where it is due."""
    s = desk.state
    if s.pause_at and s.update >= s.pause_at:
        why = f"ran to update {s.pause_at} as ordered"
    elif s.pause_when and condition(s.pause_when).holds(desk.facts):
        why = f"{s.pause_when} holds"
    else:
        return []
    _drop_planned_pause(desk)
    return wishes.hold(desk.wall, "order", "manager", why)


def keep_valid_overrides(desk: Desk) -> None:
    """What was set during the run stays, unless the configuration has been changed in that place since."""
    s = desk.state
    s.overrides = {k: o for k, o in s.overrides.items() if float(get(desk.base, k)) == o.base}
    desk.config = with_values(desk.base, {k: o.value for k, o in s.overrides.items()})


def _check(desk: Desk, command: AnyCommand) -> None:
    if desk.reason is not None:
        raise Refused(f"the run has already ended: {desk.reason.name}")
    if not desk.mode.allows(command):
        raise Refused(f"in {desk.mode.name} mode a run takes pause, resume, checkpoint and stop only")
    if desk.state.trying is not None and (problem := trial.meanwhile(desk.state.trying, command)):
        raise Refused(problem)


# --- pauses and saves ------------------------------------------------------------------------------------------------


def _pause(desk: Desk, when: str, by: Author) -> tuple[str, list[AnyEvent]]:
    if wishes.held_by(desk.wall, "order"):
        raise Refused("the run is already paused")
    if when:
        wanted = condition(when)
        desk.state.pause_when = str(wanted)
        return f"pauses once {wanted}", []
    _drop_planned_pause(desk)
    return "paused", wishes.hold(desk.wall, "order", by, f"ordered by {by}")


def _resume(desk: Desk, by: Author) -> tuple[str, list[AnyEvent]]:
    _check_storage(desk)
    if desk.wall.holds:
        return "goes on", wishes.release(desk.wall, ("order", "memory"), by)
    if desk.state.pause_when or desk.state.pause_at:
        _drop_planned_pause(desk)
        return "the planned pause is dropped", []
    raise Refused("the run is not paused")


def _run_for(desk: Desk, updates: int, by: Author) -> tuple[str, list[AnyEvent]]:
    if updates < 1:
        raise Refused("run-for needs at least one update")
    _check_storage(desk)
    desk.state.pause_at = desk.state.update + updates
    return f"pauses after update {desk.state.pause_at}", wishes.release(desk.wall, ("order", "memory"), by)


def _check_storage(desk: Desk) -> None:
    if stands := wishes.held_by(desk.wall, "storage"):
        raise Refused(f"{stands}: the run goes on by itself once it can write")


def _drop_planned_pause(desk: Desk) -> None:
    desk.state.pause_when, desk.state.pause_at = "", 0


def _order_save(desk: Desk) -> str:
    if not desk.host.can_save:
        raise Refused("this script has not said how it is saved: run.checkpoint(state_fn)")
    if "manual" in desk.wall.saves:
        raise Refused("a checkpoint is already on its way")
    wishes.queue_save(desk.wall, "manual")
    if desk.is_probing:
        return "saved once the try is decided"
    return "saved at once" if desk.is_paused else "saved after this update"


# --- difficulty and settings -----------------------------------------------------------------------------------------


def _set_difficulty(desk: Desk, wish: Difficulty, by: Author) -> str:
    if desk.space is None:
        raise Refused(f"{desk.spec.id} has no difficulty to change")
    target = ladder.fitted(wish, desk.state.difficulty, desk.space)
    problem = ladder.objection(target, desk.space)
    if problem:
        raise Refused(problem)
    name = ladder.label(target, desk.space)
    if target == wishes.planned_difficulty(desk.state):
        raise Refused(f"the difficulty is already {name}")
    desk.state.move = Move(target, by, f"ordered by {by}")
    return f"{name} from the next episodes on, after this update{staging.leave(desk)}"


def _set_setting(desk: Desk, key: str, value: float, by: Author) -> tuple[str, list[AnyEvent]]:
    is_hosts = desk.spec.hosted and key not in HOSTED_KEYS
    if is_hosts:
        problem = host_setting_objection(desk.host.settings, key, value)
    else:
        problem = setting_objection(desk.config, key, value)
    if problem:
        raise Refused(problem)
    if key == "ppo.pool_share" and desk.spec.players != 2:
        raise Refused(f"{desk.spec.id} has no opponents")
    if is_hosts or key in LEARNER_KEYS:
        wishes.tune(desk.state, key, value, by, f"ordered by {by}")
        return f"{key} = {value:g} after this update", []
    old = float(get(desk.config, key))
    if old == value:
        raise Refused(f"{key} is already {value:g}")
    _override(desk, key, value)
    changed = SettingChanged(key=key, old=old, new=value, by=by, why=f"ordered by {by}")
    return f"{key} {old:g} → {value:g}", [changed]


def _override(desk: Desk, key: str, value: float) -> None:
    base = float(get(desk.base, key))
    desk.state.overrides = {**desk.state.overrides, key: Override(base, value)}
    desk.config = with_values(desk.base, {k: o.value for k, o in desk.state.overrides.items()})
