"""One tracing, from pixels to SVG and back: runs in worker processes: VTracer keeps Python's lock and may panic."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
import resvg_py
import vtracer
from PIL import Image

from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.vector.metrics import mse, psnr, ssim
from tui_trainer.tasks.vector.parameters import Values, keywords

THUMB = (24, 12)
"""Columns and rows of the brightness that a text picture shows."""


class Traced(NamedTuple):
    """What a tracing came to."""

    ssim: float
    mse: float
    psnr: float
    size: float
    """Bytes of the SVG."""
    thumb: bytes
    """Brightness 0..255 of the rendered SVG, row by row, THUMB in size."""


def trace(job: tuple[Array, Values]) -> Traced:
    """Trace a picture (H, W, 3) uint8 with these parameters and compare it with what the SVG shows."""
    pixels, values = job
    svg = svg_of(png_of(pixels), values)
    height, width = pixels.shape[:2]
    shown = rendered(svg, width, height)
    error = mse(pixels, shown)
    return Traced(ssim(pixels, shown), error, psnr(error), float(len(svg.encode())), thumb_of(shown))


def trace_svg(job: tuple[Array, Values]) -> tuple[Traced, str]:
    """The same, with the SVG itself."""
    pixels, values = job
    return trace(job), svg_of(png_of(pixels), values)


def svg_of(png: bytes, values: Values) -> str:
    """VTracer's SVG in colour, stacked, with splines."""
    return str(vtracer.convert_raw_image_to_svg(png, img_format="png", **keywords(values)))


def png_of(pixels: Array) -> bytes:
    """(H, W, 3) uint8 as a PNG file."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def rendered(svg: str, width: int, height: int) -> Array:
    """The SVG on white, (height, width, 3) uint8."""
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=width, height=height, background="white"))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB").resize((width, height)), np.uint8)


def thumb_of(pixels: Array) -> bytes:
    """Brightness at THUMB's size."""
    return Image.fromarray(pixels).convert("L").resize(THUMB, Image.Resampling.BOX).tobytes()
