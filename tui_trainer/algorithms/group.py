"""The ranks of a run that trains on several processes or machines, on torch.distributed: gloo for what lies in host
memory, NCCL for what lies on GPUs.

Every rank calls the same methods in the same order. Whoever is alone has no group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist

from tui_trainer.algorithms.arrays import Array
from tui_trainer.errors import Diverged, RankLost

MEETING = timedelta(minutes=10)
"""The longest that ranks wait for each other at the start."""
TIMEOUT = timedelta(days=20)
"""The longest that one rank waits for another, such as through a pause. One that dies is told by its connection, a
machine that does by torchrun."""
_CPU = torch.device("cpu")
Result = TypeVar("Result")


class Group:
    """This process as one of `size`; rank 0 decides. Every method raises RankLost where another rank is gone."""

    def __init__(self, held: dist.ProcessGroup) -> None:
        self._held = held
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.seconds = 0.0
        """Spent in exchanges since the group was joined, waiting for slower ranks included."""
        self._buffer = torch.zeros(0)

    @classmethod
    def join(cls, backend: str, life: int) -> Group:
        """Meet the others; where, torchrun has told by the environment. `life`: restarts before; each has keys of its
        own in torchrun's store, else a rank would look for one that has died."""
        with _or_lost():
            store, rank, size = next(dist.rendezvous("env://", timeout=MEETING))  # type: ignore[attr-defined]
            own = dist.PrefixStore(f"life {life}", store)  # type: ignore[attr-defined]
            dist.init_process_group(backend, store=own, rank=rank, world_size=size, timeout=MEETING)
            return cls(dist.new_group(backend=backend, timeout=TIMEOUT))

    def leave(self) -> None:
        """After the last exchange."""
        if dist.is_initialized():
            dist.destroy_process_group()

    # --- what is said ------------------------------------------------------------------------------------------

    def tell(self, message: object) -> None:
        """Rank 0's word to all others, who `hear` it."""
        with self._exchange():
            dist.broadcast_object_list([message], src=0, group=self._held, device=_CPU)

    def hear(self) -> Any:
        """Wait for rank 0's word; how long that takes is nobody's cost."""
        said = [None]
        with _or_lost():
            dist.broadcast_object_list(said, src=0, group=self._held, device=_CPU)
        return said[0]

    def gather(self, own: object) -> list[Any]:
        """What each rank has, in their order, on rank 0; nothing on the others."""
        found: list[Any] = [None] * self.size
        with self._exchange():
            dist.gather_object(own, found if self.rank == 0 else None, dst=0, group=self._held)
        return found if self.rank == 0 else []

    # --- numbers -----------------------------------------------------------------------------------------------

    def average(self, flat: torch.Tensor, numbers: Sequence[float]) -> list[float]:
        """Replace a flat vector by its mean over the ranks; returns the means of some numbers that travel with it."""
        size = flat.numel()
        if self._buffer.numel() != size + len(numbers) or self._buffer.device != flat.device:
            self._buffer = torch.zeros(size + len(numbers), dtype=flat.dtype, device=flat.device)
        self._buffer[:size] = flat
        self._buffer[size:] = torch.tensor(numbers, dtype=flat.dtype)
        with self._exchange():
            dist.all_reduce(self._buffer, group=self._held)
        self._buffer /= self.size
        flat.copy_(self._buffer[:size])
        return [float(number) for number in self._buffer[size:].tolist()]

    def totals(self, *numbers: float) -> list[float]:
        """Sums over the ranks."""
        return [float(total) for total in np.sum(self.every(np.array(numbers, np.float64)), axis=0)]

    def least(self, number: int) -> int:
        """The smallest of the ranks' numbers."""
        return int(min(found[0] for found in self.every(np.array([number], np.float64))))

    def every(self, own: Array) -> list[Array]:
        """Each rank's vector of one length, float64, in the order of the ranks."""
        mine = torch.from_numpy(np.ascontiguousarray(own, np.float64))
        found = [torch.zeros_like(mine) for _ in range(self.size)]
        with self._exchange():
            dist.all_gather(found, mine, group=self._held)
        return [each.numpy() for each in found]

    def share(self, flat: torch.Tensor) -> None:
        """Fill a vector with rank 0's."""
        with self._exchange():
            dist.broadcast(flat, src=0, group=self._held)

    def agree(self, work: Callable[[], Result]) -> Result:
        """Do something that may raise Diverged; where it did on one rank, all raise it."""
        failed: Diverged | None = None
        try:
            found = work()
        except Diverged as error:
            failed = error
        bad = [rank for rank, flag in enumerate(self.every(np.array([failed is not None], np.float64))) if flag[0]]
        if failed is not None:
            raise failed
        if bad:
            raise Diverged(f"numbers of rank {bad[0]} are not finite", "resume from the last good checkpoint")
        return found

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        began = perf_counter()
        with _or_lost():
            yield
        self.seconds += perf_counter() - began


@contextmanager
def _or_lost() -> Iterator[None]:
    """torch.distributed tells a lost connection as a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        why = str(error).splitlines()[0][:200]
        raise RankLost(f"another rank of the run is gone ({why})", "it goes on from the newest checkpoint") from error
