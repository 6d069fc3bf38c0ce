"""The product from Python: `train`, `load_policy`, `Session`. Five lines do what `run` does, with callbacks."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tui_trainer.cli.settings import resolve_run
from tui_trainer.core.callbacks import Callback
from tui_trainer.core.config import Layer
from tui_trainer.core.protocols import Policy
from tui_trainer.engine.callbacks import Hook
from tui_trainer.errors import TuiTrainerError
from tui_trainer.sessions.names import default_name, find, sessions_root
from tui_trainer.sessions.provenance import collect
from tui_trainer.sessions.store import Session

__all__ = ["Callback", "Hook", "Session", "load_policy", "train"]


def train(
    config: str | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[str | Hook] = (),
    name: str = "",
    sessions: str | None = None,
) -> Session:
    """Train in this process, exactly as `tui-trainer run --no-ui` does; returns the finished session.

    `config` is a preset's name or a TOML file; `settings` are dotted keys, such as {"ppo.learning_rate": 1e-4}.
    A callback is a function that gets every event (core/events.py), an object with methods such as `on_update`
    (core/callbacks.py), or the same words as `--callback`; one that raises is told once and left out. Other terminals
    can attach meanwhile. Raises TuiTrainerError with the run's exit code where it failed.
    """
    from tui_trainer.engine.main import run_engine

    resolved = resolve_run(config, dict(settings or {}), [])
    root = sessions_root(sessions, os.environ)
    run = resolved.config.run
    session = Session.create(
        root, name or run.name or default_name(root, run.task, run.algorithm), resolved, collect(sys.argv, Path.cwd())
    )
    code = run_engine(session, overrides=Layer("settings", {}), callbacks=callbacks)
    if code:
        error = TuiTrainerError(
            f"{session.name} ended with exit code {code}: {session.read().status.termination_reason}"
        )
        error.exit_code = code
        raise error
    return session


def load_policy(name: str, checkpoint: str = "best", *, sessions: str | None = None) -> Policy:
    """The greedy policy of a session's checkpoint, or of a state.pt: `policy.act(obs, mask)`."""
    from tui_trainer.engine.examine import from_file, from_session, policy_of

    if name.endswith(".pt"):
        return policy_of(from_file(Path(name)))
    return policy_of(from_session(Session.open(find(sessions_root(sessions, os.environ), name)), checkpoint))
