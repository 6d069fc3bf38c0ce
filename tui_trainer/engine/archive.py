"""The loop's view of a session's checkpoints. Loads torch only when a state is copied, saved or read."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tui_trainer.core.config import Config
from tui_trainer.engine.saver import SaveJob, Written
from tui_trainer.sessions.checkpoints import CheckpointStore, Frozen, frozen_copy


class SessionArchive:
    """The loop's view of the session's checkpoints."""

    def __init__(self, store: CheckpointStore, config: Config) -> None:
        self.store = store
        self._keep = config.manager.checkpoints

    def snapshot(self, state: Mapping[str, object]) -> object:
        """A host copy."""
        return self.store.snapshot(state)

    def copy(self, state: Mapping[str, object]) -> Mapping[str, object]:
        """A host copy that takes no checkpoint number."""
        return {key: frozen_copy(value, key) for key, value in state.items()}

    def write(self, job: SaveJob) -> Written:
        """Save and prune; runs on the saver's thread."""
        began = time.monotonic()
        assert isinstance(job.frozen, Frozen)
        manifest = self.store.save(
            job.frozen,
            kind=job.kind,
            update=job.update,
            global_step=job.global_step,
            metrics=job.metrics,
            score=job.score,
            exact=job.exact,
        )
        pruned = self.store.prune(self._keep.keep_last, self._keep.keep_best, self._keep.max_gib)
        return Written(
            manifest.number, manifest.path, manifest.size, manifest.state_sha256, time.monotonic() - began, pruned
        )

    def best_state(self) -> tuple[str, Mapping[str, object]] | None:
        """The newest loadable best checkpoint's path and state."""
        for manifest in self.store.manifests():
            if manifest.kind == "best":
                state, _ = self.store.load(manifest)
                return manifest.path, state
        return None
