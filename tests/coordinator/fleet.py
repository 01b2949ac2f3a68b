"""Packs for tests of the coordinator: what devices tell, a frame of it, and a fleet that obeys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from core.clock import Clock
from core.coordinator.gather import Seen
from core.coordinator.meter import LOAD, PV, Metered
from core.coordinator.problem import Floats
from core.coordinator.usual import EFFICIENCY
from core.fleet.catalogue import PackPlate
from core.fleet.ports import PackState
from core.fleet.tree import element_of, roots
from core.frames import Frame, empty_columns
from core.tariff import PriceSeries
from core.topology import DEFAULT_LEVELS, Topology

SITE, CELLS = "home", 10
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
VOLTS = {"LFP": 3.3, "NMC": 3.7, "LCO": 3.8}
KWH = 10.0
WAY = EFFICIENCY - 0.015
"""They lose more than is planned with, which a plan is to live with."""
HOUR_S = 3600.0


def plates(*kinds: str) -> list[PackPlate]:
    return [PackPlate(f"pack_{number}", f"Pack {number}", kind, CELLS, KWH)
            for number, kind in enumerate(kinds, 1)]


def topology_of(found: Sequence[PackPlate]) -> Topology:
    return Topology(DEFAULT_LEVELS, roots(SITE, "Home", found, DEFAULT_LEVELS))


@dataclass
class PackOfTest:
    """limit_kw: what it takes at most, either way, whatever its device says; lies_pct: what its
    device adds to its charge; wild_kw: what it does whatever it is asked, and does not say."""

    plate: PackPlate
    soc: float = 0.5
    limit_a: float = 200.0
    limit_kw: float = 1e9
    reason: str = ""
    lies_pct: float = 0.0
    power_kw: float = 0.0
    told_kw: float = 0.0
    asked_kw: float = 0.0
    wild_kw: float | None = None
    lease_s: float | None = None
    heard: bool = True
    heard_at: datetime = NOON

    @property
    def volts(self) -> float:
        return CELLS * VOLTS[self.plate.chemistry]

    def live(self, seconds: float) -> None:
        """As asked, as far as it can and may."""
        most = min(self.limit_kw, self.limit_a * self.volts / 1000.0)
        self.power_kw = float(np.clip(self.asked_kw, -most, most))
        self.told_kw = self.power_kw
        if self.wild_kw is not None:
            self.power_kw = self.wild_kw
        step_h = seconds / HOUR_S
        moved = -self.power_kw * step_h * (WAY if self.power_kw < 0 else 1.0 / WAY)
        self.soc = float(np.clip(self.soc + moved / self.plate.capacity_kwh, 0.0, 1.0))


class FleetOfTest:
    """`core.coordinator.loop.Steered`; its packs take what they are asked for at once."""

    def __init__(self, clock: Clock, *kinds: str) -> None:
        self._clock = clock
        self.packs_of = [PackOfTest(plate) for plate in plates(*kinds)]
        self.topology = topology_of([pack.plate for pack in self.packs_of])
        self.sent: list[dict[str, float]] = []
        self.lease_s: float | None = None
        self.error: Exception | None = None

    def __getitem__(self, number: int) -> PackOfTest:
        return self.packs_of[number]

    def packs(self) -> Sequence[PackState]:
        return [state_of(pack) for pack in self.packs_of]

    def allocate(self, power_kw: Mapping[str, float], valid_s: float,
                 lease_s: float | None = None) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(dict(power_kw))
        self.lease_s = lease_s
        for pack in self.packs_of:
            if pack.heard:
                pack.asked_kw = power_kw.get(pack.plate.device, pack.asked_kw)

    def live(self, seconds: float) -> None:
        for pack in self.packs_of:
            pack.live(seconds)
            if pack.heard:
                pack.heard_at = self._clock.now()

    def frame(self) -> Frame:
        return frame_of(self.topology, self.packs_of, self._clock.now())


def state_of(pack: PackOfTest) -> PackState:
    return PackState(
        SITE, pack.plate.device, element_of(SITE, pack.plate.device), pack.plate.label,
        pack.plate.chemistry, CELLS, pack.plate.capacity_kwh, link="online",
        heard_at=pack.heard_at, safety="normal", charge_limit_a=pack.limit_a,
        discharge_limit_a=pack.limit_a, limit_reason=pack.reason, allocation_kw=pack.told_kw,
        lease_s=pack.lease_s)


def frame_of(topology: Topology, packs: Sequence[PackOfTest], at: datetime) -> Frame:
    columns = empty_columns(topology.size)
    for pack in packs:
        node = topology.index(element_of(SITE, pack.plate.device))
        rows = [node, *range(*topology.children(node).indices(topology.size))]
        columns["soc_pct"][rows] = 100.0 * pack.soc + pack.lies_pct
        columns["power_kw"][node] = pack.power_kw
        columns["voltage_v"][rows] = pack.volts / CELLS
        columns["voltage_v"][node] = pack.volts
        columns["temperature_c"][rows] = 25.0
    size = topology.size
    return Frame(at, columns, np.zeros(size, np.float32), np.zeros(size, bool),
                 np.ones(size, np.float32), np.zeros(size, np.uint8))


def seen(fleet: FleetOfTest, **changes: object) -> Seen:
    return replace(Seen(NOON, fleet.packs(), fleet.frame(), fleet.topology), **changes)  # type: ignore[arg-type]


def load_at(hours: Floats) -> Floats:
    """A household's evening and morning [kW] by the hour of the day."""
    found: Floats = 2.0 + 3.0 * np.exp(-((hours - 19.0) / 2.0) ** 2) + np.exp(
        -((hours - 7.0) / 1.5) ** 2)
    return found


def pv_at(hours: Floats) -> Floats:
    """[kW], highest at noon UTC."""
    found: Floats = 12.0 * np.maximum(0.0, np.sin(np.pi * (hours - 6.0) / 12.0))
    return found


def price_at(hours: Floats) -> Floats:
    """[currency/kWh]."""
    return np.where((hours >= 17.0) & (hours < 21.0), 0.50,
                    np.where(hours < 6.0, 0.12, 0.25))


@dataclass
class MeterOfTest:
    """`core.coordinator.meter.Meter`: each day is like the other. told_h: so many hours from
    yesterday's beginning on have a price."""

    clock: Clock
    broken: bool = False
    priced: bool = True
    told_h: int = 96
    asked: list[datetime] = field(default_factory=list)

    def now(self) -> Metered:
        if self.broken:
            return Metered()
        hours = np.array([self.clock.now().timestamp() % 86_400.0 / HOUR_S])
        return Metered(float(load_at(hours)[0]), float(pv_at(hours)[0]))

    def past(self, start: datetime, steps: int, step_s: float) -> Mapping[str, Floats]:
        self.asked.append(start)
        if self.broken:
            return {LOAD: np.full(steps, np.nan), PV: np.full(steps, np.nan)}
        hours = (start.timestamp() + step_s * (np.arange(steps) + 0.5)) % 86_400.0 / HOUR_S
        return {LOAD: load_at(hours), PV: pv_at(hours)}

    def prices(self) -> PriceSeries | None:
        if not self.priced:
            return None
        first = self.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        time_s = (first - timedelta(days=1)).timestamp() + HOUR_S * np.arange(self.told_h)
        buy = price_at(time_s % 86_400.0 / HOUR_S)
        return PriceSeries(time_s, buy, np.full(len(buy), 0.05), HOUR_S)
