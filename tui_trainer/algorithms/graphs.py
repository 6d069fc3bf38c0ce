"""Work on tensors that stay where they are: done call by call, or recorded once as a CUDA graph and replayed.

A GPU is faster than the host can order small products: a recorded step is one order instead of some hundred. What is
recorded must change tensors in place only and never ask for a value; Python beside it does not run again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

import torch

_WARM_UP = 3
"""Real runs before the recording: libraries choose their kernels and take their memory in them."""

Work = Callable[[], None]


class Draws(Protocol):
    """Whoever owns a generator that the work draws from."""

    generator: torch.Generator


class Recorder(Protocol):
    """A way of recording."""

    def warm(self, work: Work) -> None:
        """Run the work as it will be recorded."""
        ...

    def record(self, work: Work, generators: Sequence[torch.Generator]) -> Work:
        """What replays the work, which has not run by now. Raises RuntimeError where it cannot be recorded."""
        ...


class CudaRecorder:
    """CUDA graphs of the present device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def warm(self, work: Work) -> None:
        stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            work()
        torch.cuda.current_stream(self._device).wait_stream(stream)

    def record(self, work: Work, generators: Sequence[torch.Generator]) -> Work:
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        with torch.cuda.device(self._device), torch.cuda.graph(graph, capture_error_mode="thread_local"):
            work()
        return graph.replay


def recorder_of(device: torch.device) -> Recorder | None:
    """How work on this device is recorded; None where it cannot be."""
    return CudaRecorder(device) if device.type == "cuda" else None


class Recorded:
    """Calls the work; with a recorder, from the fourth call with the same key on, replays it."""

    def __init__(self, work: Work, draws: Sequence[Draws], recorder: Recorder | None) -> None:
        self._work, self._draws, self._recorder = work, draws, recorder
        self._key: Hashable = None
        self._runs = 0
        self._replay: Work | None = None
        self.problem = ""
        """Why it could not be recorded."""

    @property
    def is_recorded(self) -> bool:
        return self._replay is not None

    def forget(self) -> None:
        """Record anew: what the work stands on is no longer where it was."""
        self._runs, self._replay = 0, None

    def __call__(self, key: Hashable) -> None:
        """Once. Another `key` means that the work is another."""
        if key != self._key:
            self._key = key
            self.forget()
        if self._recorder is None:
            self._work()
        elif self._replay is not None:
            self._replay()
        elif self._runs < _WARM_UP:
            self._runs += 1
            self._recorder.warm(self._work)
        else:
            self._record(self._recorder)

    def _record(self, recorder: Recorder) -> None:
        states = [each.generator.get_state() for each in self._draws]
        try:
            self._replay = recorder.record(self._work, [each.generator for each in self._draws])
        except RuntimeError as error:
            self.problem, self._recorder = str(error).strip().partition("\n")[0], None
            for each, state in zip(self._draws, states, strict=True):
                each.generator = _twin(each.generator, state)  # the old one may still wait for a recording to end
            self._work()
        else:
            self._replay()


def _twin(generator: torch.Generator, state: torch.Tensor) -> torch.Generator:
    twin = torch.Generator(generator.device)
    twin.set_state(state)
    return twin
