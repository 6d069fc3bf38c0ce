"""One game from its beginning: for watching and for a person to play."""

from __future__ import annotations

import numpy as np

from tui_trainer.core.duel import Opinion, Sight
from tui_trainer.core.protocols import Policy
from tui_trainer.tasks.arrays import Array, Bool, Float, Int, generator_of
from tui_trainer.tasks.spiel.players import Player, player_named
from tui_trainer.tasks.spiel.rules import Rules, State, View


class SpielTable:
    """Moves have the game's own names: `7g7f` and `P*5e` in Shogi, `d3` in Othello."""

    def __init__(self, rules: Rules, rivals: tuple[str, ...], limit: int) -> None:
        self._rules, self.rivals, self._limit = rules, rivals, limit
        self.sides = rules.sides
        self._past: list[State] = []
        self.state = rules.start()

    def start(self) -> None:
        """The first position."""
        self._past.clear()
        self.state = self._rules.start()

    def sight(self) -> Sight:
        """The board and, until the game has ended, what may be played."""
        state = self.state
        finished = bool(state.is_terminal())
        ended = finished or state.move_number() >= self._limit
        score = self._rules.score(state) if finished else 0.0
        winner = None if score == 0 else int(score < 0)
        how = "" if finished or not ended else f", cut after {self._limit} plies"
        return Sight(
            text=self._rules.draw(state),
            legal={} if ended else self._rules.names(state),
            to_move=max(0, int(state.current_player())) if not ended else len(self._past) % 2,
            mark=self._rules.mark(state),
            ended=ended,
            winner=winner,
            result="" if not ended else self._rules.outcomes[2 if winner is None else winner] + how,
        )

    def opinion(self, policy: Policy) -> Opinion:
        """Of the side to move."""
        view = self._view()
        return Opinion(policy.probabilities(view.obs, view.mask)[0].tolist(), float(policy.value(view.obs)[0]))

    def choice(self, policy: Policy) -> int:
        """The policy's action."""
        view = self._view()
        return int(policy.act(view.obs, view.mask)[0])

    def rival(self, name: str, seed: int) -> TableRival:
        """An opponent of the ladder, at this table."""
        return TableRival(self, self._rules, player_named(self._rules, name), seed)

    def play(self, action: int) -> None:
        """The side to move plays a legal action."""
        self._past.append(self.state)
        side = np.array([self.state.current_player()], np.int8)
        move = int(self._rules.moves_of(side, np.array([action]))[0])
        self.state = self.state.child(move)

    def take_back(self) -> None:
        """Undo the last move."""
        self.state = self._past.pop()

    def close(self) -> None:
        """Nothing to free."""

    def _view(self) -> View:
        return self._rules.view([self.state], np.zeros(1, np.int8))


class TableRival:
    """An opponent as a Policy: it looks at the table's own position, whatever it is shown."""

    def __init__(self, table: SpielTable, rules: Rules, player: Player, seed: int) -> None:
        self._table, self._rules, self._player = table, rules, player
        self._rng = generator_of(seed, 0xB0A2D)

    def act(self, obs: Array, mask: Bool | None) -> Int:
        """(1, *obs_shape) -> (1,)."""
        state = self._table.state
        move = np.array([self._player.choose(state, self._rng)])
        return self._rules.actions_of(np.array([state.current_player()], np.int8), move)

    def probabilities(self, obs: Array, mask: Bool | None) -> Float:
        """1 for the action it takes."""
        return np.eye(self._rules.n, dtype=np.float32)[self.act(obs, mask)]

    def value(self, obs: Array) -> Float:
        """0: it does not tell what it expects."""
        return np.zeros(len(obs), np.float32)
