"""The next allocation: what the plan has for this moment, over the packs as they are now, and why
each pack's part is what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from core.coordinator.chain import carried
from core.coordinator.gather import Gathered, Refused
from core.coordinator.problem import Connection, Floats
from core.coordinator.projection import project
from core.coordinator.records import Run
from core.coordinator.safe import (
    CUTS,
    RAMP,
    WORDS,
    Box,
    Cut,
    Ramps,
    Safe,
    at_connection,
    box,
    make_safe,
    ramps_of,
)
from core.coordinator.settings import Override
from core.coordinator.view import Allocated, Delivery, PackShare
from core.fleet.ports import PackState

STEP_S = 60.0
"""A box holds so long at least: what a pack may do for a minute harms nothing in ten seconds."""
SAME, SAME_KW = 0.03, 0.1
"""Powers that differ by less, as a part or in kW, are the same."""
SETTLE_S, TAKE_S = 5.0, 2.0
"""So long a device has to take an allocation; what it measured so soon after, or before, says
nothing of one that it does not follow yet [s]."""
WORN = 1.1
"""A pack that wears so much more or less than the mean is used less or more for it."""
CHARGED_PCT = 3.0


@dataclass(frozen=True, slots=True)
class Shared:
    """asked_kw: to be sent [n]; target_kw: for the whole fleet before limits; equal_kw: where all
    had the same part of their capacity [n]."""

    asked_kw: Floats
    equal_kw: Floats
    target_kw: float
    within: Box
    safe: Safe


@dataclass(frozen=True, slots=True)
class InForce:
    """What is in force: kw of each pack (NaN: nobody knows, it has no ramp) [n], and the ramps
    from it."""

    kw: Floats
    ramps: Ramps


def in_force(found: Gathered, last: Allocated | None, now: datetime, ramp_s: float,
             fast_s: float) -> InForce:
    """The last allocation while it is valid; of a pack that has none, what it was measured to do.
    ramp_s: from rest to the rated power; fast_s: from allocation to allocation [s]."""
    holds = last is not None and last.at <= now < last.valid_until
    asked = {share.device: share.asked_kw for share in last.shares} if last and holds else {}
    passed_s = (now - last.at).total_seconds() if last and holds else fast_s
    own = [asked.get(device, power) for device, power in
           zip(found.packs.ids, found.power_kw.tolist(), strict=True)]
    return InForce(np.array(own, dtype=np.float64), ramps_of(found.now, ramp_s, passed_s))


def shared(found: Gathered, run: Run | None, override: Override | None, now: datetime,
           net_kw: float, connection: Connection, held: InForce | None = None) -> Shared:
    """Of an override, else of the plan, by what load and PV are now. A sum is kept when packs came,
    went or are limited otherwise than the plan thought, as far as the others can. net_kw: load
    less PV, NaN where it is not known, then the plan alone counts. held: where ramps begin, None
    without ramps."""
    within = box(found.now, STEP_S / 3600.0)
    wish, target = _wish(found, run, override, now, net_kw)
    reachable = float(np.clip(target, within.low_kw.sum(), within.high_kw.sum()))
    spread = project(np.nan_to_num(wish), within.low_kw, within.high_kw, reachable,
                     1.0 / np.maximum(found.packs.capacity_kwh, 1e-6))
    bounds = None if np.isnan(net_kw) else at_connection(
        net_kw, connection.import_limit_kw, connection.export_limit_kw)
    safe = make_safe(spread, within, bounds) if held is None else make_safe(
        spread, within, bounds, held.kw, held.ramps)
    return Shared(safe.power_kw, _even(found, target), target, within, safe)


def _wish(found: Gathered, run: Run | None, override: Override | None, now: datetime,
          net_kw: float) -> tuple[Floats, float]:
    if override is not None:
        return _even(found, override.power_kw), override.power_kw
    if run is None:
        return np.zeros(len(found.packs)), 0.0
    plan = run.plan
    wish = carried(plan, found.packs.ids, now, plan.step_s, 1)[:, 0]
    at = int((now - plan.start).total_seconds() // plan.step_s)
    if not 0 <= at < plan.steps:
        return wish, 0.0
    target = float(plan.fleet_kw[at])
    return wish, target + followed(run, at, net_kw, target, _stored(found))


def followed(run: Run, at: int, net_kw: float, target_kw: float, stored: float) -> float:
    """What to add to the plan's power [kW] because load and PV are not as foreseen.

    Where a kWh costs more than it earns, a plan stays on one side of no exchange (or of the
    set-point), or on it, because what is stored is worth something between the two. So the packs
    take what would carry the connection across; PV that is to be curtailed is not stored instead,
    for its room is kept for later. stored: part of the capacity, so that a
    reserve is left alone.
    """
    outlook, wanted = run.problem.outlook, run.problem.objectives
    if not np.isfinite(net_kw) or outlook.export_price[at] >= outlook.import_price[at]:
        return 0.0
    pivot = wanted.setpoint_kw or 0.0
    curtailed = 0.0 if run.plan.curtailed_kw is None else float(run.plan.curtailed_kw[at])
    planned, real = float(run.plan.grid_kw[at]) - pivot - curtailed, net_kw - target_kw - pivot
    if planned > SAME_KW:
        off = min(real, 0.0)
    elif planned < -SAME_KW:
        off = max(real, 0.0)
    else:
        off = real
    return 0.0 if off > 0 and wanted.reserve > 0 and stored <= wanted.reserve else off


def _stored(found: Gathered) -> float:
    return float(found.packs.energy_kwh.sum() / found.packs.capacity_kwh.sum())


def _even(found: Gathered, total_kw: float) -> Floats:
    whole = float(found.packs.capacity_kwh.sum())
    even: Floats = found.packs.capacity_kwh * (total_kw / whole if whole > 0 else 0.0)
    return even


def allocated(found: Gathered, sent: Shared, override: Override | None, planned: bool,
              now: datetime, valid_s: float, before: Allocated | None,
              refused: Mapping[str, Refused]) -> Allocated:
    """As it is shown. before: the last one, by which it is known what devices had time to take;
    refused: what packs would not take, by device."""
    holds = before is not None and before.at <= now < before.valid_until
    earlier = {share.device: share for share in before.shares} if before and holds else {}
    asked_at = before.at if before is not None else now
    shares = [
        _share(place, state, found, sent, refused.get(state.device),
               delivered(state, earlier.get(state.device), asked_at, now))
        for place, state in enumerate(found.states)]
    sum_kw = float(sent.asked_kw.sum())
    off = abs(sum_kw - sent.target_kw) > max(SAME_KW, SAME * abs(sent.target_kw))
    why = "by the ramp, it is on its way" if (sent.safe.by == RAMP).any() else \
        "the packs, or the connection, allow no more"
    words = f"{sum_kw:.1f} of {sent.target_kw:.1f} kW: {why}" if off else ""
    return Allocated(now, now + timedelta(seconds=valid_s), sent.target_kw, sum_kw,
                     "override" if override is not None else "plan" if planned else "nothing",
                     shares, words)


def _share(place: int, state: PackState, found: Gathered, sent: Shared, refused: Refused | None,
           became: tuple[Delivery, str]) -> PackShare:
    asked, equal = float(sent.asked_kw[place]), float(sent.equal_kw[place])
    told = float("nan") if state.allocation_kw is None else state.allocation_kw
    delivery, refusal = became if refused is None else ("refused", refused.why)
    return PackShare(
        state.device, state.element, state.label, asked, equal, told,
        float(found.power_kw[place]), float(found.soc_pct[place]),
        -float(sent.within.low_kw[place]), float(sent.within.high_kw[place]), delivery,
        "" if same_kw(asked, equal) else _why(place, found, sent), refusal)


def same_kw(one: float, other: float) -> bool:
    return abs(one - other) <= max(SAME_KW, SAME * max(abs(one), abs(other)))


def delivered(state: PackState, earlier: PackShare | None, asked_at: datetime,
              now: datetime) -> tuple[Delivery, str]:
    """What became of the allocation that is in force, by what the device said after it was sent at
    asked_at, and its reason."""
    if state.heard_at is None or state.allocation_kw is None or \
            (now - state.heard_at).total_seconds() > 3.0 * SETTLE_S:
        return "silent", "its device does not say what it does"
    after_s = (state.heard_at - asked_at).total_seconds()
    if earlier is None or after_s <= 0:
        return "on its way", ""
    if same_kw(state.allocation_kw, earlier.asked_kw):
        return "delivered", ""
    if after_s < TAKE_S:
        return "on its way", ""
    return "refused", state.limit_reason or (f"it goes for {state.allocation_kw:.1f} instead of "
                                             f"{earlier.asked_kw:.1f} kW and does not say why")


def _why(place: int, found: Gathered, sent: Shared) -> str:
    """Why a pack's part is not an equal one: a limit, else what the plan makes of its wear and
    charge."""
    asked = float(sent.asked_kw[place])
    cut = CUTS[int(sent.safe.by[place])]
    if cut:
        return f"limited by {WORDS[cut]}{_by_twin(place, found, cut)}"
    for end, by in ((sent.within.high_kw, sent.within.high_by),
                    (sent.within.low_kw, sent.within.low_by)):
        if same_kw(asked, float(end[place])) and (end is sent.within.high_kw) == (
                (asked or sent.target_kw) > 0):
            reason, limit = found.states[place].limit_reason, CUTS[int(by[place])]
            return f"limited by {WORDS[limit]}" + (f" ({reason})" if reason else _by_twin(
                place, found, limit))
    return _preferred(place, found, asked, float(sent.equal_kw[place]))


def _by_twin(place: int, found: Gathered, cut: Cut) -> str:
    """Where the digital twin has drawn that limit closer: how."""
    if cut not in ("twin", "charge"):
        return ""
    device = found.packs.ids[place]
    return next((f" ({one.why})" for one in found.narrowed if one.device == device), "")


def _preferred(place: int, found: Gathered, asked: float, equal: float) -> str:
    packs = found.packs
    wear, mean_wear = float(packs.wear_per_kwh[place]), float(packs.wear_per_kwh.mean())
    more = abs(asked) > abs(equal)
    if (more and wear * WORN < mean_wear) or (not more and wear > WORN * mean_wear):
        by = f", by {found.wear_by[place]}" if found.wear_by else ""
        return (f"a kWh through it wears {'less' if more else 'more'} than the mean: {wear:.3f}, "
                f"mean {mean_wear:.3f}{by}")
    soc, mean = float(found.soc_pct[place]), float(
        np.average(found.soc_pct, weights=packs.capacity_kwh))
    if abs(soc - mean) > CHARGED_PCT:
        return f"it is {soc:.0f} % charged, the fleet {mean:.0f} %"
    return "others have the same cost and were taken first" if not more else \
        "it makes up for packs that are limited"


def by_device(ids: Sequence[str], powers: Floats) -> Mapping[str, float]:
    """As it is sent, to a watt."""
    return {device: round(power, 3) for device, power in zip(ids, powers.tolist(), strict=True)}
