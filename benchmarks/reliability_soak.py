"""A day's worth of updates (tic-tac-toe), a view attached and left again every few seconds.

    python benchmarks/reliability_soak.py [UPDATES] [LIMIT_S]

Memory, descriptors and children of the engine, its journal, and how long a view waits for its first picture.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.faults.soak import soak


def main() -> int:
    """Print the figures; exit code 1 when memory, descriptors or children grew."""
    updates = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    limit_s = float(sys.argv[2]) if len(sys.argv) > 2 else 1500.0
    with tempfile.TemporaryDirectory() as directory:
        seen = soak(Path(directory), updates, limit_s)
    print("  update   RSS MiB   descriptors   children   journal MiB   attach s")
    for s in seen.samples[:: max(1, len(seen.samples) // 12)]:
        print(
            f"{s.update:8} {s.rss_mib:9.1f} {s.descriptors:13} {s.children:10} {s.journal_mib:13.2f} {s.attach_s:10.2f}"
        )
    last, settled = seen.samples[-1], seen.settled
    print(f"{last.update} updates, {len(seen.samples)} views in {seen.seconds:.0f} s; exit code {seen.code}")
    print(f"growth past the first tenth: engine {seen.growth_mib:+.1f} MiB, a view {seen.view_growth_mib:+.1f} MiB")
    print(f"slowest attach {max(s.attach_s for s in settled):.2f} s")
    print(f"descriptors {min(s.descriptors for s in settled)} to {max(s.descriptors for s in settled)}")
    bounded = seen.growth_mib < 20 and seen.descriptors_vary_by <= 2 and last.children == 0
    return 0 if bounded and seen.code == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
