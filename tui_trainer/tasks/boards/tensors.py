"""A board game's batch as tensors on a device: the same games as with numpy, move by move and bit for bit.

What is random (openings, the ties of random and 1-ply) is drawn by the same generators on the CPU and sent over, so
that a checkpoint of one backend continues on the other and every device plays alike. minimax searches on the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tui_trainer.core.protocols import Reset, Step
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Array, Bool, Int, require_legal
from tui_trainer.tasks.boards.game import BoardOptions, BoardRules, BoardTask
from tui_trainer.tasks.boards.geometry import Geometry
from tui_trainer.tasks.boards.rungs import MIX, TIE_BITS, choose
from tui_trainer.tasks.boards.search import ILLEGAL, WIN


def device_of(name: str) -> torch.device:
    """The device of this name. Raises UsageError where the machine has none."""
    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"task.device: {name!r}: {str(error).splitlines()[0]}", 'choose "cpu"') from None


class TensorBoard:
    """What `Geometry` does for boards (N,) in numpy, for int64 tensors of one device."""

    def __init__(self, board: Geometry, device: torch.device) -> None:
        self.board, self.device = board, device
        self.full, self._bottom = int(board.full), int(board.bottom)
        self.targets, self._starts, self._shifts = (
            torch.from_numpy(part).to(device) for part in (board.targets, board.starts, board.shifts)
        )
        self._along = [step * self._shifts for step in range(board.line)]
        """How far the k-th stone of a line lies from its first, (4, 1)."""
        self._bits = torch.arange(8, dtype=torch.uint8, device=device)
        self._columns = torch.arange(1, board.actions + 1, device=device)

    def playable(self, occupied: Tensor) -> Tensor:
        """The cells where a stone may go next, (N,) -> (N,)."""
        if self.board.gravity:
            return ~occupied & (occupied << self.board.columns | self._bottom) & self.full
        return ~occupied & self.full

    def mask(self, playable: Tensor) -> Tensor:
        """Legal actions, (N,) -> (N, actions)."""
        return (playable[:, None] & self.targets) != 0

    def has_line(self, stones: Tensor) -> Tensor:
        """Whether the stones hold a complete line, (N,) -> (N,)."""
        run = stones & self._starts
        for along in self._along[1:]:
            run &= stones >> along
        return (run != 0).any(0)

    def winning_cells(self, stones: Tensor) -> Tensor:
        """The cells, playable now or not, that would complete a line, (N,) -> (N,); see `Geometry`."""
        line = self.board.line
        along = [stones >> shift for shift in self._along]
        before = [self._starts.expand_as(along[0])]
        for step in range(line - 1):
            before.append(before[-1] & along[step])
        found, after = before[-1] << self._along[-1], along[-1]
        for gap in range(line - 2, -1, -1):
            found |= (before[gap] & after) << self._along[gap]
            after = after & along[gap]
        return found[0] | found[1] | found[2] | found[3]

    def planes(self, own: Tensor, other: Tensor) -> Tensor:
        """Both players' stones as 0 and 1, (N,) -> (N, 2, rows, columns) uint8."""
        cells = self.board.cells
        packed = torch.stack([own | other << cells, other >> 64 - cells], 1)
        bits = packed.view(torch.uint8)[..., None] >> self._bits & 1
        flat = bits.flatten(1)[:, : 2 * cells].contiguous()
        return flat.view(len(own), 2, self.board.rows, self.board.columns)

    def one_ply_scores(self, own: Tensor, other: Tensor) -> Tensor:
        """As `rungs.one_ply_scores`."""
        playable = self.playable(own | other)
        scores = torch.where(self.mask(playable), 0, ILLEGAL)
        scores.masked_fill_(self.mask(playable & self.winning_cells(other)), 1)
        return scores.masked_fill_(self.mask(playable & self.winning_cells(own)), WIN)

    def move_scores(self, own: Tensor, other: Tensor, depth: int) -> Tensor:
        """As `search.move_scores`, (N,), (N,) -> (N, actions) int64, with every legal move followed to the end: no
        shape depends on a board, so that nothing waits for the host."""
        return self._scores(own, other, self.winning_cells(own), self.winning_cells(other), depth)

    def _scores(self, own: Tensor, other: Tensor, wins: Tensor, threats: Tensor, depth: int) -> Tensor:
        playable = self.playable(own | other)
        scores = torch.where(self.mask(playable), 0, ILLEGAL)
        if depth >= 2:
            safe = self._safe_moves(playable, threats)
            scores.masked_fill_(self.mask(playable & ~safe), 2 - WIN)
            if depth >= 3:
                scores = torch.where(self.mask(safe), self._after_each(own, other, threats, depth), scores)
        return scores.masked_fill_(self.mask(playable & wins), WIN - 1)

    def _after_each(self, own: Tensor, other: Tensor, threats: Tensor, depth: int) -> Tensor:
        """What each move is worth by the `depth` - 1 plies after it, (N, actions); moves that are none included."""
        stone = self.playable(own | other)[:, None] & self.targets
        moved = (own[:, None] | stone).flatten()
        before, wins = (part[:, None].expand_as(stone).flatten() for part in (other, threats))
        scores = self._scores(before, moved, wins, self.winning_cells(moved), depth - 1)
        full = (before | moved) == self.full
        values = torch.where(full, 0, scores.amax(1)).view(stone.shape)
        return values.sign() - values

    def _safe_moves(self, playable: Tensor, threats: Tensor) -> Tensor:
        """As in search.py."""
        forced = threats & playable
        single = torch.where((forced & (forced - 1)) == 0, forced, 0)
        answers = torch.where(forced == 0, playable, single)
        return answers & ~(threats >> self.board.columns if self.board.gravity else torch.zeros_like(threats))

    def hashes(self, own: Tensor, other: Tensor) -> Tensor:
        """As in rungs.py: what breaks minimax's ties."""
        mixed = (own * int(MIX[0]) + other * int(MIX[1]))[:, None] + self._columns * int(MIX[2])
        mixed = (mixed ^ (mixed >> 29)) * int(MIX[1])
        return (mixed >> 37) & ((1 << TIE_BITS) - 1)


