"""How the charts are looked at: which x, which part of it, where the crosshair stands. Pure."""

from __future__ import annotations

import msgspec

from tui_trainer.charts.axes import X_KINDS, XKind
from tui_trainer.charts.scale import roomy_end, stepped_end
from tui_trainer.core.state import RunState

SMOOTHINGS = (0.0, 0.6, 0.9, 0.97)
FINEST = 1 / 1024
"""Of the whole history: no window is narrower."""
FINE = 0.01
"""Share of the window that the crosshair goes in one step."""
_PAN = 0.25


class Lens(msgspec.Struct, frozen=True, kw_only=True):
    """Shared by all charts, so that they show the same moment. x is counted in the chosen kind."""

    kind: XKind = "steps"
    span: float | None = None
    """Width of the window; None shows everything."""
    end: float | None = None
    """Right edge of the window; None follows the newest point."""
    cross: float | None = None
    log: frozenset[str] = frozenset()
    """Panels whose y axis is logarithmic."""
    smoothing: float = 0.0
    bands: bool = True


def origin(state: RunState) -> float:
    """Unix time at which the run's wall time begins."""
    return state.started.time if state.started else 0.0


def newest(lens: Lens, state: RunState) -> float:
    """The x that the run has come to."""
    match lens.kind:
        case "steps":
            return float(state.global_step)
        case "time":
            return max(0.0, state.time - origin(state))
        case "update":
            return float(state.update)


def extent(lens: Lens, last: float) -> tuple[float, float]:
    """What is shown of x, where the newest point stands at `last`."""
    if lens.span is None:
        return 0.0, roomy_end(last)
    end = max(lens.span, stepped_end(last, lens.span)) if lens.end is None else lens.end
    return max(0.0, end - lens.span), end


def zoomed(lens: Lens, last: float, factor: float, about: float | None = None) -> Lens:
    """The window `factor` times as wide, around `about`, the crosshair, or with its right edge where it was."""
    whole = roomy_end(last)
    start, end = extent(lens, last)
    span = max(whole * FINEST, (end - start) * factor)
    centre = lens.cross if about is None else about
    if span >= whole:
        return msgspec.structs.replace(lens, span=None, end=None)
    if centre is None or not start <= centre <= end:
        return msgspec.structs.replace(lens, span=span) if lens.end is None else _at(lens, span, end, last)
    share = (centre - start) / (end - start) if end > start else 1.0
    return _at(lens, span, centre + (1 - share) * span, last)


def panned(lens: Lens, last: float, share: float) -> Lens:
    """The window moved by a share of its width; at the newest point it follows again."""
    if lens.span is None:
        return lens
    return _at(lens, lens.span, extent(lens, last)[1] + share * lens.span, last)


def _at(lens: Lens, span: float, end: float, last: float) -> Lens:
    follows = end >= stepped_end(last, span)
    return msgspec.structs.replace(lens, span=span, end=None if follows else max(span, end))


def crossed(lens: Lens, last: float, share: float) -> Lens:
    """The crosshair moved by a share of the window, which comes along where it would leave it."""
    start, end = extent(lens, last)
    right = min(end, last)
    at = right if lens.cross is None or not start <= lens.cross <= end else lens.cross + share * (end - start)
    lens = msgspec.structs.replace(lens, cross=max(0.0, min(last, at)))
    if at < start or at > end:
        return panned(lens, last, -0.5 if at < start else 0.5)
    return lens


def turned(lens: Lens) -> Lens:
    """The next kind of x; window and crosshair begin anew."""
    following = X_KINDS[(X_KINDS.index(lens.kind) + 1) % len(X_KINDS)]
    return msgspec.structs.replace(lens, kind=following, span=None, end=None, cross=None)


def smoother(lens: Lens) -> Lens:
    """The next weight of the moving average; after the strongest none."""
    at = SMOOTHINGS.index(lens.smoothing) if lens.smoothing in SMOOTHINGS else 0
    return msgspec.structs.replace(lens, smoothing=SMOOTHINGS[(at + 1) % len(SMOOTHINGS)])


def logged(lens: Lens, panel: str) -> Lens:
    """The panel's y axis the other way."""
    return msgspec.structs.replace(lens, log=lens.log ^ {panel})


def whole(lens: Lens) -> Lens:
    """Everything, following the newest point, without a crosshair."""
    return msgspec.structs.replace(lens, span=None, end=None, cross=None)


def steered(lens: Lens, action: str, last: float, panel: str) -> Lens:
    """The lens after a key; `panel` is whose y axis a logarithm is for. An unknown action changes nothing."""
    match action:
        case "zoom_in" | "zoom_out":
            return zoomed(lens, last, 0.5 if action == "zoom_in" else 2.0)
        case "pan_left" | "pan_right":
            return panned(lens, last, _PAN if action == "pan_right" else -_PAN)
        case "left" | "right":
            return crossed(lens, last, FINE if action == "right" else -FINE)
        case "whole":
            return whole(lens)
        case "x_axis":
            return turned(lens)
        case "smooth":
            return smoother(lens)
        case "log_axis":
            return logged(lens, panel)
        case "bands":
            return msgspec.structs.replace(lens, bands=not lens.bands)
        case _:
            return lens
