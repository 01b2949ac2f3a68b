"""What the fleet says, as it is heard live: checked, counted, and put on the board.

The ingest is what keeps every message; this is the view of the moment. What is refused is counted
by reason, and the last of it is kept for a person to look at.
"""

from __future__ import annotations

import statistics
import threading
from collections import Counter, deque
from dataclasses import dataclass

from msgspec.structs import replace

from core.clock import Clock, from_epoch
from core.errors import RequestError
from core.fleet.board import FleetBoard
from core.fleet.command_book import CommandBook
from core.fleet.entries import SILENT_US, FleetEntry, Ledger
from core.fleet.messages import LATEST_S, Ack, Envelope, IngestReport, Status, read_small
from core.fleet.ports import FleetCounts, IngestTold, Refusal, StoredBody
from core.fleet.refused import refusal_of
from core.fleet.rejections import RejectedError, Rejection
from core.fleet.telemetry import Refused, Telemetry, read_telemetry
from core.fleet.topics import GATEWAY, INGEST, Address, address_of, device_topic
from core.talk import LONGEST, Conversation, cut
from services.fleet_doors import Doors

RATE_S = 10
KEPT_LAGS = 1000


@dataclass(slots=True)
class _Numbers:
    """Of one device. first: the number that this view began with. named: the stream that the ingest
    takes, by its newest word since the ledger's stream began, "" before. given_up: numbers that
    their device gave up. time_us, sent_s: of the message on the board."""

    ledger: Ledger
    first: int
    named: str = ""
    given_up: int = 0
    time_us: int = 0
    sent_s: float = 0.0

    @classmethod
    def begin(cls, entry: FleetEntry) -> _Numbers:
        """What was before is nobody's gap."""
        return cls(Ledger(entry.stream, entry.seq - 1, entry.seq - 1), entry.seq)

    def refuses(self, entry: FleetEntry) -> Rejection | None:
        """As the ingest does. Where that follows another stream than this view, which may have
        begun with a stranger's message, one of any other stream begins the ledger anew."""
        ledger = self.ledger
        astray = self.named not in ("", ledger.stream)
        if astray and entry.stream != ledger.stream and not ledger.leaps(entry):
            anew = _Numbers.begin(entry)
            anew.ledger.retired = {one: None for one in ledger.retired if one != entry.stream}
            self.ledger, self.first, self.named = anew.ledger, anew.first, ""
        return self.ledger.refuses(entry)

    def settle(self, entry: FleetEntry) -> tuple[bool, bool]:
        """Count a number that is not refused: whether it is fresh, and late."""
        ledger = self.ledger
        if entry.stream != ledger.stream:
            self.named = ""
        fresh = not ledger.knows(entry.seq)
        late = fresh and ledger.settle(entry)
        if not fresh:
            ledger.lower_bound(entry)
        self.given_up += sum(last - first + 1 for first, last in ledger.gaps)
        ledger.gaps.clear()
        return fresh, late

    @property
    def missing(self) -> int:
        """Given up, or not here though later ones are."""
        ledger = self.ledger
        return self.given_up + ledger.last - ledger.high - len(ledger.ahead)

    def newer(self, told: Telemetry) -> bool:
        """Than what is on the board; one whose clock was set back is newer too."""
        return told.time_us >= self.time_us or told.envelope.sent_s < self.sent_s


