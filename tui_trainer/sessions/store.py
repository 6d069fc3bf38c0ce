"""A session on disk: its directory, session.toml, lock and places. Loads neither torch nor numpy."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from tui_trainer.core.config import Config, Layer, Resolved, resolve, to_table
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import is_guest
from tui_trainer.errors import DamagedSession, StorageError, TuiTrainerError, UsageError
from tui_trainer.sessions import lock as locks
from tui_trainer.sessions.files import TOML_BYTES, parse_toml, read_bytes, seal_holds, sealed, shown, toml_bytes
from tui_trainer.sessions.journal import create_journal, last_event
from tui_trainer.sessions.lock import Owner, SessionLock
from tui_trainer.sessions.names import SESSION_FILE, check_name, default_name, session_names
from tui_trainer.sessions.oslayer import (
    REAL,
    Disk,
    discard,
    make_directories,
    remove_tree,
    replace_file,
    storage_errors,
)

FORMAT = 1
STARTING_S = 30.0
_ATTEMPTS = 200
_DOOMED = ".removed-"
"""Begins the name of what is being deleted; its end is a number and the pid of who does."""
_numbers = itertools.count(1)

StateName: TypeAlias = Literal["starting", "running", "paused", "ended", "interrupted", "crashed"]
LIVE: tuple[StateName, ...] = ("starting", "running", "paused")


class SessionStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """[status]: where the run stands, as of `time` (Unix seconds)."""

    state: StateName
    update: int = 0
    global_step: int = 0
    termination_reason: str = ""
    exit_code: int | None = None
    host: str = ""
    time: float = 0.0


class SessionFile(msgspec.Struct, frozen=True, kw_only=True):
    """session.toml: everything about a session that is not history or state."""

    format: int
    name: str
    created: float
    status: SessionStatus
    config: dict[str, Any]
    """The settings as started, a nested table."""
    overrides: dict[str, Any] = {}
    """By dotted key, what resumes have changed since."""
    origins: dict[str, str] = {}
    """By dotted key, where a setting came from."""
    checkpoints: dict[str, str] = {}
    """`latest` and `best`, relative paths, for people."""
    summary: dict[str, Any] = {}
    lineage: dict[str, Any] = {}
    provenance: dict[str, Any] = {}

    @property
    def task(self) -> str:
        return str(self.config.get("run", {}).get("task", ""))

    @property
    def is_guest(self) -> bool:
        """Whether its loop belongs to a script of somebody else's, which alone can go on with it."""
        return is_guest(self.task)

    @property
    def algorithm(self) -> str:
        return str(self.config.get("run", {}).get("algorithm", ""))

    def layers(self) -> list[Layer]:
        """The settings that the next resume begins with: as started, then what earlier resumes changed."""
        return [Layer("session.toml", self.config), Layer("session.toml [overrides]", self.overrides)]

    def settings(self, *over: Layer) -> Config:
        """What those layers come to, with others on top. Raises ConfigError naming file and key."""
        return resolve([*self.layers(), *over]).config


class SessionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list of sessions."""

    name: str
    path: str
    state: str
    """A StateName, `damaged`, or `read-only` for a run of another tool."""
    task: str = ""
    algorithm: str = ""
    update: int = 0
    global_step: int = 0
    metric: str = ""
    best_score: float | None = None
    termination_reason: str = ""
    created: float = 0.0
    changed: float = 0.0
    age_s: float = 0.0
    """Seconds since the session was made."""
    size: int = 0
    """Bytes on disk."""
    pid: int | None = None
    parent: str = ""
    """The session that it was forked from."""
    problem: str = ""
    origin: str = ""
    """The tool that logged it, for a run that is no session of ours."""


class Session:
    """A session's directory."""

    def __init__(self, path: Path, file: SessionFile | None, disk: Disk) -> None:
        self.path = path
        self._file = file
        self._disk = disk

    @classmethod
    def create(
        cls,
        root: Path,
        name: str,
        resolved: Resolved,
        provenance: Mapping[str, Any],
        *,
        lineage: Mapping[str, Any] | None = None,
        disk: Disk = REAL,
        clock: Callable[[], float] = time.time,
    ) -> Session:
        """Claim `name` (empty: the next free default name) and write the session's first state, `starting`.

        Raises UsageError for a bad name or one in use, StorageError where the directory cannot be written.
        """
        path = _claim(root, name, resolved, disk)
        now = clock()
        file = SessionFile(
            format=FORMAT,
            name=path.name,
            created=now,
            status=SessionStatus(state="starting", host=socket.gethostname(), time=now),
            config=to_table(resolved.config),
            origins=dict(resolved.origins),
            provenance=dict(provenance),
            lineage=dict(lineage or {}),
        )
        try:
            with storage_errors(path):
                _furnish(path, file, disk)
        except StorageError:
            discard(disk, path)
            raise
        return cls(path, file, disk)

    @classmethod
    def open(cls, path: Path, *, disk: Disk = REAL) -> Session:
        """An existing session; nothing is read yet. Raises UsageError where there is none."""
        if not os.path.lexists(path / SESSION_FILE):
            raise UsageError(f"{shown(path)} is no session", f"there is no {SESSION_FILE} in it")
        return cls(path, None, disk)

    @property
    def name(self) -> str:
        """The directory's name, clean."""
        return clean_line(self.path.name)

    @property
    def journal_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def checkpoints_dir(self) -> Path:
        return self.path / "checkpoints"

    @property
    def crash_dir(self) -> Path:
        return self.path / "crash"

    @property
    def log_path(self) -> Path:
        return self.path / "engine.log"

    @property
    def lock_path(self) -> Path:
        return self.path / "lock"

    def read(self) -> SessionFile:
        """session.toml as it is now. Raises DamagedSession with file and line, UsageError for a newer format."""
        self._file = read_session_file(self.path / SESSION_FILE)
        return self._file

    def write_status(
        self,
        state: StateName | None = None,
        *,
        update: int | None = None,
        global_step: int | None = None,
        termination_reason: str | None = None,
        exit_code: int | None = None,
        summary: Mapping[str, Any] | None = None,
        lineage: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
        overrides: Mapping[str, Any] | None = None,
        latest: str | None = None,
        best: str | None = None,
        now: float | None = None,
    ) -> SessionFile:
        """Rewrite session.toml, atomically, with what is given; the rest stays. Only the lock's owner may.

        A live state forgets the exit code and the reason of an earlier run. Raises StorageError.
        """
        old = self._file or self.read()
        given = {"update": update, "global_step": global_step, "termination_reason": termination_reason}
        changes = {key: value for key, value in given.items() if value is not None}
        status = _moved(old.status, state, exit_code, time.time() if now is None else now, changes)
        pointers = {key: path for key, path in (("latest", latest), ("best", best)) if path is not None}
        file = msgspec.structs.replace(
            old,
            status=status,
            checkpoints=old.checkpoints | pointers,
            summary=old.summary | dict(summary or {}),
            lineage=old.lineage | dict(lineage or {}),
            provenance=old.provenance | dict(provenance or {}),
            overrides=old.overrides | dict(overrides or {}),
        )
        with storage_errors(self.path):
            replace_file(self._disk, self.path / SESSION_FILE, encode_session_file(file))
        self._file = file
        return file

    def lock(self) -> SessionLock:
        """Own the session. Raises SessionInUse naming the pid of who does."""
        return SessionLock(self.lock_path, self.name, self._disk)

    def launcher_lock(self) -> SessionLock:
        """Held by what starts the ranks of a run on several, so that the session is owned between their lives."""
        return SessionLock(self._launcher_path, self.name, self._disk)

    @property
    def _launcher_path(self) -> Path:
        return self.path / "launcher.lock"

    def owner(self) -> Owner | None:
        """The live process that holds the session, if any."""
        return locks.owner(self.lock_path) or locks.owner(self._launcher_path)


