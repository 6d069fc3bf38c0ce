"""[telemetry] openmetrics: the newest value of every series as a text file for outside monitoring.

Every family is a gauge, so that the file is valid by both formats in use: OpenMetrics 1.0 and Prometheus' text 0.0.4.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

import msgspec

from tui_trainer.core.events import AnyEvent, ResourcesSampled, RunEnded, RunPaused, RunResumed, RunStarted
from tui_trainer.core.state import RunState, Status
from tui_trainer.core.values import Gpu, Resources

PREFIX = "tui_trainer"
_GIB = 1024**3
_MIB = 1024**2
_WRITTEN_AT = (RunStarted, RunResumed, RunPaused, RunEnded, ResourcesSampled)

Labels = Mapping[str, str]
Sample = tuple[Labels, float | None]


class Family(msgspec.Struct, frozen=True):
    """One metric: its name without the prefix, its sentence, its samples."""

    name: str
    sentence: str
    samples: tuple[Sample, ...]


class OpenMetricsFile:
    """Folds events and rewrites the file with each sample of the machine; a reader never sees half of it."""

    def __init__(self, path: Path, state: RunState, session: str) -> None:
        self._path = path / f"{session}.prom" if path.is_dir() else path
        self._state = state
        self._session = session

    def take(self, event: AnyEvent) -> None:
        """Raises OSError where the file cannot be written."""
        self._state = self._state.apply(event)
        if isinstance(event, _WRITTEN_AT):
            replace_text(self._path, exposition(self._state, self._session))

    def close(self) -> None:
        """The file stays, with the run's last state in it."""


def replace_text(path: Path, text: str) -> None:
    """Write beside the file and rename: no fsync, since the next interval writes it anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def exposition(state: RunState, session: str) -> str:
    """The whole file. Every sample has the label `session`."""
    lines = [line for family in _families(state) for line in _lines(family, session)]
    return "\n".join([*lines, "# EOF", ""])


def _lines(family: Family, session: str) -> Iterator[str]:
    name = f"{PREFIX}_{family.name}"
    yield f"# HELP {name} {family.sentence}"
    yield f"# TYPE {name} gauge"
    for labels, value in family.samples:
        pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in {"session": session, **labels}.items())
        yield f"{name}{{{pairs}}} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float | None) -> str:
    if value is None or value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))


def _families(s: RunState) -> Iterator[Family]:
    found = [*_run(s), *_training(s), *(_machine(s.resources) if s.resources else ())]
    return (family for family in found if family.samples)


def _run(s: RunState) -> Iterator[Family]:
    about = _about(s.started) if s.started else {}
    yield Family("run", "What is trained, and where; always 1.", ((about, 1.0),) if about else ())
    states = tuple(({"state": name}, float(name == s.status)) for name in get_args(Status))
    yield Family("status", "1 for the state that the run is in.", states)
    yield _one("last_event_timestamp_seconds", "Unix time of the newest event.", s.time)
    yield _one("exit_code", "The run's exit code, once it has ended.", s.ended.reason.exit_code if s.ended else None)
    alerts = tuple(({"key": a.key, "severity": a.severity}, 1.0) for a in s.alerts)
    yield Family("alert", "Alerts that are raised now.", alerts)
    yield _one("open_recommendations", "Recommendations that wait for an answer.", len(s.open_recommendations))


def _about(e: RunStarted) -> Labels:
    return {"task": e.task, "algorithm": e.algorithm, "seed": str(e.seed), "device": e.device, "host": e.host}


def _training(s: RunState) -> Iterator[Family]:
    yield _one("update", "Updates done; goes back where a resume does.", s.update)
    yield _one("global_step", "Environment steps done; goes back where a resume does.", s.global_step)
    yield _one("episodes", "Episodes finished.", s.episodes)
    yield _one("elapsed_seconds", "Seconds of running, pauses left out.", s.elapsed_s)
    yield _one("steps_per_second", "Environment steps a second, lately.", s.sps)
    phases = tuple(({"phase": name}, value) for name, value in sorted(s.seconds.items()))
    yield Family("phase_seconds", "Seconds spent in each phase since the session began.", phases)
    values = tuple(({"name": name}, value) for name, value in sorted(s.metrics.items()))
    yield Family("metric", "Newest value of each metric by its own name; NaN where it was not finite.", values)
    if s.difficulty is not None:
        yield _one("difficulty_level", "The task's level, 0 the easiest.", s.difficulty.level)
        yield _one("difficulty_low", "Lower bound of the quality range.", s.difficulty.low)
        yield _one("difficulty_high", "Upper bound of the quality range.", s.difficulty.high)


def _machine(r: Resources) -> Iterator[Family]:
    yield _one("cpu_percent", "All cores together, 0 to 100.", r.cpu_percent)
    yield _one("cpu_cores", "Cores that may be used.", r.cores)
    yield _one("memory_used_bytes", "Memory used on the machine or in the container.", r.memory_used_gib * _GIB)
    yield _one("memory_total_bytes", "Memory there is.", r.memory_total_gib * _GIB)
    yield _one("process_cpu_percent", "The engine and its children, 100 for each busy core.", r.process_cpu_percent)
    yield _one("process_resident_bytes", "Resident memory of the engine and its children.", r.process_rss_gib * _GIB)
    yield _one("disk_free_bytes", "Free where the session lies.", r.disk_free_gib * _GIB)
    yield _one("disk_total_bytes", "Size of that file system.", r.disk_total_gib * _GIB)
    yield _one("disk_full_seconds", "Until it is full at the present pace, where it fills.", r.disk_full_s)
    yield _one("disk_write_bytes_per_second", "Written to all disks.", r.disk_write_mib_s * _MIB)
    yield _one("network_bytes_per_second", "Sent and received.", r.network_mib_s * _MIB)
    yield from _gpus(r.gpus)


def _gpus(gpus: Sequence[Gpu]) -> Iterator[Family]:
    def each(name: str, sentence: str, values: Iterable[float | None]) -> Family:
        of = (({"gpu": str(gpu.index), "name": gpu.name}, value) for gpu, value in zip(gpus, values))
        return Family(f"gpu_{name}", sentence, tuple((labels, value) for labels, value in of if value is not None))

    yield each("utilisation_percent", "Load of each GPU, 0 to 100.", (g.utilisation for g in gpus))
    yield each("memory_used_bytes", "Memory used on each GPU.", (g.memory_used_gib * _GIB for g in gpus))
    yield each("memory_total_bytes", "Memory of each GPU.", (g.memory_total_gib * _GIB for g in gpus))
    held = [None if gpu.process_memory_gib is None else gpu.process_memory_gib * _GIB for gpu in gpus]
    yield each("process_memory_bytes", "Held on each GPU by the engine and its children.", held)
    yield each("power_watts", "Power of each GPU.", (g.power_w for g in gpus))
    yield each("temperature_celsius", "Temperature of each GPU.", (g.temperature_c for g in gpus))


def _one(name: str, sentence: str, value: float | None) -> Family:
    return Family(name, sentence, () if value is None else (({}, float(value)),))
