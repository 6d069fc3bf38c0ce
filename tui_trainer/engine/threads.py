"""How many threads the arithmetic libraries use, and on which cores. Import-light: commands call it before numpy
comes in."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def pin_threads(threads: int) -> None:
    """Fix the arithmetic libraries' threads; acts only before numpy and torch are imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)


def keep_to_cores(place: int, places: int) -> None:
    """Give this thread, and those that it starts, the `place`-th of `places` equal parts of the cores. Linux only.

    Else Linux wakes the network thread of a rank on the core of the one that sent to it, where it waits until that one
    waits, too.
    """
    if sys.platform == "linux" and (cores := part_of(sorted(os.sched_getaffinity(0)), place, places)):
        os.sched_setaffinity(0, cores)


def part_of(cores: Sequence[int], place: int, places: int) -> Sequence[int]:
    """Neighbouring cores; none where there are fewer than places, or one place alone."""
    each = len(cores) // places
    return cores[place * each : (place + 1) * each] if places > 1 else ()
