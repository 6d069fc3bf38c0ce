"""Images: reading them safely, what they look like, what they are worth. Needs Pillow (the extra `vector`)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

Pixels = NDArray[np.uint8]
"""(H, W, 3) RGB."""
Plane = NDArray[np.float64]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MOST_PIXELS = 4096 * 4096
LEAST_SIDE = 8
LOOK_SIDE = 8
MEASURED_SIDE = 64
"""Scores are those of the image at this size, so that they do not depend on its resolution."""
_EDGE = 0.08
_LUMA = np.array([0.299, 0.587, 0.114])


class Unusable(Exception):
    """An image that is not used: one word, and the detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Seen(NamedTuple):
    """An image as it was read."""

    scores: dict[str, float]
    look: str
    """The image at a few pixels, in hexadecimal: like images have like ones."""
    kind: str
    """A category, for images in no folder of their own."""


def examine(path: Path) -> Seen:
    """Read and measure an image. Raises Unusable."""
    image = opened(path)
    width, height = image.size
    pixels = fitted(image, MEASURED_SIDE)
    return Seen({**measured(pixels), "width": float(width), "height": float(height)}, look(image), kind_of(pixels))


def opened(path: Path) -> Image.Image:
    """The image in RGB on white, turned as its camera says. Raises Unusable: broken, huge, animated, tiny."""
    try:
        image = Image.open(path)
        _require_usable(image)
        return on_white(ImageOps.exif_transpose(image))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        words = str(error).replace(repr(str(path)), "").split()
        raise Unusable("broken", " ".join(words) or type(error).__name__) from None


