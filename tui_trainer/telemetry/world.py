"""Which of several processes of one run this is, as torchrun tells by the environment. Import-light."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping

import msgspec

_PR_SET_PDEATHSIG = 1


class World(msgspec.Struct, frozen=True):
    """Rank `rank` of `size`, the `local`-th of `locals` on its machine; `restarts` lives came before this one."""

    rank: int = 0
    size: int = 1
    local: int = 0
    locals: int = 1
    restarts: int = 0
    run_id: str = ""
    """torchrun's name for the job; empty where it gave it none."""


def world(environ: Mapping[str, str] | None = None) -> World:
    """Alone, where torchrun did not start this process."""
    env = os.environ if environ is None else environ
    if "RANK" not in env or "WORLD_SIZE" not in env:
        return World()
    run_id = env.get("TORCHELASTIC_RUN_ID", "")
    return World(
        rank=int(env["RANK"]),
        size=int(env["WORLD_SIZE"]),
        local=int(env.get("LOCAL_RANK", "0")),
        locals=int(env.get("LOCAL_WORLD_SIZE", "1")),
        restarts=int(env.get("TORCHELASTIC_RESTART_COUNT", "0")),
        run_id="" if run_id == "none" else run_id,
    )


def die_with_parent() -> None:
    """SIGTERM when the process that started this one is gone, however it went. Linux; elsewhere nothing."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
