"""A house of two devices for tests: a counter and an inverter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from core.devices import Board, Device, DeviceFrame, DeviceTable, in_order
from core.errors import NotYetError, SourceError
from core.frames import Reading
from core.houses import House
from core.ports import SourceInfo
from core.topology import NodeSpec, Topology

COUNTER = Device("home_shunt", "home", "battery_monitor", "Shunt",
                 ("soc_pct", "voltage_v", "current_a", "battery_power_kw"), "charge", "counted")
INVERTER = Device("home_inverter", "home", "inverter", "Inverter",
                  ("solar_power_kw", "load_power_kw", "grid_power_kw", "battery_power_kw",
                   "soc_pct"), "discharge", "estimated")

Told = dict[str, dict[str, float]]


def frame_of(table: DeviceTable, told: Sequence[tuple[datetime, Told]], now: datetime,
             stale_after_s: float = 60.0) -> DeviceFrame:
    """The board after source 0 told all of `told`, at `now`."""
    board = Board(table, [stale_after_s])
    devices = list(table.devices.values())
    for when, said in told:
        heard = np.array([device.id in said for device in devices
                          for _ in device.quantities])
        board.apply(0, when, in_order(devices, said), heard)
    return board.frame(now)


class ToldSource:
    """A source whose test says what it tells, or why it does not."""

    def __init__(self, devices: Sequence[Device] = (COUNTER, INVERTER),
                 houses: Sequence[House] = (), stale_after_s: float = 60.0) -> None:
        self.info = SourceInfo("house", "House", "live", 1.0, stale_after_s, "charge")
        self.roots: Sequence[NodeSpec] = ()
        self.devices, self.houses = devices, houses
        self.told: Told = {}
        self.age_s = 0.0
        self.error: SourceError | None = NotYetError("asked 1 s ago")

    def start(self, now: datetime, topology: Topology) -> None:
        assert topology.size == 1

    def poll(self, now: datetime) -> Reading:
        if self.error is not None:
            raise self.error
        return Reading(now - timedelta(seconds=self.age_s), {},
                       channels=in_order(self.devices, self.told))

    def close(self) -> None: ...
