"""The worst of a site in words: the table of the details, the rows of Find, what limits it."""

from __future__ import annotations

import math

import numpy as np

from components.space import extremes, find, limits
from core.clock import ManualClock
from core.engine import Engine, Snapshot
from core.find import BY_NAME, Found
from core.find import find as core_find
from core.frames import CONTACTOR_OPEN
from core.strand import strand
from core.topology import DEFAULT_LEVELS
from core.worst import worst
from tests.core.sites import NOON, ScriptedReadings, system

HOT = "system_1_cluster_0_rack_0_module_1_cell_2"
RACK = "system_1_cluster_0_rack_0"


class Site:
    def __init__(self, *chemistries: str) -> None:
        self.source = ScriptedReadings([system(number, chemistry=chemistry) for number, chemistry
                                        in enumerate(chemistries or ("LFP", "LFP"))])
        self.source.set_cells({"power_kw": 0.5, "soc_pct": 60.0, "voltage_v": 3.3,
                               "temperature_c": 25.0, "soh_pct": 100.0})
        self.source.set(HOT, {"temperature_c": 41.5, "voltage_v": 3.21, "soc_pct": 40.0})
        self.engine = Engine(DEFAULT_LEVELS, [self.source], ManualClock(NOON))
        self.topology = self.engine.topology

    def snapshot(self) -> Snapshot:
        return self.engine.tick()

    def table(self, node_id: str = "poc_main", temperature: str = "C") -> str:
        node, frame = self.topology.index(node_id), self.snapshot().frame
        rows = extremes.rows(self.topology, frame, node)
        return extremes.table(self.topology, node, rows, temperature)

    def sentences(self, way: str, node: int = 0) -> list[str]:
        of = strand(self.topology, self.snapshot().frame, node, way)  # type: ignore[arg-type]
        return limits.sentences(self.topology, node, of)


def test_the_table_names_who_is_lowest_and_highest_in_little_room() -> None:
    said = Site().table()
    for part in ("3.210", "3.300", "90", "mV", "41.5", "16.5", "K", "40.0", "20.0",
                 "S1·C0·R0·M1·C2"):
        assert part in said, part
    assert "Not told" not in said
    assert "M1·C2" in Site().table(RACK)
    assert "Cell 2" in Site().table(f"{RACK}_module_1"), "one level is told by its name"
    assert "106.7" in Site().table(temperature="F")


def test_voltages_of_two_chemistries_have_no_spread() -> None:
    assert "mV" not in Site("LFP", "NMC").table()
    assert "mV" in Site("LFP", "NMC").table("system_1")


def test_what_cells_do_not_tell_is_said() -> None:
    site = Site()
    site.source.set(HOT, {"temperature_c": math.nan})
    site.source.set_cells({"soc_pct": math.nan})
    assert "Not told below: temperature of 1 of 12, state of charge" in site.table()


def test_names_from_outside_stay_text() -> None:
    source = ScriptedReadings([system(0)])
    source.roots[0].children[0].children[0].children[0].children[0].name = "<img src=x>"
    site = Site()
    site.engine = Engine(DEFAULT_LEVELS, [source], ManualClock(NOON))
    site.topology = site.engine.topology
    source.set_cells({"voltage_v": 3.3})
    assert "<img" not in site.table()
    node = site.topology.index("system_0_cluster_0_rack_0_module_0_cell_0")
    said = find.row(site.topology, 0, BY_NAME["hottest"], Found(node, 30.0))
    assert "<img" not in said
    assert "&lt;img" in said


def test_a_row_has_its_unit_and_what_is_behind_it() -> None:
    site = Site()
    frame = site.snapshot().frame
    said = {name: find.row(site.topology, 0, BY_NAME[name], core_find(
        site.topology, frame, name, "module").found[0]) for name in BY_NAME}
    assert "41.5" in said["hottest"]
    assert "°C" in said["hottest"]
    assert "Cell 2 to Cell 0" in said["voltage_spread"]
    assert "mV" in said["voltage_spread"]
    assert "Wh" in said["least_energy"]
    assert "0 s" in said["oldest"]
    assert find.value(BY_NAME["oldest"], math.inf) == "never heard"


def test_of_how_many_is_told() -> None:
    site = Site()
    frame = site.snapshot().frame
    assert find.compared(site.topology, "cell", core_find(
        site.topology, frame, "hottest", "cell")) == "Of 12 cells"
    site.source.set(HOT, {"soc_pct": math.nan})
    frame = site.snapshot().frame
    assert find.compared(site.topology, "cell", core_find(
        site.topology, frame, "lowest_soc", "cell")) == "Of 11 cells, 1 not known"


def test_what_limits_it_is_a_sentence_with_the_cell_and_the_energy() -> None:
    first, together = Site().sentences("discharge")
    assert first == ("Discharge ends first in System 1 · Cluster 0 · Rack 0: Module 1 · Cell 2 is "
                     "at 40.0 %, the floor is 5.0 %. Until then it gives 2.10 kWh, and 1.00 kWh "
                     "stay behind in its other cells.")
    assert together == "All 2 strings together give 5.40 kWh; 1.00 kWh are stranded."


def test_a_limit_and_an_open_contactor_are_sentences() -> None:
    site = Site()
    site.source.set(HOT, {"temperature_c": 42.5})
    held = site.sentences("charge")[1]
    assert held == ("System 1 · Cluster 0 · Rack 0 may carry 50 % of its power: Module 1 · Cell 2 "
                    "is at 42.5 °C. 3.00 kW are out of reach.")
    site.source.flags = np.zeros(site.topology.size, dtype=np.uint8)
    site.source.flags[site.topology.index(RACK)] = CONTACTOR_OPEN
    assert site.sentences("discharge")[0] == (
        "System 1 · Cluster 0 · Rack 0 gives nothing: its contactor is open. "
        "3.10 kWh and 6.00 kW are out of reach.")


def test_what_is_not_known_is_a_sentence_without_a_number() -> None:
    site = Site()
    site.source.set(HOT, {"soc_pct": math.nan})
    site.source.set_cells({"soh_pct": math.nan})
    said = site.sentences("discharge", site.topology.index(RACK))
    assert said[:2] == ["Not known: state of charge of 1 part.",
                        "No number for the energy of 1 string and the power of 1 string."]
    assert not any("kWh" in text for text in said)
    assert worst(site.topology, site.engine.snapshot.frame, 0, "soc_pct") is not None
