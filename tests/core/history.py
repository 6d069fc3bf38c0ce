"""Short histories, stamped as a loop would."""

from __future__ import annotations

from tui_trainer.core.events import (
    AnyEvent,
    CheckpointSaved,
    EvaluationFinished,
    RecommendationAnswered,
    RecommendationRaised,
    RunEnded,
    RunResumed,
    RunStarted,
    UpdateFinished,
    stamp,
)
from tui_trainer.core.values import Change, Difficulty, DifficultySpace, EvalResult, Metrics, PartResult, Reason

STEPS = 100
"""Environment steps an update."""


class Tale:
    """Collects events; each is one second after the one before."""

    def __init__(self, time: float = 1_000_000.0) -> None:
        self.events: list[AnyEvent] = []
        self.time = time
        self.update = 0

    def add(self, event: AnyEvent, *, after_s: float = 1.0) -> AnyEvent:
        self.time += after_s
        stamped: AnyEvent = stamp(
            event, seq=len(self.events) + 1, time=self.time, update=self.update, global_step=STEPS * self.update
        )
        self.events.append(stamped)
        return stamped

    def start(self, **limits: float) -> Tale:
        self.add(
            RunStarted(
                session="demo",
                task="connect_four",
                algorithm="ppo",
                seed=1,
                device="cpu",
                mode="production",
                threads=1,
                pid=7,
                host="here",
                metric="win_rate",
                higher_is_better=True,
                players=2,
                parts=("random", "1-ply"),
                space=DifficultySpace(levels=("random", "1-ply")),
                difficulty=Difficulty(),
                limits=limits,
            )
        )
        return self

    def train(self, updates: int, *, sps: float = 1000.0, metrics: Metrics | None = None) -> Tale:
        for _ in range(updates):
            self.update += 1
            shown = {"train/loss": float(self.update)} if metrics is None else metrics
            self.add(
                UpdateFinished(
                    updates=1,
                    metrics=shown,
                    sps=sps,
                    seconds={"env": 0.1, "learn": 0.3},
                    episodes=5 * self.update,
                    elapsed_s=STEPS * self.update / 1000.0,
                )
            )
        return self

    def evaluate(self, win_rate: float = 0.5) -> Tale:
        part = PartResult(episodes=10, win_rate=win_rate, ci=(0.1, 0.9), draw_rate=0.1)
        result = EvalResult(
            metric="win_rate",
            value=win_rate,
            ci=(0.1, 0.9),
            mean=0.0,
            std=1.0,
            min=-1.0,
            max=1.0,
            episodes=20,
            by={"random": part, "1-ply": part},
        )
        self.add(EvaluationFinished(suite="reference", result=result))
        return self

    def save(self, number: int, kind: str = "regular") -> Tale:
        self.add(
            CheckpointSaved(
                number=number,
                kind=kind,  # type: ignore[arg-type]
                path=f"checkpoints/{number}-u{self.update}",
                at_update=self.update,
                at_step=STEPS * self.update,
                size=2048,
                state_sha256="0" * 64,
                score=0.5,
            )
        )
        return self

    def advise(self, number: int) -> Tale:
        self.add(
            RecommendationRaised(
                id=number,
                rule="excelling",
                subject="difficulty",
                title="make it harder",
                change=Change(key="difficulty.level", old=0, new=1, label="random → 1-ply"),
                evidence=("won often",),
                expected="fewer wins",
                confidence=0.8,
                expires_update=900,
            )
        )
        return self

    def accept(self, number: int) -> Tale:
        self.add(RecommendationAnswered(id=number, verdict="accepted", by="user"))
        return self

    def resume(self, update: int, **more: object) -> Tale:
        self.update = update
        self.add(
            RunResumed(
                from_update=update,
                from_step=STEPS * update,
                checkpoint="checkpoints/1",
                pid=8,
                host="here",
                exact=True,
                limits={"max_updates": 50.0},
                **more,  # type: ignore[arg-type]
            )
        )
        return self

    def end(self, reason: Reason | None = None) -> Tale:
        self.add(RunEnded(reason=reason or Reason(name="user", evidence="stop"), checkpoint="checkpoints/1"))
        return self
