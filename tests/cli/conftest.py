"""Command lines carried out in this process, over a directory of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tui_trainer.cli.main import execute


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """stdout as JSON lines; fails where anything else stands there."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaint(self) -> str:
        """The one line on stderr; fails where there are more, a traceback, or anything on stdout."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("tui-trainer: "), self.err
        assert self.out == ""
        return lines[0]


Run = Callable[..., Done]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the sessions lie."""
    return tmp_path / "sessions"


@pytest.fixture
def tui(root: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`tui("sessions", "list")`: the command's exit code and streams."""

    def carry_out(*words: str) -> Done:
        capsys.readouterr()
        code = execute(["--sessions", str(root), *words])
        return Done(code, *capsys.readouterr())

    return carry_out
