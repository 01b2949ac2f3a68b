"""Two devices with one id: the later one is taken, the former comes back once that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from core.fleet.entries import SILENT_US
from core.fleet.messages import VERSION, Ack, Envelope, packed
from core.fleet.ports import FleetStore
from core.fleet.telemetry import Telemetry, read_telemetry
from core.registry import make_fleet_store
from services.edge.outbox import Outbox
from services.edge.sender import ASK_S, Sender
from services.ingest.subscriber import entry_of, refusing
from tests.fleet.examples import NOW_S, PACK, body
from tests.fleet.test_clock_set_back import Wire

SILENT_S = SILENT_US / 1e6


class Device:
    """One outbox, whose rows tell whose they are."""

    def __init__(self, folder: Path, name: str, soc_pct: float) -> None:
        self.outbox, self.wire = Outbox(folder / f"{name}.db", ["pack_1"]), Wire()
        self.sender = Sender(self.outbox, self.wire, "home")
        self.soc_pct, self.made = soc_pct, 0

    def measures(self, now_s: float) -> None:
        self.made += 1
        self.outbox.put({"pack_1": packed(body(time_s=now_s, soc_pct=self.soc_pct))})

    @property
    def is_shut_out(self) -> bool:
        return "pack_1" in self.sender.conflicts

    @property
    def waiting(self) -> int:
        return len(self.outbox.waiting("pack_1", 0, 10_000))


class Centre:
    """The ingest's store, and its words to whoever listens on the pack's topic."""

    def __init__(self, store: FleetStore) -> None:
        self.store, self.now_s, self.offset_s = store, NOW_S, 0.0
        self.refused: list[str] = []

    def lives(self, seconds: int, *devices: Device) -> None:
        """A row a second of each."""
        for _ in range(seconds):
            self.now_s += 1.0
            for device in devices:
                device.measures(self.now_s)
                device.sender.send("pack_1", self.now_s)
                self._hears(device, devices)

    def _hears(self, device: Device, devices: tuple[Device, ...]) -> None:
        while device.wire.sent:
            sent, device.wire.sent = device.wire.sent, []
            entries = []
            for payload in sent:
                told = read_telemetry(payload, PACK, self.now_s)
                assert isinstance(told, Telemetry)
                entries.append(entry_of(told.envelope, self.now_s + self.offset_s, told.time_us,
                                        told.raw))
            taken = self.store.take(entries)
            mark = self.store.mark("home", "pack_1")
            assert mark is not None
            words = [refusing(mark, entry, reason) for entry, reason in taken.refused[-1:]]
            self.refused += [reason.value for _, reason in taken.refused]
            for word in (*words, Ack(v=VERSION, stream=mark.stream, high=mark.high)):
                for one in devices:
                    one.sender.acked("pack_1", word, self.now_s)
                    one.sender.send("pack_1", self.now_s)

    def stored(self, device: Device) -> int:
        """Rows of one device; each moment of it once."""
        rows = [msgspec.msgpack.decode(inside)
                for _, inside in self.store.bodies("home", "pack_1", 1, 10_000)]
        times = [row["time_s"] for row in rows if row["soc_pct"] == device.soc_pct]
        assert len(times) == len(set(times))
        return len(times)


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    found = Centre(make_fleet_store(f"sqlite:{tmp_path / 'fleet.db'}"))
    yield found
    found.store.close()


@pytest.fixture
def true(tmp_path: Path) -> Iterator[Device]:
    found = Device(tmp_path, "true", 60.0)
    yield found
    found.outbox.close()


@pytest.fixture
def intruder(tmp_path: Path) -> Iterator[Device]:
    found = Device(tmp_path, "intruder", 10.0)
    yield found
    found.outbox.close()


def test_the_true_device_comes_back_after_the_other_has_ended(centre: Centre, true: Device,
                                                              intruder: Device) -> None:
    centre.lives(10, true)
    centre.lives(30, intruder, true)
    assert true.is_shut_out
    assert (centre.stored(true), centre.stored(intruder)) == (10, 30)
    centre.lives(int(SILENT_S + 2 * ASK_S), true)
    assert not true.is_shut_out
    assert (true.waiting, intruder.waiting) == (0, 0)
    assert centre.stored(true) == true.made, "what waited too"
    assert centre.store.gaps("home", "pack_1") == []


def test_it_comes_back_after_its_own_restart_and_one_of_the_centre(
        centre: Centre, true: Device, intruder: Device, tmp_path: Path) -> None:
    centre.lives(5, true)
    centre.lives(5, intruder, true)
    true.sender = Sender(true.outbox, true.wire, "home")
    centre.store.close()
    centre.store = make_fleet_store(f"sqlite:{tmp_path / 'fleet.db'}")
    centre.lives(int(SILENT_S + 2 * ASK_S), true)
    assert (true.is_shut_out, centre.stored(true)) == (False, true.made)


@pytest.mark.parametrize("set_by_s", [0.0, -3600.0, 3600.0])
def test_while_both_live_the_centre_keeps_to_one_and_says_so(
        centre: Centre, true: Device, intruder: Device, set_by_s: float) -> None:
    """Whatever happens to its clock meanwhile."""
    centre.lives(10, true)
    for _ in range(2):
        centre.lives(int(2 * SILENT_S), intruder, true)
        assert true.is_shut_out
        assert not intruder.is_shut_out
        centre.offset_s += set_by_s
    assert centre.stored(true) == 10
    assert centre.stored(intruder) == intruder.made
    asked = centre.refused.count("two_devices")
    assert asked <= 4 * SILENT_S / ASK_S + 1, "a row each time, and no window full"
    assert centre.refused.count("sequence_backwards") == 1, "when the second one began"


def test_after_it_came_back_the_other_one_is_told(centre: Centre, true: Device,
                                                  intruder: Device) -> None:
    centre.lives(10, true)
    centre.lives(10, intruder, true)
    centre.lives(int(SILENT_S + 2 * ASK_S), true)
    centre.lives(int(2 * SILENT_S), intruder, true)
    assert (true.is_shut_out, intruder.is_shut_out) == (False, True)
    assert (centre.stored(true), centre.stored(intruder)) == (true.made, 10)


def test_a_new_connection_asks_at_once(centre: Centre, true: Device, intruder: Device) -> None:
    centre.lives(2, true)
    centre.lives(2, intruder, true)
    true.sender.begin_anew(centre.now_s)
    true.sender.send("pack_1", centre.now_s)
    assert len(true.wire.sent) == 1
    assert msgspec.msgpack.decode(true.wire.sent[0], type=Envelope).seq == 3


def test_what_is_said_to_the_other_device_settles_nothing(true: Device) -> None:
    """It names the highest number that came, which may lie behind a gap."""
    for at_s in (1.0, 2.0, 3.0):
        true.measures(NOW_S + at_s)
    own = true.outbox.life("pack_1").stream
    true.sender.acked("pack_1", Ack(v=VERSION, stream=own, high=3, refused="b" * 16,
                                    renumber=False), NOW_S)
    assert (true.waiting, true.is_shut_out) == (3, False)
    true.sender.acked("pack_1", Ack(v=VERSION, stream=own, high=1), NOW_S)
    assert true.waiting == 2