def _require_usable(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise Unusable("huge", f"{width} x {height} pixels")
    if min(width, height) < LEAST_SIDE:
        raise Unusable("tiny", f"{width} x {height} pixels")
    if getattr(image, "n_frames", 1) > 1:
        raise Unusable("animated", f"{getattr(image, 'n_frames', 1)} frames")


def on_white(image: Image.Image) -> Image.Image:
    """In RGB; transparent parts become white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def fitted(image: Image.Image, side: int) -> Pixels:
    """(H, W, 3) uint8 with the longer side at most `side`; smaller ones stay as they are."""
    longest = max(image.size)
    if longest > side:
        width, height = (max(1, round(length * side / longest)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(image, np.uint8)


def digest(pixels: Pixels) -> str:
    """Names the pixels."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def look(image: Image.Image) -> str:
    """The image at 8 x 8 pixels, in hexadecimal."""
    return np.asarray(image.resize((LOOK_SIDE, LOOK_SIDE), Image.Resampling.BOX), np.uint8).tobytes().hex()


# --- scores ------------------------------------------------------------------------------------------------------


def measured(pixels: Pixels) -> dict[str, float]:
    """What an image looks like, each about 0..1.

    sharpness: steepest slopes over the whole reach of brightness, 1 for steps from one pixel to the next · contrast:
    twice the standard deviation of brightness · noise: standard deviation where it is smooth (the median form of
    Immerkaer 1996), times ten · edges: share of steep pixels · smooth: share of pixels on a gentle slope · corners:
    share of pixels where slopes of both directions meet (Harris and Stephens 1988) · colours: log2 of how many of
    4,096 · entropy: of those colours, in twelfths of a bit · complexity: mean of edges, corners and entropy ·
    quality: sharpness x contrast x (1 - noise), each against what is good enough.
    """
    luma = pixels @ _LUMA / 255
    across, down = _slopes(luma)
    slope = np.hypot(across, down)
    reach = max(float(np.ptp(luma)), 0.02)
    shares = _colour_shares(pixels)
    found = {
        "sharpness": min(1.0, 2 * float(np.quantile(slope, 0.99)) / reach),
        "contrast": min(1.0, 2 * float(luma.std())),
        "noise": min(1.0, 10 * _noise(luma)),
        "edges": float((slope > _EDGE).mean()),
        "smooth": float(((slope > 0.002) & (slope <= 0.04)).mean()),
        "corners": _corners(across, down),
        "colours": float(np.log2(len(shares))) / 12,
        "entropy": _entropy(shares) / 12,
    }
    found["complexity"] = (min(1.0, 2 * found["edges"]) + min(1.0, 4 * found["corners"]) + found["entropy"]) / 3
    found["quality"] = quality(found)
    return found


def quality(scores: dict[str, float]) -> float:
    """0..1: how much of the image can be told from it."""
    contrast = min(1.0, scores["contrast"] / 0.25)
    return scores["sharpness"] * contrast * (1 - min(1.0, 1.5 * scores["noise"]))


def kind_of(pixels: Pixels) -> str:
    """simple, text, gradient or complex, for images that lie in no folder of their own.

    The nearest of four centres, each a category's mean over generated pictures, in standard deviations. On others of
    those 86 % are named as they were made.
    """
    found = _kind_features(pixels)
    distances = [np.square((found - centre) / _SPREAD).sum() for centre in _CENTRES.values()]
    return list(_CENTRES)[int(np.argmin(distances))]


_CENTRES = {
    "simple": np.array([0.073, 0.117, 0.437, 0.196, 0.539]),
    "text": np.array([0.159, 0.181, 0.368, 0.163, 0.598]),
    "gradient": np.array([0.045, 0.091, 0.502, 0.377, 0.164]),
    "complex": np.array([0.117, 0.151, 0.634, 0.498, 0.099]),
}
_SPREAD = np.array([0.065, 0.169, 0.117, 0.151, 0.263])


def _kind_features(pixels: Pixels) -> Plane:
    """Shares of steep pixels and of corners, whatever the contrast; colours, their entropy and the commonest one's
    share, noise left out by a median of 5 x 5."""
    luma = pixels @ _LUMA / 255
    across, down = (slope / max(float(np.ptp(luma)), 0.05) for slope in _slopes(luma))
    plain = np.asarray(Image.fromarray(pixels).filter(ImageFilter.MedianFilter(5)), np.uint8)
    shares = _colour_shares(plain)
    steep = float((np.hypot(across, down) > 0.15).mean())
    return np.array(
        [steep, _corners(across, down), np.log2(len(shares)) / 12, _entropy(shares) / 12, float(shares.max())]
    )


def _slopes(luma: Plane) -> tuple[Plane, Plane]:
    padded = np.pad(luma, 1, "edge")
    return (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2


def _noise(luma: Plane) -> float:
    """Standard deviation of noise: the median of |second difference of second differences| over 6 x 0.6745."""
    rows = luma[:, :-2] - 2 * luma[:, 1:-1] + luma[:, 2:]
    both = rows[:-2] - 2 * rows[1:-1] + rows[2:]
    return float(np.median(np.abs(both))) / (6 * 0.6745) if both.size else 0.0


def _corners(across: Plane, down: Plane) -> float:
    xx, yy, xy = _blurred(across * across), _blurred(down * down), _blurred(across * down)
    response = xx * yy - xy**2 - 0.05 * (xx + yy) ** 2
    return float((response > 1e-5).mean())


def _blurred(plane: Plane) -> Plane:
    """Mean of 3 x 3."""
    padded = np.pad(plane, 1, "edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    blurred: Plane = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9
    return blurred


def _colour_shares(pixels: Pixels) -> Plane:
    """How much of the image each of its colours takes, at 4 bits a channel."""
    coarse = (pixels >> 4).astype(np.int64)
    counts = np.bincount((coarse[..., 0] << 8 | coarse[..., 1] << 4 | coarse[..., 2]).ravel())
    shares: Plane = counts[counts > 0] / counts.sum()
    return shares


def _entropy(shares: Plane) -> float:
    """In bits."""
    return float(-(shares * np.log2(shares)).sum())
