"""Builds a Run: the only place where learner, task, manager, saver and sampler meet. Imports torch."""

from __future__ import annotations

import contextlib
import math
import os
import random
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec
import numpy as np
import torch

from tui_trainer import algorithms, tasks
from tui_trainer.algorithms.sharing import share_of
from tui_trainer.core import events
from tui_trainer.core.commands import SetSetting
from tui_trainer.core.config import OUTGOING, Config, get, known_keys
from tui_trainer.core.data import DataReport
from tui_trainer.core.duel import Table
from tui_trainer.core.protocols import HasData, Learner, Task
from tui_trainer.core.state import RunState
from tui_trainer.engine.archive import SessionArchive
from tui_trainer.engine.callbacks import Callbacks, Hook, rules_of
from tui_trainer.engine.clock import SteadyClock
from tui_trainer.engine.hub import Hub
from tui_trainer.engine.inbox import Inbox, Order, Ranks
from tui_trainer.engine.loop import Place, Run, StateParts
from tui_trainer.engine.meter import Meter
from tui_trainer.engine.publisher import Publisher
from tui_trainer.engine.ranks import Begin, Follower, Generators, Leader, LedTask, RankLearner, SignalWatch, ranks_of
from tui_trainer.engine.ranks import restore as put_back_ranks
from tui_trainer.engine.saver import Saver
from tui_trainer.engine.threads import keep_to_cores
from tui_trainer.errors import ConfigError, UsageError
from tui_trainer.sessions.checkpoints import CheckpointStore, Manifest
from tui_trainer.sessions.store import Session
from tui_trainer.tasks.episode import EpisodeTable
from tui_trainer.tasks.failures import Guarded, unguarded
from tui_trainer.telemetry.alerts import SpeedWatch, alerting
from tui_trainer.telemetry.probe import gpu_present
from tui_trainer.telemetry.sampler import Sampler
from tui_trainer.telemetry.world import World, world
from tui_trainer.training.manager import TrainingManager
from tui_trainer.training.orders import LEARNER_KEYS

if TYPE_CHECKING:
    from tui_trainer.algorithms.group import Group


@contextlib.contextmanager
def assemble(
    session: Session,
    config: Config,
    history: RunState,
    publisher: Publisher,
    inbox: Inbox,
    clock: SteadyClock,
    hub: Hub,
    callbacks: Sequence[str | Hook],
    given: Mapping[str, object],
) -> Iterator[Run]:
    """A Run that stands where the session's newest good checkpoint left it, or at its start.

    `given` are settings, by dotted key, that this resume brings; the session remembers them for those after it.
    """
    hooks = Callbacks.load(callbacks, inbox)
    publisher.add_listener(hooks.hear)
    device, task, learner, dismiss = rank_zero(config, inbox)
    manager = TrainingManager(config, task.spec, task.difficulty_space(), rules=rules_of(config, inbox))
    store = CheckpointStore(session.path)
    archive = SessionArchive(store, config)
    stand = Stand(task, learner, manager, Meter(config.run.log_every_updates, clock), Place())
    for event in first_words(session, config, stand, device, history, store):
        publisher.publish(event, update=history.update, global_step=history.global_step)
    checkpoint = ""
    if history.started is not None or store.manifests():
        resumed = take_up(session, config, archive, stand, device, given)
        publisher.publish(resumed, update=manager.update, global_step=manager.global_step)
        checkpoint = resumed.checkpoint
        for order in settings_orders(config, resumed.changed):
            inbox.put(order)
    saver = Saver(archive.write, inbox)
    sampler = Sampler(config.telemetry.interval_s, session.path, inbox.put)
    sampler.start()
    try:
        yield Run(
            config=config,
            task=task,
            learner=learner,
            manager=manager,
            publisher=publisher,
            saver=saver,
            archive=archive,
            inbox=inbox,
            state_parts=StateParts(read=global_state, write=restore_global_state),
            crash_dir=session.crash_dir,
            place=stand.place,
            is_watched=lambda: hub.is_watched,
            on_resources=alerting(config.telemetry.alerts),
            meter=stand.meter,
            clock=clock,
            checkpoint=checkpoint,
            device=device,
            hooks=hooks,
            on_speed=SpeedWatch(clock).observe if config.telemetry.alerts else lambda sps: (),
        )
    finally:
        sampler.stop()
        saver.stop()
        dismiss()
        task.close()


