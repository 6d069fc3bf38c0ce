"""What a worker may be asked to do: work, fail, die, hang."""

from __future__ import annotations

import os
import signal
import sys
import time


class Panic(BaseException):
    """Derives from BaseException, as the panics of Rust libraries do."""


def work(job: tuple[str, float]) -> float:
    match job:
        case ("double", number):
            return 2 * number
        case ("panic", _):
            raise Panic("called `Option::unwrap()` on a `None` value")
        case ("exit", code):
            sys.exit(int(code))
        case ("die", _):
            os.kill(os.getpid(), signal.SIGKILL)
        case ("sleep", seconds):
            time.sleep(seconds)
        case ("print", _):
            print("said aloud", flush=True)
        case ("pid", _):
            return float(os.getpid())
    return 0.0
