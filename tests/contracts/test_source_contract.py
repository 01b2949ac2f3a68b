"""What `core.ports.Source` and its kin promise, held against every source that needs no server,
and the fleet's over a real Mosquitto.

A new source joins by one line in FACTORIES.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest

from core.clock import ManualClock
from core.devices import Device, DeviceTable
from core.errors import UnknownIdError
from core.frames import Reading
from core.quantities import QUANTITY, SPLIT
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from core.vocabulary import BY_NAME, METRIC_NAMES
from tests.fleet.steered import SteeredFleet
from tests.influx.unplugged import UnpluggedInflux
from tests.sources.husdata_player import UnpluggedHusdata
from tests.sources.venus_player import UnpluggedVenus
from tests.sources.web import (
    unplugged_husdata,
    unplugged_prices,
    unplugged_remote,
    unplugged_solark,
    unplugged_vrm,
)

START = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
KINDS = ("simulated", "recorded", "live")
DEVICE_SIGNS = ("discharge", "charge")
# a battery that works has none of these at exactly 0: that would be a missing value in disguise
NEVER_ZERO = ("voltage_v", "soc_pct", "soh_pct")
DEVICE_ID = re.compile(r"[A-Za-z0-9_]+\Z")


def made_by(module: str, **options: object) -> Callable[[], Any]:
    """A factory of the default source of a module, loaded on first use as the registry does."""

    def make() -> Any:
        loaded = importlib.import_module(module)
        return loaded.create("contract", loaded.Options(**options), DEFAULT_LEVELS)

    return make


FACTORIES: dict[str, Callable[[], Any]] = {
    "replay": made_by("sources.replay"),
    "fleet": made_by("sim.fleet", past_hours=2.0),
    "packs": made_by("services.edge.demo", packs=8, cells=24),
    "house": made_by("sim.house"),
    "heat-pump": made_by("sim.heat_pump", profile="thermia_c60"),
    "venus": UnpluggedVenus,
    "vrm": unplugged_vrm,
    "solark": unplugged_solark,
    "remote": unplugged_remote,
    "husdata-mqtt": UnpluggedHusdata,
    "husdata-http": unplugged_husdata,
    "influx": UnpluggedInflux,
    "site": made_by("sim.site"),
    "prices-http": unplugged_prices,
    "fleet-mqtt": SteeredFleet,
}
TO_COPY = [FACTORIES["replay"]]
"""Slow to read, and without a thread or a socket."""
# sentences of ScriptedSource, BackfillingSource, PastTellingSource are checked for these
SCRIPTED = ("fleet", "packs", "house", "heat-pump")
BACKFILLING = ("fleet", "packs")
PAST_TELLING = ("house", "heat-pump", "site")
TALKING = ("vrm", "solark", "remote", "husdata-mqtt", "husdata-http", "fleet-mqtt",
           "prices-http")
TELLING_PROBLEMS = ("husdata-mqtt", "husdata-http", "prices-http")


def each_of(names: Iterable[str]) -> pytest.MarkDecorator:
    chosen = list(names)
    return pytest.mark.parametrize("make", [FACTORIES[name] for name in chosen], ids=chosen)


each_source = each_of(FACTORIES)


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


@cache
def begun(make: Callable[[], Any]) -> Running:
    """To be copied."""
    return Running(make())


@pytest.fixture
def run(make: Callable[[], Any]) -> Iterator[Running]:
    running = deepcopy(begun(make)) if make in TO_COPY else Running(make())
    yield running
    running.source.close()


def column(reading: Reading, metric: str, size: int) -> np.ndarray:
    return np.asarray(reading.columns.get(metric, np.full(size, np.nan)), dtype=np.float64)


def devices_of(source: Any) -> list[Device]:
    return list(source.devices) if hasattr(source, "devices") else []


def quantities_of(source: Any) -> list[str]:
    return [name for device in devices_of(source) for name in device.quantities]


def assert_well_formed(reading: Reading, running: Running) -> None:
    """Names, shapes, types and bounds of one reading; never a time to come."""
    assert_channels_well_formed(reading, running.source)
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


def assert_channels_well_formed(reading: Reading, source: Any) -> None:
    quantities = quantities_of(source)
    if not quantities:
        assert reading.channels is None
        return
    assert reading.channels is not None
    assert reading.channels.dtype == np.float64
    assert reading.channels.shape == (len(quantities),)
    if reading.channels_heard is not None:
        assert reading.channels_heard.dtype == np.bool_
        assert reading.channels_heard.shape == (len(quantities),)
    assert_plausible(quantities, reading.channels)


def assert_plausible(quantities: list[str], channels: np.ndarray) -> None:
    """Missing, or within the bounds of the vocabulary; channels: float64[..., c]."""
    for name, values in zip(quantities, np.atleast_2d(channels).T, strict=True):
        low, high = QUANTITY[name].plausible
        assert (np.isnan(values) | ((values >= low) & (values <= high))).all(), name


def assert_same(first: Reading, second: Reading) -> None:
    assert first.measured_at == second.measured_at
    assert set(first.columns) == set(second.columns)
    for name in first.columns:
        np.testing.assert_array_equal(first.columns[name], second.columns[name], name)
    for a, b in ((first.heard, second.heard), (first.flags, second.flags),
                 (first.channels, second.channels),
                 (first.channels_heard, second.channels_heard)):
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
    """Law 5: the id of a child is its parent's, its level and a number. A source of devices
    may have no system."""
    source = make()
    assert source.roots or devices_of(source)
    for root in source.roots:
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
    masks = (reading.channels, reading.channels_heard)
    copies = [None if mask is None else mask.copy() for mask in masks]
    for _ in range(20):
        run.poll(1.0)
    for name, values in before.items():
        np.testing.assert_array_equal(reading.columns[name], values, name)
    for mask, copy in zip(masks, copies, strict=True):
        np.testing.assert_equal(mask, copy)


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


@each_source
def test_devices_have_ids_and_quantities_of_the_vocabulary(make: Callable[[], Any]) -> None:
    """Law 5 and 11: well-formed, unique, of a house; the parts of a split are the engine's."""
    devices = devices_of(make())
    table = DeviceTable([devices])
    parts = {part for pair in SPLIT.values() for part in pair}
    assert len({device.id for device in devices}) == len(devices)
    for device in devices:
        assert DEVICE_ID.match(device.id)
        assert DEVICE_ID.match(device.house)
        assert device.label.strip() == device.label != ""
        assert device.native_sign in DEVICE_SIGNS
        assert device.quantities
        assert not parts & set(device.quantities)
        assert ("soc_pct" in device.quantities) or device.soc_method == ""
        assert all(table.has(device.id, name) for name in device.quantities)


