"""Values that spheres are coloured by, held against a look at every cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import paint
from core.alarms import no_alarms
from core.below import ALL, below
from core.clock import ManualClock
from core.engine import Engine, Snapshot
from core.frames import Frame
from core.topology import DEFAULT_LEVELS, Topology
from sim.fleet import Options, create
from tests.core.sites import NOON


def site(systems: int = 2, seed: int = 3) -> tuple[Topology, Snapshot]:
    source = create("fleet", Options(seed=seed, systems=systems, past_hours=0.0), DEFAULT_LEVELS)
    clock = ManualClock(NOON)
    engine = Engine(DEFAULT_LEVELS, [source], clock)
    clock.advance(1)
    return engine.topology, engine.tick()


def changed(snapshot: Snapshot, rng: np.random.Generator, lost: float) -> Snapshot:
    """Readings of the cells at random, a share of them missing and as many stale."""
    frame = snapshot.frame
    columns = {name: column.copy() for name, column in frame.columns.items()}
    stale = rng.random(frame.stale.size) < lost
    for column in columns.values():
        column += rng.normal(0, 1, column.size).astype(np.float32)
        column[rng.random(column.size) < lost] = np.nan
    return replace(snapshot, frame=replace(frame, columns=columns, stale=stale))


def cells_below(topology: Topology, node: int) -> list[int]:
    leaves = topology.leaves(node)
    return leaves[topology.level[leaves] == len(topology.levels) - 1].tolist()


def rack_of(topology: Topology, node: int) -> int:
    return next(above for above in reversed(topology.path(node)[:-1])
                if topology.level[above] <= 2)


def deviation_of(topology: Topology, frame: Frame, metric: str, cell: int) -> float:
    """Less the median of the fresh cells of its rack; NaN beside nobody."""
    def fresh(node: int) -> float:
        return np.nan if frame.stale[node] else float(frame.columns[metric][node])

    beside = [value for one in cells_below(topology, rack_of(topology, cell))
              if np.isfinite(value := fresh(one))]
    return fresh(cell) - float(np.median(beside)) if len(beside) > 1 else np.nan


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from((0.0, 0.3, 0.97)),
       st.sampled_from(("deviation_voltage_v", "deviation_temperature_c", "deviation_soc_pct")))
def test_a_parent_has_the_deviation_of_its_farthest_cell(seed: int, lost: float, by: str) -> None:
    topology, snapshot = site(systems=1, seed=5)
    rng = np.random.default_rng(seed)
    snapshot = changed(snapshot, rng, lost)
    place = int(rng.choice(np.flatnonzero(topology.child_count > 0)))
    rows, one = below(topology, place, ALL), paint.COLOURINGS[by]
    found = paint.values(rows, snapshot, by)
    off = {cell: deviation_of(topology, snapshot.frame, one.metric, cell) * one.scale
           for cell in cells_below(topology, place)}
    for node, value in zip(rows.nodes.tolist(), found.tolist(), strict=True):
        known = [off[cell] for cell in cells_below(topology, node) if np.isfinite(off[cell])]
        if snapshot.frame.stale[node] or not known:
            assert np.isnan(value)
        else:
            farthest = max(known, key=abs)
            assert abs(value) == pytest.approx(abs(farthest), rel=1e-3, abs=2e-2)
            assert any(value == pytest.approx(one, rel=1e-3, abs=2e-2) for one in known)


def test_voltage_is_that_of_a_cell_at_every_level() -> None:
    topology, snapshot = site()
    snapshot = changed(snapshot, np.random.default_rng(1), 0.2)
    rows = below(topology, 0, ALL)
    volts, stale = snapshot.frame.columns["voltage_v"], snapshot.frame.stale
    for node, value in zip(rows.nodes.tolist(),
                           paint.values(rows, snapshot, "voltage_v").tolist(), strict=True):
        known = [float(volts[cell]) for cell in cells_below(topology, node)
                 if not stale[cell] and np.isfinite(volts[cell])]
        if known and not stale[node]:
            assert value == pytest.approx(np.mean(known), rel=1e-4)
        else:
            assert np.isnan(value)


def test_alarms_ages_and_stale_elements() -> None:
    topology, snapshot = site()
    alarms = no_alarms(topology)
    alarms.worst_tier[5] = 3
    frame = replace(snapshot.frame, stale=np.ones(topology.size, bool),
                    age_s=np.arange(topology.size, dtype=np.float32))
    old = replace(snapshot, alarms=alarms, frame=frame)
    rows = below(topology, 0, ALL)
    assert paint.values(rows, old, "alarm")[rows.nodes == 5] == 3
    assert paint.values(rows, old, "age_s").tolist() == rows.nodes.tolist()
    assert np.isnan(paint.values(rows, old, "soc_pct")).all()


@settings(max_examples=60)
@given(st.lists(st.floats(-50, 150, width=32), max_size=40),
       st.sampled_from([one for one in paint.COLOURINGS.values()
                        if one.kind in ("sequential", "diverging")]))
def test_ends_of_the_colours_lie_apart_and_hold_most(values: list[float],
                                                     one: paint.Colouring) -> None:
    low_bound, high_bound = one.bounds
    shown = np.clip(np.array([*values, np.nan], np.float32), low_bound, high_bound)
    found = paint.ends(one, shown)
    known = shown[np.isfinite(shown)]
    if not known.size:
        assert found is None
        return
    assert found is not None
    low, high = found
    assert high - low >= one.narrowest * 0.5 * (1 - 1e-6)
    assert low_bound <= low < high <= high_bound
    first, last = np.percentile(known, (2, 98))
    assert low <= first + 1e-4
    assert high >= last - 1e-4
    if one.kind == "diverging":
        assert low == -high


def test_ends_chosen_are_the_ends() -> None:
    soc = paint.COLOURINGS["soc_pct"]
    assert paint.ends(soc, np.array([3.0], np.float32), (20.0, 80.0)) == (20.0, 80.0)
    state = paint.COLOURINGS["state"]
    assert paint.ends(state, np.array([3.0], np.float32), (20.0, 80.0)) is None