class FleetHeard:
    """Of one site; `message` is called in paho's thread, the rest by any."""

    def __init__(self, site: str, board: FleetBoard, commands: CommandBook, clock: Clock,
                 conversation: Conversation) -> None:
        self._site, self._board, self._commands = site, board, commands
        self._clock, self._conversation = clock, conversation
        self._lock = threading.Lock()
        self._numbers: dict[str, _Numbers] = {}
        self._counts: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._refusal: Refusal | None = None
        self._ingest: tuple[float, IngestReport] | None = None
        self._lags_s: deque[float] = deque(maxlen=KEPT_LAGS)
        self._seconds: deque[tuple[int, int]] = deque(maxlen=RATE_S + 1)
        self.doors = Doors(clock)
        self.heard_s = float("nan")
        """When the newest telemetry came, by this machine's clock [s since 1970]."""

    def message(self, topic: str, payload: bytes, retained: bool) -> None:
        """One message of anybody's."""
        now_s = self._clock.now().timestamp()
        with self._lock:
            try:
                address = self._address(topic, retained)
                if address.device == INGEST:
                    self._report(address, payload, now_s)
                elif address.device == GATEWAY:
                    self.doors.hear(address, payload)
                elif address.kind == "telemetry":
                    self._telemetry(topic, address, payload, now_s)
                else:
                    self._small(address, payload)
            except RejectedError as error:
                self._refuse(error.reason, str(error), topic, payload, now_s)

    def refuse_stored(self, stored: StoredBody, words: str) -> None:
        """A kept body that cannot be read; counted with those that came damaged."""
        now_s = self._clock.now().timestamp()
        with self._lock:
            topic = device_topic(self._site, stored.device, "telemetry")
            self._refuse(Rejection.NOT_DECODABLE, f"{stored.device}, number {stored.seq}, as it "
                         f"is kept in the fleet's store: {words}", topic, stored.body, now_s)

    def counts(self, source: str, broker: str, connected: bool) -> FleetCounts:
        with self._lock:
            counts = self._counts
            lag_s = statistics.median(self._lags_s) if self._lags_s else None
            decisions = self._board.decisions()
            return FleetCounts(
                source, self._site, broker, connected, counts["received"], counts["duplicate"],
                counts["late"], sum(one.missing for one in self._numbers.values()),
                dict(self._rejected), self._refusal, self._rate(), lag_s,
                decisions.by_edge_us(), 1e6 * decisions.worst_s if decisions.total else None,
                self._ingest_told())

    def _ingest_told(self) -> IngestTold | None:
        if self._ingest is None:
            return None
        heard_s, told = self._ingest
        last, at_s = told.last_rejected, told.last_rejected_s
        refusal = None if last is None or at_s is None else refusal_of(last, at_s)
        return IngestTold(told, from_epoch(heard_s),
                          max(0.0, self._clock.now().timestamp() - heard_s), refusal)

    # -- one message

    def _address(self, topic: str, retained: bool) -> Address:
        try:
            address = address_of(topic)
        except RequestError as error:
            raise RejectedError(Rejection.UNKNOWN_TOPIC, str(error)) from error
        if address.site != self._site:
            raise RejectedError(Rejection.OTHER_SITE, address.site)
        device = address.device
        if device not in self._board.records and device not in (INGEST, GATEWAY):
            raise RejectedError(Rejection.UNKNOWN_DEVICE, device)
        if retained:
            raise RejectedError(Rejection.RETAINED)
        return address

    def _small(self, address: Address, payload: bytes) -> None:
        device = address.device
        if address.kind == "status":
            status = read_small(payload, Status)
            if (status.site, status.device) != (address.site, device):
                raise RejectedError(Rejection.WRONG_SENDER, f"{status.site}/{status.device}")
            self._board.tell(device, status)
            self._commands.heard(device, status.replies)
        elif address.kind == "ack":
            self._acknowledged(device, read_small(payload, Ack))
        self._conversation.heard(f"{device} {address.kind} {_text(payload)}")

    def _report(self, address: Address, payload: bytes, now_s: float) -> None:
        """A last will tells nothing but that it is gone: its figures stay."""
        told = read_small(payload, IngestReport)
        if told.site != address.site:
            raise RejectedError(Rejection.WRONG_SENDER, told.site)
        if told.state == "gone" and self._ingest is not None:
            told = replace(self._ingest[1], state="gone")
        self._ingest = now_s, told
        self._conversation.heard(f"ingest {_text(payload)}")

    def _telemetry(self, topic: str, address: Address, payload: bytes, now_s: float) -> None:
        told = read_telemetry(payload, address, now_s)
        if isinstance(told, Refused):
            if told.reason is Rejection.CLOCK_OFF and told.envelope is not None:
                self._hear_clock(told.envelope, now_s)
            self._refuse(told.reason, told.words, topic, payload, now_s)
            return
        device, body = address.device, told.body
        cells = self._board.records[device].plate.cells
        wrong = {values.size for values in told.cells.values()} - {cells}
        if wrong:
            raise RejectedError(Rejection.WRONG_FORM,
                                f"{max(wrong)} cells, the configuration says {cells}")
        self.heard_s = now_s
        self._counts["received"] += 1
        self._count_second(int(now_s))
        newest = self._number(told.envelope, now_s)
        off_s = self._hear_clock(told.envelope, now_s)
        self._lags_s.append(max(0.0, now_s - body.time_s - off_s))
        if newest and self._numbers[device].newer(told):
            numbers = self._numbers[device]
            numbers.time_us, numbers.sent_s = told.time_us, told.envelope.sent_s
            ago_s = max(0.0, told.envelope.sent_s - body.time_s)  # by the device's clock alone
            self._board.take(device, body, told.cells, from_epoch(now_s - ago_s))
        power = "" if body.power_kw is None else f", {body.power_kw:.2f} kW"
        self._conversation.heard(f"{device} telemetry, number {told.envelope.seq}: {body.safety}"
                                 f"{power}, {cells} cells")

    def _hear_clock(self, envelope: Envelope, now_s: float) -> float:
        """By how much its device's clock is off [s], 0 where it is right or not known. A second
        device with its id tells nothing of it while the first one lives."""
        clock = self._board.records[envelope.device].clock
        numbers = self._numbers.get(envelope.device)
        own = (numbers is None or numbers.ledger.stream == envelope.stream
               or 1e6 * now_s - numbers.ledger.heard_us >= SILENT_US)
        if own and 0.0 <= envelope.sent_s <= LATEST_S:
            clock.hear(now_s, envelope.sent_s)
        return 0.0 if clock.off_s is None else clock.off_s

    def _number(self, envelope: Envelope, now_s: float) -> bool:
        """Count it; True when it is after all that came of its device. Raises RejectedError for
        what the ingest refuses too."""
        device, entry = envelope.device, _entry(envelope, now_s)
        numbers, record = self._numbers.get(device), self._board.records[device]
        if numbers is None:
            numbers = _Numbers.begin(entry)
        why = numbers.refuses(entry)
        if why is not None:
            raise RejectedError(why, f"{device}, number {entry.seq}, floor {entry.floor}")
        self._numbers[device] = numbers
        if entry.seq < numbers.first:
            return False  # from before this view began
        fresh, late = numbers.settle(entry)
        record.late += late
        record.duplicate += not fresh
        self._counts.update(late=int(late), duplicate=int(not fresh))
        record.missing = numbers.missing
        return fresh and not late

    def _acknowledged(self, device: str, ack: Ack) -> None:
        numbers = self._numbers.get(device)
        if numbers is None:
            return
        numbers.named = ack.stream
        if numbers.ledger.stream == ack.stream:
            self._board.records[device].pending = max(0, numbers.ledger.last - ack.high)

    # -- counting

    def _refuse(self, reason: Rejection, words: str, topic: str, payload: bytes,
                now_s: float) -> None:
        self._rejected[reason.value] += 1
        self._refusal = Refusal(from_epoch(now_s), cut(topic[:LONGEST]), reason.value,
                                cut(words), _text(payload))
        self._conversation.error(f"refused, {reason.value}: {topic} {_text(payload)} ({words})")

    def _count_second(self, second: int) -> None:
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))

    def _rate(self) -> float:
        """Of the last RATE_S whole seconds [1/s]."""
        now = int(self._clock.now().timestamp())
        return sum(count for second, count in self._seconds
                   if now - RATE_S <= second < now) / RATE_S


def _entry(envelope: Envelope, now_s: float) -> FleetEntry:
    return FleetEntry(envelope.site, envelope.device, envelope.stream, envelope.base,
                      envelope.seq, envelope.floor, 0, round(now_s * 1e6), None)


def _text(payload: bytes) -> str:
    """Its beginning, as a person may read it."""
    return cut(payload[:LONGEST].decode("ascii", "backslashreplace"))
