"""An edge process: the packs of one machine, their outbox and their one connection.

Sampling runs in the caller's thread. What the broker brings is queued by paho's thread and taken
up between two samples, so that nothing of the network changes a pack in the middle of one. The
disk is the clerk's: sampling waits for no commit, and for no lock that is held over one.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from paho.mqtt.client import MQTTMessage

from core.clock import Clock, has_passed
from core.errors import RetryLaterError
from core.fleet.messages import VERSION, Reply, Status, packed, said
from core.fleet.rejections import Rejection
from core.fleet.telemetry import CLOCK_TOLERANCE_S
from core.fleet.topics import allocation_topic, device_topic, process_of
from services.edge.inbound import Inbound
from services.edge.inbox import Heard
from services.edge.orders import Orders
from services.edge.outbox import Outbox
from services.edge.pack import PackGroup
from services.edge.policies import Policies
from services.edge.post import Post
from services.edge.refusals import Refusals
from services.edge.sender import Sender
from services.edge.wall import Steps, Wall
from services.fleet_link import Broker, Link, Manner, left_s

log = logging.getLogger(__name__)

SESSION_S = 300
STATUS_EVERY_S = 10.0
DRIFT_S = 1.0
"""By less no clock was set; where it was, a person's bound ends no sooner and no later [s]."""
MOST_BODIES = 60
"""Jobs that wait for the disk; beyond them no body is kept, and commands still have room."""
UNKEPT_S = 10.0
"""So long without an answer, and the disk counts as one that takes nothing [s]."""
FIRMWARE = "orrery-edge 1"


@dataclass(frozen=True, slots=True)
class Plate:
    """What stands on a pack. capacity_kwh: when new [kWh]."""

    chemistry: str
    cells: int
    capacity_kwh: float


