"""Looks through all that a session has on disk: what is wrong, and what would put it right. Changes nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from tui_trainer.core.events import AnyEvent, CheckpointSaved, CheckpointsPruned, RunResumed, RunStarted
from tui_trainer.core.format import count
from tui_trainer.core.values import CheckpointKind
from tui_trainer.errors import TuiTrainerError
from tui_trainer.sessions import segments, strict
from tui_trainer.sessions.checkpoints import LEFTOVER, STATE_FILE, CheckpointStore, Manifest, Survey
from tui_trainer.sessions.files import shown
from tui_trainer.sessions.journal import Entry, iter_journal
from tui_trainer.sessions.names import SESSION_FILE, find
from tui_trainer.sessions.retention import prunable
from tui_trainer.sessions.store import Session, SessionFile, is_untouched

Level: TypeAlias = Literal["ok", "note", "damaged"]


class Finding(msgspec.Struct, frozen=True):
    """One thing seen: `note` is harmless, `damaged` is lost or cannot be trusted; `repair` says what would help."""

    level: Level
    where: str
    text: str
    repair: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """All findings on a session."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Nothing is damaged."""
        return all(finding.level != "damaged" for finding in self.findings)


def verify(path: Path) -> Verdict:
    """Check session.toml, journal, every hash and structure of every checkpoint, and lineage. Loads no torch."""
    session = Session.open(path)
    events: list[AnyEvent] = []
    findings = [*_file(session), *_journal(session.journal_path, events)]
    store = CheckpointStore(path)
    survey = store.survey()
    findings += [*_checkpoints(store, survey, path), *_acknowledged(session, survey, events), *_resumed(events)]
    findings += _leftovers(path)
    findings += [*_lineage(session), *_private(path)]
    return Verdict(session.name, tuple(findings))


def _file(session: Session) -> Iterator[Finding]:
    try:
        file = session.read()
    except TuiTrainerError as error:
        yield Finding("damaged", "session.toml", str(error), "restore it from a copy; checkpoints load without it")
        return
    if not is_untouched(session.path / SESSION_FILE):
        yield Finding("note", "session.toml", "was edited or damaged since it was written", "compare it with a copy")
    yield Finding("ok", "session.toml", f"format {file.format}, {file.status.state}, update {file.status.update}")


def _journal(path: Path, events: list[AnyEvent]) -> Iterator[Finding]:
    """Findings on the journal; the events that checkpoints and resumes are compared with go into `events`."""
    if not path.exists():
        yield Finding("damaged", "events.jsonl", "is missing", "checkpoints still load; the history is gone")
        return
    try:
        entries = list(_remembered(iter_journal(path), events))
    except TuiTrainerError as error:
        yield Finding("damaged", "events.jsonl", str(error))
        return
    yield from _lines(entries)


class _Line(msgspec.Struct, frozen=True):
    """What is kept of a journal's line."""

    seq: int
    number: int
    problem: str
    newer: bool
    torn: bool


def _remembered(entries: Iterable[Entry], events: list[AnyEvent]) -> Iterator[_Line]:
    for number, entry in enumerate(entries, 1):
        event = entry.event
        if isinstance(event, (CheckpointSaved, CheckpointsPruned, RunResumed, RunStarted)):
            events.append(event)
        yield _Line(event.seq if event else 0, number, entry.problem, entry.newer, entry.torn)


def _lines(lines: list[_Line]) -> Iterator[Finding]:
    good = [line.seq for line in lines if line.seq]
    yield Finding("ok", "events.jsonl", f"{count(len(good))} events, the last is number {good[-1] if good else 0}")
    for line in lines:
        if line.torn:
            yield Finding("note", f"events.jsonl:{line.number}", "the last line is cut", "the next run closes it")
        elif line.newer:
            yield Finding("note", f"events.jsonl:{line.number}", "is of a newer version", "upgrade to see it")
        elif not line.seq:
            yield Finding("damaged", f"events.jsonl:{line.number}", line.problem, "it is skipped by every reader")
    missing = good[-1] - good[0] + 1 - len(good) if good else 0
    if missing > sum(not line.seq and not line.torn for line in lines):
        yield Finding("damaged", "events.jsonl", f"{missing} numbers are missing between the first and the last event")


def _checkpoints(store: CheckpointStore, survey: Survey, path: Path) -> Iterator[Finding]:
    for bad in survey.bad:
        yield Finding(
            "damaged", f"checkpoints/{bad.directory}", bad.why, "it is passed over; delete it to be rid of it"
        )
    for manifest in survey.good:
        yield _checkpoint(store, path, manifest)
    if not survey.good:
        yield Finding("note" if not survey.bad else "damaged", "checkpoints", "there is none to resume from")


