"""Every five minutes the physics models each pack's last minutes and says what comes next; what
came is put beside it. Nothing here waits for a task."""

from __future__ import annotations

import hashlib
import logging
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from msgspec import structs

from core.clock import Clock, from_epoch
from core.errors import OrreryError, UnknownIdError
from core.ports import Store
from core.twin.agenda import Agenda
from core.twin.agenda import Due as AgendaDue
from core.twin.ahead import Planned, Plans, nobody
from core.twin.bands import with_intervals
from core.twin.kept import Own, Shelf
from core.twin.models import Floats
from core.twin.past import Plate, on_grid, pasts_of, warmth_on_grid
from core.twin.ports import Physics
from core.twin.predictions import (
    Due,
    Met,
    PredictionStore,
    keeps_plan,
    prediction_of,
)
from core.twin.record import filled, moved_ah
from core.twin.tasks import (
    COLDEST_C,
    WARMEST_C,
    Chemistry,
    Model,
    WindowAnswer,
    WindowPack,
    WindowResult,
    WindowTask,
    column,
    new_id,
)

log = logging.getLogger(__name__)

SITE = "here"
WINDOW_S, STEP_S, HORIZON_S = 300.0, 10.0, 900.0
STEPS = int(WINDOW_S // STEP_S) + 1
URGENCY = 10.0
WANTED_S, FIRST_S = 20.0, WINDOW_S
"""After the start: a window that somebody waits for, of what is known by then, and the first batch,
of which every window is whole."""
LEAST_KNOWN = 4
"""Points of a window with a current."""
AT_ONCE, MOST = 64, 2000
"""Packs that history is asked for in one question, and in one turn, which takes a second then."""
KEPT, LOOKED_S = 2000, 120.0
"""Windows in memory, the newest, and those of packs that somebody looked at so long ago at most."""
TRUTH_S = 30.0
"""A truth is a voltage so near to its moment."""
Charge = Callable[[str], float]
Set = tuple[Chemistry, str, Model]
"""Chemistry, text of a BPX file or "", and model."""
_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")


@dataclass(frozen=True, slots=True)
class Window:
    """One pack's last window. answer: what the model says of it (`failed` says why not); time_s:
    of its points, seconds since 1970; voltage_v, temperature_c: as measured there, current_a as
    given; plan: what it takes for granted of the time after it, "" = that its current stays."""

    answer: WindowAnswer
    parameter_set: str
    model: str
    time_s: Floats
    current_a: Floats
    voltage_v: Floats
    temperature_c: Floats
    plan: str = ""


class Windows:
    """For one thread; `want`, `of`, `due` and `error` for any. error: why packs had no window when
    it was last asked, in words, "" for none."""

    def __init__(self, clock: Clock, plates: Mapping[str, Plate], physics: Physics,
                 predictions: PredictionStore | None, period_s: float,
                 shelf: Shelf | None = None, plans: Plans = nobody) -> None:
        """shelf: by what packs are modelled instead of their chemistry's set; plans: what they are
        to do next."""
        self._plans = plans
        self._clock, self._plates, self._shelf = clock, plates, shelf or Shelf()
        self._physics, self._predictions = physics, predictions
        self.agenda = Agenda(clock, list(plates), period_s)
        self._asked: dict[str, Mapping[str, Window]] = {}
        self._found: OrderedDict[str, Window] = OrderedDict()
        self._began_s = clock.monotonic_s()
        self._wanted: set[str] = set()
        self._looked_s: dict[str, float] = {}
        self._hurried: frozenset[str] = frozenset()
        self._wanting = threading.Lock()
        self._lost: dict[str, str] = {}
        self.error = ""

    def want(self, pack: str) -> None:
        """Somebody looks at it: where it has no window it goes first."""
        with self._wanting:
            self._looked_s[pack] = self._clock.monotonic_s()
            if pack not in self._found:
                self._wanted.add(pack)

    def of(self, pack: str) -> Window | None:
        """None before its first window is back."""
        return self._found.get(pack)

    def due(self, pack: str) -> AgendaDue:
        """Of a pack that somebody looks at, when it is asked next. Raises UnknownIdError."""
        found, first_s = (self.agenda.due(pack), FIRST_S) if pack in self._found else \
            (self.agenda.hurried(pack), WANTED_S)
        begins = self._clock.now() + timedelta(seconds=first_s - self._passed_s())
        return replace(found, at=max(found.at, begins))

    def _passed_s(self) -> float:
        """Since the start, whatever became of the wall clock (law 3)."""
        return self._clock.monotonic_s() - self._began_s

    def doubt(self, packs: Iterable[tuple[str, float]]) -> None:
        """The greater, the sooner."""
        for pack, how_much in packs:
            self.agenda.doubt(pack, how_much)

    # -- asking

    def ask(self, store: Store, soc: Charge, holds: Charge) -> None:
        """The packs that are due. soc: of a pack now, 0..1, holds: what it holds now by which that
        is counted, share of the rated capacity; NaN = not known."""
        if self._asked or self._physics.missing:
            return
        packs = self._next()
        try:
            self._ask_all(store, packs, soc, holds)
        finally:  # whatever failed: what is not asked now is due again
            asked = {pack for windows in self._asked.values() for pack in windows}
            self.agenda.done([pack for pack in packs if pack not in asked])

    def _ask_all(self, store: Store, packs: Sequence[str], soc: Charge, holds: Charge) -> None:
        """A task for each set; one that cannot be asked leaves the others."""
        plans = self._plans() if packs else {}
        for (chemistry, bpx, model), mine in self._alike(packs).items():
            task = WindowTask(
                id=new_id(), chemistry=chemistry, bpx=bpx, model=model, packs=(),
                time_s=self._clock.now().timestamp(), step_s=STEP_S, horizon_s=HORIZON_S)
            try:
                self._ask(store, task, mine, soc, holds, plans)
            except Exception as error:  # noqa: BLE001 - packs of the other sets are asked
                known = isinstance(error, OrreryError)
                words = error if known else f"unexpected {type(error).__name__}: {error}"
                self._fails(mine, f"no window of {len(mine)} packs of {chemistry}: {words}",
                            None if known else error)

    def _alike(self, packs: Sequence[str]) -> Mapping[Set, Mapping[str, Own]]:
        """Those that one batch can model. A calibration was of the SPMe."""
        found: dict[Set, dict[str, Own]] = {}
        for pack in packs:
            chemistry = self._plates[pack].chemistry
            own = self._shelf.own(pack, chemistry)
            alike: Set = (chemistry, "" if own.file is None else own.file.text,  # type: ignore[assignment]
                          "SPMe" if own.fitted else "SPM")
            found.setdefault(alike, {})[pack] = own
        return found

    def _next(self) -> list[str]:
        """Those that somebody looks at, and, after FIRST_S, those that are due."""
        passed_s = self._passed_s()
        if passed_s < WANTED_S:
            return []
        with self._wanting:
            wanted = sorted(pack for pack in self._wanted if pack not in self._found)
            first = self.agenda.hurry(wanted[:MOST])
            self._wanted = set(wanted).difference(first)
        self._hurried = frozenset(first)
        return first if passed_s < FIRST_S else [*first, *self.agenda.take(MOST - len(first))]

    def _ask(self, store: Store, task: WindowTask, owns: Mapping[str, Own], soc: Charge,
             holds: Charge, plans: Mapping[str, Planned]) -> None:
        end = from_epoch(task.time_s)
        told = [self._plates[pack] for pack in owns]
        windows: dict[str, Window] = {}
        packs: list[WindowPack] = []
        for at in range(0, len(told), AT_ONCE):
            some = told[at:at + AT_ONCE]
            pasts = pasts_of(store, some, end - timedelta(seconds=WINDOW_S + STEP_S), end)
            for plate, past in zip(some, pasts, strict=True):
                current, voltage = on_grid(past, end.timestamp(), STEP_S, STEPS)
                warm_c = warmth_on_grid(past, end.timestamp(), STEP_S, STEPS)
                now = soc(plate.id)
                if np.isfinite(current).sum() < LEAST_KNOWN or not math.isfinite(now):
                    self._works([plate.id])  # nothing is asked of it
                    continue
                pack = _pack(plate, current, voltage, (now, holds(plate.id)), warm_c,
                             owns[plate.id], plans.get(plate.id))
                packs.append(pack)
                windows[plate.id] = Window(
                    WindowAnswer(pack=plate.id), "", "",
                    end.timestamp() + STEP_S * np.arange(1.0 - STEPS, 1.0), current, voltage,
                    warm_c, "" if pack.plan_a is None else plans[plate.id].words)
        if packs:
            self._physics.ask(structs.replace(task, packs=tuple(packs)), URGENCY)
            self._asked[task.id] = windows

    # -- what is back

    def collect(self) -> None:
        """Keep what is done; raises RetryLaterError where predictions cannot be kept."""
        for task_id, asked in list(self._asked.items()):
            try:
                state = self._physics.state(task_id)
            except UnknownIdError:
                del self._asked[task_id]
                self.agenda.done(list(asked))
                continue
            if not state.settled:
                continue
            del self._asked[task_id]
            self._physics.forget(task_id)
            result = state.result
            if not isinstance(result, WindowResult) or result.failed:
                self.agenda.done(list(asked))
                self._fails(asked, f"no window of {len(asked)} packs: {state.words}")
                continue
            alone = self._hurried.issuperset(asked)  # a task's beginning is most of what it took
            self.agenda.done(list(asked), None if alone else result.cpu_s)
            self._works(asked)
            self._take(asked, result)

    def _take(self, asked: Mapping[str, Window], result: WindowResult) -> None:
        for answer in result.answers:
            if answer.pack in asked:
                self._found[answer.pack] = replace(
                    asked[answer.pack], answer=answer, parameter_set=result.parameter_set,
                    model=result.model or "")
                self._found.move_to_end(answer.pack)
        self._drop_oldest()
        if self._predictions is not None:
            self._predictions.keep(with_intervals(self._predictions, SITE, [
                prediction_of(result, answer, SITE, key_of(answer.pack),
                              self._plates[answer.pack].rated_ah, asked[answer.pack].plan)
                for answer in result.answers if answer.pack in asked]))

    def _drop_oldest(self) -> None:
        since_s = self._clock.monotonic_s() - LOOKED_S
        with self._wanting:
            self._looked_s = {pack: at_s for pack, at_s in self._looked_s.items() if at_s > since_s}
            looked_at = set(self._looked_s)
        others = [pack for pack in self._found if pack not in looked_at]
        for pack in others[:max(0, len(self._found) - KEPT)]:
            del self._found[pack]

    def _fails(self, packs: Iterable[str], words: str,
               unexpected: Exception | None = None) -> None:
        if words not in self._lost.values():
            log.warning("twin: %s", words, exc_info=unexpected)
        self._lost |= dict.fromkeys(packs, words)
        self.error = words

    def _works(self, packs: Iterable[str]) -> None:
        """Of others what fails stays told."""
        for pack in packs:
            self._lost.pop(pack, None)
        self.error = next(reversed(self._lost.values()), "")

    # -- what came true

    def meet(self, store: Store) -> None:
        """Put the truth beside what was told; raises RetryLaterError and what `Store.series`
        does."""
        if self._predictions is None:
            return
        now = self._clock.now()
        due = self._predictions.due(SITE, now - timedelta(seconds=STEP_S))
        groups: dict[tuple[datetime, datetime], list[Due]] = {}
        for one in due:
            groups.setdefault((one.made_at, one.due_at), []).append(one)
        by_key = {key_of(pack): plate for pack, plate in self._plates.items()}
        for (made_at, due_at), group in list(groups.items())[:1]:
            for at in range(0, min(len(group), 4 * AT_ONCE), AT_ONCE):
                self._predictions.meet(_met(store, by_key, group[at:at + AT_ONCE], made_at,
                                            due_at))


def key_of(pack: str) -> str:
    """The pack's name among predictions: its id where that is short and plain."""
    return pack if _KEY.match(pack) else hashlib.sha1(
        pack.encode(), usedforsecurity=False).hexdigest()


def _pack(plate: Plate, current_a: Floats, voltage_v: Floats, end: tuple[float, float],
          warm_c: Floats, own: Own, planned: Planned | None) -> WindowPack:
    """end: charge at the window's end, and what the pack holds, as `Windows.ask`; its beginning is
    before what flowed. planned: at the last known voltage. What a calibration found counts from the
    capacity when new, for it tells of the active material itself."""
    soc, holds = end[0], end[1] if math.isfinite(end[1]) else 1.0
    known_v = voltage_v[np.isfinite(voltage_v)]
    known_c = warm_c[(warm_c >= COLDEST_C) & (warm_c <= WARMEST_C)]  # others are no cell's
    plan_a = planned.cell_a(plate.cells, float(known_v[-1])) \
        if planned is not None and known_v.size else None
    flowed_ah = float(moved_ah(filled(current_a), STEP_S)[-1])
    begins = min(1.0, max(0.0, soc + flowed_ah / (holds * plate.rated_ah)))
    return WindowPack(
        pack=plate.id, capacity_ah=plate.full_ah * (1.0 if own.fitted else holds), soc=begins,
        start_v=float(plate.model.ocv_v(begins)), current_a=column(current_a),
        voltage_v=column(voltage_v), fitted=dict(own.fitted), plan_a=plan_a,
        temperature_c=float(known_c.mean()) if known_c.size else None,
        start_c=float(known_c[0]) if known_c.size else None)


def _met(store: Store, plates: Mapping[str, Plate], due: Sequence[Due], made_at: datetime,
         due_at: datetime) -> list[Met]:
    """What history tells; a pack that is gone met nothing."""
    mine = [one for one in due if one.device in plates]
    pasts = pasts_of(store, [plates[one.device] for one in mine], made_at,
                     due_at + timedelta(seconds=STEP_S), 1000)
    found = [Met(one.number, None, False) for one in due if one.device not in plates]
    for one, past in zip(mine, pasts, strict=True):
        record = past.record
        near = np.abs(record.time_s - due_at.timestamp()) <= TRUTH_S
        volts = record.voltage_v[near & np.isfinite(record.voltage_v)]
        mean_a = float(np.nanmean(record.current_a)) if np.isfinite(record.current_a).any() \
            else math.nan
        now_a = record.current_a[near & np.isfinite(record.current_a)]
        kept = keeps_plan(one, mean_a, float(now_a.mean()) if now_a.size else math.nan)
        found.append(Met(one.number, float(volts.mean()) if volts.size else None, kept))
    return found
