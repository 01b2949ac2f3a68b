"""What the coordinator of a site has its packs do, as it says on the broker."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping

from core.fleet.messages import Allocation
from core.twin.ahead import Planned

BY = "the coordinator's allocation"
AHEAD_S = 60.0
"""So far a coordinator's clock may be before this one's."""


class Allotted:
    """For one thread. Of each pack the newest."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[float, float, float]] = {}

    def take(self, told: Allocation, devices: Container[str], now_s: float) -> None:
        """devices: those that are known; others, one that is older than the last, and one that
        comes from the future are left out."""
        if told.issued_s > now_s + AHEAD_S:
            return
        for device, power_kw in told.power_kw.items():
            before_s = self._newest.get(device, (-math.inf, 0.0, 0.0))[0]
            if device in devices and told.issued_s > before_s and math.isfinite(power_kw):
                self._newest[device] = told.issued_s, told.issued_s + told.valid_s, power_kw

    def valid(self, now_s: float) -> Mapping[str, Planned]:
        """By the device; what has run out is left out."""
        return {device: Planned(power_kw, BY)
                for device, (_, until_s, power_kw) in self._newest.items() if now_s < until_s}
