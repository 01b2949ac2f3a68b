"""A disk that answers late or never: the loop of safety waits neither for it nor for a lock that is
held while it is waited for, and what is told to be kept is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from core.alarms.rules import alarm_rules
from core.errors import RetryLaterError
from core.fleet.board import FleetBoard
from core.fleet.catalogue import PackPlate
from core.fleet.messages import VERSION, Ack, Status, read_small, said
from core.fleet.rejections import Rejection
from services.edge.clerk import BEHIND, Clerk
from services.edge.inbound import MOST_HELD
from services.edge.orders import OVERTAKEN, UNWRITTEN
from services.edge.runtime import MOST_BODIES, UNKEPT_S
from tests.fleet.examples import NOW_S
from tests.fleet.test_edge_inbound import Process, SlowDisk
from tests.sources.mosquitto import until

PACKS = ["pack_1", "pack_2", "pack_3"]
PATIENCE_S = 30.0


class _Lock:
    """Only the clerk may take it once he has begun."""

    def __init__(self, clerk: Clerk) -> None:
        self._lock, self._clerk = threading.Lock(), clerk

    def __enter__(self) -> None:
        here = threading.current_thread()
        assert self._clerk._thread in (None, here), "the loop takes a lock of the disk"
        assert self._lock.acquire(timeout=PATIENCE_S)

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def acquire(self, timeout: float) -> bool:
        return self._lock.acquire(timeout=timeout)

    def release(self) -> None:
        self._lock.release()


class Stuck(SlowDisk):
    """Its COMMIT waits while `answers` is not set; `asked` is set by one that waits."""

    def __init__(self, path: Path) -> None:
        self.answers, self.asked = threading.Event(), threading.Event()
        self.answers.set()
        super().__init__(path, PACKS)
        self._lock = _Lock(self.clerk)  # type: ignore[assignment]

    @contextmanager
    def _transaction(self) -> Iterator[object]:  # type: ignore[override]
        with super()._transaction() as db:
            yield db
            self.asked.set()
            assert self.answers.wait(PATIENCE_S)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Stuck]:
    found = Stuck(tmp_path / "o.sqlite")
    yield found
    found.answers.set()
    found.clerk.end()
    found.close()


@pytest.fixture
def process(disk: Stuck) -> Process:
    """It has lived for a second; from now on its disk does not answer."""
    found = Process(disk, PACKS)
    found.live(10)
    disk.clerk.begin(lambda: None)
    disk.answers.clear()
    disk.asked.clear()
    found.live(10)
    until(disk.asked.is_set, "a body waits for the disk")
    return found


def answer(process: Process, disk: Stuck) -> None:
    """The disk answers again, and all that waited is done."""
    disk.answers.set()

    def settled() -> bool:
        process.inbound.take_up()
        return not disk.clerk.waiting and not disk.clerk.spoke

    until(settled, "what waited is done")


def states(process: Process, device: str) -> list[str]:
    return [reply.state for one, reply in process.replies if one == device]


def heat(process: Process, at: int) -> None:
    state = process._group._plants._plants[at].state  # type: ignore[attr-defined]
    state.temperature_c[:] = 70.0
    state.heating_k_per_s[:] = 1.0


def latched(process: Process) -> list[bool]:
    return [pack.safety.outcome is not None for pack in process.held]


def test_nobody_trips_by_a_disk_that_does_not_answer_and_who_must_does(process: Process,
                                                                       disk: Stuck) -> None:
    process.live(30)
    assert latched(process) == [False] * 3, "three seconds are more than the loop may be late"
    heat(process, 1)
    process.live(100)
    assert latched(process) == [False, True, False]
    answer(process, disk)
    process.live(2)
    answer(process, disk)
    disk.clerk.end()
    assert b"latched" in (disk.safety("pack_2") or b"")


def test_a_stop_acts_at_once_and_its_reply_waits_for_the_disk(process: Process,
                                                              disk: Stuck) -> None:
    process.is_told("pack_1", 1, "emergency_stop")
    process.is_told("pack_2", 2, "override", power_kw=1.0, hold_s=60.0)
    process.inbound.take_up()
    process.live(10)
    assert latched(process) == [True, False, False]
    assert process.held[1].standing.power_kw is None, "a bound waits until it is kept"
    assert process.replies == []
    answer(process, disk)
    assert states(process, "pack_1") == ["received", "executed"]
    assert states(process, "pack_2") == ["executed"]
    assert process.held[1].standing.power_kw == 1.0
    disk.clerk.end()
    assert disk.standing("pack_1").stopped == "emergency_stop"
    assert disk.standing("pack_2").power_kw == 1.0


def test_no_body_is_sent_before_it_is_kept(process: Process, disk: Stuck) -> None:
    process.sender.link.connected.set()
    process.live(20)
    process.inbound.take_up()
    last, published = disk.life("pack_1").last, process.sender.published
    assert (last, published) == (1, 0)
    answer(process, disk)
    process.live(10)
    answer(process, disk)
    disk.clerk.end()
    assert process.sender.published == 3 * disk.life("pack_1").last > 3 * 3
    assert [seq for seq, _ in disk.waiting("pack_1", 0, 99)] == list(
        range(1, disk.life("pack_1").last + 1))


def test_bodies_that_there_is_no_room_for_are_counted_and_a_stop_has_room(
        process: Process, disk: Stuck) -> None:
    process.live(10 * (MOST_BODIES + 5))
    lost = process.refused("pack_3")[Rejection.DISK]
    assert lost >= 5
    process.is_told("pack_3", 1, "emergency_stop")
    process.inbound.take_up()
    process.live(10)
    lost = process.refused("pack_3")[Rejection.DISK]
    made = 1 + 1 + (MOST_BODIES + 5) + 1
    answer(process, disk)
    assert states(process, "pack_3") == ["received", "executed"]
    disk.clerk.end()
    rows = [seq for seq, _ in disk.waiting("pack_3", 0, 999)]
    assert rows == list(range(1, made - lost + 1)), "what was kept is numbered without a gap"


def test_a_clean_end_writes_what_waits(process: Process, disk: Stuck) -> None:
    process.live(50)
    assert disk.clerk.waiting > 5
    disk.answers.set()
    assert disk.clerk.end()
    assert disk.life("pack_1").last == 7
    assert process.refused() == {}


def test_an_end_does_not_wait_for_ever() -> None:
    clerk, never, told = Clerk(), threading.Event(), list[object]()
    clerk.begin(lambda: None)
    clerk.ask(lambda: never.wait(PATIENCE_S), told.append)
    assert not clerk.end(0.01)
    never.set()
    assert clerk.end()
    assert told == [None]


def test_who_asks_too_much_is_told_so_at_once_and_a_job_that_fails_ends_nothing() -> None:
    clerk, gate, told = Clerk(), threading.Event(), list[str]()

    def say(failure: RetryLaterError | None) -> None:
        told.append("" if failure is None else str(failure))

    clerk.begin(lambda: None)
    clerk.ask(lambda: gate.wait(PATIENCE_S), say)
    clerk.ask(lambda: 1 // 0, say)
    clerk.ask(lambda: None, say, most=2)
    assert told == [BEHIND]
    gate.set()
    assert clerk.end()
    assert told[1] == ""
    assert "fails at writing" in told[2]
    assert clerk.waiting == 0


def test_the_ingest_has_a_stream_numbered_anew_without_the_loop(process: Process,
                                                               disk: Stuck) -> None:
    before = disk.life("pack_1")
    process.hears("pulsebms/home/pack_1/ack", said(Ack(
        v=VERSION, stream="c" * 16, high=40, refused=before.stream, renumber=True)))
    process.inbound.take_up()
    assert disk.life("pack_1").stream == before.stream
    answer(process, disk)
    after = disk.life("pack_1")
    assert (after.stream != before.stream, after.base, after.last) == (True, 40, 42)


@pytest.fixture
def told(process: Process, monkeypatch: pytest.MonkeyPatch) -> list[bool | None]:
    """`unkept` of each status."""
    found: list[bool | None] = []
    monkeypatch.setattr(process._link, "publish", lambda topic, payload, *_: (
        found.append(read_small(payload, Status).unkept) if topic.endswith("/status") else None))
    return found


def test_a_disk_that_does_not_answer_is_told_and_so_is_that_it_does(
        process: Process, disk: Stuck, told: list[bool | None]) -> None:
    process.live(10 * int(UNKEPT_S) - 5)
    assert True not in told
    process.live(20)
    assert told[-3:] == [True] * 3
    answer(process, disk)
    process.live(10)
    answer(process, disk)
    process.live(1)
    assert told[-3:] == [None] * 3


def test_a_disk_that_takes_nothing_is_told_at_once(process: Process, disk: Stuck,
                                                   told: list[bool | None]) -> None:
    answer(process, disk)
    disk._db.execute("PRAGMA query_only = 1")
    process.live(10)
    answer(process, disk)
    process.live(1)
    assert told[-3:] == [True] * 3


def test_the_centre_makes_an_alarm_of_it_until_it_is_over() -> None:
    assert "disk_fails" in alarm_rules().conditions
    board = FleetBoard("home", [PackPlate("pack_1", "Pack", "LFP", 24, 10.0)])
    status = Status(v=VERSION, site="home", device="pack_1", state="online", chemistry="LFP",
                    cells=24, time_s=NOW_S)
    for unkept in (True, None):
        board.tell("pack_1", msgspec.structs.replace(status, unkept=unkept))
        assert [one.condition for one in board.findings()] == ["disk_fails"] * bool(unkept)


def test_the_clerk_begins_nothing_while_a_sample_is_judged(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.edge.clerk.LONGEST_PAUSE_S", PATIENCE_S)
    clerk, done = Clerk(), threading.Event()
    clerk.begin(lambda: None)
    with clerk.pausing():
        clerk.ask(done.set, lambda failure: None)
        assert not done.is_set()
        assert clerk.waiting == 1
    assert done.wait(PATIENCE_S)
    assert clerk.end()


# -- commands that meet while the disk is waited for


def test_a_stop_while_a_bound_is_written_stands_beside_it(process: Process, disk: Stuck) -> None:
    process.is_told("pack_1", 1, "override", power_kw=2.0, hold_s=60.0)
    process.inbound.take_up()
    process.is_told("pack_1", 2, "controlled_shutdown")
    process.inbound.take_up()
    assert process.held[0].standing.stopped == "controlled_shutdown"
    answer(process, disk)
    standing = process.held[0].standing
    assert (standing.stopped, standing.power_kw) == ("controlled_shutdown", 2.0)
    disk.clerk.end()
    assert disk.standing("pack_1") == standing
    assert sorted(states(process, "pack_1")) == ["executed", "received"]


def test_a_clock_that_is_set_while_a_bound_is_written_moves_its_end(process: Process,
                                                                    disk: Stuck) -> None:
    process.is_told("pack_1", 1, "override", power_kw=2.0, hold_s=60.0)
    process.inbound.take_up()
    ends_s = process.clock.now().timestamp() + 60.0
    process.clock.set_by(3600.0)
    process.live(1)
    answer(process, disk)
    assert process.held[0].standing.until_s == pytest.approx(ends_s + 3600.0)
    assert states(process, "pack_1") == ["executed"]
    disk.clerk.end()
    assert disk.standing("pack_1") == process.held[0].standing


def test_a_stop_while_a_reset_is_written_is_not_ended_by_it(process: Process,
                                                            disk: Stuck) -> None:
    answer(process, disk)
    process.is_told("pack_1", 1, "controlled_shutdown")
    process.inbound.take_up()
    process.live(200)
    answer(process, disk)
    disk.answers.clear()
    process.is_told("pack_1", 2, "reset")
    process.inbound.take_up()
    process.clock.advance(0.01)
    process.is_told("pack_1", 3, "emergency_stop")
    process.inbound.take_up()
    answer(process, disk)
    told = {int(reply.id, 16): reply for _, reply in process.replies}
    assert (told[2].state, told[2].reason) == ("refused", OVERTAKEN)
    assert told[3].state == "executed"
    assert process.held[0].standing.stopped == "emergency_stop"
    disk.clerk.end()
    assert disk.standing("pack_1").stopped == "emergency_stop"


def test_what_came_before_is_known_before_it_is_written(process: Process, disk: Stuck) -> None:
    for _ in range(2):
        process.is_told("pack_1", 1, "emergency_stop")
        process.is_told("pack_2", 2, "override", power_kw=2.0, hold_s=60.0)
    process.inbound.take_up()
    ((device, reply),) = process.replies
    assert (device, reply.state, reply.reason[:8]) == ("pack_1", "received", "replayed")
    answer(process, disk)
    assert [(reply.state, reply.reason[:8]) for device, reply in process.replies
            if device == "pack_2"] == [("executed", ""), ("executed", "replayed")]


def test_commands_of_a_pack_follow_each_other_and_there_is_a_bound_on_them(
        process: Process, disk: Stuck) -> None:
    process.is_told("pack_1", 1, "override", power_kw=2.0, hold_s=60.0)
    process.is_told("pack_1", 2, "release")
    for number in range(3, MOST_HELD + 5):
        process.is_told("pack_1", number, "override", power_kw=float(number), hold_s=60.0)
    process.inbound.take_up()
    assert process.refused("pack_1") == {Rejection.NO_ROOM: 3}
    answer(process, disk)
    assert [int(reply.id, 16) for _, reply in process.replies] == list(range(1, MOST_HELD + 2))
    assert process.held[0].standing.power_kw == MOST_HELD + 1.0


def test_a_disk_that_takes_nothing_is_told_in_the_reply_of_a_stop(process: Process,
                                                                  disk: Stuck) -> None:
    answer(process, disk)
    disk._db.execute("PRAGMA query_only = 1")
    process.is_told("pack_1", 1, "emergency_stop")
    process.inbound.take_up()
    process.live(10)
    answer(process, disk)
    (_, first), *_ = process.replies
    assert first.state == "received"
    assert UNWRITTEN in first.reason
    disk._db.execute("PRAGMA query_only = 0")
    process.live(20)
    answer(process, disk)
    disk.clerk.end()
    assert (disk.command(f"{1:032x}", "pack_1") or ("",))[0] == "executed"
    assert disk.standing("pack_1").stopped == "emergency_stop"
