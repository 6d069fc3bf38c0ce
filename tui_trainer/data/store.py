"""What was measured of a file, kept by the hash of its content: the same bytes are never measured twice."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

VERSION = 1
"""Raised whenever a score is worked out in another way."""
_TABLE = "CREATE TABLE IF NOT EXISTS measured (key TEXT PRIMARY KEY, value BLOB NOT NULL)"
_AT_ONCE = 500


def default_path(environment: Mapping[str, str]) -> Path:
    """`tui-trainer/measured.sqlite` in the user's cache directory."""
    cache = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "tui-trainer" / "measured.sqlite"


class Store:
    """A small database in a file. Where it cannot be opened or written, nothing is kept and nothing fails."""

    def __init__(self, path: Path | None) -> None:
        self._connection: sqlite3.Connection | None = None
        if path is not None:
            with contextlib.suppress(OSError, sqlite3.Error):
                os.makedirs(path.parent, mode=0o700, exist_ok=True)
                connection = sqlite3.connect(path, timeout=2.0)
                connection.execute(_TABLE)
                self._connection = connection

    def get(self, kind: str, hashes: Iterable[str]) -> dict[str, bytes]:
        """What is known of these contents, by hash."""
        if self._connection is None:
            return {}
        wanted = [_key(kind, each) for each in hashes]
        found: dict[str, bytes] = {}
        with contextlib.suppress(sqlite3.Error):
            for first in range(0, len(wanted), _AT_ONCE):
                some = wanted[first : first + _AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, value FROM measured WHERE key IN ({marks})"
                found.update(self._connection.execute(query, some).fetchall())
        return {key.rpartition(":")[2]: value for key, value in found.items()}

    def put(self, kind: str, known: Mapping[str, bytes]) -> None:
        """Remember."""
        if self._connection is None or not known:
            return
        rows = [(_key(kind, each), value) for each, value in known.items()]
        with contextlib.suppress(sqlite3.Error), self._connection as connection:
            connection.executemany("INSERT OR REPLACE INTO measured VALUES (?, ?)", rows)

    def close(self) -> None:
        """Let the file go."""
        if self._connection is not None:
            self._connection.close()


def _key(kind: str, content: str) -> str:
    return f"{VERSION}:{kind}:{content}"
