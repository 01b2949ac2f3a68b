"""Every message exactly once into the store: committed first, acknowledged after.

paho's thread only queues. One worker parses, commits a batch in one transaction, tells the broker
that it has them, and tells each device how far it is settled. What the broker or a connection
loses comes again from the device's outbox; what comes again is counted and not stored.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from paho.mqtt.client import MQTTMessage

from core.clock import Clock, Steadiness, has_passed
from core.errors import RequestError, RetryLaterError
from core.fleet.entries import FleetEntry, Mark, Taken
from core.fleet.messages import VERSION, Ack, Envelope, IngestReport, Status, read_small, said
from core.fleet.ports import INGEST_EVERY_S, FleetStore
from core.fleet.rejections import WORDS, RejectedError, Rejection
from core.fleet.telemetry import Refused, read_telemetry
from core.fleet.topics import Address, address_of, device_topic, report_topic
from services.fleet_link import Broker, Link, Manner, left_s
from services.ingest.ages import Ages
from services.ingest.broker_log import TOPIC, refused_by_broker
from services.ingest.counters import Counters
from services.ingest.inbox import Inbox, Item

log = logging.getLogger(__name__)

SESSION_S = 7 * 86_400
IN_FLIGHT = 2000
MOST_QUEUED = 20_000
BATCH_S = 0.05
MOST_BATCH = 1000
ACK_EVERY_S = 2.0
BACKLOG = 10
"""So many of one device in a batch, and it is told at once: it empties its outbox."""
RETRY_S = 1.0
KEEP_S = 48 * 3600.0
TIDY_EVERY_S = 10.0
MOST_FORGOTTEN = 5000


class Ingest:
    """devices: who may send, None for everybody whom the broker lets in. keep_s: how long
    telemetry stays in the store [s]."""

    def __init__(self, site: str, store: FleetStore, broker: Broker, clock: Clock,
                 devices: Collection[str] | None = None, keep_s: float = KEEP_S) -> None:
        self._keep_s, self._tidy_s = keep_s, 0.0
        self._steadiness, self._vouched_s = Steadiness(clock), -math.inf
        self.counters, self._ages = Counters(), Ages()
        self.statuses: dict[str, Status] = {}
        self._site, self._store, self._clock, self._devices = site, store, clock, devices
        self._inbox = Inbox(MOST_QUEUED)
        self._due: set[str] = set()
        self._told_s: dict[str, float] = {}
        self._reported_s, self._trouble = 0.0, ""
        self._gone = said(IngestReport(v=VERSION, site=site, state="gone"))
        self.link = Link(broker, f"ingest-{site}", [("pulsebms/#", 1), (TOPIC, 0)],
                         Manner(session_s=SESSION_S, manual_ack=True, receive_most=IN_FLIGHT,
                                will=(report_topic(site), self._gone)), self._on_message)

    def _on_message(self, topic: str, message: MQTTMessage, connection: int) -> None:
        if not self._inbox.put(Item(topic, bytes(message.payload), message.qos, message.mid,
                                    connection, message.retain, left_s(message), self._now_s(),
                                    self._clock.monotonic_s())):
            self.counters.add(overflow=1)

    def run(self, stop: threading.Event) -> None:
        """Until `stop`."""
        self.link.start()
        try:
            while not stop.is_set():
                self._clock.wait(BATCH_S, stop)
                came = 0
                while (items := self._inbox.take(MOST_BATCH)) and not stop.is_set():
                    self._take(items, stop)
                    self._tell_devices()
                    self._report()
                    came += len(items)
                connection = self.link.connection if self.link.connected.is_set() else None
                self._ages.took(came, connection, self._clock.monotonic_s())
                self._tell_devices()
                self._report()
                self._tidy()
        finally:
            self.link.publish(report_topic(self._site), self._gone)
            self.link.close()

    # -- one batch

    def _take(self, items: Sequence[Item], stop: threading.Event) -> None:
        now_s = self._now_s()
        entries, sent_s = [], []
        for item in items:
            entry = self._read(item, now_s)
            if entry is not None:
                entries.append(entry[0])
                sent_s.append(entry[1].sent_s)
                self._vouched_s = item.came_s
        taken = self._stored(entries, stop)
        if taken is None:
            return
        for item in items:
            if item.qos:
                self.link.acknowledge(item.number, item.qos, item.connection)
        after_s = self._now_s()
        self.counters.lagged([max(0.0, after_s - sent) for sent in sent_s])
        self._refuse(taken)
        refused = {(entry.device, entry.stream, entry.seq) for entry, _ in taken.refused}
        self._owe([entry for entry in entries
                   if (entry.device, entry.stream, entry.seq) not in refused])

    def _read(self, item: Item, now_s: float) -> tuple[FleetEntry, Envelope] | None:
        """What is to be stored or settled of it, as received now; judged by the clock of when it
        came, however long the store let it wait. None for everything else."""
        if item.topic == TOPIC:
            self._broker_said(item, now_s)
            return None
        try:
            address = self._address(item)
            if address.kind == "status":
                self._status(address, item.payload)
            if address.kind != "telemetry":
                return None
        except RejectedError as error:
            self.counters.rejected(error.reason, str(error), item.topic, item.payload, now_s)
            return None
        self.counters.add(received=1)
        queued_s = self._ages.queued_s(item.left_s, item.passed_s)
        found = read_telemetry(item.payload, address, item.came_s, queued_s)
        if isinstance(found, Refused):
            self.counters.rejected(found.reason, found.words, item.topic, item.payload, now_s)
            if found.settles is None:
                return None
            return entry_of(found.settles, now_s, 0, None, found.reason), found.settles
        return entry_of(found.envelope, now_s, found.time_us, found.raw), found.envelope

    def _broker_said(self, item: Item, now_s: float) -> None:
        reason = refused_by_broker(item.payload)
        if reason is not None:
            self.counters.rejected(reason, WORDS[reason], item.topic, item.payload, now_s)

    def _address(self, item: Item) -> Address:
        try:
            address = address_of(item.topic)
        except RequestError as error:
            raise RejectedError(Rejection.UNKNOWN_TOPIC, str(error)) from error
        if address.site != self._site:
            raise RejectedError(Rejection.OTHER_SITE, address.site)
        if address.kind in {"telemetry", "status"}:
            if self._devices is not None and address.device not in self._devices:
                raise RejectedError(Rejection.UNKNOWN_DEVICE, address.device)
            if item.retained:
                raise RejectedError(Rejection.RETAINED)
        return address

    def _status(self, address: Address, payload: bytes) -> None:
        status = read_small(payload, Status)
        if (status.site, status.device) != (address.site, address.device):
            raise RejectedError(Rejection.WRONG_SENDER, f"{status.site}/{status.device}")
        self.counters.add(status=1)
        self.statuses[address.device] = status

    def _stored(self, entries: list[FleetEntry], stop: threading.Event) -> Taken | None:
        """Try until the store takes it; the broker keeps the rest meanwhile."""
        if not entries:
            return Taken(0, 0, 0, ())
        while not stop.is_set():
            try:
                taken = self._store.take(entries)
            except RetryLaterError as error:
                log.error("%s; it is tried again", error)
                self._trouble = str(error)
                self._report()
                self._clock.wait(RETRY_S, stop)
                received_us = round(1e6 * self._now_s())
                entries = [replace(entry, received_us=received_us) for entry in entries]
                continue
            self._trouble = ""
            unused = sum(entry.body is None for entry in entries)
            self.counters.add(stored=taken.stored, duplicate=taken.duplicate, late=taken.late,
                              settled_unused=unused, commits=1, given_up=taken.given_up)
            return taken
        return None

    # -- what the devices are told

    def _refuse(self, taken: Taken) -> None:
        """Once a stream and batch."""
        told: set[tuple[str, str]] = set()
        for entry, reason in taken.refused:
            self.counters.rejected(reason, f"{WORDS[reason]} ({entry.device}, number {entry.seq})",
                                   device_topic(self._site, entry.device, "telemetry"),
                                   entry.body or b"", self._now_s())
            mark = self._store.mark(entry.site, entry.device)
            if mark is None or (entry.device, entry.stream) in told:
                continue
            told.add((entry.device, entry.stream))
            self._publish(entry.device, refusing(mark, entry, reason))

    def _owe(self, entries: Sequence[FleetEntry]) -> None:
        counts = Counter(entry.device for entry in entries)
        self._due.update(counts)
        for device, count in counts.items():
            if count >= BACKLOG:
                self._told_s.pop(device, None)

    def _tell_devices(self) -> None:
        """How far they are settled, each at most every ACK_EVERY_S."""
        now_s = self._now_s()
        for device in [device for device in self._due
                       if has_passed(ACK_EVERY_S, self._told_s.get(device, 0.0), now_s)]:
            mark = self._store.mark(self._site, device)
            self._due.discard(device)
            self._told_s[device] = now_s
            if mark is not None:
                self._publish(device, Ack(v=VERSION, stream=mark.stream, high=mark.high))

    def _report(self) -> None:
        """To whoever listens, each INGEST_EVERY_S."""
        now_s = self._now_s()
        if not has_passed(INGEST_EVERY_S, self._reported_s, now_s) \
                or not self.link.connected.is_set():
            return
        self._reported_s = now_s
        self.link.publish(report_topic(self._site), said(
            self.counters.said(self._site, len(self._inbox), self._trouble,
                               self._store.behind())))

    def _tidy(self) -> None:
        """A little at a time, so that no message waits for it; nothing because a clock is wrong.
        One that was set lets nothing go until it has been right for as long as telemetry stays.
        What it said before this process began is vouched for by the devices: theirs agreed."""
        now_s, steady_s = self._now_s(), self._steadiness.look()
        if not has_passed(TIDY_EVERY_S, self._tidy_s, now_s):
            return
        before_s = min(now_s, self._vouched_s) - self._keep_s
        if steady_s < self._keep_s:
            before_s = 0.0
        try:
            gone = self._store.forget(round(1e6 * max(0.0, before_s)), MOST_FORGOTTEN)
        except RetryLaterError as error:
            log.error("%s", error)
            gone = 0
        self.counters.add(forgotten=gone)
        if gone < MOST_FORGOTTEN:
            self._tidy_s = now_s

    def _publish(self, device: str, ack: Ack) -> None:
        self.counters.add(acks=1)
        self.link.publish(device_topic(self._site, device, "ack"), said(ack), 0)

    def _now_s(self) -> float:
        return self._clock.now().timestamp()


def refusing(mark: Mark, entry: FleetEntry, reason: Rejection) -> Ack:
    """What the device of an entry that was not taken is told."""
    return Ack(v=VERSION, stream=mark.stream, high=mark.last, refused=entry.stream,
               renumber=reason is not Rejection.TWO_DEVICES, why=WORDS[reason])


def entry_of(envelope: Envelope, now_s: float, time_us: int, body: bytes | None,
             reason: str = "") -> FleetEntry:
    """What a store keeps of a message that came at now_s [s]."""
    return FleetEntry(envelope.site, envelope.device, envelope.stream, envelope.base,
                      envelope.seq, envelope.floor, time_us, round(now_s * 1e6), body, reason)
