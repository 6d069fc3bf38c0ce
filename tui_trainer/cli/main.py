"""The command line. Each command imports what it needs when it runs, so that `--help` and lists stay fast."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tui_trainer import __version__
from tui_trainer.cli import options as o
from tui_trainer.core.text import clean_line
from tui_trainer.errors import AskedToEnd, TuiTrainerError

app = typer.Typer(
    name="tui-trainer",
    help="Train reinforcement-learning agents in the terminal, with a person in the loop.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


CLICK_ERROR = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""The root of typer's own errors, reached through a public child: typer brings click under a private name."""


LONGEST = 4000
"""Characters of a complaint: room for the reasons of many damaged checkpoints."""


def entry() -> None:
    """Console script: whatever goes wrong becomes one line on stderr and an exit code."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where a person's own tasks and callbacks lie, as for the engine
    _open_streams()
    try:
        code = execute(sys.argv[1:])
    except AskedToEnd as asked:
        code = asked.exit_code
        print(asked.last_words, end="\n" if asked.last_words else "")
    sys.exit(code)


def _open_streams() -> None:
    """A closed stdout or stderr swallows; a letter that the terminal's encoding lacks becomes `?`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        else:
            stream.reconfigure(errors="replace")


def execute(words: Sequence[str]) -> int:
    """Carry out one command line; returns the exit code."""
    try:
        code = int(app(list(words), prog_name="tui-trainer", standalone_mode=False) or 0)
        sys.stdout.flush()
        return code
    except TuiTrainerError as error:
        return _complain(str(error), error.exit_code)
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as leaving:  # typer's answer to a reader that left; else code that is not ours
        if isinstance(leaving.__context__, BrokenPipeError):
            return _reader_left()
        return _complain(f"failed: exit({leaving.code}) was called in the middle", 1)
    except (typer.Abort, KeyboardInterrupt):
        return _complain("interrupted", 130)
    except Exception as error:
        if isinstance(error, CLICK_ERROR):
            return _complain(*_misuse(error))
        return _complain(_failure(error), 1)


def _reader_left() -> int:
    """Nobody reads on: no failure of ours, and nothing more to say."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def _complain(message: str, code: int) -> int:
    print(f"tui-trainer: {clean_line(message, LONGEST)}", file=sys.stderr)
    return code


def _misuse(error: Any) -> tuple[str, int]:
    """A word that typer did not understand, in a sentence of ours."""
    message = error.format_message().strip().rstrip(".")
    context = getattr(error, "ctx", None)
    where = context.command_path if context else "tui-trainer"
    return f"{message[:1].lower()}{message[1:]}; `{where} --help` shows what there is", 2


def _failure(error: Exception) -> str:
    """What broke, and where its traceback lies."""
    with tempfile.NamedTemporaryFile("w", prefix="tui-trainer-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    return f"failed: {type(error).__name__}: {error}; the traceback is in {file.name}"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tui-trainer {__version__}")
        raise typer.Exit


def _defaults(command: Any, sessions: str) -> dict[str, Any]:
    """`--sessions` before the command holds for the command."""
    inner = getattr(command, "commands", None)
    return {"sessions": sessions} if inner is None else {name: _defaults(c, sessions) for name, c in inner.items()}


@app.callback(invoke_without_command=True)
def home(
    context: typer.Context,
    sessions: o.Sessions = None,
    also: o.Also = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Without a command: the browser of sessions; a plain list where there is no terminal."""
    if sessions is not None:
        context.default_map = _defaults(context.command, sessions)
    if context.invoked_subcommand is None:
        raise typer.Exit(_home(sessions, also))


def _home(sessions: str | None, also: list[str] | None) -> int:
    """The browser where there is a terminal for it, otherwise the plain list."""
    if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from tui_trainer.cli.browsing import browse

        return browse(sessions, execute, also)
    from tui_trainer.cli.listing import show_list

    show_list(sessions, json=False, also=also)
    return 0


# --- runs ----------------------------------------------------------------------------------------------------------


