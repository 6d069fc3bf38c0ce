"""SIGKILLs of the real `run --no-ui --json` and `resume --no-ui --json` at random moments of their lives.

    python benchmarks/reliability_kills.py [KILLS]

One session, a checkpoint after every update, killed up to 0.3 s after its start or its first line, resumed, killed
again. After each kill: does every checkpoint load by its hash, is the newest at least the newest acknowledged one, did
the resume begin there, has the journal no gap? Processes are forked from one that has torch loaded
(tests/warm.py).
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.faults.kills import kill_often
from tests.warm import Warm


def main() -> int:
    """Print the figures; exit code 1 when a promise is broken."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    warm, began = Warm(), time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        result = kill_often(warm, Path(directory), kills, seed=1)
    warm.close()
    print(f"{result.kills} kills in {time.monotonic() - began:.0f} s: {result.before_training} before the first line,")
    print(f"{result.in_save} in the middle of a save or a pruning")
    print(f"{result.acknowledged} saves acknowledged; unloadable sessions or lost saves: {len(result.broken)}")
    print("\n".join(result.broken[:10]))
    return 1 if result.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
