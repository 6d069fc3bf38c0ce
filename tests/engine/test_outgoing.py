"""The whole program tells others what happened, and nothing that they do changes the run."""

from __future__ import annotations

import json
import signal
import sys
import zipfile
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from tests.engine import process as p
from tests.services.server import listening
from tests.services.test_tensorboard import scalars

WRITES = "import json, os, sys; open(sys.argv[1], 'a').write(os.environ['NOTIFY_TITLE'] + '\\n')"


CALM = '--set=notify.events=["end", "pause"]'
"""A busy machine raises alerts of its own."""


def warnings(session: Path) -> list[str]:
    return [e["text"] for e in p.journal(session) if e["type"] == "LogWritten" and e["level"] == "warning"]


def test_a_detached_run_tells_its_end_to_program_and_server_while_nobody_looks(tmp_path: Path) -> None:
    with listening() as server:
        command = json.dumps([sys.executable, "-c", WRITES, str(tmp_path / "told")])
        p.run(
            tmp_path, "run", "--detach", *p.TINY, "--max-updates=3", "--name=a",
            f"--set=notify.command={command}", f"--set=notify.webhook={server.url}", CALM,
        )  # fmt: skip
        p.wait_for(lambda: server.bodies and (tmp_path / "told").exists() and (tmp_path / "told").read_text())
    assert [json.loads(body)["kind"] for body in server.bodies] == ["end"]
    assert (tmp_path / "told").read_text() == "a ended: max_updates\n"
    assert warnings(tmp_path / "a") == []


def test_a_run_that_dies_of_a_signal_still_tells_its_end(tmp_path: Path) -> None:
    with listening() as server:
        process = p.start(
            tmp_path, "run", "--no-ui", "--json", *p.TINY, "--max-updates=100000", "--name=a",
            f"--set=notify.webhook={server.url}", CALM,
        )  # fmt: skip
        p.until(process, lambda e: e["type"] == "UpdateFinished")
        assert p.stop(process) == 143
    assert [json.loads(body)["title"] for body in server.bodies] == ["a ended: signal (exit code 143)"]


def test_a_server_that_fails_is_told_once_and_changes_no_bit(tmp_path: Path) -> None:
    alerts = "--set=manager.termination.max_updates=12"
    with listening(status=503) as server:
        done = p.run(tmp_path, "run", "--no-ui", *p.TINY, alerts, "--name=a", f"--set=notify.webhook={server.url}")
    assert done.returncode == 0
    assert (
        "notify.webhook failed, training goes on: notify.webhook 127.0.0.1" in (tmp_path / "a/engine.log").read_text()
    )
    assert p.run(tmp_path, "run", "--no-ui", *p.TINY, alerts, "--name=b").returncode == 0
    saved = [{e["at_update"]: e["state_sha256"] for e in p.journal(tmp_path / name) if e["type"] == "CheckpointSaved"}
             for name in "ab"]  # fmt: skip
    assert saved[0][12] == saved[1][12]


def test_during_the_run_a_failure_is_one_line_in_the_log(tmp_path: Path) -> None:
    with listening(status=503) as server:
        process = p.start(
            tmp_path, "run", "--no-ui", "--json", *p.TINY, "--max-updates=100000", "--name=a",
            f"--set=notify.webhook={server.url}", CALM,
        )  # fmt: skip
        p.until(process, lambda e: e["type"] == "UpdateFinished")
        for _ in range(2):
            process.send(signal.SIGUSR2)
            p.until(process, lambda e: e["type"] == "RunPaused")
            process.send(signal.SIGUSR2)
            p.until(process, lambda e: e["type"] == "RunContinued")
        p.wait_for(lambda: len(server.bodies) == 2)
        assert p.stop(process) == 143
    assert len(warnings(tmp_path / "a")) == 1
    assert "failed" not in (tmp_path / "a/engine.log").read_text()