class Games(NamedTuple):
    """N games: stones of the side to move and of the other, int64; who moves, int8; plies since the start, int64; in
    rows with a scripted opponent the learner's seat and the opponent's rung, int8."""

    own: Tensor
    other: Tensor
    to_move: Tensor
    age: Tensor
    seat: Tensor
    rung: Tensor


class Ply(NamedTuple):
    """What a step showed, on the device; fields as in core.protocols.Step."""

    obs: Tensor
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    final_obs: Tensor
    mask: Tensor
    to_move: Tensor
    outcome: Tensor
    final_to_move: Tensor


class TensorBoardTask(BoardTask):
    """`BoardTask` with its games on a device. `step` takes and gives arrays, `advance` tensors."""

    _games: Games
    _legal: Bool

    def __init__(
        self,
        board: Geometry,
        rules: BoardRules,
        options: BoardOptions,
        num_envs: int,
        max_episode_steps: int,
        device: str,
    ) -> None:
        self._tensors = TensorBoard(board, device_of(device))
        super().__init__(board, rules, options, num_envs, max_episode_steps)

    def reset(self, seed: int) -> Reset:
        """New games in every environment."""
        first = super().reset(seed)
        self._lift()
        return first

    def step(self, action: Int) -> Step:
        """As `BoardTask.step`."""
        require_legal(self._rules.id, action, self._legal)
        ply = self.advance(torch.from_numpy(action).to(self._tensors.device))
        obs, reward, over, truncated, final_obs, mask, to_move, outcome, final_to_move = (
            part.cpu().numpy() for part in ply
        )
        self._legal = mask
        valid = np.ones(len(action), np.bool_)
        return Step(obs, reward, over, truncated, final_obs, mask, to_move, valid, outcome, final_to_move=final_to_move)

    def advance(self, action: Tensor) -> Ply:
        """The same on the device, (N,) int64 there; every action must be legal."""
        board, games = self._tensors, self._games
        stone = board.playable(games.own | games.other) & board.targets[action]
        moved = games.own | stone
        won = board.has_line(moved)
        over = won | ((moved | games.other) == board.full)
        reward = won.to(torch.float32)
        outcome = torch.where(won, games.to_move + 1, over.to(torch.int8) * 3)
        self._games = games._replace(own=games.other, other=moved, to_move=games.to_move ^ 1, age=games.age + 1)
        if self._scripted:
            rows = self._first_scripted + torch.nonzero(~over[self._first_scripted :])[:, 0]
            self._reply(rows, reward, over, outcome)
        games = self._games
        truncated = (games.age >= self._limit) & ~over
        final_obs, final_to_move = board.planes(games.own, games.other), games.to_move.clone()
        obs = self._anew(torch.nonzero(over | truncated)[:, 0], final_obs)
        mask = board.mask(board.playable(games.own | games.other))
        return Ply(obs, reward, over, truncated, final_obs, mask, games.to_move.clone(), outcome, final_to_move)

    def _reply(self, rows: Tensor, reward: Tensor, over: Tensor, outcome: Tensor) -> None:
        """The scripted opponents' plies in `rows`; a lost game's reward is -1."""
        games = self._games
        moved = self._rungs_stones(rows)
        lost = self._tensors.has_line(moved)
        ended = lost | ((moved | games.other[rows]) == self._tensors.full)
        reward[rows] -= lost.to(torch.float32)
        over[rows] = ended
        outcome[rows] = torch.where(lost, games.to_move[rows] + 1, ended.to(torch.int8) * 3)
        self._turn(rows, moved)

    def _turn(self, rows: Tensor, moved: Tensor) -> None:
        """The side to move in `rows` has the stones `moved`; the other side is next."""
        games = self._games
        games.own[rows], games.other[rows] = games.other[rows], moved
        games.to_move[rows] ^= 1

    def _rungs_stones(self, rows: Tensor) -> Tensor:
        """The side to move's stones in `rows` after its row's rung has moved."""
        games = self._games
        own, other, rungs = games.own[rows], games.other[rows], games.rung[rows]
        action = torch.zeros_like(own)
        for rung in sorted(set(rungs.tolist())):
            at = torch.nonzero(rungs == rung)[:, 0]
            action[at] = self._chosen(self._rules.ladder[rung], own[at], other[at])
        return own | self._tensors.playable(own | other) & self._tensors.targets[action]

    def _chosen(self, rung: str, own: Tensor, other: Tensor) -> Tensor:
        """As `rungs.choose`."""
        board = self._tensors
        if rung.startswith("minimax-"):
            found = choose(self._board, rung, own.cpu().numpy(), other.cpu().numpy(), self._rng)
            return torch.from_numpy(found).to(board.device)
        if rung == "1-ply":
            scores = board.one_ply_scores(own, other)
        else:
            scores = torch.where(board.mask(board.playable(own | other)), 0, ILLEGAL)
        ties = torch.from_numpy(self._rng.integers(0, 1 << TIE_BITS, tuple(scores.shape))).to(board.device)
        return torch.argmax((scores << TIE_BITS) + ties, 1)

    def _anew(self, rows: Tensor, final_obs: Tensor) -> Tensor:
        """Begin new games in `rows`; the observations of the next decision."""
        if not len(rows):
            return final_obs
        games = self._games
        for part, opening in zip(games[:3], self._stock.take(len(rows))):
            part[rows] = torch.from_numpy(opening).to(rows.device)
        games.age[rows] = 0
        scripted = rows[rows >= self._first_scripted]
        if len(scripted):
            self._seat_again(scripted)
        obs = final_obs.clone()
        obs[rows] = self._tensors.planes(games.own[rows], games.other[rows])
        return obs

    def _seat_again(self, rows: Tensor) -> None:
        """As `BoardTask._seat_learner`."""
        games = self._games
        games.rung[rows] = self._level
        games.seat[rows] ^= 1
        waiting = rows[games.to_move[rows] != games.seat[rows]]
        if not len(waiting):
            return
        moved = self._rungs_stones(waiting)
        ends = self._tensors.has_line(moved) | ((moved | games.other[waiting]) == self._tensors.full)
        games.seat[waiting[ends]] ^= 1
        self._turn(waiting[~ends], moved[~ends])

    # --- state -----------------------------------------------------------------------------------------------

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue bit for bit, whichever backend saved."""
        super().load_state_dict(state)
        self._lift()

    def render_text(self, env: int) -> str:
        """As `BoardTask.render_text`."""
        self._fetch()
        return super().render_text(env)

    def _arrays(self) -> dict[str, Array]:
        self._fetch()
        return super()._arrays()

    def _lift(self) -> None:
        """The games as numpy has them go to the device."""
        parts = super()._arrays()
        self._games = Games(*(torch.from_numpy(part.copy()).to(self._tensors.device) for part in parts.values()))
        self._legal = self._board.mask(self._board.playable(self._own | self._other))

    def _fetch(self) -> None:
        """The games as the device has them come back to numpy."""
        self._own, self._other, self._to_move, self._age, self._seat, self._rung = (
            part.cpu().numpy().copy() for part in self._games
        )
