"""Checkpoints: saved so that no kill or power cut loses an acknowledged one, loaded only if every byte is right.

A save is: serialise to memory, segments that are not on the medium yet, temporary directory, files, fsync each,
manifest with hashes, fsync, fsync the directory, rename, fsync the parent. Readers scan from the newest down; there is
no pointer that could tear.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tui_trainer.core.segments import Segment
from tui_trainer.core.text import clean_line
from tui_trainer.core.values import CheckpointKind, Metrics
from tui_trainer.errors import DamagedSession, StorageError, TuiTrainerError, UsageError
from tui_trainer.sessions import strict
from tui_trainer.sessions.files import (
    file_sha256,
    open_regular,
    parse_toml,
    read_bytes,
    seal_holds,
    sealed,
    shown,
    toml_bytes,
)
from tui_trainer.sessions.oslayer import REAL, Disk, create_file, discard, remove_tree, storage_errors
from tui_trainer.sessions.retention import prunable
from tui_trainer.sessions.segments import SegmentStore, digest

if TYPE_CHECKING:
    import numpy as np
    import torch

FORMAT = 1
STATE_FILE = "state.pt"
MANIFEST_FILE = "manifest.toml"
MANIFEST_BYTES = 1 << 18
WALL = "wall"
DIGEST_BYTES = 1 << 23
PLAIN = (bool, int, float, str, bytes)
_ARRAY, _INTEGER, _BYTES, _SEGMENT = "__array__", "__int__", "__bytes__", "__segment__"
_REFUSALS = (
    RuntimeError,
    pickle.UnpicklingError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
)
_DIRECTORY = re.compile(r"(\d{1,9})-u(\d{1,12})")
LEFTOVER = re.compile(r"\.(tmp|pruned)-(\d{1,9})-u\d{1,12}")


class FileHash(msgspec.Struct, frozen=True):
    """Size in bytes and hash of one file of a checkpoint."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint is, without its state."""

    format: int
    number: int
    kind: CheckpointKind
    update: int
    global_step: int
    time: float
    exact: bool
    """False: not everything that decides the next bit is in it."""
    size: int
    """Bytes of all its files but this."""
    state_sha256: str
    """Canonical hash of the state, all but what lies under `wall`."""
    files: dict[str, FileHash]
    buffer: dict[str, int] = {}
    """Size by name of the segments it needs, which other checkpoints may share."""
    score: float | None = None
    """Higher is better."""
    metrics: Metrics = {}
    seconds: float = 0.0
    """How long the save took, to the last fsync but one."""
    torch: str = ""

    @property
    def directory(self) -> str:
        return f"{self.number}-u{self.update}"

    @property
    def path(self) -> str:
        """Relative to the session, as events name it."""
        return f"checkpoints/{self.directory}"


class Bad(NamedTuple):
    """A checkpoint that cannot be trusted, and why."""

    number: int
    directory: str
    why: str


class Survey(NamedTuple):
    """What lies in a session's checkpoints directory, newest first. State files are not read, only sized."""

    good: tuple[Manifest, ...]
    bad: tuple[Bad, ...]


class Frozen(NamedTuple):
    """A copy of a state that training can no longer change, and the number its checkpoint will have."""

    state: dict[str, Any]
    number: int


class Loaded(NamedTuple):
    """The newest state that could be trusted; `problems` names each newer one that could not."""

    state: dict[str, Any]
    manifest: Manifest
    problems: list[str]


