"""Ranks as threads of one process: the same exchanges as torch.distributed's, over a table in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from tui_trainer.algorithms.group import Group
from tui_trainer.errors import RankLost


class Table:
    """Where so many ranks lay down what they have and read what the others have."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._slots: list[Any] = [None] * size
        self._barrier = threading.Barrier(size)

    def meet(self, rank: int, own: Any) -> list[Any]:
        """What each rank laid down."""
        try:
            self._slots[rank] = own
            self._barrier.wait()
            found = list(self._slots)
            self._barrier.wait()
        except threading.BrokenBarrierError:
            raise RankLost("another rank of the run is gone") from None
        return found

    def leave(self) -> None:
        self._barrier.abort()


class ThreadGroup(Group):
    """One rank at a table."""

    def __init__(self, table: Table, rank: int) -> None:
        self._table = table
        self.rank, self.size = rank, table.size
        self.seconds = 0.0
        self.exchanges = 0

    def leave(self) -> None:
        pass

    def tell(self, message: object) -> None:
        self._table.meet(0, message)

    def hear(self) -> Any:
        return self._table.meet(self.rank, None)[0]

    def gather(self, own: object) -> list[Any]:
        found = self._table.meet(self.rank, own)
        return found if self.rank == 0 else []

    def average(self, flat: torch.Tensor, numbers: Sequence[float]) -> list[float]:
        self.exchanges += 1
        found = self._table.meet(self.rank, (flat.clone(), np.array(numbers, np.float32)))
        flat.copy_(torch.stack([held for held, _ in found]).sum(0) / self.size)
        return [float(n) for n in np.sum([numbers for _, numbers in found], axis=0) / np.float32(self.size)]

    def every(self, own: Any) -> list[Any]:
        return self._table.meet(self.rank, np.array(own, np.float64))

    def share(self, flat: torch.Tensor) -> None:
        flat.copy_(self._table.meet(self.rank, flat.clone())[0])


def on_ranks(size: int, work: Callable[[ThreadGroup], Any]) -> list[Any]:
    """What `work` gives, or raises, on each of so many ranks."""
    table, found = Table(size), [None] * size

    def rank(number: int) -> None:
        try:
            found[number] = work(ThreadGroup(table, number))
        except Exception as error:
            found[number] = error  # type: ignore[call-overload]
            table.leave()

    threads = [threading.Thread(target=rank, args=(number,)) for number in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(170)
    return found
