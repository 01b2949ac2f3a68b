"""What the coordinator of a site has its packs do, as it says on the broker."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Mapping

from core.fleet.in_force import InForce
from core.fleet.messages import Allocation
from core.twin.ahead import Planned

BY = "the coordinator's allocation"


class Allotted:
    """For one thread. Of each pack the order that it follows, by the device's own rule: valid from
    when it is received, whatever its sender's clock says."""

    def __init__(self) -> None:
        self._orders: defaultdict[str, InForce] = defaultdict(InForce)

    def take(self, told: Allocation, devices: Container[str], now_s: float) -> None:
        """devices: those that are known; others are left out."""
        for device, power_kw in told.power_kw.items():
            if device in devices and math.isfinite(power_kw):
                self._orders[device].take(device, told, now_s)

    def valid(self, now_s: float) -> Mapping[str, Planned]:
        """By the device; what has run out is left out."""
        return {device: Planned(order.power_kw, BY)
                for device, order in self._orders.items() if order.holds(now_s)}
