"""Checkpoint files that somebody made to do harm, by kind. None of them may be loaded, nothing in them run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

CANARY = "canary-was-here"


def text(word: str) -> bytes:
    data = word.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def tuple_of(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def name(dotted: str) -> bytes:
    module, _, attribute = dotted.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def storage(kind: str, key: str, items: int, location: str = "cpu") -> bytes:
    return tuple_of(text("storage"), name(f"torch.{kind}"), text(key), text(location), number(items)) + b"Q"


def tensor(
    items: int = 4,
    offset: int = 0,
    sizes: tuple[int, ...] = (4,),
    strides: tuple[int, ...] = (1,),
    kind: str = "FloatStorage",
    key: str = "0",
) -> bytes:
    arguments = tuple_of(
        storage(kind, key, items), number(offset), tuple_of(*map(number, sizes)), tuple_of(*map(number, strides)),
        b"\x89", name("collections.OrderedDict") + b")R",
    )  # fmt: skip
    return name("torch._utils._rebuild_tensor_v2") + arguments + b"R"


def described(*body: bytes) -> bytes:
    return b"\x80\x02" + b"".join(body) + b"."


def dictionary(value: bytes) -> bytes:
    return described(b"}", text("a"), value, b"s")


def archive(
    description: bytes, data: bytes | None = bytes(16), compression: int = zipfile.ZIP_STORED, **more: bytes
) -> bytes:
    """A zip laid out as torch.save does."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr("a/data.pkl", description)
        file.writestr("a/version", "3\n")
        if data is not None:
            file.writestr("a/data/0", data)
        for key, value in more.items():
            file.writestr(key, value)
    return buffer.getvalue()


def harmless() -> bytes:
    """The control: made by the same means, and loadable."""
    return archive(dictionary(tensor()))


def calls(function: str, *arguments: bytes) -> bytes:
    return dictionary(name(function) + tuple_of(*arguments) + b"R")


class _System:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {CANARY}",)


def _legacy() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def _whole_module() -> bytes:
    buffer = io.BytesIO()
    torch.save(torch.nn.Linear(2, 2), buffer)
    return buffer.getvalue()


def _script() -> bytes:
    return archive(dictionary(tensor()), **{"a/constants.pkl": described(b")"), "a/code/__torch__.py": b"import os"})


def _flipped() -> bytes:
    data = bytearray(archive(dictionary(tensor()), b"\x01" * 16))
    data[data.index(b"\x01" * 16) + 3] ^= 4
    return bytes(data)


def _overlapping() -> bytes:
    """A record that lies inside another one's bytes, as in a bomb without compression."""
    two = dictionary(
        tuple_of(tensor(62, 0, (62,), kind="ByteStorage"), tensor(24, 0, (24,), kind="ByteStorage", key="1"))
    )
    data = archive(two, bytes(62), **{"a/data/1": bytes(24)})
    header = data[data.index(b"PK\x03\x04", data.index(b"a/data/0")) :][:62]
    data = archive(two, header, **{"a/data/1": bytes(24)})
    at = data.rindex(b"PK\x01\x02")
    inside = data.index(b"a/data/0") + len("a/data/0")
    return data[: at + 42] + struct.pack("<L", inside) + data[at + 46 :]


def _two_sizes() -> bytes:
    """A directory entry whose stored size is not the size of its bytes."""
    data = harmless()
    at = data.rindex(b"PK\x01\x02")
    return data[: at + 20] + struct.pack("<L", 12) + data[at + 24 :]


def _two_methods() -> bytes:
    """A record that is stored by its own header and compressed by the directory."""
    data = harmless()
    at = data.rindex(b"PK\x01\x02")
    return data[: at + 10] + b"\x08\x00" + data[at + 12 :]


def _two_names() -> bytes:
    """A record that is another file by its own header."""
    return harmless().replace(b"a/data/0", b"a/data/7", 1)


def _laughs() -> bytes:
    """Forty lists of two, each the next one's both items: 2^40 values when written out."""
    body = b"]q\x00"
    for level in range(40):
        inner = b"h" + bytes([level])
        body += b"](" + inner + inner + b"eq" + bytes([level + 1])
    return tuple_of(body)


