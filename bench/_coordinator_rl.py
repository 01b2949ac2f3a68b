"""The learnt policy that is shipped: how large and quick it is, and what it captures on the fixed
days of its record. numpy alone runs it; what the others cost there stands in the record."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial

import numpy as np

from bench.report import figure_line
from core.coordinator.actor import FILE, MOST_BYTES, Actor, load
from core.coordinator.alone import MOST
from core.coordinator.blend import Blend
from services.coordinator.rl.days import PAST_DAYS, STEP_S, STEPS, Days, Year, days_of
from services.coordinator.rl.evaluate import Frame, Outcome, at_the_edge, by_policy
from services.coordinator.rl.export import decision_us
from sim.site import Options, create

FEW = 16
YEAR_DAYS = 366
BESIDE = ("rule-based", "mpc", "cloned", "dagger", "sac")

line = partial(figure_line, "coordinator")


def learnt(short: bool = False) -> Iterator[dict[str, object]]:
    """All figures (short: the first of the days alone)."""
    actor = load(FILE)
    yield line("learnt policy", "size", FILE.stat().st_size / 1000.0, "kB", MOST_BYTES / 1000.0)
    yield line("learnt policy", "a decision", decision_us(actor), "us", 100.0)
    days = fixed(actor, FEW if short else None)
    case = f"{len(days)} fixed days"
    frame = Frame(*(cost_of(actor, name, days) for name in ("no battery", "perfect foresight")))
    for name in BESIDE:
        yield line(case, f"captured, {name}, by its record",
                   frame.captured_pct(cost_of(actor, name, days)), "%", None, "higher")
    for name, found in (("learnt policy", by_policy(days, actor.act)),
                        ("learnt policy alone at the edge",
                         at_the_edge(days, actor.act, actor.typical, MOST))):
        yield from _lived(case, name, frame, found)


def _lived(case: str, name: str, frame: Frame, found: Outcome) -> Iterator[dict[str, object]]:
    yield line(case, f"captured, {name}", frame.captured_pct(found.costs), "%", None, "higher")
    yield line(case, f"violations, {name}", found.violations, "", 0.0)


def cost_of(actor: Actor, name: str, days: Days) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(actor.record.costs[name][:len(days)])


def fixed(actor: Actor, most: int | None = None) -> Days:
    """The days of its record, from the simulated site that it was trained for."""
    start = datetime.fromisoformat(actor.record.start)
    count = (PAST_DAYS + YEAR_DAYS) * STEPS
    told = create("site", Options(), ()).tell_past(start.timestamp() + STEP_S * np.arange(count))
    return days_of(Year(start, *told.T), np.array(actor.record.days[:most]), (Blend(), Blend()),
                   actor.record.capacity_kwh, actor.typical.zone)
