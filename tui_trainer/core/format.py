"""Numbers and durations as people read them: fixed widths where asked, units always."""

from __future__ import annotations

import math

UNKNOWN = "-"
_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def si(value: float, digits: int = 3) -> str:
    """1234567 -> `1.23M`; below a thousand without a prefix."""
    if not math.isfinite(value):
        return UNKNOWN
    for size, prefix in _STEPS:
        if abs(value) >= size * (1 - 0.5 * 10**-digits):
            return f"{_significant(value / size, digits)}{prefix}"
    return f"{value:.0f}" if float(value).is_integer() else _significant(value, digits)


def _significant(value: float, digits: int) -> str:
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 1
    return f"{value:.{max(0, digits - whole)}f}"


def count(value: float) -> str:
    """1234 -> `1,234`."""
    return f"{value:,.0f}" if math.isfinite(value) else UNKNOWN


def percent(share: float | None, digits: int = 1) -> str:
    """.978 -> `97.8 %`; `-` where unknown."""
    return UNKNOWN if share is None or not math.isfinite(100 * share) else f"{100 * share:.{digits}f} %"


def duration(seconds: float) -> str:
    """90 -> `1:30`, 4000 -> `1:06:40`, 200000 -> `2 d 07:33`."""
    if not math.isfinite(seconds):
        return UNKNOWN
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    if days:
        return f"{days} d {hours:02d}:{minutes:02d}"
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


def about(low_s: float, high_s: float) -> str:
    """A range of seconds in one unit: `9-12 min`."""
    if not (math.isfinite(low_s) and math.isfinite(high_s)):
        return UNKNOWN
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if high_s >= 1.5 * size or size == 1.0:
            low, high = low_s / size, high_s / size
            digits = 1 if high < 10 and size > 1 else 0
            first, last = f"{low:.{digits}f}", f"{high:.{digits}f}"
            return f"{first} {unit}" if first == last else f"{first}-{last} {unit}"
    raise AssertionError("unreachable")


def size(bytes_: float) -> str:
    """2200000 -> `2.1 MiB`."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if bytes_ >= 1024**power:
            return f"{bytes_ / 1024**power:.1f} {unit}"
    return f"{bytes_:.0f} B"


def ago(seconds: float) -> str:
    """How long ago, in one unit: `3 min ago`; `just now` where a clock jumped."""
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now"
