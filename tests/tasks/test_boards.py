"""The bitboards agree with plain loops over cells."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer.tasks import connect_four, tictactoe
from tui_trainer.tasks.arrays import generator_of
from tui_trainer.tasks.boards.geometry import Geometry
from tui_trainer.tasks.boards.openings import OpeningStock, distinct_openings, random_openings
from tui_trainer.tasks.boards.rungs import choose
from tui_trainer.tasks.boards.search import ILLEGAL, WIN, move_scores

BOARDS = {"connect_four": connect_four.BOARD, "tictactoe": tictactoe.BOARD}
boards = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())


@cache
def lines(board: Geometry) -> list[int]:
    """Every winning line as bits, found cell by cell."""
    found = []
    for row in range(board.rows):
        for column in range(board.columns):
            for up, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
                cells = [(row + k * up, column + k * right) for k in range(board.line)]
                if all(0 <= r < board.rows and 0 <= c < board.columns for r, c in cells):
                    found.append(sum(1 << (r * board.columns + c) for r, c in cells))
    return found


def has_line(board: Geometry, stones: int) -> bool:
    return any(stones & line == line for line in lines(board))


def moves(board: Geometry, occupied: int) -> dict[int, int]:
    """Action -> the cell it fills, as a bit."""
    found = {}
    for action in range(board.actions):
        cells = [row * board.columns + action for row in range(board.rows)] if board.gravity else [action]
        free = [1 << cell for cell in cells if not occupied >> cell & 1]
        if free:
            found[action] = free[0]
    return found


def minimax(board: Geometry, own: int, other: int, depth: int) -> dict[int, int]:
    """Plain minimax: action -> value for the side to move, with nothing known at depth 0."""
    return {action: -answer(board, other, own | cell, depth - 1) for action, cell in moves(board, own | other).items()}


def answer(board: Geometry, own: int, other: int, depth: int) -> int:
    """The value for the side to move of a board on which the other has just moved, in plies from the move before."""
    if has_line(board, other):
        return -(WIN - 1)
    if depth == 0:
        return 0
    values = minimax(board, own, other, depth)
    best = max(values.values(), default=0)
    return best - (best > 0) + (best < 0)


def positions(board: Geometry, count: int, plies: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    found = random_openings(board, generator_of(seed), generator_of(seed, 1).integers(0, plies + 1, count))
    return found.own, found.other


@boards
def test_there_are_as_many_lines_as_the_books_say(board: Geometry) -> None:
    assert len(lines(board)) == {7: 69, 3: 8}[board.columns]
    assert board.has_line(np.array(lines(board))).all()


@boards
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_lines_and_winning_cells_are_those_of_a_search_by_cell(board: Geometry, data: st.DataObject) -> None:
    stones = data.draw(st.lists(st.integers(0, int(board.full)), min_size=1, max_size=4))
    array = np.array(stones, np.int64)
    assert board.has_line(array).tolist() == [has_line(board, s) for s in stones]
    completing = [
        sum(
            1 << cell for cell in range(board.cells) if any(s | 1 << cell == s | line for line in lines_at(board, cell))
        )
        for s in stones
    ]
    assert board.winning_cells(array).tolist() == completing


def lines_at(board: Geometry, cell: int) -> list[int]:
    return [line for line in lines(board) if line >> cell & 1]


@boards
def test_playable_cells_and_mask_are_the_legal_moves(board: Geometry) -> None:
    own, other = positions(board, 200, board.cells)
    playable = board.playable(own | other)
    for i in range(len(own)):
        legal = moves(board, int(own[i] | other[i]))
        assert int(playable[i]) == sum(legal.values())
        assert np.flatnonzero(board.mask(playable)[i]).tolist() == sorted(legal)


@boards
def test_planes_show_each_stone_at_its_row_and_column_and_can_be_read_back(board: Geometry) -> None:
    own, other = positions(board, 50, board.cells)
    planes = board.planes(own, other)
    assert planes.flags.c_contiguous
    assert planes.dtype == np.uint8
    for plane, stones in ((0, own), (1, other)):
        for row in range(board.rows):
            for column in range(board.columns):
                bit = stones >> (row * board.columns + column) & 1
                assert planes[:, plane, row, column].tolist() == bit.tolist()
    back = board.stones(planes)
    assert np.array_equal(back[0], own)
    assert np.array_equal(back[1], other)


@pytest.mark.parametrize(("depth", "count"), [(1, 60), (2, 60), (3, 30), (4, 8), (5, 2)])
def test_search_gives_the_values_of_plain_minimax_in_connect_four(depth: int, count: int) -> None:
    require_plain_minimax(connect_four.BOARD, depth, count, plies=36)


def test_a_stone_under_the_other_sides_winning_cell_loses_at_the_second_ply() -> None:
    """O has three in row 1 beside cell d2, which only a stone on d1 makes playable."""
    board = connect_four.BOARD
    own, other = np.array([0b0000101]), np.array([0b0000010 | 0b0000111 << 7])
    scores = move_scores(board, own, other, 2)[0]
    assert scores[3] == 2 - WIN
    assert set(scores[[4, 5, 6]].tolist()) == {0}


@pytest.mark.parametrize("depth", [2, 3, 5, 6])
def test_search_gives_the_values_of_plain_minimax_in_tictactoe(depth: int) -> None:
    require_plain_minimax(tictactoe.BOARD, depth, count=20, plies=9)


def require_plain_minimax(board: Geometry, depth: int, count: int, plies: int) -> None:
    own, other = positions(board, count, plies)
    scores = move_scores(board, own, other, depth)
    for i in range(count):
        expected = minimax(board, int(own[i]), int(other[i]), depth)
        found = {action: int(score) for action, score in enumerate(scores[i]) if score != ILLEGAL}
        assert found == expected, board.draw(int(own[i]), int(other[i]))


def test_one_ply_takes_a_win_before_it_blocks_a_loss() -> None:
    board = tictactoe.BOARD
    own, other = np.array([0b000000011, 0b000010000]), np.array([0b000011000, 0b000000011])
    assert choose(board, "1-ply", own, other, generator_of(1)).tolist() == [2, 2]


def test_perfect_tictactoe_never_loses_and_draws_against_itself() -> None:
    board = tictactoe.BOARD
    own = other = np.zeros(1, np.int64)
    for _ in range(9):
        action = choose(board, "minimax-9", own, other, generator_of(1))
        own, other = other, own | board.targets[action]
        assert not board.has_line(other).any()


def test_minimax_rungs_are_functions_of_the_position() -> None:
    own, other = positions(connect_four.BOARD, 100, 20)
    one = choose(connect_four.BOARD, "minimax-3", own, other, generator_of(1))
    again = choose(connect_four.BOARD, "minimax-3", own[::-1].copy(), other[::-1].copy(), generator_of(2))
    assert np.array_equal(one, again[::-1])


def test_a_small_board_remembers_each_rungs_own_moves() -> None:
    board = tictactoe.BOARD
    own, other = positions(board, 400, 5)
    for _ in range(2):
        for depth in (2, 9):
            action = choose(board, f"minimax-{depth}", own, other, generator_of(1))
            scores = move_scores(board, own, other, depth)
            assert np.array_equal(scores[np.arange(400), action], scores.max(axis=1))


def test_random_plays_every_legal_move_about_equally() -> None:
    zeros = np.zeros(7000, np.int64)
    counts = np.bincount(choose(connect_four.BOARD, "random", zeros, zeros, generator_of(1)), minlength=7)
    assert counts.min() > 880
    assert counts.max() < 1120


@boards
def test_evaluation_openings_differ_pairwise_and_nobody_can_win_at_once(board: Geometry) -> None:
    openings = distinct_openings(board, 5, 60, 4)
    pairs = set(zip(openings.own.tolist(), openings.other.tolist()))
    assert len(pairs) == len(openings.own) == 60
    assert not board.has_line(openings.own).any()
    assert not board.has_line(openings.other).any()
    assert not (board.winning_cells(openings.own) & board.playable(openings.own | openings.other)).any()


def test_openings_hold_as_many_stones_as_their_side_to_move_says() -> None:
    openings = random_openings(connect_four.BOARD, generator_of(9), np.full(500, 9))
    first = np.where(openings.to_move == 0, openings.own, openings.other)
    second = np.where(openings.to_move == 0, openings.other, openings.own)
    assert np.array_equal(np.bitwise_count(first) - np.bitwise_count(second), openings.to_move)


def test_the_supply_of_openings_goes_on_where_it_was_saved() -> None:
    stock = OpeningStock(connect_four.BOARD, 4, max_plies=12, share=0.9)
    stock.take(700)
    state = stock.state_dict()
    expected = stock.take(900)
    other = OpeningStock(connect_four.BOARD, 99, max_plies=12, share=0.9)
    other.load_state_dict(state)
    assert all(np.array_equal(a, b) for a, b in zip(expected, other.take(900)))


def test_a_share_of_the_supply_is_the_empty_board() -> None:
    openings = OpeningStock(connect_four.BOARD, 4, max_plies=12, share=0.75).take(4000)
    assert 0.22 < np.mean((openings.own | openings.other) == 0) < 0.28
