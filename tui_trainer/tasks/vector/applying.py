"""A folder of pictures to a folder of SVGs, with parameters that a policy chose."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from tui_trainer.core.protocols import Applied
from tui_trainer.data import catalogue, images
from tui_trainer.data.workers import Failed, Workers
from tui_trainer.errors import UsageError
from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.vector.library import Picture, described
from tui_trainer.tasks.vector.parameters import DEFAULTS, Values
from tui_trainer.tasks.vector.results import NOTHING, Worth
from tui_trainer.tasks.vector.tracing import Traced


class HowMany(Protocol):
    """What of the task's options counts here."""

    @property
    def pixels(self) -> int: ...
    @property
    def workers(self) -> int: ...
    @property
    def step_timeout_s(self) -> float: ...


def apply(
    choose: Callable[[Picture], list[Values]],
    worth: Worth,
    source: Path,
    target: Path,
    pixels: int,
    options: HowMany,
) -> Iterator[Applied]:
    """Write `target/name.svg` for every usable picture under `source`, folders kept.

    The policy chooses at the size it was trained at; what it tried, and VTracer's defaults, are traced at the picture's
    own size (its longer side at most `pixels`), and the best is written. Raises UsageError where there is no picture.
    """
    jobs = options.workers or os.cpu_count() or 1
    found = catalogue.examine(source, "images", jobs=jobs)
    if not found.used:
        raise UsageError(f"{source} holds no usable picture", "`tui-trainer data check` tells why")
    root = source if source.is_dir() else source.parent
    names = _targets([item.path for item in found.items if not item.reject])
    workers = Workers("tui_trainer.tasks.vector.tracing:trace_svg", jobs, options.step_timeout_s)
    try:
        for item in found.items:
            if item.reject:
                yield Applied(item.path, "", {}, f"{item.reject}: {item.detail}")
                continue
            image = images.opened(root / item.path)
            values = choose(described(images.fitted(image, options.pixels)))
            yield _written(workers, worth, images.fitted(image, pixels), values, item.path, target / names[item.path])
    finally:
        workers.close()


def _written(
    workers: Workers, worth: Worth, pixels: Array, values: Sequence[Values], name: str, target: Path
) -> Applied:
    tried = list(dict.fromkeys([DEFAULTS, *values]))
    outcomes = workers.map([(pixels, each) for each in tried])
    done = [(each, *outcome) for each, outcome in zip(tried, outcomes) if not isinstance(outcome, Failed)]
    if not done:
        return Applied(name, "", {}, f"VTracer failed: {outcomes[0].why}")
    default = done[0][1] if done[0][0] == DEFAULTS else NOTHING
    best = int(np.argmax([worth.score(traced, default) for _, traced, _ in done]))
    chosen, traced, svg = done[best]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(svg, encoding="utf-8")
    note = "VTracer's defaults were best" if chosen == DEFAULTS else ""
    return Applied(name, str(target), _facts(traced, default), note)


def _facts(traced: Traced, default: Traced) -> dict[str, float]:
    ours = {"ssim": traced.ssim, "psnr": traced.psnr, "bytes": traced.size}
    return {**ours, "ssim of defaults": default.ssim, "bytes of defaults": default.size}


def _targets(names: Sequence[str]) -> dict[str, Path]:
    """`name.svg`; `name.png.svg` where two files would be one."""
    plain = [Path(name).with_suffix(".svg") for name in names]
    return {
        name: path if plain.count(path) == 1 else Path(f"{name}.svg") for name, path in zip(names, plain, strict=True)
    }
