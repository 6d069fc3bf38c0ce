"""A folder of pictures, tables or traces: categories, scores, rejects with reasons, duplicates, memory."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from PIL import Image, ImageFilter

from tui_trainer.cli.main import execute
from tui_trainer.data import bars, catalogue, images, tables
from tui_trainer.data.catalogue import Catalogue, Measured, measure
from tui_trainer.data.store import Store
from tui_trainer.errors import MissingExtra, UsageError
from tui_trainer.tasks.vector.generator import CATEGORIES, picture


def save(path: Path, pixels: Any, **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **how)
    return path


def noise(seed: int, side: int = 32) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two categories, and one file for each reason to reject it."""
    root = tmp_path / "pictures"
    for n in range(4):
        save(root / "simple" / f"{n}.png", picture(0, 0, n, 48))
        save(root / "text" / f"{n}.png", picture(0, 1, n, 48))
    save(root / "text" / "twin.png", picture(0, 1, 2, 48))
    save(root / "simple" / "small.png", noise(1, 6))
    save(root / "simple" / "huge.png", np.zeros((8, 2**21 + 1, 3)))
    frames = [Image.fromarray(noise(n).astype(np.uint8)) for n in range(3)]
    frames[0].save(root / "simple" / "moving.gif", save_all=True, append_images=frames[1:])
    (root / "simple" / "broken.png").write_bytes((root / "simple" / "0.png").read_bytes()[:200])
    (root / "simple" / "no_image.jpg").write_bytes(b"hello")
    (root / "empty.png").touch()
    (root / "notes.txt").write_text("x\n")
    (root / ".hidden.png").write_bytes(b"x")
    return root


def rejects(found: Catalogue) -> dict[str, str]:
    return {item.path: item.reject for item in found.items if item.reject}


def test_folders_are_categories_and_every_reject_has_its_reason(folder: Path) -> None:
    found = catalogue.examine(folder, jobs=2)
    assert found.kind == "images"
    assert found.report().categories == {"simple": 4, "text": 4}
    assert rejects(found) == {
        "empty.png": "broken",
        "notes.txt": "foreign",
        "simple/broken.png": "broken",
        "simple/huge.png": "huge",
        "simple/moving.gif": "animated",
        "simple/no_image.jpg": "broken",
        "simple/small.png": "tiny",
        "text/twin.png": "duplicate",
    }
    details = {item.path: item.detail for item in found.items}
    assert details["text/twin.png"] == "the same as text/2.png"
    assert details["simple/moving.gif"] == "3 frames"
    assert details["simple/small.png"] == "6 x 6 pixels"


def test_the_order_of_the_items_and_the_digest_do_not_depend_on_the_workers(folder: Path) -> None:
    one, two = catalogue.examine(folder, jobs=1), catalogue.examine(folder, jobs=2)
    assert one.items == two.items
    assert one.report().digest == two.report().digest
    (folder / "text" / "0.png").unlink()
    assert catalogue.examine(folder, jobs=1).report().digest != one.report().digest


def test_what_was_measured_is_kept_by_content_and_not_measured_again(folder: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "cache" / "m.sqlite")
    first = catalogue.examine(folder, jobs=1, store=store)
    sha = first.used[0].sha256
    store.put("images", {sha: b'{"scores":{"sharpness":7.0},"category":"simple"}'})
    moved = folder.rename(tmp_path / "moved")
    again = catalogue.examine(moved, jobs=1, store=store)
    assert again.used[0].scores == {"sharpness": 7.0}
    assert again.used[1:] == first.used[1:]
    store.close()


def test_a_store_that_cannot_be_written_keeps_nothing_and_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "m.sqlite", tmp_path):
        store = Store(path)
        store.put("images", {"a": b"{}"})
        assert store.get("images", ["a"]) == {}
        store.close()
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"no database" * 100)
    store = Store(damaged)
    assert store.get("images", ["a"]) == {}


def test_near_duplicates_lie_on_one_side_of_every_split(tmp_path: Path) -> None:
    for n in range(12):
        image = Image.fromarray(picture(3, 3, n, 64))
        save(tmp_path / "a" / f"{n}.png", image)
        save(tmp_path / "b" / f"{n}.png", image.filter(ImageFilter.GaussianBlur(0.4)))
    found = catalogue.examine(tmp_path, jobs=2)
    assert found.report().near_duplicates == 12
    names = [item.path.rpartition("/")[2] for item in found.used]
    for seed in range(4):
        split = found.split(0.3, seed)
        assert {names[i] for i in split.train} & {names[i] for i in split.held_out} == set()
        assert 6 <= len(split.held_out) <= 10


def test_pictures_in_no_folder_get_a_category_from_what_they_look_like(tmp_path: Path) -> None:
    for kind, name in enumerate(CATEGORIES):
        for n in range(24):
            save(tmp_path / f"{name}-{n}.png", picture(11, kind, n, 64))
    found = catalogue.examine(tmp_path, jobs=2)
    right = [item.category == item.path.partition("-")[0] for item in found.used]
    assert np.mean(right) > 0.6


def test_scores_move_the_way_they_are_named() -> None:
    plain = picture(5, 0, 3, 64)
    image = Image.fromarray(plain)
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(2)))
    pale = (128 + (plain.astype(float) - 128) * 0.3).astype(np.uint8)
    noisy = (plain + np.random.default_rng(1).normal(0, 12, plain.shape)).clip(0, 255).astype(np.uint8)
    base = images.measured(plain)
    assert images.measured(np.asarray(blurred))["sharpness"] < 0.7 * base["sharpness"]
    assert images.measured(pale)["contrast"] < 0.5 * base["contrast"]
    assert images.measured(noisy)["noise"] > base["noise"] + 0.1
    assert images.measured(picture(5, 3, 3, 64))["complexity"] > base["complexity"]
    for worse in (np.asarray(blurred), pale, noisy):
        assert images.measured(worse)["quality"] < base["quality"]
    assert images.measured(np.zeros((9, 9, 3), np.uint8))["quality"] == 0


