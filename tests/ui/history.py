"""A three-minute connect_four run, made up: the same events every time, with everything in it that a run can hold."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from tui_trainer.core.events import (
    AlertCleared,
    AlertRaised,
    AnyEvent,
    CheckpointSaved,
    CheckpointsPruned,
    DifficultyChanged,
    EvaluationFinished,
    FrameDrawn,
    LogWritten,
    PhaseStarted,
    RecommendationAnswered,
    RecommendationRaised,
    RecommendationScored,
    ResourcesSampled,
    RunEnded,
    RunStarted,
    TrendAssessed,
    UpdateFinished,
    stamp,
)
from tui_trainer.core.state import RunState
from tui_trainer.core.values import (
    Change,
    Difficulty,
    DifficultySpace,
    EvalResult,
    Gpu,
    PartResult,
    Reason,
    Resources,
    TrendName,
)

START = 1_760_000_000.0
RUNGS = ("random", "1-ply", "minimax-2", "minimax-3", "minimax-4", "minimax-5")
UPDATES = 1200
STEPS_PER_UPDATE = 16_384
SECONDS_PER_UPDATE = 0.15
EVERY = 50
NAME = "connect_four-ppo-1"
BOARD = """\
· · · · · · ·
· · · · · · ·
· · · ● · · ·
· · ○ ○ · · ·
· ● ○ ● ○ · ·
● ○ ● ○ ● · ●
1 2 3 4 5 6 7"""


def started(name: str = NAME) -> RunStarted:
    return RunStarted(
        session=name,
        task="connect_four",
        algorithm="ppo",
        seed=1,
        device="cpu",
        mode="production",
        threads=1,
        pid=4242,
        host="bench-2",
        metric="win_rate",
        higher_is_better=True,
        players=2,
        parts=RUNGS,
        space=DifficultySpace(levels=RUNGS, ranged=False),
        difficulty=Difficulty(level=0),
        limits={"max_updates": float(UPDATES), "max_hours": 0.5},
        target="eval/win_rate/random >= 0.99",
        evaluate_every=EVERY,
        steps_per_update=STEPS_PER_UPDATE,
        parameters=35_464,
    )


def history(updates: int = UPDATES, *, gpus: int = 0) -> Iterator[AnyEvent]:
    """Stamped events, oldest first; the run ends by max_updates when all updates are asked for."""
    clock = _Stamper()
    yield clock(started())
    yield clock(_resources(0, gpus))
    for update in range(1, updates + 1):
        clock.update = update
        yield clock(_update(update))
        if update % 7 == 0:
            yield clock(_resources(update, gpus))
        if update % 3 == 0:
            yield FrameDrawn(text=_board(update))
        if update % EVERY == 0:
            yield PhaseStarted(phase="evaluate", part="random", done=0, of=200)
            yield from (clock(event) for event in _evaluation(update))
            yield PhaseStarted(phase="collect")
        yield from (clock(event) for event in _incidents(update))
    if updates == UPDATES:
        yield from (clock(event) for event in _ending())


def state_at(update: int, *, gpus: int = 0) -> RunState:
    """The fold up to an update; `UPDATES` is the ended run."""
    state = RunState()
    for event in history(update, gpus=gpus):
        state = state.apply(event)
    return state


class _Stamper:
    def __init__(self) -> None:
        self.seq = 0
        self.update = 0

    def __call__(self, event: AnyEvent) -> AnyEvent:
        self.seq += 1
        time = START + SECONDS_PER_UPDATE * self.update
        return stamp(event, seq=self.seq, time=time, update=self.update, global_step=self.update * STEPS_PER_UPDATE)


def _noise(update: int, name: str) -> float:
    return random.Random(f"{name}{update}").gauss(0, 1)


def _update(update: int) -> UpdateFinished:
    learned = 1 - math.exp(-update / 300)
    slow = 0.82 if 600 < update < 640 else 1.0
    return UpdateFinished(
        updates=1,
        metrics={
            "train/approx_kl": 0.011 + 0.002 * _noise(update, "kl") + (0.02 if update == 700 else 0),
            "train/clip_fraction": 0.14 + 0.01 * _noise(update, "clip"),
            "train/entropy_loss": -(1.9 - 0.9 * learned) + 0.01 * _noise(update, "entropy"),
            "train/value_loss": 0.4 * math.exp(-update / 400) + 0.05 + 0.004 * abs(_noise(update, "value")),
            "train/policy_gradient_loss": -0.012 + 0.002 * _noise(update, "policy"),
            "train/explained_variance": None if update < 3 else 0.85 * learned + 0.01 * _noise(update, "ev"),
            "train/learning_rate": 3e-4 * (1 - update / UPDATES),
            "rollout/ep_len_mean": 21 + 3 * learned + 0.2 * _noise(update, "len"),
            "game/black": 0.53 + 0.01 * _noise(update, "black"),
            "game/white": 0.43 + 0.01 * _noise(update, "white"),
            "game/draw": 0.04,
        },
        sps=slow * (104_000 + 3_000 * _noise(update, "sps")) if update > 4 else 60_000.0,
        seconds={"env": 0.006, "forward": 0.016, "learn": 0.118, "evaluate": 0.007, "save": 0.001, "wait": 0.0},
        episodes=update * 780,
        elapsed_s=SECONDS_PER_UPDATE * update,
    )


def _resources(update: int, gpus: int) -> ResourcesSampled:
    return ResourcesSampled(
        resources=Resources(
            cpu_percent=min(100.0, 56 + 4 * _noise(update, "cpu")),
            process_cpu_percent=99.0,
            memory_used_gib=6.1 + update / 4000,
            memory_total_gib=23.5,
            process_rss_gib=0.42,
            disk_free_gib=812.0,
            cores=2,
            disk_write_mib_s=0.1,
            network_mib_s=0.0,
            gpus=tuple(Gpu(i, "NVIDIA H200", 87.0, 9.1, 139.0, 412.0, 61.0) for i in range(gpus)),
            gpu_note="" if gpus else "no NVML",
        )
    )


def _board(update: int) -> str:
    lines = [line.split() for line in BOARD.splitlines()]
    chance = random.Random(update)
    for _ in range(chance.randrange(4)):
        lines[chance.randrange(2)][chance.randrange(7)] = chance.choice("●○")
    return "\n".join(" ".join(line) for line in lines)


def _rate(rung: int, update: int) -> float:
    rate = (0.995 - 0.09 * rung) * (1 - math.exp(-update / (60 + 160 * rung * (1 + rung / 4))))
    return min(1.0, max(0.0, rate + 0.012 * _noise(update, RUNGS[rung])))


def _evaluation(update: int) -> Iterator[AnyEvent]:
    by = {}
    for rung, name in enumerate(RUNGS):
        rate = _rate(rung, update)
        half = 1.96 * math.sqrt(max(rate * (1 - rate), 0.0004) / 400)
        ci = (max(0.0, rate - half), min(1.0, rate + half))
        by[name] = PartResult(episodes=400, win_rate=rate, ci=ci, draw_rate=0.02, mean=2 * rate - 1, distinct=391)
    value = sum(part.win_rate or 0.0 for part in by.values()) / len(by)
    result = EvalResult(
        metric="win_rate", value=value, ci=(value - 0.009, value + 0.009), mean=2 * value - 1, std=0.5,
        min=-1.0, max=1.0, episodes=2400, by=by,
    )  # fmt: skip
    yield EvaluationFinished(suite="reference", result=result, seconds=0.9)
    number = update // EVERY
    trend: TrendName = "unknown" if number < 3 else "improving" if update < 900 else "stable"
    yield TrendAssessed(
        trend=trend, confidence=0.86 if number >= 3 else 0.2, slope=0.008, slope_ci=(0.006, 0.010),
        evaluations=number, stability=0.011, consistency=min(1.0, number / 12),
        evidence="+0.8 %/evaluation (±0.2)" if number >= 3 else f"{number} of 3 evaluations",
        termination=f"no plateau: 0 of {20} evaluations without progress",
    )  # fmt: skip
    kind = "best" if number % 3 else "regular"
    yield CheckpointSaved(
        number=number, kind=kind, path=f"checkpoints/{number:04d}-u{update}", at_update=update,
        at_step=update * STEPS_PER_UPDATE, size=2_214_592, state_sha256="ab" * 32, score=value, seconds=0.02,
    )  # fmt: skip
    if number > 8:
        old = number - 8
        yield CheckpointsPruned(paths=(f"checkpoints/{old:04d}-u{old * EVERY}",))


def raise_card(number: int, level: int) -> RecommendationRaised:
    return RecommendationRaised(
        id=number,
        rule="excelling",
        subject="difficulty",
        title=f"excelling: {RUNGS[level]} beaten in 4 evaluations running",
        change=Change(
            key="difficulty.level", old=level, new=level + 1, label=f"level {RUNGS[level]} → {RUNGS[level + 1]}"
        ),
        evidence=(
            f"win rate against {RUNGS[level]} 97.8 ±0.9 %, above 95 % since update 350",
            "reference evaluation still rising: +0.8 %/evaluation",
        ),
        expected="present-level win rate falls to 40-48 % for about 30 updates, reference rises",
        confidence=0.86,
        expires_update=460 if level == 0 else 900,
    )


def _incidents(update: int) -> Iterator[AnyEvent]:
    match update:
        case 30:
            yield LogWritten(level="debug", text="pool: first snapshot of the policy")
        case 400:
            yield raise_card(6, 0)
        case 410:
            yield RecommendationAnswered(id=6, verdict="accepted", by="user")
            yield DifficultyChanged(
                old=Difficulty(level=0), new=Difficulty(level=1), by="user", why="recommendation 6", recommendation=6
            )
        case 500:
            yield RecommendationScored(id=6, outcome="helped", evidence="+4.1 % after 40 updates")
        case 601:
            yield AlertRaised(key="sps", severity="warning", text="SPS fell by 18 % against the last 200 updates")
        case 641:
            yield AlertCleared(key="sps")
        case 700:
            yield LogWritten(level="warning", text="KL .031 above 2 x target_kl at update 700")
        case 750:
            yield raise_card(7, 1)
        case 900:
            yield RecommendationAnswered(id=7, verdict="expired", by="manager", note="150 updates without an answer")


def _ending() -> Iterator[AnyEvent]:
    yield CheckpointSaved(
        number=25, kind="final", path="checkpoints/0025-u1200", at_update=UPDATES, at_step=UPDATES * STEPS_PER_UPDATE,
        size=2_214_592, state_sha256="cd" * 32, score=0.71,
    )  # fmt: skip
    result = next(event for event in _evaluation(UPDATES) if isinstance(event, EvaluationFinished)).result
    yield EvaluationFinished(suite="final", result=result, checkpoint="checkpoints/0025-u1200")
    yield RunEnded(
        reason=Reason(name="max_updates", evidence="1,200 of 1,200 updates"),
        checkpoint="checkpoints/0025-u1200",
        elapsed_s=UPDATES * SECONDS_PER_UPDATE,
    )