@app.command()
def run(
    config: o.Config = None,
    task: Annotated[str | None, typer.Option(help="Task id; `tasks list` shows them.", metavar="ID")] = None,
    algorithm: Annotated[str | None, typer.Option(help="ppo or dqn.", metavar="NAME")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.", metavar="N")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda[:N].", metavar="DEVICE")] = None,
    devices: Annotated[
        str | None,
        typer.Option(help="Devices that ranks, or seeds, take in turn: cuda:0,cuda:1.", metavar="LIST"),
    ] = None,
    nproc: Annotated[
        int | None, typer.Option(min=1, help="Train on so many processes of this machine.", metavar="N")
    ] = None,
    max_updates: Annotated[int | None, typer.Option(help="End after this many updates.", metavar="N")] = None,
    set_: o.Set = None,
    name: Annotated[
        str | None, typer.Option(help="Session name; default <task>-<algorithm>-<n>.", metavar="NAME")
    ] = None,
    callback: o.Callback = None,
    step_delay: Annotated[
        float | None, typer.Option(help="Wait so many seconds after each update.", metavar="SECONDS")
    ] = None,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Run in this process, without a screen.")] = False,
    json: o.Json = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start it, print its name, return.")] = False,
    seeds: Annotated[str | None, typer.Option(help="One session a seed: 0-4 or 1,3,7.", metavar="LIST")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="With --seeds: so many at a time.", metavar="N")] = 1,
    sessions: o.Sessions = None,
) -> None:
    """Start a run and open the app on it."""
    from tui_trainer.cli.running import Start, start

    flags = {
        "run.task": task,
        "run.algorithm": algorithm,
        "run.seed": seed,
        "run.device": device,
        "run.devices": devices.split(",") if devices else None,
        "run.nproc": nproc,
        "run.name": name,
        "run.step_delay_s": step_delay,
        "manager.termination.max_updates": max_updates,
    }
    wish = Start(config, flags, set_ or [], callback or [], sessions, no_ui=no_ui, json=json, detach=detach)
    raise typer.Exit(start(wish, seeds, jobs))


@app.command()
def attach(
    name: o.MaybeName = None,
    readonly: Annotated[bool, typer.Option("--readonly", help="Look, give no orders.")] = False,
    sessions: o.Sessions = None,
) -> None:
    """Open the app on a run that is going on, or on a study."""
    from tui_trainer.cli.running import attach_view

    raise typer.Exit(attach_view(sessions, name, readonly))


@app.command()
def resume(
    name: o.MaybeName = None,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Run in this process, without a screen.")] = False,
    json: o.Json = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start it, print its name, return.")] = False,
    max_updates: Annotated[int | None, typer.Option(help="Raise the limit to this many updates.", metavar="N")] = None,
    set_: o.Set = None,
    callback: o.Callback = None,
    sessions: o.Sessions = None,
) -> None:
    """Go on after a pause, or take a session up from its newest good checkpoint."""
    from tui_trainer.cli.running import Resume, resume_session

    assignments = list(set_ or [])
    if max_updates is not None:
        assignments.append(f"manager.termination.max_updates={max_updates}")
    wish = Resume(sessions, name, assignments, callback or [], no_ui=no_ui, json=json, detach=detach)
    raise typer.Exit(resume_session(wish))


@app.command()
def wait(name: o.MaybeName = None, sessions: o.Sessions = None) -> None:
    """Return when the run ends, with its exit code."""
    from tui_trainer.cli.ordering import wait_for_end

    raise typer.Exit(wait_for_end(sessions, name))


# --- orders --------------------------------------------------------------------------------------------------------


@app.command()
def pause(
    name: o.MaybeName = None,
    when: Annotated[
        str, typer.Option(help='Only once this holds, such as "eval/win_rate > 0.9".', metavar="CONDITION")
    ] = "",
    sessions: o.Sessions = None,
) -> None:
    """Pause a live run at the next phase boundary."""
    from tui_trainer.cli import ordering

    ordering.pause(sessions, name, when)


@app.command()
def checkpoint(name: o.MaybeName = None, sessions: o.Sessions = None) -> None:
    """Save a checkpoint of a live run now."""
    from tui_trainer.cli import ordering

    ordering.checkpoint(sessions, name)


