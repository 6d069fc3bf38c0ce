"""The one table of keys: what the app binds, the footer and the help show, and the documentation prints."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tui_trainer.ui.keymap import UNCHANGED, Changes, remapped
from tui_trainer.ui.scene import Scene

Action: TypeAlias = Literal[
    "pause", "checkpoint", "accept", "reject", "undo", "try", "stop", "write", "leave", "help", "palette", "copy",
    "filter", "next_panel", "previous_panel", "panel", "maximise", "back", "up", "down", "left", "right",
    "play", "earlier", "later", "slower", "faster", "next_decision", "previous_decision",
    "level", "save", "extend", "again", "report", "fork",
    "zoom_in", "zoom_out", "pan_left", "pan_right", "whole", "x_axis", "log_axis", "smooth", "bands",
    "decisions", "models", "export_csv", "export_json", "page_up", "page_down",
    "suspend", "next_evaluation", "previous_evaluation", "next_checkpoint", "previous_checkpoint", "home", "end",
]  # fmt: skip


class Key(msgspec.Struct, frozen=True):
    """One line of the table. `keys` are Textual's names, `shown` is what a person reads."""

    action: Action
    keys: tuple[str, ...]
    shown: str
    label: str
    help: str
    command: str = ""
    """The command that does the same from a script."""
    where: Literal["live", "replay", "both"] = "both"
    rank: int = 0
    """Place in the footer, 1 first; 0 stays out of it."""
    on_list: int = 0
    """The same while a list has the whole screen."""


