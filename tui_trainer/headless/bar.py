"""The last line of a run on a terminal: how far, how fast, until when. Fitted to any width."""

from __future__ import annotations

from tui_trainer.core.format import about, count, duration, si
from tui_trainer.core.progress import LimitProgress, eta, limit_progress
from tui_trainer.core.state import RunState

_BAR_WIDTH = 20
_UNTIL_WIDTH = 14
_SPACE = "  "


def progress_line(state: RunState, width: int, *, ascii_only: bool) -> str:
    """At most `width` characters; what matters least is left out first."""
    parts = _parts(state, ascii_only)
    shown = parts[0]
    for part in parts[1:]:
        if len(shown) + len(_SPACE) + len(part) > width:
            break
        shown += _SPACE + part
    return shown[: max(0, width)].rstrip()


def _parts(s: RunState, ascii_only: bool) -> list[str]:
    """In order of importance, which is also the order on the line."""
    limit = _limit(s)
    share = [bar(limit.fraction, ascii_only), f"{100 * limit.fraction:3.0f} %"] if limit else []
    parts = [*share, f"update {count(s.update)}", f"{si(s.sps):>5} SPS", _until(s), _score(s)]
    return [part for part in (*parts, f"{si(s.global_step):>5} steps") if part]


def _limit(s: RunState) -> LimitProgress | None:
    """The limit that will end the run first; before that is known, the one nearest to its end."""
    nearest, rows = eta(s), limit_progress(s)
    if nearest:
        return nearest[0]
    return rows[0] if rows else None


def _until(s: RunState) -> str:
    """Padded, so that what stands behind it stays where it is."""
    if s.status == "paused":
        return f"paused: {s.paused_why}"
    if s.status == "starting":
        return "starting"
    nearest = eta(s)
    text = f"{about(*nearest[1])} left" if nearest else f"{duration(s.elapsed_s)} so far"
    return text.ljust(_UNTIL_WIDTH)


def _score(s: RunState) -> str:
    last = s.last_evaluation
    return f"{last.result.metric} {last.result.value:.3f}" if last else ""


def bar(fraction: float, ascii_only: bool) -> str:
    """`fraction` of a bar of fixed width."""
    full, half = ("#", "=") if ascii_only else ("█", "▌")
    halves = int(min(1.0, max(0.0, fraction)) * 2 * _BAR_WIDTH)
    drawn = full * (halves // 2) + half * (halves % 2)
    return f"[{drawn:<{_BAR_WIDTH}}]"
