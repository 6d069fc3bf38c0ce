"""OpenSpiel's games as tasks: what Shogi's side to move sees and may do, opponents, seats, state, table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pyspiel = pytest.importorskip("pyspiel")

from tui_trainer import tasks  # noqa: E402
from tui_trainer.core import duel as d  # noqa: E402
from tui_trainer.core.protocols import Arbiter  # noqa: E402
from tui_trainer.core.values import Difficulty  # noqa: E402
from tui_trainer.engine.duel import Duel  # noqa: E402
from tui_trainer.errors import ConfigError, DamagedSession, UsageError  # noqa: E402
from tui_trainer.tasks.arrays import Array  # noqa: E402
from tui_trainer.tasks.playing import LinearPlayer, RandomPlayer, digest, play  # noqa: E402
from tui_trainer.tasks.spiel.attacks import Attacks  # noqa: E402
from tui_trainer.tasks.spiel.players import Material, OnePly, player_named  # noqa: E402
from tui_trainer.tasks.spiel.rules import load_rules  # noqa: E402
from tui_trainer.tasks.spiel.shogi import HANDS, KINDS, Shogi  # noqa: E402
from tui_trainer.tasks.spiel.table import SpielTable  # noqa: E402

ALONE: dict[str, Any] = {"opponent_share": 0.0, "opening_plies": 0}


@pytest.fixture(scope="module")
def shogi() -> Shogi:
    rules = load_rules("shogi")
    assert isinstance(rules, Shogi)
    return rules


def random_states(rules: Any, count: int, seed: int) -> list[Any]:
    """Positions of random games, one every few plies."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        state = rules.start()
        for ply in range(300):
            if state.is_terminal():
                break
            if ply % 7 == 3:
                found.append(state.clone())
            moves = state.legal_actions()
            state.apply_action(moves[rng.integers(len(moves))])
    return found[:count]


def turned(sfen: str) -> str:
    """The same position with the colours exchanged and the board turned."""
    board, side, hands, number = sfen.split()
    ranks = []
    for rank in reversed(board.split("/")):
        squares: list[str] = []
        plus = ""
        for c in rank:
            if c == "+":
                plus = c
            else:
                squares.insert(0, plus + c.swapcase())
                plus = ""
        ranks.append("".join(squares))
    swapped = hands.swapcase()
    return f"{'/'.join(ranks)} {'w' if side == 'b' else 'b'} {swapped} {number}"


def test_shogis_actions_are_one_to_one_with_the_legal_moves(shogi: Shogi) -> None:
    for state in random_states(shogi, 60, 1):
        side = np.array([state.current_player()], np.int8)
        moves = np.array(state.legal_actions())
        actions = shogi.actions_of(np.repeat(side, len(moves)), moves)
        assert (actions >= 0).all()
        assert len(set(actions.tolist())) == len(moves)
        assert np.array_equal(shogi.moves_of(np.repeat(side, len(moves)), actions), moves)
        assert np.array_equal(np.flatnonzero(shogi.view([state], side).mask[0]), np.sort(actions))


def test_shogi_looks_the_same_from_either_side(shogi: Shogi) -> None:
    """A position and its mirror image with the colours exchanged have one observation and one mask."""
    for state in random_states(shogi, 40, 2):
        twin = shogi.game.new_initial_state(turned(str(state)))
        plain = shogi.game.new_initial_state(str(state))
        a, b = (shogi.view([s], np.zeros(1, np.int8)) for s in (plain, twin))
        assert a.to_move[0] != b.to_move[0]
        assert np.array_equal(a.obs, b.obs)
        assert np.array_equal(a.mask, b.mask)


def test_the_first_position_of_shogi_shows_twenty_pieces_a_side_and_empty_hands(shogi: Shogi) -> None:
    obs = shogi.view([shogi.start()], np.zeros(1, np.int8)).obs[0]
    assert obs[:KINDS].sum() // 255 == 20
    assert obs[KINDS : 2 * KINDS].sum() // 255 == 20
    assert obs[2 * KINDS :].sum() == 0
    assert obs[0, 0, 4] == 255, "the own king stands in the middle of the first rank"
    assert obs[KINDS, 8, 4] == 255


def test_pieces_in_hand_are_seen_by_number(shogi: Shogi) -> None:
    state = shogi.game.new_initial_state("4k4/9/9/9/9/9/9/9/4K4 b 2P3p 1")
    obs = shogi.view([state], np.zeros(1, np.int8)).obs[0]
    step = 255 // int(HANDS[0])
    assert (obs[2 * KINDS + 1] == 2 * step).all()
    assert (obs[2 * KINDS + 8] == 3 * step).all()