class CheckpointStore:
    """The checkpoints of one session. Only the owner of the session's lock may snapshot, save, prune or clean."""

    def __init__(self, session_dir: Path, disk: Disk = REAL, clock: Callable[[], float] = time.time) -> None:
        self._session = session_dir
        self._directory = session_dir / "checkpoints"
        self._disk = disk
        self._clock = clock
        self._segments = SegmentStore(session_dir, disk)
        self._highest = max((number for number, _ in self._numbers()), default=0)
        self._is_clean = False

    def _numbers(self) -> list[tuple[int, str]]:
        """(n, directory name) of everything that ever took a number and is still seen, leftovers included."""
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return []
        numbers = [(int(found[1]), name) for name in names if (found := _DIRECTORY.fullmatch(name))]
        return numbers + [(int(found[2]), name) for name in names if (found := LEFTOVER.fullmatch(name))]

    # --- writing ---

    def snapshot(self, state: Mapping[str, Any]) -> Frozen:
        """Copy a state to host memory and give it the next number: the only part of a save that training waits for.

        Raises TypeError naming what is neither plain, a tensor nor an array.
        """
        frozen = {key: frozen_copy(value, key) for key, value in state.items()}
        self._highest += 1
        return Frozen(frozen, self._highest)

    def save(
        self,
        frozen: Frozen,
        *,
        kind: CheckpointKind,
        update: int,
        global_step: int,
        metrics: Metrics | None = None,
        score: float | None = None,
        exact: bool = True,
    ) -> Manifest:
        """Return when the checkpoint is on the medium, whole. Raises StorageError, leaving earlier ones alone.

        The first save deletes what interrupted ones left.
        """
        began = time.monotonic()
        if not self._is_clean:
            self.clean()
        data = serialise(frozen.state)
        needs = len(data) + MANIFEST_BYTES // 16 + self._segments.missing_bytes(frozen.state)
        with storage_errors(self._directory, needs=needs):
            buffer = self._segments.write(frozen.state)
        entry = FileHash(len(data), hashlib.sha256(data).hexdigest())
        manifest = Manifest(
            format=FORMAT,
            number=frozen.number,
            kind=kind,
            update=update,
            global_step=global_step,
            time=self._clock(),
            exact=exact,
            size=len(data),
            state_sha256=state_sha256(frozen.state),
            files={STATE_FILE: entry},
            buffer=buffer,
            score=score,
            metrics={name: value for name, value in (metrics or {}).items() if value is not None},
            torch=_torch_version(),
        )
        manifest = msgspec.structs.replace(manifest, seconds=round(time.monotonic() - began, 6))
        with storage_errors(self._directory, needs=needs):
            self._write(manifest, data)
        return manifest

    def _write(self, manifest: Manifest, data: memoryview) -> None:
        temporary = self._directory / f".tmp-{manifest.directory}"
        final = self._directory / manifest.directory
        if final.exists():
            raise FileExistsError(17, f"{final.name} exists")
        try:
            self._disk.mkdir(temporary)
            create_file(self._disk, temporary / STATE_FILE, data)
            create_file(self._disk, temporary / MANIFEST_FILE, encode_manifest(manifest))
            self._disk.fsync_dir(temporary)
            self._disk.rename(temporary, final)
        except OSError:
            discard(self._disk, temporary)
            raise
        self._disk.fsync_dir(self._directory)

    def clean(self) -> tuple[str, ...]:
        """Delete what interrupted saves and prunings left; returns the names."""
        self._is_clean = True
        self._segments.clean()
        names = sorted(name for _, name in self._numbers() if name.startswith("."))
        return tuple(name for name in names if discard(self._disk, self._directory / name))

    # --- reading ---

    def survey(self) -> Survey:
        """Every checkpoint, newest first, with the bad ones and why. Reads no state."""
        good: list[Manifest] = []
        bad: list[Bad] = []
        numbers = [(n, name) for n, name in self._numbers() if not name.startswith(".")]
        for number, name in sorted(numbers, reverse=True):
            try:
                manifest = read_manifest(self._directory / name)
                self._segments.require(manifest.buffer)
                good.append(manifest)
            except TuiTrainerError as error:
                bad.append(Bad(number, name, str(error)))
        return Survey(tuple(good), tuple(bad))

    def manifests(self) -> tuple[Manifest, ...]:
        """The good ones of `survey`, newest first."""
        return self.survey().good

    def best(self) -> Manifest | None:
        """The best model: the highest score among the `best` checkpoints, ties to the newer."""
        found = [m for m in self.manifests() if m.kind == "best"]
        return max(found, key=lambda m: (-float("inf") if m.score is None else m.score, m.number), default=None)

    def verify(self, manifest: Manifest) -> None:
        """Read every file and compare its hash. Raises DamagedSession naming the file. Loads no torch."""
        for name, entry in manifest.files.items():
            with open_regular(self._directory / manifest.directory / name, strict.OWN.file_bytes) as (fd, size):
                _require_hash(self._directory / manifest.directory / name, fd, size, entry)
        self._segments.verify(manifest.buffer)

    def load(self, which: Manifest | Path) -> tuple[dict[str, Any], Manifest]:
        """A checkpoint's state, after its hash and structure were checked. Raises DamagedSession."""
        manifest = which if isinstance(which, Manifest) else read_manifest(which)
        directory = self._directory / manifest.directory if isinstance(which, Manifest) else which
        state = load_state(directory / STATE_FILE, manifest.files[STATE_FILE])
        self._segments.fill(state)
        return state, manifest

    def newest_good(self) -> Loaded:
        """The newest checkpoint of this line of training that loads; the branch that a try left is none.

        Raises DamagedSession with every reason when none does.
        """
        survey = self.survey()
        problems = {bad.number: bad.why for bad in survey.bad}
        for manifest in [m for m in survey.good if m.kind != "try"]:
            try:
                state, _ = self.load(manifest)
            except DamagedSession as error:
                problems[manifest.number] = str(error)
                continue
            newer = [why for number, why in sorted(problems.items(), reverse=True) if number > manifest.number]
            return Loaded(state, manifest, newer)
        raise self._none_good([why for _, why in sorted(problems.items(), reverse=True)])

    def require_good(self) -> None:
        """Raises DamagedSession with every reason where there are checkpoints and none has its hash."""
        survey = self.survey()
        problems = {bad.number: bad.why for bad in survey.bad}
        for manifest in survey.good:
            try:
                self.verify(manifest)
            except DamagedSession as error:
                problems[manifest.number] = str(error)
            else:
                return
        if problems:
            raise self._none_good([why for _, why in sorted(problems.items(), reverse=True)])

    def _none_good(self, problems: list[str]) -> UsageError:
        if not problems:
            return UsageError(f"{shown(self._session)} has no checkpoint yet", "start it anew")
        return DamagedSession(
            f"{shown(self._session)}: none of its {len(problems)} checkpoints can be trusted: {' | '.join(problems)}",
            "nothing was changed; restore a copy",
        )

    # --- retention ---

    def plan(self, keep_last: int, keep_best: int, max_gib: float) -> tuple[Manifest, ...]:
        """What `prune` would delete. The newest that verifies now is kept, so that one that loads always stays."""
        manifests = self.manifests()
        if not prunable(manifests, keep_last, keep_best, max_gib):
            return ()
        return prunable(manifests, keep_last, keep_best, max_gib, spared=[self._last_verified(manifests)])

    def _last_verified(self, manifests: tuple[Manifest, ...]) -> int:
        for manifest in [m for m in manifests if m.kind != "try"]:
            try:
                self.verify(manifest)
            except DamagedSession:
                continue
            return manifest.number
        return 0

    def prune(self, keep_last: int, keep_best: int, max_gib: float) -> tuple[str, ...]:
        """Delete by the retention rule, renaming first; returns paths relative to the session.

        Never best, latest, last verified, manual, stage. Raises StorageError.
        """
        doomed = self.plan(keep_last, keep_best, max_gib)
        with storage_errors(self._directory):
            for manifest in doomed:
                self._disk.rename(
                    self._directory / manifest.directory, self._directory / f".pruned-{manifest.directory}"
                )
            if doomed:
                self._disk.fsync_dir(self._directory)
            for manifest in doomed:
                remove_tree(self._disk, self._directory / f".pruned-{manifest.directory}")
            self._segments.prune({name for manifest in self.manifests() for name in manifest.buffer})
        return tuple(manifest.path for manifest in doomed)


