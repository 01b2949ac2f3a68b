"""What the tests of the simulated house share."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.topology import DEFAULT_LEVELS, Topology
from sim.house import Options, SimulatedHouse, create, plan_of
from sim.house_process import Plan

NOW = datetime(2025, 9, 18, 20, 45, 7, tzinfo=UTC)
"""13:45 in California, the battery nearly full."""
DATA = Path(__file__).resolve().parents[2] / "sim" / "house_profiles" / "citylearn_2022.csv"
Floats = NDArray[np.float64]


def made(**options: Any) -> SimulatedHouse:
    return create("test", Options(**options), DEFAULT_LEVELS)


def started(now: datetime = NOW, **options: Any) -> SimulatedHouse:
    house = made(**options)
    house.start(now, Topology(DEFAULT_LEVELS, house.roots))
    return house


def plan(**options: Any) -> Plan:
    return plan_of(Options(**options), made(**options).houses[0])


def at(house: SimulatedHouse, device: str, quantity: str) -> int:
    """Position of a channel in the house's readings; `device`: the end of its id."""
    names = [(one.id.removeprefix(f"{one.house}_"), name)
             for one in house.devices for name in one.quantities]
    return names.index((device, quantity))


def polled(house: SimulatedHouse, seconds: int, now: datetime = NOW, step_s: float = 1.0,
           ) -> Floats:
    """Channels of the polls after `now`, float64[seconds / step_s, c]."""
    steps = range(round(seconds / step_s))
    channels = [house.poll(now + timedelta(seconds=step * step_s)).channels for step in steps]
    return np.array(channels, dtype=np.float64)


def data_rows() -> list[dict[str, float]]:
    """The shipped data, read again by other means."""
    with DATA.open(encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()}
                for row in csv.DictReader(file)]
