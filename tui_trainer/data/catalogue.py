"""A folder, or a file, of a person's data: every file with its category, its scores, or why it is not used.

The category is the name of the first folder on the way to a file; files that lie in none get theirs from what was
measured of them. Measuring is done by worker processes, once for each content: see `Store`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tui_trainer.core.data import DataKind, DataReport
from tui_trainer.core.text import clean_line
from tui_trainer.data import bars, requests, splits, tables
from tui_trainer.data.store import Store
from tui_trainer.data.workers import Failed, Workers
from tui_trainer.errors import MissingExtra, UsageError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MOST_BYTES: dict[DataKind, int] = {"images": 64 * 2**20, "bars": 2**32, "requests": 2**34}
TIMEOUT_S: dict[DataKind, float] = {"images": 30.0, "bars": 600.0, "requests": 600.0}
NEEDS: dict[DataKind, tuple[str, str]] = {"images": ("PIL", "vector")}
SHOWN = 8
"""Rejects that a report quotes in full."""
SHOWN_SCORES: dict[DataKind, tuple[str, ...]] = {
    "images": ("sharpness", "contrast", "complexity", "noise", "quality"),
    "bars": ("bars", "gaps", "rejected", "missing", "efficiency"),
    "requests": ("requests", "objects", "asked once", "busiest tenth"),
}


class Item(msgspec.Struct, frozen=True):
    """A file: measured, or rejected for a reason (one word or two) with its detail."""

    path: str
    """Relative to the source."""
    size: int
    sha256: str = ""
    category: str = ""
    scores: dict[str, float] = {}
    look: str = ""
    reject: str = ""
    detail: str = ""
    rows: dict[str, int] = {}
    """Rows of a table that are not used, by reason."""


class Measured(msgspec.Struct, frozen=True):
    """What a worker found in a file; kept by the hash of the content."""

    scores: dict[str, float] = {}
    category: str = ""
    look: str = ""
    reject: str = ""
    detail: str = ""
    rows: dict[str, int] = {}


class Catalogue(NamedTuple):
    """What a source holds."""

    source: Path
    kind: DataKind
    items: tuple[Item, ...]

    @property
    def used(self) -> tuple[Item, ...]:
        """Those that are not rejected."""
        return tuple(item for item in self.items if not item.reject)

    def split(self, share: float, seed: int, final_share: float = 0.0) -> splits.Split:
        """Of the used items, by their index among them; `final_share` of those held out are for the end alone."""
        used = self.used
        groups = splits.groups_of([item.look for item in used])
        kinds, names = [i.category for i in used], [i.sha256 for i in used]
        found = splits.split(kinds, groups, names, share, seed)
        return splits.parted(found, kinds, groups, names, final_share, seed) if final_share else found

    def report(self, split: splits.Split | None = None) -> DataReport:
        """The catalogue as a value."""
        used, rejected = self.used, [item for item in self.items if item.reject]
        groups = splits.groups_of([item.look for item in used])
        reasons = Counter(item.reject for item in rejected)
        for item in used:
            reasons.update({f"{reason} rows": count for reason, count in item.rows.items()})
        return DataReport(
            source=clean_line(str(self.source)),
            kind=self.kind,
            digest=_digest(used),
            files=len(self.items),
            used=len(used),
            categories=dict(sorted(Counter(clean_line(item.category) for item in used).items())),
            rejects=dict(reasons.most_common()),
            examples=tuple(_quoted(item) for item in rejected[:SHOWN]),
            scores=_spread(used, SHOWN_SCORES[self.kind]),
            split={} if split is None else _counts(split),
            near_duplicates=len(groups) - len(set(groups)),
        )


def _counts(split: splits.Split) -> dict[str, int]:
    counts = {"training": len(split.train), "held out": len(split.held_out)}
    return {**counts, "final": len(split.final)} if split.final else counts


def examine(source: Path, kind: DataKind | None = None, *, jobs: int = 1, store: Store | None = None) -> Catalogue:
    """Every file of a source, in the order of their names. Raises UsageError where there is nothing, MissingExtra."""
    files = _files(source)
    kind = kind or kind_of_source(source, files)
    require_libraries(kind, files)
    root = source if source.is_dir() else source.parent
    items = [_hashed(path, root, kind) for path in files]
    measured = _measured([(item, root / item.path) for item in items if not item.reject], kind, jobs, store)
    return Catalogue(source, kind, tuple(_without_doubles(_merged(item, measured) for item in items)))


def measure(job: tuple[DataKind, str]) -> Measured:
    """One file, in a worker process. What cannot be used is rejected."""
    kind, path = job
    if kind == "images":
        return _measure_image(Path(path))
    try:
        return measure_bars(bars.read(Path(path))) if kind == "bars" else measure_requests(requests.read(Path(path)))
    except UsageError as error:
        return Measured(reject="broken", detail=error.message.removeprefix(f"{path}: ").removeprefix(f"{path} "))


def _measure_image(path: Path) -> Measured:
    from tui_trainer.data import images

    try:
        seen = images.examine(path)
    except images.Unusable as error:
        return Measured(reject=error.reason, detail=error.detail)
    return Measured(seen.scores, seen.kind, seen.look)


def measure_bars(found: bars.Found) -> Measured:
    """A table that was read."""
    scores = bars.scores(found)
    return Measured(scores, bars.kind_of(scores), rows=dict(Counter(reject.reason for reject in found.rejects)))


def measure_requests(trace: requests.Trace) -> Measured:
    """A trace that was read."""
    scores = requests.scores(trace)
    return Measured(scores, requests.kind_of(scores))


# --- files -------------------------------------------------------------------------------------------------------


def _files(source: Path) -> list[Path]:
    """Regular files, hidden ones left out. Raises UsageError."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise UsageError(f"{source} is no file and no folder", "name a folder of images, tables or traces")
    found = [p for p in sorted(source.rglob("*")) if p.is_file() and not _is_hidden(p.relative_to(source))]
    if not found:
        raise UsageError(f"{source} holds no files", "name a folder of images, tables or traces")
    return found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def kind_of_source(source: Path, files: Sequence[Path]) -> DataKind:
    """What most of the files are. Raises UsageError where they are nothing that is known."""
    counts = Counter(kind for kind in map(_kind_of_file, files) if kind)
    if not counts:
        raise UsageError(f"{source} holds no images, no OHLCV tables and no traces", "images, .csv, .parquet, ids")
    return counts.most_common(1)[0][0]