def rank_zero(config: Config, inbox: Inbox) -> tuple[str, Guarded, Learner, Callable[[], None]]:
    """Device, task and learner of the process that decides, and what lets the other ranks go, where there are some."""
    place = world()
    device = rank_device(config, place)
    if place.size == 1:
        prepare(config)
        task = make_task(config)
        return device, task, make_learner(task, config, device), lambda: None
    group = joined_group(place)
    group.tell(Begin(msgspec.json.encode(config)))
    mine = share_of(config, 0, group.size)
    prepare(mine)
    led = LedTask(bare_task(mine))
    leader = Leader(group, rank_learner(led, mine, device), device, lambda loads: inbox.put(Ranks(loads)))
    led.leader = leader
    return device, led, leader, leader.dismiss


def follow(place: World, watch: SignalWatch) -> None:
    """Be one of the other ranks, to the end of the run. Raises RankLost where rank 0 is gone."""
    group = joined_group(place)
    watch.has_leader = True
    begin = group.hear()
    assert isinstance(begin, Begin)
    config = msgspec.json.decode(begin.config, type=Config)
    device = rank_device(config, place)
    mine = share_of(config, group.rank, group.size)
    prepare(mine)
    task = make_task(mine)
    try:
        learner = rank_learner(task, mine, device)
        Follower(group, learner, task, device, Generators(global_state, restore_generators)).follow()
    finally:
        task.close()


def joined_group(place: World) -> Group:
    """The ranks of this run. torch.distributed is loaded by those who need it."""
    from tui_trainer.algorithms.group import Group

    keep_to_cores(place.local, place.locals)
    return Group.join(backend(place), place.restarts)


def rank_learner(task: Task, config: Config, device: str) -> RankLearner:
    """The configured algorithm. Raises ConfigError where it cannot be one of several."""
    learner: Any = make_learner(task, config, device)
    if not hasattr(learner, "join"):
        raise ConfigError(f"{config.run.algorithm} cannot train on several ranks", "ppo and dqn can")
    return cast(RankLearner, learner)


def rank_device(config: Config, place: World) -> str:
    """The device of this rank: of `run.devices` in turn, else a GPU of its own where there are any."""
    if config.run.devices:
        return choose_device(config.run.devices[place.local % len(config.run.devices)])
    if place.size > 1 and config.run.device == "auto" and torch.cuda.is_available():
        return f"cuda:{place.local % torch.cuda.device_count()}"
    return choose_device(config.run.device)


def backend(place: World) -> str:
    """NCCL where each rank can have a GPU of its own; two ranks on one GPU meet by gloo."""
    can = torch.cuda.is_available() and place.locals <= torch.cuda.device_count()
    return "cpu:gloo,cuda:nccl" if can else "gloo"


def first_words(
    session: Session, config: Config, stand: Stand, device: str, history: RunState, store: CheckpointStore
) -> Iterator[events.Event]:
    """What a run says before it trains: that it starts, a fork's first checkpoint, what is new about its data."""
    if history.started is None:
        yield started(session, config, stand, device)
        yield from map(inherited, store.manifests())
    if (report := data_report(stand.task)) is not None and report != history.data:
        yield events.DataExamined(report=report)


def take_up(
    session: Session,
    config: Config,
    archive: SessionArchive,
    stand: Stand,
    device: str,
    given: Mapping[str, object],
) -> events.RunResumed:
    """Everything where the newest good checkpoint left it; what this resume was given is remembered."""
    remembered = {**session.read().overrides, **{key: _known(config, key, given[key]) for key in given}}
    resumed = restore(archive, stand, device, config, given, remembered)
    if given:
        session.write_status(overrides=remembered)
    return resumed


def prepare(config: Config) -> None:
    """Threads and global generators, before anything is built."""
    torch.set_num_threads(config.run.threads)
    seed_everything(config.run.seed)


def make_learner(task: Task, config: Config, device: str) -> Learner:
    """The configured algorithm on the task."""
    return algorithms.build(config.run.algorithm, task, config, device)


def make_task(config: Config) -> Guarded:
    """The task to train on; episodes that break in it start afresh."""
    return Guarded(bare_task(config))


