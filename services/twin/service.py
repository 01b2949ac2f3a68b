"""The twin of a fleet: listens to its telemetry, models every pack's last minutes, publishes what
comes next, and puts beside it what came.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from itertools import islice
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from paho.mqtt.client import MQTTMessage

from core.clock import Clock, has_passed
from core.errors import RequestError, RetryLaterError, UnknownIdError
from core.fleet.messages import Allocation, Status, read_small, said
from core.fleet.rejections import RejectedError
from core.fleet.telemetry import Refused, read_telemetry
from core.fleet.topics import ALLOCATION, address_of, allocation_topic, device_topic
from core.twin.agenda import BUSY, Agenda
from core.twin.ahead import Planned
from core.twin.bands import with_intervals
from core.twin.ports import Physics
from core.twin.predictions import (
    Due,
    Met,
    PredictionStore,
    keeps_plan,
    prediction_of,
)
from core.twin.tasks import (
    WindowPack,
    WindowResult,
    WindowTask,
    column,
    new_id,
)
from services.fleet_link import Broker, Link, Manner
from services.report import Report
from services.twin.allotted import Allotted
from services.twin.heard import SETTLE_S, STEP_S, Heard, Plate, by_chemistry

log = logging.getLogger(__name__)

EVERY_S = 300.0
HORIZON_S = 900.0
TICK_S = 0.5
FIRST_S = 3.0 * STEP_S
"""So much later the first window is whole."""
MOST_QUEUED = 50_000
BUSY_QUEUE = 2_000
"""So many messages that wait: a pack of which this step knows something is not heard again."""
BATCH = 500
"""Packs of one task: it takes some seconds, so that the worst never waits long."""
COMPANY_S = 30.0
"""A batch that is not full waits so long for more: a task takes a second before its first pack."""
NEXT_TOLD = 20
"""Packs that the report tells one by one: the next, those most often outside, those unfit."""
TASK_URGENCY = 10.0


class TwinService:
    """Of one site. every_s: from one window of a pack to its next, longer where the machine cannot;
    report: a file that says how it goes; at_once: tasks that the physics runs at a time."""

    def __init__(self, site: str, broker: Broker, clock: Clock, physics: Physics,
                 store: PredictionStore, every_s: float = EVERY_S,
                 report: Path | None = None, at_once: int = 1) -> None:
        self._report = None if report is None else Report(report)
        self._told_s, self.error = 0.0, ""
        self._site, self._clock, self._physics, self._store = site, clock, physics, store
        self._every_s, self._few_s, self._at_once = every_s, -math.inf, at_once
        self.agenda = Agenda(clock, (), every_s, BUSY * at_once)
        self._steps = int(every_s // STEP_S) + 1
        self._queue: deque[tuple[str, bytes, float]] = deque()
        self.unheard = self.lost = 0
        self._asked: dict[str, dict[str, tuple[Plate, str]]] = {}
        self.heard, self._allotted = Heard(), Allotted()
        self.published = 0
        self.link = Link(broker, f"twin-{site}",
                         [(f"pulsebms/{site}/+/telemetry", 0), (f"pulsebms/{site}/+/status", 0),
                          (allocation_topic(site), 0)],
                         Manner(session_s=0), self._on_message)

    def _on_message(self, topic: str, message: MQTTMessage, _connection: int) -> None:
        if message.retain:
            return
        if len(self._queue) >= MOST_QUEUED:
            self._queue.popleft()
            self.lost += 1
        self._queue.append((topic, bytes(message.payload), self._clock.now().timestamp()))

    def run(self, stop: threading.Event) -> None:
        """Until `stop`."""
        if self._physics.missing:
            log.error("%s", self._physics.missing)
        self.link.start()
        try:
            while not self._clock.wait(TICK_S, stop):
                self.tick()
        finally:
            self.link.close()

    def tick(self) -> None:
        """What there is to do now."""
        for _ in range(len(self._queue)):
            self.hear(*self._queue.popleft())
        now_s = self._clock.now().timestamp()
        self.heard.close_steps(now_s - SETTLE_S)
        if len(self.agenda) < len(self.heard.plates):
            self.agenda.add([device for device in self.heard.plates if device not in self.agenda],
                            now_s + self._every_s + FIRST_S, math.inf)
        if has_passed(COMPANY_S, self._few_s, now_s) and len(self._asked) < self._at_once:
            self._ask(now_s)
        try:
            self._collect()
            self._meet()
            self.error = ""
        except RetryLaterError as error:
            if self.error != str(error):
                log.error("predictions are not kept: %s", error)
            self.error = str(error)
        if self._report is not None and has_passed(1.0, self._told_s, now_s):
            self._told_s = now_s
            self._report.write({
                "time_s": now_s, "connected": self.link.connected.is_set(),
                "packs": len(self.heard.plates), "published": self.published,
                "waiting": len(self._asked), **self._turns(), **self._left_out(),
                "missing": self._physics.missing, "error": self.error})

    def _turns(self) -> dict[str, object]:
        """due: packs whose time has come; period_s: from one window of a pack to its next, as the
        machine can; next: of the next packs when each is due; all_by_s: when the last one is."""
        dues_s, packs = self.agenda.dues_s(), list(self.agenda)
        order = np.argsort(dues_s, kind="stable")
        return {"due": self.agenda.waiting(), "period_s": self.agenda.period_s,
                "next": {packs[row]: float(dues_s[row]) for row in order[:NEXT_TOLD].tolist()},
                "all_by_s": float(dues_s[order[-1]]) if order.size else None}

    def _left_out(self) -> dict[str, object]:
        """unheard: seconds of telemetry that were passed over because more came than could be read,
        lost: messages for which there was no room. outside: seconds that came too late for their
        step, or ahead of it; outside_of: of which devices most. unfit: devices whose pack is not
        modelled as they say it, and why."""
        heard = self.heard
        return {"unheard": self.unheard, "lost": self.lost, "outside": heard.outside.total(),
                "outside_of": dict(heard.outside.most_common(NEXT_TOLD)),
                "unfit": dict(islice(heard.unfit.items(), NEXT_TOLD))}

    def hear(self, topic: str, payload: bytes, came_s: float) -> None:
        """came_s: when, by this machine's clock. What cannot be read the ingest counts and shows;
        here it is left out."""
        try:
            address = address_of(topic)
            if address.kind == ALLOCATION:
                allocation = read_small(payload, Allocation)
                if allocation.site == address.site:
                    self._allotted.take(allocation, self.heard.plates, came_s)
                return
            if address.kind == "status":
                status = read_small(payload, Status)
                if (status.site, status.device) == (address.site, address.device):
                    self.heard.status(status)
                return
        except (RequestError, RejectedError):
            return
        if len(self._queue) > BUSY_QUEUE and self.heard.knows_then(address.device, came_s):
            self.unheard += 1
            return
        told = read_telemetry(payload, address, came_s)
        if not isinstance(told, Refused):
            self.heard.telemetry(told, came_s)

    # -- every five minutes, the worst first

    def _ask(self, now_s: float) -> None:
        """The packs that are due, a task for each chemistry."""
        due = self.agenda.take(BATCH)
        if due and len(due) < BATCH:
            self._few_s = now_s
        plans = self._allotted.valid(now_s)
        for chemistry, plates in by_chemistry([self.heard.plates[one] for one in due]).items():
            found = {plate.device: pack for plate in plates
                     if (pack := self._pack(plate, plans.get(plate.device))) is not None}
            self.agenda.done([plate.device for plate in plates if plate.device not in found])
            if not found:
                continue
            task = WindowTask(id=new_id(), chemistry=chemistry,  # type: ignore[arg-type]
                              time_s=self.heard.ends_s, packs=tuple(found.values()),
                              step_s=float(STEP_S), horizon_s=HORIZON_S)
            try:
                self._physics.ask(task, TASK_URGENCY)
            except (RequestError, RetryLaterError) as error:
                log.error("no window of %s: %s", chemistry, error)
                self.agenda.done(list(found))
                continue
            self._asked[task.id] = {
                device: (self.heard.plates[device],
                         "" if pack.plan_a is None else plans[device].words)
                for device, pack in found.items()}

    def _pack(self, plate: Plate, planned: Planned | None) -> WindowPack | None:
        """None of a pack that was silent, or whose charge is not known. What it holds is what its
        device says: the app, which finds it out, is another process."""
        past = self.heard.past(plate.device, self._steps)
        if past is None or not np.isfinite(past.soc) or np.isnan(past.current_a).all():
            return None
        known_v = past.voltage_v[np.isfinite(past.voltage_v)]
        plan_a = None if planned is None else planned.cell_a(plate.cells, float(known_v[-1]))
        return WindowPack(
            pack=plate.device, capacity_ah=plate.full_ah * past.holds, plan_a=plan_a,
            soc=min(1.0, max(0.0, past.soc)),
            start_v=float(plate.model.ocv_v(past.soc)), current_a=column(past.current_a),
            voltage_v=column(past.voltage_v), temperature_c=past.temperature_c,
            start_c=past.start_c)

    def _collect(self) -> None:
        """Publish and keep what is done."""
        for task_id in list(self._asked):
            try:
                state = self._physics.state(task_id)
            except UnknownIdError:
                self.agenda.done(list(self._asked.pop(task_id)))
                continue
            if not state.settled:
                continue
            plates = self._asked.pop(task_id)
            self._physics.forget(task_id)
            result = state.result
            if not isinstance(result, WindowResult) or result.failed:
                self.agenda.done(list(plates))
                log.error("no window of %d packs: %s", len(plates), state.words)
                continue
            self.agenda.done(list(plates), result.cpu_s)
            for answer in result.answers:
                if answer.residual_rms_mv is not None:
                    self.agenda.doubt(answer.pack, answer.residual_rms_mv)
            due = {one.pack: one.at.timestamp() for one in self.agenda.dues(list(plates))}
            predictions = with_intervals(self._store, self._site, [
                replace(prediction_of(result, answer, self._site, answer.pack, plate.rated_ah,
                                      plan), next_s=due[answer.pack])
                for answer in result.answers for plate, plan in (plates[answer.pack],)])
            for told in predictions:
                self.link.publish(device_topic(self._site, told.device, "prediction"), said(told))
                self.published += 1
            self._store.keep(predictions)

    # -- what came true

    def _meet(self) -> None:
        due = self._store.due(self._site, self._clock.now())
        ready = [one for one in due if one.due_at.timestamp() + STEP_S <= self.heard.ends_s]
        if ready:
            self._store.meet([self._met(one) for one in ready])

    def _met(self, due: Due) -> Met:
        mean_a, volts = self.heard.between(due.device, due.made_at.timestamp(),
                                           due.due_at.timestamp())
        at_s = due.due_at.timestamp()
        kept = keeps_plan(due, mean_a, self.heard.between(due.device, at_s, at_s)[0])
        return Met(due.number, float(volts) if np.isfinite(volts) else None, kept)