@app.command()
def stop(name: o.MaybeName = None, sessions: o.Sessions = None) -> None:
    """Save and end a live run."""
    from tui_trainer.cli import ordering

    ordering.stop(sessions, name)


Id = Annotated[
    int | None, typer.Option("--id", help="Recommendation number; default the newest open one.", metavar="N")
]


@app.command()
def accept(name: o.MaybeName = None, id_: Id = None, sessions: o.Sessions = None) -> None:
    """Accept a recommendation."""
    from tui_trainer.cli import ordering

    ordering.answer(sessions, name, id_, "accept")


@app.command()
def reject(name: o.MaybeName = None, id_: Id = None, sessions: o.Sessions = None) -> None:
    """Reject a recommendation."""
    from tui_trainer.cli import ordering

    ordering.answer(sessions, name, id_, "reject")


@app.command()
def undo(name: o.MaybeName = None, id_: Id = None, sessions: o.Sessions = None) -> None:
    """Undo an accepted recommendation."""
    from tui_trainer.cli import ordering

    ordering.answer(sessions, name, id_, "undo")


@app.command("try")
def try_(name: o.MaybeName = None, id_: Id = None, sessions: o.Sessions = None) -> None:
    """Try a recommendation: train on without it and with it in turn, and keep the better one."""
    from tui_trainer.cli import ordering

    ordering.answer(sessions, name, id_, "try")


@app.command("set")
def set_live(
    name: o.Name,
    assignment: Annotated[str, typer.Argument(metavar="KEY=VALUE", help="Such as ppo.learning_rate=1e-4.")],
    sessions: o.Sessions = None,
) -> None:
    """Change a safe setting, or the difficulty, of a live run."""
    from tui_trainer.cli import ordering

    ordering.set_live(sessions, name, assignment)


@app.command("run-for")
def run_for(
    name: o.Name,
    updates: Annotated[int, typer.Argument(min=1, metavar="N", help="Updates until the pause.")],
    sessions: o.Sessions = None,
) -> None:
    """Go on for N updates, then pause."""
    from tui_trainer.cli import ordering

    ordering.run_for(sessions, name, updates)


@app.command()
def tune(
    config: Annotated[str, typer.Argument(help="Preset name or TOML file with [study.space].", metavar="CONFIG")],
    trials: Annotated[int, typer.Option(min=1, help="Go on until so many trials have ended.", metavar="N")],
    jobs: Annotated[int, typer.Option(min=1, help="So many trials at a time.", metavar="J")] = 1,
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage; default a file beside the sessions.", metavar="URL")
    ] = None,
    earlier: Annotated[
        str | None, typer.Option("--from", help="Narrow the space around this study's best.", metavar="STUDY")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Study name; default <config>-study.", metavar="STUDY")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the search; default run.seed.", metavar="S")] = None,
    set_: o.Set = None,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Run it in this process, a line a trial.")] = False,
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """Search for good settings: an Optuna study, each trial a session of its own; on a terminal in the app."""
    from tui_trainer.cli.tuning import Tune
    from tui_trainer.cli.tuning import tune as carry_out

    wish = Tune(config, trials, jobs, set_ or [], sessions, storage, earlier, name, seed, json, no_ui)
    raise typer.Exit(carry_out(wish))


