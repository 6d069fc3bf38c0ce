"""The duel: legal moves only, a reason for every refusal, sides that change, and games that end."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_trainer.core import duel as d
from tui_trainer.engine.duel import Duel, serve, tempered
from tui_trainer.errors import UsageError
from tui_trainer.tasks.boards.players import RungPlayer
from tui_trainer.tasks.boards.table import BoardTable
from tui_trainer.tasks.connect_four import BOARD, RULES
from tui_trainer.tasks.tictactoe import BOARD as SMALL
from tui_trainer.tasks.tictactoe import RULES as SMALL_RULES


def connect_four(rival: str = d.PERSON, *, first: str = d.PERSON, player: str = "minimax-2", **more: float) -> Duel:
    table = BoardTable(BOARD, RULES.ladder, RULES.outcomes)
    wish = d.Open(source="", rival=rival, first=first, temperature=more.get("temperature", 0.0))
    duel = Duel(table, RungPlayer(BOARD, player), wish)
    duel.answer(d.NewGame())
    return duel


def tictactoe(rival: str = d.PERSON) -> Duel:
    table = BoardTable(SMALL, SMALL_RULES.ladder, SMALL_RULES.outcomes)
    duel = Duel(table, RungPlayer(SMALL, "minimax-2"), d.Open(source="", rival=rival, first=d.PERSON))
    duel.answer(d.NewGame())
    return duel


def position(duel: Duel, question: d.NewGame | d.Go | d.Play | d.TakeBack) -> d.Position:
    answer = duel.answer(question)
    assert isinstance(answer, d.Position), answer
    return answer


def why(duel: Duel, question: d.NewGame | d.Go | d.Play | d.TakeBack) -> str:
    answer = duel.answer(question)
    assert isinstance(answer, d.Declined), answer
    return answer.why


def test_a_move_is_a_stone_of_the_persons_and_then_the_learner_is_to_move() -> None:
    after = position(connect_four(), d.Play(move="4"))
    assert after.text.splitlines()[5] == ". . . X . . ."
    assert (after.player, after.line, after.mark) == (d.LEARNER, ("4",), (5, 6))
    assert after.lines()[5] == " . . .[X]. . . "


def test_an_illegal_move_is_declined_with_the_legal_ones() -> None:
    assert why(connect_four(), d.Play(move="9")) == "9 is no legal move here; legal are 1, 2, 3, 4, 5, 6, 7"


def test_a_full_column_is_no_move() -> None:
    duel = connect_four(player="random")
    for _ in range(3):
        position(duel, d.Play(move="1"))
        duel._table.play(0)
        duel._line.append("1")
    assert why(duel, d.Play(move="1")).startswith("1 is no legal move here; legal are 2,")


def test_nobody_moves_for_the_other() -> None:
    duel = connect_four()
    assert why(duel, d.Go()) == "it is your move"
    position(duel, d.Play(move="1"))
    assert why(duel, d.Play(move="2")) == "it is the learner's move"


def test_a_won_game_ends_and_takes_no_further_move() -> None:
    duel = connect_four(d.SELF, player="minimax-2")
    now = position(duel, d.Go())
    while not now.ended:
        now = position(duel, d.Go())
    assert now.moves == ()
    assert now.value is None
    assert now.result in RULES.outcomes
    assert why(duel, d.Go()) == f"the game is over: {now.result}"


def test_the_winner_is_who_completed_the_line() -> None:
    duel = tictactoe()
    for mine, reply in (("1", 3), ("2", 4)):
        position(duel, d.Play(move=mine))
        duel._table.play(reply)
        duel._line.append(str(reply + 1))
    after = position(duel, d.Play(move="3"))
    assert after.text.splitlines()[2] == "X X X"
    assert (after.ended, after.winner, after.result) == (True, 0, "cross")
    assert after.verdict() == "X you won (cross)"


def test_sides_change_with_every_game() -> None:
    duel = connect_four()
    assert position(duel, d.NewGame()).seats == (d.LEARNER, d.PERSON)
    assert position(duel, d.NewGame()).seats == (d.PERSON, d.LEARNER)


def test_taking_back_undoes_the_answer_and_the_move() -> None:
    duel = connect_four()
    before = position(duel, d.Play(move="4"))
    position(duel, d.Go())
    position(duel, d.Play(move="3"))
    position(duel, d.Go())
    after = position(duel, d.TakeBack())
    assert after.player == d.PERSON
    assert after.line == (*before.line, after.line[1])
    assert position(duel, d.TakeBack()).line == ()
    assert why(duel, d.TakeBack()) == "there is no move of yours to take back"


def test_the_learners_opening_move_cannot_be_taken_back() -> None:
    duel = connect_four(first=d.LEARNER)
    position(duel, d.Go())
    assert why(duel, d.TakeBack()) == "there is no move of yours to take back"


def test_a_watched_game_is_not_taken_back() -> None:
    duel = connect_four("minimax-3")
    position(duel, d.Go())
    assert why(duel, d.TakeBack()) == "only a person takes moves back"


def test_an_unknown_opponent_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean minimax-3"):
        connect_four("minimax3")


def test_a_value_is_told_for_the_learners_side() -> None:
    base = d.Position(game=1, text=".", seats=(d.LEARNER, d.PERSON), sides=("X", "O"), value=0.5)
    assert base.expectation == 0.5
    assert d.Position(**{**_fields(base), "to_move": 1}).expectation == -0.5


def _fields(one: d.Position) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([*"123456789", "0", "u", "n", "g", "", "x\x1b"]), max_size=60))
def test_whatever_is_asked_the_line_and_the_board_agree(asked: list[str]) -> None:
    duel = tictactoe()
    for word in asked:
        questions = {"u": d.TakeBack(), "n": d.NewGame(), "g": d.Go()}
        answer = duel.answer(questions.get(word, d.Play(move=word)))
        if isinstance(answer, d.Position):
            stones = sum(char in "XO" for char in answer.text)
            assert stones == len(answer.line)
            assert answer.to_move == stones % 2
            assert len(answer.moves) == (0 if answer.ended else 9 - stones)
        else:
            assert "\x1b" not in answer.why


def test_a_temperature_draws_and_only_legal_moves() -> None:
    first = set()
    for seed in range(8):
        table = BoardTable(SMALL, SMALL_RULES.ladder, SMALL_RULES.outcomes)
        duel = Duel(table, Even(), d.Open(source="", temperature=1.0, seed=seed))
        now = position(duel, d.NewGame())
        while not now.ended:
            now = position(duel, d.Go())
        first.add(now.line[0])
        assert len(set(now.line)) == len(now.line)
    assert len(first) > 1


class Even(RungPlayer):
    """The same probability for every action, illegal ones included."""

    def __init__(self) -> None:
        super().__init__(SMALL, "random")

    def probabilities(self, obs: object, mask: object) -> object:  # type: ignore[override]
        import numpy as np

        return np.full((1, 9), 1 / 9, np.float32)


def test_a_low_temperature_keeps_the_order_and_does_not_underflow() -> None:
    assert tempered([1e-30, 1e-31], 1e-3) == [1.0, 0.0]
    assert tempered([0.4, 0.1], 2.0) == pytest.approx([1.0, 0.5])


# --- the lines -----------------------------------------------------------------------------------------------------


def answers(*lines: bytes) -> tuple[int, list[d.Answer]]:
    out = io.BytesIO()
    code = serve(io.BytesIO(b"".join(lines)), out)
    return code, [d.decode_answer(line) for line in out.getvalue().splitlines()]


def test_the_end_of_the_input_ends_it() -> None:
    assert answers() == (0, [])


def test_a_line_that_is_no_question_is_declined() -> None:
    code, said = answers(b"{nonsense\n", b'{"type":"Jump"}\n')
    assert code == 0
    assert [type(answer) for answer in said] == [d.Declined, d.Declined]


def test_the_first_question_is_open() -> None:
    code, said = answers(d.encode(d.Go()))
    assert (code, said) == (2, [d.Failed(message="the first question is Open", exit_code=2)])


@pytest.mark.parametrize(
    "message",
    [
        d.Open(source="s", rival="you", first="you"), d.NewGame(), d.Go(), d.Play(move="4"), d.TakeBack(),
    ],
)  # fmt: skip
def test_a_question_survives_the_line(message: d.Question) -> None:
    assert d.decode_question(d.encode(message)) == message


def test_a_position_survives_the_line() -> None:
    now = position(connect_four(), d.Play(move="4"))
    assert d.decode_answer(d.encode(now)) == now
