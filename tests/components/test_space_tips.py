"""What a sphere says of the cells below it is what a search over all of them finds."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orrery_spheres import EXTREMES

from components.space import extremes, tips
from core.below import below
from core.frames import Frame
from core.topology import DEFAULT_LEVELS, Topology
from core.worst import worst
from tests.core.random_sites import random_site, seeds
from tests.core.sites import NOON, system

Line = tuple[int, int, float, float, float, str, str]
METRICS = [metric for metric, _, _ in extremes.METRICS]


def searched(topology: Topology, frame: Frame, place: int, depth: int) -> list[Line]:
    """One element after the other; a spread of several chemistries is None."""
    found: list[Line] = []
    for row, node in enumerate(below(topology, place, depth).nodes.tolist()):
        for kind, metric in enumerate(METRICS):
            one = None if topology.is_leaf(node) else worst(topology, frame, node, metric)
            if one is None or one.low_node == node:
                continue
            leaves = topology.leaves(node)
            alike = metric != "voltage_v" or len(set(topology.chemistry[leaves].tolist())) == 1
            delta = np.float32(one.high) - np.float32(one.low)
            spread = delta * np.float32(1000 if metric == "voltage_v" else 1)
            found.append((row, kind, one.low, one.high, float(spread) if alike else -1.0,
                          extremes.short(topology, node, one.low_node),
                          extremes.short(topology, node, one.high_node)))
    return found


def lines(table: pa.Table) -> list[Line]:
    assert table.schema == EXTREMES
    return [(one["row"], one["kind"], one["low"], one["high"],
             -1.0 if math.isnan(one["spread"]) else one["spread"], one["low_at"], one["high_at"])
            for one in table.to_pylist()]


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from((1, 2, 3, 0)))
def test_every_element_of_a_scene_tells_its_lowest_and_its_highest(seed: int, depth: int) -> None:
    topology, frame = random_site(seed)
    places = np.flatnonzero(topology.child_count > 0)
    for place in {0, int(places[-1]), int(places[places.size // 2])}:
        found = lines(tips.table(below(topology, place, depth), frame))
        assert found == searched(topology, frame, place, depth)


def test_a_hundred_elements_tell_it_too_and_in_the_unit_that_is_asked_for() -> None:
    topology = Topology(DEFAULT_LEVELS, [system(number) for number in range(100)])
    size = topology.size
    warm = np.arange(size, dtype=np.float32) / 10
    frame = Frame(NOON, {"temperature_c": warm, "voltage_v": np.full(size, np.nan, np.float32),
                         "soc_pct": np.full(size, np.nan, np.float32)},
                  np.zeros(size, np.float32), np.zeros(size, bool), np.ones(size, np.float32),
                  np.zeros(size, np.uint8))
    rows = below(topology, 0)
    celsius, fahrenheit = tips.table(rows, frame), tips.table(rows, frame, "F")
    assert celsius.column("row").to_pylist() == list(range(100))
    assert set(celsius.column("low_at").to_pylist()) == {"C0 · R0 · M0 · Cell 0"}
    low = celsius.column("low").to_numpy()
    assert fahrenheit.column("low").to_numpy() == pytest.approx(low * 1.8 + 32)
    spread = celsius.column("spread").to_numpy()
    assert fahrenheit.column("spread").to_numpy() == pytest.approx(spread * 1.8)


def test_the_words_have_the_units_and_digits_of_the_details() -> None:
    assert [(one["label"], one["unit"], one["decimals"], one["spread_unit"],
             one["spread_decimals"]) for one in tips.readings("F")] == [
        ("Voltage", "V", 3, "mV", 0), ("Temp.", "°F", 1, "°F", 1), ("SOC", "%", 1, "%", 1)]
    assert tips.readings()[1]["spread_unit"] == "K"
