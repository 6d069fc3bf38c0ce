"""The picture as a function of the scene: its size, its words, and what may never reach a terminal."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ui.history import NAME, RUNGS, START, UPDATES, raise_card, state_at
from tui_trainer.charts.chart import DASHES
from tui_trainer.charts.span import Row, row_cells
from tui_trainer.client.source import Link, Position
from tui_trainer.core.events import LogWritten, RunPaused, stamp
from tui_trainer.core.state import RunState
from tui_trainer.ui.frame import compose, text_of
from tui_trainer.ui.look import LINE_STYLES, Look
from tui_trainer.ui.panels import PANELS, Panel
from tui_trainer.ui.scene import Notice, Order, Overlay, Scene

EMPTY, MID, ENDED = RunState(), state_at(780), state_at(UPDATES)
LIVE = Link("live", "connected")


def scene(state: RunState = MID, **changes: object) -> Scene:
    return msgspec.structs.replace(Scene(state=state, now=START + 120, name=NAME, link=LIVE), **changes)


def shown(state: RunState = MID, width: int = 120, height: int = 40, **changes: object) -> str:
    return text_of(compose(scene(state, **changes), width, height).rows)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 230), st.integers(0, 70), st.sampled_from([EMPTY, MID, ENDED]), st.sampled_from(["live", "replay"])
)
def test_the_picture_has_exactly_the_screens_size(width: int, height: int, state: RunState, kind: str) -> None:
    position = Position(500, 1000, START + 60, True, 10.0) if kind == "replay" else None
    picture = compose(scene(state, kind=kind, position=position), width, height)
    assert picture.failures == ()
    assert len(picture.rows) == height
    assert all(row_cells(row) == width for row in picture.rows)


@pytest.mark.parametrize("name", sorted(PANELS))
@pytest.mark.parametrize("state", [EMPTY, MID, ENDED], ids=["empty", "mid", "ended"])
def test_every_panel_draws_at_every_size(name: str, state: RunState) -> None:
    for width, height in ((0, 0), (1, 1), (5, 2), (20, 3), (36, 8), (80, 20), (200, 60)):
        PANELS[name].render(scene(state), width, height)
        PANELS[name].heading(scene(state))


def played(width: int, **metrics: float) -> list[str]:
    """The rows of the game's panel beneath its board."""
    state = msgspec.structs.replace(EMPTY, metrics={f"game/{name}": value for name, value in metrics.items()})
    rows = PANELS["game"].render(scene(state), width, 12)
    return [line for line in text_of(tuple(rows)).splitlines() if "%" in line]


def test_the_game_shows_the_newest_games_and_with_room_all_of_them() -> None:
    rates = {"black_rate": 0.5, "white_rate": 0.3, "draw_rate": 0.2}
    every = {"black_total": 0.4, "white_total": 0.45, "draw_total": 0.15}
    narrow, wide = played(24, **rates, **every), played(40, **rates, **every)
    assert [line.split()[0] for line in narrow] == ["black", "white", "draw"]
    assert "all" not in "".join(narrow)
    assert [line.split("%")[0].split()[-1] for line in wide] == ["50", "30", "20"]
    assert [line.split("all")[1].strip() for line in wide] == ["40 %", "45 %", "15 %"]
    assert all(len(line) <= 40 for line in wide)


def test_a_games_own_names_of_its_outcomes_are_shown_in_their_order() -> None:
    lines = played(40, first_rate=0.6, second_rate=0.3, draw_rate=0.1)
    assert [line.split()[0] for line in lines] == ["first", "second", "draw"]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 50)])
def test_everything_essential_is_on_the_screen(width: int, height: int) -> None:
    text = shown(width=width, height=height)
    for wanted in ("running", "780/1,200", "plateau", "random", "minimax-5", "SPS", "learn 80", "no NVML",
                   "level 1-ply → minimax-2", "a accept", "r reject", "p pause", "q leave"):  # fmt: skip
        assert wanted in text, wanted


def test_the_smallest_screen_shows_status_chart_and_recommendation() -> None:
    text = shown(width=40, height=12)
    for wanted in ("● running", "780/1,200", "1-ply", "excelling", "a accept"):
        assert wanted in text, wanted


def test_an_empty_state_says_what_comes_and_when() -> None:
    assert "engine starting" in shown(EMPTY, link=Link("starting", "engine starting"))
    text = shown(state_at(1))
    assert "first evaluation after update 50" in text
    assert "the adviser speaks after evaluations" in text


def test_a_paused_run_looks_paused_and_offers_to_go_on() -> None:
    event = stamp(RunPaused(by="user", why="key p"), seq=MID.seq + 1, time=MID.time, update=780, global_step=1)
    text = shown(MID.apply(event))
    assert text.count("‖ PAUSED") == 2
    assert "p resume" in text


def test_an_ended_run_says_why_and_what_to_do_next() -> None:
    text = shown(ENDED)
    for wanted in ("■ ENDED", "max_updates", "1,200 of 1,200 updates", "e  go on to 2,400 updates", "h  play it back",
                   "w  write a report", "k  fork it"):  # fmt: skip
        assert wanted in text, wanted


def test_a_lost_line_is_told_in_header_and_status() -> None:
    text = shown(link=Link("lost", "line lost: reconnecting"))
    assert "✗ lost" in text
    assert "line lost: reconnecting" in text


