"""The digital twin of this process's site: beside the engine, on a thread of its own, so that no
tick waits for it and nothing of it stops one."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from core.clock import from_epoch, has_passed
from core.engine import Engine
from core.errors import OrreryError, RetryLaterError, UnknownIdError
from core.ports import Store
from core.topology import IndexArray
from core.twin.agenda import Agenda
from core.twin.agenda import Due as AgendaDue
from core.twin.ahead import Plans, nobody
from core.twin.interval import UNKNOWN, Interval
from core.twin.jumps import ClockJumps
from core.twin.kept import Shelf, calibration_of
from core.twin.life import life_figures
from core.twin.models import Floats
from core.twin.past import Past, Plate, back, pasts_of, plate_of
from core.twin.ports import Physics
from core.twin.predictions import Prediction, PredictionStore, Score
from core.twin.record import Record
from core.twin.rounds import Foreseen, Rounds, Times
from core.twin.study import Judged, Study, capacity_left, noted, promised, recounted, studies_of
from core.twin.tasks import CalibrationResult
from core.twin.tree import PackEstimate, PackTable, TreeTwin
from core.twin.trend import NO_TREND, Trend, TrendsInMemory, TrendStore, remembered
from core.twin.windows import SITE, Window, Windows, key_of

log = logging.getLogger(__name__)

SPAN_S = 6 * 3600.0
"""Of the past that a pack is judged by."""
COUNTED_S, REST_READ_S = 2 * 86_400.0, 3600.0
"""So far back charge is counted that was not yet, and so long before it a rest is looked for."""
JUDGED_EVERY_S = 300.0
JUDGED_BUSY = 0.08
"""Share of one processor that judging may take: a pack takes some 20 ms, so that a thousand are
judged every five minutes; of more each says when its turn comes."""
JUDGED_AT_ONCE = 16
MOST_SOH = 400
"""Points of the health that was reported in the past."""
STUDIES = 48
"""Kept whole, the newest."""
FRESH_S, SOON_S = 60.0, 5.0
"""So old may a study be that somebody looks at, and one that had too little to go by."""
DOUBTED_EVERY = 30
"""Turns."""
TOLD = timedelta(days=30)
"""Of predictions that are scored."""
DOUBTS = frozenset({"drifting", "sign_inverted", "wrong_chemistry", "outside_window",
                    "does_not_fit"})


@dataclass(frozen=True, slots=True)
class Foretold:
    """newest: of one pack, None before the first. scores: by how far ahead, of this pack over the
    last 30 days."""

    newest: Prediction | None
    scores: Sequence[Score]


LIFE = ("life_years", "life_cycles", "life_capacity", "life_forecast")
"""Until 80 %: time, equivalent full cycles, from this capacity on (1 = new), and what its ageing
run weighs in it, its own fade the rest [0..1]."""
LIFE_SPAN = ("life_low", "life_high", "life_cycles_low", "life_cycles_high")
"""[years] and equivalent full cycles, inf = beyond what is told."""
FIGURES = ("soh_pct", "fade_pct_year", "fade_low", "fade_high", *LIFE, *LIFE_SPAN, "rms_mv",
           "coverage_pct", "doubted", "resistance", "resistance_sigma", "growth_year",
           "growth_sigma")
"""fade_low, fade_high: [% a year]; growth_year: of the resistance's multiple a year."""


@dataclass(frozen=True, slots=True)
class Site:
    """All packs at once. ids: of the packs; table: the filter's, in their order; judged: by pack,
    those that were; figures: FIGURES of them, in the table's order, NaN where not known; missing:
    what the physics lacks, "" where it runs; error: what fails now, in words; judged_every_s:
    from one verdict on a pack to its next [s]; due_s: when each is judged next [s since 1970], NaN
    while a past is still being written."""

    ids: Sequence[str]
    table: PackTable
    judged: Mapping[str, Judged]
    figures: Mapping[str, Floats]
    missing: str
    error: str
    judged_every_s: float
    due_s: Floats

    @property
    def doubted(self) -> IndexArray:
        """Nodes of the packs that the twin doubts."""
        nodes: IndexArray = self.table.packs[self.figures["doubted"] == 1]
        return nodes


