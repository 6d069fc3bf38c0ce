"""Settings that may change while a run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from tui_trainer.algorithms.arrays import take
from tui_trainer.core.config import Settings, nearest
from tui_trainer.errors import UsageError

S = TypeVar("S", bound=Settings)
LATER = ("pool_share",)


class Live(Generic[S]):
    """A settings table of which some keys can be set; what was set belongs to the state."""

    def __init__(self, settings: S, table: str, keys: tuple[str, ...]) -> None:
        self.settings = settings
        self._table, self._keys = table, keys

    def set(self, key: str, value: float) -> float:
        """Change `learning_rate` or `ppo.learning_rate`; returns the old value. Raises UsageError."""
        name = key.removeprefix(f"{self._table}.")
        if name not in self._keys:
            close = nearest(name, list(self._keys))
            hint = f"did you mean {close}?" if close else f"live settings: {', '.join(self._keys)}"
            raise UsageError(f"{key} cannot be changed while running", hint)
        old = float(getattr(self.settings, name))
        self._replace({name: float(value)})
        return old

    def _replace(self, changes: Mapping[str, float]) -> None:
        table = msgspec.to_builtins(self.settings) | dict(changes)
        try:
            self.settings = msgspec.convert(table, type(self.settings), strict=False)
        except msgspec.ValidationError as error:
            raise UsageError(f"{self._table}: {error}") from None

    def state_dict(self) -> dict[str, object]:
        return {key: float(getattr(self.settings, key)) for key in self._keys}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """A checkpoint from before one of LATER became live leaves that as configured."""
        held = [key for key in self._keys if key not in LATER or key in state]
        self._replace({key: float(take(state, key)) for key in held})