# --- manifests -------------------------------------------------------------------------------------------------------


def encode_manifest(manifest: Manifest) -> bytes:
    """TOML with its own hash in the last line."""
    return sealed(toml_bytes(msgspec.to_builtins(manifest)))


def read_manifest(directory: Path) -> Manifest:
    """A checkpoint's manifest, sealed, in its right place, with all its files of the right size.

    Raises DamagedSession, UsageError for a newer format.
    """
    path = directory / MANIFEST_FILE
    data = read_bytes(path, MANIFEST_BYTES)
    table = parse_toml(data, path)
    version = table.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise UsageError(f"{shown(path)}: made by a newer version (format {version})", "upgrade tui-trainer")
    _require_seal(path, data)
    try:
        manifest = msgspec.convert(table, Manifest)
    except (msgspec.ValidationError, RecursionError) as error:
        raise DamagedSession(f"{shown(path)}: {clean_line(str(error), 160)}") from None
    _require_place(directory, manifest)
    return manifest


def _require_seal(path: Path, data: bytes) -> None:
    if not seal_holds(data):
        raise DamagedSession(f"{shown(path)}: its last line does not match the rest (damaged or edited)")


def _require_place(directory: Path, manifest: Manifest) -> None:
    if manifest.directory != directory.name and _DIRECTORY.fullmatch(directory.name):
        raise DamagedSession(f"{shown(directory)}: its manifest is that of {manifest.directory}")
    if set(manifest.files) != {STATE_FILE}:
        raise DamagedSession(
            f"{shown(directory)}: its manifest names odd files: {clean_line(ascii(list(manifest.files)))}"
        )
    with open_regular(directory / STATE_FILE, strict.OWN.file_bytes) as (_, size):
        if size != manifest.files[STATE_FILE].size:
            raise DamagedSession(
                f"{shown(directory / STATE_FILE)}: {size} bytes instead of {manifest.files[STATE_FILE].size}"
            )


