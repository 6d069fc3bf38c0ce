"""A training script of your own under the same app: `from tui_trainer.guests import guest`.

The loop stays the script's. Each `run.log` hands its numbers over and is the boundary at which orders are met: a pause
waits in it, a checkpoint is taken in it. docs/guests.md tells the rest.
"""

from tui_trainer.guests.guest import Guest, guest, saved

__all__ = ["Guest", "guest", "saved"]
