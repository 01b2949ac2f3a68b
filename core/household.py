"""One house as it stands: which of its devices tells what, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

from core.devices import Device, DeviceFrame, DeviceTable, Role
from core.houses import House
from core.told import DeviceNow, Told

BATTERY_FIRST: tuple[Role, ...] = ("battery_monitor", "inverter", "meter", "tariff")
INVERTER_FIRST: tuple[Role, ...] = ("inverter", "meter", "battery_monitor", "tariff")
OF_THE_INVERTER = ("solar_power_kw", "load_power_kw", "grid_power_kw", "grid_import_kw",
                   "grid_export_kw")
NOT_SHOWN: tuple[set[Role], ...] = ({"heat_pump"}, {"tariff"}, {"meter"}, {"meter", "tariff"})


class Household:
    """The electricity of a house at one instant. devices: its own without the heat pumps, in
    the order of the sources."""

    def __init__(self, house: House, table: DeviceTable, frame: DeviceFrame) -> None:
        self.house = house
        self.devices: Sequence[Device] = [
            device for device in table.devices.values()
            if device.house == house.id and device.role != "heat_pump"]
        self._table = table
        self._frame = frame

    @property
    def time(self) -> datetime:
        return self._frame.time

    def told_by(self, device: Device, quantity: str) -> Told | None:
        """None where the device has no such quantity."""
        return DeviceNow(device, self._table, self._frame).told(quantity)

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
        ages = [DeviceNow(device, self._table, self._frame).age_s for device in self.devices]
        return min((age for age in ages if math.isfinite(age)), default=math.nan)


def with_electricity(houses: Iterable[House], table: DeviceTable) -> tuple[House, ...]:
    """Those that the Energy Monitor shows: not one that has a heat pump and nothing else, nor a
    site of packs, whose meter has a house of its own, nor prices alone."""
    roles: dict[str, set[Role]] = {}
    for device in table.devices.values():
        roles.setdefault(device.house, set()).add(device.role)
    return tuple(house for house in houses if roles.get(house.id) not in NOT_SHOWN)
