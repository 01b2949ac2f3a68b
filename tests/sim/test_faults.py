"""Each fault as a person would see it, and scripts from hostile hands."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ConfigurationError, UnknownIdError
from core.frames import CONTACTOR_OPEN
from core.topology import Topology
from core.vocabulary import CHEMISTRIES
from sim.cells import CellModel
from sim.chemistry import POINTS, open_circuit_table
from sim.effects import Canvas, Fault, WeakCell
from sim.faults import DIRECTORY, FaultPlayer, load_script
from sim.fleet import Fleet
from tests.sim.support import NOW, after, alike, below, started

CELL = "system_1_cluster_0_rack_1_module_2_cell_9"
MODULE = "system_3_cluster_0_rack_1_module_1"
SILENT = "system_2_cluster_1_rack_0"
OPENED = "system_4_cluster_0_rack_0"


def with_script(name: str, **options: Any) -> tuple[Fleet, Fleet, Topology]:
    """A fleet that runs a script from NOW on, its healthy twin, and their topology."""
    fleet, topology = started(**options)
    twin, _ = started(**options)
    fleet.start_script(name, NOW)
    return fleet, twin, topology


def test_all_scripts_ship_and_fit_every_default_site() -> None:
    assert FaultPlayer().names() == [
        "demo", "hot_module", "open_contactor", "silent_rack", "weak_cell"]
    least = {"cluster": (2, 2), "rack": (2, 2), "module": (3, 3), "cell": (10, 10)}
    _, topology = started(counts=least)
    for name in FaultPlayer().names():
        assert load_script(DIRECTORY / f"{name}.yaml", topology)


def test_a_weak_cell_falls_behind_and_its_neighbours_do_not() -> None:
    fleet, twin, topology = with_script("weak_cell")
    cell = topology.index(CELL)
    for second in range(0, 241, 5):
        sick, well = fleet.poll(after(second)), twin.poll(after(second))
    assert sick.columns["soc_pct"][cell] < well.columns["soc_pct"][cell] - 15.0
    others = np.arange(topology.size) != cell
    for name in sick.columns:
        np.testing.assert_array_equal(sick.columns[name][others], well.columns[name][others])
    assert sick.heard is not None
    assert sick.heard.all()


def canvas_of(topology: Topology, soc_pct: float, rate: float, cycles: float = 0.0) -> Canvas:
    """A finished healthy reading of systems that are all alike."""
    systems = int(topology.child_count[0])
    cells = CellModel(topology, ambient_c=20.0, seed=0)
    state = alike(systems, soc_pct=soc_pct, rate=rate, cycles=cycles)
    return Canvas(topology, cells, cells.expand(state),
                  np.ones(topology.size, dtype=np.bool_), np.zeros(topology.size, dtype=np.uint8))


@pytest.mark.parametrize("swing_pct", [-20.0, -1.0, 0.0, 1.0, 20.0])
@pytest.mark.parametrize("rate", [-0.3, 0.3])
def test_a_weak_cell_swings_further_and_drops_more(swing_pct: float, rate: float) -> None:
    """Charge swings 1 / capacity_factor as far; voltage drops resistance_factor as much."""
    _, topology = started()
    cell = topology.index(CELL)
    effect = WeakCell(capacity_factor=0.5, resistance_factor=4.0)
    fault = Fault(0.0, cell, effect)
    first = canvas_of(topology, 50.0, rate)
    began = float(first.columns["soc_pct"][cell])
    effect.apply(first, fault, 0.0)
    later = canvas_of(topology, 50.0 + swing_pct, rate)
    effect.apply(later, fault, 60.0)
    sick = {name: float(column[cell]) for name, column in later.columns.items()}
    assert sick["soc_pct"] - began == pytest.approx(2.0 * swing_pct, abs=1e-4)
    watts = sick["voltage_v"] * sick["current_a"]
    assert watts == pytest.approx(1000.0 * sick["power_kw"], rel=1e-5)
    healthy = float(canvas_of(topology, 50.0 + 2.0 * swing_pct, rate).columns["voltage_v"][cell])
    assert (sick["voltage_v"] < healthy) == (rate > 0.0)


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
@pytest.mark.parametrize(("soc_pct", "rate"), [(5.0, 0.408), (95.0, -0.408), (95.0, 0.408)])
def test_the_weakest_cell_stays_a_number(chemistry: str, soc_pct: float, rate: float) -> None:
    """The worst parameters at the worst charge and the highest power, in an old cell."""
    _, topology = started(chemistries=[chemistry])
    canvas = canvas_of(topology, soc_pct, rate, cycles=1000.0)
    effect = WeakCell(capacity_factor=0.05, resistance_factor=10.0, leak_pct_per_min=100.0)
    weak = topology.leaves(0)[::25]
    for leaf in weak:
        effect.apply(canvas, Fault(0.0, int(leaf), effect), 3600.0)
    assert (canvas.columns["soc_pct"][weak] == 0.0).all()
    assert (canvas.columns["voltage_v"][weak] > 1.0).all()


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
def test_a_drained_cell_rests_at_the_low_end_of_its_own_chemistry(chemistry: str) -> None:
    _, topology = started(systems=2, chemistries=[chemistry])
    cell = topology.index(CELL)
    canvas = canvas_of(topology, 5.0, rate=0.0)
    effect = WeakCell(leak_pct_per_min=100.0)
    effect.apply(canvas, Fault(0.0, cell, effect), 3600.0)
    lowest = open_circuit_table()[CHEMISTRIES.index(chemistry) * POINTS]
    assert canvas.columns["voltage_v"][cell] == pytest.approx(lowest, abs=1e-3)


def test_a_hot_module_settles_at_52_degrees_and_creeps_on() -> None:
    fleet, twin, topology = with_script("hot_module")
    module = topology.index(MODULE)
    seen = [below(topology, module, fleet.poll(after(second)), "temperature_c").mean()
            for second in (0, 30, 180, 780)]
    healthy = below(topology, module, twin.poll(after(0)), "temperature_c").mean()
    assert seen[0] == pytest.approx(healthy)
    assert 35.0 < seen[1] < 48.0
    assert seen[2] == pytest.approx(52.0 + 3 * 0.3, abs=0.3)
    assert seen[3] - seen[2] == pytest.approx(10 * 0.3, abs=0.3)
    beside = topology.index("system_3_cluster_0_rack_1_module_0")
    assert below(topology, beside, fleet.poll(after(780)), "temperature_c").max() < 35.0


def test_a_silent_rack_and_all_below_it_are_not_heard() -> None:
    fleet, _, topology = with_script("silent_rack")
    reading = fleet.poll(after(1))
    assert reading.heard is not None
    silent = {topology.ids[i] for i in np.flatnonzero(~reading.heard)}
    assert silent == {i for i in topology.ids if i == SILENT or i.startswith(f"{SILENT}_")}


def test_an_open_contactor_cuts_the_rack_off() -> None:
    fleet, twin, topology = with_script("open_contactor")
    rack, system = topology.index(OPENED), topology.index("system_4")
    began = below(topology, rack, fleet.poll(after(0)), "soc_pct")
    twin.poll(after(0))
    sick, well = fleet.poll(after(120)), twin.poll(after(120))
    assert (below(topology, rack, sick, "power_kw") == 0.0).all()
    assert (below(topology, rack, sick, "current_a") == 0.0).all()
    np.testing.assert_array_equal(below(topology, rack, sick, "soc_pct"), began)
    assert sick.flags is not None
    assert [topology.ids[i] for i in np.flatnonzero(sick.flags)] == [OPENED]
    assert sick.flags[rack] & CONTACTOR_OPEN
    lost = below(topology, rack, well, "power_kw").sum()
    assert below(topology, system, sick, "power_kw").sum() == pytest.approx(
        below(topology, system, well, "power_kw").sum() - lost, abs=1e-4)


def test_an_open_rack_shows_its_open_circuit_voltage() -> None:
    """At rest the voltage depends on charge alone, not on the power of the others."""
    fleet, _, topology = with_script("open_contactor")
    rack = topology.index(OPENED)
    seen = [below(topology, rack, fleet.poll(after(second)), "voltage_v")
            for second in (0, 20, 40, 60)]
    for voltage in seen[1:]:
        np.testing.assert_array_equal(voltage, seen[0])


def test_the_demo_brings_all_four_one_after_the_other() -> None:
    fleet, _, topology = with_script("demo")
    hot = topology.leaves(topology.index(MODULE))
    early, late = fleet.poll(after(4)), fleet.poll(after(90))
    assert early.heard is None
    assert late.heard is not None
    assert late.flags is not None
    assert not late.heard[topology.index(SILENT)]
    assert late.flags[topology.index(OPENED)] == CONTACTOR_OPEN
    assert late.columns["temperature_c"][hot].min() > 45.0


def test_stopping_brings_the_healthy_site_back_at_once() -> None:
    fleet, twin, _ = with_script("demo")
    fleet.poll(after(90))
    twin.poll(after(90))
    assert list(fleet.running_scripts()) == ["demo"]
    fleet.stop_scripts()
    assert list(fleet.running_scripts()) == []
    sick, well = fleet.poll(after(91)), twin.poll(after(91))
    assert sick.heard is None
    assert sick.flags is not None
    assert not sick.flags.any()
    for name, column in well.columns.items():
        np.testing.assert_array_equal(column, sick.columns[name])


def test_a_script_started_again_begins_again() -> None:
    fleet, _, topology = with_script("hot_module")
    hot = topology.leaves(topology.index(MODULE))
    assert fleet.poll(after(300)).columns["temperature_c"][hot].min() > 50.0
    fleet.start_script("hot_module", after(300))
    assert fleet.poll(after(300)).columns["temperature_c"][hot].max() < 35.0
    assert list(fleet.running_scripts()) == ["hot_module"]


@pytest.mark.parametrize("name", ["", "nothing", "../scripts/demo", "demo.yaml", "x" * 5000])
def test_only_listed_names_start(name: str) -> None:
    fleet, _ = started(systems=1)
    with pytest.raises(UnknownIdError):
        fleet.start_script(name, NOW)


def test_a_target_that_this_site_has_not_is_named() -> None:
    fleet, _ = started(systems=1)
    with pytest.raises(ConfigurationError) as caught:
        fleet.start_script("open_contactor", NOW)
    assert caught.value.key == "[0].target"
    assert caught.value.value == OPENED
    assert list(fleet.running_scripts()) == []


STEP = {"at_s": "0", "fault": "weak_cell", "target": "system_0_cluster_0_rack_0_module_0_cell_0"}


def written(tmp_path: Path, **changes: str) -> Path:
    """A script of one step, some of whose lines are replaced."""
    path = tmp_path / "bad.yaml"
    lines = [f"{key}: {value}" for key, value in (STEP | changes).items()]
    path.write_text("- " + "\n  ".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(("changes", "key"), [
    ({"fault": "meltdown"}, "[0].fault"),
    ({"fault": "[]"}, "[0].fault"),
    ({"at_s": "-1"}, "[0].at_s"),
    ({"at_s": "soon"}, "[0].at_s"),
    ({"at_s": ".nan"}, "[0].at_s"),
    ({"at_s": ".inf"}, "[0].at_s"),
    ({"at_s": "true"}, "[0].at_s"),
    ({"target": "nowhere"}, "[0].target"),
    ({"target": "poc_main", "fault": "silent_rack"}, "[0].target"),
    ({"target": "system_0"}, "[0].target"),
    ({"fault": "hot_module"}, "[0].target"),
    ({"surprise": "1"}, "[0].surprise"),
    ({"parameters": "{surprise: 1}"}, "[0].parameters.surprise"),
    ({"parameters": "{resistance_factor: 11}"}, "[0].parameters.resistance_factor"),
    ({"parameters": "{capacity_factor: 0}"}, "[0].parameters.capacity_factor"),
    ({"parameters": "{leak_pct_per_min: .nan}"}, "[0].parameters.leak_pct_per_min"),
    ({"parameters": "{leak_pct_per_min: '5'}"}, "[0].parameters.leak_pct_per_min"),
])
def test_a_wrong_script_names_file_key_and_what_is_allowed(
    tmp_path: Path, changes: dict[str, str], key: str,
) -> None:
    path = written(tmp_path, **changes)
    _, topology = started(systems=1)
    with pytest.raises(ConfigurationError) as caught:
        load_script(path, topology)
    assert caught.value.file.endswith("bad.yaml")
    assert caught.value.key == key
    assert caught.value.allowed


@pytest.mark.parametrize("content", [
    b"", b"just words", b"{a: 1}", b"- 5", b"- [", b"\xff\xfe\x00",
    b"- !!python/object:os.system x",
])
def test_what_is_no_script_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    _, topology = started(systems=1)
    with pytest.raises(ConfigurationError):
        load_script(path, topology)


def test_scripts_start_and_stop_while_another_thread_polls() -> None:
    fleet, topology = started()
    stop = threading.Event()
    failed: list[BaseException] = []

    def poll_until_stopped() -> None:
        second = 0
        try:
            while not stop.is_set():
                second += 1
                reading = fleet.poll(after(second))
                assert np.isfinite(reading.columns["voltage_v"][topology.depth_offsets[-2]:]).all()
        except BaseException as error:  # noqa: BLE001 - told by the test itself
            failed.append(error)

    poller = threading.Thread(target=poll_until_stopped)
    poller.start()
    for _ in range(20):
        for name in fleet.scripts():
            fleet.start_script(name, NOW)
        fleet.stop_scripts()
    stop.set()
    poller.join()
    assert not failed
