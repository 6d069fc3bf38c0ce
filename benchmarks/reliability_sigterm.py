"""SIGTERMs to the real `run --no-ui` in a pseudo-terminal at random moments of training.

    python benchmarks/reliability_sigterm.py [TIMES]

One session, ended and resumed again and again. Each time: is the exit code 143, does the journal end with the end, is
the newest checkpoint the state at the end, are the terminal's settings as before and its last line closed?
"""

from __future__ import annotations

import collections
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.faults.test_signals import terminate_often
from tests.warm import Warm


def main() -> int:
    """Print the figures; exit code 1 when a promise is broken."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    warm = Warm()
    with tempfile.TemporaryDirectory() as directory:
        endings = terminate_often(warm, Path(directory), times, seed=1)
    warm.close()
    seconds = sorted(ending.seconds for ending in endings)
    print(f"{times} SIGTERMs, exit codes: {dict(collections.Counter(ending.code for ending in endings))}")
    print(
        f"from signal to exit: median {seconds[times // 2]:.2f} s, p99 {seconds[int(0.99 * (times - 1))]:.2f} s,",
        end="",
    )
    print(f" longest {seconds[-1]:.2f} s")
    spoilt = [problem for ending in endings for problem in ending.problems]
    print(f"unsaved ends or spoilt terminals: {len(spoilt)}")
    print("\n".join(spoilt[:10]))
    return 1 if spoilt or {ending.code for ending in endings} != {143} else 0


if __name__ == "__main__":
    raise SystemExit(main())
