"""A batch of board games that never leaves its device: the rules of `TensorBoardTask`, with no wait for the host.

Shapes depend on nothing that is played, so that a step can be recorded once and replayed (CUDA graphs). What is random
comes from a generator on the device: new games take openings from a bank that is drawn before each rollout, in the
order of their rows, and a bank that is used up is gone through again; random and 1-ply break ties by the same
generator. So a seed's games are others than on the CPU, of the same kind; equal openings and actions give equal games.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tui_trainer.core.protocols import TensorStep
from tui_trainer.core.values import Difficulty
from tui_trainer.errors import DamagedSession
from tui_trainer.tasks.arrays import generator_of
from tui_trainer.tasks.boards.game import BoardOptions, BoardRules
from tui_trainer.tasks.boards.geometry import Geometry
from tui_trainer.tasks.boards.rungs import TIE_BITS
from tui_trainer.tasks.boards.search import ILLEGAL
from tui_trainer.tasks.boards.tensors import Games, TensorBoardTask

_STEPS_A_GAME = 4
"""Fewer than games last on average, so that a bank is hardly ever gone through twice."""
_LEAST = 1024


class ResidentBoardTask(TensorBoardTask):
    """A TensorTask, see core.protocols. `step` goes on as in `TensorBoardTask` for whoever wants arrays."""

    _bank: Tensor | None = None

    def __init__(
        self,
        board: Geometry,
        rules: BoardRules,
        options: BoardOptions,
        num_envs: int,
        max_episode_steps: int,
        device: str,
    ) -> None:
        super().__init__(board, rules, options, num_envs, max_episode_steps, device)
        self.generator = torch.Generator(self._tensors.device)
        self._present = [self._level]
        """Levels whose opponents may be at a board."""

    @property
    def tensor_device(self) -> str:
        """Where the games lie, such as cuda:0."""
        return str(torch.empty(0, device=self._tensors.device).device)

    @property
    def may_truncate(self) -> bool:
        """Whether a game can be cut short: not where the board is full before."""
        return self._limit < self._board.cells

    @property
    def tensor_key(self) -> object:
        """What a recorded step took for granted: the opponents that may be at a board."""
        return tuple(self._present)

    def reset_tensors(self, seed: int) -> TensorStep:
        """New games in every environment: the same first positions as with arrays."""
        self.reset(seed)
        device = self._tensors.device
        self.generator.manual_seed(int(generator_of(seed, 2).integers(2**62)))
        self._cursor = torch.zeros((), dtype=torch.int64, device=device)
        self._level_there = torch.full((), self._level, dtype=torch.int8, device=device)
        self._present = [self._level]
        self._bank = None
        n, games = self._spec.num_envs, self._games
        none = torch.zeros(n, dtype=torch.bool, device=device)
        zero = torch.zeros(n, dtype=torch.int8, device=device)
        obs, mask = self._tensors.planes(games.own, games.other), self._mask()
        return TensorStep(obs, none.float(), none, none, None, mask, games.to_move.clone(), zero, None)

    def prepare(self, steps: int) -> None:
        """Draw the openings of the next `steps` steps. May wait for the device."""
        size = max(_LEAST, self._spec.num_envs * steps // _STEPS_A_GAME)
        if self._bank is None or self._bank.shape[1] != size:
            self._bank = torch.zeros(3, size, dtype=torch.int64, device=self._tensors.device)
        self._bank.copy_(self._openings(size))
        self._cursor.zero_()
        if len(self._present) > 1:  # games against an earlier level may be over by now
            self._present = sorted({self._level, *self._games.rung[self._first_scripted :].tolist()})

    def set_difficulty(self, difficulty: Difficulty) -> None:
        """As with arrays."""
        super().set_difficulty(difficulty)
        if self._bank is not None:
            self._level_there.fill_(self._level)
            self._present = sorted({self._level, *self._present})

    # --- a step ------------------------------------------------------------------------------------------------

    def step_tensors(self, action: Tensor) -> TensorStep:
        """As `step`: (N,) int64 on the device, every action legal. The games change in place."""
        board, games = self._tensors, self._games
        moved = games.own | (board.playable(games.own | games.other) & board.targets[action])
        won = board.has_line(moved)
        over = won | ((moved | games.other) == board.full)
        reward = won.to(torch.float32)
        outcome = torch.where(won, games.to_move + 1, over.to(torch.int8) * 3)
        games = games._replace(own=games.other.clone(), other=moved, to_move=games.to_move ^ 1, age=games.age + 1)
        if self._scripted:
            self._answers(games, reward, over, outcome)
        truncated, final_obs, final_to_move = torch.zeros_like(over), None, None
        if self.may_truncate:
            truncated = (games.age >= self._limit) & ~over
            final_obs, final_to_move = board.planes(games.own, games.other), games.to_move.clone()
        self._keep(self._begun(games, over | truncated))
        games = self._games
        obs, mask = board.planes(games.own, games.other), self._mask()
        return TensorStep(
            obs, reward, over, truncated, final_obs, mask, games.to_move.clone(), outcome, final_to_move
        )  # fmt: skip

    def _answers(self, games: Games, reward: Tensor, over: Tensor, outcome: Tensor) -> None:
        """The scripted opponents' plies, where the game goes on; a lost game's reward is -1."""
        rows = slice(self._first_scripted, None)
        goes_on = ~over[rows]
        moved = self._answered(games, rows)
        lost = self._tensors.has_line(moved) & goes_on
        ended = (lost | ((moved | games.other[rows]) == self._tensors.full)) & goes_on
        reward[rows] -= lost.to(torch.float32)
        over[rows] |= ended
        decided = torch.where(lost, games.to_move[rows] + 1, ended.to(torch.int8) * 3)
        outcome[rows] = torch.where(goes_on, decided, outcome[rows])
        self._turned(games, rows, moved, goes_on)

    def _turned(self, games: Games, rows: slice, moved: Tensor, who: Tensor) -> None:
        """In those of `rows` that `who` names, the side to move has the stones `moved` and the other is next."""
        own, other = torch.where(who, games.other[rows], games.own[rows]), torch.where(who, moved, games.other[rows])
        games.own[rows], games.other[rows] = own, other
        games.to_move[rows] ^= who.to(torch.int8)

    def _answered(self, games: Games, rows: slice) -> Tensor:
        """The side to move's stones in `rows` after its row's rung has moved."""
        own, other, rung = games.own[rows], games.other[rows], games.rung[rows]
        first, *others = self._present
        action = self._chosen_there(first, own, other)
        for level in others:
            action = torch.where(rung == level, self._chosen_there(level, own, other), action)
        return own | self._tensors.playable(own | other) & self._tensors.targets[action]

    def _chosen_there(self, level: int, own: Tensor, other: Tensor) -> Tensor:
        """As `rungs.choose`."""
        board, rung = self._tensors, self._rules.ladder[level]
        if rung.startswith("minimax-"):
            scores, ties = board.move_scores(own, other, int(rung.removeprefix("minimax-"))), board.hashes(own, other)
        else:
            free = torch.where(board.mask(board.playable(own | other)), 0, ILLEGAL)
            scores = board.one_ply_scores(own, other) if rung == "1-ply" else free
            ties = torch.randint(1 << TIE_BITS, scores.shape, generator=self.generator, device=board.device)
        return torch.argmax((scores << TIE_BITS) + ties, 1)

    def _begun(self, games: Games, ended: Tensor) -> Games:
        """New games where one has ended: the k-th of these rows takes the k-th opening that is left."""
        assert self._bank is not None
        size = self._bank.shape[1]
        number = self._cursor + ended.cumsum(0)
        own, other, to_move = self._bank[:, (number - 1) % size]
        self._cursor.copy_(number[-1] % size)
        games = games._replace(
            own=torch.where(ended, own, games.own),
            other=torch.where(ended, other, games.other),
            to_move=torch.where(ended, to_move.to(torch.int8), games.to_move),
            age=torch.where(ended, 0, games.age),
        )
        return self._seated(games, ended) if self._scripted else games

    def _seated(self, games: Games, ended: Tensor) -> Games:
        """The learner changes seats with each game; where the opponent is to move first, it moves."""
        rows = slice(self._first_scripted, None)
        began, board = ended[rows], self._tensors
        games = games._replace(rung=games.rung.clone(), seat=games.seat.clone())
        games.rung[rows] = torch.where(began, self._level_there, games.rung[rows])
        games.seat[rows] ^= began.to(torch.int8)
        waiting = began & (games.to_move[rows] != games.seat[rows])
        moved = self._answered(games, rows)
        ends = board.has_line(moved) | ((moved | games.other[rows]) == board.full)
        games.seat[rows] ^= (waiting & ends).to(torch.int8)
        self._turned(games, rows, moved, waiting & ~ends)
        return games

    def _keep(self, games: Games) -> None:
        for held, new in zip(self._games, games, strict=True):
            held.copy_(new)

    def _mask(self) -> Tensor:
        board = self._tensors
        return board.mask(board.playable(self._games.own | self._games.other))

    def _openings(self, count: int) -> Tensor:
        """As `OpeningStock`'s, (3, count): own stones, the other's, who moves."""
        board, options, device = self._tensors, self._options, self._tensors.device
        most, draw = options.opening_plies, self.generator
        plies = torch.randint(1, max(1, most) + 1, (count,), generator=draw, device=device)
        random = torch.rand(count, generator=draw, device=device) < (options.opening_share if most else 0.0)
        plies = torch.where(random, plies, 0)
        own, other, to_move = (torch.zeros_like(plies) for _ in range(3))
        for ply in range(most):
            target = board.targets[torch.randint(self._board.actions, (count,), generator=draw, device=device)]
            stone = board.playable(own | other) & target
            moved = own | stone
            plays = (ply < plies) & (stone != 0) & ~board.has_line(moved)
            own, other = torch.where(plays, other, own), torch.where(plays, moved, other)
            to_move = to_move ^ plays.to(torch.int64)
        return torch.stack([own, other, to_move])

    # --- state -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, object]:
        """As with arrays, and what is drawn on the device where games are played there."""
        state = super().state_dict()
        if self._bank is None:
            return state
        held = {"generator": self.generator.get_state(), "bank": self._bank, "cursor": self._cursor.view(1)}
        return {**state, "resident": {name: part.cpu().numpy().copy() for name, part in held.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken; openings are drawn anew where the state has none for this device."""
        super().load_state_dict(state)
        held = state.get("resident")
        if self._bank is None:
            return
        self._level_there.fill_(self._level)
        self._present = sorted({self._level, *self._rung[self._first_scripted :].tolist()})
        if held is None:
            return
        if not {"generator", "bank", "cursor"} <= held.keys() or tuple(held["bank"].shape) != tuple(self._bank.shape):
            raise DamagedSession("the task's openings are incomplete", "use an older checkpoint of the session")
        drawn = torch.as_tensor(np.asarray(held["generator"]))
        if drawn.shape == self.generator.get_state().shape:  # of another kind of device otherwise
            self.generator.set_state(drawn)
        self._bank.copy_(torch.as_tensor(np.asarray(held["bank"])))
        self._cursor.copy_(torch.as_tensor(np.asarray(held["cursor"]))[0])

    def _lift(self) -> None:
        """In place where there is a place: a recorded step knows it."""
        if self._bank is None:
            super()._lift()
            return
        held = self._games
        super()._lift()
        new, self._games = self._games, held
        self._keep(new)