def _kind_of_file(path: Path) -> DataKind | None:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "images"
    if suffix == ".parquet":
        return "bars"
    if suffix == ".csv":
        return "requests" if _names_ids(path) else "bars"
    return "requests" if suffix in (".txt", ".trace") or "oraclegeneral" in path.name.lower() else None


def _names_ids(path: Path) -> bool:
    try:
        return bool(set(tables.header(path)) & set(requests.NAMES))
    except UsageError:
        return False


def require_libraries(kind: DataKind, files: Iterable[Path]) -> None:
    """Raises MissingExtra before any worker would."""
    library, extra = NEEDS.get(kind, ("", ""))
    if kind == "bars" and any(path.suffix.lower() == ".parquet" for path in files):
        library, extra = "polars", "data"
    if library and importlib.util.find_spec(library) is None:
        raise MissingExtra(f"{kind} need the library {library}", f'install it with: pip install "tui-trainer[{extra}]"')


def _hashed(path: Path, root: Path, kind: DataKind) -> Item:
    name = path.relative_to(root).as_posix()
    try:
        size = path.stat().st_size
        reject, detail = _objection(path, size, kind)
        if reject:
            return Item(name, size, reject=reject, detail=detail)
        with path.open("rb") as file:
            return Item(name, size, hashlib.file_digest(file, "sha256").hexdigest(), category=_folder(name))
    except OSError as error:
        return Item(name, 0, reject="unreadable", detail=error.strerror or "")


def _objection(path: Path, size: int, kind: DataKind) -> tuple[str, str]:
    if _kind_of_file(path) != kind:
        return "foreign", f"not among {kind}"
    if size == 0:
        return "broken", "empty"
    if size > MOST_BYTES[kind]:
        return "huge", f"{size:,} bytes"
    return "", ""


def _folder(name: str) -> str:
    first, slash, _ = name.partition("/")
    return first if slash else ""


# --- measuring ---------------------------------------------------------------------------------------------------


def _measured(
    wanted: Sequence[tuple[Item, Path]], kind: DataKind, jobs: int, store: Store | None
) -> dict[str, Measured]:
    """By hash: from the store where it is known, otherwise from the workers."""
    paths = {item.sha256: path for item, path in wanted}
    store = store or Store(None)
    known = {sha: msgspec.json.decode(value, type=Measured) for sha, value in store.get(kind, paths).items()}
    missing = [sha for sha in paths if sha not in known]
    workers = Workers("tui_trainer.data.catalogue:measure", min(jobs, len(missing)), TIMEOUT_S[kind])
    try:
        found = workers.map([(kind, str(paths[sha])) for sha in missing])
    finally:
        workers.close()
    lasting = {sha: each for sha, each in zip(missing, found) if isinstance(each, Measured)}
    store.put(kind, {sha: msgspec.json.encode(each) for sha, each in lasting.items()})
    failed = {sha: Measured(reject="broken", detail=e.why) for sha, e in zip(missing, found) if isinstance(e, Failed)}
    return {**known, **lasting, **failed}


def _merged(item: Item, measured: dict[str, Measured]) -> Item:
    if item.reject:
        return item
    m = measured[item.sha256]
    return Item(
        item.path, item.size, item.sha256, item.category or m.category, m.scores, m.look, m.reject, m.detail, m.rows
    )


def _without_doubles(items: Iterable[Item]) -> Iterable[Item]:
    """The same content a second time is a reject."""
    first: dict[str, str] = {}
    for item in items:
        if item.reject or first.setdefault(item.sha256, item.path) == item.path:
            yield item
        else:
            yield msgspec.structs.replace(item, reject="duplicate", detail=f"the same as {first[item.sha256]}")


# --- telling -----------------------------------------------------------------------------------------------------


def _quoted(item: Item) -> str:
    return clean_line(f"{item.path}: {item.reject}" + (f", {item.detail}" if item.detail else ""))


def _spread(used: Sequence[Item], names: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    found = {name: [item.scores[name] for item in used if name in item.scores] for name in names}
    return {name: (min(v), statistics.median(v), max(v)) for name, v in found.items() if v}


def _digest(used: Sequence[Item]) -> str:
    lines = sorted(f"{item.category}/{item.sha256}" for item in used)
    return hashlib.sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()
