"""`sessions verify | prune | pack | unpack | export`: the disk side, without loading torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from tui_trainer.cli import find
from tui_trainer.core.format import size
from tui_trainer.core.rows import Row
from tui_trainer.errors import SessionInUse, StorageError, UsageError
from tui_trainer.sessions import export, pack
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.index import state_at_end
from tui_trainer.sessions.pruning import prune_by_hand
from tui_trainer.sessions.retention import room
from tui_trainer.sessions.store import Session
from tui_trainer.sessions.verify import verify


def verify_session(sessions: str | None, name: str, *, json: bool) -> int:
    """Every check, and what would mend what is broken; 2 where anything is."""
    verdict = verify(find.session(sessions, name).path)
    if json:
        sys.stdout.write(msgspec.json.encode(verdict).decode() + "\n")
    else:
        for finding in verdict.findings:
            print(f"{finding.level:<8} {finding.where:<28} {finding.text}".rstrip())
            if finding.repair:
                print(f"{'':8} → {finding.repair}")
    return 0 if verdict.ok else 2


def prune(sessions: str | None, name: str, keep_last: int | None, keep_best: int | None, *, yes: bool) -> None:
    """Show what would be freed; delete it with `yes`."""
    session = find.session(sessions, name)
    keep = session.read().settings().manager.checkpoints
    last, best = keep_last or keep.keep_last, keep_best or keep.keep_best
    store = CheckpointStore(session.path)
    doomed = store.plan(last, best, keep.max_gib)
    before = store.manifests()
    freed = room(before) - room(m for m in before if m not in doomed)
    for manifest in doomed:
        print(f"{manifest.path:<32} {manifest.kind:<10} {size(manifest.size):>10}")
    print(f"{len(doomed)} checkpoints, {size(freed)}; kept: {last} last, {best} best, manual ones")
    if not yes:
        print("nothing deleted; say --yes to delete them" if doomed else "nothing to delete")
        return
    print(f"deleted {len(prune_by_hand(session, last, best, keep.max_gib))}")


def pack_session(sessions: str | None, name: str, target: str | None) -> None:
    """One compressed file with every hash in it."""
    session = _resting(sessions, name)
    path = Path(target or f"{session.name}.tui.zip")
    index = pack.pack(session, path)
    print(f"{path}: {len(index.files)} files, {size(path.stat().st_size)}")
    if index.left_out:
        print(f"left out, since they act on this machine or hold a secret: {', '.join(index.left_out)}")


def unpack_session(sessions: str | None, source: str, name: str) -> None:
    """Check every hash, then make the session."""
    session = pack.unpack(Path(source), find.root(sessions), name)
    left = session.read().lineage.get(pack.LEFT_OUT, [])
    if left:
        print(f"left out, since they act on this machine: {', '.join(left)}; `resume --set` gives them anew")
    print(f"{session.name}: `tui-trainer replay {session.name}` plays it, `tui-trainer resume {session.name}` goes on")


class Export(msgspec.Struct):
    """What `sessions export` was told."""

    sessions: str | None
    name: str
    form: str
    cleanrl: bool
    machine: bool
    target: str | None
    what: str = "metrics"


FORMATS = ("csv", "json", "parquet", "tensorboard")
LISTS = ("decisions", "models")


def export_session(wish: Export) -> None:
    """Metrics, decisions or model versions, to a file or stdout."""
    if wish.what == "metrics":
        export_metrics(wish)
    elif wish.what in LISTS:
        export_list(wish)
    else:
        raise UsageError(f"--what {wish.what}: there is no such thing", f"one of metrics, {', '.join(LISTS)}")


def export_list(wish: Export) -> None:
    """Decisions or model versions, as CSV or JSON."""
    if wish.form not in ("csv", "json"):
        raise UsageError(f"--format {wish.form}: not a format of {wish.what}", "one of csv, json")
    if wish.cleanrl or wish.machine:
        raise UsageError("--cleanrl and --machine are for metrics", "leave them out")
    text, rows = _list(find.session_or_sample(wish.sessions, wish.name), wish.what, wish.form)
    if wish.target is None:
        sys.stdout.write(text)
        return
    _put(Path(wish.target), text)
    print(f"{wish.target}: {rows} rows")


def export_metrics(wish: Export) -> None:
    """Every logged metric, as text to a file or stdout, as Parquet to a file, as TensorBoard's into a directory."""
    if wish.form not in FORMATS:
        raise UsageError(f"--format {wish.form}: not a format", f"one of {', '.join(FORMATS)}")
    if wish.target is None and wish.form in ("parquet", "tensorboard"):
        raise UsageError(f"--format {wish.form} needs a place", "--out FILE, for tensorboard a directory")
    names = export.CLEANRL if wish.cleanrl else None
    session = find.opened(wish.sessions, wish.name)
    if isinstance(session, Session):
        rows = export.metric_rows(session.journal_path, names, machine=wish.machine)
    else:
        rows = export.rows_of(session.events, names, machine=wish.machine)
    if wish.target is None:
        sys.stdout.write(_text(rows, wish.form))
        return
    try:
        _write(rows, wish.form, Path(wish.target))
    except OSError as error:
        raise StorageError(f"{wish.target}: {error.strerror}") from None
    print(f"{wish.target}: {len(rows)} rows")


def _text(rows: list[Row], form: str) -> str:
    return export.as_csv(rows) if form == "csv" else export.as_json(rows)


def _write(rows: list[Row], form: str, target: Path) -> None:
    match form:
        case "parquet":
            target.write_bytes(export.as_parquet(rows))
        case "tensorboard":
            from tui_trainer.services.tensorboard import write_rows

            write_rows(rows, target)
        case _:
            target.write_text(_text(rows, form), encoding="utf-8")


def _list(session: Session, what: str, form: str) -> tuple[str, int]:
    """The text and how many rows it has."""
    if what == "models":
        table = export.model_table(state_at_end(session.journal_path))
    else:
        table = export.decision_table(session.journal_path)
    return (export.table_as_csv(table) if form == "csv" else export.table_as_json(table)), len(table)


def _put(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from None


def exporter(session: Session) -> Callable[[str, str], str]:
    """For a view: writes a list of this session into the working directory, never over another file."""

    def write_list(what: str, form: str) -> str:
        text, rows = _list(session, what, form)
        names = (f"{session.name}-{what}{number}.{form}" for number in ("", *(f"-{n}" for n in range(2, 1000))))
        path = next(path for path in map(Path, names) if not path.exists())
        _put(path, text)
        return f"{path}: {rows} rows"

    return write_list


def _resting(sessions: str | None, name: str) -> Session:
    session = find.session(sessions, name)
    owner = session.owner()
    if owner:
        raise SessionInUse(f"{session.name} is live, pid {owner.pid}", "pack it when it has ended")
    return session
