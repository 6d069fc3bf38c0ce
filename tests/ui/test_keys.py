"""One table of keys: no key twice, every order has a command twin, a key that cannot act says why."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import pytest

from tests.ui.history import NAME, START, UPDATES, state_at
from tui_trainer.client.source import Link, Position
from tui_trainer.core.state import RunState
from tui_trainer.errors import ConfigError
from tui_trainer.ui import keymap
from tui_trainer.ui.frame import compose, text_of
from tui_trainer.ui.hints import hint
from tui_trainer.ui.keymap import bound, remapped
from tui_trainer.ui.keys import KEYS, Action, keys_for, label_of, refusal
from tui_trainer.ui.scene import Scene
from tui_trainer.ui.tables import TABLES, markdown

MID = state_at(780)
ORDERS: tuple[Action, ...] = ("pause", "checkpoint", "accept", "reject", "undo", "stop", "write")


def scene(state: RunState = MID, **changes: object) -> Scene:
    base = Scene(state=state, now=START, name=NAME, link=Link("live", ""))
    return msgspec.structs.replace(base, **changes)


@pytest.mark.parametrize("kind", ["live", "replay"])
def test_no_key_means_two_things(kind: Literal["live", "replay"]) -> None:
    names = [name for key in keys_for(kind) for name in key.keys]
    assert len(names) == len(set(names))


def test_every_order_has_a_command_that_does_the_same() -> None:
    for key in KEYS:
        if key.action in ORDERS:
            assert key.command.startswith("tui-trainer "), key.action


def test_every_key_says_what_it_does() -> None:
    assert all(key.help and key.shown for key in KEYS)


@pytest.mark.parametrize("action", ORDERS)
def test_a_read_only_view_refuses_every_order(action: Action) -> None:
    assert "read-only" in refusal(action, scene(readonly=True))


@pytest.mark.parametrize("action", ORDERS)
def test_an_ended_run_refuses_every_order_and_names_the_next_step(action: Action) -> None:
    assert f"tui-trainer resume {NAME}" in refusal(action, scene(state_at(UPDATES)))


@pytest.mark.parametrize("action", ORDERS)
def test_without_a_line_every_order_is_refused(action: Action) -> None:
    assert "reconnecting" in refusal(action, scene(link=Link("lost", "reconnecting")))


def elsewhere(**changes: object) -> Scene:
    """An ended run whose loop is not ours."""
    ended = state_at(UPDATES)
    assert ended.started
    return scene(msgspec.structs.replace(ended, started=msgspec.structs.replace(ended.started, **changes)))


@pytest.mark.parametrize("changes", [{"task": "guest:CartPole-v1"}, {"origin": "TensorBoard"}])
def test_after_a_run_with_a_loop_of_its_own_only_what_works_is_offered(changes: dict[str, str]) -> None:
    over = elsewhere(**changes)
    text = text_of(compose(over, 120, 40).rows)
    assert refusal("extend", over)
    assert refusal("fork", over)
    assert not refusal("again", over)
    assert not refusal("report", over)
    for wanted in ("h  play it back", "w  write a report", "h replay", "w report"):
        assert wanted in text, wanted
    for unwanted in ("go on to", "go on", "fork", "tui-trainer resume"):
        assert unwanted not in text.replace("only the script goes on", ""), unwanted


@pytest.mark.parametrize("changes", [{"task": "guest:CartPole-v1"}, {"origin": "TensorBoard"}])
def test_at_the_end_of_its_replay_no_command_is_named_that_is_refused(changes: dict[str, str]) -> None:
    text = text_of(compose(msgspec.structs.replace(elsewhere(**changes), kind="replay"), 120, 40).rows)
    assert f"tui-trainer report {NAME}" in text
    assert "tui-trainer resume" not in text


def test_a_replay_that_broke_off_says_so_at_its_end_and_only_there() -> None:
    broken = scene(kind="replay", link=None, broke="the engine was gone", last_words=("ValueError: no such move",))
    for index, told in ((900, False), (1000, True)):
        position = Position(index, 1000, START, False, 1.0)
        text = text_of(compose(msgspec.structs.replace(broken, position=position), 120, 40).rows)
        for word in ("the engine was gone", "ValueError: no such move", f"tui-trainer resume {NAME}"):
            assert (word in text) is told, word


def test_hints_name_only_keys_that_do_something() -> None:
    told = {"kind": "replay", "hints_until": START + 60}
    assert "n to the next decision" in hint(msgspec.structs.replace(scene(), **told))
    logged = msgspec.structs.replace(elsewhere(origin="TensorBoard"), **told)
    assert hint(logged) == "space plays, ] goes forward, end to the end"
    assert "accepts" in hint(scene(hints_until=START + 60))
    assert "accepts" not in hint(scene(hints_until=START + 60, link=Link("lost", "reconnecting")))


def test_answers_need_an_open_recommendation() -> None:
    quiet = scene(state_at(100))
    assert refusal("accept", quiet) == "no open recommendation"
    assert refusal("undo", quiet).startswith("nothing to undo")
    assert [refusal(action, scene()) for action in ORDERS] == [""] * len(ORDERS)


def test_a_label_says_what_the_key_will_do_now() -> None:
    pause = next(key for key in KEYS if key.action == "pause")
    assert label_of(pause, scene()) == "pause"
    assert label_of(pause, scene(msgspec.structs.replace(MID, status="paused"))) == "resume"


def test_the_documentation_prints_this_table() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "keys.md"
    assert page.read_text(encoding="utf-8").endswith(markdown())


# --- other keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
def test_no_key_of_a_table_means_two_things(table: tuple[keymap.Line, ...]) -> None:
    names = [name for key in table for name in key.keys]
    assert len(names) == len(set(names))


def test_a_changed_key_acts_and_shows_and_the_usual_one_does_not() -> None:
    table = remapped(keys_for("live"), {"pause": ("P",)})
    pause = next(key for key in table if key.action == "pause")
    assert (pause.keys, pause.shown) == (("P",), "P")
    assert bound(keys_for("live"), {"pause": ("P",)}, "P") == "pause"
    assert bound(keys_for("live"), {"pause": ("P",)}, "p") == ""


def test_a_key_given_to_one_action_is_taken_from_the_others() -> None:
    changes = {"checkpoint": ("p",)}
    assert bound(keys_for("live"), changes, "p") == "checkpoint"
    assert bound(keys_for("live"), changes, "space") == "pause"


@pytest.mark.parametrize(("written", "name"), [("+", "plus"), ("/", "slash"), (" ", "space"), ("?", "question_mark"),
                                               ("esc", "escape"), ("ctrl+k", "ctrl+k"), ("N", "N"), ("[",
                                               "left_square_bracket")])  # fmt: skip
def test_keys_are_written_as_people_write_them(written: str, name: str) -> None:
    assert keymap.names_of([written]) == (name,)


def test_an_action_that_is_none_and_a_key_for_two_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean pause"):
        keymap.check(TABLES, {"pauze": ("P",)})
    with pytest.raises(ConfigError, match="both pause and stop"):
        keymap.check(TABLES, {"pause": ("P",), "stop": ("P",)})
    keymap.check(TABLES, {"pause": ("P",), "quit": ("P",)})
