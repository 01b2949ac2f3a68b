"""Devices beside the battery tree: what an inverter, a meter or a battery monitor reports.

A device has quantities out of one vocabulary; each (device, quantity) is a channel. The engine
keeps the newest value of every channel and its age, and history keeps their past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import TopologyError, UnknownIdError
from core.pump import Pump
from core.quantities import QUANTITY, SPLIT

Floats = NDArray[np.float64]
Role = Literal["battery_monitor", "inverter", "tariff", "heat_pump", "meter"]
SocMethod = Literal["", "counted", "estimated"]


@dataclass(frozen=True, slots=True)
class Device:
    """One device of a house.

    id: of letters, digits and "_"; house: the id of its house. quantities: names of
    QUANTITIES without the parts of SPLIT. native_sign: which direction of the battery the
    device itself counts as positive (law 1). soc_method: how its SOC comes about. pump: of a
    heat pump alone, what is known of it beside its readings.
    """

    id: str
    house: str
    role: Role
    label: str
    quantities: tuple[str, ...]
    native_sign: Literal["charge", "discharge"]
    soc_method: SocMethod = ""
    pump: Pump | None = None


def channel_id(device_id: str, quantity: str) -> str:
    """The id under which history knows a quantity of a device."""
    return f"{device_id}.{quantity}"


class DeviceTable:
    """All channels of all sources, in the order of their devices, each with its split parts.

    own: for source number s the positions of what it reports, in the order of its devices'
    quantities. Raises TopologyError for ids that occur twice and unknown quantities.
    """

    def __init__(self, devices_of: Sequence[Sequence[Device]]) -> None:
        self.devices: dict[str, Device] = {}
        self.ids: list[str] = []
        self.own: list[NDArray[np.int64]] = []
        self._index: dict[str, int] = {}
        splits: list[tuple[int, int, int]] = []
        for devices in devices_of:
            reported: list[int] = []
            for device in devices:
                self._add(device, reported, splits)
            self.own.append(np.array(reported, dtype=np.int64))
        self.splits = np.array(splits, dtype=np.int64).reshape(-1, 3)

    def _add(self, device: Device, reported: list[int],
             splits: list[tuple[int, int, int]]) -> None:
        if device.id in self.devices:
            raise TopologyError("orrery.toml", "devices", device.id, "an id that occurs once")
        self.devices[device.id] = device
        for name in device.quantities:
            if name not in QUANTITY:
                raise TopologyError("orrery.toml", f"devices.{device.id}", name,
                                    "a quantity of core/quantities.py")
            whole = self._number(device.id, name)
            reported.append(whole)
            if name in SPLIT:
                positive, negative = (self._number(device.id, part) for part in SPLIT[name])
                splits.append((whole, positive, negative))

    def _number(self, device_id: str, quantity: str) -> int:
        number = len(self.ids)
        self.ids.append(channel_id(device_id, quantity))
        self._index[self.ids[-1]] = number
        return number

    @property
    def size(self) -> int:
        return len(self.ids)

    def index(self, device_id: str, quantity: str) -> int:
        """Position of a channel; raises UnknownIdError."""
        name = channel_id(device_id, quantity)
        if name not in self._index:
            raise UnknownIdError(f"no channel is called {name[:80]!r}")
        return self._index[name]

    def has(self, device_id: str, quantity: str) -> bool:
        return channel_id(device_id, quantity) in self._index


@dataclass(frozen=True, slots=True)
class DeviceFrame:
    """The newest knowledge of every channel at `time` (UTC), c channels in the table's order.

    values: float64[c], NaN = missing; stale values are kept and marked. age_s: float64[c],
    NaN = never heard. stale: bool[c], older than its source allows, or never heard.
    """

    time: datetime
    values: Floats
    age_s: Floats
    stale: NDArray[np.bool_]

    def fresh(self) -> Floats:
        """The values with NaN where stale: what counts and what history keeps (law 4)."""
        return np.where(self.stale, np.nan, self.values)


class Board:
    """Holds the last known value of every channel. stale_after_s: one a source [s]."""

    def __init__(self, table: DeviceTable, stale_after_s: Sequence[float]) -> None:
        self._table = table
        self._values = np.full(table.size, np.nan)
        self._heard_at_s = np.full(table.size, -np.inf)
        self._limit_s = np.zeros(table.size)
        for own, limit in zip(table.own, stale_after_s, strict=True):
            self._limit_s[own] = limit

    def apply(self, source: int, measured_at: datetime, values: Floats,
              heard: NDArray[np.bool_] | None) -> None:
        """Take over what source number `source` reported: float64[k], heard bool[k] or all."""
        own = self._table.own[source]
        chosen = own if heard is None else own[heard]
        self._values[chosen] = values if heard is None else values[heard]
        self._heard_at_s[chosen] = measured_at.timestamp()

    def frame(self, now: datetime) -> DeviceFrame:
        """Ages and staleness told, signed channels split at zero."""
        values, heard_at_s = self._values.copy(), self._heard_at_s.copy()
        limit_s = self._limit_s.copy()
        split_at_zero(self._table, values)
        for whole, positive, negative in self._table.splits:
            heard_at_s[[positive, negative]] = heard_at_s[whole]
            limit_s[[positive, negative]] = limit_s[whole]
        age_s = np.maximum(now.timestamp() - heard_at_s, 0.0)
        age_s[np.isinf(age_s)] = np.nan
        return DeviceFrame(now, values, age_s, ~(age_s <= limit_s))


def split_at_zero(table: DeviceTable, values: Floats) -> None:
    """Fill the positive and negative parts of the signed channels: float64[..., c], in place."""
    whole, positive, negative = table.splits.T
    values[..., positive] = np.maximum(values[..., whole], 0.0)
    values[..., negative] = np.maximum(-values[..., whole], 0.0)


def spread(table: DeviceTable, source: int, reported: Floats) -> Floats:
    """float64[k, own channels] of one source as float64[k, c] over the whole table, NaN
    elsewhere, split parts filled: for telling a past."""
    values = np.full((len(reported), table.size), np.nan)
    values[:, table.own[source]] = reported
    split_at_zero(table, values)
    return values


def in_order(devices: Sequence[Device], told: Mapping[str, Mapping[str, float]]) -> Floats:
    """What a source tells by device id and quantity, as float64[k] in the order of its
    channels; NaN where nothing is told, and where a value is not plausible (law 11)."""
    return np.array([_plausible(name, told.get(device.id, {}).get(name, np.nan))
                     for device in devices for name in device.quantities], dtype=np.float64)


def _plausible(name: str, value: float) -> float:
    low, high = QUANTITY[name].plausible
    return value if low <= value <= high else np.nan