@app.command()
def ab(
    config_a: Annotated[str, typer.Argument(help="Preset name or TOML file.", metavar="CONFIG_A")],
    config_b: Annotated[str, typer.Argument(help="Preset name or TOML file.", metavar="CONFIG_B")],
    seeds: Annotated[int, typer.Option(min=2, max=1000, help="Pairs: each seed trains with both.", metavar="N")] = 5,
    jobs: Annotated[int, typer.Option(min=1, help="So many runs at a time.", metavar="J")] = 1,
    name: Annotated[str, typer.Option(help="Sessions are NAME-a-s1, NAME-b-s1 ...", metavar="NAME")] = "ab",
    set_: o.Set = None,
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """Compare two configurations: paired by seed, at equal steps, with an interval and a verdict."""
    from tui_trainer.cli.pairing import Pairing, pair

    raise typer.Exit(pair(Pairing((config_a, config_b), seeds, jobs, name, set_ or [], sessions, json)))


# --- saved sessions ------------------------------------------------------------------------------------------------


@app.command()
def replay(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Session name or path; default the sample.")] = "sample",
    speed: Annotated[str, typer.Option(help="1..1000 times real time, or max.", metavar="X")] = "20",
    at: Annotated[
        str | None,
        typer.Option(
            help="Stand at update:N, at 12:30 or 90s after the start, or at the end; space plays on.", metavar="PLACE"
        ),
    ] = None,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Print it.")] = False,
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """Play a saved session in the same screens."""
    from tui_trainer.cli.replaying import replay_session

    raise typer.Exit(replay_session(sessions, name, speed, at, no_ui=no_ui, json=json))


@app.command()
def fork(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.pt", help="Session name or path, or a state.pt.")],
    at: Annotated[str, typer.Option(help="best, latest, or a checkpoint's number.", metavar="WHICH")] = "latest",
    as_: Annotated[str | None, typer.Option("--name", help="Name of the new session.")] = None,
    set_: o.Set = None,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Run in this process, without a screen.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start it, print its name, return.")] = False,
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """Start a new session from a checkpoint; its lineage is kept."""
    from tui_trainer.cli.forking import Fork, fork_session

    raise typer.Exit(fork_session(Fork(sessions, name, at, as_, set_ or [], no_ui=no_ui, detach=detach, json=json)))


@app.command()
def rerun(name: o.Name, json: o.Json = False, sessions: o.Sessions = None) -> None:
    """Execute a session again from seed and decisions, and compare every checkpoint's bits."""
    from tui_trainer.cli.rerunning import rerun_session

    raise typer.Exit(rerun_session(sessions, name, json=json))


@app.command("eval")
def evaluate(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.pt", help="Session name or path, or a state.pt.")],
    checkpoint: Annotated[str, typer.Option(help="best, latest, or a checkpoint's number.", metavar="WHICH")] = "best",
    episodes: Annotated[int, typer.Option(min=2, help="Episodes for each opponent or category.", metavar="N")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the games.", metavar="N")] = 12345,
    expect: Annotated[
        str, typer.Option(help='Exit 1 unless this holds, such as "win_rate >= 0.9".', metavar="CONDITION")
    ] = "",
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """Evaluate a checkpoint without training."""
    from tui_trainer.cli.evaluating import evaluate_session

    raise typer.Exit(evaluate_session(sessions, name, checkpoint, episodes, seed, expect, json=json))


Checkpoint = Annotated[str, typer.Option(help="best, latest, or a checkpoint's number.", metavar="WHICH")]
Temperature = Annotated[
    float,
    typer.Option(min=0, max=100, help="0: the likeliest move; T: drawn from probabilities ** (1 / T).", metavar="T"),
]
GameSeed = Annotated[int, typer.Option(min=0, help="Seed of what is drawn and of the environment.", metavar="N")]


@app.command()
def watch(
    name: Annotated[
        str, typer.Argument(metavar="NAME|FILE.pt", help="Session name or path, or a state.pt.")
    ] = "sample",
    checkpoint: Checkpoint = "best",
    against: Annotated[
        str, typer.Option(help="self, or one of the task's opponents, such as minimax-3.", metavar="OPPONENT")
    ] = "self",
    delay: Annotated[float | None, typer.Option(help="Seconds between moves.", metavar="SECONDS")] = None,
    temperature: Temperature = 0.0,
    seed: GameSeed = 0,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Print one game.")] = False,
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """Watch a checkpoint play, move by move, with its probabilities and value."""
    from tui_trainer.cli.dueling import Wish, watch_game

    wish = Wish(sessions=sessions, name=name, checkpoint=checkpoint, temperature=temperature, seed=seed, no_ui=no_ui)
    watch_game(wish, against, delay, json=json)


@app.command()
def play(
    name: Annotated[
        str, typer.Argument(metavar="NAME|FILE.pt", help="Session name or path, or a state.pt.")
    ] = "sample",
    checkpoint: Checkpoint = "best",
    first: Annotated[bool, typer.Option("--first", help="You move first.")] = False,
    temperature: Temperature = 0.0,
    seed: GameSeed = 0,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Moves from stdin, one a line.")] = False,
    sessions: o.Sessions = None,
) -> None:
    """Play against a checkpoint of a two-player task."""
    from tui_trainer.cli.dueling import Wish, play_game

    wish = Wish(sessions=sessions, name=name, checkpoint=checkpoint, temperature=temperature, seed=seed, no_ui=no_ui)
    play_game(wish, person_first=first)


@app.command()
def apply(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.pt", help="Session name or path, or a state.pt.")],
    source: Annotated[str, typer.Argument(metavar="IN", help="Folder or file to work on.")],
    target: Annotated[str, typer.Argument(metavar="OUT", help="Folder to write to.")],
    checkpoint: Checkpoint = "best",
    pixels: Annotated[int, typer.Option(min=16, max=4096, help="Longer side at which files are traced.")] = 512,
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """Put a policy to work on files of yours: `vectorize` writes an SVG for every picture."""
    from tui_trainer.cli.applying import apply_policy

    raise typer.Exit(apply_policy(sessions, name, source, target, checkpoint, pixels, json=json))


@app.command()
def export(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.pt", help="Session name or path, or a state.pt.")],
    policy: Annotated[str, typer.Option(help="The format: onnx.", metavar="FORMAT")] = "onnx",
    checkpoint: Checkpoint = "best",
    out: Annotated[str | None, typer.Option("--out", help="Default NAME.onnx.", metavar="FILE")] = None,
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """Take a checkpoint's policy elsewhere: a model file, compared with the policy on 1,000 observations."""
    from tui_trainer.cli.exporting import export_policy

    export_policy(sessions, name, policy, checkpoint, out, json=json)


@app.command()
def elo(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Session name or path.")],
    games: Annotated[int, typer.Option(min=2, max=10_000, help="Games of each pair.", metavar="N")] = 40,
    snapshots: Annotated[int, typer.Option(min=1, max=20, help="Checkpoints, from first to last.", metavar="N")] = 5,
    against: Annotated[
        str, typer.Option(help="The task's opponents to meet, with commas; default all.", metavar="A,B")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the games.", metavar="N")] = 12345,
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """Rate a session's checkpoints and the task's opponents by games between all of them."""
    from tui_trainer.cli.rating import Wish, rate_session

    names = tuple(word.strip() for word in against.split(",") if word.strip())
    rate_session(
        Wish(sessions=sessions, name=name, games=games, snapshots=snapshots, against=names, seed=seed, json=json)
    )


@app.command()
def report(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Session name or path; default the sample.")] = "sample",
    out: Annotated[
        str | None, typer.Option("--out", metavar="DIR", help="Where to write it; default NAME/report in sessions.")
    ] = None,
    html: Annotated[bool, typer.Option("--html", help="One self-contained file.")] = False,
    sessions: o.Sessions = None,
) -> None:
    """Write a session's report: Markdown with SVG and PNG pictures."""
    from tui_trainer.cli.reporting import report_session

    report_session(sessions, name, out, html=html)


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Session names or paths.")],
    metric: Annotated[
        str, typer.Option(help="What to compare; default the first one's score, such as eval/win_rate.", metavar="NAME")
    ] = "",
    threshold: Annotated[
        list[float] | None, typer.Option(help="When was it reached; may be given again.", metavar="X")
    ] = None,
    screen: Annotated[bool, typer.Option("--screen", help="In the app: curves over each other, a baseline.")] = False,
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """Sessions side by side: scores, settings that differ, and intervals over groups of seeds."""
    if screen and not json:
        from tui_trainer.cli.comparing import compare_on_screen

        compare_on_screen(sessions, names, metric)
        return
    from tui_trainer.cli.reporting import compare_sessions

    compare_sessions(sessions, names, metric, threshold or [], json=json)


def _group(name: str, text: str) -> typer.Typer:
    group = typer.Typer(help=text, rich_markup_mode=None)
    app.add_typer(group, name=name)
    return group


sessions_app = _group("sessions", "What is saved on disk.")


@sessions_app.command("list")
def sessions_list(json: o.Json = False, also: o.Also = None, sessions: o.Sessions = None) -> None:
    """Every session and how it is."""
    from tui_trainer.cli.listing import show_list

    show_list(sessions, json=json, also=also)


@sessions_app.command("show")
def sessions_show(
    name: o.Name,
    models: Annotated[bool, typer.Option("--models", help="Its model versions: scores, lineage, the best.")] = False,
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """One session in full, or its model versions."""
    from tui_trainer.cli.listing import show_models, show_one

    (show_models if models else show_one)(sessions, name, json=json)


@sessions_app.command("rm")
def sessions_rm(
    name: o.Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    sessions: o.Sessions = None,
) -> None:
    """Delete a session that is not live."""
    from tui_trainer.cli.listing import remove

    remove(sessions, name, yes=yes)


@sessions_app.command("verify")
def sessions_verify(name: o.Name, json: o.Json = False, sessions: o.Sessions = None) -> None:
    """Check every hash, the journal and the lineage; say what would mend what is broken."""
    from tui_trainer.cli.storing import verify_session

    raise typer.Exit(verify_session(sessions, name, json=json))


@sessions_app.command("prune")
def sessions_prune(
    name: o.Name,
    keep_last: Annotated[int | None, typer.Option(min=1, help="Regular checkpoints kept.")] = None,
    keep_best: Annotated[int | None, typer.Option(min=1, help="Best checkpoints kept.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it only shown.")] = False,
    sessions: o.Sessions = None,
) -> None:
    """Show which checkpoints would be freed, and free them with --yes."""
    from tui_trainer.cli.storing import prune

    prune(sessions, name, keep_last, keep_best, yes=yes)


@sessions_app.command("pack")
def sessions_pack(
    name: o.Name,
    target: Annotated[str | None, typer.Argument(metavar="[FILE]", help="Default NAME.tui.zip.")] = None,
    sessions: o.Sessions = None,
) -> None:
    """Put a session into one compressed file."""
    from tui_trainer.cli.storing import pack_session

    pack_session(sessions, name, target)


@sessions_app.command("unpack")
def sessions_unpack(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A packed session.")],
    name: Annotated[str, typer.Option(help="Another name than it had.")] = "",
    sessions: o.Sessions = None,
) -> None:
    """Make a session from a packed file, every hash checked."""
    from tui_trainer.cli.storing import unpack_session

    unpack_session(sessions, source, name)


@sessions_app.command("export")
def sessions_export(
    name: o.Name,
    what: Annotated[str, typer.Option(help="metrics, decisions or models.", metavar="WHAT")] = "metrics",
    form: Annotated[str, typer.Option("--format", help="csv, json, parquet or tensorboard.")] = "csv",
    cleanrl: Annotated[bool, typer.Option("--cleanrl", help="CleanRL's metric names.")] = False,
    machine: Annotated[bool, typer.Option("--machine", help="The machine's figures as well (system/*).")] = False,
    target: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Default stdout; a directory for tensorboard.")
    ] = None,
    sessions: o.Sessions = None,
) -> None:
    """Every logged metric, one row a moment; or every decision; or every model version."""
    from tui_trainer.cli.storing import Export, export_session

    export_session(Export(sessions, name, form, cleanrl, machine, target, what))


# --- settings, tasks, machine --------------------------------------------------------------------------------------

config_app = _group("config", "Settings: every option, its value and where it came from.")


@config_app.command("show")
def config_show(
    config: Annotated[str | None, typer.Argument(metavar="CONFIG|NAME", help="Preset, file or session.")] = None,
    set_: o.Set = None,
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """Every setting with its value, its origin and its sentence."""
    from tui_trainer.cli.configuring import show

    show(sessions, config, set_ or [], json=json)


@config_app.command("validate")
def config_validate(config: Annotated[str, typer.Argument(metavar="CONFIG", help="Preset or TOML file.")]) -> None:
    """Check a file without running it."""
    from tui_trainer.cli.configuring import validate

    validate(config)


@config_app.command("init")
def config_init(
    path: Annotated[str, typer.Argument(metavar="FILE", help="File to write.")] = "tui-trainer.toml",
    preset: Annotated[str, typer.Option(help="Preset to start from.", metavar="NAME")] = "connect_four",
) -> None:
    """Write a commented file to edit."""
    from tui_trainer.cli.configuring import init

    init(path, preset)


data_app = _group("data", "Your own data: images, OHLCV tables, request traces.")


@data_app.command("check")
def data_check(
    source: Annotated[str, typer.Argument(metavar="DIR", help="Folder or file.")],
    kind: Annotated[str, typer.Option(help="auto, images, bars or requests.", metavar="KIND")] = "auto",
    jobs: Annotated[int, typer.Option(min=0, help="Worker processes; 0 = one a core.", metavar="N")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the split that is shown.", metavar="N")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure anew what was measured before.")] = False,
    json: o.Json = False,
) -> None:
    """Categories, scores, rejects with their reasons, duplicates and a split."""
    from tui_trainer.cli.checking import check_data

    raise typer.Exit(check_data(source, kind, jobs, seed, fresh=fresh, json=json))


tasks_app = _group("tasks", "What can be trained.")


@tasks_app.command("list")
def tasks_list(json: o.Json = False) -> None:
    """Every task and whether its libraries are installed."""
    from tui_trainer.cli.tasking import show_tasks

    show_tasks(json=json)


@tasks_app.command("show")
def tasks_show(task: Annotated[str, typer.Argument(metavar="ID", help="Task id.")]) -> None:
    """One task: observation, actions, opponents, difficulty, options."""
    from tui_trainer.cli.tasking import show_task

    show_task(task)


@tasks_app.command("check")
def tasks_check(
    task: Annotated[str, typer.Argument(metavar="ID", help="Task id, module:factory included.")],
    set_: o.Set = None,
    patience: Annotated[float, typer.Option(min=0.1, help="A rule that takes longer fails.", metavar="SECONDS")] = 300,
) -> None:
    """Run the conformance kit on a task."""
    from tui_trainer.cli.tasking import check_task

    raise typer.Exit(check_task(task, set_ or [], patience))


@app.command()
def profile(
    config: o.Config = None,
    task: Annotated[str | None, typer.Option(help="Task id; `tasks list` shows them.", metavar="ID")] = None,
    algorithm: Annotated[str | None, typer.Option(help="ppo or dqn.", metavar="NAME")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long to train.", metavar="S")] = 10.0,
    set_: o.Set = None,
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """Where the time of a run goes: a short one that is deleted afterwards, and what would help."""
    from tui_trainer.cli.profiling import Wish
    from tui_trainer.cli.profiling import profile as carry_out

    flags = {"run.task": task, "run.algorithm": algorithm}
    raise typer.Exit(carry_out(Wish(config, flags, set_ or [], sessions, seconds, json)))


@app.command()
def serve(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A session: live or replayed; without it the list.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 = any that is free.")] = 8765,
    readonly: Annotated[bool, typer.Option("--readonly", help="A live run takes no orders from the page.")] = False,
    sessions: o.Sessions = None,
) -> None:
    """The same app in a web page of this machine, behind a token."""
    from tui_trainer.cli.serving import serve as carry_out

    raise typer.Exit(carry_out(sessions, name, port, readonly=readonly))


@app.command()
def doctor(
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Try numbers of environments and threads: about a minute.")
    ] = False,
    config: o.Config = None,
    json: o.Json = False,
    sessions: o.Sessions = None,
) -> None:
    """What this machine offers, and what is in the way."""
    if calibrate:
        from tui_trainer.cli.profiling import calibrate_machine

        raise typer.Exit(calibrate_machine(sessions, config, seconds=4.0, json=json))
    from tui_trainer.cli.doctoring import doctor as examine

    raise typer.Exit(examine(sessions, json=json))


if __name__ == "__main__":
    entry()
