"""One pack at the edge: sample, judge, steer, estimate; and once a second a body to send."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from core.clock import from_epoch, has_passed
from core.coordinator.alone import ALONE_WORDS, Alone
from core.errors import GiveUpError
from core.fleet.in_force import InForce
from core.fleet.messages import TRIPPED, Allocation, Body, Column, column
from core.fleet.telemetry import possible
from core.safety.bands import TRIP, WARNING
from core.safety.ladder import clamp
from core.safety.latency import Histogram
from services.edge.outbox import Standing
from services.edge.plant import NoSample, Plants, Sample, lost_by
from services.edge.ports import Estimate, Estimators, PackSafety, Safety, Verdict
from services.edge.telling import columns_of, conditions_of, mean_of, power_kw_of
from services.edge.undisturbed import Undisturbed

log = logging.getLogger(__name__)

SILENT_S = 60.0
"""So long without a word of the centre, and the pack goes to zero, or by a learnt policy [s]."""
ALONE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Setpoint:
    """power_kw: what the plant is asked for [kW]; reason: why it is not what was allocated."""

    power_kw: float
    reason: str


class Centre:
    """What the centre wants of a pack, and whether it still speaks: by this device's own clock
    alone, however far off that or the sender's is. silent_s: so long its silence is borne [s]."""

    def __init__(self, silent_s: float = SILENT_S) -> None:
        self.silent_s = silent_s
        self._heard_s = -math.inf
        self._order = InForce()

    def heard(self, now_s: float) -> None:
        """Any word of it."""
        self._heard_s = now_s

    def lease_s(self, now_s: float) -> float:
        """Of the order in force, 0 where there is none, or it has none."""
        return self._order.lease_s(now_s)

    def superseded(self, allocation: Allocation, now_s: float) -> bool:
        """As `InForce.superseded`."""
        return self._order.superseded(allocation, now_s)

    def allocate(self, device: str, allocation: Allocation, now_s: float,
                 left_s: float | None = None) -> bool:
        """As `InForce.take`."""
        return self._order.take(device, allocation, now_s, left_s)

    def out_of_reach(self, now_s: float) -> bool:
        """It has allocated before, and does no longer."""
        silent = now_s - self._heard_s > self.silent_s
        return self._order.ever and (silent or not self._order.holds(now_s))

    def wish(self, now_s: float) -> Setpoint:
        """0 kW without a valid allocation, and when the centre is silent."""
        if not self._order.ever:
            return Setpoint(0.0, "no allocation yet")
        if now_s - self._heard_s > self.silent_s:
            return Setpoint(0.0, "the centre is silent")
        if not self._order.holds(now_s):
            return Setpoint(0.0, "the allocation has expired")
        return Setpoint(self._order.power_kw, "")


class Pack:
    """Everything of one device that needs no network. alone: who steers while the centre is out of
    reach; without it the pack then rests."""

    def __init__(self, device: str, safety: PackSafety, centre: Centre | None = None,
                 alone: Alone | None = None) -> None:
        self.device, self.safety = device, safety
        self.centre = centre or Centre()
        self._alone, self._alone_kw, self._alone_s = alone, 0.0, -math.inf
        self.standing = Standing()
        self._setpoint = Setpoint(0.0, "no allocation yet")
        self._last: tuple[Sample, Verdict, Estimate] | None = None
        self._samples = 0
        self._slowest_us: float | None = None

    @property
    def alone(self) -> Alone | None:
        return self._alone

    @alone.setter
    def alone(self, who: Alone | None) -> None:
        self._alone, self._alone_s = who, -math.inf

    @property
    def power_kw(self) -> float:
        """What the plant is asked for."""
        return self._setpoint.power_kw

    def bound_kw(self, now_s: float) -> float:
        """The most that a person allows either way, inf where nobody bounds it."""
        bound_kw = self.standing.power_kw
        return math.inf if bound_kw is None or now_s >= self.standing.until_s else bound_kw

    def act(self, sample: Sample, verdict: Verdict, estimate: Estimate, took_us: float | None,
            now_s: float) -> None:
        """What follows from a verdict that took so long [us], None where nobody timed it;
        estimate: of this sample."""
        self._setpoint = self._steered(sample, verdict, estimate, now_s)
        self._last = (sample, verdict, estimate)
        if took_us is not None:
            self._slowest_us = max(self._slowest_us or 0.0, took_us)
        self._samples += not sample.silent

    def _wish(self, sample: Sample, verdict: Verdict, estimate: Estimate,
              now_s: float) -> Setpoint:
        """The centre's; while that is out of reach, the learnt policy's."""
        wish = self.centre.wish(now_s)
        if self._alone is None or not self.centre.out_of_reach(now_s):
            return wish
        if has_passed(ALONE_EVERY_S, self._alone_s, now_s):
            kilovolts = sample.sure_voltage_v / 1000.0
            self._alone_kw = self._alone.power_kw(
                from_epoch(now_s), estimate.soc_pct, verdict.charge_limit_a * kilovolts,
                verdict.discharge_limit_a * kilovolts)
            self._alone_s = now_s
        return Setpoint(self._alone_kw, f"{wish.reason}: {ALONE_WORDS}")

    def _steered(self, sample: Sample, verdict: Verdict, estimate: Estimate,
                 now_s: float) -> Setpoint:
        """What is wished inside what safety allows, a person's bound included; NaN is zero."""
        wish = self._wish(sample, verdict, estimate, now_s)
        if self.standing.stopped:
            return Setpoint(0.0, f"stopped: {self.standing.stopped}")
        if wish.power_kw == 0.0:
            return wish
        kilovolts = sample.sure_voltage_v / 1000.0
        power_kw = clamp(wish.power_kw, kilovolts * verdict.charge_limit_a,
                         kilovolts * verdict.discharge_limit_a)
        if power_kw == wish.power_kw:
            return wish
        if not math.isfinite(wish.power_kw):
            return Setpoint(power_kw, "no number")
        return Setpoint(power_kw, verdict.reason)

    def body(self, now_s: float) -> Body:
        """What the samples since the last body say."""
        if self._last is None:
            raise ValueError("a body needs a sample")
        sample, verdict, estimate = self._last
        samples, slowest_us = self._samples, self._slowest_us
        self._samples, self._slowest_us = 0, None
        columns = columns_of(sample, estimate)
        cells: dict[str, Column] = {name: column(values) for name, values in columns.items()}
        tier = TRIP if verdict.state in TRIPPED else WARNING
        return Body(
            time_s=now_s, samples=samples, safety=verdict.state, cells=cells,
            power_kw=power_kw_of(sample), voltage_v=possible("voltage_v", sample.voltage_v),
            current_a=possible("current_a", sample.current_a),
            temperature_c=mean_of(columns["temperature_c"]),
            soc_pct=possible("soc_pct", estimate.soc_pct),
            soh_pct=possible("soh_pct", estimate.soh_pct),
            allocation_kw=possible("allocation_kw", self._setpoint.power_kw),
            charge_limit_a=possible("charge_limit_a", verdict.charge_limit_a),
            discharge_limit_a=possible("discharge_limit_a", verdict.discharge_limit_a),
            decision_us=possible("decision_us", slowest_us),
            limit_reason=_joined(verdict.reason, self._setpoint.reason)[:200],
            partial_limits=self.safety.limits(),
            conditions=conditions_of(self.safety.conditions(), sample, columns, tier))


