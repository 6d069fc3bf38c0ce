"""Does following the adviser about difficulty help? connect_four at equal steps, fixed, advised, and by a coin.

The preset with another share of games against the present level (0.5, so that difficulty matters; the preset has
0.1), driven without disk or screen through the same manager as a real run. Other advice than on difficulty is rejected
in all three. At the end the policy plays unseen games; the win rate against minimax-2 and the mean over the ladder are
compared by seed. Prints the outcomes that were told as well.

    OMP_NUM_THREADS=1 python benchmarks/adviser.py --seeds 1-10 --updates 400
"""

from __future__ import annotations

import argparse
import random
import time
import tomllib
from collections import Counter
from pathlib import Path
from statistics import fmean

import msgspec

from tui_trainer.core import actions, reports
from tui_trainer.core.commands import Answer
from tui_trainer.core.config import Config, Layer, resolve
from tui_trainer.core.events import AnyEvent, RecommendationRaised, RecommendationScored, TrendAssessed
from tui_trainer.engine import assembly
from tui_trainer.studies.paired import compare, interval
from tui_trainer.training.evaluation import merge
from tui_trainer.training.manager import TrainingManager

PRESET = Path(__file__).resolve().parent.parent / "configs" / "connect_four.toml"
FINAL_SEED, FINAL_EPISODES = 1_234_567, 400
CONDITIONS = ("fixed", "advised", "random")
PAIRS = (("fixed", "advised"), ("random", "advised"), ("fixed", "random"))


class Case(msgspec.Struct, frozen=True):
    """One accepted recommendation and its outcome."""

    rule: str
    trend: str
    confidence: float
    outcome: str


class Result(msgspec.Struct, frozen=True):
    """One run: final win rates, the level reached, outcomes told."""

    minimax: float
    ladder: float
    level: int
    cases: tuple[Case, ...]
    seconds: float


class Driven:
    """A run whose recommendations are answered by a rule."""

    def __init__(self, config: Config, condition: str) -> None:
        assembly.prepare(config)
        self._task = assembly.make_task(config)
        self._learner = assembly.make_learner(self._task, config, "cpu")
        self._manager = TrainingManager(config, self._task.spec, self._task.difficulty_space())
        self._condition = condition
        self._coin = random.Random(config.run.seed)
        self._taken: dict[int, tuple[str, str, float]] = {}
        self._cases: list[Case] = []
        self._trend = "unknown"

    def execute(self) -> Result:
        """To the limit."""
        began = time.perf_counter()
        self._manager.start(0.0)
        while not isinstance(action := self._manager.next_action(), actions.End):
            self._heard(self._manager.observe(self._perform(action), 0.0))
        policy, spec = self._learner.policy(), self._task.spec
        parts = {
            part: self._task.evaluate(policy, part=part, episodes=FINAL_EPISODES, seed=FINAL_SEED)
            for part in spec.parts
        }
        self._task.close()
        level = self._manager.difficulty.level
        rate = parts["minimax-2"].win_rate or 0.0
        seconds = time.perf_counter() - began
        return Result(rate, merge(spec, parts).value, level, tuple(self._cases), seconds)

    def _heard(self, events: list[AnyEvent]) -> None:
        for event in events:
            if isinstance(event, TrendAssessed):
                self._trend = event.trend
            if isinstance(event, RecommendationScored):
                self._cases.append(Case(*self._taken[event.id], event.outcome))
            if isinstance(event, RecommendationRaised):
                self._taken[event.id] = (event.rule, self._trend, event.confidence)
                verdict = "accept" if self._takes(event) else "reject"
                command = Answer(id="a", recommendation=event.id, verdict=verdict)
                self._heard(self._manager.handle(command, by="user", now=0.0))

    def _takes(self, raised: RecommendationRaised) -> bool:
        if self._condition == "everything":
            return raised.change.key != "stop" and not raised.change.key.startswith("fork.")
        if raised.subject != "difficulty" or self._condition == "fixed":
            return False
        return self._condition == "advised" or self._coin.random() < 0.5

    def _perform(self, action: actions.AnyAction) -> reports.AnyReport:
        match action:
            case actions.Collect():
                return self._learner.collect(float("inf"))
            case actions.Learn():
                return self._learner.learn()
            case actions.Evaluate(suite=suite, part=part, episodes=episodes, seed=seed):
                result = self._task.evaluate(self._learner.policy(), part=part, episodes=episodes, seed=seed)
                return reports.EvaluationReport(suite=suite, part=part, result=result)
            case actions.SaveCheckpoint(kind=kind):
                return reports.CheckpointReport(kind=kind, number=0)
            case actions.ApplySetting(key=key, value=value):
                old = self._learner.set(key.split(".")[-1], value)
                return reports.SettingReport(key=key, old=old, new=value)
            case actions.Restore(branch="best"):
                return reports.RestoredReport(branch="best", ok=False)
            case actions.ApplyDifficulty(difficulty=difficulty):
                self._task.set_difficulty(difficulty)
                return reports.DifficultyReport(difficulty=difficulty)
            case _:
                raise AssertionError(f"{action} does not occur here")