KEYS: tuple[Key, ...] = (
    Key("pause", ("p", "space"), "p", "pause", "Pause at the next phase boundary, or go on",
        "tui-trainer pause | resume NAME", "live", 1),
    Key("checkpoint", ("c",), "c", "checkpoint", "Save a checkpoint after this update",
        "tui-trainer checkpoint NAME", "live", 5),
    Key("accept", ("a",), "a", "accept", "Accept the recommendation on the screen",
        "tui-trainer accept NAME --id ID", "live", 3),
    Key("reject", ("r",), "r", "reject", "Reject it; its subject stays quiet for a while",
        "tui-trainer reject NAME --id ID", "live", 4),
    Key("undo", ("z",), "z", "undo", "Take back the newest accepted recommendation",
        "tui-trainer undo NAME --id ID", "live", 6),
    Key("try", ("t",), "t", "try", "Try it: train on without it and with it in turn, and keep the better one",
        "tui-trainer try NAME --id ID", "live"),
    Key("stop", ("s",), "s", "stop", "Save and end the run, after a question", "tui-trainer stop NAME", "live", 7),
    Key("write", ("o", "colon"), "o", "order", "Write an order: set KEY=VALUE, run-for N, pause --when CONDITION",
        "tui-trainer set NAME KEY=VALUE | run-for NAME N | pause --when CONDITION NAME", "live", 19),
    Key("play", ("space", "p"), "space", "play", "Play or pause the replay", "tui-trainer replay NAME", "replay", 1),
    Key("earlier", ("left_square_bracket",), "[", "back", "Go back a fiftieth of the session", "", "replay", 3),
    Key("later", ("right_square_bracket",), "]", "forward", "Go forward a fiftieth of the session",
        "tui-trainer replay NAME --at update:N", "replay", 4),
    Key("slower", ("less_than_sign",), "<", "slower", "Play more slowly", "", "replay", 5),
    Key("faster", ("greater_than_sign",), ">", "faster", "Play faster, up to as fast as it goes",
        "tui-trainer replay NAME --speed N", "replay", 6),
    Key("next_decision", ("n",), "n", "decision", "Jump to the next decision (N: the previous one)", "", "replay", 7),
    Key("previous_decision", ("N", "upper_n"), "N", "", "Jump to the previous decision", "", "replay"),
    Key("next_evaluation", ("e",), "e", "evaluation", "Jump to the next evaluation (E: the previous one)", "",
        "replay", 8),
    Key("previous_evaluation", ("E", "upper_e"), "E", "", "Jump to the previous evaluation", "", "replay"),
    Key("next_checkpoint", ("k",), "k", "checkpoint", "Jump to the next checkpoint (K: the previous one)", "",
        "replay", 9),
    Key("previous_checkpoint", ("K", "upper_k"), "K", "", "Jump to the previous checkpoint", "", "replay"),
    Key("left", ("left",), "←", "crosshair",
        "Previous recommendation; in a replay an event back; on a chart its crosshair"),
    Key("right", ("right",), "→", "", "Next recommendation; in a replay an event on; on a chart the crosshair"),
    Key("home", ("home",), "home", "", "Beginning of the session", "", "replay"),
    Key("end", ("end",), "end", "", "End of the session", "", "replay"),
    Key("leave", ("q", "ctrl+c"), "q", "leave", "Leave the view; the run goes on",
        "tui-trainer attach NAME comes back", "both", 2),
    Key("extend", ("e",), "e", "go on", "After the end: resume, with twice the limit where a limit ended the run",
        "tui-trainer resume NAME --set manager.termination.max_updates=N", "live", 15),
    Key("again", ("h",), "h", "replay", "After the end: play the session back", "tui-trainer replay NAME", "live", 16),
    Key("report", ("w",), "w", "report", "After the end: write the report", "tui-trainer report NAME", "live", 17),
    Key("fork", ("k",), "k", "fork", "After the end: a new run from the newest checkpoint; in the list of models, "
        "from the chosen one", "tui-trainer fork NAME --at N", "live", 18, 3),
    Key("decisions", ("d",), "d", "decisions", "All decisions as a list: who, what, why, outcome; again closes it",
        "tui-trainer sessions export NAME --what decisions", "both", 13, 6),
    Key("models", ("m",), "m", "models", "All model versions as a list: what each reached, where it came from",
        "tui-trainer sessions show NAME --models", "both", 14, 7),
    Key("export_csv", ("x",), "x", "csv", "Write the open list to a CSV file in this directory",
        "tui-trainer sessions export NAME --what decisions --out FILE", "both", 0, 4),
    Key("export_json", ("X", "upper_x"), "X", "json", "The same as a JSON file",
        "tui-trainer sessions export NAME --what models --format json", "both", 0, 5),
    Key("next_panel", ("tab",), "tab", "panels", "Next panel; shift+tab goes back", "", "both", 10),
    Key("previous_panel", ("shift+tab",), "shift+tab", "", "Previous panel"),
    Key("panel", tuple("123456789"), "1-9", "", "That panel; again, or enter: the whole screen"),
    Key("maximise", ("enter",), "enter", "", "The focused panel on the whole screen, and back; on a list of decisions "
        "go to that moment (in a replay), on one of models copy the command that forks it", "", "both", 0, 2),
    Key("up", ("up",), "↑", "", "Scroll the focused panel back; among losses the metric before"),
    Key("down", ("down",), "↓", "", "Scroll the focused panel forward; among losses the next metric"),
    Key("page_up", ("pageup",), "pgup", "", "Ten lines up"),
    Key("page_down", ("pagedown",), "pgdn", "", "Ten lines down"),
    Key("zoom_in", ("plus", "equals_sign"), "+", "zoom", "Charts: half as much, around the crosshair or up to now"),
    Key("zoom_out", ("minus",), "-", "out", "Charts: twice as much of the run"),
    Key("pan_left", ("shift+left",), "shift+←", "earlier", "Charts: earlier"),
    Key("pan_right", ("shift+right",), "shift+→", "later", "Charts: later; at the end it follows the run again"),
    Key("whole", ("0",), "0", "whole", "Charts: the whole run, no crosshair"),
    Key("x_axis", ("v",), "v", "x axis", "Charts: x in steps, wall time or updates"),
    Key("log_axis", ("l",), "l", "log", "Focused chart: y logarithmic or linear"),
    Key("smooth", ("f",), "f", "smooth", "Charts: a moving average over the raw values, three strengths"),
    Key("bands", ("b",), "b", "intervals", "Charts on the whole screen: intervals on or off"),
    Key("filter", ("slash",), "/", "filter", "Show only lines of the log, or of the open list, with this text", "",
        "both", 11, 3),
    Key("copy", ("y",), "y", "copy", "Copy the focused panel, or the whole screen, as text", "", "both", 12),
    Key("level", ("i",), "i", "", "Log: only this importance and worse: debug, info, warning, error"),
    Key("save", ("S", "upper_s"), "S", "", "Save the screen in this directory, as SVG and as text"),
    Key("suspend", ("ctrl+z",), "ctrl+z", "", "Back to the shell; fg comes back, the run goes on meanwhile"),
    Key("palette", ("ctrl+p",), "ctrl+p", "", "Find an action by name"),
    Key("back", ("escape",), "esc", "back", "Close, clear the filter, or leave the focused panel", "", "both", 0, 1),
    Key("help", ("question_mark",), "?", "help", "All keys and their commands", "tui-trainer --help", "both", 2),
)  # fmt: skip

ORDERS: tuple[Action, ...] = ("pause", "checkpoint", "accept", "reject", "undo", "try", "stop", "write")
"""What a live run is told."""

AFTER: tuple[Action, ...] = ("extend", "again", "report", "fork")
"""What can be done with a run that is over."""

SETTLE_S = 0.5
"""A card younger than this takes no key, so that nothing is accepted unseen."""


def keys_for(kind: Literal["live", "replay"], changes: Changes = UNCHANGED) -> tuple[Key, ...]:
    """The keys of a live run or of a replay, with a person's own ones."""
    return remapped(tuple(key for key in KEYS if key.where in (kind, "both")), changes)


