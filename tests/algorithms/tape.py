"""Stand-ins for a GPU: a recorder that replays as a CUDA graph does, and a watch for waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tui_trainer.algorithms.graphs import Work


def _writes(func: Any) -> bool:
    return any(argument.alias_info is not None and argument.alias_info.is_write for argument in func._schema.arguments)


def _is_view(func: Any) -> bool:
    returns = func._schema.returns
    return any(each.alias_info is not None and not each.alias_info.is_write for each in returns)


class _Listening(TorchDispatchMode):
    """Writes down every call, and what it was about to overwrite."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.before: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if _writes(func):
            self.before += [(x, x.detach().clone()) for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        out = func(*args, **(kwargs or {}))
        if func.namespace != "profiler":
            self.calls.append((func, args, kwargs or {}, out))
        return out


class Tape:
    """Records as a CUDA graph does: that does no work, and a replay knows tensors by place and runs no Python."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.recorded = self.replayed = 0

    def warm(self, work: Work) -> None:
        work()

    def record(self, work: Work, generators: Sequence[torch.Generator]) -> Work:
        if self.failing:
            raise RuntimeError(self.failing)
        self.recorded += 1
        states = [generator.get_state() for generator in generators]
        with _Listening() as heard:
            work()
        with torch.no_grad():
            for tensor, old in reversed(heard.before):
                tensor.copy_(old)
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
        return lambda: self._replay(heard.calls)

    @torch.no_grad()
    def _replay(self, calls: list[tuple[Any, Any, Any, Any]]) -> None:
        self.replayed += 1
        for func, args, kwargs, out in calls:
            if _is_view(func):
                continue
            found = func(*args, **kwargs)
            if not _writes(func):
                for place, value in zip(tree_leaves(out), tree_leaves(found), strict=True):
                    place.copy_(value)


_ASKING = {"item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__", "nonzero", "from_numpy"}
_WAITING = ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::_unique", "aten::equal")


class Waited(AssertionError):
    """A GPU would have had to finish first."""


class _NoAnswers(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in _ASKING:
            raise Waited(func.__name__)
        return func(*args, **(kwargs or {}))


class _NoWaits(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name.startswith(_WAITING) or _picks_by_mask(func, args):
            raise Waited(func._schema.name)
        return func(*args, **(kwargs or {}))


def _picks_by_mask(func: Any, args: Any) -> bool:
    """Rows picked by a mask: how many there are has to be known."""
    if func._schema.name not in ("aten::index", "aten::index_put", "aten::index_put_"):
        return False
    return any(each is not None and each.dtype == torch.bool for each in args[1])


def without_waiting(work: Callable[[], object]) -> None:
    """Do it, and raise Waited where it would have waited for a GPU."""
    with _NoAnswers(), _NoWaits():
        work()