def _require_hash(path: Path, fd: int, size: int, entry: FileHash) -> None:
    if size != entry.size:
        raise DamagedSession(f"{shown(path)}: {size} bytes instead of {entry.size}")
    if file_sha256(fd, size) != entry.sha256:
        raise DamagedSession(f"{shown(path)}: its sha256 is not the one in its manifest")


# --- states ----------------------------------------------------------------------------------------------------------


def load_state(path: Path, entry: FileHash) -> dict[str, Any]:
    """A state file of a session: its hash first, then its structure, then torch. Raises DamagedSession."""
    with open_regular(path, strict.OWN.file_bytes) as (fd, size):
        _require_hash(path, fd, size, entry)
        strict.check_open(fd, size, path, strict.OWN)
        return _torch_load(path, fd)


def load_foreign(path: Path) -> dict[str, Any]:
    """A state file from elsewhere, after a strict check of its structure. Raises DamagedSession with the reason."""
    with open_regular(path, strict.FOREIGN.file_bytes) as (fd, size):
        strict.check_open(fd, size, path, strict.FOREIGN)
        state = _torch_load(path, fd)
    with suppress(DamagedSession):  # whoever needs the rows says that they are missing
        SegmentStore(path.absolute().parent.parent.parent, REAL).fill(state)
    return state


def _torch_load(path: Path, fd: int) -> dict[str, Any]:
    import torch

    try:
        with os.fdopen(os.dup(fd), "rb") as file:
            file.seek(0)
            state = thawed(torch.load(file, map_location="cpu", weights_only=True))
    except _REFUSALS as error:
        raise DamagedSession(f"{shown(path)}: torch refused it: {clean_line(str(error), 200)}") from None
    if not isinstance(state, dict):
        raise DamagedSession(f"{shown(path)}: it is no dictionary")
    return state


def serialise(state: Mapping[str, Any]) -> memoryview:
    """A frozen state as the bytes of a state file."""
    import torch

    buffer = io.BytesIO()
    torch.save({key: _written(value) for key, value in state.items()}, buffer)
    return buffer.getbuffer()


def _torch_version() -> str:
    import torch

    return str(torch.__version__)


def frozen_copy(value: Any, where: str = "state") -> Any:
    """An independent copy on the host: tensors and arrays contiguous, mappings as plain dictionaries.

    Raises TypeError with the place of anything that a checkpoint cannot hold.
    """
    match value:
        case Mapping():
            return {_key(key, where): frozen_copy(inner, f"{where}.{key}") for key, inner in value.items()}
        case list():
            return [frozen_copy(inner, f"{where}[{i}]") for i, inner in enumerate(value)]
        case tuple():
            return tuple(frozen_copy(inner, f"{where}[{i}]") for i, inner in enumerate(value))
        case _:
            return _frozen_leaf(value, where)


def _key(key: Any, where: str) -> str | int:
    if type(key) in (str, int) and key not in (_ARRAY, _INTEGER, _BYTES, _SEGMENT):
        return key  # type: ignore[no-any-return]
    raise TypeError(f"{where} has the key {key!r}, which is neither plain text nor a whole number")


def _frozen_leaf(value: Any, where: str) -> Any:
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True).contiguous()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return np.array(value, order="C")
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return value
    if value is None or type(value) in PLAIN or isinstance(value, Segment):
        return value
    raise TypeError(f"{where} is a {type(value).__name__}, which a checkpoint cannot hold")


def _written(value: Any) -> Any:
    """The form in which torch saves it: arrays and bytes as byte tensors, wide integers as text."""
    import numpy as np

    match value:
        case dict():
            return {key: _written(inner) for key, inner in value.items()}
        case list():
            return [_written(inner) for inner in value]
        case tuple():
            return tuple(_written(inner) for inner in value)
        case np.ndarray() | np.generic():
            return {_ARRAY: _byte_tensor(value.tobytes()), "dtype": value.dtype.str, "shape": _shape(value)}
        case bytes():
            return {_BYTES: _byte_tensor(value)}
        case Segment():
            return {_SEGMENT: digest(value)}
        case int() if not isinstance(value, bool) and not -(2**63) <= value < 2**63:
            return {_INTEGER: str(value)}
        case _:
            return value