class EdgeRuntime:
    """rate_hz: samples a second, 10 to 100. every: samples of one body, as many as make a second
    when None; fewer where samples come late. policies: of packs that take a learnt policy."""

    def __init__(self, site: str, group: PackGroup, plates: Mapping[str, Plate],
                 outbox: Outbox, broker: Broker, clock: Clock, rate_hz: int = 10,
                 every: int | None = None,
                 policies: Mapping[str, Policies] | None = None) -> None:
        self._site, self._clock = site, clock
        self._every = every or rate_hz
        self._group, self._packs = group, group.packs
        self._first = next(iter(self._packs))
        self._plates, self._outbox = plates, outbox
        self._policies = policies or {}
        self._refusals = Refusals(self._packs)
        self._orders = {device: Orders(pack, outbox, self._policies.get(device),
                                       partial(self._refusals.add, device),
                                       partial(self.reply, device))
                        for device, pack in self._packs.items()}
        self._wall = Wall(clock)
        self._bounds, self._times = Steps(DRIFT_S), Steps(CLOCK_TOLERANCE_S)
        self._wake = threading.Event()
        self._came_up = threading.Event()
        self._told_s = -math.inf
        self._period_s = 1.0 / rate_hz
        self._samples, self._body_s = 0, 0.0
        self._sampled_s: float | None = None
        self._unkept_s, self._unkept = math.inf, False
        self._process = process_of(site, self._first)
        self._link = self._linked(broker)
        self._clerk = outbox.clerk
        self.sender = Sender(outbox, self._link, site)
        self._post = Post(self.sender, self._clerk, self._not_sent)
        self.inbound = Inbound(site, self._packs, outbox, self._post, self._refusals,
                               self._orders, clock, self)
        self.now_s()

    def _linked(self, broker: Broker) -> Link:
        devices = list(self._packs)
        topics = [(allocation_topic(self._site), 1)]
        for device in devices:
            topics += [(device_topic(self._site, device, "commands"), 2),
                       (device_topic(self._site, device, "ack"), 0)]
        gone = Status(v=VERSION, site=self._site, device=devices[0], state="offline",
                      process=self._process)
        will = (device_topic(self._site, devices[0], "status"), said(gone))
        return Link(broker, self._process, topics,
                    Manner(session_s=SESSION_S, will=will, gives_way=True), self._on_message,
                    on_up=self._came_up.set)

    def _on_message(self, topic: str, message: MQTTMessage, _connection: int) -> None:
        self.inbound.inbox.put(Heard(topic, bytes(message.payload), message.retain,
                                     left_s(message), self._clock.monotonic_s()))
        self._wake.set()

    # -- the loop

    def run(self, stop: threading.Event) -> None:
        """Until `stop`; then what waits for the disk, a last status and a clean end."""
        self._clerk.begin(self._wake.set)
        self._link.start()
        try:
            due_s = self._clock.monotonic_s()
            while not stop.is_set():
                self._tick()
                due_s += self._period_s
                self._listen_until(due_s, stop)
                if self._clock.monotonic_s() - due_s > 1.0:  # stalled: no burst of old ticks
                    due_s = self._clock.monotonic_s()
        finally:
            self._clerk.end()
            self._tell("offline")
            self._link.close()

    def _listen_until(self, due_s: float, stop: threading.Event) -> None:
        """Commands are taken up at once, not at the next sample. due_s: of `Clock.monotonic_s`."""
        while not stop.is_set():
            self.inbound.take_up(due_s)
            left_s = due_s - self._clock.monotonic_s()
            if left_s <= 0:
                return
            self._wake.clear()
            if not (self.inbound.inbox or self._clerk.spoke):
                self._clock.wait(left_s, self._wake)

    def _tick(self) -> None:
        now_s, passed_s = self.now_s(), self._passed_s()
        with self._clerk.pausing():
            self._group.sample(now_s, passed_s)
        self._samples += 1
        self._body_s += passed_s
        self.inbound.follow(now_s)
        body_is_due = self._body_is_due()
        if body_is_due:
            self._samples, self._body_s = 0, 0.0
            self._keep({device: packed(pack.body(now_s)) for device, pack in self._packs.items()})
        if self._came_up.is_set():
            self._send(now_s)
        self._look_at_disk()
        if has_passed(STATUS_EVERY_S, self._told_s, now_s):
            self._told_s = now_s
            self._tell("online")

    def _passed_s(self) -> float:
        """Since the sample before, a period before the first one."""
        before_s, self._sampled_s = self._sampled_s, self._clock.monotonic_s()
        return self._period_s if before_s is None else self._sampled_s - before_s

    def _body_is_due(self) -> bool:
        """By the number of its samples, or by the time that they should have taken: a process that
        is too slow for its samples still tells in time."""
        late_s = self._body_s - self._every * self._period_s
        return self._samples >= self._every or late_s > 0.5 * self._period_s

    def _send(self, now_s: float) -> None:
        anew = self._came_up.is_set()
        if anew:
            self._came_up.clear()
            self._told_s = -math.inf
        self._post.send(self._packs, now_s, anew)

    def _not_sent(self, device: str, error: RetryLaterError) -> None:
        self._refusals.add(device, Rejection.DISK)
        log.error("%s: what waits is not sent now: %s", device, error)

    def drain(self, stop: threading.Event) -> None:
        """Sample nothing; send what is waiting, and come back when all of it is settled."""
        self._link.start()
        try:
            while not stop.is_set() and self._pending():
                self._send(self.now_s())
                self._listen_until(self._clock.monotonic_s() + 0.1, stop)
        finally:
            self._link.close()

    def _pending(self) -> bool:
        return any(self._outbox.waiting(device, 0, 1) for device in self._packs)

    def _keep(self, bodies: Mapping[str, bytes]) -> None:
        self._unkept_s = min(self._unkept_s, self._clock.monotonic_s())
        self._clerk.ask(partial(self._outbox.put, bodies, self._outbox.memories()),
                        partial(self._kept, list(bodies)), MOST_BODIES)

    def _kept(self, devices: Sequence[str], failure: RetryLaterError | None) -> None:
        """A disk that takes nothing costs these seconds of telemetry, and nothing else."""
        self._unkept_s = math.inf if failure is None else -math.inf
        if failure is not None:
            for device in devices:
                self._refusals.add(device, Rejection.DISK)
            log.error("a second of telemetry is lost: %s", failure)
        self._send(self.now_s())

    def _look_at_disk(self) -> None:
        """A change is told at once."""
        unkept = self._clock.monotonic_s() - self._unkept_s > UNKEPT_S
        if unkept != self._unkept:
            self._unkept, self._told_s = unkept, -math.inf

    # -- telling

    def _tell(self, state: str) -> None:
        for device in self._packs:
            conflict = device in self.sender.conflicts
            self._publish_status(device, "conflict" if conflict else state)

    def reply(self, device: str, reply: Reply) -> None:
        """As `Teller`."""
        self._publish_status(device, "online", (reply,))

    def leave(self, topic: str) -> None:
        """As `Teller`."""
        self._link.leave(topic)

    def _publish_status(self, device: str, state: str, replies: tuple[Reply, ...] = ()) -> None:
        """A reply goes by QoS 1, so that it is not lost; a state is told again anyway."""
        life, plate = self._outbox.life(device), self._plates[device]
        learnt = self._policies.get(device)
        last_rejected, last_rejected_s = self._refusals.last(device)
        status = Status(v=VERSION, site=self._site, device=device, process=self._process,
                        state=state, time_s=self.now_s(),  # type: ignore[arg-type]
                        firmware=FIRMWARE, chemistry=plate.chemistry, cells=plate.cells,
                        capacity_kwh=plate.capacity_kwh, pending=life.last - life.high,
                        dropped=life.dropped, replies=replies,
                        policy=None if learnt is None else learnt.running,
                        policy_before=None if learnt is None else learnt.before,
                        real_time=self._group.real_time,
                        opened_after_s=self._packs[device].safety.opened_after_s,
                        silent_s=self._packs[device].centre.silent_s,
                        lease_s=self._packs[device].centre.lease_s(self.now_s()),
                        unkept=self._unkept or None,
                        rejected=self._refused(device), last_rejected=last_rejected,
                        last_rejected_s=last_rejected_s, **self._timing(device))
        self._link.publish(device_topic(self._site, device, "status"), said(status),
                           1 if replies else 0)

    def _refused(self, device: str) -> dict[Rejection, int]:
        """With what its connection and outbox could not send; the first tells of the connection."""
        found = self._refusals.counts[device].copy()
        too_large = self.sender.too_large[device]
        if device == self._first:
            too_large += self._link.too_large
        lost = self.inbound.lost_by(device)
        return dict(found + Counter({Rejection.BROKER_LIMIT: too_large, Rejection.NO_ROOM: lost}))

    def _timing(self, device: str) -> dict[str, Any]:
        """Decisions are of all packs: the first tells of them."""
        latency = self._group.latency
        if device != self._first or not latency.total:
            return {}
        return {"decisions": tuple(latency.counts), "worst_decision_us": 1e6 * latency.worst_s}

    def now_s(self) -> float:
        """As `Teller`; what hangs by the wall clock follows it first where that was set."""
        now_s = self._wall.now_s()
        bounds_by_s = self._bounds.look(self._wall.ahead_s)
        times_by_s = self._times.look(self._wall.ahead_s)
        if times_by_s:
            self._clerk.ask(partial(self._outbox.clock_was_set, times_by_s), _unless_behind)
        if bounds_by_s:
            log.warning("this machine's clock was set by %+.0f s", bounds_by_s)
            self._move_bounds(bounds_by_s)
        return now_s

    def _move_bounds(self, by_s: float) -> None:
        """On the disk too, where a restart reads them by the clock as it is then."""
        moved = {device: standing for device, orders in self._orders.items()
                 if (standing := orders.clock_was_set(by_s)) is not None}
        if not moved:
            return
        self._clerk.ask(partial(self._outbox.keep_standing, moved),
                        partial(self._bounds_kept, list(moved)))

    def _bounds_kept(self, devices: Sequence[str], failure: RetryLaterError | None) -> None:
        if failure is not None:
            for device in devices:
                self._refusals.add(device, Rejection.DISK)
            log.error("a restart would end a person's bound at another time: %s", failure)


def _unless_behind(failure: RetryLaterError | None) -> None:
    if failure is not None:
        log.error("what waits keeps the time of a clock that was wrong: %s", failure)