def test_a_capture_and_a_promotion_are_gains(shogi: Shogi) -> None:
    state = shogi.game.new_initial_state("4k4/9/4r4/4P4/9/9/9/9/4K4 b - 1")
    view = shogi.view([state], np.zeros(1, np.int8))
    names = shogi.names(state)
    gains = shogi.gains(view.obs[0], np.array([names["5d5c"], names["5d5c+"], names["5i5h"]]))
    assert gains.tolist() == [10, 15, 0]


def test_material_takes_what_is_undefended_and_leaves_what_is_poisoned(shogi: Shogi) -> None:
    """The bishop could take a guarded pawn or an unguarded lance."""
    state = shogi.game.new_initial_state("4k4/9/p3l4/1p7/2B6/9/9/9/4K4 b - 1")
    rng = np.random.default_rng(1)
    deep = Material(shogi, 2).choose(state, rng)
    assert state.action_to_string(0, deep).startswith("7e5c")


def test_material_mates_where_it_can(shogi: Shogi) -> None:
    state = shogi.game.new_initial_state("4k4/9/4P4/9/9/9/9/9/4K4 b G 1")
    move = Material(shogi, 1).choose(state, np.random.default_rng(1))
    assert state.child(move).is_terminal()


def test_the_board_is_drawn_with_hands_and_coordinates(shogi: Shogi) -> None:
    state = shogi.game.new_initial_state("4k4/9/4+P4/9/9/9/9/9/4K4 w G2p 1")
    lines = shogi.draw(state).splitlines()
    assert lines[0] == "white holds pp"
    assert lines[1] == " 9  8  7  6  5  4  3  2  1"
    assert lines[4] == " .  .  .  . +P  .  .  .  . c"
    assert lines[-1] == "black holds G"


def test_the_last_move_of_shogi_is_marked(shogi: Shogi) -> None:
    duel = Duel(SpielTable(shogi, shogi.ladder, 512), RandomPlayer(tasks.spec_of("openspiel:shogi"), 1),
                d.Open(source="", rival=d.PERSON, first=d.PERSON))  # fmt: skip
    duel.answer(d.NewGame())
    after = duel.answer(d.Play(move="7g7f"))
    assert isinstance(after, d.Position)
    assert [line for line in after.lines() if "[" in line] == ["  .  . [P] .  .  .  .  .  . f "]
    assert after.line == ("7g7f",)
    back = duel.answer(d.TakeBack())
    assert isinstance(back, d.Position)
    assert back.line == ()


def test_a_win_is_rewarded_and_the_game_starts_anew() -> None:
    task = tasks.make("openspiel:tic_tac_toe", ALONE, 2)
    task.reset(1)
    for cell in (0, 3, 1, 4, 2):
        step = task.step(np.array([cell, cell]))
    assert step.reward.tolist() == [1, 1]
    assert step.outcome.tolist() == [1, 1]
    assert step.terminated.all()
    assert step.mask is not None
    assert step.mask.all()
    assert step.to_move.tolist() == [0, 0]


def test_a_scripted_row_keeps_the_learners_seat_and_knows_who_sees_the_cut_position() -> None:
    task = tasks.make("openspiel:connect_four", {"opponent_share": 0.5}, 8, 2)
    start = task.reset(3)
    before = start.to_move
    for step in play(task, RandomPlayer(task.spec, 1), start.obs, start.mask, 40):
        cut = step.truncated
        assert step.final_to_move is not None
        assert (step.final_to_move[:4][cut[:4]] != before[:4][cut[:4]]).all()
        assert (step.final_to_move[4:][cut[4:]] == before[4:][cut[4:]]).all()
        before = step.to_move


def test_a_win_at_once_is_taken_by_1_ply() -> None:
    rules = load_rules("tic_tac_toe")
    state = rules.start()
    for cell in (0, 3, 1, 4):
        state.apply_action(cell)
    assert OnePly().choose(state, np.random.default_rng(1)) == 2


def test_mcts_beats_random_and_more_of_it_beats_less() -> None:
    task = tasks.make("openspiel:connect_four", {"opponents": ["random", "mcts-4", "mcts-64"]}, 1)
    assert isinstance(task, Arbiter)
    weak = task.match("mcts-4", "random", games=40, seed=1)
    strong = task.match("mcts-64", "mcts-4", games=40, seed=1)
    assert weak.wins > 2 * weak.losses
    assert strong.wins > 2 * strong.losses


