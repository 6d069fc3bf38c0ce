"""Every metric that the program publishes has a sentence, and every sentence a metric."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tui_trainer.core.metrics import MEANINGS, meaning
from tui_trainer.core.state import fold, resource_metrics
from tui_trainer.core.values import Gpu, Resources
from tui_trainer.sessions.journal import read_journal

ROOT = Path(__file__).parents[2]
GPU = Gpu(
    index=3, name="H", utilisation=0, memory_used_gib=0, memory_total_gib=1,
    power_w=1, temperature_c=1, process_memory_gib=1,
)  # fmt: skip
MACHINE = Resources(
    cpu_percent=0, process_cpu_percent=0, memory_used_gib=0, memory_total_gib=1, process_rss_gib=0,
    disk_free_gib=0, cores=1, gpus=(GPU,),
)  # fmt: skip


def constants() -> set[str]:
    """Names of metrics as they stand in the algorithms' code."""
    found = set()
    for path in (ROOT / "tui_trainer/algorithms").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and re.fullmatch(r"(train|rollout)/\w+", str(node.value)):
                found.add(str(node.value))
    return found


def test_what_is_published_is_described() -> None:
    recorded = fold(read_journal(ROOT / "sessions/sample/events.jsonl").events).metrics
    published = {*constants(), *resource_metrics(MACHINE), *recorded}
    assert len(published) > 25
    assert {name for name in published if meaning(name) is None} == set()


def test_what_is_described_is_published() -> None:
    described = {name for name in MEANINGS if "*" not in name and name.startswith(("train/", "rollout/", "system/"))}
    assert described - constants() - set(resource_metrics(MACHINE)) == set()


def test_a_name_of_its_own_comes_before_its_family() -> None:
    assert meaning("eval/mean_reward") != meaning("eval/win_rate/random") == MEANINGS["eval/*"]
    assert meaning("system/gpu0_process_memory_gib") == MEANINGS["system/gpu*_process_memory_gib"]
    assert meaning("system/gpu0_memory_gib") == MEANINGS["system/gpu*_memory_gib"]
    assert meaning("nobody/knows") is None