def test_transparent_parts_are_white_and_cameras_turns_are_followed(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (20, 10), (255, 0, 0, 0))
    clear.putpixel((0, 0), (255, 0, 0, 255))
    clear.save(tmp_path / "clear.png")
    read = np.asarray(images.opened(tmp_path / "clear.png"))
    assert read[0, 0].tolist() == [255, 0, 0]
    assert read[5, 5].tolist() == [255, 255, 255]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10), "red").save(tmp_path / "turned.jpg", exif=exif)
    assert images.opened(tmp_path / "turned.jpg").size == (10, 20)


# --- tables and traces ------------------------------------------------------------------------------------------


def walk(count: int, drift: float, seed: int) -> str:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(drift + 0.01 * rng.normal(size=count)))
    rows = [f"{60 * t},{c:.6f},{c * 1.01:.6f},{c * 0.99:.6f},{c:.6f},5" for t, c in enumerate(close)]
    return "\n".join(["ts,open,high,low,close,volume", *rows]) + "\n"


def test_tables_are_told_apart_from_traces_and_rejected_rows_are_counted(tmp_path: Path) -> None:
    (tmp_path / "up.csv").write_text(walk(400, 0.008, 1))
    (tmp_path / "flat.csv").write_text(walk(400, 0.0, 2) + "0,1,1,1,1,1\nx,1,1,1,1,1\n")
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    found = catalogue.examine(tmp_path, jobs=1)
    assert found.kind == "bars"
    report = found.report()
    assert report.categories == {"mixed": 1, "trending": 1}
    assert report.rejects == {"broken": 1, "out of order rows": 1, "not a number rows": 1}
    assert rejects(found) == {"no.csv": "broken"}
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.csv").write_text("id\n" + "\n".join("abcab"))
    assert catalogue.examine(tmp_path / "t").kind == "requests"


def test_parquet_and_csv_give_the_same_bars(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(walk(300, 0.0, 3))
    frame = polars.read_csv(tmp_path / "a.csv")
    frame.write_parquet(tmp_path / "a.parquet")
    dated = frame.with_columns(polars.from_epoch("ts", time_unit="s").alias("ts")).rename({"close": "Close"})
    dated.write_parquet(tmp_path / "b.parquet")
    want = bars.read(tmp_path / "a.csv")
    for name in ("a.parquet", "b.parquet"):
        got = bars.read(tmp_path / name)
        assert all(np.array_equal(one, other) for one, other in zip(want.bars, got.bars)), name
    assert (want.rejects, want.gaps) == (got.rejects, got.gaps)


def test_nulls_dates_and_foreign_files_under_parquets_name_are_told(tmp_path: Path) -> None:
    days = [datetime.date(2024, 3, d) for d in range(1, 9)]
    columns = {name: [1.0] * 8 for name in ("open", "high", "low", "close", "volume")}
    polars.DataFrame({"ts": days, **columns, "low": [1.0] * 7 + [None]}).write_parquet(tmp_path / "a.parquet")
    found = bars.read(tmp_path / "a.parquet")
    assert np.diff(found.bars.ts).tolist() == [86_400] * 6
    assert found.rejects == (bars.Reject(8, "not a number"),)
    (tmp_path / "b.parquet").write_bytes(b"hello")
    with pytest.raises(UsageError, match="is no Parquet file"):
        bars.read(tmp_path / "b.parquet")
    polars.DataFrame({"a": [1]}).write_parquet(tmp_path / "c.parquet")
    with pytest.raises(UsageError, match="lacks the column ts"):
        list(tables.rows(tmp_path / "c.parquet"))


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    save(tmp_path / "a.png", noise(1))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.parquet").write_bytes(b"x")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"images need the library PIL.*tui-trainer\[vector\]"):
        catalogue.examine(tmp_path)
    with pytest.raises(MissingExtra, match=r"bars need the library polars.*tui-trainer\[data\]"):
        catalogue.examine(tmp_path / "b")


def test_a_measured_file_is_plain_data() -> None:
    assert measure(("requests", "/nowhere")) == Measured(reject="broken", detail="is no file")


# --- the command ------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))


def test_data_check_prints_categories_rejects_and_the_split(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["data", "check", str(folder)]) == 0
    out = capsys.readouterr().out
    assert f"images in {folder}: 16 files, 8 used" in out
    assert "rejected: broken 3, foreign 1, huge 1, animated 1, tiny 1, duplicate 1" in out
    assert "simple/moving.gif: animated, 3 frames" in out
    assert "split with seed 0: training 6, held out 2" in out


def test_data_check_as_json_is_a_line_a_file_and_the_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "text" / b"\xff\x1b[31m.png".decode(errors="surrogateescape")).write_bytes(b"x")
    assert execute(["data", "check", str(folder), "--json", "--jobs", "1"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 18
    assert lines[-1]["used"] == 8
    assert {line["reject"] for line in lines[:-1]} >= {"", "huge", "animated"}
    assert not any("\x1b" in line["path"] for line in lines[:-1])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere is no file and no folder"),
        ([".", "--kind", "films"], "--kind films is none; one of auto, images, bars, requests"),
    ],
)
def test_data_check_of_nothing_is_one_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["data", "check", *words]) == 2
    assert told in capsys.readouterr().err


def test_a_folder_without_anything_usable_is_exit_1(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.png").write_bytes(b"x")
    assert execute(["data", "check", str(tmp_path / "d")]) == 1
