"""Readings of a heat pump as the seeds' collector wrote them, and sources that read them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from core.clock import ManualClock
from core.frames import Reading
from core.heatpump.profile import Profile, load_profile
from core.topology import DEFAULT_LEVELS, Topology
from sources.influx import InfluxSource, Options, create
from tests.sources.web import QUICK

START = datetime(2026, 11, 20, 0, 0, tzinfo=UTC)
PROFILE = "thermia_c60"
STEP_S = 30
SEVEN = ("hot_water_c", "radiator_supply_c", "radiator_return_c", "indoor_c", "outdoor_c",
         "brine_in_c", "brine_out_c")


def profile() -> Profile:
    return load_profile(PROFILE)


def register_of(quantity: str) -> str:
    """The id of the first register of a quantity."""
    return next(one.id for one in profile().registers if one.metric == quantity)


def line_of(quantity: str, value: object, at: datetime, *, pump: str = "",
            measurement: str = "heatpump") -> str:
    """One point, without its end. value: as it stands in line protocol when it is text."""
    register = next(one for one in profile().registers if one.metric == quantity)
    tags = f",register_id={register.id},name={register.name},type={register.type}"
    tags += f",pump={pump}" if pump else ""
    return f"{measurement}{tags} value={value} {round(at.timestamp() * 1000)}"


def outdoor_at(second: float) -> float:
    """A day's wave around 3 °C, a round number of hundredths."""
    return round(3.0 + 5.0 * math.sin(second / 86_400.0 * 2.0 * math.pi), 2)


def day_of(quantities: tuple[str, ...] = SEVEN, hours: float = 24.0) -> Iterator[str]:
    """A line each STEP_S and quantity; each quantity is a degree above the one before."""
    for number in range(int(hours * 3600 / STEP_S)):
        at = START + timedelta(seconds=number * STEP_S)
        for above, quantity in enumerate(quantities):
            yield line_of(quantity, outdoor_at(number * STEP_S) + above, at)


def source_at(url: str, now: datetime, **more: Any) -> tuple[InfluxSource, ManualClock]:
    """A source that nothing polls yet, and its clock."""
    clock = ManualClock(now)
    options = Options(**{"profile": PROFILE, "base_url": url, "database": "heatpump", **more})
    return create("pump", options, DEFAULT_LEVELS, clock=clock, limits=QUICK), clock


def polled(source: InfluxSource, clock: ManualClock) -> Reading:
    """Ask on this thread, then poll; raises what the source says."""
    source.poller.step()
    return source.poll(clock.now())


def told(source: InfluxSource, reading: Reading) -> Mapping[str, float]:
    """Values that were heard, by quantity."""
    assert reading.channels is not None
    assert reading.channels_heard is not None
    names = source.devices[0].quantities
    return {name: float(value) for name, value, heard
            in zip(names, reading.channels, reading.channels_heard, strict=True) if heard}


def topology_of(source: InfluxSource) -> Topology:
    return Topology(DEFAULT_LEVELS, source.roots)
