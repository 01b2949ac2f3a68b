"""On- and off-delays of many conditions at once, as arrays that outlive a restart (law 8).

A condition sets when it has been violated for its on-delay; good samples in between count
backwards, as foxBMS's counters do, so that a value that is bad half of the time still sets.
It clears when it has been clear, beyond the deadband and without a break, for its off-delay. One
sample counts at most `off / clear_samples` towards clearing: noise that is good half of the
time never clears at any sample rate.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.errors import GiveUpError
from core.topology import FloatArray, IndexArray

BoolArray = NDArray[np.bool_]
SLACK_S = np.float32(1e-4)
ARMED_S = np.float32(1e-6)
NEVER_S = np.float32(np.inf)
EVERY = slice(None)


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of elements with anything set or on its way, little-endian: their numbers (uint32, rising),
    and [condition, tier, element] of these how far they are (float32, s) and what is set (bool).
    """

    elements: bytes = b""
    progress_s: bytes = b""
    active: bytes = b""

    @property
    def moving(self) -> bool:
        """Whether anything is on its way."""
        return any(self.progress_s)


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

    def state(self, part: slice = EVERY) -> Held:
        """What a restart needs of these elements."""
        elements = np.flatnonzero(self._touched[part])
        return Held(elements.astype("<u4").tobytes(),
                    self._progress[:, :, part][:, :, elements].astype("<f4").tobytes(),
                    self._active[:, :, part][:, :, elements].tobytes())

    def restore(self, held: Held, part: slice = EVERY) -> None:
        """These elements go on where `state` was taken; raises GiveUpError if it is damaged or of
        another layout."""
        elements, progress, active = self._read(held, self._touched[part].size)
        for values, found in ((self._progress, progress), (self._active, active)):
            values[:, :, part] = 0
            values[:, :, part][:, :, elements] = found
        self._touched[part] = (self._active[:, :, part] | (self._progress[:, :, part] > 0)
                               ).any(axis=(0, 1))
        self._busy = bool(self._touched.any())

    def _read(self, held: Held, size: int) -> tuple[IndexArray, FloatArray, BoolArray]:
        """size: how many elements there are."""
        try:
            elements = np.frombuffer(held.elements, dtype="<u4").astype(np.int64)
            shape = (*self._active.shape[:2], elements.size)
            progress = np.frombuffer(held.progress_s, dtype="<f4").reshape(shape)
            active = np.frombuffer(held.active, dtype=np.uint8).reshape(shape)
        except ValueError as error:
            raise GiveUpError(f"the saved delays are damaged: {error}") from error
        if (elements >= size).any() or (np.diff(elements) <= 0).any():
            raise GiveUpError(f"the saved delays are not of {size} elements")
        if not (np.isfinite(progress) & (progress >= 0)).all() or (active > 1).any():
            raise GiveUpError("the saved delays are damaged: no times, or not true or false")
        return elements, progress.astype(np.float32), active.astype(np.bool_)
