"""What `core.ports.Source` promises, held against every source that needs no server.

A new source joins by one line in FACTORIES.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from core.clock import ManualClock
from core.errors import UnknownIdError
from core.frames import Reading
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from core.vocabulary import BY_NAME, METRIC_NAMES
from tests.sources.venus_player import UnpluggedVenus

START = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
KINDS = ("simulated", "recorded", "live")
DEVICE_SIGNS = ("discharge", "charge")
# a battery that works has none of these at exactly 0: that would be a missing value in disguise
NEVER_ZERO = ("voltage_v", "soc_pct", "soh_pct")


def made_by(module: str, **options: object) -> Callable[[], Any]:
    """A factory of the default source of a module, loaded on first use as the registry does."""

    def make() -> Any:
        loaded = importlib.import_module(module)
        return loaded.create("contract", loaded.Options(**options), DEFAULT_LEVELS)

    return make


FACTORIES: dict[str, Callable[[], Any]] = {
    "replay": made_by("sources.replay"),
    "fleet": made_by("sim.fleet"),
    "venus": UnpluggedVenus,
}
# a sentence of BackfillingSource or ScriptedSource is checked for these
SIMULATED = ("fleet",)

each_source = pytest.mark.parametrize("make", FACTORIES.values(), ids=FACTORIES.keys())
each_simulated = pytest.mark.parametrize(
    "make", [FACTORIES[name] for name in SIMULATED], ids=SIMULATED)


class Running:
    """A started source, its topology, and a clock that a test moves."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.topology = Topology(DEFAULT_LEVELS, source.roots)
        self.clock = ManualClock(START)
        source.start(self.clock.now(), self.topology)

    def poll(self, after_s: float = 0.0) -> Reading:
        """The reading `after_s` seconds later (a negative pause steps the clock back)."""
        reading: Reading = self.source.poll(self.clock.advance(after_s))
        return reading


@pytest.fixture
def run(make: Callable[[], Any]) -> Iterator[Running]:
    running = Running(make())
    yield running
    running.source.close()


def column(reading: Reading, metric: str, size: int) -> np.ndarray:
    return np.asarray(reading.columns.get(metric, np.full(size, np.nan)), dtype=np.float64)


def assert_well_formed(reading: Reading, running: Running) -> None:
    """Names, shapes, types and bounds of one reading; never a time to come."""
    size = running.topology.size
    assert reading.measured_at.utcoffset() == timedelta(0)
    assert reading.measured_at <= running.clock.now()
    assert set(reading.columns) <= set(METRIC_NAMES)
    for name, values in reading.columns.items():
        assert values.dtype == np.float32, name
        assert values.shape == (size,), name
        known = values[np.isfinite(values)]
        assert not np.isinf(values).any(), name
        low, high = BY_NAME[name].plausible
        assert ((known >= low) & (known <= high)).all(), name
    for mask, dtype in ((reading.heard, np.bool_), (reading.flags, np.uint8)):
        if mask is not None:
            assert mask.dtype == dtype
            assert mask.shape == (size,)


def assert_same(first: Reading, second: Reading) -> None:
    assert first.measured_at == second.measured_at
    assert set(first.columns) == set(second.columns)
    for name in first.columns:
        np.testing.assert_array_equal(first.columns[name], second.columns[name], name)
    for a, b in ((first.heard, second.heard), (first.flags, second.flags)):
        np.testing.assert_equal(a, b)


def specs_below(spec: NodeSpec) -> Iterator[tuple[NodeSpec, NodeSpec]]:
    """(parent, child) for every element below `spec`."""
    for child in spec.children:
        yield spec, child
        yield from specs_below(child)


@each_source
def test_info_tells_a_person_what_it_is(make: Callable[[], Any]) -> None:
    info = make().info
    assert info.name == "contract"
    assert info.label.strip()
    assert info.kind in KINDS
    assert info.native_sign in DEVICE_SIGNS
    assert 0.0 < info.period_s <= info.stale_after_s
    assert info.kind != "recorded" or info.attribution, "a recording names its origin"


@each_source
def test_roots_are_systems_with_ids_of_the_seeds_form(make: Callable[[], Any]) -> None:
    """Law 5: the id of a child is its parent's, its level and a number."""
    roots = make().roots
    assert roots
    for root in roots:
        assert root.level == DEFAULT_LEVELS[0].name
        for parent, child in specs_below(root):
            head, _, number = child.id.rpartition("_")
            assert head == f"{parent.id}_{child.level}"
            assert number.isdecimal()
            assert child.name.strip() == child.name != ""


@each_source
def test_roots_form_a_topology_with_unique_ids_and_parents_that_hold_their_children(
    make: Callable[[], Any],
) -> None:
    topology = Topology(DEFAULT_LEVELS, make().roots)
    assert len(set(topology.ids)) == topology.size
    assert not topology.measured[topology.child_count == 0].any(), "only a parent is measured"
    for node in np.flatnonzero(topology.child_count > 0)[1:]:
        below = topology.capacity_kwh[topology.children(int(node))]
        assert np.nansum(below) == pytest.approx(topology.capacity_kwh[node], rel=1e-3)


