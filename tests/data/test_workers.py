"""Workers: results in order; what panics, dies or hangs is a failed job; nobody outlives the caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui_trainer.data.workers import Failed, Workers

WORK = "tests.data.fails:work"


@pytest.fixture
def two() -> Iterator[Workers]:
    workers = Workers(WORK, 2, timeout_s=60.0)
    yield workers
    workers.close()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(done: object, limit_s: float = 60.0) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if done():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


def test_results_come_in_the_order_of_the_jobs_from_as_many_processes_as_were_asked_for(two: Workers) -> None:
    assert two.map([("double", float(n)) for n in range(20)]) == [2.0 * n for n in range(20)]
    pids = set(two.map([("pid", 0.0)] * 20))
    assert pids <= set(map(float, two.pids))
    assert len(two.pids) == 2
    assert os.getpid() not in two.pids


def test_no_jobs_start_no_process(two: Workers) -> None:
    assert two.map([]) == []
    assert two.pids == ()


def test_a_panic_is_a_failed_job_and_its_worker_goes_on(two: Workers) -> None:
    one, failed, other = two.map([("double", 1.0), ("panic", 0.0), ("double", 2.0)])
    assert (one, other) == (2.0, 4.0)
    assert failed == Failed("Panic: called `Option::unwrap()` on a `None` value")
    assert two.map([("exit", 3.0)]) == [Failed("SystemExit: 3")]
    assert two.map([("double", 3.0)]) == [6.0]


def test_a_worker_that_dies_fails_its_job_alone_and_is_replaced(two: Workers) -> None:
    jobs = [("double", 1.0), ("die", 0.0), ("double", 2.0), ("die", 0.0), ("double", 3.0)]
    one, died, two_, again, three = two.map(jobs)
    assert (one, two_, three) == (2.0, 4.0, 6.0)
    assert died == again == Failed("the worker process ended with -9")


def test_a_worker_killed_between_two_calls_costs_a_job_at_most(two: Workers) -> None:
    two.map([("double", 1.0)] * 4)
    for pid in two.pids:
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: not any(is_alive(pid) for pid in two.pids))
    results = two.map([("double", 1.0)] * 6)
    assert results.count(2.0) >= 4
    assert two.map([("double", 1.0)] * 6) == [2.0] * 6


def test_a_hanging_job_fails_at_the_timeout_and_its_process_is_gone() -> None:
    workers = Workers(WORK, 1, timeout_s=0.3)
    workers.map([("double", 1.0)])
    (pid,) = workers.pids
    began = time.monotonic()
    assert workers.map([("sleep", 60.0), ("double", 4.0)]) == [Failed("no answer within 0.3 s"), 8.0]
    assert time.monotonic() - began < 20
    assert not is_alive(pid)
    workers.close()


def test_after_close_no_process_is_left_and_a_later_call_starts_anew(two: Workers) -> None:
    two.map([("double", 1.0)] * 4)
    pids = two.pids
    two.close()
    assert not any(map(is_alive, pids))
    assert two.map([("double", 5.0)]) == [10.0]


def test_signals_to_the_group_leave_the_workers_to_their_caller(two: Workers) -> None:
    two.map([("double", 1.0)] * 4)
    for pid in two.pids:
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, name)
    assert two.map([("double", 1.0)] * 6) == [2.0] * 6


CALLER = """
import sys, time
from tui_trainer.data.workers import Workers
workers = Workers("tests.data.fails:work", 2, 60.0)
workers.map([("double", 1.0)] * 4)
print(*workers.pids, flush=True)
workers.map([("sleep", 60.0)] * 2)
"""


def test_workers_die_with_a_caller_that_is_killed_even_amid_a_job() -> None:
    caller = subprocess.Popen([sys.executable, "-c", CALLER], stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    pids = [int(word) for word in caller.stdout.readline().split()]
    assert len(pids) == 2
    assert all(map(is_alive, pids))
    time.sleep(0.2)
    caller.kill()
    caller.wait()
    assert until(lambda: not any(map(is_alive, pids)))


def test_what_a_library_prints_reaches_the_callers_stderr_and_not_the_pipe() -> None:
    call = "Workers('tests.data.fails:work', 1, 9.0).map([('print', 0)])"
    code = f"from tui_trainer.data.workers import Workers; print({call})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[0.0]\n"
    assert "said aloud" in done.stderr
