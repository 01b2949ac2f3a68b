"""How a pack is used, as a usage class: what one day looks like to its cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from core.errors import RequestError
from core.ports import Series
from core.twin.counting import REST_C
from core.twin.models import Floats
from core.twin.past import Plate
from core.twin.tasks import Usage

DAY_S = 86_400.0
SPAN, MOST_POINTS = timedelta(days=7), 1000
METRICS = ("current_a", "soc_pct", "temperature_c")
"""Of history, that tells a use."""
LEAST_S = 6 * 3600.0
"""A shorter record tells no day."""
STEPS = {"discharge_c": 0.05, "charge_c": 0.05, "depth": 0.1, "temperature_c": 5.0,
         "rest_soc": 0.1}
"""Packs that are used alike share one ageing run: the 24 of the demo's rack have six."""
LIMITS = {"discharge_c": (0.05, 1.0), "charge_c": (0.05, 1.0), "depth": (0.1, 1.0),
          "temperature_c": (0.0, 45.0), "rest_soc": (0.3, 1.0)}
STANDARD = Usage()
LEAST_CYCLES = 0.005
"""A day; a pack that moves less rests."""


@dataclass(frozen=True, slots=True)
class Used:
    """usage: rounded to STEPS and within LIMITS. known_s: of the record behind it [s]; cycles:
    equivalent full cycles a day, as measured. beyond: what the class leaves out, in words."""

    usage: Usage
    known_s: float
    cycles: float
    beyond: str = ""


def used_in(told: Sequence[Series], plate: Plate) -> Used:
    """Of what history tells of a pack's METRICS. Raises RequestError."""
    if not told or not told[0].time_s.size:
        raise RequestError("nothing is known of its current in the last week")
    current = told[0]
    step_s = np.minimum(np.diff(current.time_s, append=current.time_s[-1] + current.resolution_s),
                        2.0 * current.resolution_s)
    amperes = current.mean.astype(np.float64) / (1 if plate.series else plate.cells)
    low, high = plate.model.window
    soc = low + (high - low) * _at(told[1], current.time_s) / 100.0
    warmth = told[2].mean[np.isfinite(told[2].mean)]
    return used_as(step_s, amperes / plate.full_ah, soc,
                   float(warmth.mean(dtype=np.float64)) if warmth.size else math.nan)


def _at(series: Series, time_s: Floats) -> Floats:
    """At these times, NaN where nothing is known of either side."""
    known = np.isfinite(series.mean)
    if not known.any():
        return np.full(time_s.size, np.nan)
    return np.interp(time_s, series.time_s[known], series.mean[known], left=np.nan, right=np.nan)


def used_as(step_s: Floats, rate_c: Floats, soc: Floats, temperature_c: float) -> Used:
    """Of rows that last step_s [s] each: rate_c [C of the whole window], soc [0..1 of it], NaN
    where not known. An unknown temperature or charge is STANDARD's. Raises RequestError for less
    than LEAST_S of known current, or LEAST_CYCLES."""
    known = np.isfinite(rate_c)
    step, rate, charge = step_s[known], rate_c[known], soc[known]
    known_s = float(step.sum())
    if known_s < LEAST_S:
        raise RequestError(f"the current of {known_s / 3600:.1f} hours is known; a use takes "
                           f"{LEAST_S / 3600:.0f}")
    cycles = float((np.maximum(rate, 0.0) * step).sum() / 3600.0 * DAY_S / known_s)
    if cycles < LEAST_CYCLES:
        raise RequestError("the pack moved hardly any charge; a use takes cycles")
    told = {"discharge_c": _typical(rate, step), "charge_c": _typical(-rate, step),
            "depth": cycles, "temperature_c": temperature_c,
            "rest_soc": _rest(rate, charge)}
    return Used(usage_of(told), known_s, cycles, _beyond(told))


def usage_of(told: Mapping[str, float]) -> Usage:
    """Rounded, within its limits, at least as full at rest as it is deep; what is not known is
    STANDARD's."""
    found = {}
    for name, step in STEPS.items():
        low, high = LIMITS[name]
        value = told.get(name, math.nan)
        value = value if math.isfinite(value) else float(getattr(STANDARD, name))
        found[name] = round(round(min(max(value, low), high) / step) * step, 2)
    found["rest_soc"] = max(found["depth"], found["rest_soc"])
    return Usage(**found)


def _typical(rate: Floats, step: Floats) -> float:
    """Mean C-rate of what flows one way, by charge; NaN where nothing flows."""
    one_way = np.maximum(rate, 0.0)
    total = float((one_way * step).sum())
    return float((one_way**2 * step).sum() / total) if total > 0 else math.nan


def _rest(rate: Floats, soc: Floats) -> float:
    """Mean charge while nothing flows; without rest, of all the time."""
    known = np.isfinite(soc)
    quiet = known & (np.abs(rate) < REST_C)
    chosen = soc[quiet if quiet.any() else known]
    return float(chosen.mean()) if chosen.size else math.nan


def _beyond(told: Mapping[str, float]) -> str:
    found = []
    if told["depth"] > LIMITS["depth"][1] + STEPS["depth"] / 2:
        found.append(f"{told['depth']:.1f} full cycles a day, of which the model lives one")
    for name, words in (("discharge_c", "discharging"), ("charge_c", "charging")):
        if told[name] > LIMITS[name][1] + STEPS[name] / 2:
            found.append(f"{words} at {told[name]:.1f} C, of which the model lives "
                         f"{LIMITS[name][1]:g} C")
    return "; ".join(found)
