"""The machine panel: every GPU, the engine's own share, and how long the disk lasts."""

from __future__ import annotations

import msgspec

from tests.ui.history import state_at
from tui_trainer.charts.span import Row
from tui_trainer.core.events import RanksSampled, ResourcesSampled, stamp
from tui_trainer.core.state import RunState
from tui_trainer.core.values import Gpu, RankLoad
from tui_trainer.ui.panels import machine
from tui_trainer.ui.panels.speed import phase_rows
from tui_trainer.ui.scene import Scene


def sampled(samples: int = 2, **changes: object) -> RunState:
    """A run whose newest samples of the machine have `changes`; the load rises."""
    state = state_at(780)
    assert state.resources is not None
    for number in range(1, samples + 1):
        resources = msgspec.structs.replace(state.resources, network_mib_s=float(number), **changes)
        state = state.apply(
            stamp(ResourcesSampled(resources=resources), seq=state.seq + 1, time=state.time + 1,
                  update=state.update, global_step=state.global_step + 1)
        )  # fmt: skip
    return state


def lines(state: RunState, width: int = 110, height: int = 20) -> list[str]:
    rows = machine.render(Scene(state=state, now=state.time), width, height)
    return ["".join(span.text for span in row).rstrip() for row in rows]


def gpus(count: int) -> tuple[Gpu, ...]:
    return tuple(
        Gpu(
            index=index, name="H200", utilisation=87.0, memory_used_gib=9.1, memory_total_gib=139.0,
            power_w=412.0, temperature_c=61.0, process_memory_gib=3.0,
        )
        for index in range(count)
    )  # fmt: skip


def line(found: list[str], name: str) -> str:
    return next(text for text in found if text.startswith(name))


def test_every_gpu_has_a_line_and_the_engine_says_what_it_holds_on_them() -> None:
    found = lines(sampled(gpus=gpus(4)))
    assert all("87 % 9.1/139 GiB 412 W 61 °C" in line(found, f"gpu{index}") for index in range(4))
    assert "12.0 GiB on GPUs" in line(found, "engine")
    assert "412 W" in line(found, "power 3")


def test_without_nvml_it_says_so() -> None:
    assert line(lines(sampled()), "gpu").split() == ["gpu", "no", "NVML"]


def test_a_disk_that_fills_is_counted_down_in_the_panel_and_on_its_one_line() -> None:
    filling = sampled(disk_full_s=5000.0)
    assert "full in 1:23:20" in line(lines(filling), "disk")
    assert "full in 1:23:20" in lines(filling, height=1)[0]
    assert "full" not in line(lines(sampled(disk_full_s=3e5)), "disk")
    assert "full" not in line(lines(sampled()), "disk")


def test_a_figure_that_never_changed_has_no_course() -> None:
    assert line(lines(sampled()), "network").endswith("█")
    assert line(lines(sampled(samples=0)), "disk").endswith("MiB/s")


def test_the_least_important_lines_go_first() -> None:
    small = lines(sampled(gpus=gpus(1)), height=3)
    assert [text.split()[0] for text in small] == ["cpu", "ram", "gpu0"]


def test_ranks_stand_in_their_order_and_the_slowest_is_named() -> None:
    loads = (
        RankLoad(rank=0, host="one", device="cuda:0", sps=2000.0, work=0.5, memory_gib=1.0),
        RankLoad(rank=1, host="two", device="cuda:0", sps=1500.0, work=0.95, memory_gib=1.5),
    )
    state = sampled()
    found = lines(state.apply(stamp(RanksSampled(ranks=loads), seq=state.seq + 1, time=1, update=1, global_step=1)))
    assert line(found, "ranks").split(maxsplit=1)[1] == "2, slowest 1 at 1.50k SPS, 25 % behind the quickest"
    assert line(found, "rank 1").split(maxsplit=2)[2] == "1.50k SPS, works 95 %, 1.50 GiB, cuda:0, two"
    assert not any(each.startswith("rank") for each in lines(state))


def test_each_core_has_a_column_and_the_busiest_is_named() -> None:
    found = lines(sampled(core_percents=(0, 3, 50, 100)))
    assert line(found, "cores") == "cores    ▁▄█  the busiest 100 %"


def test_more_cores_than_columns_share_them_by_the_busier_one() -> None:
    many = tuple(100 if core == 70 else 0 for core in range(128))
    shown = line(lines(sampled(core_percents=many), width=60), "cores")
    assert (len(shown) <= 60, shown.count("█")) == (True, 1)


def test_the_cores_go_first_where_room_is_short() -> None:
    state = sampled(core_percents=(5, 6))
    assert not [text for text in lines(state, height=4) if text.startswith("cores")]


def test_one_core_needs_no_line_of_its_own() -> None:
    assert not [text for text in lines(sampled(core_percents=(99,))) if text.startswith("cores")]


def test_with_the_screen_for_itself_it_draws_charts() -> None:
    state = sampled(samples=5, cpu_percent=50.0)
    scene = Scene(state=state, now=state.time, focus="machine", maximised=True)
    found = ["".join(span.text for span in row) for row in machine.render(scene, 110, 34)]
    assert any("cpu, %" in text and "ram, GiB" in text for text in found)
    assert len(found) <= 34
    assert not any("cpu, %" in text for text in lines(state)), "a panel among others stays short"


def test_a_load_of_one_half_is_drawn_half_as_high_as_a_full_one() -> None:
    history = line(lines(sampled(samples=3, cpu_percent=100.0), 200), "cpu").split("cores")[1].strip()
    assert history[-1] == "█"
    assert set(history[:20]) <= set("▃▄▅▆"), "53 %, more or less, and not from lowest to highest"


def test_every_phase_has_a_pattern_of_its_own_whichever_others_there_are() -> None:
    """What ranks wait for each other is more than half of some runs' time."""
    spent = {"env": 5.0, "forward": 11.0, "learn": 21.0, "sync": 63.0}
    words, bar = ("".join(span.text for span in row) for row in phases(spent))
    assert words.split() == ["█env", "5", "▓fwd", "11", "▒learn", "21", "≡sync", "63", "%"]
    assert [bar.count(sign) for sign in "█▓▒≡"] == [5, 11, 21, 63]
    assert "".join(span.text for span in phases({"sync": 1.0})[0]) == "≡sync 100 %"


def phases(spent: dict[str, float]) -> list[Row]:
    state = msgspec.structs.replace(sampled(), recent_seconds=spent)
    return phase_rows(Scene(state=state, now=0.0), 100)
