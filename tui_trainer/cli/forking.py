"""`fork`: a new session that begins at a checkpoint of another, or at a bare state.pt."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from tui_trainer.cli import find
from tui_trainer.cli.running import go_on, may_show, require_app_terminal, require_own_loop
from tui_trainer.core.config import Layer, assignments_layer, resolve, to_table
from tui_trainer.engine.examine import Subject, from_file, from_session
from tui_trainer.errors import UsageError
from tui_trainer.sessions.checkpoints import CheckpointStore, state_sha256
from tui_trainer.sessions.names import default_name
from tui_trainer.sessions.provenance import collect
from tui_trainer.sessions.store import Session
from tui_trainer.training.orders import LEARNER_KEYS


class Fork(msgspec.Struct):
    """What `fork` was told."""

    sessions: str | None
    name: str
    at: str
    as_: str | None
    assignments: list[str]
    no_ui: bool = False
    detach: bool = False
    json: bool = False


def fork_session(wish: Fork) -> int:
    """Make the session and start it; returns the exit code."""
    wish.no_ui = wish.no_ui or not (wish.detach or wish.json or may_show())
    if not (wish.no_ui or wish.detach or wish.json):
        require_app_terminal()
    session, note = create_fork(wish)
    if note:
        print(f"tui-trainer: {note}", file=sys.stderr)
    live = [text for text in wish.assignments if text.partition("=")[0].strip() in LEARNER_KEYS]
    return go_on(session, live, no_ui=wish.no_ui, detach=wish.detach, json=wish.json)


def create_fork(wish: Fork) -> tuple[Session, str]:
    """The new session, its parent's state in it, and what to say of that. Raises UsageError, StorageError."""
    subject, parent = _subject(wish)
    layers = [Layer("parent", to_table(subject.config)), assignments_layer(wish.assignments)]
    resolved = resolve([*layers, Layer("fork", {"run": {"name": wish.as_ or ""}})])
    _require_same_shape(subject, resolved.config.run.task, resolved.config.run.algorithm)
    subject, note = _without_what_was_left_behind(subject, resolved.config.dqn.learning_starts)
    root, run = find.root(wish.sessions), resolved.config.run
    lineage = {
        "parent": parent,
        "checkpoint": subject.label,
        "update": int(subject.state["manager"]["manager"]["update"]),
        "state_sha256": state_sha256(subject.state),
    }
    name = wish.as_ or default_name(root, run.task, run.algorithm)
    session = Session.create(root, name, resolved, collect(sys.argv, Path.cwd()), lineage=lineage)
    _plant(session, subject)
    return session, note


def _subject(wish: Fork) -> tuple[Subject, str]:
    if wish.name.endswith(".pt"):
        return from_file(Path(wish.name)), ""
    session = find.session(wish.sessions, wish.name)
    require_own_loop(session)
    return from_session(session, wish.at), session.name


def _without_what_was_left_behind(subject: Subject, starts: int) -> tuple[Subject, str]:
    """A file that was taken out of its session has no replay buffer: it is collected anew; and what to say of that."""
    from tui_trainer.algorithms.replay import left_behind, with_none_kept

    learner = subject.state["learner"]
    if not (missing := left_behind(learner)):
        return subject, ""
    if learner.get("ranks"):
        raise UsageError(
            f"{subject.label} holds several ranks and no replay buffer lies beside it", "name the session instead"
        )
    note = (
        f"{subject.label}: its replay buffer ({missing:,} transitions) does not lie beside it; the fork begins with an "
        f"empty one and learns again after {starts:,} steps (dqn.learning_starts)"
    )
    return msgspec.structs.replace(subject, state={**subject.state, "learner": with_none_kept(learner)}), note


def _require_same_shape(subject: Subject, task: str, algorithm: str) -> None:
    """A checkpoint holds the state of its task and algorithm and of no other."""
    was = subject.config.run
    if (task, algorithm) != (was.task, was.algorithm):
        raise UsageError(
            f"{subject.label} holds {was.algorithm} on {was.task}, not {algorithm} on {task}", "start a new run instead"
        )


def _plant(session: Session, subject: Subject) -> None:
    """The parent's state becomes the new session's first checkpoint."""
    store = CheckpointStore(session.path)
    state = dict(subject.state)
    manager = state["manager"]["manager"]
    store.save(
        store.snapshot(state), kind="stage", update=int(manager["update"]), global_step=int(manager["global_step"])
    )