def test_outside_monitoring_reads_the_runs_figures(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    words = (*p.TINY, "--max-updates=100000", "--set=telemetry.interval_s=0.2")
    words = (*words, f"--set=telemetry.openmetrics={tmp_path}/metrics")
    process = p.start(tmp_path, "run", "--no-ui", "--json", "--name=a", *words)
    for kind in ("ResourcesSampled", "EvaluationFinished"):
        process.until(kind)
    assert p.stop(process) == 143
    families = {family.name: family for family in read_openmetrics((tmp_path / "metrics/a.prom").read_text())}
    (update,) = families["tui_trainer_update"].samples
    assert (update.labels, update.value) == ({"session": "a"}, p.journal(tmp_path / "a")[-1]["update"])
    assert {"tui_trainer_cpu_percent", "tui_trainer_process_resident_bytes"} <= families.keys()
    names = {sample.labels["name"] for sample in families["tui_trainer_metric"].samples}
    assert {"train/loss", "time/fps", "eval/win_rate"} <= names


def test_tensorboard_follows_a_live_run_and_its_resume(tmp_path: Path) -> None:
    live = f"--set=telemetry.tensorboard={tmp_path}/runs"
    assert p.run(tmp_path, "run", "--no-ui", *p.TINY, "--max-updates=5", "--name=a", live).returncode == 0
    assert p.run(tmp_path, "resume", "a", "--no-ui", "--max-updates=8").returncode == 0
    logged = [(e["global_step"], e["sps"]) for e in p.journal(tmp_path / "a") if e["type"] == "UpdateFinished"]
    assert len(logged) == 8
    assert scalars(tmp_path / "runs/a")["time/fps"] == [(step, pytest.approx(sps)) for step, sps in logged]


def test_places_that_cannot_be_written_cost_a_line_each(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    places = (f"--set=telemetry.{name}={tmp_path}/file/x" for name in ("tensorboard", "openmetrics"))
    process = p.start(tmp_path, "run", "--no-ui", "--json", *p.TINY, "--max-updates=100000", "--name=a", *places)
    for _ in range(2):
        process.until("LogWritten", level="warning")
    assert p.stop(process) == 143
    assert sorted(text.partition(",")[0] for text in warnings(tmp_path / "a")) == [
        "telemetry.openmetrics failed", "telemetry.tensorboard failed",
    ]  # fmt: skip


def test_a_pause_at_a_condition_is_told(tmp_path: Path) -> None:
    with listening() as server:
        words = (*p.TINY, "--max-updates=100000", "--name=a", f"--set=notify.webhook={server.url}", CALM)
        assert p.run(tmp_path, "run", "--detach", *words).returncode == 0
        p.wait_for(lambda: p.so_far(tmp_path / "a").count(",") > 0)
        assert p.run(tmp_path, "pause", "a", "--when", "eval/win_rate >= 0").returncode == 0
        p.wait_for(lambda: server.bodies)
        assert p.run(tmp_path, "stop", "a").returncode == 0
    first = json.loads(server.bodies[0])
    assert (first["kind"], first["detail"]) == ("pause", "eval/win_rate >= 0 holds")


SECRET = "http://me:s3cret@127.0.0.1:9/s3cret?key=s3cret"


def holders_of(text: bytes, packed: Path) -> list[str]:
    with zipfile.ZipFile(packed) as archive:
        return [name for name in archive.namelist() if text in archive.read(name)]


def test_a_session_from_elsewhere_starts_and_sends_nothing(tmp_path: Path) -> None:
    command = json.dumps(["touch", str(tmp_path / "hacked")])
    p.run(tmp_path, "run", "--no-ui", *p.TINY, "--max-updates=3", "--name=a", "--set=notify.events=[]",
          f"--set=notify.command={command}", f"--set=notify.webhook={SECRET}")  # fmt: skip
    again = ("--max-updates=4", f"--set=notify.command={command}")
    assert p.run(tmp_path, "resume", "a", "--no-ui", *again).returncode == 0
    assert "notify.command" in (tmp_path / "a/session.toml").read_text().partition("[overrides]")[2]
    packed = p.run(tmp_path, "sessions", "pack", "a", str(tmp_path / "a.zip"))
    assert "left out" in packed.stdout
    assert "notify.command, notify.webhook" in packed.stdout
    assert holders_of(b"s3cret", tmp_path / "a.zip") == []
    assert "http://127.0.0.1:9/..." in p.run(tmp_path, "config", "show", "a").stdout
    assert [path.name for path in (tmp_path / "a").rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()] == [
        "session.toml"
    ], "the resume needs it"
    unpacked = p.run(tmp_path, "sessions", "unpack", str(tmp_path / "a.zip"), "--name=b")
    assert "notify.command" in unpacked.stdout
    more, end = "manager.termination.max_updates=6", '--set=notify.events=["end"]'
    words = ("--no-ui", f"--set={more}", end)
    assert p.run(tmp_path, "resume", "b", *words).returncode == 0
    state = next((tmp_path / "a/checkpoints").glob("*/state.pt"))
    fork = p.run(tmp_path, "fork", str(state), "--name=c", *words)
    assert fork.returncode == 0, fork.stderr
    assert not (tmp_path / "hacked").exists()
    assert p.run(tmp_path, "resume", "a", *words).returncode == 0
    assert (tmp_path / "hacked").exists()