def test_the_same_seed_gives_the_same_mcts_move() -> None:
    rules = load_rules("othello")
    player = player_named(rules, "mcts-20")
    moves = [player.choose(rules.start(), np.random.default_rng(7)) for _ in range(4)]
    assert len(set(moves)) == 1


@pytest.mark.parametrize(
    ("task_id", "words"),
    [
        ("openspiel:shogy", "did you mean openspiel:shogi"),
        ("openspiel:kuhn_poker", "has chance moves and hides information"),
        ("openspiel:go(board_size=0)", "openspiel:go"),
        ("openspiel:matrix_rps", "simultaneous moves"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_the_reason(task_id: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        tasks.check_id(task_id)


def test_an_unknown_opponent_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="did you mean mcts-10"):
        tasks.make("openspiel:othello", {"opponents": ["random", "mtcs-10"]}, 1)
    with pytest.raises(ConfigError, match="no opponent 'material-1'"):
        tasks.make("openspiel:othello", {"opponents": ["material-1"]}, 1)


def test_parameters_of_a_game_go_in_its_id() -> None:
    assert tasks.spec_of("openspiel:go(board_size=5)").n == 26


def test_an_evaluation_starts_from_distinct_openings_on_both_sides() -> None:
    task = tasks.make("openspiel:breakthrough(rows=6,columns=6)", {}, 1)
    result = task.evaluate(LinearPlayer(task.spec, 1), part="random", episodes=20, seed=3)
    assert result.episodes == 20
    assert result.distinct == 20
    assert (result.win_rate or 0) + (result.draw_rate or 0) + (result.loss_rate or 0) == pytest.approx(1)


def test_state_without_a_part_is_refused() -> None:
    task = tasks.make("openspiel:tic_tac_toe", {}, 4)
    state = task.state_dict()
    for key in state:
        with pytest.raises(DamagedSession):
            task.load_state_dict({k: v for k, v in state.items() if k != key})


def test_shogi_goes_on_bit_for_bit_from_its_state() -> None:
    task, twin = (tasks.make("openspiel:shogi", {"opponent_share": 0.5}, 4) for _ in "ab")
    start = task.reset(5)
    *_, last = play(task, RandomPlayer(task.spec, 1), start.obs, start.mask, 60)
    twin.load_state_dict(task.state_dict())
    for t in (task, twin):
        list(play(t, RandomPlayer(t.spec, 2), last.obs, last.mask, 60))
    assert digest(twin.state_dict()) == digest(task.state_dict())


def test_a_level_beyond_the_ladder_is_refused() -> None:
    with pytest.raises(UsageError, match=r"0 \(random\) to 2 \(mcts-100\)"):
        tasks.make("openspiel:connect_four", {}, 1).set_difficulty(Difficulty(level=3))


@pytest.mark.parametrize(("name", "move"), [("othello", "d3"), ("breakthrough", "a7a6")])
def test_boards_are_one_character_a_square(name: str, move: str) -> None:
    rules = load_rules(name)
    rows = [line.split() for line in rules.draw(rules.start()).splitlines()]
    assert len(rows) == 9
    assert all(len(word) == 1 for row in rows for word in row)
    assert move in rules.names(rules.start())


def test_the_last_stone_of_othello_is_marked() -> None:
    rules = load_rules("othello")
    state = rules.start()
    assert rules.mark(state) is None
    state.apply_action(rules.names(state)["d3"])
    line, column = rules.mark(state) or (0, 0)
    assert (line, column) == (2, 6)
    assert rules.draw(state).splitlines()[line][column] == "X"


# --- attacked squares --------------------------------------------------------------------------------------------


def board_with(**pieces: tuple[int, int]) -> Array:
    """(1, 28, 81): own letters in capitals, at rank and file from the viewer's left corner."""
    found = np.zeros((1, 28, 81), np.uint8)
    for letter, (rank, file) in pieces.items():
        kind = "KLNSGPBR".index(letter.upper())
        found[0, kind + (0 if letter.isupper() else 14), rank * 9 + file] = 255
    return found


def squares_of(attackers: Array) -> set[tuple[int, int]]:
    return {(int(number) // 9, int(number) % 9) for number in np.flatnonzero(attackers)}


def test_a_rook_attacks_along_its_lines_up_to_the_first_piece_and_that_piece() -> None:
    own, other = Attacks()(board_with(R=(4, 4), P=(6, 4), p=(4, 6)))[0]
    along = {(4, file) for file in (0, 1, 2, 3, 5, 6)} | {(rank, 4) for rank in (0, 1, 2, 3, 5, 6)}
    assert squares_of(own) == along | {(7, 4)}
    assert squares_of(other) == {(3, 6)}


def test_knights_jump_forward_and_nothing_leaves_the_board() -> None:
    own, other = Attacks()(board_with(N=(5, 0), n=(6, 8), l=(2, 3), S=(8, 8)))[0]
    assert squares_of(own) == {(7, 1), (7, 7)}
    assert squares_of(other) == {(4, 7), (1, 3), (0, 3)}


def test_attackers_are_counted_up_to_three() -> None:
    own, _ = Attacks()(board_with(G=(3, 4), S=(3, 3), P=(3, 5), B=(0, 0), R=(8, 4)))[0]
    assert own.reshape(9, 9)[4, 4] == 3
    assert own.reshape(9, 9)[4, 5] == 2


def test_the_other_sides_attacks_are_those_it_sees_itself_turned_round(shogi: Shogi) -> None:
    pieces = board_with(R=(4, 4), P=(6, 4), p=(4, 6), n=(6, 8), B=(1, 1), k=(8, 4))
    turned = np.concatenate([pieces[:, 14:], pieces[:, :14]], 1)[:, :, ::-1]
    seen, back = Attacks()(pieces)[0], Attacks()(turned)[0]
    np.testing.assert_array_equal(seen, back[::-1, ::-1])


def test_attack_planes_show_every_square_that_a_piece_can_go_to() -> None:
    task = tasks.make("openspiel:shogi", {**ALONE, "attack_planes": True}, 32)
    assert task.spec.obs_shape == (45, 9, 9)
    rng, now = np.random.default_rng(2), task.reset(1)
    targets = load_rules("shogi").targets  # type: ignore[attr-defined]
    for _ in range(60):
        now = task.step(np.array([rng.choice(np.flatnonzero(row)) for row in now.mask]))
        for obs, mask in zip(now.obs, now.mask, strict=True):
            legal = np.flatnonzero(mask)
            reached = np.unique(targets[legal[legal < 132 * 81]])
            assert (obs[43].ravel()[reached] > 0).all()
    assert set(np.unique(now.obs[:, 43:])) <= {0, 85, 170, 255}


def test_attack_planes_change_no_other_plane_and_no_opponent() -> None:
    plain, seeing = (
        tasks.make("openspiel:shogi", {"opponent_share": 0.5} | more, 8) for more in ({}, {"attack_planes": True})
    )
    for task in (plain, seeing):
        task.set_difficulty(Difficulty(level=1))
    rng = np.random.default_rng(4)
    one, two = plain.reset(5), seeing.reset(5)
    for _ in range(30):
        np.testing.assert_array_equal(one.obs, two.obs[:, :43])
        action = np.array([rng.choice(np.flatnonzero(row)) for row in one.mask])
        one, two = plain.step(action), seeing.step(action)


def test_no_move_that_ends_a_game_is_missed_among_those_that_may(shogi: Shogi) -> None:
    """Games in which half of the moves take the most, and each that can be ended is looked at."""
    rng, greedy = np.random.default_rng(5), player_named(shogi, "material-1")
    ends = looked_at = moves = 0
    for _ in range(3):
        state = shogi.start()
        while not state.is_terminal() and state.move_number() < 260:
            legal = np.array(state.legal_actions())
            if state.move_number() > 60:
                actions = shogi.actions_of(np.full(len(legal), state.current_player(), np.int8), legal)
                may = shogi.may_end(shogi.seen(state), actions)
                ending = np.array([state.child(move).is_terminal() for move in legal.tolist()])
                assert not (ending & ~may).any(), state
                ends, looked_at, moves = ends + int(ending.sum()), looked_at + int(may.sum()), moves + len(may)
            state.apply_action(greedy.choose(state, rng) if rng.random() < 0.5 else int(rng.choice(legal)))
    assert ends >= 5
    assert looked_at < moves / 4


def test_only_shogi_has_attack_planes() -> None:
    with pytest.raises(ConfigError, match="attack_planes: only Shogi"):
        tasks.make("openspiel:othello", {"attack_planes": True}, 2)
