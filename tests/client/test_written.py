"""A written order is the command of the same words."""

from __future__ import annotations

import pytest

from tui_trainer.client.written import endings, order_of
from tui_trainer.core import commands
from tui_trainer.core.commands import AnyCommand
from tui_trainer.core.values import Difficulty
from tui_trainer.errors import TuiTrainerError

PRESENT = Difficulty(level=1, low=0.5, high=0.9)


def read(line: str) -> AnyCommand:
    return order_of(line, "x", lambda: PRESENT)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("set ppo.learning_rate=1e-4", commands.SetSetting(id="x", key="ppo.learning_rate", value=1e-4)),
        ("  set   ppo.ent_coef = 0.01 ", commands.SetSetting(id="x", key="ppo.ent_coef", value=0.01)),
        ("set difficulty.level=2", commands.SetDifficulty(id="x", difficulty=Difficulty(level=2, low=0.5, high=0.9))),
        ("set difficulty.low=0.3", commands.SetDifficulty(id="x", difficulty=Difficulty(level=1, low=0.3, high=0.9))),
        ("run-for 100", commands.RunFor(id="x", updates=100)),
        ("pause", commands.Pause(id="x")),
        ("pause --when eval/win_rate > 0.9", commands.Pause(id="x", when="eval/win_rate > 0.9")),
        ('pause --when "eval/win_rate > 0.9"', commands.Pause(id="x", when="eval/win_rate > 0.9")),
        ("resume", commands.Resume(id="x")),
        ("checkpoint", commands.SaveCheckpoint(id="x")),
    ],
)
def test_words_are_read_as_commands_are(line: str, command: AnyCommand) -> None:
    assert read(line) == command


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "no order"),
        ("set", "no order"),
        ("run-for 0", "no order"),
        ("run-for -3", "no order"),
        ("run-for ten", "no order"),
        ("stop", "no order"),
        ("checkpoint now", "no order"),
        ("set ppo.learning_rate", "not KEY=VALUE"),
        ("set ppo.learning_rate=fast", "not a number"),
        ("set difficulty.level=1.5", "not a whole number"),
        ("set difficulty.level=nan", "not a whole number"),
        ("set difficulty.width=1", "no difficulty"),
        ("pause later", "no condition"),
        ("pause --when", "no condition"),
        ("pause --when eval/win_rate", "eval/win_rate"),
    ],
)
def test_what_cannot_be_read_says_why(line: str, why: str) -> None:
    with pytest.raises(TuiTrainerError, match=why):
        read(line)


def test_what_is_written_goes_on_with_what_this_run_takes() -> None:
    assert endings("r", "ppo") == ("run-for ", "resume")
    assert "set ppo.learning_rate=" in endings("set ", "ppo")
    assert not any("dqn." in way for way in endings("set ", "ppo"))
    assert endings("set ppo.learning_rate=", "ppo") == ()
