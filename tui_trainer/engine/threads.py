"""How many threads the arithmetic libraries use. Import-light: a command calls it before numpy comes in."""

from __future__ import annotations

import os


def pin_threads(threads: int) -> None:
    """Fix the arithmetic libraries' threads; acts only before numpy and torch are imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