def _claims_records(count: int) -> bytes:
    return harmless()[:-22] + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, 1 << 31, 0, 0)


LARGE = b"}q\x00(" + b"".join(text(str(i)) + b"]" for i in range(20_000)) + b"u"
SHELL = text(f"touch {CANARY}")
PICKLES: dict[str, bytes] = {
    "code: os.system": calls("os.system", SHELL),
    "code: posix.system": calls("posix.system", SHELL),
    "code: eval": calls("builtins.eval", text("1")),
    "code: exec": calls("builtins.exec", text("1")),
    "code: getattr": calls("builtins.getattr", name("torch.FloatStorage"), text("__class__")),
    "code: runpy": calls("runpy._run_code", SHELL),
    "code: torch.hub": calls("torch.hub.load", text("a/b"), text("c")),
    "code: codecs": calls("_codecs.encode", text("a"), text("rot13")),
    "code: numpy": calls("numpy._core.multiarray._reconstruct", SHELL),
    "code: python 2 name": calls("__builtin__.eval", text("1")),
    "code: only the import": dictionary(name("antigravity.fly")),
    "code: protocol 4 name": b"\x80\x04\x8c\x02os\x8c\x06system\x93" + SHELL + b"\x85R.",
    "code: pickled object": pickle.dumps({"a": _System()}, protocol=2),
    "code: inst": described(b"(" + SHELL + b"ios\nsystem\n"),
    "code: obj": described(b"(" + name("os.system") + SHELL + b"o"),
    "code: newobj": dictionary(name("collections.OrderedDict") + b")\x81"),
    "code: extension": described(b"\x82\x01"),
    "code: attributes of a tensor": dictionary(tensor() + b"}" + text("data") + b"Nsb"),
    "code: calls a tensor": dictionary(tensor() + b")R"),
    "code: text reference": described(b"Pstorage\n"),
    "code: location": dictionary(tensor().replace(text("cpu"), text("cpu;x"))),
    "code: hooks": dictionary(tensor().replace(b")R", b")R" + text("a") + name("torch.Size") + b"s")),
    "memory: larger than its data": dictionary(tensor(sizes=(5,))),
    "memory: beyond its data": dictionary(tensor(offset=1)),
    "memory: before its data": dictionary(tensor(offset=-1)),
    "memory: negative stride": dictionary(tensor(strides=(-1,))),
    "memory: negative size": dictionary(tensor(sizes=(-4,))),
    "memory: wide stride": dictionary(tensor(sizes=(2,), strides=(1 << 62,))),
    "memory: more items than bytes": dictionary(tensor(items=1 << 40, sizes=(1 << 40,))),
    "memory: other item size": dictionary(tensor(kind="DoubleStorage")),
    "memory: negative items": dictionary(tensor(items=-4)),
    "memory: sparse indices": calls("torch._utils._rebuild_sparse_tensor", b"N"),
    "memory: odd dimensions": dictionary(tensor(sizes=(2, 2), strides=(1,))),
    "memory: shape is no tuple": dictionary(tensor().replace(tuple_of(number(4)), b"]")),
    "memory: one storage as two types": dictionary(tuple_of(tensor(), tensor(kind="IntStorage"))),
    "bomb: stride 0": dictionary(tensor(sizes=(1 << 40,), strides=(0,))),
    "bomb: shared lists": described(_laughs()),
    "bomb: contains itself": described(b"]q\x00h\x00a"),
    "bomb: deep": described(b"]" * 90_000 + b"a" * 89_999),
    "bomb: many steps": described(b"]" + b"Na" * 2_000_000),
    "bomb: many marks": described(b"(" * 90_000 + b"t" * 90_000),
    "bomb: endless": b"\x80\x02" + b"N" * 1_000_000,
    "bomb: long text": described(b"X\xff\xff\xff\x7f"),
    "bomb: wide number": described(b"\x8a\xff" + b"\x7f" * 255, b"0" * 10),
    "bomb: memo": described(b"]r\xff\xff\xff\xff"),
    "bomb: attributes set again and again": described(
        LARGE, b"\x85", name("collections.OrderedDict"), b")R", b"h\x00b" * 50_000, b"\x86"
    ),
    "bomb: one part again and again": described(LARGE, b"\x85](", b"h\x00" * 90_000, b"e\x86"),
    "bomb: attributes that contain themselves": described(
        name("collections.OrderedDict") + b")Rq\x00}" + text("a") + b"h\x00sb"
    ),
    "damaged: empty stack": described(b"a"),
    "damaged: append to none": described(b"NNa"),
    "damaged: no end": b"\x80\x02}",
    "damaged: more behind": dictionary(tensor()) + b"cos\nsystem\n",
    "damaged: odd items": described(b"}(" + text("a") + b"u"),
    "damaged: list as key": described(b"}]Ns"),
    "damaged: bad text": described(b"X\x01\x00\x00\x00\xff"),
    "damaged: another protocol": b"\x80\x05N.",
    "damaged: unused tensor": described(b"}"),
}  # fmt: skip
FILES: dict[str, Callable[[], bytes]] = {
    "archive: empty file": lambda: b"",
    "archive: text": lambda: b"hello " * 100,
    "archive: zeros": lambda: bytes(100_000),
    "archive: cut": lambda: harmless()[:-30],
    "archive: more behind": lambda: harmless() + b"x",
    "archive: plain pickle": lambda: pickle.dumps({"a": _System()}),
    "archive: old torch": _legacy,
    "archive: whole module": _whole_module,
    "archive: script": _script,
    "archive: flipped bit": _flipped,
    "archive: overlapping": _overlapping,
    "archive: two sizes": _two_sizes,
    "archive: two methods": _two_methods,
    "archive: two names": _two_names,
    "archive: deflated bomb": lambda: archive(
        dictionary(tensor(1 << 24, 0, (1 << 24,))), bytes(1 << 26), zipfile.ZIP_DEFLATED
    ),
    "archive: deflated description": lambda: archive(described(b"]" + b"Na" * 3_000_000), None, zipfile.ZIP_DEFLATED),
    "archive: path": lambda: archive(dictionary(tensor()), **{"a/../../etc/passwd": b"x"}),
    "archive: absolute path": lambda: archive(dictionary(tensor()), **{"/etc/passwd": b"x"}),
    "archive: no description": lambda: archive(b"", None).replace(b"data.pkl", b"data/999"),
    "archive: missing tensor": lambda: archive(dictionary(tensor()), None),
    "archive: two roots": lambda: archive(dictionary(tensor()), **{"b/data.pkl": described(b"N")}),
    "archive: 65534 records claimed": lambda: _claims_records(65_534),
    "archive: many records": lambda: archive(described(b"}"), None, **{f"a/data/{i}": b"" for i in range(30_000)}),
    "archive: big endian": lambda: archive(dictionary(tensor()), **{"a/byteorder": b"big"}),
}  # fmt: skip