@each_source
def test_devices_and_houses_stay_the_same_for_the_source_s_life(run: Running) -> None:
    if hasattr(run.source, "devices"):
        devices, houses = list(run.source.devices), list(run.source.houses)
        run.poll(1.0)
        assert list(run.source.devices) == devices
        assert list(run.source.houses) == houses
        assert len({house.id for house in houses}) == len(houses)


@each_source
def test_the_first_poll_hears_every_channel_that_has_a_value(run: Running) -> None:
    reading = run.poll()
    if reading.channels is not None and reading.channels_heard is not None:
        assert reading.channels_heard[np.isfinite(reading.channels)].all()


@each_source
def test_a_device_s_power_is_its_voltage_times_its_current_in_one_sign(run: Running) -> None:
    """Law 1, as for the tree."""
    table = DeviceTable([devices_of(run.source)])
    names = ("battery_power_kw", "voltage_v", "current_a")
    of_all = [device.id for device in devices_of(run.source)
              if set(names) <= set(device.quantities)]
    own = {int(number): place for place, number in enumerate(table.own[0])}
    places = np.array([[own[table.index(device_id, name)] for name in names]
                       for device_id in of_all], dtype=np.int64).reshape(-1, 3)
    for _ in range(60):
        reading = run.poll(run.source.info.period_s)
        if reading.channels is None:
            return
        power_kw, voltage_v, current_a = reading.channels[places].T
        found = np.isfinite(power_kw * voltage_v * current_a)
        np.testing.assert_allclose(power_kw[found], (voltage_v * current_a)[found] / 1000.0,
                                   rtol=0.03, atol=0.002)


@each_of(PAST_TELLING)
def test_a_told_past_is_plausible_and_ends_where_the_first_live_poll_begins(
    run: Running,
) -> None:
    quantities = quantities_of(run.source)
    now_s = START.timestamp()
    far = run.source.tell_past(now_s - 40 * 86400.0 + np.arange(0.0, 4 * 86400.0, 300.0))
    near = run.source.tell_past(now_s - 7200.0 + np.arange(0.0, 7200.0, 60.0))
    assert far.dtype == near.dtype == np.float64
    assert far.shape == (4 * 288, len(quantities))
    assert near.shape == (120, len(quantities))
    assert_plausible(quantities, np.concatenate([far, near]))
    assert np.isfinite(near).mean() > 0.9
    live = run.poll()
    for place, name in enumerate(quantities):
        if name == "soc_pct":
            assert near[-1, place] == pytest.approx(live.channels[place], abs=2.0)


@each_of(PAST_TELLING)
def test_two_of_one_make_tell_one_past(make: Callable[[], Any]) -> None:
    times = START.timestamp() - 86400.0 + np.arange(0.0, 86400.0, 60.0)
    one, other = (Running(make()).source.tell_past(times) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@each_of(BACKFILLING)
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


@each_of(SCRIPTED)
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


@each_of(TALKING)
def test_a_conversation_is_counted_and_does_not_change(run: Running) -> None:
    run.poll(1.0)
    talk = run.source.talk()
    assert len(talk.messages) <= talk.heard + talk.sent + talk.failed
    assert all(one.at.utcoffset() == timedelta(0) for one in talk.messages)
    assert all(one.text.isprintable() and one.text for one in talk.messages)
    before = talk.messages
    run.poll(1.0)
    assert talk.messages == before


@each_of(TALKING)
def test_who_talks_has_a_connection_that_can_be_made_anew(run: Running) -> None:
    """A recording has none; what lives in this process does not talk."""
    assert hasattr(run.source, "reconnect")


@each_of(TELLING_PROBLEMS)
def test_problems_are_of_quantities_that_a_device_has(run: Running) -> None:
    assert run.source.problems() == {}
    run.poll(1.0)
    assert set(run.source.problems()) <= set(quantities_of(run.source))
    assert all(words.strip() for words in run.source.problems().values())
