"""A site whose two packs lived some hours that was made from the curves, and its twin beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.api_client import LocalClient
from core.clock import ManualClock
from core.config import Config, SourceConfig
from core.engine import Engine
from core.runtime import Runtime
from core.topology import DEFAULT_LEVELS
from core.twin.ahead import Planned
from core.twin.desk import TwinDesk
from core.twin.rounds import FIRST_S
from core.twin.tasks import ForecastTask, WindowAnswer, WindowResult, WindowTask, column
from core.twin.trend import TrendStore
from store.embedded import EmbeddedStore
from store.twin import PredictionDatabase
from tests.components.twin_site import StandingPhysics, aged
from tests.core.sites import NOON, ScriptedReadings, system
from tests.twin.cells import NMC, live, lively

GOOD, TURNED = ("system_0_cluster_0_rack_0_module_0", "system_0_cluster_0_rack_0_module_1")
STEP_S, ROWS, CELLS = 30.0, 330, 3
AH = 1000.0 / NMC.nominal_v
AHEAD_V = 3.71


@dataclass
class DeskSite:
    """TURNED tells its current with the other sign. Its clock goes on by `live`. plans: what packs
    are to do next."""

    clock: ManualClock
    source: ScriptedReadings
    engine: Engine
    desk: TwinDesk
    physics: StandingPhysics
    client: LocalClient
    plans: dict[str, Planned]
    soh_pct: float = 95.0
    row: int = 0

    def live(self, rows: int, turns: bool = True) -> None:
        """So many steps of half a minute."""
        for _ in range(rows):
            current_a, volts, soc_pct = (float(values[self.row]) for values in LIVED)
            for pack, sign in ((GOOD, 1.0), (TURNED, -1.0)):
                self.source.set(pack, {"current_a": sign * current_a, "soc_pct": soc_pct,
                                       "voltage_v": CELLS * volts, "soh_pct": self.soh_pct})
            self.source.set_cells({"voltage_v": volts, "soc_pct": soc_pct, "temperature_c": 25.0})
            self.clock.advance(STEP_S)
            self.engine.tick()
            if turns:
                self.desk.turn()
            self.row += 1

    def answer(self) -> list[WindowTask]:
        """All windows that were asked."""
        open_ = [task for task in self.physics.open() if isinstance(task, WindowTask)]
        for task in open_:
            self.physics.settle(task, WindowResult(
                id=task.id, chemistry=task.chemistry, model="SPM", time_s=task.time_s,
                step_s=task.step_s, parameter_set="one for tests", cpu_s=0.01,
                answers=tuple(answer_of(pack.pack) for pack in task.packs)))
        return open_

    def age(self, loss: float) -> None:
        """Until the first ageing run, which answers with a loss of `loss` a year, is taken in."""
        self.live(20)
        self.answer()
        self.clock.advance(FIRST_S)
        self.live(3)
        (task,) = [task for task in self.physics.open() if isinstance(task, ForecastTask)]
        self.physics.settle(task, aged(task, loss))
        self.live(2)

    def close(self) -> None:
        self.desk.stop()
        self.engine.stop()


def answer_of(pack: str) -> WindowAnswer:
    points = np.full(31, AHEAD_V, np.float32)
    ahead_s = np.arange(30.0, 901.0, 30.0)
    return WindowAnswer(
        pack=pack, voltage_v=column(points), residual_rms_mv=4.0, residual_mean_mv=1.0,
        residual_most_mv=9.0, end_soc=0.7, plan_a=0.0, ahead_s=column(ahead_s),
        ahead_v=column(np.full(ahead_s.size, AHEAD_V)), ahead_soc=column(
            np.linspace(0.7, 0.6, ahead_s.size)),
        states={"negative_surface": column(points / 5), "negative_mean": column(points / 6)})


def _lived() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    made = live(NMC, AH, lively(AH, ROWS, mean_c=0.2, seed=3), soc=0.85, step_s=STEP_S)
    return made.record.current_a, made.record.voltage_v, 100.0 * made.soc


LIVED = _lived()


def desk_site(folder: Path, physics: StandingPhysics | None = None,
              history: bool = True, trends: TrendStore | None = None,
              soh_pct: float = 95.0) -> DeskSite:
    """Nothing is known of it yet, but for trends. soh_pct: as its devices report it, NaN = not."""
    clock = ManualClock(NOON)
    root = system(0, modules=2, cells=CELLS, chemistry="NMC")
    rack = root.children[0].children[0]
    for module in rack.children:
        module.arrangement, module.measured = "series", True
    source = ScriptedReadings([root])
    engine = Engine(DEFAULT_LEVELS, [source], clock)
    if history:
        engine.attach(EmbeddedStore(folder / "history", engine.topology, clock=clock))
    asked = physics or StandingPhysics()
    plans: dict[str, Planned] = {}
    desk = TwinDesk(engine, asked, PredictionDatabase(folder / "twin.sqlite", clock),
                    trends=trends, plans=lambda: plans)
    config = Config(sources=[SourceConfig("fleet", "fleet")], file="orrery.toml")
    client = LocalClient(Runtime(config, engine, (), None, desk))
    return DeskSite(clock, source, engine, desk, asked, client, plans, soh_pct)
