"""Pictures to trace, of four categories, drawn three times as large and scaled down so that their edges are soft.

simple: a few flat shapes · text: three words · gradient: shapes and grounds that shade · complex: all of these,
many, overlapping. `grade` in [0, 1] is how well a picture was kept: below 1 it is blurred, noisy and pale.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tui_trainer.tasks.arrays import Array, generator_of

CATEGORIES = ("simple", "text", "gradient", "complex")
_SCALE = 3
_SHADED = 48
"""Side at which gradients are worked out; they are smooth."""
_LETTERS = "ABCDEFGHKLMNOPRSTUVWXYZabcdefghknopqrstuvxyz0123456789&"

Colour = tuple[int, int, int]


def picture(seed: int, category: int, number: int, side: int) -> Array:
    """(side, side, 3) uint8; the same arguments give the same picture."""
    rng = generator_of(seed, category, number)
    large = side * _SCALE
    image = _DRAW[category](rng, large).resize((side, side), Image.Resampling.LANCZOS)
    return _worn(np.asarray(image, np.float64), rng, float(rng.random()))


def _worn(pixels: Array, rng: np.random.Generator, grade: float) -> Array:
    """Blur, noise and loss of contrast in the measure of 1 - grade."""
    wear = 1 - grade
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.9 * wear))
    pale = 128 + (np.asarray(image, np.float64) - 128) * (1 - 0.45 * wear)
    noisy = pale + rng.normal(0, 14 * wear * wear, pale.shape)
    found: Array = noisy.round().clip(0, 255).astype(np.uint8)
    return found


def _simple(rng: np.random.Generator, side: int) -> Image.Image:
    ground, *colours = _palette(rng, 4)
    image = Image.new("RGB", (side, side), ground)
    for colour in colours[: int(rng.integers(1, 4))]:
        _shape(ImageDraw.Draw(image), rng, side, colour, 0.18, 0.36)
    return image


def _text(rng: np.random.Generator, side: int) -> Image.Image:
    ground, ink, other = _palette(rng, 3)
    image = Image.new("RGB", (side, side), ground)
    pen = ImageDraw.Draw(image)
    if rng.random() < 0.4:
        pen.rectangle((0, side * 0.62, side, side), fill=other)
    for top in (0.08, 0.4, 0.72):
        _word(pen, rng, side, ink, int(rng.integers(4, 9)), top)
    return image


def _gradient(rng: np.random.Generator, side: int) -> Image.Image:
    image = _shaded(rng, side)
    for _ in range(int(rng.integers(1, 4))):
        mask = Image.new("L", (side, side), 0)
        _shape(ImageDraw.Draw(mask), rng, side, 255, 0.16, 0.34)
        image.paste(_shaded(rng, side), (0, 0), mask)
    return image


def _complex(rng: np.random.Generator, side: int) -> Image.Image:
    image = _gradient(rng, side)
    for _ in range(int(rng.integers(30, 50))):
        mask = Image.new("L", (side, side), 0)
        _shape(ImageDraw.Draw(mask), rng, side, int(rng.integers(120, 256)), 0.03, 0.12)
        top = _shaded(rng, side) if rng.random() < 0.25 else Image.new("RGB", (side, side), _palette(rng, 1)[0])
        image.paste(top, (0, 0), mask)
    _word(ImageDraw.Draw(image), rng, side, _palette(rng, 1)[0], int(rng.integers(2, 6)), float(rng.uniform(0.1, 0.7)))
    return image


_DRAW = (_simple, _text, _gradient, _complex)


def _palette(rng: np.random.Generator, count: int) -> list[Colour]:
    """Colours far from each other in hue or brightness."""
    hues = (rng.random() + np.arange(count) / count + rng.normal(0, 0.04, count)) % 1
    found = []
    for k, hue in enumerate(hues):
        value = 0.95 - 0.7 * ((k + int(rng.integers(2))) % 2) * rng.uniform(0.4, 1)
        found.append(_rgb(float(hue), float(rng.uniform(0.1, 0.9)), float(value)))
    return found


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    wave = [abs((6 * hue + shift) % 6 - 3) - 1 for shift in (0.0, 4.0, 2.0)]
    red, green, blue = (round(255 * value * (1 - saturation + saturation * min(1.0, max(0.0, w)))) for w in wave)
    return red, green, blue


def _shape(
    pen: ImageDraw.ImageDraw, rng: np.random.Generator, side: int, fill: Colour | int, least: float, most: float
) -> None:
    """A disc, a ring, a box, a polygon or a star."""
    radius = float(rng.uniform(least, most)) * side
    x, y = (float(v) for v in rng.uniform(0.2, 0.8, 2) * side)
    kind = int(rng.integers(5))
    if kind == 0:
        pen.ellipse((x - radius, y - radius * 0.8, x + radius, y + radius * 0.8), fill=fill)
    elif kind == 1:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=fill, width=max(2, round(radius * 0.4)))
    elif kind == 2:
        pen.rounded_rectangle((x - radius, y - radius * 0.7, x + radius, y + radius * 0.7), radius * 0.3, fill=fill)
    else:
        corners = int(rng.integers(3, 8))
        inner = 1.0 if kind == 3 else 0.45
        pen.polygon(_star(x, y, radius, corners, inner, float(rng.uniform(0, math.tau))), fill=fill)


def _star(x: float, y: float, radius: float, corners: int, inner: float, turn: float) -> list[tuple[float, float]]:
    steps = 2 * corners
    reach = [radius * (1.0 if k % 2 == 0 else inner * (1 if inner < 1 else math.cos(math.pi / corners))) for k in
             range(steps)]  # fmt: skip
    return [
        (x + r * math.cos(turn + math.tau * k / steps), y + r * math.sin(turn + math.tau * k / steps))
        for k, r in enumerate(reach)
    ]


def _word(pen: ImageDraw.ImageDraw, rng: np.random.Generator, side: int, ink: Colour, letters: int, top: float) -> None:
    """A word as wide as the picture allows, in Pillow's own font."""
    text = "".join(_LETTERS[int(k)] for k in rng.integers(0, len(_LETTERS), letters))
    size = min(0.42 * side, 1.5 * side / letters)
    font = ImageFont.load_default(size)
    width = pen.textlength(text, font=font)
    pen.text(((side - width) / 2, top * side - size * 0.2), text, fill=ink, font=font)


def _shaded(rng: np.random.Generator, side: int) -> Image.Image:
    """A linear or a radial gradient between two or three colours."""
    stops = np.array(_palette(rng, int(rng.integers(2, 4))), np.float64)
    rows, columns = np.mgrid[0:_SHADED, 0:_SHADED] / _SHADED
    if rng.random() < 0.5:
        angle = rng.uniform(0, math.tau)
        place = columns * math.cos(angle) + rows * math.sin(angle)
    else:
        x, y = rng.uniform(0.2, 0.8, 2)
        place = np.hypot(columns - x, rows - y)
    place = (place - place.min()) / max(float(np.ptp(place)), 1e-9) * (len(stops) - 1)
    low = np.minimum(place.astype(np.int64), len(stops) - 2)
    share = (place - low)[..., None]
    small = Image.fromarray((stops[low] * (1 - share) + stops[low + 1] * share).round().astype(np.uint8))
    return small.resize((side, side), Image.Resampling.BILINEAR)
