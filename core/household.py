"""One house as it stands: which of its devices tells what, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.devices import Device, DeviceFrame, DeviceTable, Role, channel_id
from core.houses import House

BATTERY_FIRST: tuple[Role, ...] = ("battery_monitor", "inverter", "tariff")
INVERTER_FIRST: tuple[Role, ...] = ("inverter", "battery_monitor", "tariff")
OF_THE_INVERTER = ("solar_power_kw", "load_power_kw", "grid_power_kw", "grid_import_kw",
                   "grid_export_kw")


@dataclass(frozen=True, slots=True)
class Told:
    """One quantity of the house, from `device`. value: NaN = missing; age_s: NaN = never."""

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


class Household:
    """A house at one instant. devices: its own, in the order of the sources."""

    def __init__(self, house: House, table: DeviceTable, frame: DeviceFrame) -> None:
        self.house = house
        self.devices: Sequence[Device] = [
            device for device in table.devices.values() if device.house == house.id]
        self._table = table
        self._frame = frame

    @property
    def time(self) -> datetime:
        return self._frame.time

    def told_by(self, device: Device, quantity: str) -> Told | None:
        """None where the device has no such quantity."""
        if not self._table.has(device.id, quantity):
            return None
        channel = self._table.index(device.id, quantity)
        return Told(device, quantity, float(self._frame.values[channel]),
                    float(self._frame.age_s[channel]), bool(self._frame.stale[channel]))

    def told(self, quantity: str) -> Told | None:
        """From the device that is to be asked first: one that is heard before one that is
        not, a battery monitor for the battery, an inverter for the rest, then in order."""
        order = INVERTER_FIRST if quantity in OF_THE_INVERTER else BATTERY_FIRST
        found = [one for device in self.devices
                 if (one := self.told_by(device, quantity)) is not None]
        return min(found, default=None, key=lambda one: (
            one.stale or math.isnan(one.value), order.index(one.device.role)))

    def value(self, quantity: str) -> float:
        """What is told and not stale, else NaN."""
        found = self.told(quantity)
        return math.nan if found is None else found.usable

    def of_soc(self) -> list[Told]:
        """Every SOC of the house, counted ones first: what can be compared."""
        found = [one for device in self.devices
                 if (one := self.told_by(device, "soc_pct")) is not None]
        return sorted(found, key=lambda one: one.device.soc_method != "counted")

    @property
    def age_s(self) -> float:
        """Of the freshest channel; NaN = nothing was ever heard [s]."""
        ages = [float(self._frame.age_s[self._table.index(device.id, name)])
                for device in self.devices for name in device.quantities]
        known = [age for age in ages if math.isfinite(age)]
        return min(known, default=math.nan)