def test_a_gone_engine_offers_what_it_says() -> None:
    assert "resume with tui-trainer resume x" in shown(link=Link("gone", "gone: resume with tui-trainer resume x"))


def test_an_order_on_its_way_stands_on_the_card_and_in_the_status_line() -> None:
    text = shown(orders=(Order("1", "accept 7", "received", 7),))
    assert text.count("accept 7 received") == 2


def test_replay_shows_its_timeline_speed_and_keys() -> None:
    text = shown(kind="replay", marks=MID.marks, position=Position(900, 1474, START + 110, True, 10.0))
    assert "▶ REPLAY" in text
    assert "×10" in text
    assert "900/1,474 events" in text
    assert "n decision" in text
    assert "p pause" not in text.splitlines()[-1].split("space")[0]


def test_an_overlay_stands_over_the_panels() -> None:
    assert "End this run" in shown(overlay=Overlay("stop")) or "end this run" in shown(overlay=Overlay("stop"))
    assert "tui-trainer checkpoint NAME" in shown(overlay=Overlay("help"))


def test_numbers_keep_their_columns_while_they_grow() -> None:
    """The header's words stand where they stood 70 updates before."""
    first, second = (shown(state_at(update)).splitlines()[0] for update in (705, 775))
    for word in ("update", "steps", "SPS"):
        assert first.index(word) == second.index(word)


HOSTILE = "\x1b]52;c;aGk=\x07 \x1b[2J \x9b31m \u202eabc [bold]x[/bold] [link=evil] [/ \x00\x7f 日本 \u200b"


def test_no_text_from_outside_reaches_the_screen_as_an_order() -> None:
    event = stamp(LogWritten(level="info", text=HOSTILE), seq=MID.seq + 1, time=MID.time, update=780, global_step=1)
    card = stamp(
        msgspec.structs.replace(raise_card(9, 1), title=HOSTILE, evidence=(HOSTILE,)),
        seq=MID.seq + 2, time=MID.time, update=780, global_step=1,
    )  # fmt: skip
    state = MID.apply(event).apply(card)
    picture = compose(scene(state, name=HOSTILE, notice=Notice(HOSTILE), filter=HOSTILE[:3]), 120, 40)
    text = text_of(picture.rows)
    assert not any((ord(char) < 32 and char != "\n") or 0x7F <= ord(char) < 0xA0 for char in text)
    assert "\u202e" not in text
    assert all(row_cells(row) == 120 for row in picture.rows)
    assert "[bold]x[/bold]" in text_of(compose(scene(state, name=HOSTILE, maximised=True, focus="log"), 160, 40).rows)


def test_ascii_means_ascii_at_every_size() -> None:
    for width, height in ((40, 12), (80, 24), (120, 40), (200, 50)):
        for state in (EMPTY, MID, ENDED):
            rows = compose(scene(state, look=Look("ascii")), width, height).rows
            assert text_of(rows).isascii()
            assert all(row_cells(row) == width for row in rows)


def test_a_failing_panel_costs_its_own_place_only() -> None:
    def broken(scene: Scene, width: int, height: int) -> list[Row]:
        raise ValueError("bug")

    picture = compose(scene(), 120, 40, {**PANELS, "speed": Panel("speed", "SPS", broken)})
    text = text_of(picture.rows)
    assert "panel speed failed: ValueError: bug" in text
    assert "Training Manager" in text
    assert picture.failures == ("panel speed failed: ValueError: bug",)


def test_the_filter_keeps_only_lines_that_hold_it() -> None:
    text = shown(focus="log", maximised=True, filter="kl")
    assert "KL .031" in text
    assert "recommendation 6 helped" not in text


def test_scrolling_the_log_shows_older_lines() -> None:
    assert "started connect_four" in shown(focus="log", maximised=True, height=14, scroll=400)


def test_no_two_lines_of_a_chart_share_colour_and_pattern() -> None:
    assert len(set(DASHES)) == len(DASHES) >= len(RUNGS)
    assert len(set(LINE_STYLES)) == len(LINE_STYLES)


def test_a_long_line_of_the_log_is_told_in_full_where_it_has_the_screen() -> None:
    told = LogWritten(level="warning", text="SPS fell: " + "another process " * 12 + "to-the-end")
    state = MID.apply(stamp(told, seq=MID.seq + 1, time=MID.time, update=MID.update, global_step=MID.global_step))
    assert "to-the-end" not in shown(state)
    assert "to-the-end" in shown(state, focus="log", maximised=True)


def test_a_picture_names_the_rows_that_answer_a_key() -> None:
    plain = compose(scene(), 120, 40)
    assert set(plain.first) == {0, 38, 39}
    asking = compose(scene(overlay=Overlay("stop")), 120, 40)
    question = next(y for y, row in enumerate(text_of(asking.rows).splitlines()) if "end this run?" in row)
    assert question in asking.first


def test_where_a_board_leaves_little_room_its_words_give_way_to_how_games_end() -> None:
    metrics = {"game/black_rate": 0.5, "game/white_rate": 0.4, "game/draw_rate": 0.1}
    board = "\n".join(["· · ·"] * 6) + "\nX to move, against itself"
    state = msgspec.structs.replace(EMPTY, metrics=metrics, frame=board)
    text = text_of(PANELS["game"].render(scene(state), 16, 9))
    assert all(word in text for word in ("black", "white", "draw"))
    assert "X to move" not in text
