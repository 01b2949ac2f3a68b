"""One pack whose coordinator is out of reach: what a learnt policy makes of the site's typical day.

It sees its own charge and limits, the clock, and what the site is usually like then, in its own
share. It neither buys for later nor sells: what it may do at most is to store the surplus and to
carry the load that are usual at that hour, so that many such packs at once raise no peak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from core.coordinator.actor import Actor
from core.coordinator.policy import OUTER, Sight, features, power_of
from core.coordinator.usual import CEILING, EFFICIENCY, FLOOR
from core.coordinator.wear import wear_per_kwh

STEP_H = 1.0 / 6.0
EDGE = "edge"
ALONE_WORDS = "the learnt policy steers"
MOST = OUTER
"""Of the action either way: beyond it would be bought or sold."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Of one pack. chemistry: for its wear."""

    actor: Actor
    capacity_kwh: float
    chemistry: str

    @property
    def held_back(self) -> str:
        """Why the gate does not let it drive at the edge, "" where it does."""
        verdict = self.actor.record.verdict(EDGE)
        if verdict is None:
            return f"the policy {self.actor.record.version} was never judged for the edge"
        return "" if verdict.deployed else verdict.words

    def power_kw(self, now: datetime, soc_pct: float | None, charge_kw: float,
                 discharge_kw: float) -> float:
        """Discharge positive; charge_kw, discharge_kw: magnitudes that it may take and give. 0
        where its charge or a limit is not known."""
        soc = math.nan if soc_pct is None else soc_pct / 100.0
        if not math.isfinite(soc + charge_kw + discharge_kw):
            return 0.0
        take = min(charge_kw, max(CEILING - soc, 0.0) * self.capacity_kwh / EFFICIENCY / STEP_H)
        give = min(discharge_kw, max(soc - FLOOR, 0.0) * self.capacity_kwh * EFFICIENCY / STEP_H)
        seen = self._sight(now, soc, take, give)
        action = np.clip(self.actor.act(features(seen)), -MOST, MOST)
        return float(power_of(action, seen.net_kw, seen.take_kw, seen.give_kw)[0])

    def _sight(self, now: datetime, soc: float, take_kw: float, give_kw: float) -> Sight:
        typical = self.actor.typical
        net, buy, sell = typical.ahead(now.astimezone(ZoneInfo(typical.zone)))
        band = CEILING - FLOOR
        stored = min(max((soc - FLOOR) / band, 0.0), 1.0)
        return Sight.of_one(
            capacity_kwh=self.capacity_kwh, stored=stored, band=band, take_kw=take_kw,
            give_kw=give_kw, efficiency=EFFICIENCY, wear_per_kwh=wear_per_kwh(self.chemistry),
            net_kw=self.capacity_kwh * float(net[0]), ahead=(self.capacity_kwh * net, buy, sell))
