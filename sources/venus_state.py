"""What the batteries of a Venus GX said last; the broker's thread writes, `poll` reads.

A topic is `N/<portal>/battery/<instance>/<D-Bus path>`, its payload `{"value": X}` with null
for a value that is not known, or nothing at all when the device is gone (dbus-flashmq).
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.topology import FloatArray
from core.vocabulary import METRIC_NAMES, METRICS
from sources.venus_recording import PATHS

MAX_PAYLOAD_BYTES = 64 * 1024
MAX_UNDECLARED = 64  # a broker with more is not one house's
SETTLE_S = 1.0  # a device that returns tells its values one after the other
_BATTERY = re.compile(r"N/[^/]+/battery/(0|[1-9][0-9]{0,9})(/.+)")


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """value: in the path's own unit, None = not known. min and max come with settings."""

    value: float | None
    min: float | None = None
    max: float | None = None


_DECODER = msgspec.json.Decoder(Payload)


class RefusedError(ValueError):
    """A payload that is not used; its text is the key under which it is counted."""


@dataclass(frozen=True, slots=True)
class News:
    """values: float32[k, metrics] of the k declared batteries, + = discharging (law 1).

    heard: bool[k], which of them spoke since the last question. age_s: how long ago the first
    of these spoke last, with none of them the newest of all [s]; NaN = nobody ever spoke.
    """

    values: FloatArray
    heard: NDArray[np.bool_]
    age_s: float


class VenusState:
    """Guarded by one lock. `seconds` tells the time since some moment [s]."""

    def __init__(self, instances: Sequence[int],
                 seconds: Callable[[], float] = time.monotonic) -> None:
        self._row = {instance: row for row, instance in enumerate(instances)}
        self._seconds = seconds
        self._lock = threading.Lock()
        self._dropped: Counter[str] = Counter()
        self._undeclared: set[int] = set()
        self.clear()

    def clear(self) -> None:
        """Forget all values: a new connection tells them anew."""
        with self._lock:
            self._values = np.full((len(self._row), len(METRIC_NAMES)), np.nan, dtype=np.float32)
            self._heard = np.zeros(len(self._row), dtype=bool)
            self._heard_s = np.full(len(self._row), np.nan)
            self._gone = np.zeros(len(self._row), dtype=bool)
            self._settled_s = np.full(len(self._row), -np.inf)

    @property
    def dropped(self) -> dict[str, int]:
        """How many messages were not used, by "malformed", "implausible", "too large", "retained".
        """
        with self._lock:
            return dict(self._dropped)

    @property
    def undeclared(self) -> tuple[int, ...]:
        """Instances of batteries that the broker knows and nobody declared."""
        with self._lock:
            return tuple(sorted(self._undeclared))

    def take(self, topic: str, payload: bytes, retained: bool = False) -> None:
        """One message; never raises, other topics than those of `PATHS` are not looked at."""
        found = _BATTERY.fullmatch(topic)
        if found is None or found[2] not in PATHS:
            return
        with self._lock:
            row = self._row.get(int(found[1]))
            if row is not None:
                self._store(row, found[2], payload, retained)
            elif payload and len(self._undeclared) < MAX_UNDECLARED:
                self._undeclared.add(int(found[1]))

    def _store(self, row: int, path: str, payload: bytes, retained: bool) -> None:
        """Under the lock. A value that cannot be used leaves NaN (law 4), not the one before."""
        if retained:  # of any age; a Venus retains no reading
            self._dropped["retained"] += 1
            return
        column = METRIC_NAMES.index(PATHS[path][0])
        self._values[row, column] = np.nan
        if not payload:
            self._heard[row], self._gone[row] = False, True
            return
        try:
            self._values[row, column] = converted(path, payload)
        except RefusedError as error:
            self._dropped[str(error)] += 1
            return
        self._heard_s[row] = self._seconds()
        if self._gone[row]:
            self._settled_s[row] = self._heard_s[row] + SETTLE_S
        self._heard[row], self._gone[row] = True, False

    def news(self) -> News:
        """All values, and who spoke since the last call; who just returned is left for later."""
        with self._lock:
            now_s = self._seconds()
            heard = self._heard & (now_s >= self._settled_s)
            self._heard &= ~heard
            known_s = self._heard_s[np.isfinite(self._heard_s)]
            if heard.any():
                age_s = now_s - float(self._heard_s[heard].min())
            else:
                age_s = now_s - float(known_s.max()) if known_s.size else math.nan
            return News(self._values.copy(), heard, age_s)


def converted(path: str, payload: bytes) -> float:
    """A payload in Orrery's unit and sign (laws 1 and 2), NaN for null; raises RefusedError."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise RefusedError("too large")
    try:
        value = _DECODER.decode(payload).value
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RefusedError("malformed") from error
    if value is None:
        return math.nan
    metric, factor = PATHS[path]
    low, high = METRICS[METRIC_NAMES.index(metric)].plausible
    found = value * factor + 0.0  # + 0.0 turns the -0.0 of an idle battery into 0.0
    if not low <= found <= high:
        raise RefusedError("implausible")
    return found
