"""One quantity of one device as it stands."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.devices import Device, DeviceFrame, DeviceTable, channel_id


@dataclass(frozen=True, slots=True)
class Told:
    """`quantity` from `device`. value: NaN = missing; age_s: NaN = never."""

    device: Device
    quantity: str
    value: float
    age_s: float
    stale: bool

    @property
    def channel(self) -> str:
        return channel_id(self.device.id, self.quantity)

    @property
    def usable(self) -> float:
        """The value, NaN where stale: what may be computed with (law 4)."""
        return math.nan if self.stale else self.value


class DeviceNow:
    """A device at the instant of `frame`."""

    def __init__(self, device: Device, table: DeviceTable, frame: DeviceFrame) -> None:
        self.device = device
        self.frame = frame
        self._table = table

    def told(self, quantity: str) -> Told | None:
        """None where the device has no such quantity."""
        if not self._table.has(self.device.id, quantity):
            return None
        channel = self._table.index(self.device.id, quantity)
        return Told(self.device, quantity, float(self.frame.values[channel]),
                    float(self.frame.age_s[channel]), bool(self.frame.stale[channel]))

    def value(self, quantity: str) -> float:
        """What is told and not stale, else NaN."""
        found = self.told(quantity)
        return math.nan if found is None else found.usable

    @property
    def age_s(self) -> float:
        """Of the freshest channel; NaN = nothing was ever heard [s]."""
        ages = [one.age_s for name in self.device.quantities
                if (one := self.told(name)) is not None and math.isfinite(one.age_s)]
        return min(ages, default=math.nan)
