"""Every error a user can meet: one tree, one sentence each, an exit code and a next step.

TuiTrainerError                 1   the run failed
├── UsageError                  2   wrong arguments, names or states
│   ├── ConfigError             2   a setting is unknown or impossible
│   ├── MissingExtra            2   an optional library is not installed
│   └── DamagedSession          2   what is on disk cannot be trusted
├── SessionInUse                3   another engine holds the session
├── StorageError                4   the disk refused
├── TaskFailed                  1   the task's own code breaks again and again
├── Diverged                    5   NaN or inf reached the update
├── RankLost                    1   another process of a run on several is gone
└── OrderRefused                6   a live run said no
"""

from __future__ import annotations


class TuiTrainerError(Exception):
    """Base of the tree: `message` says what happened and where, `hint` what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(TuiTrainerError):
    """The command cannot be carried out as given."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown, misspelt or impossible; names the file, the key and the nearest right one."""


class MissingExtra(UsageError):
    """An optional library is needed; names the extra to install."""


class DamagedSession(UsageError):
    """A file of a session failed its hash, its format or its name check."""


class SessionInUse(TuiTrainerError):
    """Another engine owns the session; names its pid."""

    exit_code = 3


class StorageError(TuiTrainerError):
    """A directory cannot be written or is full."""

    exit_code = 4


class TaskFailed(TuiTrainerError):
    """A task's episodes break again and again and none is finished; the last reason is told."""


class Diverged(TuiTrainerError):
    """A non-finite number was found before the optimizer stepped; the parameters are intact."""

    exit_code = 5


class RankLost(TuiTrainerError):
    """A run on several ranks lost one: none of the others can go on, and all begin again from the newest checkpoint."""


class OrderRefused(TuiTrainerError):
    """A live run refused an order, with its reason."""

    exit_code = 6


class AskedToEnd(BaseException):
    """A view was ended by a signal, and with it all that would follow it; no error, so no handler stops it."""

    def __init__(self, number: int, last_words: str = "") -> None:
        super().__init__(number)
        self.number = number
        self.last_words = last_words

    @property
    def exit_code(self) -> int:
        """As a shell tells it."""
        return 128 + self.number
