"""Golden frames: the demo's seed gives these numbers, to the engine's published frame.

They were written down on 2026-11-21 from this very code; a change that moves them must say why.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.clock import ManualClock
from core.engine import Engine
from core.topology import DEFAULT_LEVELS
from sim.fleet import Options, create

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
CELL = "system_1_cluster_0_rack_1_module_0_cell_3"
GOLDEN = [
    (0, "poc_main", {"power_kw": -102.4772, "soc_pct": 64.5948, "temperature_c": 28.5428}),
    (0, "system_1", {"power_kw": -129.4041, "soc_pct": 48.0033, "voltage_v": 241.1446,
                     "current_a": -536.6245, "temperature_c": 28.5639, "soh_pct": 92.1757}),
    (0, CELL, {"power_kw": -0.1840, "soc_pct": 47.7596, "voltage_v": 3.7539,
               "current_a": -49.0043, "temperature_c": 27.8693, "soh_pct": 92.6570}),
    (60, "poc_main", {"power_kw": -264.7961, "soc_pct": 64.6607, "temperature_c": 28.3980}),
    (60, "system_1", {"power_kw": -64.3288, "soc_pct": 48.0980, "voltage_v": 240.3350}),
    (60, CELL, {"power_kw": -0.0914, "voltage_v": 3.7414, "temperature_c": 27.6461}),
]


@pytest.mark.parametrize(("after_s", "node_id", "numbers"), GOLDEN)
def test_the_demo_seed_gives_the_golden_frame(after_s: int, node_id: str,
                                              numbers: dict[str, float]) -> None:
    clock = ManualClock(START)
    fleet = create("fleet", Options(seed=7), DEFAULT_LEVELS)
    engine = Engine(DEFAULT_LEVELS, [fleet], clock)
    frame = engine.tick().frame
    if after_s:
        clock.advance(after_s)
        frame = engine.tick().frame
    node = engine.topology.index(node_id)
    assert engine.topology.size == 3712
    for metric, expected in numbers.items():
        assert frame.value(metric, node) == pytest.approx(expected, rel=1e-4, abs=1e-3), metric
