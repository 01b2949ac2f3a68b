"""On- and off-delays of many conditions at once, as arrays that outlive a restart (law 8).

A condition sets when it has been violated for its on-delay; good samples in between count
backwards, as foxBMS's counters do, so that a value that is bad half of the time still sets.
It clears when it has been clear, beyond the deadband and without a break, for its off-delay. One
sample counts at most `off / clear_samples` towards clearing: noise that is good half of the
time never clears at any sample rate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import GiveUpError
from core.topology import FloatArray, IndexArray

BoolArray = NDArray[np.bool_]
SLACK_S = np.float32(1e-4)
ARMED_S = np.float32(1e-6)
NEVER_S = np.float32(np.inf)
EVERY = slice(None)


class Debouncer:
    """State of bool[condition, tier, element]; delays are broadcast to that shape, in s."""

    def __init__(self, shape: tuple[int, int, int], on_s: FloatArray, off_s: FloatArray,
                 clear_samples: int) -> None:
        """on_s, off_s: float32[condition, tier, 1]."""
        self._on = on_s.astype(np.float32) - SLACK_S
        self._off = off_s.astype(np.float32) - SLACK_S
        self._most = off_s.astype(np.float32) / clear_samples
        self._progress: FloatArray = np.zeros(shape, dtype=np.float32)
        self._active: BoolArray = np.zeros(shape, dtype=np.bool_)
        self._touched: BoolArray = np.zeros(shape[2], dtype=np.bool_)
        self._busy = False

    @property
    def active(self) -> BoolArray:
        """bool[condition, tier, element], a view that the next step changes."""
        return self._active

    @property
    def touched(self) -> BoolArray:
        """bool[element]: those with anything set or on its way; the others need no step while
        nothing of them is violated."""
        return self._touched

    @property
    def busy(self) -> bool:
        """Whether any element is touched."""
        return self._busy

    def step(self, violated: BoolArray, clear: BoolArray, dt_s: float,
             elements: IndexArray | slice = EVERY) -> BoolArray:
        """One sample, `dt_s` after the last one (a time that runs backwards counts as 0), of
        `elements`; the rest must be neither touched nor violated. violated, clear:
        bool[condition, tier, elements]; neither within the deadband. Returns what is active of
        `elements`."""
        progress, active = self._progress[:, :, elements], self._active[:, :, elements]
        self._count(progress, active, violated, clear, np.float32(dt_s if dt_s > 0 else 0.0))
        due = progress >= np.where(active, self._off, self._on)
        due &= np.where(active, clear, violated)
        active ^= due
        progress[due] = 0
        self._progress[:, :, elements], self._active[:, :, elements] = progress, active
        self._touched[elements] = (active | (progress > 0)).any(axis=(0, 1))
        self._busy = bool(self._touched.any())
        return active

    def _count(self, progress: FloatArray, active: BoolArray, violated: BoolArray,
               clear: BoolArray, dt_s: np.float32) -> None:
        rising = np.where(progress > 0, dt_s, ARMED_S)
        setting = np.where(violated, rising, -dt_s)
        clearing = np.where(clear, np.minimum(self._most, dt_s), -NEVER_S)
        progress += np.where(active, clearing, setting)
        np.maximum(progress, 0, out=progress)

    def state(self) -> dict[str, Any]:
        """What a restart needs, as plain values and bytes (little-endian)."""
        return {"shape": list(self._active.shape),
                "progress_s": self._progress.astype("<f4").tobytes(),
                "active": self._active.tobytes()}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `state` was taken; raises GiveUpError if it is of another layout."""
        shape = self._active.shape
        try:
            progress = np.frombuffer(state["progress_s"], dtype="<f4").reshape(shape)
            active = np.frombuffer(state["active"], dtype=np.uint8).reshape(shape)
        except (KeyError, TypeError, ValueError) as error:
            raise GiveUpError(f"the saved delays are not of shape {shape}: {error}") from error
        if not np.isfinite(progress).all() or (active > 1).any():
            raise GiveUpError("the saved delays are damaged: not finite or not true or false")
        self._progress = np.maximum(progress, 0).astype(np.float32)
        self._active = active.astype(np.bool_)
        self._touched[:] = (self._active | (self._progress > 0)).any(axis=(0, 1))
        self._busy = bool(self._touched.any())