def made(kind: str) -> bytes:
    """One hostile file's bytes: tensors have data where they are named."""
    if kind in FILES:
        return FILES[kind]()
    named = b"Storage" in PICKLES[kind] or kind == "damaged: unused tensor"
    return archive(PICKLES[kind], bytes(16) if named else None)


def write_all(directory: Path) -> dict[str, Path]:
    """Every hostile file, pipe, link and directory, by kind."""
    files: dict[str, Path] = {}
    for index, kind in enumerate((*PICKLES, *FILES)):
        files[kind] = directory / f"{index}.pt"
        files[kind].write_bytes(made(kind))
    return files | _places(directory)


def _places(directory: Path) -> dict[str, Path]:
    names = ("pipe", "link", "zero", "nowhere", "directory", "sparse", "absent")
    made = {f"place: {name}": directory / f"{name}.pt" for name in names}
    os.mkfifo(made["place: pipe"])
    (directory / "good").write_bytes(harmless())
    made["place: link"].symlink_to(directory / "good")
    made["place: zero"].symlink_to("/dev/zero")
    made["place: nowhere"].symlink_to(directory / "gone")
    made["place: directory"].mkdir()
    with open(made["place: sparse"], "wb") as file:
        file.truncate(8 << 30)
    return made | {"place: /dev/zero": Path("/dev/zero"), "place: /dev/tty": Path("/dev/tty")}