@each_source
def test_roots_stay_the_same_for_the_source_s_life(run: Running) -> None:
    before = Topology(DEFAULT_LEVELS, run.source.roots).ids
    run.poll(1.0)
    assert Topology(DEFAULT_LEVELS, run.source.roots).ids == before


@each_source
def test_each_reading_is_well_formed(run: Running) -> None:
    for _ in range(30):
        assert_well_formed(run.poll(run.source.info.period_s), run)


@each_source
def test_the_first_poll_hears_every_leaf_that_has_a_value(run: Running) -> None:
    reading = run.poll()
    if reading.heard is not None:
        known = np.isfinite(np.array(list(reading.columns.values()))).any(axis=0)
        np.testing.assert_array_equal(reading.heard[1:], known[1:])


@each_source
def test_a_missing_sensor_is_nan_and_never_zero(run: Running) -> None:
    """Law 4; the grid (node 0) belongs to no source."""
    reading = run.poll()
    for metric in NEVER_ZERO:
        assert not (column(reading, metric, run.topology.size)[1:] == 0.0).any(), metric


@each_source
def test_power_is_voltage_times_current_in_one_sign(run: Running) -> None:
    """Law 1: both are positive when discharging. Devices sample the three a little apart."""
    for _ in range(60):
        reading = run.poll(run.source.info.period_s)
        power_kw, voltage_v, current_a = (
            column(reading, name, run.topology.size)
            for name in ("power_kw", "voltage_v", "current_a")
        )
        found = np.isfinite(power_kw * voltage_v * current_a)
        np.testing.assert_allclose(
            power_kw[found], (voltage_v * current_a)[found] / 1000.0, rtol=0.02, atol=0.002)


@each_source
def test_charge_falls_while_power_is_positive(run: Running) -> None:
    """Law 1, against physics: energy that left and SOC that fell have the same sign."""
    size = run.topology.size
    first = column(run.poll(), "soc_pct", size)
    energy = np.zeros(size)
    for _ in range(119):
        reading = run.poll(5.0)
        energy += np.nan_to_num(column(reading, "power_kw", size))
    change = column(reading, "soc_pct", size) - first
    clear = np.isfinite(change) & (np.abs(change) >= 2.0)
    assert (np.sign(change[clear]) == -np.sign(energy[clear])).all()


@each_source
def test_polling_twice_at_one_time_is_harmless(run: Running) -> None:
    first = run.poll(3.0)
    second = run.poll()
    assert_well_formed(second, run)
    for name in first.columns:
        np.testing.assert_array_equal(first.columns[name], second.columns[name], name)


@each_source
def test_a_clock_that_steps_back_is_harmless(run: Running) -> None:
    run.poll(100.0)
    assert_well_formed(run.poll(-3600.0), run)
    for _ in range(5):
        assert_well_formed(run.poll(1.0), run)


@each_source
@pytest.mark.parametrize("pause_s", [61.5, 3600.0, 3 * 86400.0 + 0.7])
def test_a_long_pause_is_harmless(run: Running, pause_s: float) -> None:
    run.poll(1.0)
    assert_well_formed(run.poll(pause_s), run)
    assert_well_formed(run.poll(1.0), run)


@each_source
def test_a_reading_does_not_change_afterwards(run: Running) -> None:
    reading = run.poll(1.0)
    before = {name: values.copy() for name, values in reading.columns.items()}
    for _ in range(20):
        run.poll(1.0)
    for name, values in before.items():
        np.testing.assert_array_equal(reading.columns[name], values, name)


@each_source
def test_two_of_one_make_under_one_clock_say_the_same(make: Callable[[], Any]) -> None:
    one, other = Running(make()), Running(make())
    for step_s in (0.0, 1.0, 0.7, 12.3, 700.0):
        assert_same(one.poll(step_s), other.poll(step_s))


@each_source
def test_close_may_come_at_any_time_and_twice(make: Callable[[], Any]) -> None:
    never_started = make()
    never_started.close()
    running = Running(make())
    running.poll(1.0)
    running.source.close()
    running.source.close()


@each_simulated
def test_a_backfill_ends_where_the_first_live_poll_begins(run: Running) -> None:
    begin = START - timedelta(hours=1)
    past = list(run.source.backfill(begin, START, 60.0))
    times = [reading.measured_at for reading in past]
    assert len(times) in (60, 61)
    assert begin <= times[0]
    assert times[-1] <= START
    assert all((b - a).total_seconds() == 60.0 for a, b in zip(times, times[1:], strict=False))
    for reading in past[::15]:
        assert_well_formed(reading, run)
    live = run.poll(1.0)
    size = run.topology.size
    jump = np.abs(column(live, "soc_pct", size) - column(past[-1], "soc_pct", size))
    assert np.nanmax(jump) < 2.0


@each_simulated
def test_scripts_start_and_stop_by_their_names(run: Running) -> None:
    names = run.source.scripts()
    assert names
    assert not run.source.running_scripts()
    for name in names:
        run.source.start_script(name, run.clock.now())
        assert name in run.source.running_scripts()
        assert_well_formed(run.poll(5.0), run)
        run.source.stop_scripts()
        assert not run.source.running_scripts()
    with pytest.raises(UnknownIdError):
        run.source.start_script("no such script", run.clock.now())