def _checkpoint(store: CheckpointStore, path: Path, manifest: Manifest) -> Finding:
    try:
        store.verify(manifest)
        strict.check_file(path / manifest.path / STATE_FILE, strict.OWN)
    except TuiTrainerError as error:
        return Finding("damaged", manifest.path, str(error), "the one before it is used; delete it to be rid of it")
    return Finding("ok", manifest.path, f"{manifest.kind}, step {count(manifest.global_step)}, hashes match")


def _acknowledged(session: Session, survey: Survey, events: list[AnyEvent]) -> Iterator[Finding]:
    """Every checkpoint that history says was saved, and not that it was pruned, must be there, and be that one."""
    seen = {manifest.path: manifest.state_sha256 for manifest in survey.good}
    bad = {f"checkpoints/{one.directory}" for one in survey.bad}
    pruned = {path for event in events if isinstance(event, CheckpointsPruned) for path in event.paths}
    saved = [e for e in events if isinstance(e, CheckpointSaved) and e.path not in pruned | bad]
    gone = [event for event in saved if event.path not in seen]
    outdated = _outdated(session, gone, survey.good)
    for event in gone:
        if event.path in outdated:
            yield Finding("note", event.path, "was pruned; a kill kept that out of the history")
        else:
            yield Finding("damaged", event.path, "was saved and is gone", "restore it from a copy if you need it")
    for event in saved:
        if event.path in seen and seen[event.path] != event.state_sha256:
            yield Finding("damaged", event.path, "is not the one whose saving is in the history")


class _Past(msgspec.Struct, frozen=True):
    """A checkpoint that is gone, as retention would have seen it."""

    number: int
    kind: CheckpointKind
    score: float | None
    size: int
    path: str
    buffer: dict[str, int] = {}


def _outdated(session: Session, gone: Iterable[CheckpointSaved], good: Sequence[Manifest]) -> set[str]:
    """Those that the session's own retention deletes beside the ones that are there: a killed run has pruned before it
    could say so."""
    try:
        keep = session.read().settings().manager.checkpoints
    except TuiTrainerError:
        return set()
    past = [_Past(e.number, e.kind, e.score, e.size, e.path) for e in gone]
    there = [_Past(m.number, m.kind, m.score, m.size, m.path, m.buffer) for m in good]
    return {one.path for one in prunable([*past, *there], keep.keep_last, keep.keep_best, keep.max_gib)}


def _resumed(events: list[AnyEvent]) -> Iterator[Finding]:
    """Every resume must go back to a checkpoint that was saved before it."""
    saved: set[str] = set()
    for event in events:
        if isinstance(event, CheckpointSaved):
            saved.add(event.path)
        elif isinstance(event, RunResumed) and event.checkpoint and event.checkpoint not in saved:
            text = f"event {event.seq} resumed from {event.checkpoint}, whose saving is not in the history"
            yield Finding("note", "events.jsonl", text, "an engine that was killed between saving and telling")


def _leftovers(path: Path) -> Iterator[Finding]:
    for inner, leftover in (("checkpoints", LEFTOVER), (segments.DIRECTORY, segments.LEFTOVER)):
        directory = path / inner
        for name in sorted(os.listdir(directory)) if directory.is_dir() else []:
            if leftover.fullmatch(name):
                yield Finding("note", f"{inner}/{name}", "is left of an interrupted save", "the next run deletes it")


def _lineage(session: Session) -> Iterator[Finding]:
    """A fork's parent, where it lies beside it, must still have the state that the fork began from."""
    try:
        file = session.read()
    except TuiTrainerError:
        return
    if file.lineage.get("parent"):
        yield _parent(file, session.path.parent)


def _parent(file: SessionFile, root: Path) -> Finding:
    parent, digest = str(file.lineage["parent"]), file.lineage.get("state_sha256")
    try:
        path = find(root, parent)
    except TuiTrainerError:
        return Finding("note", "lineage", f"its parent {shown(parent)} is not here")
    known = [m.directory for m in CheckpointStore(path).manifests() if m.state_sha256 == digest]
    if digest and not known:
        return Finding("note", "lineage", f"its parent {shown(parent)} no longer has the checkpoint it began from")
    return Finding("ok", "lineage", f"began from {shown(parent)} {known[0] if known else ''}".rstrip())


def _private(path: Path) -> Iterator[Finding]:
    """A report is written to be shown: who may enter the session may read it."""
    inner = (p for p in path.rglob("*") if p.relative_to(path).parts[0] != "report")
    odd = [p for p in (path, *inner) if stat.S_IMODE(os.lstat(p).st_mode) & 0o077 and not p.is_symlink()]
    if odd:
        text = f"{len(odd)} of its files or directories can be entered by others, such as {shown(odd[0].name)}"
        yield Finding("note", "permissions", text, f"chmod -R go= {shown(path)}")