class TwinDesk:
    """One a process. physics, predictions: None where `missing` says why."""

    def __init__(self, engine: Engine, physics: Physics, predictions: PredictionStore | None = None,
                 period_s: float = 300.0,
                 past_comes: Callable[[], bool] = lambda: False, shelf: Shelf | None = None,
                 times: Times | None = None, trends: TrendStore | None = None,
                 plans: Plans = nobody) -> None:
        """past_comes: true while a past is still being written; packs are judged and foreseen
        after it, but for those that somebody looks at. shelf: what is kept of packs, None = until
        the end of the process; times: of the rounds of ageing runs; trends: what was found of
        packs over the years, None as for the shelf; plans: what packs are to do next."""
        self.physics, self._past_comes = physics, past_comes
        self._engine, self._predictions = engine, predictions
        self._tree = TreeTwin(engine.topology)
        self._capacity: dict[str, float] = {}
        found = [plate_of(engine.topology, int(node)) for node in self._tree.packs]
        self.plates: Mapping[str, Plate] = {plate.id: plate for plate in found}
        self.shelf = shelf or Shelf()
        self._trends: TrendStore = trends or TrendsInMemory()
        self._windows = Windows(engine.clock, self.plates, physics, predictions, period_s,
                                self.shelf, plans)
        self._rounds = Rounds(engine.clock, self.plates, physics, self._fitted,
                              times or Times())
        self._jumps = ClockJumps()
        self._calibrating: dict[str, tuple[str, str]] = {}
        self._agenda = Agenda(engine.clock, list(self.plates), JUDGED_EVERY_S, JUDGED_BUSY)
        self._due_s = np.full(len(self.plates), np.nan)
        self._table = self._tree.table()
        self._judged: dict[str, Judged] = {}
        self._figures = {name: np.full(len(self.plates), np.nan) for name in FIGURES}
        self._ids = tuple(self.plates)
        self._row = {pack: row for row, pack in enumerate(self.plates)}
        self._studies: OrderedDict[str, Study] = OrderedDict()
        self._wanted: OrderedDict[str, None] = OrderedDict()
        self._newest, self._turns, self._judge_at_s = -1, 0, 0.0
        self._errors: dict[str, str] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="twin", daemon=True)

    # -- what anybody may ask, at once

    @property
    def error(self) -> str:
        """What fails now, "" when all is well."""
        return next(iter(self._errors.values()), "") or self._windows.error

    def site(self) -> Site:
        return Site(self._ids, self._table, self._judged, self._figures, self.physics.missing,
                    self.error, self._agenda.period_s, self._due_s)

    def plate(self, pack: str) -> Plate:
        """Raises UnknownIdError."""
        try:
            return self.plates[pack]
        except KeyError:
            raise UnknownIdError(f"the twin knows no cells right below {pack[:80]!r}") from None

    def estimate(self, pack: str) -> PackEstimate:
        """Raises UnknownIdError."""
        with self._lock:
            return self._tree.estimate(self.plate(pack).node)

    def past(self, pack: str, span_s: float) -> Past:
        """Raises UnknownIdError, RetryLaterError where history cannot be read or there is none."""
        return pasts_of(self._store(), [self.plate(pack)],
                        *back(self._engine.clock.now(), span_s))[0]

    def study(self, pack: str) -> Study | None:
        """The newest; None while it is worked out, which takes a second. Raises UnknownIdError."""
        self.plate(pack)
        with self._lock:
            found = self._studies.get(pack)
            if found is None or has_passed(
                    SOON_S if found.judged.verdict.word == "too_little_data" else FRESH_S,
                    found.judged.at.timestamp(), self._engine.clock.now().timestamp()):
                self._wanted[pack] = None
        self._windows.want(pack)
        return found

    def window(self, pack: str) -> Window | None:
        """Raises UnknownIdError."""
        self.plate(pack)
        return self._windows.of(pack)

    def window_due(self, pack: str) -> AgendaDue:
        """Whoever asks looks at it. Raises UnknownIdError."""
        self._windows.want(self.plate(pack).id)
        return self._windows.due(pack)

    def foreseen(self, pack: str) -> Foreseen:
        """Its ageing run that came by itself. Raises UnknownIdError."""
        return self._rounds.of(self.plate(pack).id)

    def watch(self, pack: str, task_id: str, by: str) -> None:
        """A calibration that was asked for by somebody: what is accepted of it is kept. Raises
        UnknownIdError."""
        self._calibrating[task_id] = self.plate(pack).id, by

    def foretold(self, pack: str) -> Foretold:
        """Raises UnknownIdError, RetryLaterError."""
        key = key_of(self.plate(pack).id)
        if self._predictions is None:
            return Foretold(None, ())
        now = self._engine.clock.now()
        return Foretold(self._predictions.newest(SITE, key, now),
                        self._predictions.scores(SITE, now - TOLD, key))

    # -- the thread

    def start(self) -> None:
        if self.plates:
            self._thread.start()

    def stop(self) -> None:
        """End the thread, then the physics and its children; safe to call twice."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.physics.close()
        if self._predictions is not None:
            self._predictions.close()
        self._trends.close()

    def _run(self) -> None:
        while not self._engine.clock.wait(self._engine.period_s, self._stop):
            self.turn()

    def turn(self) -> None:
        """What there is to do now; called by the thread, and by tests directly."""
        self._turns += 1
        self._guarded("estimates", self.take)
        self._guarded("calibrations", self._keep_accepted)
        if self._turns == 1:
            self._guarded("order", self._order)
            self._guarded("capacities", lambda: self._count_by(self._trends.find(self._ids)))
        if self._engine.store is None:
            return
        self._guarded("windows", self._physics)
        self._guarded("predictions", lambda: self._windows.meet(self._store()))
        self._guarded("verdicts", self._judge)
        if not self._past_comes():
            self._guarded("forecasts", self._foresee)

    def _guarded(self, name: str, part: Callable[[], None]) -> None:
        """What fails is said once and tried again at the next turn."""
        try:
            part()
        except Exception as error:  # noqa: BLE001 - the other parts go on
            words = str(error) if isinstance(error, OrreryError) else \
                f"unexpected {type(error).__name__}: {error}"
            if self._errors.get(name) != words:
                log.warning("twin, %s: %s", name, words,
                            exc_info=None if isinstance(error, OrreryError) else error)
            self._errors[name] = words
        else:
            self._errors.pop(name, None)

    def _store(self) -> Store:
        if self._engine.store is None:
            raise RetryLaterError(self._engine.history_error or "history is turned off; a twin "
                                  "without a past estimates charge and resistance alone")
        return self._engine.store

    def take(self) -> None:
        """The engine's newest frame, where it is new."""
        snapshot = self._engine.snapshot
        if snapshot.number == self._newest:
            return
        self._newest = snapshot.number
        self._jumps.see(snapshot.frame.time)
        with self._lock:
            self._tree.take(snapshot.frame)
            self._table = self._tree.table()

    def _order(self) -> None:
        """Of the first round: what is reported least healthy goes first."""
        lost = 100.0 - self._engine.snapshot.frame.columns["soh_pct"][self._tree.packs]
        for pack, how_much in zip(self._ids, np.nan_to_num(lost).tolist(), strict=True):
            self._agenda.doubt(pack, how_much)

    def _physics(self) -> None:
        table, ids = self._table, self._engine.topology.ids
        if self._turns % DOUBTED_EVERY == 1:
            known = np.isfinite(table.residual_v)
            self._windows.doubt((ids[node], abs(off)) for node, off in zip(
                table.packs[known].tolist(), table.residual_v[known].tolist(), strict=True))
        self._windows.collect()
        self._windows.ask(self._store(), self._charges, self._holds)

    def _charges(self, pack: str) -> float:
        """0..1, NaN where it is not known."""
        return self.estimate(pack).soc_pct.value / 100.0

    def _holds(self, pack: str) -> float:
        """Share of the rated capacity by which its charge is counted, NaN = as rated."""
        with self._lock:
            return self._capacity.get(pack, math.nan)

    def _judge(self) -> None:
        """Those that somebody looks at, and, as far as JUDGED_BUSY allows, the next."""
        with self._lock:
            packs = list(self._wanted)[:JUDGED_AT_ONCE]
            for pack in packs:
                del self._wanted[pack]
        now_s = self._engine.clock.monotonic_s()
        if not packs and now_s >= self._judge_at_s and not self._past_comes():
            packs = self._agenda.take(JUDGED_AT_ONCE)
        if not packs:
            if self._turns % DOUBTED_EVERY == 1:
                self._tell_dues()
            return
        began_s = time.thread_time()
        try:
            self._study(packs)
        finally:
            took_s = time.thread_time() - began_s
            self._agenda.done(packs, took_s)
            self._judge_at_s = now_s + took_s / JUDGED_BUSY
            self._tell_dues()

    def _tell_dues(self) -> None:
        self._due_s = np.full(len(self.plates), np.nan) if self._past_comes() else \
            self._agenda.dues_s()

    def _keep_accepted(self) -> None:
        """Raises RetryLaterError; what could not be written is tried again."""
        for task_id, (pack, by) in list(self._calibrating.items()):
            try:
                state = self.physics.state(task_id)
            except UnknownIdError:
                del self._calibrating[task_id]
                continue
            if not state.settled:
                continue
            result = state.result
            if isinstance(result, CalibrationResult) and result.accepted:
                self.shelf.keep(calibration_of(result, self.plates[pack].chemistry, by,
                                               self._engine.clock.now().timestamp()))
            del self._calibrating[task_id]

    def _fitted(self, pack: str) -> Mapping[str, float]:
        """What an ageing run begins with of a calibration, {} without one."""
        return self.shelf.own(pack, self.plates[pack].chemistry).fitted_to_age

    def _foresee(self) -> None:
        """The ageing runs that come by themselves, and what they say of lives."""
        for pack in self._rounds.turn(self._store(), self._least_healthy):
            self._tell_life(pack)

    def _least_healthy(self) -> Sequence[str]:
        """All packs, the least healthy first, those of which nothing is known last."""
        found: Sequence[str] = [self._ids[row] for row in np.argsort(
            np.fmin(self._figures["soh_pct"], self._reported_soh()), kind="stable").tolist()]
        return found

    def _reported_soh(self) -> Floats:
        """[%], of all packs."""
        told = self._engine.snapshot.frame.columns["soh_pct"][self._tree.packs]
        return np.asarray(told, np.float64)

    def _tell_life(self, pack: str) -> None:
        """To 80 %, of its own fade, its ageing run, or both."""
        judged, row, foreseen = self._judged.get(pack), self._row[pack], self._rounds.of(pack)
        reported = float(self._reported_soh()[row]) / 100.0
        told = life_figures(
            foreseen.run, self.plates[pack].chemistry, None if judged is None else judged.fade,
            capacity_left(judged, reported),
            math.nan if foreseen.used is None or foreseen.words else foreseen.used.cycles)
        for name, value in zip((*LIFE, *LIFE_SPAN), told, strict=True):
            self._figures[name][row] = value

    def _study(self, packs: Sequence[str]) -> None:
        store, now = self._store(), self._engine.clock.now()
        plates = [self.plates[pack] for pack in packs]
        pasts = pasts_of(store, plates, *back(now, SPAN_S))
        soh = store.series(packs, ["soh_pct"], datetime.fromtimestamp(0, UTC), now, MOST_SOH)
        found = self._trends.find(packs)
        trends = [found.get(pack, NO_TREND) for pack in packs]
        studies = studies_of(plates, pasts, soh, [self._resistance(pack) for pack in packs], now,
                             trends, self._uncounted(plates, trends, now))
        studies = [promised(study, self._rounds.of(plate.id).run, plate.chemistry, told)
                   for study, plate, told in zip(studies, plates, soh, strict=True)]
        if self._past_comes():  # what is written behind what was read would never be counted
            studies = [recounted(*one) for one in zip(studies, trends, strict=True)]
        self._guarded("trends", lambda: self._remember(
            {pack: study.trend for pack, study in zip(packs, studies, strict=True)
             if study.sound}))
        notes = self._jumps.notes(now - timedelta(seconds=SPAN_S))
        for pack, study in zip(packs, (noted(study, notes) for study in studies), strict=True):
            with self._lock:
                self._studies[pack] = study
                self._studies.move_to_end(pack)
            self._judged[pack] = study.judged
            for name, value in _figures(study.judged).items():
                self._figures[name][self._row[pack]] = value
            self._tell_life(pack)
            rms_mv = study.judged.rms_mv
            self._agenda.doubt(pack, 0.0 if math.isnan(rms_mv) else rms_mv)
        with self._lock:
            while len(self._studies) > STUDIES:
                self._studies.popitem(last=False)

    def _uncounted(self, plates: Sequence[Plate], trends: Sequence[Trend],
                   now: datetime) -> list[Record | None]:
        """Of packs whose charge was not counted for longer than a study reads: at their first one,
        after a pause, or in a fleet whose round takes so long."""
        least_s, reads_s = (now.timestamp() - span_s for span_s in (COUNTED_S, SPAN_S))
        since_s = np.maximum(least_s, np.nan_to_num(
            [trend.count.until_s - REST_READ_S for trend in trends], nan=least_s))
        late = np.flatnonzero(since_s < reads_s).tolist()
        found: list[Record | None] = [None] * len(plates)
        if late:
            begins_s = float(since_s[late].min())
            minutes = int((now.timestamp() - begins_s) // 60.0) + 2
            pasts = pasts_of(self._store(), [plates[row] for row in late], from_epoch(begins_s),
                             now, minutes)
            for row, past in zip(late, pasts, strict=True):
                found[row] = past.record
        return found

    def _remember(self, trends: Mapping[str, Trend]) -> None:
        """Raises RetryLaterError where they cannot be kept; charge is counted by them then too."""
        self._count_by(trends)
        self._trends.keep(trends)

    def _count_by(self, trends: Mapping[str, Trend]) -> None:
        """Charge is counted with the capacity that packs have."""
        now_s = self._engine.clock.now().timestamp()
        found = {pack: remembered(trend.capacity, now_s) for pack, trend in trends.items()}
        shares = {pack: one.capacity.value for pack, one in found.items() if one.counts}
        with self._lock:
            self._capacity |= shares
            self._tree.set_capacity({self.plates[pack].node: share
                                     for pack, share in shares.items()})

    def _resistance(self, pack: str) -> Interval:
        found = self.estimate(pack).resistance
        return found if found.known else UNKNOWN


def _figures(judged: Judged) -> dict[str, float]:
    fade, growth = judged.fade_year.times(100.0), judged.resistance_growth
    return {"soh_pct": 100.0 * judged.soh.value, "fade_pct_year": fade.value,
            "fade_low": fade.low, "fade_high": fade.high,
            "growth_year": growth.value, "growth_sigma": growth.sigma,
            "resistance": judged.resistance.value, "resistance_sigma": judged.resistance.sigma,
            "rms_mv": judged.rms_mv,
            "coverage_pct": 100.0 * judged.coverage,
            "doubted": float(judged.verdict.word in DOUBTS)}
