"""The ranks of a run that trains on several processes or machines, on torch.distributed: gloo for what lies in host
memory, NCCL for what lies on GPUs.

Every rank calls the same methods in the same order. Whoever is alone has no group.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
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
PAIRED = 1 << 20
"""Bytes up to which vectors in host memory are summed pair by pair: few waits count for more than few bytes."""
_HEAD = 8
_SLOT = 4096
"""Bytes of a message that travel at once; what is longer follows in a second exchange."""
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
            group = cls(dist.new_group(backend=backend, timeout=TIMEOUT))
        _calm_network_threads()
        return group

    def leave(self) -> None:
        """After the last exchange."""
        if dist.is_initialized():
            dist.destroy_process_group()

    # --- what is said ------------------------------------------------------------------------------------------

    def tell(self, message: object) -> None:
        """Rank 0's word to all others, who `hear` it."""
        with self._exchange():
            for part in _packed(message):
                self._pass_on(part)

    def hear(self) -> Any:
        """Wait for rank 0's word; how long that takes is nobody's cost."""
        with _or_lost():
            return _unpacked(self._pass_on)

    def _pass_on(self, part: torch.Tensor) -> None:
        """Rank 0's to all, those that have it each to one that has not: gloo's own broadcast wakes three threads."""
        apart = 1
        while apart < self.size:
            if self.rank < apart and self.rank + apart < self.size:
                dist.send(part, dst=self.rank + apart, group=self._held)
            elif apart <= self.rank < 2 * apart:
                dist.recv(part, src=self.rank - apart, group=self._held)
            apart *= 2

    def gather(self, own: object) -> list[Any]:
        """What each rank has, in their order, on rank 0; nothing on the others."""
        with self._exchange():
            if self.rank == 0:
                return [own, *(self._received(rank) for rank in range(1, self.size))]
            for part in _packed(own):
                dist.send(part, dst=0, group=self._held)
            return []

    def _received(self, rank: int) -> Any:
        return _unpacked(lambda part: dist.recv(part, src=rank, group=self._held))

    # --- numbers -----------------------------------------------------------------------------------------------

    def average(self, flat: torch.Tensor, numbers: Sequence[float]) -> list[float]:
        """Replace a flat vector by its mean over the ranks; returns the means of some numbers that travel with it."""
        size = flat.numel()
        if self._buffer.numel() != size + len(numbers) or self._buffer.device != flat.device:
            self._buffer = torch.zeros(size + len(numbers), dtype=flat.dtype, device=flat.device)
        self._buffer[:size] = flat
        self._buffer[size:] = torch.tensor(numbers, dtype=flat.dtype)
        self._sum(self._buffer)
        torch.div(self._buffer[:size], self.size, out=flat)
        return [float(number) for number in (self._buffer[size:] / self.size).tolist()]

    def every(self, own: Array) -> list[Array]:
        """Each rank's vector of one length, float64, in the order of the ranks."""
        found = torch.zeros(self.size, len(own), dtype=torch.float64)
        found[self.rank] = torch.from_numpy(np.ascontiguousarray(own, np.float64))
        self._sum(found.view(-1))
        return list(found.numpy())

    def share(self, flat: torch.Tensor) -> None:
        """Fill a vector with rank 0's."""
        with self._exchange():
            dist.broadcast(flat, src=0, group=self._held)

    def agree(self, work: Callable[[], Result], *numbers: float) -> tuple[Result, Array]:
        """Do something that may raise Diverged; where it did on one rank, all raise it. Returns what it gave, and
        numbers of every rank (size, len(numbers)), which travel with the agreement."""
        failed: Diverged | None = None
        try:
            found = work()
        except Diverged as error:
            failed = error
        told = np.stack(self.every(np.array([failed is not None, *numbers], np.float64)))
        if failed is not None:
            raise failed
        if told[:, 0].any():
            where = int(told[:, 0].argmax())
            raise Diverged(f"numbers of rank {where} are not finite", "resume from the last good checkpoint")
        return found, told[:, 1:]

    def _sum(self, vector: torch.Tensor) -> None:
        """Replace a vector by its sum over the ranks, the same bits on each."""
        with self._exchange():
            in_pairs = vector.device.type == "cpu" and vector.nbytes <= PAIRED and self.size.bit_count() == 1
            if in_pairs:
                self._sum_in_pairs(vector)
            else:
                dist.all_reduce(vector, group=self._held)

    def _sum_in_pairs(self, vector: torch.Tensor) -> None:
        """Recursive doubling: log2(size) waits, where a ring has 2 (size - 1) and gloo's has more. Both of a pair add
        the same two numbers."""
        theirs, apart = torch.empty_like(vector), 1
        while apart < self.size:
            other = self.rank ^ apart
            arriving = dist.irecv(theirs, src=other, group=self._held)
            dist.send(vector, dst=other, group=self._held)
            assert arriving is not None
            arriving.wait()
            vector += theirs
            apart *= 2

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


def _packed(message: object) -> list[torch.Tensor]:
    """A message as one part of fixed size, which has its length, and another where it is longer."""
    data = pickle.dumps(message)
    data = len(data).to_bytes(_HEAD) + data
    whole = torch.frombuffer(bytearray(data.ljust(_SLOT, b"\0")), dtype=torch.uint8)
    return [part for part in (whole[:_SLOT], whole[_SLOT:]) if len(part)]


def _unpacked(fill: Callable[[torch.Tensor], object]) -> Any:
    """The message whose parts `fill` receives."""
    first = torch.empty(_SLOT, dtype=torch.uint8)
    fill(first)
    held = first.numpy().tobytes()
    size = _HEAD + int.from_bytes(held[:_HEAD])
    if size > _SLOT:
        rest = torch.empty(size - _SLOT, dtype=torch.uint8)
        fill(rest)
        held += rest.numpy().tobytes()
    return pickle.loads(held[_HEAD:size])


def _calm_network_threads() -> None:
    """gloo's thread spins while another holds the connection that it wants. Woken while that other thread sends, it
    would take the processor from it and spin until its turn is over, milliseconds later: Linux can let it wait.
    """
    if sys.platform != "linux" or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            if "gloo" in (task / "comm").read_text():
                os.sched_setscheduler(int(task.name), os.SCHED_BATCH, os.sched_param(0))
