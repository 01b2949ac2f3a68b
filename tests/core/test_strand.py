"""What limits a site, against the model worked out element by element, and against a discharge
that is walked through step by step."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings

from core.allowance import REASONS, DeviceLimit, Reason, allowance
from core.clock import ManualClock
from core.engine import Engine
from core.frames import CONTACTOR_OPEN, Frame
from core.limits import safe_operating_area
from core.reach import Way, end_pct, reach
from core.safety.profile import safety_profile
from core.strand import Missing, strand, strings_of
from core.topology import ARRANGEMENTS, DEFAULT_LEVELS, NodeSpec, Topology
from core.vocabulary import CHEMISTRIES
from tests.core.random_sites import random_site, seeds
from tests.core.sites import NOON, ScriptedReadings, system

WAYS: tuple[Way, ...] = ("discharge", "charge")
RACK = "system_{}_cluster_0_rack_0"


def own_energy(site: Topology, frame: Frame, node: int, way: Way) -> float:
    if frame.stale[node]:
        return math.nan
    soc, health = frame.value("soc_pct", node), frame.value("soh_pct", node)
    away = soc - 5.0 if way == "discharge" else 95.0 - soc
    part = 1.0 if math.isnan(health) else health / 100
    return math.nan if math.isnan(away) else (
        float(site.capacity_kwh[node]) * part * max(away, 0.0) / 100)


def energy(site: Topology, frame: Frame, node: int, way: Way) -> tuple[float, float, float, bool]:
    """whole, usable [kWh], leaves in series, whether anybody below tells the charge."""
    own = own_energy(site, frame, node, way)
    is_open = bool(frame.flags[node] & CONTACTOR_OPEN) and not frame.stale[node]
    if site.is_leaf(node):
        found = own, own, 1.0, not math.isnan(own)
    else:
        part = site.children(node)
        below = [energy(site, frame, child, way) for child in range(part.start, part.stop)]
        whole = sum(one[0] for one in below)
        told = any(one[3] for one in below)
        units = [one[2] for one in below]
        if ARRANGEMENTS[site.arrangement[node]] == "series":
            charges = [one[1] / one[2] for one in below]
            least = math.nan if any(map(math.isnan, charges)) else min(charges)
            found = whole, least * sum(units), sum(units), told
        else:
            found = whole, sum(one[1] for one in below), sum(units) / len(units), told
        if site.measured[node] and not told and not math.isnan(own):
            found = own, own, 1.0, True
    if is_open and not math.isnan(found[0]):
        found = found[0], 0.0, *found[2:]
    return found


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_energy_is_that_of_the_model_worked_out_element_by_element(seed: int) -> None:
    site, frame = random_site(seed)
    for way in WAYS:
        of = reach(site, frame, 0, way)
        for node in range(site.size):
            whole, usable, _, _ = energy(site, frame, node, way)
            assert of.whole_kwh[node] == pytest.approx(whole, nan_ok=True)
            assert of.usable_kwh[node] == pytest.approx(usable, nan_ok=True)
            alone = reach(site, frame, node, way)
            assert alone.usable_kwh[node] == pytest.approx(usable, nan_ok=True)


def part_allowed(reason: Reason, way: Way, chemistry: int, value: float) -> float:
    """1 before the information limit, 0 beyond the warning limit, a straight line between."""
    area = safe_operating_area().chemistries[CHEMISTRIES[chemistry]]
    start, end = {
        "voltage": (area.voltage_min_v if way == "discharge" else area.voltage_max_v),
        "hot": getattr(area, f"{way}_temperature_max_c"),
        "cold": getattr(area, f"{way}_temperature_min_c"),
        "soc": (10.0, 5.0) if way == "discharge" else (90.0, 95.0),
    }[reason][:2]
    return min(1.0, max(0.0, 1.0 - (value - start) / (end - start)))


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_the_part_allowed_is_that_of_the_worst_cell_one_by_one(seed: int) -> None:
    site, frame = random_site(seed, wholesome=True)
    strings = strings_of(site, 0)
    for way in WAYS:
        may = allowance(site, frame, strings, way, {})
        for row, string in enumerate(strings.tolist()):
            for reason, metric in (("voltage", "voltage_v"), ("hot", "temperature_c"),
                                   ("cold", "temperature_c"), ("soc", "soc_pct")):
                leaves = [leaf for leaf in site.leaves(string)
                          if metric != "voltage_v" or site.level[leaf] == 4]
                parts = [part_allowed(reason, way, int(site.chemistry[leaf]),
                                      frame.value(metric, leaf)) for leaf in leaves]
                assert may.part[REASONS.index(reason), row] == pytest.approx(
                    min(parts, default=math.nan), abs=1e-5, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_what_ends_first_and_the_sums_are_those_of_all_strings(seed: int) -> None:
    site, frame = random_site(seed)
    for way in WAYS:
        strings = strings_of(site, 0)
        leaves = [leaf for string in strings for leaf in site.leaves(string).tolist()]
        assert sorted(leaves) == site.leaves(0).tolist()
        of, may = strand(site, frame, 0, way), allowance(site, frame, strings, way, {})
        ends: list[tuple[int, float]] = []
        usable_kwh, whole_kwh = 0.0, 0.0
        for row, string in enumerate(strings.tolist()):
            above = [0, *site.path(string)]
            cut = any(frame.flags[one] & CONTACTOR_OPEN and not frame.stale[one] for one in above)
            whole, usable, _, _ = energy(site, frame, string, way)
            if cut or may.least[row] == 0:
                ends.append((0, 0.0))
                usable = 0.0
            elif not math.isnan(usable):
                size = float(site.capacity_kwh[site.leaves(string)].sum())
                ends.append((1 if may.part[0, row] < 1 else 2, usable / size))
            if not math.isnan(whole):
                usable_kwh, whole_kwh = usable_kwh + usable, whole_kwh + whole
        assert (of.first is None) == (not ends)
        if of.first is not None:
            size = float(site.capacity_kwh[site.leaves(of.first.string)].sum())
            assert of.first.usable_kwh / size == pytest.approx(min(ends)[1], abs=1e-9)
        if of.unknown < of.strings:
            assert of.usable_kwh + of.stranded_kwh == pytest.approx(whole_kwh)


def test_a_rack_gives_what_a_discharge_walked_through_gives() -> None:
    """Ten cells in series, one charge for all, in small steps until the first is at its floor."""
    rng = np.random.default_rng(5)
    source = ScriptedReadings([system(0, modules=2, cells=5)])
    cells = np.flatnonzero(source.topology.child_count == 0)
    source.columns["soc_pct"][cells] = rng.uniform(40, 60, cells.size)
    source.columns["soh_pct"][cells] = rng.uniform(80, 100, cells.size)
    site, frame = at_once(source)
    soc = frame.columns["soc_pct"][cells].astype(float)
    full_kwh = frame.columns["soh_pct"][cells].astype(float) / 100
    given_kwh, step_kwh = 0.0, 1e-4
    while (soc - 100 * step_kwh / full_kwh >= end_pct("discharge")).all():
        soc -= 100 * step_kwh / full_kwh
        given_kwh += step_kwh * cells.size
    of = strand(site, frame, 0, "discharge")
    assert of.usable_kwh == pytest.approx(given_kwh, abs=2 * step_kwh * cells.size)
    left_kwh = float((full_kwh * (soc - end_pct("discharge")) / 100).sum())
    assert of.stranded_kwh == pytest.approx(left_kwh, abs=2 * step_kwh * cells.size)
    assert of.first is not None
    assert of.first.reason == "soc"
    assert site.ids[of.first.leaf] == site.ids[cells[int(np.argmin(soc))]]


def at_once(source: ScriptedReadings) -> tuple[Topology, Frame]:
    engine = Engine(DEFAULT_LEVELS, [source], ManualClock(NOON))
    return engine.topology, engine.tick().frame


def scripted(count: int = 2) -> ScriptedReadings:
    source = ScriptedReadings([system(number) for number in range(count)])
    source.set_cells({"soc_pct": 55.0, "voltage_v": 3.3, "temperature_c": 25.0, "soh_pct": 100.0})
    return source


def test_an_open_contactor_strands_the_whole_rack() -> None:
    source = scripted()
    source.flags = np.zeros(source.topology.size, dtype=np.uint8)
    source.flags[source.topology.index(RACK.format(1))] = CONTACTOR_OPEN
    site, frame = at_once(source)
    for way, kwh in (("discharge", 6 * 0.5), ("charge", 6 * 0.4)):
        of = strand(site, frame, 0, way)  # type: ignore[arg-type]
        assert of.first is not None
        assert site.ids[of.first.string] == site.ids[of.first.leaf] == RACK.format(1)
        assert (of.first.reason, of.first.part, of.first.usable_kwh) == ("contactor", 0.0, 0.0)
        assert of.first.stranded_kwh == pytest.approx(kwh, rel=1e-5)
        assert of.first.stranded_kw == pytest.approx(6.0)
        assert of.usable_kwh == pytest.approx(kwh, rel=1e-5)


def test_a_contactor_above_cuts_off_what_is_looked_at_below_it() -> None:
    source = scripted(1)
    source.flags = np.zeros(source.topology.size, dtype=np.uint8)
    source.flags[source.topology.index("system_0")] = CONTACTOR_OPEN
    site, frame = at_once(source)
    of = strand(site, frame, site.index(RACK.format(0)), "discharge")
    assert of.first is not None
    assert of.first.reason == "contactor"
    assert site.ids[of.first.leaf] == "system_0"


@pytest.mark.parametrize(("way", "metric", "value", "reason", "part"), [
    ("discharge", "temperature_c", 52.5, "hot", 0.5),
    ("charge", "temperature_c", 3.5, "cold", 0.5),
    ("charge", "voltage_v", 3.55, "voltage", 0.5),
    ("discharge", "voltage_v", 2.85, "voltage", 0.5),
    ("discharge", "temperature_c", 56.0, "hot", 0.0),
    ("charge", "voltage_v", 3.61, "voltage", 0.0)])
def test_a_cell_near_its_limit_holds_its_rack_back(way: Way, metric: str, value: float,
                                                   reason: str, part: float) -> None:
    source = scripted()
    cell = f"{RACK.format(1)}_module_1_cell_2"
    source.set(cell, {metric: value})
    site, frame = at_once(source)
    of = strand(site, frame, 0, way)
    one = of.held if part else of.first
    assert one is not None
    assert (site.ids[one.string], site.ids[one.leaf], one.reason) == (RACK.format(1), cell, reason)
    assert one.part == pytest.approx(part, abs=1e-3)
    assert one.stranded_kw == pytest.approx((1 - part) * 6.0, rel=1e-2)
    assert one.value == pytest.approx(value, abs=1e-5)
    if part:
        assert of.first is not None
        assert of.first.reason == ("voltage" if reason == "voltage" else "soc")


def test_what_is_not_known_is_named_and_has_no_number() -> None:
    source = scripted()
    source.set(f"{RACK.format(0)}_module_0_cell_0", {"soc_pct": math.nan})
    source.set(f"{RACK.format(1)}_module_0_cell_1", {"temperature_c": math.nan})
    site, frame = at_once(source)
    of = strand(site, frame, 0, "discharge")
    assert of.missing == (Missing("soc_pct", 1), Missing("temperature_c", 1))
    assert (of.strings, of.unknown, of.unjudged) == (2, 1, 2)
    assert of.usable_kwh == pytest.approx(3.0, rel=1e-5)
    assert math.isnan(of.stranded_kw)
    rack = strand(site, frame, site.index(RACK.format(0)), "discharge")
    assert (rack.first, rack.unknown) == (None, 1)
    assert math.isnan(rack.usable_kwh)


def test_health_that_nobody_tells_is_counted() -> None:
    source = scripted(1)
    source.set(f"{RACK.format(0)}_module_0_cell_0", {"soh_pct": math.nan})
    assert strand(*at_once(source), 0, "discharge").nominal == 1


def test_a_silent_rack_is_unknown_and_not_empty() -> None:
    source = scripted()
    source.heard = np.array([not name.startswith("system_1") for name in source.topology.ids])
    of = strand(*at_once(source), 0, "discharge")
    assert (of.strings, of.unknown) == (2, 1)
    assert of.first is not None
    assert of.first.usable_kwh == pytest.approx(3.0, rel=1e-5)


def pack() -> tuple[Topology, Frame]:
    """Of 3 kWh at 9.6 V, which tells its charge itself."""
    cells = [NodeSpec(f"system_0_cell_{i}", f"Cell {i}", "cell", 1.0, "LFP") for i in range(3)]
    source = ScriptedReadings([NodeSpec("system_0", "Pack", "system", 3.0, "LFP", "series",
                                        measured=True, children=cells)])
    source.set_cells({"voltage_v": 3.3, "temperature_c": 25.0})
    source.set("system_0", {"soc_pct": 55.0, "soh_pct": 100.0, "voltage_v": 9.6})
    return at_once(source)


def test_a_device_that_holds_back_is_the_reason_and_hides_what_it_strands() -> None:
    of = strand(*pack(), 0, "discharge", {1: DeviceLimit(100.0, "by the cell 2")})
    assert of.held is not None
    assert (of.held.reason, of.held.words, of.held.value) == ("device", "by the cell 2", 100.0)
    assert of.held.part == pytest.approx(0.32, rel=1e-5)
    assert math.isnan(of.held.stranded_kw)
    assert (of.unjudged, of.unknown) == (1, 0)


def test_a_device_that_allows_nothing_strands_all() -> None:
    of = strand(*pack(), 0, "discharge", {1: DeviceLimit(0.0, "tripped")})
    assert of.first is not None
    assert (of.first.reason, of.first.part, of.first.words) == ("device", 0.0, "tripped")
    assert of.stranded_kw == pytest.approx(3.0)
    assert of.stranded_kwh == pytest.approx(1.5)


def test_what_a_device_allows_in_health_is_its_rating() -> None:
    site, frame = pack()
    rated = {1: DeviceLimit(100.0, holds=False)}
    assert strand(site, frame, 0, "discharge", rated).held is None
    frame.columns["temperature_c"][3] = 52.5
    of = strand(site, frame, 0, "discharge", rated)
    assert of.held is not None
    assert of.held.reason == "hot"
    assert of.held.stranded_kw == pytest.approx(0.5 * 0.96, rel=1e-3)


def test_the_floor_and_the_ceiling_are_where_safety_ends_the_current() -> None:
    profile = safety_profile()
    assert (end_pct("discharge"), end_pct("charge")) == (profile.soc_min_pct[1],
                                                         profile.soc_max_pct[1])
