"""A driver of Textual's that notes which modules are there when the first frame is written, and leaves."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from textual.drivers.headless_driver import HeadlessDriver


class FirstFrame(HeadlessDriver):
    """Named by TEXTUAL_DRIVER; the modules' names go to the file that LOADED names."""

    @property
    def is_headless(self) -> bool:
        """Textual writes frames to no other."""
        return False

    def write(self, data: str) -> None:
        if "Training Manager" in data:
            Path(os.environ["LOADED"]).write_text(" ".join(sys.modules))
            self._app.exit()
