"""The filter over a site's tree, and over a record of the past."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import _twin_cells
from core.errors import RequestError, UnknownIdError
from core.frames import Frame, empty_columns
from core.topology import DEFAULT_LEVELS, Topology
from core.twin.follow import follow
from core.twin.record import Record
from core.twin.tree import TreeTwin
from tests.core.random_sites import random_site
from tests.core.sites import NOON, system
from tests.twin.cells import NMC, live, lively

SITE = Topology(DEFAULT_LEVELS, [system(0, modules=2, cells=3, chemistry="NMC"),
                                 system(1, modules=1, cells=4, chemistry="LFP")])
AH = 1000.0 / NMC.nominal_v
CURRENT, STEP_S = lively(AH, 600, mean_c=0.2), 6.0
MODULE = SITE.index("system_0_cluster_0_rack_0_module_1")


def frame(time: datetime, volts: np.ndarray, current_a: float, soc_pct: float = math.nan) -> Frame:
    """Cells tell voltage and charge, modules the current."""
    columns = empty_columns(SITE.size)
    cells = SITE.child_count == 0
    columns["voltage_v"][cells] = volts
    columns["soc_pct"][cells] = soc_pct
    columns["current_a"][~cells] = current_a
    return Frame(time, columns, np.zeros(SITE.size, np.float32), np.zeros(SITE.size, np.bool_),
                 np.ones(SITE.size, np.float32), np.zeros(SITE.size, np.uint8))


def lived(reported_pct: float) -> TreeTwin:
    """An hour of all cells; one of module 1 resists twice as much, all reports are 15 % off."""
    normal, weak = (live(NMC, AH, CURRENT, soc=0.8, resistance=times, step_s=STEP_S
                         ).record.voltage_v for times in (1.0, 2.0))
    twin = TreeTwin(SITE)
    for row, current_a in enumerate(CURRENT.tolist()):
        volts = np.full(10, normal[row])
        volts[4] = weak[row]
        twin.take(frame(NOON + timedelta(seconds=STEP_S * row), volts, current_a, reported_pct))
    return twin


def test_packs_of_a_tree_are_estimated_and_the_weak_cell_is_found() -> None:
    twin = lived(65.0)
    assert [SITE.ids[node] for node in twin.packs] == [
        f"system_{at}_cluster_0_rack_0_module_{module}" for at, module in ((0, 0), (0, 1), (1, 0))]
    found = twin.estimate(MODULE)
    truth = 100 * live(NMC, AH, CURRENT, soc=0.8, step_s=STEP_S).soc[-1]
    assert found.soc_pct.value == pytest.approx(truth, abs=2.0)
    assert found.soc_pct.low < truth < found.soc_pct.high
    assert found.reported_pct == 65.0
    assert found.known == 1.0
    assert found.resistance.value == pytest.approx((1 + 2 + 1) / 3, abs=0.15)
    assert twin.soc_pct().shape == twin.residual_v().shape == (10,)
    with pytest.raises(UnknownIdError, match="below system_0$"):
        twin.estimate(SITE.index("system_0"))


def test_charge_is_counted_with_the_capacity_that_a_pack_has() -> None:
    twin = TreeTwin(SITE)
    twin.set_capacity({MODULE: 0.5})
    twin.set_capacity({})
    for row in range(61):
        twin.take(frame(NOON + timedelta(seconds=60.0 * row), np.full(10, np.nan), 0.1 * AH, 60.0))
    other = twin.estimate(SITE.index("system_0_cluster_0_rack_0_module_0"))
    assert 60.0 - other.soc_pct.value == pytest.approx(10.0, abs=0.1)
    assert 60.0 - twin.estimate(MODULE).soc_pct.value == pytest.approx(20.0, abs=0.1)
    with pytest.raises(RequestError):
        twin.set_capacity({MODULE: 0.0})


def test_what_is_stale_is_missing_and_a_clock_may_jump() -> None:
    twin = lived(80.0)
    charge = twin.estimate(MODULE).soc_pct
    late = frame(NOON + timedelta(hours=2), np.full(10, 3.0), 50.0)
    late.stale[:] = True
    twin.take(late)
    found = twin.estimate(MODULE)
    assert found.known == 0.0
    assert (math.isnan(found.residual_v), found.off_cell) == (True, -1)
    assert found.soc_pct.value == pytest.approx(charge.value, abs=0.5)
    assert found.soc_pct.sigma > 5 * charge.sigma, "for an hour nobody knows what flowed"
    twin.take(replace(late, time=NOON))
    assert twin.estimate(MODULE).soc_pct.sigma == pytest.approx(found.soc_pct.sigma, rel=0.01)


def test_the_cell_furthest_off_is_named() -> None:
    twin = lived(80.0)
    volts = np.full(10, 3.9)
    volts[5] = 3.2
    twin.take(frame(NOON + timedelta(hours=1), volts, 0.0))
    found = twin.estimate(MODULE)
    assert SITE.ids[found.off_cell] == "system_0_cluster_0_rack_0_module_1_cell_2"
    assert found.off_v < -0.3


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_any_site_is_taken(seed: int) -> None:
    """Mixed depths, missing columns, batteries as leaves: nothing breaks, NaN stays NaN."""
    topology, first = random_site(seed)
    twin = TreeTwin(topology)
    for at in range(3):
        twin.take(replace(first, time=first.time + timedelta(seconds=at)))
    assert (topology.child_count[twin.cells] == 0).all()
    assert set(topology.parent[twin.cells].tolist()) == set(twin.packs.tolist())
    for pack in twin.packs.tolist():
        assert 0.0 <= twin.estimate(pack).known <= 1.0


def test_of_no_cells_there_is_nothing_to_say() -> None:
    bare = Topology(DEFAULT_LEVELS, [])
    assert TreeTwin(bare).soc_pct().size == TreeTwin(bare).residual_v().size == 0


def test_a_real_drive_is_followed() -> None:
    """A quarter of an hour of driving: what is left is the sensor and what the circuit lacks."""
    drive = _twin_cells.drive("NMC")
    record = drive.record.part(slice(0, 900))
    found = follow(record, drive.model, drive.capacity_ah, soc=0.8)
    assert found.soc[-1] == pytest.approx(drive.soc[899], abs=0.01)
    np.testing.assert_allclose(found.modelled_v + found.residual_v, record.voltage_v)
    assert np.sqrt(np.mean(found.residual_v[60:] ** 2)) < 0.01
    assert found.soc_sigma[-1] < 0.05


def test_what_nobody_measured_is_not_modelled() -> None:
    made = live(NMC, 50.0, lively(50.0, 300)).record
    current, volts = made.current_a.copy(), made.voltage_v.copy()
    current[100:120], volts[200:220] = np.nan, np.nan
    found = follow(Record(made.time_s, current, volts), NMC, 50.0)
    unknown = np.isnan(found.modelled_v)
    assert unknown[100:120].all()
    assert unknown[200:220].all()
    assert unknown.sum() == 40
    assert np.isfinite(found.soc).all()
