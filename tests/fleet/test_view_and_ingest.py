"""The live view and the ingest judge a device's numbers by one rule, each by what it heard."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from core.fleet.entries import SILENT_US, FleetEntry, Ledger, Mark, Taken
from core.fleet.messages import VERSION, Ack, packed, said
from core.fleet.rejections import Rejection
from core.fleet.telemetry import Telemetry, read_telemetry
from services.edge.outbox import Outbox
from services.edge.sender import ASK_S, Sender
from services.ingest.subscriber import entry_of, refusing
from store.fleet_batch import FleetBatch, Key, mark_of
from tests.fleet.examples import NOW_S, OTHER_STREAM, PACK, STREAM, THIRD_STREAM, body
from tests.fleet.test_clock_set_back import Wire
from tests.fleet.test_fleet_source import Ear

KEY = ("home", "pack_1")
ACK = "pulsebms/home/pack_1/ack"
LONG_S = int(SILENT_US / 1e6 + 2 * ASK_S)
"""After so long a former device is back."""
TAKEN = ""


@dataclass
class Kept:
    """A store of one device, in memory."""

    ledgers: dict[Key, Ledger] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)

    def ledger(self, key: Key) -> Ledger | None:
        return self.ledgers.get(key)

    def number(self, key: Key) -> int | None:
        return 1 if key in self.ledgers else None

    def new_number(self) -> int:
        return 1

    def is_told(self, num: int, time_us: int, body: bytes) -> bool:
        return time_us in self.times.values()

    def time_of(self, num: int, seq: int) -> int | None:
        return self.times.get(seq)

    def take(self, entry: FleetEntry) -> Taken:
        batch = FleetBatch(self)
        batch.add(entry)
        self.times.update({row[1]: row[2] for row in batch.rows})
        self.ledgers.update(batch.settled())
        return batch.taken()

    @property
    def mark(self) -> Mark:
        return mark_of(KEY, self.ledgers[KEY])


class Device:
    """soc_pct: tells whose a message is."""

    def __init__(self, soc_pct: float) -> None:
        self.soc_pct, self.wire = soc_pct, Wire()
        self.new_disk()

    def new_disk(self) -> None:
        self.outbox = Outbox(Path(":memory:"), ["pack_1"])
        self.sender = Sender(self.outbox, self.wire, "home")

    def measures(self, now_s: float) -> None:
        self.outbox.put({"pack_1": packed(body(time_s=now_s, soc_pct=self.soc_pct))})
        self.sender.send("pack_1", now_s)


class Site:
    """Devices with one id, the ingest, and the view where it listens. verdicts: of each message
    that both heard why the ingest refused it, and why the view did, TAKEN where it did not."""

    def __init__(self, devices: int = 2) -> None:
        self.ear, self.kept, self.listens = Ear(), Kept(), True
        self.devices = [Device(10.0 * (1 + number)) for number in range(devices)]
        self.verdicts: list[tuple[str, str]] = []

    @property
    def now_s(self) -> float:
        return self.ear.clock.now().timestamp()

    def lives(self, seconds: int, *numbers: int) -> None:
        """A row a second of each of these devices."""
        for _ in range(seconds):
            self.ear.clock.advance(1.0)
            for number in numbers:
                self.devices[number].measures(self.now_s)
                self._carry(self.devices[number])

    def _carry(self, device: Device) -> None:
        while device.wire.sent:
            sent, device.wire.sent = device.wire.sent, []
            for payload in sent:
                for word in self._take(payload):
                    self._tell(word)

    def _take(self, payload: bytes) -> list[Ack]:
        told = read_telemetry(payload, PACK, self.now_s)
        assert isinstance(told, Telemetry)
        entry = entry_of(told.envelope, self.now_s, told.time_us, told.raw)
        refused = self.kept.take(entry).refused
        if self.listens:
            self.verdicts.append((refused[0][1].value if refused else TAKEN, self._view(payload)))
        mark = self.kept.mark
        return [*(refusing(mark, entry, why) for _, why in refused),
                Ack(v=VERSION, stream=mark.stream, high=mark.high)]

    def _view(self, payload: bytes) -> str:
        before = self.ear.counts.rejected
        self.ear.say(payload)
        after = self.ear.counts.rejected
        return next((why for why in after if after[why] > before.get(why, 0)), TAKEN)

    def _tell(self, word: Ack) -> None:
        for device in self.devices:
            device.sender.acked("pack_1", word, self.now_s)
            device.sender.send("pack_1", self.now_s)
        if self.listens:
            self.ear.say(said(word), ACK)

    @property
    def shown(self) -> int:
        """The device whose newest message is on the board."""
        self.ear.board.reading(self.ear.clock.now())
        found = self.ear.board.records["pack_1"].body
        assert found is not None
        assert found.soc_pct is not None
        return int(found.soc_pct // 10.0) - 1

    def begin_view(self) -> None:
        """Where it is now."""
        clock = self.ear.clock
        self.ear, self.listens, self.verdicts = Ear(), True, []
        self.ear.clock.advance((clock.now() - self.ear.clock.now()).total_seconds())

    @property
    def missing(self) -> int:
        return self.ear.counts.missing


# -- one by one

def test_one_message_of_a_stranger_is_refused_and_the_true_one_goes_on() -> None:
    """Without a word of the ingest, too."""
    ear = Ear()
    for seq in range(1, 101):
        ear.number(seq, time_s=NOW_S)
    ear.number(1, stream=OTHER_STREAM, time_s=NOW_S)
    for seq in range(101, 1001):
        ear.number(seq, time_s=NOW_S)
    assert ear.counts.rejected == {"sequence_backwards": 1}
    assert (ear.counts.missing, ear.pack.duplicate) == (0, 0)


def test_a_new_disk_loses_nothing_and_is_told_so() -> None:
    ear = Ear()
    for seq in range(100_001, 100_101):
        ear.number(seq, floor=seq, time_s=NOW_S)
    for seq in (1, 2):
        ear.number(seq, stream=OTHER_STREAM, time_s=NOW_S)
    for seq in range(100_101, 100_111):
        ear.number(seq, stream=THIRD_STREAM, base=100_100, floor=100_101,
                   time_s=NOW_S)
    assert ear.counts.missing == 0
    assert ear.counts.rejected == {"sequence_backwards": 2}
    ear.number(100_101, stream=STREAM, time_s=NOW_S)
    assert ear.counts.rejected == {"sequence_backwards": 2, "two_devices": 1}


def test_a_device_with_a_new_outbox_goes_on_at_once() -> None:
    site = Site(1)
    site.lives(20, 0)
    site.devices[0].new_disk()
    site.lives(1, 0)
    assert site.verdicts[20:] == [("sequence_backwards",) * 2, (TAKEN, TAKEN)]
    site.lives(5, 0)
    assert (site.shown, site.missing) == (0, 0)


def test_the_former_one_comes_back_after_the_silence_of_the_other() -> None:
    site = Site()
    site.lives(5, 0)
    site.lives(5, 0, 1)
    assert site.shown == 1
    site.lives(LONG_S, 0)
    assert site.shown == 0
    assert {ours for ours, _ in site.verdicts} == {TAKEN, "sequence_backwards", "two_devices"}
    assert all(ours == view for ours, view in site.verdicts)
    assert site.missing == 0


def test_a_view_that_begins_with_a_stranger_s_message_leaves_it() -> None:
    """The ingest's word says whose numbers count; none of them is missing."""
    site = Site()
    site.lives(50, 0)
    site.begin_view()
    site.devices[1].measures(site.now_s)
    stranger = site.devices[1].wire.sent.pop()
    site._tell(*site._take(stranger)[-1:])
    assert site.shown == 1, "nothing else was heard"
    site.lives(3, 0)
    assert site.verdicts == [("sequence_backwards", TAKEN), *[(TAKEN, TAKEN)] * 3]
    assert (site.shown, site.missing) == (0, 0)
    assert site._view(stranger) == Rejection.SEQUENCE_BACKWARDS