def _fits(sample: Sample, cells: int) -> bool:
    return all(values.shape == (cells,) and values.dtype == np.float32
               for values in (sample.cell_voltage_v, sample.cell_temperature_c))


def _joined(*reasons: str) -> str:
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))


class PackGroup:
    """The packs of one process, sampled together; safety, plants and estimators are theirs, in
    their order. latency: of their safety decisions, each for all of them, from the arrival of
    the samples to the trip flags. urgent: what a look and its decision run in."""

    def __init__(self, packs: Sequence[Pack], safety: Safety, plants: Plants,
                 estimators: Estimators,
                 urgent: Undisturbed | None = None) -> None:
        self.packs = {pack.device: pack for pack in packs}
        self.latency = Histogram()
        self._safety, self._plants, self._estimators = safety, plants, estimators
        self._urgent = urgent
        self._estimates: Sequence[Estimate] = ()
        self._silent: set[str] = set()

    @property
    def real_time(self) -> bool | None:
        """Whether decisions are made with real-time priority; None where nobody asked for it."""
        return None if self._urgent is None else self._urgent.real_time

    def sample(self, now_s: float, dt_s: float) -> None:
        """One look at all: the decision comes first, then what follows from it, then the disk."""
        with np.errstate(over="ignore", invalid="ignore"):  # whatever a bus tells, it is judged
            self._sample(now_s, dt_s)

    def _sample(self, now_s: float, dt_s: float) -> None:
        packs, safety = self.packs.values(), self._safety
        bounds_kw = [pack.bound_kw(now_s) for pack in packs]
        with self._urgent or nullcontext():
            if self._urgent:
                safety.rehearse()
            told = self._look(dt_s)
            arrived_s = safety.timer()
            samples = [self._heard(*one) for one in zip(packs, told, strict=True)]
            # Of a pack whose charge nobody knows no current is allowed: the first is estimated.
            before = self._estimates or self._estimators.update(samples, 0.0)
            verdicts = safety.judge(samples, before, now_s, arrived_s, bounds_kw)
        took_us = None if safety.took_s is None else 1e6 * safety.took_s
        self._estimates = self._estimators.update(samples, dt_s)
        for pack, sample, verdict, estimate in zip(packs, samples, verdicts, self._estimates,
                                                   strict=True):
            pack.act(sample, verdict, estimate, took_us, now_s)
        safety.settle(now_s)
        if safety.took_s is not None:
            self.latency.add(safety.took_s)

    def _look(self, dt_s: float) -> Sequence[Sample | NoSample]:
        """One of each pack, whatever the plants do."""
        packs = self.packs.values()
        try:
            told = self._plants.step([pack.power_kw for pack in packs], dt_s,
                                     [pack.safety.contactors for pack in packs])
            if len(told) != len(packs):
                raise GiveUpError(f"{len(told)} samples of {len(packs)} packs")
        except Exception as error:  # noqa: BLE001 - whatever a bus throws, all are judged
            return [lost_by(error)] * len(packs)
        return told

    def _heard(self, pack: Pack, told: Sample | NoSample) -> Sample:
        """What is judged. A pack that falls silent is logged once, and once when it is back."""
        if isinstance(told, Sample):
            told = told if _fits(told, pack.safety.cells) else NoSample(
                f"its sample is not float32 of {pack.safety.cells} cells")
        if isinstance(told, Sample):
            if pack.device in self._silent:
                self._silent.remove(pack.device)
                log.warning("%s: samples come from it again", pack.device)
            return told
        if pack.device not in self._silent:
            self._silent.add(pack.device)
            log.error("%s: no sample comes from it%s", pack.device,
                      f" ({told.why})" if told.why else "")
        return Sample.missing(pack.safety.cells)
