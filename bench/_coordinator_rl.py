"""Learnt policies from their files, lived anew on the 64 fixed days beside every baseline: what
each captures between packs at rest and perfect foresight. Nothing is read from a record but which
days they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np

from bench.report import figure_line
from core.coordinator.actor import FILE, MOST_BYTES, Actor, load, read
from core.coordinator.alone import MOST
from core.coordinator.blend import Blend
from core.coordinator.ports import Planner
from core.coordinator.rules import RuleBased
from services.coordinator.mpc import MpcPlanner
from services.coordinator.rl.days import PAST_DAYS, STEP_S, STEPS, Days, Year, days_of
from services.coordinator.rl.evaluate import (
    Frame,
    Outcome,
    at_the_edge,
    by_planner,
    by_policy,
    framed,
)
from services.coordinator.rl.export import decision_us
from services.coordinator.rl.labels import Teacher
from sim.site import Options, create

FEW = 1
YEAR_DAYS = 366
FOLDER = Path(__file__).parent / "actors"
DIGESTS = {
    "cloned": "080017c45f392014972b089d0ae69182c387bc0a6cfd62c3ae0424b07f650ca6",
    "fine_tuned": "246066774d36f7dd6917f74655de53d32cde5c762a9b103b4ea4a21d11ee4f36"}
"""Of one run's stages in FOLDER: what was cloned, and what was fine-tuned from it."""

line = partial(figure_line, "coordinator")


def learnt(short: bool = False) -> Iterator[dict[str, object]]:
    """All figures (short: of the first of the days alone)."""
    policies = shipped()
    for name, (actor, path) in policies.items():
        yield line(f"{name} policy", "size", path.stat().st_size / 1000.0, "kB",
                   MOST_BYTES / 1000.0)
        yield line(f"{name} policy", "a decision", decision_us(actor), "us", 100.0)
    days = fixed(load(FILE), FEW if short else None)
    actors = {name: actor for name, (actor, _) in policies.items()}
    yield from captured(days, actors, {"rule-based": RuleBased("time-of-use"),
                                       "MPC": MpcPlanner()})


def shipped() -> dict[str, tuple[Actor, Path]]:
    """By name: the stages of one run, and the policy in force, of an earlier run."""
    found = {}
    for name, digest in DIGESTS.items():
        path = FOLDER / f"{name}.actor"
        found[name.replace("_", "-")] = read(path.read_bytes(), digest=digest), path
    return {**found, "shipped": (load(FILE), FILE)}


def captured(days: Days, policies: Mapping[str, Actor],
             planners: Mapping[str, Planner]) -> Iterator[dict[str, object]]:
    """Every one of them lives the days."""
    frame, case = framed(days, Teacher()), f"{len(days)} fixed days"
    for name, planner in planners.items():
        yield from _lived(case, name, frame, by_planner(days, planner))
    for name, actor in policies.items():
        yield from _lived(case, name, frame, by_policy(days, actor.act))
    for name, actor in policies.items():
        yield from _lived(case, f"{name}, alone at the edge", frame,
                          at_the_edge(days, actor.act, actor.typical, MOST))


def _lived(case: str, name: str, frame: Frame, found: Outcome) -> Iterator[dict[str, object]]:
    yield line(case, f"captured, {name}", frame.captured_pct(found.costs), "%", None, "higher")
    yield line(case, f"violations, {name}", found.violations, "", 0.0)


def fixed(actor: Actor, most: int | None = None) -> Days:
    """The days of its record, from the simulated site that it was trained for."""
    start = datetime.fromisoformat(actor.record.start)
    count = (PAST_DAYS + YEAR_DAYS) * STEPS
    told = create("site", Options(), ()).tell_past(start.timestamp() + STEP_S * np.arange(count))
    return days_of(Year(start, *told.T), np.array(actor.record.days[:most]), (Blend(), Blend()),
                   actor.record.capacity_kwh, actor.typical.zone)
