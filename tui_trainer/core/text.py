"""Text from outside is cleaned here, once, before it becomes part of an event or a screen."""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 (tab and newline stay), DEL, C1
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # bidi, zero width, separators
    "\ud800-\udfff\U000e0000-\U000e007f"  # lone surrogates, tags
    "]"
)
ELLIPSIS = "…"


def clean(text: str, limit: int = 4000) -> str:
    """`text` without control, bidi and zero-width characters, each shown as `·`; at most `limit` characters."""
    shown = _UNSAFE.sub("·", text)
    return shown if len(shown) <= limit else shown[: limit - 1] + ELLIPSIS


def clean_line(text: str, limit: int = 400) -> str:
    """As `clean`, on one line."""
    return clean(" ".join(text.split()), limit)


def is_clean(text: str) -> bool:
    """True when `clean` would change nothing but the length."""
    return _UNSAFE.search(text) is None


def ascii_fold(text: str) -> str:
    """Nearest ASCII reading of `text`, `?` where there is none."""
    plain = unicodedata.normalize("NFKD", text)
    return plain.encode("ascii", "replace").decode("ascii")