def key_named(kind: Literal["live", "replay"], name: str, changes: Changes = UNCHANGED) -> Key | None:
    """The key that Textual calls `name`."""
    return next((key for key in keys_for(kind, changes) if name in key.keys), None)


def shown(scene: Scene, action: Action) -> str:
    """The key of an action as it is read."""
    return next((key.shown for key in keys_for(scene.kind, scene.keys) if key.action == action), "-")


def refusal(action: Action, scene: Scene) -> str:
    """Why the key cannot act now, in one sentence; empty where it can."""
    if action in ORDERS:
        return _order_refusal(scene) or _subject_refusal(action, scene)
    if action in AFTER and not is_over(scene) and not (action == "fork" and scene.page == "models"):
        return "the run goes on: this is for after its end"
    if action in ("extend", "fork") and scene.loop_elsewhere:
        return scene.loop_elsewhere
    if action in ("export_csv", "export_json") and not scene.page:
        return "nothing to export: d opens the decisions, m the models"
    return ""


def is_over(scene: Scene) -> bool:
    """Has the run ended, or its engine gone? A replay of one that broke off is over where its history is."""
    if scene.state.status == "ended":
        return True
    if scene.kind == "live":
        return scene.link is not None and scene.link.status == "gone"
    at = scene.position
    return bool(scene.broke) and at is not None and at.index >= at.total and at.read >= 1.0


def has_broken(scene: Scene) -> bool:
    """Is it over because something broke?"""
    ended = scene.state.ended
    return is_over(scene) and (ended is None or ended.reason.exit_code in BROKEN)


BROKEN = (1, 2, 4, 5)


class Further(msgspec.Struct, frozen=True):
    """How an ended run goes on: words for `resume`, and the same for a person."""

    words: tuple[str, ...]
    what: str


def further(scene: Scene) -> Further:
    """What `resume` needs so that the run does not end again at once by the same reason."""
    ended = scene.state.ended
    name = ended.reason.name if ended else ""
    prefix = "manager.termination"
    limit = scene.state.limits.get(name)
    if limit:
        return Further(("--set", f"{prefix}.{name}={2 * limit:g}"), f"go on to {_amount(name, 2 * limit)}")
    match name:
        case "plateau" | "degradation":
            return Further(("--set", f"{prefix}.intelligent=false"), f"go on past the {name}")
        case "target":
            return Further(("--set", f"{prefix}.target="), "go on past the target")
        case _:
            return Further((), "go on from the newest checkpoint")


def _amount(name: str, value: float) -> str:
    return f"{value:,.10g} {name.removeprefix('max_')}"


def _order_refusal(scene: Scene) -> str:
    if scene.readonly:
        return "this view is read-only: attach without --readonly to steer"
    if scene.state.status == "ended":
        takes_up = scene.loop_elsewhere or f"tui-trainer resume {scene.name} takes it up again"
        return f"the run has ended; {takes_up}"
    if scene.link is not None and scene.link.status != "live":
        return f"no line to the engine: {scene.link.text}"
    return ""


def _subject_refusal(action: Action, scene: Scene) -> str:
    match action:
        case "accept" | "reject" | "try" if scene.card is None:
            return "no open recommendation"
        case "accept" | "try" if scene.state.trying is not None:
            return f"recommendation {scene.state.trying.id} is being tried: r calls it off"
        case "undo" if scene.last_accepted is None:
            return "nothing to undo: no recommendation was accepted"
        case _:
            return ""


def label_of(key: Key, scene: Scene) -> str:
    """What the key will do now: `resume` while paused."""
    if key.action == "pause" and scene.state.status == "paused":
        return "resume"
    if key.action in ("extend", "fork") and scene.loop_elsewhere:
        return ""
    if key.action in ("next_decision", "next_checkpoint", "decisions", "models") and is_logged(scene):
        return ""
    if key.action == "fork" and scene.page:
        return key.label if scene.page == "models" else ""
    if key.action in AFTER and not is_over(scene):
        return ""
    if key.action == "play" and scene.position is not None and scene.position.playing:
        return "pause"
    if key.action == "maximise" and scene.page:
        if scene.page == "models":
            return "" if scene.loop_elsewhere else "copy"
        return "go there" if scene.kind == "replay" else ""
    return key.label


def is_logged(scene: Scene) -> bool:
    """Did another tool log it? Then it has neither decisions nor checkpoints."""
    return scene.state.started is not None and bool(scene.state.started.origin)


def markdown() -> str:
    """The table as the documentation prints it."""
    head = "| key | action | where | what it does | the same as a command |\n|---|---|---|---|---|"
    rows = (f"| `{k.shown}` | `{k.action}` | {k.where} | {k.help} | {_code(k.command)} |" for k in KEYS)
    return "\n".join((head, *rows)) + "\n"


def _code(command: str) -> str:
    return f"`{command}`".replace("|", "\\|") if command else ""
