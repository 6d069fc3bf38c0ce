"""People's own hooks: `--callback module:object`. A failing one is told once and left out; training goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tui_trainer.core.events import AnyEvent
from tui_trainer.core.registry import load_attribute
from tui_trainer.engine.inbox import Inbox, Note

Hook = Callable[[AnyEvent], None]
"""Called with every event, on the loop's thread."""


class Callbacks:
    """Calls each hook with each event until it fails."""

    def __init__(self, hooks: dict[str, Hook], inbox: Inbox) -> None:
        self._hooks = hooks
        self._inbox = inbox

    @classmethod
    def load(cls, wanted: Sequence[str | Hook], inbox: Inbox) -> Callbacks:
        """Import each `module:object`; a class is instantiated, a callable is taken as it is."""
        hooks: dict[str, Hook] = {}
        for number, hook in enumerate(wanted):
            found = load_attribute(hook) if isinstance(hook, str) else hook
            name = hook if isinstance(hook, str) else getattr(hook, "__name__", f"number {number}")
            hooks[name] = found() if isinstance(found, type) else found
        return cls(hooks, inbox)

    def hear(self, event: AnyEvent, line: bytes) -> None:
        """Listener. Foreign code runs here: whatever it raises ends at this line."""
        for path, hook in list(self._hooks.items()):
            try:
                hook(event)
            except (Exception, SystemExit) as error:
                del self._hooks[path]
                self._inbox.put(Note("warning", f"callback {path} failed and is off: {type(error).__name__}: {error}"))
