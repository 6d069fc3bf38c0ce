"""A look into a checkpoint file before torch may: what it holds, and that holding it is all it does. No torch here.

A checkpoint is a zip of stored records: one pickle that describes the structure, one record a tensor storage. The
directory, every CRC, every opcode, global, size and stride is checked against what torch.save writes; anything
else is refused with one sentence. Time and memory are bounded by `Limits`, not by what the file claims.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from os import pread
from pathlib import Path
from typing import Any, NamedTuple

from tui_trainer.errors import DamagedSession
from tui_trainer.sessions.files import CHUNK, open_regular, shown


class Limits(NamedTuple):
    """How large a file may be, and how much work its description may cause."""

    file_bytes: int
    pickle_bytes: int
    opcodes: int
    nodes: int
    """Values after all shared parts are written out."""
    records: int
    depth: int = 64


FOREIGN = Limits(file_bytes=1 << 34, pickle_bytes=1 << 23, opcodes=200_000, nodes=500_000, records=20_000)
OWN = Limits(file_bytes=1 << 38, pickle_bytes=1 << 28, opcodes=20_000_000, nodes=20_000_000, records=500_000)

ITEM_BYTES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
}  # fmt: skip
ORDERED = "collections OrderedDict"
TENSOR = "torch._utils _rebuild_tensor_v2"
PARAMETER = "torch._utils _rebuild_parameter"
SIZE = "torch Size"
GLOBALS = frozenset({ORDERED, TENSOR, PARAMETER, SIZE, *(f"torch {name}" for name in ITEM_BYTES)})
MAX_DIMENSIONS = 32
MAX_TEXT = 1 << 20
MAX_KEY = 1 << 61
_STORAGE = re.compile(r"data/\d{1,9}")
_SMALL = {
    "byteorder": 16,
    "version": 16,
    ".format_version": 16,
    ".storage_alignment": 16,
    ".data/serialization_id": 256,
}
_LOCATION = re.compile(r"cpu|mps|(cuda|xpu)(:\d{1,3})?")


class _Refused(Exception):
    """Why the file is not a plain checkpoint."""


class Record(NamedTuple):
    """One stored file in the archive: where its bytes lie."""

    name: str
    header: int
    start: int
    size: int
    crc: int


def check_file(path: Path, limits: Limits = FOREIGN) -> None:
    """Return if the file is a plain checkpoint. Raises DamagedSession with the reason."""
    with open_regular(path, limits.file_bytes) as (fd, size):
        check_open(fd, size, path, limits)


def check_open(fd: int, size: int, path: Path, limits: Limits) -> None:
    """As `check_file`, for a file already open."""
    try:
        _check(fd, size, limits)
    except _Refused as why:
        raise DamagedSession(f"{shown(path)}: not a plain checkpoint: {why}") from None


def _check(fd: int, size: int, limits: Limits) -> None:
    records = _directory(fd, size, limits)
    if "data.pkl" not in records:
        raise _Refused("it has no data.pkl")
    if records["data.pkl"].size > limits.pickle_bytes:
        raise _Refused("its description is too large")
    for name, bound in _SMALL.items():
        if name in records and records[name].size > bound:
            raise _Refused(f"{name} is too large")
    _require_little_endian(fd, records)
    storages = {name.removeprefix("data/"): r.size for name, r in records.items() if _STORAGE.fullmatch(name)}
    _require_plain(_bytes(fd, records["data.pkl"]), storages, limits)
    for record in records.values():
        _require_crc(fd, record)


# --- the archive -----------------------------------------------------------------------------------------------------


def _directory(fd: int, size: int, limits: Limits) -> dict[str, Record]:
    count, offset, length, end = _ending(fd, size)
    if count > limits.records or length > 400 * limits.records:
        raise _Refused(f"it has {count} records")
    if offset + length != end:
        raise _Refused("its directory is not where it should be")
    records = list(_entries(_read(fd, offset, length), count, fd, offset))
    _require_apart(records, offset)
    return _by_name(records)


def _ending(fd: int, size: int) -> tuple[int, int, int, int]:
    """(records, directory offset, directory length, directory end), from the last bytes of the file."""
    if size < 22:
        raise _Refused("it is cut off" if size else "it is empty")
    sign, disk, first, here, count, length, offset, comment = struct.unpack("<4s4H2LH", _read(fd, size - 22, 22))
    if sign != b"PK\x05\x06" or comment:
        raise _Refused("it does not end like an archive (cut off, or not made by torch.save)")
    if disk or first or here != count:
        raise _Refused("it is part of a split archive")
    wide = _wide_ending(fd, size)
    narrow = (count, offset, length)
    if wide is None:
        return *narrow, size - 22
    if any(small != min(large, top) for small, large, top in zip(narrow, wide, (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF))):
        raise _Refused("its two directories differ")
    return *wide, size - 22 - 20 - 56


def _wide_ending(fd: int, size: int) -> tuple[int, int, int] | None:
    """(records, offset, length) in 64 bits, where the archive has them: torch.save always writes both."""
    if size < 22 + 20 + 56:
        return None
    sign, _, where, _ = struct.unpack("<4sLQL", _read(fd, size - 42, 20))
    if sign != b"PK\x06\x07":
        return None
    fields = struct.unpack("<4sQ2H2L4Q", _read(fd, size - 42 - 56, 56))
    if where != size - 42 - 56 or fields[0] != b"PK\x06\x06" or fields[6] != fields[7]:
        raise _Refused("its large directory is damaged")
    return fields[7], fields[9], fields[8]


def _entries(data: bytes, count: int, fd: int, directory: int) -> Iterator[Record]:
    at = 0
    for _ in range(count):
        if at + 46 > len(data):
            raise _Refused("its directory is cut off")
        yield _entry(data, at, fd, directory)
        name, extra, comment = struct.unpack_from("<3H", data, at + 28)
        at += 46 + name + extra + comment
    if at != len(data):
        raise _Refused("its directory has more in it than it says")


def _entry(data: bytes, at: int, fd: int, directory: int) -> Record:
    sign, _, _, flags, method = struct.unpack_from("<4s4H", data, at)
    crc, packed, size, n_name, n_extra = struct.unpack_from("<3L2H", data, at + 16)
    (header,) = struct.unpack_from("<L", data, at + 42)
    if sign != b"PK\x01\x02":
        raise _Refused("its directory is damaged")
    if method or flags & ~0x0808:
        raise _Refused("a record is compressed or encrypted")
    name = data[at + 46 : at + 46 + n_name]
    extra = data[at + 46 + n_name : at + 46 + n_name + n_extra]
    size, packed, header = _large(extra, size, packed, header)
    if packed != size:
        raise _Refused("a record's two sizes differ")
    start = _data_start(fd, header, name, directory)
    if start + size > directory:
        raise _Refused("a record reaches beyond the file")
    return Record(name.decode("ascii", "replace"), header, start, size, crc)


def _large(extra: bytes, size: int, packed: int, header: int) -> tuple[int, int, int]:
    """Put 64-bit values in place of those that say they do not fit in 32."""
    values = [size, packed, header]
    if 0xFFFFFFFF not in values:
        return size, packed, header
    wide = iter(_wide_values(extra))
    try:
        size, packed, header = (next(wide) if value == 0xFFFFFFFF else value for value in values)
    except RuntimeError:
        raise _Refused("a large record has no size") from None
    return size, packed, header


def _wide_values(extra: bytes) -> Sequence[int]:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        body = extra[at + 4 : at + 4 + length]
        if kind == 1:
            return struct.unpack(f"<{len(body) // 8}Q", body[: len(body) // 8 * 8])
        at += 4 + length
    return ()


def _data_start(fd: int, header: int, name: bytes, directory: int) -> int:
    """Where a record's bytes begin; its own header must name the same file."""
    if header + 30 > directory:
        raise _Refused("a record lies outside the file")
    local = _read(fd, header, 30)
    flags, method = struct.unpack_from("<2H", local, 6)
    n_name, n_extra = struct.unpack_from("<2H", local, 26)
    if local[:4] != b"PK\x03\x04" or method or flags & ~0x0808 or n_name != len(name):
        raise _Refused("a record's header is damaged")
    if _read(fd, header + 30, n_name) != name:
        raise _Refused("a record has two names")
    return int(header + 30 + n_name + n_extra)


