"""Known scores in the evaluation's chart: beside one line always, beside many where the chart has the screen."""

from __future__ import annotations

import msgspec
import pytest

from tests.ui.history import state_at
from tui_trainer.ui.panels import win_rate
from tui_trainer.ui.scene import Scene

MID = state_at(780)
KNOWN = {"minimax-3 plays so": 0.55}


def shown(parts: tuple[str, ...], *, large: bool) -> str:
    assert MID.started is not None
    started = msgspec.structs.replace(MID.started, parts=parts, baselines=KNOWN)
    scene = Scene(state=msgspec.structs.replace(MID, started=started), now=MID.time)
    scene = msgspec.structs.replace(scene, focus="win_rate", maximised=large)
    return "\n".join("".join(span.text for span in row) for row in win_rate.render(scene, 110, 30))


@pytest.mark.parametrize(
    ("parts", "large", "named"),
    [(("random",), False, True), (("random", "1-ply"), False, False), (("random", "1-ply"), True, True)],
)
def test_known_scores_are_named_where_there_is_room(parts: tuple[str, ...], large: bool, named: bool) -> None:
    assert ("minimax-3 plays so" in shown(parts, large=large)) is named
