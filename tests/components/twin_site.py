"""One pack of a twin without an engine for tests of the twin's panels: a cell whose past was made
from the curves themselves, and a physics whose tasks stand where the test puts them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from core.alarms.records import AuditEntry
from core.config import Config, SourceConfig
from core.errors import RetryLaterError, UnknownIdError
from core.ports import Series
from core.twin.agenda import Due
from core.twin.desk import Foretold
from core.twin.interval import Interval
from core.twin.kept import Kind, Own, ParameterFile, Recording, Shelf
from core.twin.models import Floats, cell_model
from core.twin.past import Past, Plate
from core.twin.ports import Physics, TaskState
from core.twin.record import Record
from core.twin.rounds import Foreseen
from core.twin.study import Study, studies_of
from core.twin.tasks import (
    ForecastResult,
    ForecastTask,
    Result,
    Task,
    WindowAnswer,
    check_task,
    column,
    failure,
)
from core.twin.windows import Window
from tests.twin import cells

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
STEP_S = 60.0
PACK = "system_0_cluster_0_rack_0_module_0"


class StandingPhysics:
    """`core.twin.ports.Physics`; a task goes on when `settle` or `tell` says so."""

    def __init__(self, missing: str = "") -> None:
        self.missing, self.full = missing, False
        self.tasks: dict[str, Task] = {}
        self._states: dict[str, TaskState] = {}

    def ask(self, task: Task, urgency: float = 0.0) -> TaskState:
        check_task(task)
        if self.full:
            raise RetryLaterError("20000 tasks of the twin wait already; ask again later")
        self.tasks[task.id] = task
        self._states[task.id] = TaskState(task.id, "waiting", place=1)
        return self._states[task.id]

    def state(self, task_id: str) -> TaskState:
        if task_id not in self._states:
            raise UnknownIdError(task_id)
        return self._states[task_id]

    def states(self) -> Sequence[TaskState]:
        return list(self._states.values())

    def tell(self, share: float, words: str) -> None:
        """All that are not settled run, so far."""
        for task_id, state in self._states.items():
            if not state.settled:
                self._states[task_id] = replace(state, standing="running", share=share,
                                                words=words, place=None)

    def settle(self, task: Task, result: Result) -> None:
        self._states[task.id] = TaskState(task.id, "failed" if result.failed else "done", 1.0,
                                          result.failed, result=result)

    def open(self) -> list[Task]:
        """Those that are not settled."""
        return [self.tasks[task_id] for task_id, state in self._states.items()
                if not state.settled]

    def cancel(self, task_id: str) -> TaskState:
        self._states[task_id] = replace(self.state(task_id), standing="cancelled",
                                        words="it was cancelled")
        return self._states[task_id]

    def fail(self, task: Task, words: str) -> None:
        self.settle(task, failure(task, words))

    def forget(self, task_id: str) -> None:
        self._states.pop(task_id, None)

    def close(self) -> None:
        """Nothing runs."""


class TwinSite:
    """`components.twin.subject.TwinClient` of one pack that lived `hours`, at rest or in cycles.

    soh: as its devices tell it, a share a day from the oldest on.
    """

    def __init__(self, chemistry: str = "NMC", hours: float = 6.0, depth: float = 0.7,
                 physics: Physics | str | None = None, soh: Sequence[float] = ()) -> None:
        self.physics: Physics | str = StandingPhysics() if physics is None else physics
        self.plate = Plate(7, PACK, chemistry, cell_model(chemistry), 50.0, 16, True)
        self.window: Window | None = None
        self.foreseen, self.shelf = Foreseen(), Shelf()
        self.config = Config(sources=[SourceConfig("fleet", "fleet")], file="orrery.toml")
        self.watched: list[tuple[str, str, str]] = []
        self.audited: list[AuditEntry] = []
        self.ready = True
        self.reads = 0
        self._soh = np.array(soh, dtype=np.float64)
        self.clock_s = 0.0
        self.live(hours, depth)

    def live(self, hours: float, depth: float) -> None:
        """Have another past."""
        self._record, self._soc = self._lived(hours, depth)
        self.__dict__.pop("_study", None)

    def sleep(self, from_hour: float, to_hour: float) -> None:
        """Nobody wrote its past between these hours of it."""
        hour = (self._record.time_s - self._record.time_s[0]) / 3600.0
        awake = (hour < from_hour) | (hour >= to_hour)
        self._record = Record(*(column[awake] for column in (
            self._record.time_s, self._record.current_a, self._record.voltage_v)))
        self._soc = self._soc[awake]
        self.__dict__.pop("_study", None)

    def tell_other_volts(self, from_row: int, off_v: float) -> None:
        """Have measured so much more [V] from there on."""
        volts = self._record.voltage_v.copy()
        volts[from_row:] += off_v
        self._record = replace(self._record, voltage_v=volts)
        self.__dict__.pop("_study", None)

    def _lived(self, hours: float, depth: float) -> tuple[Record, Floats]:
        rows = int(3600 * hours / STEP_S)
        one = cells.day(self.plate.rated_ah, depth, step_s=STEP_S) if depth else np.zeros(rows)
        current = np.resize(one, rows)
        made = cells.live(self.plate.model, self.plate.rated_ah, current, 0.9, step_s=STEP_S,
                    noise_v=0.001)
        time_s = made.record.time_s - made.record.time_s[-1] + NOW.timestamp()
        return replace(made.record, time_s=time_s), made.soc

    @property
    def stock(self) -> StandingPhysics:
        assert isinstance(self.physics, StandingPhysics)
        return self.physics

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.clock_s)

    def snapshot(self) -> Any:
        """Of which the panels ask the reported health alone."""
        told = 100 * self._soh[-1] if self._soh.size else math.nan
        return SimpleNamespace(frame=SimpleNamespace(value=lambda metric, node: told))

    def twin_plate(self, pack: str) -> Plate:
        if pack != PACK:
            raise UnknownIdError(pack)
        return self.plate

    def twin_study(self, pack: str) -> Study | None:
        return self._study if self.ready else None

    @cached_property
    def _study(self) -> Study:
        past = Past(self._record, np.full(self._record.time_s.size, 24.0), 100 * self._soc, 1.0)
        return studies_of([self.plate], [past], [self._reported()], [Interval.of(1.1, 0.05)],
                          NOW)[0]

    def _reported(self) -> Series:
        days = np.arange(self._soh.size) - self._soh.size + 1.0
        told = (100 * self._soh).astype(np.float32)
        return Series(PACK, "soh_pct", NOW.timestamp() + 86_400 * days, told, told, told, 86_400.0)

    def twin_window(self, pack: str) -> Window | None:
        return self.window

    def twin_window_due(self, pack: str) -> Due:
        return Due(pack, NOW + timedelta(minutes=4), 3)

    def twin_predictions(self, pack: str) -> Foretold:
        return Foretold(None, ())

    def twin_foreseen(self, pack: str) -> Foreseen:
        return self.foreseen

    def twin_own(self, pack: str) -> Own:
        return self.shelf.own(pack, self.plate.chemistry)

    def twin_outlives(self) -> bool:
        return self.shelf.outlives

    def twin_watch(self, pack: str, task_id: str, by: str) -> None:
        self.watched.append((pack, task_id, by))

    def twin_keep(self, told: ParameterFile | Recording) -> None:
        self.shelf.keep(told)

    def twin_drop(self, kind: Kind, name: str) -> None:
        self.shelf.drop(kind, name)

    def audit(self, entry: AuditEntry) -> None:
        self.audited.append(entry)

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]:
        self.reads += 1
        told = {"current_a": self._record.current_a, "soc_pct": 100 * self._soc,
                "temperature_c": np.full(self._soc.size, 24.0)}
        return [Series(PACK, name, self._record.time_s, *[told[name].astype(np.float32)] * 3,
                       STEP_S) for name in metrics]


def aged(task: ForecastTask, loss_a_year: float = 0.025) -> ForecastResult:
    """An ageing run that loses by the square root of time, most to the film on the graphite."""
    days = np.linspace(1, task.days, 120)
    lost = loss_a_year * np.sqrt(days / 365.25)
    return ForecastResult(
        id=task.id, parameter_set="OKane2022: LG M50, 5 Ah",
        origin="own", calibrated=bool(task.parameters), days=column(days),
        cycles=column(days * task.usage.depth), capacity=column(1.0 - lost), sei=column(0.8 * lost),
        plating=column(0.0 * lost), lam_negative=column(0.1 * lost),
        lam_positive=column(0.05 * lost), loss_pct=100 * float(lost[-1]),
        dominates="the film on the graphite (SEI)", solved_days=120, jump=task.jump, cpu_s=9.0)


def window(failed: str = "") -> Window:
    """Five minutes at 10 s under a current that steps."""
    at = np.arange(31.0)
    current = np.where(at // 6 % 2, 10.0, -5.0)
    volts = 3.7 - 0.002 * current
    states = {"negative_surface": 0.5 - at / 1000, "negative_mean": 0.49 - at / 1000,
              "positive_surface": 0.4 + at / 1000, "positive_mean": 0.41 + at / 1000,
              "ocv_v": 3.71 + 0 * at, "negative_reaction_v": current / 1000,
              "positive_reaction_v": -current / 1200, "temperature_c": 24.0 + at / 100,
              "heat_w": 0.002 * current ** 2}
    answer = WindowAnswer(pack=PACK, failed=failed, voltage_v=column(volts + 0.004),
                          residual_rms_mv=4.0, residual_mean_mv=-4.0, residual_most_mv=-4.0,
                          states={name: column(values) for name, values in states.items()})
    return Window(answer, "OKane2022: LG M50", "SPM", NOW.timestamp() - 300 + 10 * at, current,
                  volts, np.where(at % 3, np.nan, 24.0 + at / 150))
