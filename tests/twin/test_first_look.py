"""The first look at a pack counts its charge through the days before, once they are written, and
so finds a capacity that no six hours tell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from core.clock import ManualClock
from core.engine import Engine
from core.frames import Frame, Reading, empty_columns
from core.topology import DEFAULT_LEVELS
from core.twin.desk import TwinDesk
from core.twin.trend import TrendsInMemory
from store.embedded import EmbeddedStore
from tests.components.twin_site import StandingPhysics
from tests.core.sites import NOON, ScriptedReadings, system
from tests.twin.cells import NMC
from tests.twin.test_counting import AH, HELD, current_of_days, record_of

PACK = "system_0_cluster_0_rack_0_module_0"
RATED_AH = 1000.0 / NMC.nominal_v
CELLS = 2


class Site:
    """A pack of which history knows nothing until `write`."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(NOON)
        root = system(0, modules=1, cells=CELLS, chemistry="NMC")
        (module,) = root.children[0].children[0].children
        module.measured = True
        self.engine = Engine(DEFAULT_LEVELS, [ScriptedReadings([root])], self.clock)
        self.store = EmbeddedStore(folder, self.engine.topology, clock=self.clock)
        self.engine.attach(self.store)
        self.comes, self.trends = True, TrendsInMemory()
        self.desk = TwinDesk(self.engine, StandingPhysics(), past_comes=lambda: self.comes,
                             trends=self.trends)

    def write(self) -> None:
        """The day before now."""
        self.store.backfill(self._frames(), lambda reached: None)
        self.comes = False

    def _frames(self) -> Iterator[Frame]:
        record = record_of(current_of_days(1))
        node = self.engine.topology.index(PACK)
        assembler = self.engine.new_assembler()
        for row in range(0, record.time_s.size, 2):
            columns = empty_columns(self.engine.topology.size)
            columns["current_a"][node] = record.current_a[row] * RATED_AH / AH
            columns["voltage_v"][node] = CELLS * record.voltage_v[row]
            when = NOON - timedelta(minutes=record.time_s.size - row)
            assembler.apply(0, Reading(when, columns))
            yield assembler.frame(when)

    def look(self) -> None:
        self.clock.advance(30.0)
        self.desk.study(PACK)
        self.desk.turn()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.desk.stop()
    made.engine.stop()


def test_a_capacity_comes_with_the_first_look_after_the_past_was_written(site: Site) -> None:
    site.engine.tick()
    site.look()
    assert site.trends.find([PACK])[PACK].count.rests == ()
    assert np.isnan(site.trends.find([PACK])[PACK].count.until_s), "what comes is not skipped"
    site.write()
    site.look()
    judged = site.desk.site().judged[PACK]
    assert site.desk.error == ""
    assert judged.capacity.low < HELD < judged.capacity.high
    assert judged.capacity.sigma < 0.1
    assert judged.soh.known
    count = site.trends.find([PACK])[PACK].count
    assert NOON.timestamp() - count.until_s < 300.0
    assert count.rests
