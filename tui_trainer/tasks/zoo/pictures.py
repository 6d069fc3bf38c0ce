"""What an agent sees, as text."""

from __future__ import annotations

import numpy as np

from tui_trainer.tasks.arrays import Array
from tui_trainer.tasks.pictures import bars, image, is_image

_MOST_PLANES = 9
_MOST_SIDE = 24


def picture(obs: Array) -> str:
    """Planes of 0 and 1 as a board, the number of the uppermost plane at each square; images in shades; other numbers
    with bars."""
    if (
        obs.ndim == 3
        and max(obs.shape[1:]) <= _MOST_SIDE
        and obs.shape[0] <= _MOST_PLANES
        and np.isin(obs, (0, 1)).all()
    ):
        top = np.where(obs.any(axis=0), obs.argmax(axis=0) + 1, 0)
        return "\n".join(" ".join(".123456789"[cell] for cell in row) for row in top)
    return image(obs) if is_image(obs) else bars(obs)
