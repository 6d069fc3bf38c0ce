"""What is installed: a wheel that carries the presets, and pins that are complete and no more."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILD = "import setuptools.build_meta as b, sys; print(b.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("tui_trainer", "configs", "sessions/sample"):
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "lock")
            )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(target)], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return next(target.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an installer puts into site-packages."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run_installed(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    code = (
        "import sys, runpy, tui_trainer;"
        f"assert tui_trainer.__file__.startswith({str(installed)!r}), tui_trainer.__file__;"
        "runpy.run_module('tui_trainer', run_name='__main__', alter_sys=True)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=installed.parent, env=environment, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip


def test_the_wheel_carries_every_preset(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {n for n in names if n.startswith("tui_trainer/configs/")} == {
        f"tui_trainer/configs/{path.name}" for path in (ROOT / "configs").glob("*.toml")
    }


def test_the_wheel_carries_the_recorded_session(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("tui_trainer/sample/")}
    assert {"tui_trainer/sample/events.jsonl", "tui_trainer/sample/session.toml"} <= names
    assert sum(name.endswith("state.pt") for name in names) == 1


def test_the_wheel_holds_nothing_but_the_package_and_its_metadata(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"tui_trainer", f"tui_trainer-{importlib.metadata.version('tui-trainer')}.dist-info"}


def test_the_wheel_says_which_python_it_needs_and_brings_its_licence(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = next(name for name in archive.namelist() if name.endswith("dist-info/METADATA"))
    assert "Requires-Python: >=3.11" in archive.read(metadata).decode()
    assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())


def test_an_installed_copy_finds_its_own_presets(installed: Path) -> None:
    done = run_installed(installed, "config", "show", "debug")
    assert done.returncode == 0, done.stderr
    assert "preset debug" in done.stdout
    where = run_installed(installed, "config", "validate", "no_such_preset")
    assert "debug" in where.stderr
    assert run_installed(installed, "replay", "--no-ui").returncode == 0


# --- pins ----------------------------------------------------------------------------------------------------------


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def requirements(name: str, extras: tuple[str, ...]) -> Iterator[Requirement]:
    try:
        texts = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for text in texts:
        requirement = Requirement(text)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def closure(extras: tuple[str, ...]) -> set[str]:
    """Every distribution that `tui-trainer[extras]` brings along in this environment."""
    waiting, seen = [("tui-trainer", extras)], set()
    while waiting:
        item = waiting.pop()
        if item not in seen:
            seen.add(item)
            waiting += [(canonicalize_name(r.name), tuple(sorted(r.extras))) for r in requirements(*item)]
    return {name for name, _ in seen} - {"tui-trainer"}


def pinned_by_torch(name: str) -> bool:
    """torch names the exact versions of the CUDA libraries it needs."""
    return (name.startswith(("nvidia-", "cuda-")) and name != "nvidia-ml-py") or name == "triton"


def test_everything_that_the_tests_need_is_pinned() -> None:
    assert {name for name in closure(("test",)) if not pinned_by_torch(name)} - set(pins()) == set()


def test_nothing_is_pinned_that_the_extras_do_not_bring() -> None:
    assert set(pins()) - closure(("test", "gym")) == set()


def test_pins_are_names_and_exact_versions_only() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        requirement = Requirement(line)
        assert [s.operator for s in requirement.specifier] == ["=="], line
        assert requirement.url is None, line
        assert "+" not in line, line


def test_pins_satisfy_what_the_project_asks_for() -> None:
    pinned = pins()
    asked = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]
    for text in asked:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), text
    assert pinned["torch"] == "2.13.0"
    assert pinned["pytest"].startswith("8.")