def test_a_view_that_heard_what_the_ingest_never_got_follows_its_word() -> None:
    """Its broker lost a second, then the device lost its disk."""
    site = Site(1)
    site.lives(5, 0)
    device = site.devices[0]
    for _ in range(5):
        site.ear.clock.advance(1.0)
        device.measures(site.now_s)
        site.ear.say(device.wire.sent.pop())
    device.new_disk()
    site.lives(3, 0)
    assert site.verdicts[-1] == (TAKEN, TAKEN)
    assert (site.shown, site.missing) == (0, 0)


# -- whatever happens

PARTS = st.lists(st.tuples(st.sampled_from(["live", "live", "live", "disk", "silence"]),
                           st.sampled_from([(0,), (1,), (2,), (0, 1), (0, 1, 2)]),
                           st.integers(1, 4)), min_size=2, max_size=12)


def play(site: Site, parts: list[tuple[str, tuple[int, ...], int]]) -> None:
    for what, numbers, seconds in parts:
        if what == "disk":
            site.devices[numbers[-1]].new_disk()
        elif what == "silence":
            site.ear.clock.advance(SILENT_US / 4e6)
        else:
            site.lives(seconds, *numbers)


@settings(max_examples=60)
@given(PARTS)
def test_a_view_that_hears_all_refuses_what_the_ingest_refuses(
        parts: list[tuple[str, tuple[int, ...], int]]) -> None:
    site = Site(3)
    play(site, parts)
    assert [view for _, view in site.verdicts] == [ours for ours, _ in site.verdicts]
    assert site.missing == 0


@settings(max_examples=60)
@given(PARTS, PARTS)
def test_a_view_that_begins_in_the_middle_refuses_nothing_that_is_taken(
        before: list[tuple[str, tuple[int, ...], int]],
        after: list[tuple[str, tuple[int, ...], int]]) -> None:
    site = Site(3)
    site.listens = False
    play(site, before)
    site.begin_view()
    play(site, after)
    assert [view for ours, view in site.verdicts if ours == TAKEN and view != TAKEN] == []
    assert site.missing == 0