def _claim(root: Path, name: str, resolved: Resolved, disk: Disk) -> Path:
    """Making the directory is the claim: of two who try, one gets it."""
    with storage_errors(root):
        make_directories(disk, root)
    run = resolved.config.run
    for _ in range(_ATTEMPTS):
        path = root / check_name(name or default_name(root, run.task, run.algorithm))
        try:
            with storage_errors(root):
                disk.mkdir(path)
            return path
        except StorageError as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
        if name:
            raise UsageError(f"session {name} exists in {shown(root)}", _advice(path))
    raise StorageError(f"{shown(root)}: no free name after {_ATTEMPTS} attempts")


def _advice(path: Path) -> str:
    if os.path.lexists(path / SESSION_FILE):
        return f"choose another name, or resume {path.name}"
    return f"there is no session in {shown(path)}: remove it, or choose another name"


def _furnish(path: Path, file: SessionFile, disk: Disk) -> None:
    """What is in a new session; it is none before its session.toml is there, whole."""
    disk.mkdir(path / "checkpoints")
    disk.mkdir(path / "crash")
    create_journal(path / "events.jsonl", disk)
    replace_file(disk, path / SESSION_FILE, encode_session_file(file))
    disk.fsync_dir(path.parent)


def _moved(
    old: SessionStatus, state: StateName | None, exit_code: int | None, now: float, changes: dict[str, Any]
) -> SessionStatus:
    if state in LIVE:
        changes = {"termination_reason": ""} | changes
    elif exit_code is None:
        exit_code = old.exit_code
    host = socket.gethostname()
    return msgspec.structs.replace(old, state=state or old.state, exit_code=exit_code, host=host, time=now, **changes)


def encode_session_file(file: SessionFile) -> bytes:
    """session.toml's bytes, sealed: a person may edit it, but not unnoticed."""
    return sealed(toml_bytes(msgspec.to_builtins(file)))


def is_untouched(path: Path) -> bool:
    """Whether a session.toml is as the program wrote it. Raises DamagedSession where it cannot be read."""
    return seal_holds(read_bytes(path, TOML_BYTES))


def read_session_file(path: Path) -> SessionFile:
    """Read and check a session.toml."""
    data = read_bytes(path, TOML_BYTES)
    table = parse_toml(data, path)
    version = table.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise UsageError(
            f"{shown(path)}: made by a newer version (format {version}; this one reads up to {FORMAT})",
            "upgrade tui-trainer",
        )
    try:
        return msgspec.convert(table, SessionFile)
    except (msgspec.ValidationError, RecursionError) as error:
        raise DamagedSession(f"{shown(path)}{_where(data, str(error))}: {clean_line(str(error), 160)}") from None


def _where(data: bytes, message: str) -> str:
    """`, line N` of the key that a validation message names, as far as it can be told."""
    _, _, path = message.partition("`$.")
    key = path.rstrip("`").rsplit(".", 1)[-1]
    for number, line in enumerate(data.decode().splitlines(), 1):
        if key and line.split("=")[0].strip(" []").rsplit(".", 1)[-1] == key:
            return f", line {number}"
    return ""


Counted: TypeAlias = dict[str, tuple[int, int]]
"""By directory, when it changed (ns) and what lay in it (bytes): kept by one who lists again and again."""


def list_sessions(root: Path, now: float | None = None, counted: Counted | None = None) -> list[SessionSummary]:
    """Every session under `root`, newest first. A damaged one is shown as such; none makes the list fail."""
    moment = time.time() if now is None else now
    rows = [summarise(root / name, moment, counted) for name in session_names(root)]
    return sorted(rows, key=lambda row: (-row.created, row.name))