def _byte_tensor(data: bytes) -> torch.Tensor:
    import torch

    return torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.zeros(0, dtype=torch.uint8)


def _shape(value: np.ndarray[Any, Any] | np.generic) -> list[int] | None:
    """None marks a numpy scalar."""
    import numpy as np

    return list(value.shape) if isinstance(value, np.ndarray) else None


def thawed(value: Any) -> Any:
    """The inverse of what saving did to arrays, bytes and wide integers. Raises ValueError where it cannot be.

    Segments come without their rows.
    """
    match value:
        case {"__array__": data, "dtype": str() as dtype, "shape": shape}:
            return _array(data, dtype, shape)
        case {"__bytes__": data}:
            return data.numpy().tobytes()
        case {"__int__": str() as digits}:
            return int(digits)
        case {"__segment__": str() as sha256}:
            return Segment(None, sha256)
        case dict():
            return {key: thawed(inner) for key, inner in value.items()}
        case list():
            return [thawed(inner) for inner in value]
        case tuple():
            return tuple(thawed(inner) for inner in value)
        case _:
            return value


def _array(data: Any, dtype: str, shape: list[int] | None) -> Any:
    import numpy as np

    kind = np.dtype(dtype)
    if kind.kind not in "biufc":
        raise ValueError(f"an array of {dtype}")
    array = np.frombuffer(data.numpy().tobytes(), dtype=kind).copy()
    return array[0] if shape is None else array.reshape(shape)


def state_sha256(state: Any) -> str:
    """Canonical hash of a state, in hexadecimal: equal if and only if every bit outside `wall` is.

    Dictionaries are unordered; a list differs from a tuple, an array from a tensor, 1 from 1.0 and from True.
    """
    digest = _Digest()
    _feed(digest.update, state)
    return digest.hexdigest()


class _Digest:
    """A sha256 fed in large pieces: each small one would let go of the interpreter and wait for it again."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._held = bytearray()

    def update(self, data: Any) -> None:
        self._held += data
        if len(self._held) >= DIGEST_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._digest.update(self._held)
        self._held.clear()

    def hexdigest(self) -> str:
        self._flush()
        return self._digest.hexdigest()


def _feed(update: Callable[[Any], None], value: Any) -> None:
    match value:
        case None | bool():
            update(b"n" if value is None else b"t" if value else b"f")
        case str():
            _feed_bytes(update, b"s", value.encode("utf-8", "surrogatepass"))
        case bytes():
            _feed_bytes(update, b"b", value)
        case Segment():
            _feed_bytes(update, b"S", digest(value).encode())
        case Mapping():
            _feed_mapping(update, value)
        case list() | tuple():
            update((b"l" if isinstance(value, list) else b"u") + struct.pack("<q", len(value)))
            for inner in value:
                _feed(update, inner)
        case _:
            _feed_leaf(update, value)


def _feed_bytes(update: Callable[[Any], None], tag: bytes, data: bytes) -> None:
    update(tag + struct.pack("<q", len(data)))
    update(data)


def _feed_mapping(update: Callable[[Any], None], value: Mapping[Any, Any]) -> None:
    keys = sorted((key for key in value if key != WALL), key=lambda key: (type(key).__name__, key))
    update(b"d" + struct.pack("<q", len(keys)))
    for key in keys:
        _feed(update, key)
        _feed(update, value[key])


def _feed_leaf(update: Callable[[Any], None], value: Any) -> None:
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        _feed_bytes(update, b"T", f"{value.dtype}{tuple(value.shape)}".encode())
        update(flat.view(torch.uint8).numpy().data)
    elif isinstance(value, (np.ndarray, np.generic)):
        tag = b"A" if isinstance(value, np.ndarray) else b"G"
        _feed_bytes(update, tag, f"{value.dtype.str}{value.shape}".encode())
        update(value.tobytes())
    elif type(value) is int:
        _feed_bytes(update, b"i", str(value).encode())
    elif type(value) is float:
        update(b"r" + struct.pack("<d", value))
    else:
        raise TypeError(f"a {type(value).__name__} has no place in a state")


__all__ = [
    "Bad", "CheckpointStore", "FileHash", "Frozen", "Loaded", "Manifest", "StorageError", "Survey", "frozen_copy",
    "load_foreign", "load_state", "read_manifest", "state_sha256",
]  # fmt: skip