def bare_task(config: Config) -> Task:
    """The task with the algorithm's number of environments."""
    num_envs = algorithms.num_envs_of(config)
    return tasks.make(config.run.task, config.task, num_envs, config.manager.episodes.max_steps)


def examined_task(config: Config) -> Task:
    """The task in this process, whatever the run does: it offers all that it can."""
    return bare_task(msgspec.structs.replace(config, task=tasks.in_process(config.task)))


def data_report(task: Task) -> DataReport | None:
    """What the task found in a person's files."""
    bare = unguarded(task)
    return bare.data_report if isinstance(bare, HasData) else None


def make_table(config: Config, seed: int) -> tuple[Table, int]:
    """One game of the task to watch or play at, and how many players the task is for."""
    task = tasks.make(config.run.task, tasks.in_process(config.task), 1, config.manager.episodes.max_steps)
    own = getattr(task, "table", None)
    return (EpisodeTable(task, seed) if own is None else own()), task.spec.players


def choose_device(wish: str) -> str:
    """`auto` takes a GPU that torch can use. Raises UsageError for a GPU that is not there."""
    if wish == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if wish.startswith("cuda"):
        index = int(wish.partition(":")[2] or 0)
        if not torch.cuda.is_available() or index >= torch.cuda.device_count():
            raise UsageError(f"run.device: {wish} cannot be used by this torch", "`tui-trainer doctor` says why")
        return f"cuda:{index}"
    return wish


def seed_everything(seed: int) -> None:
    """Global generators are seeded, too, for tasks and libraries that use them."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def global_state() -> dict[str, object]:
    """Global generators, and what bits depend on beside them."""
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    version, internal, gauss = random.getstate()
    return {
        "rng": {
            "python": [version, list(internal), gauss],
            "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position), int(has_gauss), cached],
            "torch": torch.get_rng_state(),
        },
        "environment": {"threads": torch.get_num_threads(), "torch": str(torch.__version__)},
    }


def restore_global_state(state: Mapping[str, Any]) -> None:
    """Undo of `global_state`."""
    restore_generators(state)


def restore_generators(state: Mapping[str, Any]) -> None:
    """Of `global_state`, the generators."""
    version, internal, gauss = state["rng"]["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["rng"]["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["rng"]["torch"])


def started(session: Session, config: Config, stand: Stand, device: str) -> events.RunStarted:
    """The first event of a session."""
    task, learner, manager = stand.task, stand.learner, stand.manager
    return events.RunStarted(
        session=session.name,
        task=config.run.task,
        algorithm=config.run.algorithm,
        seed=config.run.seed,
        device=device,
        mode=config.manager.mode,
        threads=config.run.threads,
        pid=os.getpid(),
        host=socket.gethostname(),
        metric=task.spec.metric,
        higher_is_better=task.spec.higher_is_better,
        players=task.spec.players,
        parts=task.spec.parts,
        space=task.difficulty_space(),
        difficulty=manager.difficulty,
        limits=manager.limits,
        target=config.manager.termination.target,
        evaluate_every=config.manager.evaluation.every_updates,
        steps_per_update=learner.steps_per_update,
        parameters=learner.parameters_count,
        exact=task.spec.resume == "exact",
        notes=notes(task, learner, device),
        baselines={name: value for name, value in task.baselines().items() if math.isfinite(value)},
    )


def inherited(manifest: Manifest) -> events.CheckpointSaved:
    """A fork's first checkpoint: its parent's."""
    return events.CheckpointSaved(
        number=manifest.number,
        kind=manifest.kind,
        path=manifest.path,
        at_update=manifest.update,
        at_step=manifest.global_step,
        size=manifest.size,
        state_sha256=manifest.state_sha256,
        score=manifest.score,
        exact=manifest.exact,
    )


def notes(task: Task, learner: Learner, device: str) -> tuple[str, ...]:
    """What a person should know from the start."""
    said = list(learner.notes)
    if task.spec.resume != "exact":
        said.append("this task cannot be resumed bit-exactly: open episodes start afresh")
    if not device.startswith("cuda") and gpu_present() and not torch.cuda.is_available():
        said.append("a GPU is present, but this torch cannot use it: `tui-trainer doctor` says what to install")
    if device.startswith("cuda"):
        said.append("on a GPU a resume is not promised to be bit-exact")
    return tuple(said)


class Stand(NamedTuple):
    """Everything that a checkpoint puts back where it was."""

    task: Task
    learner: Learner
    manager: TrainingManager
    meter: Meter
    place: Place


def settings_orders(config: Config, changed: Sequence[str]) -> list[Order]:
    """Learner settings given anew at a resume are orders like any other: recorded, and repeated by a rerun."""
    wanted = [key for key in changed if key in LEARNER_KEYS]
    return [Order(SetSetting(id=f"resume-{key}", key=key, value=float(get(config, key))), "user") for key in wanted]


def _known(config: Config, key: str, given: object) -> object:
    """A setting as it was understood, or as it was given where it is the task's own."""
    return get(config, key) if key in known_keys() else given