def summarise(path: Path, now: float, counted: Counted | None = None) -> SessionSummary:
    """One session's line."""
    size = disk_usage(path, counted)
    try:
        session = Session.open(path)
        file, owner = session.read(), session.owner()
    except TuiTrainerError as error:
        return SessionSummary(
            name=clean_line(path.name), path=str(path), state="damaged", size=size, problem=str(error)
        )
    score = file.summary.get("best_score")
    update, global_step, changed = _reached(session, file.status)
    return SessionSummary(
        name=clean_line(path.name),
        path=str(path),
        state=shown_state(file.status, owner, now),
        task=file.task,
        algorithm=file.algorithm,
        update=update,
        global_step=global_step,
        metric=str(file.summary.get("metric", "")),
        best_score=float(score) if isinstance(score, (int, float)) else None,
        termination_reason=file.status.termination_reason,
        created=file.created,
        changed=changed,
        age_s=max(0.0, now - file.created),
        size=size,
        pid=owner.pid if owner else None,
        parent=str(file.lineage.get("parent") or ""),
    )


def _reached(session: Session, status: SessionStatus) -> tuple[int, int, float]:
    """(update, environment steps, when): but for a run that came to its end the journal knows more than the status."""
    found = (status.update, status.global_step, status.time)
    if status.state == "ended":
        return found
    try:
        newest = last_event(session.journal_path)
    except (TuiTrainerError, OSError):
        return found
    return (newest.update, newest.global_step, max(newest.time, status.time)) if newest is not None else found


def shown_state(status: SessionStatus, owner: Owner | None, now: float) -> StateName:
    """What the state is in truth: a live one whose lock is free has crashed; one just made may still start."""
    if owner is not None or status.state not in LIVE:
        return status.state
    fresh = status.state == "starting" and abs(now - status.time) < STARTING_S
    return "starting" if fresh else "crashed"


def disk_usage(path: Path, counted: Counted | None = None) -> int:
    """Bytes of all regular files under `path`; what vanishes meanwhile counts nothing.

    With `counted`, a folder in it is counted anew only where something was made, renamed or deleted there: files that
    grow lie at the top.
    """
    if counted is None:
        return sum(_size(os.path.join(directory, name)) for directory, _, names in os.walk(path) for name in names)
    try:
        entries = list(os.scandir(path))
    except OSError:
        return 0
    return sum(_folder(entry.path, counted) if _is_folder(entry) else _size(entry.path) for entry in entries)


def _folder(path: str, counted: Counted) -> int:
    try:
        changed = os.stat(path).st_mtime_ns
    except OSError:
        return 0
    if counted.get(path, (-1, 0))[0] != changed:
        counted[path] = (changed, disk_usage(Path(path)))
    return counted[path][1]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def remove(session: Session, disk: Disk = REAL) -> int:
    """Delete a session that nobody runs; returns the bytes freed. Raises SessionInUse, StorageError."""
    path = session.path
    if path.is_symlink():
        raise UsageError(f"{shown(path)} is a link", "delete the link by hand")
    size = disk_usage(path)
    with session.lock(), storage_errors(path.parent):
        bury(disk, path, path.parent)
    clear_away(path.parent, disk)
    return size


def bury(disk: Disk, path: Path, root: Path) -> None:
    """Delete a directory in two steps: killed in between, it is gone from where it was, and `clear_away` ends it."""
    doomed = root / f"{_DOOMED}{path.name}-{next(_numbers)}-{os.getpid()}"
    disk.rename(path, doomed)
    disk.fsync_dir(root)
    remove_tree(disk, doomed)


def clear_away(root: Path, disk: Disk = REAL) -> None:
    """Delete what removals that were killed have left below `root`, as far as the disk allows."""
    for name in os.listdir(root) if root.is_dir() else ():
        pid = name.rpartition("-")[2]
        if name.startswith(_DOOMED) and pid.isdecimal() and not locks.lives(int(pid)):
            discard(disk, root / name)
