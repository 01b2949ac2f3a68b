"""What happens at a site, as means of minutes: what plans are compared with and learn from."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b

import numpy as np

from core.coordinator.meter import Metered
from core.coordinator.problem import Floats
from core.coordinator.records import Minute, OfKind, Run
from core.fleet.ports import PackState
from core.frames import Frame
from core.topology import Topology

MINUTE_S = 60.0
ABSENT_S = 3600.0
"""A pack that is silent for so long when a day begins is none of that day's."""
LEAST_KNOWN = 0.9
"""Part of the fleet's capacity that must be heard for its power to be known."""
KEEPS = ("load_kw", "pv_kw", "grid_kw", "fleet_kw", "soc_pct", "import_price", "export_price")


@dataclass(frozen=True, slots=True)
class Fleet:
    """All packs of a site at one moment, planned with or not: NaN where too few are heard. kinds:
    by chemistry, what is heard of its packs, NaN where nothing is."""

    power_kw: float
    soc_pct: float
    kinds: Mapping[str, OfKind]


class Roll:
    """The packs that do not count today, because nobody has heard them for an hour when the day
    began: LEAST_KNOWN is of all others. For one thread."""

    def __init__(self) -> None:
        self._heard: dict[str, datetime] = {}
        self._day: date | None = None
        self._absent: frozenset[str] = frozenset()

    def absent(self, heard: Mapping[str, bool], now: datetime, day: date) -> frozenset[str]:
        """heard: by device, whether its power, charge and capacity are known now; day: of the
        site's clock."""
        for device, known in heard.items():
            if known or device not in self._heard:
                self._heard[device] = now
        if self._day != day:
            self._day = day
            self._absent = frozenset(device for device in heard if (
                now - self._heard[device]).total_seconds() >= ABSENT_S)
        return self._absent


def fleet_now(states: Sequence[PackState], frame: Frame, topology: Topology, roll: Roll,
              now: datetime, day: date) -> Fleet:
    """As the frame has it; what is stale is missing."""
    nodes = np.array([topology.index(state.element) for state in states], dtype=np.int64)
    capacity = np.array([math.nan if state.capacity_kwh is None else state.capacity_kwh
                         for state in states], dtype=np.float64)
    stale = frame.stale[nodes]
    power, soc = (np.where(stale, np.nan, frame.columns[name][nodes]).astype(np.float64)
                  for name in ("power_kw", "soc_pct"))
    stored = soc * capacity / 100.0
    weight = np.nan_to_num(capacity)
    sums = [_of_most(values, weight) for values in (power, stored)]
    known_kwh = float(weight[np.isfinite(stored)].sum())
    heard = np.isfinite(power) & np.isfinite(stored)
    absent = roll.absent(dict(zip((state.device for state in states), heard.tolist(),
                                  strict=True)), now, day)
    counts = heard | np.array([state.device not in absent for state in states], dtype=np.bool_)
    names = [f"{state.device} {state.capacity_kwh}" for state in states]
    kinds: dict[str, OfKind] = {}
    for kind in sorted({state.chemistry for state in states}):
        own = np.array([state.chemistry == kind for state in states])
        there = own & heard
        power_kw, stored_kwh = (float(values[there].sum()) if there.any() else math.nan
                                for values in (power, stored))
        if (own & counts).any():
            kinds[kind] = OfKind(power_kw, stored_kwh, float(capacity[there].sum()),
                                 float(capacity[own & counts].sum()),
                                 _number_of(names[at] for at in np.flatnonzero(there)))
    return Fleet(sums[0], 100.0 * sums[1] / known_kwh if known_kwh > 0 else math.nan, kinds)


def _number_of(names: Iterable[str]) -> int:
    """Of these packs in any order, the same in every process; 0 of none."""
    told = "\n".join(sorted(names)).encode()
    return int.from_bytes(blake2b(told, digest_size=6).digest()) if told else 0


def _of_most(values: Floats, weight: Floats) -> float:
    """The sum of what is known, NaN where that is too little."""
    known, whole = np.isfinite(values), float(weight.sum())
    enough = whole > 0 and float(weight[known].sum()) >= LEAST_KNOWN * whole
    return float(values[known].sum()) if enough else math.nan


class Minutes:
    """Takes samples and hands out minutes that are over. For one thread."""

    def __init__(self) -> None:
        self._at_s = -math.inf
        self._sums: dict[str, list[float]] = defaultdict(list)
        self._planned: list[tuple[float, float]] = []
        self._kinds: dict[str, list[OfKind]] = defaultdict(list)
        self._currencies: list[str] = []
        self._violations = 0

    def take(self, now: datetime, metered: Metered, fleet: Fleet, run: Run | None,
             violations: int) -> list[Minute]:
        """A sample; the minute before it, where this one begins another."""
        now_s = now.timestamp()
        at_s = now_s // MINUTE_S * MINUTE_S
        done = [self._made()] if self._sums and at_s != self._at_s else []
        if at_s != self._at_s:
            self._begin(at_s)
        load = metered.load_kw
        if not math.isfinite(load):
            load = metered.grid_kw + metered.pv_kw + fleet.power_kw
        values = (load, metered.pv_kw, load - metered.pv_kw - fleet.power_kw, fleet.power_kw,
                  fleet.soc_pct, metered.import_price, metered.export_price)
        for name, value in zip(KEEPS, values, strict=True):
            self._sums[name].append(value)
        self._currencies.append(metered.currency)
        self._planned.append(planned_at(run, now))
        for kind, told in fleet.kinds.items():
            self._kinds[kind].append(told)
        self._violations += violations
        return done

    def _begin(self, at_s: float) -> None:
        self._at_s, self._violations = at_s, 0
        self._sums.clear()
        self._currencies.clear()
        self._planned.clear()
        self._kinds.clear()

    def _made(self) -> Minute:
        """Of prices in two currencies there is no mean."""
        means = {name: _mean(values) for name, values in self._sums.items()}
        if len(set(self._currencies)) > 1:
            means |= {"import_price": math.nan, "export_price": math.nan}
        kinds = {kind: _minute_of(samples) for kind, samples in self._kinds.items()}
        return Minute(time_s=self._at_s, planned_kw=_mean([kw for kw, _ in self._planned]),
                      planned_soc_pct=_mean([soc for _, soc in self._planned]),
                      violations=self._violations, kinds=kinds, currency=self._currencies[-1],
                      **means)


def _minute_of(samples: Sequence[OfKind]) -> OfKind:
    last = samples[-1]
    same = all(one.packs == last.packs for one in samples)
    return last._replace(power_kw=_mean([one.power_kw for one in samples]),
                         heard_kwh=min(one.heard_kwh for one in samples),
                         packs=last.packs if same else 0)


def planned_at(run: Run | None, now: datetime) -> tuple[float, float]:
    """What its plan has for the fleet's power [kW] and charge [%] now, NaN where it has nothing."""
    if run is None or not run.plan.ids:
        return math.nan, math.nan
    plan, whole_kwh = run.plan, float(run.problem.packs.capacity_kwh.sum())
    place = (now - plan.start).total_seconds() / plan.step_s
    if not 0 <= place < plan.steps:
        return math.nan, math.nan
    step, part = int(place), place - int(place)
    edges = plan.energy_kwh[:, step:step + 2].sum(axis=0)
    stored_kwh = float(edges[0] + part * (edges[1] - edges[0]))
    return float(plan.fleet_kw[step]), 100.0 * stored_kwh / whole_kwh


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