def restore(
    archive: SessionArchive,
    stand: Stand,
    device: str,
    config: Config,
    given: Collection[str],
    remembered: Collection[str],
) -> events.RunResumed:
    """Load the newest good checkpoint into everything; says what was passed over and whether bits are kept.

    A session that was interrupted before its first checkpoint starts again.
    """
    survey = archive.store.survey()
    if not survey.good and not survey.bad:
        exact, note = stand.task.spec.resume == "exact", "no checkpoint had been saved"
        return resumed_event(stand, "", exact=exact, note=note, changed=tuple(remembered))
    loaded = archive.store.newest_good()
    state: Mapping[str, Any] = loaded.state
    changed = (*given, *(key for key in remembered if key not in given and _is_new(config, key, state["wall"])))
    put_back(stand, state)
    then = {"device": device, **state["environment"], **_device(state["wall"]), "ranks": ranks_of(state["learner"])}
    other = differences(then, device, getattr(stand.learner, "ranks", 1))
    exact = not other and stand.task.spec.resume == "exact" and device == "cpu"
    said = [*loaded.problems, *([f"not bit-exact: {', '.join(other)}"] if other else [])]
    if stand.manager.is_trying:
        exact, said = False, [*said, "a try was cut off, which no rerun can follow"]
    return resumed_event(stand, loaded.manifest.path, exact=exact, note="; ".join(said), changed=changed)


def put_back(stand: Stand, state: Mapping[str, Any]) -> None:
    """Everything as a checkpoint's state has it."""
    put_back_ranks(stand.learner, stand.task, state)
    stand.manager.load_state_dict(state["manager"])
    restore_global_state(state)
    stand.meter.every = stand.meter.every or int(state["wall"]["log_every"])
    stand.place.turn, stand.place.orders = state["place"]["turn"], state["place"]["orders"]
    stand.place.is_mid_rollout = bool(state["wall"]["is_mid_rollout"])


def _device(wall: Mapping[str, Any]) -> dict[str, Any]:
    """Where a checkpoint's run computed; earlier ones do not tell."""
    return {"device": wall["device"]} if "device" in wall else {}


def _is_new(config: Config, key: str, wall: Mapping[str, Any]) -> bool:
    """Whether a checkpoint was saved before this setting was what it is: by a life before the one that set it."""
    if key in OUTGOING:
        return False
    value: Any = msgspec.json.decode(wall["config"])
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return bool(value != msgspec.to_builtins(get(config, key)))


def resumed_event(
    stand: Stand, checkpoint: str, *, exact: bool, note: str, changed: Sequence[str]
) -> events.RunResumed:
    """The event of a resume from where everything stands now."""
    return events.RunResumed(
        from_update=stand.manager.update,
        from_step=stand.manager.global_step,
        checkpoint=checkpoint,
        pid=os.getpid(),
        host=socket.gethostname(),
        exact=exact,
        limits=stand.manager.limits,
        note=note,
        orders=stand.place.orders,
        changed=tuple(changed),
        difficulty=stand.manager.difficulty,
        episodes=stand.manager.episodes,
        elapsed_s=stand.manager.elapsed_s,
    )


def differences(then: Mapping[str, Any], device: str, ranks: int) -> list[str]:
    """What is not as it was when the checkpoint was saved."""
    now = {"threads": torch.get_num_threads(), "torch": str(torch.__version__), "device": device, "ranks": ranks}
    found = [f"{name} was {then[name]}, is {now[name]}" for name in now if then[name] != now[name]]
    return [*found, "episodes began anew"] if then["ranks"] != ranks else found