def configured(seed: int, options: argparse.Namespace) -> Config:
    """The preset at equal steps."""
    changes = {
        "run": {"seed": seed},
        "task": {"opponent_share": options.share},
        "manager": {
            "termination": {"max_updates": options.updates, "max_hours": 0.0, "intelligent": False},
            "evaluation": {"every_updates": options.every, "episodes": options.episodes},
        },
    }
    return resolve([Layer("preset", tomllib.loads(PRESET.read_text())), Layer("benchmark", changes)]).config


def show(results: dict[str, list[Result]]) -> None:
    """Means with intervals, and the differences by seed."""
    print("\ncondition   v minimax-2, 95 %          ladder   level   outcomes")
    for name, runs in results.items():
        rates = [r.minimax for r in runs]
        low, high = interval(rates)
        told = Counter(case.outcome for r in runs for case in r.cases)
        print(
            f"{name:<9}   {100 * fmean(rates):5.1f} % [{100 * low:4.1f}, {100 * high:4.1f}]   "
            f"{100 * fmean(r.ladder for r in runs):8.1f} %   {fmean(r.level for r in runs):5.1f}   {dict(told)}"
        )
    for a, b in PAIRS if set(CONDITIONS) <= set(results) else ():
        for what in ("minimax", "ladder"):
            found = compare(
                [getattr(r, what) for r in results[a]], [getattr(r, what) for r in results[b]], higher_is_better=True
            )
            low, high = found.ci
            print(
                f"{b} - {a}, {what}: {100 * found.difference:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}], "
                f"better in {found.wins} of {found.pairs}, p = {found.p:.2f}: {found.verdict}"
            )


def weigh(runs: list[Result]) -> None:
    """Would the record of earlier sessions have foretold later outcomes better than the confidence does?

    For each seed in turn: the chance that advice helped, learned from the other seeds by rule and trend (a Beta(1, 1)
    prior), against the confidence of the advice and against the overall rate; the mean squared error of each.
    """
    errors: dict[str, list[float]] = {"confidence": [], "rate of all": [], "rule and trend": []}
    for index, run in enumerate(runs):
        others = [case for other, each in enumerate(runs) if other != index for case in each.cases]
        for case in run.cases:
            alike = [c for c in others if (c.rule, c.trend) == (case.rule, case.trend)]
            truth = float(case.outcome == "helped")
            guesses = (case.confidence, _rate(others), _rate(alike))
            for name, guess in zip(errors, guesses, strict=True):
                errors[name].append((guess - truth) ** 2)
    print(f"\nchance that advice helps, foretold for held-out seeds, {len(errors['confidence'])} cases, squared error:")
    for name, each in errors.items():
        print(f"  {name:<15} {fmean(each):.3f}" if each else f"  {name:<15} -")
    print("  " + str(Counter((c.rule, c.trend, c.outcome) for r in runs for c in r.cases)))


def _rate(cases: list[Case]) -> float:
    return (1 + sum(case.outcome == "helped" for case in cases)) / (2 + len(cases))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--seeds", default="1-10", help="such as 1-10")
    parser.add_argument("--updates", type=int, default=400)
    parser.add_argument("--every", type=int, default=10, help="updates between evaluations")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--conditions", default=",".join(CONDITIONS), help="also: everything (all advice taken)")
    parser.add_argument("--share", type=float, default=0.5, help="share of games against the present level")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    results: dict[str, list[Result]] = {name: [] for name in options.conditions.split(",")}
    for seed in range(int(first), int(last or first) + 1):
        for name in results:
            result = Driven(configured(seed, options), name).execute()
            results[name].append(result)
            print(
                f"seed {seed} {name:<8} v minimax-2 {100 * result.minimax:5.1f} % ladder {100 * result.ladder:5.1f} % "
                f"level {result.level}  {','.join(c.outcome for c in result.cases)}  {result.seconds:.0f} s",
                flush=True,
            )
    show(results)
    weigh([run for name in results if name != "fixed" for run in results[name]])


if __name__ == "__main__":
    main()
