"""The conformance kit: tells the author of an environment exactly which promise of the Task contract it breaks.

`tui-trainer tasks check ID` prints its findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from tui_trainer import tasks
from tui_trainer.core.protocols import Task
from tui_trainer.errors import TuiTrainerError
from tui_trainer.tasks.checks import difficulty, ends, evaluation, looks, randomness, shapes, state, values
from tui_trainer.tasks.checks.kit import Broken, Kit
from tui_trainer.tasks.checks.patience import PATIENCE_S, OutOfPatience, patience
from tui_trainer.tasks.checks.randomness import global_randomness_kept

RULES: dict[str, Callable[[Kit], str]] = {
    "the spec is complete": shapes.spec_is_complete,
    "shapes and dtypes are those of the spec": shapes.shapes_are_those_of_the_spec,
    "masks leave a legal action": values.masks_leave_a_legal_action,
    "numbers are finite": values.numbers_are_finite,
    "flags agree": values.flags_agree,
    "no episode breaks": values.no_episode_breaks,
    "arrays stay as handed out": values.arrays_stay_as_handed_out,
    "ends hand over the last observation": ends.ends_hand_over_the_last_observation,
    "a limit truncates": ends.a_limit_truncates,
    "the same seed repeats": randomness.the_same_seed_repeats,
    "no hidden randomness": randomness.no_hidden_randomness,
    "evaluation leaves training as it was": evaluation.evaluation_leaves_training_as_it_was,
    "evaluation repeats": evaluation.evaluation_repeats,
    "state round trip": state.state_round_trip,
    "difficulty is harder": difficulty.difficulty_is_harder,
    "levels of the evaluation are harder": difficulty.levels_of_the_evaluation_are_harder,
    "difficulty waits for the next episode": difficulty.difficulty_waits_for_the_next_episode,
    "text is clean": looks.text_is_clean,
    "speed": looks.speed,
}


class Finding(msgspec.Struct, frozen=True):
    """One rule, whether the task keeps it, and what was seen."""

    rule: str
    ok: bool
    detail: str


def check_task(
    task_id: str, options: Mapping[str, Any] | None = None, *, patience_s: float = PATIENCE_S
) -> Iterator[Finding]:
    """Every rule over the task with this id, each as soon as it is done."""
    chosen = dict(options or {})
    kit = Kit(
        lambda num_envs: tasks.make(task_id, chosen, num_envs),
        lambda num_envs, limit: tasks.make(task_id, chosen, num_envs, limit),
    )
    return (run_rule(name, kit, patience_s) for name in RULES)


def check(
    make: Callable[[int], Task],
    *,
    limited: Callable[[int, int], Task] | None = None,
    patience_s: float = PATIENCE_S,
) -> list[Finding]:
    """Every rule over the tasks that `make(num_envs)` builds; `limited(num_envs, max_episode_steps)` adds the rule
    that compares a limited task with an unlimited one."""
    kit = Kit(make, limited)
    return [run_rule(name, kit, patience_s) for name in RULES]


def run_rule(name: str, kit: Kit, patience_s: float = PATIENCE_S) -> Finding:
    """One rule, for at most so long; global generators are afterwards as they were."""
    try:
        with global_randomness_kept(), patience(patience_s):
            return Finding(name, True, RULES[name](kit))
    except (Broken, OutOfPatience) as broken:
        return Finding(name, False, str(broken))
    except TuiTrainerError as error:
        return Finding(name, False, str(error))
    except Exception as error:  # the boundary to foreign code: whatever it raises is what its author must know
        return Finding(name, False, f"raised {type(error).__name__}: {error}")
