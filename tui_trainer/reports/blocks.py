"""A page as blocks, and the two ways to write it down: Markdown beside its pictures, or one HTML file with them."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias, assert_never

import msgspec

from tui_trainer.core.text import clean_line


class Heading(msgspec.Struct, frozen=True):
    """A heading; level 1 is the page's."""

    text: str
    level: int = 2


class Paragraph(msgspec.Struct, frozen=True):
    """A paragraph of plain text."""

    text: str


class Table(msgspec.Struct, frozen=True):
    """Rows of plain text under a header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Picture(msgspec.Struct, frozen=True):
    """A picture by its file name without an ending, and what it shows, for those who do not see it."""

    name: str
    shows: str


Block: TypeAlias = Heading | Paragraph | Table | Picture

_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+\-.!|$~^=:@])")


def markdown(blocks: Sequence[Block]) -> str:
    """The page as Markdown; whatever a text holds, it shows as that text."""
    return "\n".join(_markdown(block) for block in blocks)


def _markdown(block: Block) -> str:
    match block:
        case Heading(text=text, level=level):
            return f"{'#' * level} {md(text)}\n"
        case Paragraph(text=text):
            return f"{md(text)}\n"
        case Table(header=header, rows=rows):
            lines = [header, *rows]
            cells = ["| " + " | ".join(md(cell) for cell in line) + " |" for line in lines]
            return "\n".join([cells[0], "|" + "---|" * len(header), *cells[1:]]) + "\n"
        case Picture(name=name, shows=shows):
            return f"![{md(shows)}]({name}.svg)\n"
        case _:
            assert_never(block)


def md(text: str) -> str:
    """Plain text for Markdown: on one line, neither markup nor HTML; in numbers and words nothing is changed."""
    safe = html.escape(clean_line(text), quote=False)
    return re.sub(r"(?<![\w&])(?:https?|www)(?=[:.])", r"\g<0>&#8203;", _escaped(safe))


def _escaped(text: str) -> str:
    """Punctuation that could be markup behind a backslash; between two word characters `.`, `-` and `:` stay."""
    plain = re.compile(r"(?<=\w)[.:\-](?=\w)|(?<=\d)\.(?=\s|$)")
    kept = {found.start() for found in plain.finditer(text)}
    return _PUNCTUATION.sub(lambda found: found[0] if found.start() in kept else "\\" + found[0], text)


def html_page(blocks: Sequence[Block], pictures: Mapping[str, bytes]) -> str:
    """The page as one HTML file that loads nothing: `pictures` are SVG by name."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "report")
    body = "\n".join(_html(block, pictures) for block in blocks)
    return _PAGE.format(title=html.escape(clean_line(title)), body=body)


def _html(block: Block, pictures: Mapping[str, bytes]) -> str:
    match block:
        case Heading(text=text, level=level):
            return f"<h{level}>{_text(text)}</h{level}>"
        case Paragraph(text=text):
            return f"<p>{_text(text)}</p>"
        case Table(header=header, rows=rows):
            head = "".join(f"<th>{_text(cell)}</th>" for cell in header)
            lines = ("".join(f"<td>{_text(cell)}</td>" for cell in row) for row in rows)
            return f"<table><tr>{head}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
        case Picture(name=name, shows=shows):
            data = base64.b64encode(pictures[name]).decode()
            return f'<img alt="{_text(shows)}" src="data:image/svg+xml;base64,{data}">'
        case _:
            assert_never(block)


def _text(text: str) -> str:
    return html.escape(clean_line(text))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }}
img {{ max-width: 100%; }}
</style></head><body>
{body}
</body></html>
"""
