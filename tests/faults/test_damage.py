"""Damaged files under the real program: it falls back and names them, or refuses in one line and touches nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine import process as p
from tests.sessions import hostile
from tests.warm import Done, Warm
from tui_trainer.sessions.checkpoints import CheckpointStore
from tui_trainer.sessions.store import Session


@pytest.fixture(scope="module")
def ended(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run of 20 updates, `a`, checkpoints every five."""
    directory = tmp_path_factory.mktemp("ended")
    assert warm.run(directory, "run", "--no-ui", *p.TINY, "--max-updates=20", "--name=a").returncode == 0
    return directory


@pytest.fixture
def session(ended: Path, root: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(ended / "a", root / "a"))


def newest(session: Path) -> Path:
    return session / CheckpointStore(session).manifests()[0].path


def contents(session: Path) -> dict[str, bytes]:
    """Every file's bytes; the log and the lock's signature aside."""
    files = (path for path in session.rglob("*") if path.is_file() and path.name not in ("engine.log", "lock"))
    return {str(path.relative_to(session)): path.read_bytes() for path in files}


def refused(done: Done, *said: str, code: int = 2) -> None:
    """One line on stderr, with these words."""
    assert done.returncode == code, done
    assert done.stderr.startswith("tui-trainer: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for words in said:
        assert words in done.stderr


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


HARMS: dict[str, Callable[[bytes], bytes]] = {
    "one bit": flip,
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_it_resumed(
    warm: Warm, session: Path, harm: Callable[[bytes], bytes]
) -> None:
    damaged = newest(session)
    state = damaged / "state.pt"
    state.write_bytes(harm(state.read_bytes()))
    good = CheckpointStore(session).newest_good().manifest
    assert good.path != str(damaged.relative_to(session))
    done = warm.run(session.parent, "resume", "a", "--no-ui", "--max-updates=25")
    assert done.returncode == 0, done
    (resumed,) = [e for e in p.journal(session) if e["type"] == "RunResumed"]
    assert (resumed["checkpoint"], resumed["from_update"]) == (good.path, good.update)
    assert damaged.name in resumed["note"]
    assert damaged.name in done.stdout


def test_with_every_checkpoint_damaged_each_reason_is_told_and_nothing_is_overwritten(
    warm: Warm, session: Path
) -> None:
    paths = [manifest.path for manifest in CheckpointStore(session).manifests()]
    for number, path in enumerate(paths):
        state = session / path / "state.pt"
        state.write_bytes(list(HARMS.values())[number % 3](state.read_bytes()))
    before = contents(session)
    for words in (("resume", "a", "--no-ui", "--max-updates=25"), ("resume", "a", "--detach", "--max-updates=25")):
        refused(warm.run(session.parent, *words), *(Path(path).name for path in paths))
    refused(warm.run(session.parent, "eval", "a", "--episodes=4"))
    assert contents(session) == before


def test_a_resume_that_finds_out_late_leaves_the_history_as_it_was(warm: Warm, session: Path) -> None:
    """Every hash is right, and yet no checkpoint fits the session: that is seen only when one is loaded."""
    other = session.parent / "b"
    words = (*p.TINY, "--set=ppo.hidden=[8]", "--max-updates=20", "--name=b")
    assert warm.run(session.parent, "run", "--no-ui", *words).returncode == 0
    shutil.rmtree(session / "checkpoints")
    shutil.copytree(other / "checkpoints", session / "checkpoints")
    before = (session / "events.jsonl").read_bytes()
    refused(warm.run(session.parent, "resume", "a", "--no-ui", "--max-updates=25"), "parameters")
    assert (session / "events.jsonl").read_bytes() == before


def test_a_session_whose_session_toml_is_damaged_is_not_packed(warm: Warm, session: Path) -> None:
    file = session / "session.toml"
    file.write_text(file.read_text().replace("[status]", "[status\n", 1))
    refused(warm.run(session.parent, "sessions", "pack", "a", str(session.parent / "a.zip")), "session.toml")
    assert not (session.parent / "a.zip").exists()


READERS = (
    "resume a --no-ui", "resume a --detach", "sessions show a", "eval a", "config show a", "fork a --no-ui", "rerun a",
    "wait a",
)  # fmt: skip
TOMLS = {
    "syntax": ("[status]", "[status\n"),
    "type": ("update = 20", 'update = "many"'),
    "deep": ("[status]", "deep = " + "[" * 3000 + "]" * 3000 + "\n[status]"),
}


@pytest.mark.parametrize(("old", "new"), TOMLS.values(), ids=TOMLS)
def test_a_damaged_session_toml_is_named_with_its_line_by_every_command_that_reads_it(
    warm: Warm, session: Path, old: str, new: str
) -> None:
    file = session / "session.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    before = contents(session)
    for words in READERS if "[status" in new else READERS[:2]:
        done = warm.run(session.parent, *words.split())
        refused(done, "session.toml")
        assert "deep" in new or "line " in done.stderr, (words, done.stderr)
    verified = warm.run(session.parent, "sessions", "verify", "a")
    assert (verified.returncode, verified.stdout.count("session.toml")) == (2, 2)
    replayed = warm.run(session.parent, "replay", "a", "--no-ui")
    assert replayed.returncode == 0, "the journal is whole, and all that a replay needs"
    assert contents(session) == before
    assert "damaged" in warm.run(session.parent, "sessions", "list").stdout


def test_a_session_toml_of_a_gigabyte_is_refused_by_its_size(warm: Warm, session: Path) -> None:
    with (session / "session.toml").open("ab") as file:
        file.truncate(1 << 30)
    refused(warm.run(session.parent, "sessions", "show", "a"), "session.toml")


@pytest.mark.parametrize("lines", [1, 7])
def test_replay_says_how_many_lines_of_the_journal_it_skipped(warm: Warm, session: Path, lines: int) -> None:
    journal = session / "events.jsonl"
    good = journal.read_text().splitlines()
    bad = [line[: len(line) // 2] if 3 <= number < 3 + lines else line for number, line in enumerate(good)]
    journal.write_text("\n".join(bad) + "\n")
    done = warm.run(session.parent, "replay", "a", "--no-ui", "--json")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == len(good) - lines
    assert str(lines) in done.stderr
    assert "skipped" in done.stderr


def test_a_torn_last_line_is_closed_and_seq_goes_on_from_the_last_intact_one(warm: Warm, session: Path) -> None:
    journal = session / "events.jsonl"
    whole = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(whole[:-1]) + whole[-1][:40])
    done = warm.run(session.parent, "resume", "a", "--no-ui", "--max-updates=25")
    assert done.returncode == 0, done
    intact, torn = [], 0
    for line in journal.read_bytes().splitlines():
        try:
            intact.append(json.loads(line)["seq"])
        except ValueError:
            torn += 1
    assert torn == 1
    assert intact == list(range(1, len(intact) + 1))
    replayed = warm.run(session.parent, "replay", "a", "--no-ui", "--json")
    assert [json.loads(line)["seq"] for line in replayed.stdout.splitlines()] == intact
    assert "1 " in replayed.stderr
    assert "skipped" in replayed.stderr


def test_a_session_of_a_newer_version_is_refused_untouched(warm: Warm, session: Path) -> None:
    file = session / "session.toml"
    file.write_text(file.read_text().replace("format = 1", "format = 2", 1))
    before = contents(session)
    for words in ("resume a --no-ui", "resume a --detach", "sessions show a", "eval a", "fork a --no-ui"):
        refused(warm.run(session.parent, *words.split()), "made by a newer version")
    assert contents(session) == before
    assert p.names(session.parent) == ["a"]


STRANGE = {
    "newer": ("format = 1", "format = 2"),
    "outside": ('[files."state.pt"]', '[files."../../../../etc/passwd"]'),
    "absolute": ('[files."state.pt"]', '[files."/etc/passwd"]'),
}


@pytest.mark.parametrize(("old", "new"), STRANGE.values(), ids=STRANGE)
def test_a_strange_manifest_is_named_and_the_checkpoint_before_it_resumed(
    warm: Warm, session: Path, old: str, new: str
) -> None:
    strange, before = newest(session), CheckpointStore(session).manifests()[1]
    manifest = strange / "manifest.toml"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(resigned(text.replace(old, new, 1)))
    done = warm.run(session.parent, "resume", "a", "--no-ui", "--max-updates=25")
    assert done.returncode == 0, done
    (resumed,) = [e for e in p.journal(session) if e["type"] == "RunResumed"]
    assert strange.name in resumed["note"]
    assert resumed["from_update"] == before.update


def resigned(text: str) -> str:
    """The file with the hash in its first line made right again, as whoever forged it would."""
    first, _, rest = text.partition("\n")
    if not first.startswith("# sha256"):
        return text
    return f"# sha256 {hashlib.sha256(rest.encode()).hexdigest()}\n{rest}"


KINDS = (
    "code: os.system", "code: pickled object", "bomb: stride 0", "archive: plain pickle", "archive: deflated bomb",
    "archive: cut", "place: pipe", "place: link", "place: zero", "place: directory", "place: absent",
)  # fmt: skip
"""One or two of each family: tests/sessions/test_strict.py takes them all to the check itself."""


def test_a_hostile_file_is_refused_by_every_command_that_takes_one_and_runs_nothing(
    warm: Warm, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = hostile.write_all(tmp_path_factory.mktemp("hostile"))
    for kind in KINDS:
        for words in (("eval", str(files[kind])), ("fork", str(files[kind]), "--no-ui")):
            done = warm.run(root, *words)
            refused(done)
            assert done.cpu_s < 3, kind
    assert p.names(root) == []
    assert not Path(hostile.CANARY).exists()


def test_of_many_resumes_of_a_session_one_wins_and_the_others_exit_with_3_naming_it(warm: Warm, session: Path) -> None:
    words = ("resume", "a", "--no-ui", "--json", "--max-updates=1000000")
    contenders = [warm.start(session.parent, *words) for _ in range(4)]
    owner = p.wait_for(lambda: Session.open(session).owner())
    (winner,) = [each for each in contenders if each.pid == owner.pid]
    for loser in contenders:
        if loser is not winner:
            done = loser.finish(120)
            refused(done, str(owner.pid), code=3)
    winner.until("UpdateFinished")
    assert winner.stop() == 143


@pytest.mark.parametrize(("name", "was"), [("torch", "2.10.0"), ("threads", 8), ("device", "cuda:0")])
def test_a_resume_where_bits_may_differ_works_and_says_so(warm: Warm, session: Path, name: str, was: object) -> None:
    """The newest checkpoint says that it was made by another torch, by more threads, or on a GPU."""
    store = CheckpointStore(session)
    loaded = store.newest_good()
    state = dict(loaded.state)
    place = "wall" if name == "device" else "environment"
    state[place] = {**state[place], name: was}
    store.save(store.snapshot(state), kind="manual", update=20, global_step=loaded.manifest.global_step)
    done = warm.run(session.parent, "resume", "a", "--no-ui", "--max-updates=25")
    assert done.returncode == 0, done
    (resumed,) = [e for e in p.journal(session) if e["type"] == "RunResumed"]
    assert resumed["exact"] is False
    assert f"not bit-exact: {name} was {was}, is " in resumed["note"]


def test_a_session_of_the_first_format_is_shown_replayed_and_verified(warm: Warm, root: Path) -> None:
    """One is committed for each format that a release wrote."""
    old = Path(__file__).parent.parent / "sessions" / "old" / "format-1"
    shutil.copytree(old, root / "old")
    for words in ("sessions show old", "sessions verify old", "replay old --no-ui", "sessions export old"):
        done = warm.run(root, *words.split())
        assert (done.returncode, done.stderr) == (0, ""), (words, done)
