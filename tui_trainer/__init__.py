"""Train reinforcement-learning agents in the terminal, with a person in the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tui_trainer.api import Callback, Session, load_policy, train

__version__ = "0.1.0"
__all__ = ["Callback", "Session", "__version__", "load_policy", "train"]


def __getattr__(name: str) -> Any:
    """The names above are imported when they are used: `import tui_trainer` stays light."""
    if name in ("Callback", "Session", "load_policy", "train"):
        from tui_trainer import api

        return getattr(api, name)
    raise AttributeError(f"module 'tui_trainer' has no attribute {name!r}")
