"""The file is valid by the formats' own parsers, holds every newest figure, and is never half written."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

from tests.core.history import Tale
from tui_trainer.core.events import AlertRaised, ResourcesSampled, RunPaused, RunStarted
from tui_trainer.core.state import RunState, fold
from tui_trainer.core.values import Gpu, Resources
from tui_trainer.services.openmetrics import OpenMetricsFile, exposition

GPUS = (
    Gpu(index=0, name='H200 "a"\\b', utilisation=87.0, memory_used_gib=2.0, memory_total_gib=141.0, power_w=412.0),
    Gpu(index=1, name="H200", utilisation=3.0, memory_used_gib=1.0, memory_total_gib=141.0, temperature_c=61.0),
)
MACHINE = Resources(
    cpu_percent=50.0,
    process_cpu_percent=98.5,
    memory_used_gib=1.5,
    memory_total_gib=8.0,
    process_rss_gib=0.5,
    disk_free_gib=100.0,
    cores=4,
    gpus=GPUS,
)


def tale() -> Tale:
    story = Tale().start(max_updates=50).train(3).evaluate(0.4)
    story.train(1, metrics={"train/loss": 0.25, "train/grad_norm": None})
    story.add(AlertRaised(key="disk", severity="critical", text="disk almost full"))
    story.add(ResourcesSampled(resources=MACHINE))
    return story


Read = dict[str, dict[tuple[tuple[str, str], ...], float]]


def read(text: str) -> Read:
    """Values by family and labels, by the strict parser."""
    return {
        family.name: {tuple(sorted(sample.labels.items())): sample.value for sample in family.samples}
        for family in read_openmetrics(text)
    }


def value(found: Read, name: str, /, **labels: str) -> float:
    return found[f"tui_trainer_{name}"][tuple(sorted({"session": "a", **labels}.items()))]


def test_the_file_holds_the_newest_figures_of_everything() -> None:
    state = fold(tale().events)
    found = read(exposition(state, "a"))
    assert value(found, "status", state="running") == 1
    assert value(found, "status", state="ended") == 0
    assert value(found, "update") == state.update
    assert value(found, "global_step") == state.global_step
    assert value(found, "alert", key="disk", severity="critical") == 1
    assert value(found, "phase_seconds", phase="learn") == pytest.approx(1.2)
    assert value(found, "memory_total_bytes") == 8 * 2**30
    assert value(found, "gpu_utilisation_percent", gpu="0", name='H200 "a"\\b') == 87
    assert value(found, "gpu_memory_used_bytes", gpu="1", name="H200") == 2**30
    metrics = {dict(labels)["name"]: each for labels, each in found["tui_trainer_metric"].items()}
    assert metrics.keys() == state.metrics.keys()
    assert metrics["eval/win_rate"] == 0.4
    assert metrics["train/loss"] == 0.25
    assert metrics["train/grad_norm"] != metrics["train/grad_norm"]


def test_figures_that_a_gpu_does_not_offer_are_left_out() -> None:
    found = read(exposition(fold(tale().events), "a"))
    assert [dict(labels)["gpu"] for labels in found["tui_trainer_gpu_power_watts"]] == ["0"]
    assert [dict(labels)["gpu"] for labels in found["tui_trainer_gpu_temperature_celsius"]] == ["1"]


@pytest.mark.parametrize("state", [RunState(), fold(Tale().start().events), fold(tale().end().events)])
def test_it_is_valid_at_any_moment_and_by_the_older_format_too(state: RunState) -> None:
    text = exposition(state, "a")
    assert text.endswith("# EOF\n")
    old = {family.name: family for family in read_prometheus(text)}
    assert old.keys() == read(text).keys()
    assert {family.type for family in old.values()} == {"gauge"}


def test_names_from_outside_stay_names() -> None:
    nasty = 'task/"} 1\n# EOF\n\\'
    (started, *_) = Tale().start().events
    assert isinstance(started, RunStarted)
    state = fold([msgspec.structs.replace(started, host=nasty)])
    (labels,) = read(exposition(state, "a"))["tui_trainer_run"]
    assert dict(labels)["host"] == nasty


def test_it_is_written_with_each_sample_and_at_the_end(tmp_path: Path) -> None:
    sink = OpenMetricsFile(tmp_path / "in/here.prom", RunState(), "a")
    story = tale()
    for event in story.events[:4]:
        sink.take(event)
    early = (tmp_path / "in/here.prom").read_text()
    for event in [*story.events[4:], *story.end().events[-1:]]:
        sink.take(event)
    assert value(read(early), "update") == 0
    late = read((tmp_path / "in/here.prom").read_text())
    assert (value(late, "update"), value(late, "status", state="ended")) == (4, 1)
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["here.prom"]


def test_a_directory_gets_a_file_for_each_session(tmp_path: Path) -> None:
    for name in ("a", "b"):
        OpenMetricsFile(tmp_path, RunState(), name).take(Tale().start().events[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.prom", "b.prom"]


def test_a_reader_never_sees_half_of_it(tmp_path: Path) -> None:
    path, done, seen = tmp_path / "a.prom", threading.Event(), []
    sink = OpenMetricsFile(path, fold(tale().events), "a")
    sink.take(RunPaused(seq=100, by="user", why=""))

    def reader() -> None:
        while not done.is_set():
            seen.append(path.read_text().endswith("# EOF\n"))

    thread = threading.Thread(target=reader)
    thread.start()
    for seq in range(101, 160):
        sink.take(RunPaused(seq=seq, by="user", why=""))
    done.set()
    thread.join()
    assert seen
    assert all(seen)


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sink = OpenMetricsFile(tmp_path / "file/a.prom", RunState(), "a")
    with pytest.raises(OSError, match="file"):
        sink.take(Tale().start().events[0])
