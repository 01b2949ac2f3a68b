"""Packs that do not take what they are asked for: believed at a second look, asked again later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from core.coordinator.gather import Refused
from core.coordinator.share import SETTLE_S, delivered
from core.coordinator.view import Allocated
from core.fleet.ports import PackState

PROBE_S = 600.0
"""So long a refusal is believed without asking again [s]."""
LOOKS = 2


class Refusals:
    """For one thread."""

    def __init__(self) -> None:
        self._standing: dict[str, Refused] = {}
        self._seen: dict[str, int] = {}

    @property
    def standing(self) -> Mapping[str, Refused]:
        return self._standing

    def look(self, states: Sequence[PackState], last: Allocated | None, now: datetime) -> None:
        """At what became of the last allocation."""
        for device, refused in list(self._standing.items()):
            if not 0 <= (now - refused.since).total_seconds() < PROBE_S:
                del self._standing[device]
        if last is None or (now - last.at).total_seconds() < SETTLE_S or now >= last.valid_until:
            return
        asked = {share.device: share for share in last.shares}
        for state in states:
            share = asked.get(state.device)
            if share is None or state.device in self._standing:
                continue
            delivery, why = delivered(state, share, last.at, now)
            if delivery != "refused":
                self._seen.pop(state.device, None)
                continue
            self._seen[state.device] = self._seen.get(state.device, 0) + 1
            if self._seen[state.device] >= LOOKS:
                told = state.allocation_kw or 0.0
                same_way = told * share.asked_kw > 0
                self._standing[state.device] = Refused(
                    "discharge" if share.asked_kw > 0 else "charge",
                    abs(told) if same_way else 0.0, why, now)
                del self._seen[state.device]
