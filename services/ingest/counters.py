"""What the ingest counts, and the last message of each reason that it did not use."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

import msgspec

from core.fleet.messages import MOST_SEQUENCE, VERSION, IngestReport, RefusedTold
from core.fleet.refused import refused_told
from core.fleet.rejections import Rejection

KEPT_LAGS = 10_000
COUNTED = ("received", "stored", "duplicate", "late", "given_up", "settled_unused", "commits",
           "acks", "status", "overflow", "forgotten")


class Counters:
    """For any threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._last: dict[str, RefusedTold] = {}
        self._newest: tuple[str, float] | None = None
        self._lags_s: deque[float] = deque(maxlen=KEPT_LAGS)

    def add(self, **counts: int) -> None:
        with self._lock:
            self._counts.update(counts)

    def rejected(self, reason: Rejection, words: str, topic: str, payload: bytes,
                 at_s: float) -> None:
        with self._lock:
            self._rejected[reason.value] += 1
            self._newest = reason.value, at_s
            self._last[reason.value] = refused_told(reason, words, topic, payload)

    def lagged(self, lags_s: list[float]) -> None:
        """From the device's sending to the commit [s]; clocks of two machines are in it."""
        with self._lock:
            self._lags_s.extend(lags_s)

    def report(self) -> dict[str, Any]:
        """Plain data for JSON. lag: of the newest KEPT_LAGS messages, None before the first."""
        with self._lock:
            found: dict[str, Any] = msgspec.to_builtins(
                {**self._figures(), "last_rejected": self._last})
            return found

    def said(self, site: str, waiting: int, trouble: str, behind: str = "") -> IngestReport:
        """The same for everybody who listens."""
        with self._lock:
            reason, at_s = self._newest or ("", None)
            return IngestReport(v=VERSION, site=site, state="running", waiting=waiting,
                                trouble=trouble[:200], behind=behind[:200],
                                last_rejected=self._last.get(reason),
                                last_rejected_s=at_s, **self._figures())

    def _figures(self) -> dict[str, Any]:
        lags = sorted(self._lags_s)
        return {**{name: min(self._counts[name], MOST_SEQUENCE) for name in COUNTED},
                "rejected": {Rejection(name): count for name, count in self._rejected.items()},
                "lag_p50_s": _share(lags, 0.5), "lag_p95_s": _share(lags, 0.95)}


def _share(ordered: list[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
