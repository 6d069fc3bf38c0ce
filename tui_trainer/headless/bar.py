"""The last line of a run on a terminal: how far, how fast, until when. Fitted to any width."""

from __future__ import annotations

from tui_trainer.core.format import count, duration, si
from tui_trainer.core.progress import eta, limit_progress
from tui_trainer.core.state import RunState
from tui_trainer.headless.lines import eta_text

_BAR_WIDTH = 20
_SPACE = "  "


def progress_line(state: RunState, width: int, *, ascii_only: bool) -> str:
    """At most `width` characters; what matters least is left out first."""
    parts = _parts(state, ascii_only)
    shown = parts[0]
    for part in parts[1:]:
        if len(shown) + len(_SPACE) + len(part) <= width:
            shown += _SPACE + part
    return shown[: max(0, width)]


def _parts(s: RunState, ascii_only: bool) -> list[str]:
    """In order of importance, which is also the order on the line."""
    limits = limit_progress(s)
    nearest = eta(s)
    limit = nearest[0] if nearest else (limits[0] if limits else None)
    share = [bar(limit.fraction, ascii_only), f"{100 * limit.fraction:3.0f} %"] if limit else []
    parts = [
        *share,
        f"update {count(s.update)}",
        f"{si(s.sps):>5} SPS",
        _until(s),
        _score(s),
        f"{si(s.global_step)} steps",
    ]
    return [part for part in parts if part]


def _until(s: RunState) -> str:
    match s.status:
        case "paused":
            return f"paused: {s.paused_why}"
        case "starting":
            return "starting"
        case _:
            return eta_text(s) or duration(s.elapsed_s)


def _score(s: RunState) -> str:
    last = s.last_evaluation
    return f"{last.result.metric} {last.result.value:.3f}" if last else ""


def bar(fraction: float, ascii_only: bool) -> str:
    """`fraction` of a bar of fixed width."""
    full, half = ("#", "=") if ascii_only else ("█", "▌")
    halves = int(min(1.0, max(0.0, fraction)) * 2 * _BAR_WIDTH)
    drawn = full * (halves // 2) + half * (halves % 2)
    return f"[{drawn:<{_BAR_WIDTH}}]"