def _require_apart(records: list[Record], directory: int) -> None:
    ordered = sorted(records, key=lambda record: record.header)
    for first, second in pairwise(ordered):
        if first.start + first.size > second.header:
            raise _Refused("two records overlap")
    if ordered and ordered[-1].start + ordered[-1].size > directory:
        raise _Refused("a record reaches into the directory")


def _by_name(records: list[Record]) -> dict[str, Record]:
    """Records without the archive's own name in front, which all share."""
    found: dict[str, Record] = {}
    tops = {record.name.partition("/")[0] for record in records}
    for record in records:
        _, _, name = record.name.partition("/")
        if len(tops) != 1 or not _is_known(name):
            raise _Refused(f"it holds {record.name[:60]!a}")
        if name in found:
            raise _Refused(f"it holds {name!a} twice")
        found[name] = record
    return found


def _is_known(name: str) -> bool:
    return name == "data.pkl" or name in _SMALL or _STORAGE.fullmatch(name) is not None


def _require_little_endian(fd: int, records: dict[str, Record]) -> None:
    if "byteorder" in records and _bytes(fd, records["byteorder"]) != b"little":
        raise _Refused("it was written by a big-endian machine")


def _require_crc(fd: int, record: Record) -> None:
    crc = 0
    for begin in range(0, record.size, CHUNK):
        crc = zlib.crc32(_read(fd, record.start + begin, min(CHUNK, record.size - begin)), crc)
    if crc != record.crc:
        raise _Refused(f"{record.name!a} fails its checksum")


