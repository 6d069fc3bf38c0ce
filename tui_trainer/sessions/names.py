"""Names and places: what a session may be called, where sessions lie, where a live run's socket lies."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from tui_trainer.core.text import clean_line
from tui_trainer.errors import UsageError
from tui_trainer.sessions.oslayer import REAL, Disk, storage_errors

MAX_NAME = 64
SOCKET_BYTES = 100
SESSION_FILE = "session.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RULE = "use letters a-z, digits, dot, dash and underscore, starting with a letter or digit"


def check_name(name: str) -> str:
    """The name itself, or a UsageError that says what is wrong with it."""
    if len(name) > MAX_NAME:
        raise UsageError(f"session name of {len(name)} characters", f"at most {MAX_NAME} are allowed")
    if not _NAME.fullmatch(name):
        raise UsageError(f"{clean_line(ascii(name))} is no session name", _RULE)
    return name


def default_name(root: Path, task: str, algorithm: str) -> str:
    """`<task>-<algorithm>-<n>` with the next free n."""
    stem = f"{_safe(task)}-{_safe(algorithm)}"[: MAX_NAME - 8]
    return f"{stem}-{_highest(root, stem) + 1}"


def _safe(word: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", word).strip(".-") or "x"


def _highest(root: Path, stem: str) -> int:
    pattern = re.compile(re.escape(stem) + r"-(\d{1,6})")
    names = os.listdir(root) if root.is_dir() else []
    return max((int(found[1]) for name in names if (found := pattern.fullmatch(name))), default=0)


def sessions_root(option: str | None, environ: Mapping[str, str]) -> Path:
    """Where sessions lie: the option, else `TUI_TRAINER_SESSIONS`, else `./sessions`."""
    chosen = option or environ.get("TUI_TRAINER_SESSIONS") or "sessions"
    if "\0" in chosen:
        raise UsageError("the sessions directory's path has a NUL character in it")
    return Path(chosen).expanduser()


def find(root: Path, name_or_path: str) -> Path:
    """A session's directory by name, or by path where there is a slash. Raises UsageError naming the nearest one."""
    if os.sep in name_or_path or name_or_path in (".", ".."):
        return _by_path(name_or_path)
    path = root / check_name(name_or_path)
    if (path / SESSION_FILE).is_file():
        return path
    close = difflib.get_close_matches(name_or_path, session_names(root), n=1)
    hint = f"did you mean {close[0]}?" if close else "`tui-trainer sessions list` shows them"
    raise UsageError(f"no session {name_or_path} in {clean_line(str(root))}", hint)


def _by_path(text: str) -> Path:
    if "\0" in text:
        raise UsageError("the session's path has a NUL character in it")
    path = Path(text).expanduser()
    if not (path / SESSION_FILE).is_file():
        raise UsageError(f"{clean_line(text)} is no session", f"there is no {SESSION_FILE} in it")
    return path


def session_names(root: Path) -> list[str]:
    """Directories that hold a session.toml, by name."""
    if not root.is_dir():
        return []
    return sorted(n for n in os.listdir(root) if _NAME.fullmatch(n) and os.path.lexists(root / n / SESSION_FILE))


def socket_path(session_dir: Path, base: Path = Path("/tmp"), disk: Disk = REAL) -> Path:
    """Where a run's control socket lies: in a directory that only this user can enter and that outlives the login.

    Depends on the session's real path alone, so that every terminal finds it. Raises UsageError where the
    directory belongs to somebody else or is open to others.
    """
    directory = base / f"tui-trainer-{os.getuid()}"
    _require_private(directory, disk)
    digest = hashlib.sha256(os.fsencode(os.path.realpath(session_dir))).hexdigest()[:24]
    path = directory / f"{digest}.sock"
    if len(os.fsencode(path)) >= SOCKET_BYTES:
        raise UsageError(f"the socket's path {clean_line(str(path))} is too long", "use a shorter directory")
    return path


def _require_private(directory: Path, disk: Disk) -> None:
    with storage_errors(directory.parent):
        with contextlib.suppress(FileExistsError):
            disk.mkdir(directory)
        info = os.lstat(directory)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        raise UsageError(f"{directory} is not yours", "ask who made it, or remove it")
    if stat.S_IMODE(info.st_mode) & 0o077:
        raise UsageError(f"{directory} is open to others", f"chmod 700 {directory}")