def _bytes(fd: int, record: Record) -> bytes:
    return _read(fd, record.start, record.size)


def _read(fd: int, offset: int, length: int) -> bytes:
    data = pread(fd, length, offset)
    if len(data) != length:
        raise _Refused("it is cut off")
    return data


# --- the description -------------------------------------------------------------------------------------------------


class _Global(NamedTuple):
    name: str


class _Storage(NamedTuple):
    key: str
    items: int


class _Tensor(NamedTuple):
    storage: _Storage


class _Ordered(dict[Any, Any]):
    """Stands for an OrderedDict, and keeps what its attributes were set to."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[Any] = []


_MARK = object()


def _require_plain(data: bytes, storages: dict[str, int], limits: Limits) -> None:
    """Run the pickle on a machine that knows only plain values and tensors, then measure what it built."""
    machine = _Machine(data, storages, limits)
    try:
        root = machine.run()
    except (IndexError, struct.error, UnicodeDecodeError, TypeError, ValueError):
        raise _Refused("its description is damaged") from None
    if machine.used.keys() != storages.keys():
        raise _Refused("it holds tensors that its description does not name")
    _require_bounded(root, limits)


class _Machine:
    """The subset of pickle's stack machine that torch.save uses for plain values and tensors."""

    def __init__(self, data: bytes, storages: dict[str, int], limits: Limits) -> None:
        self._data = data
        self._at = 0
        self._storages = storages
        self._limits = limits
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self.used: dict[str, tuple[str, int]] = {}

    def run(self) -> Any:
        """The value described, with tensors as placeholders."""
        steps = _STEPS
        data, limit = self._data, self._limits.opcodes
        for _ in range(limit):
            code = data[self._at]
            self._at += 1
            if code == 0x2E:  # STOP
                return self._result()
            step = steps.get(code)
            if step is None:
                raise _Refused(f"opcode {code:#04x} has no place in it")
            step(self)
        raise _Refused(f"its description takes more than {limit} steps")

    def _result(self) -> Any:
        if self._at != len(self._data) or len(self._stack) != 1:
            raise _Refused("its description does not end where it says")
        return self._stack[0]

    def _take(self, length: int) -> bytes:
        piece = self._data[self._at : self._at + length]
        if len(piece) != length:
            raise _Refused("its description is cut off")
        self._at += length
        return piece

    def _number(self, form: str) -> int:
        (value,) = struct.unpack(form, self._take(struct.calcsize(form)))
        return int(value)

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def proto(self) -> None:
        if self._at != 1 or self._take(1) != b"\x02":
            raise _Refused("its description is of another protocol")

    def text(self) -> None:
        length = self._number("<I")
        if length > MAX_TEXT:
            raise _Refused("a text in it is too long")
        self.push(self._take(length).decode("utf-8", "surrogatepass"))

    def integer(self, form: str) -> None:
        self.push(self._number(form))

    def long(self) -> None:
        self.push(int.from_bytes(self._take(self._take(1)[0]), "little", signed=True))

    def real(self) -> None:
        self.push(struct.unpack(">d", self._take(8))[0])

    def mark(self) -> None:
        self.push(_MARK)

    def since_mark(self) -> list[Any]:
        """Pop everything above the last mark, and the mark."""
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at] is _MARK:
                items = self._stack[at + 1 :]
                del self._stack[at:]
                return items
        raise _Refused("its description is damaged")

    def pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise _Refused("its description is damaged")
        return value

    def tuple_of(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(items)))

    def tuple_since_mark(self) -> None:
        self.push(tuple(self.since_mark()))

    def append(self) -> None:
        self._extend([self.pop()])

    def appends(self) -> None:
        self._extend(self.since_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise _Refused("its description appends to what is no list")
        target.extend(items)

    def setitem(self) -> None:
        value, key = self.pop(), self.pop()
        self._update([key, value])

    def setitems(self) -> None:
        self._update(self.since_mark())

    def _update(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise _Refused("its description sets items of what is no dictionary")
        for key, value in zip(items[::2], items[1::2]):
            if not (type(key) is str or (type(key) in (int, bool) and -MAX_KEY < key < MAX_KEY)):
                raise _Refused("a key in it is neither text nor a whole number")
            target[key] = value

    def put(self, form: str) -> None:
        at = self._number(form)
        if at > self._limits.opcodes:
            raise _Refused("its description is damaged")
        self._memo[at] = self._stack[-1]

    def get(self, form: str) -> None:
        at = self._number(form)
        if at not in self._memo:
            raise _Refused("its description is damaged")
        self.push(self._memo[at])

    def find_global(self) -> None:
        end = self._data.find(b"\n", self._data.find(b"\n", self._at, self._at + 200) + 1, self._at + 400)
        name = self._data[self._at : max(end, self._at)].decode("ascii", "replace").replace("\n", " ")
        if name not in GLOBALS:
            raise _Refused(f"it would import {name[:80]!a}")
        self._at = end + 1
        self.push(_Global(name))

    def build(self) -> None:
        """Attributes of an OrderedDict, such as a state_dict's _metadata."""
        state = self.pop()
        if type(self._stack[-1]) is not _Ordered or type(state) is not dict:
            raise _Refused("it would change an object's attributes")
        self._stack[-1].attributes.append(state)

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if type(function) is not _Global or type(arguments) is not tuple:
            raise _Refused("it would call something")
        match function.name, arguments:
            case str(name), () if name == ORDERED:
                self.push(_Ordered())
            case str(name), (tuple() as sizes,) if name == SIZE:
                self.push(tuple(_naturals(sizes)))
            case str(name), (_Tensor() as tensor, bool(), _Ordered()) if name == PARAMETER:
                self.push(tensor)
            case str(name), (_Storage() as storage, offset, sizes, strides, bool(), _Ordered() as hooks) if (
                name == TENSOR and not hooks
            ):
                self.push(_tensor(storage, offset, sizes, strides))
            case _:
                raise _Refused(f"it would call {function.name} with odd arguments")

    def persistent(self) -> None:
        match self.pop():
            case ("storage", _Global() as kind, str() as key, str() as location, int() as items):
                self.push(self._storage(kind.name.removeprefix("torch "), key, location, items))
            case _:
                raise _Refused("it refers to something outside")

    def _storage(self, kind: str, key: str, location: str, items: int) -> _Storage:
        if kind not in ITEM_BYTES or key not in self._storages or not _LOCATION.fullmatch(location):
            raise _Refused("a tensor has no data")
        if items < 0 or items * ITEM_BYTES[kind] != self._storages[key]:
            raise _Refused("a tensor's data is of another size than it says")
        if self.used.setdefault(key, (kind, items)) != (kind, items):
            raise _Refused("a tensor's data is used as two types")
        return _Storage(key, items)


def _tensor(storage: _Storage, offset: Any, sizes: Any, strides: Any) -> _Tensor:
    """A view of a storage: every element inside it, and no more elements than it has."""
    shape, steps, (begin,) = _naturals(sizes), _naturals(strides), _naturals((offset,))
    if len(shape) != len(steps) or len(shape) > MAX_DIMENSIONS:
        raise _Refused("a tensor has an odd shape")
    count = math.prod(shape)
    last = begin + sum((size - 1) * step for size, step in zip(shape, steps)) if count else begin
    if last + (1 if count else 0) > storage.items or count > storage.items:
        raise _Refused("a tensor is larger than its data")
    return _Tensor(storage)


def _naturals(values: Any) -> Sequence[int]:
    if type(values) is not tuple or any(type(v) is not int or not 0 <= v < MAX_KEY for v in values):
        raise _Refused("a tensor has an odd shape")
    return values


_STEPS: dict[int, Callable[[_Machine], None]] = {
    0x80: _Machine.proto,
    ord("X"): _Machine.text,
    ord("K"): lambda m: m.integer("<B"),
    ord("M"): lambda m: m.integer("<H"),
    ord("J"): lambda m: m.integer("<i"),
    0x8A: _Machine.long,
    ord("G"): _Machine.real,
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("("): _Machine.mark,
    ord(")"): lambda m: m.push(()),
    0x85: lambda m: m.tuple_of(1),
    0x86: lambda m: m.tuple_of(2),
    0x87: lambda m: m.tuple_of(3),
    ord("t"): _Machine.tuple_since_mark,
    ord("]"): lambda m: m.push([]),
    ord("a"): _Machine.append,
    ord("e"): _Machine.appends,
    ord("}"): lambda m: m.push({}),
    ord("s"): _Machine.setitem,
    ord("u"): _Machine.setitems,
    ord("q"): lambda m: m.put("<B"),
    ord("r"): lambda m: m.put("<I"),
    ord("h"): lambda m: m.get("<B"),
    ord("j"): lambda m: m.get("<I"),
    ord("c"): _Machine.find_global,
    ord("b"): _Machine.build,
    ord("R"): _Machine.reduce,
    ord("Q"): _Machine.persistent,
}


def _require_bounded(root: Any, limits: Limits) -> None:
    """Refuse what contains itself, nests deeply, or grows when shared parts are written out."""
    if _is_container(root):
        _Measure(limits).walk(root)


class _Measure:
    """Depth first over containers, each entered once: `nodes` is 0 while one is open, then its size written out."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._nodes: dict[int, int] = {}
        self._depths: dict[int, int] = {}
        self._stack: list[tuple[Any, bool]] = []
        self._open = 0

    def walk(self, root: Any) -> None:
        self._stack.append((root, False))
        while self._stack:
            value, finished = self._stack.pop()
            if finished:
                self._leave(value)
            elif id(value) not in self._nodes:
                self._enter(value)
            elif self._nodes[id(value)] == 0:
                raise _Refused("its structure contains itself")

    def _enter(self, value: Any) -> None:
        self._nodes[id(value)] = 0
        self._open += 1
        if self._open > self._limits.depth:
            raise _Refused("its structure is too deep")
        self._stack.append((value, True))
        each = {id(child): child for child in _inner(value)}
        self._stack.extend((child, False) for child in each.values())

    def _leave(self, value: Any) -> None:
        inner = _inner(value)
        nodes = 1 + len(value) + sum(self._nodes[id(child)] for child in inner)
        depth = 1 + max((self._depths[id(child)] for child in inner), default=0)
        if nodes > self._limits.nodes or depth > self._limits.depth:
            raise _Refused("its structure is too large")
        self._nodes[id(value)], self._depths[id(value)] = nodes, depth
        self._open -= 1


def _is_container(value: Any) -> bool:
    return isinstance(value, (list, dict)) or type(value) is tuple


def _inner(value: Any) -> list[Any]:
    direct = value.values() if isinstance(value, dict) else value
    hidden = value.attributes if type(value) is _Ordered else ()
    return [child for child in (*direct, *hidden) if _is_container(child)]
