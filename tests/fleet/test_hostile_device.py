"""What one device with its own rights can say: it hurts nobody else, and no counter or memory."""

from __future__ import annotations

import pytest

from core.clock import ManualClock, from_epoch
from core.fleet.board import FleetBoard
from core.fleet.catalogue import PackPlate
from core.fleet.command_book import CommandBook
from core.fleet.entries import MOST_AHEAD, MOST_GIVEN_UP, MOST_RETIRED, Ledger
from core.fleet.messages import MOST_SEQUENCE, IngestReport, Status, packed, read_small, said
from core.fleet.rejections import Rejection
from core.fleet.topics import process_of
from core.fleet.tree import element_of, roots
from core.talk import Conversation
from core.topology import DEFAULT_LEVELS, Topology
from services.edge.outbox import MOST_ROWS
from services.fleet_heard import FleetHeard
from services.ingest.counters import Counters
from tests.fleet.examples import NOW_S, STREAM, body, entry, telemetry

PLATES = tuple(PackPlate(device, device, "LFP", 3, 30.0) for device in ("pack_1", "pack_2"))
OWN = process_of("home", "pack_1")
OTHERS = process_of("home", "pack_2")


# -- a last will


@pytest.fixture
def board() -> FleetBoard:
    return FleetBoard("home", PLATES)


def lives(board: FleetBoard, device: str, process: str) -> None:
    board.tell(device, Status(v=1, site="home", device=device, state="online", process=process,
                              time_s=NOW_S, chemistry="LFP", cells=3))


def ends(board: FleetBoard, device: str, process: str = "") -> list[str]:
    """Links of both packs after the last will on the topics of `device`."""
    board.tell(device, Status(v=1, site="home", device=device, state="offline", process=process))
    return [pack.link for pack in board.packs()]


def test_the_will_of_a_process_is_that_of_all_its_devices(board: FleetBoard) -> None:
    lives(board, "pack_1", OWN)
    lives(board, "pack_2", OWN)
    assert ends(board, "pack_1", OWN) == ["offline", "offline"]
    lives(board, "pack_2", "another")
    assert ends(board, "pack_1", OWN) == ["offline", "online"]


def test_a_will_without_a_process_is_of_one_device_alone(board: FleetBoard) -> None:
    lives(board, "pack_1", "")
    lives(board, "pack_2", "")
    assert ends(board, "pack_1") == ["offline", "online"]


@pytest.mark.parametrize("lived_there", [False, True])
def test_no_device_ends_the_process_of_another(board: FleetBoard, lived_there: bool) -> None:
    """Also where it said before that it lives there."""
    lives(board, "pack_1", OTHERS if lived_there else OWN)
    lives(board, "pack_2", OTHERS)
    assert ends(board, "pack_1", OTHERS) == ["offline", "online"]
    assert [one.element for one in board.findings()] == [element_of("home", "pack_1")]


# -- numbers


def test_no_leap_is_believed_that_no_outbox_can_make() -> None:
    ledger = Ledger.begin(entry(1))
    ledger.settle(entry(1))
    far = MOST_GIVEN_UP + 2
    assert ledger.refuses(entry(far, floor=far)) is None
    for leap in (entry(far + 1, floor=far + 1), entry(2 ** 53, floor=2 ** 53),
                 entry(far + 9, base=far + 1, stream="another"), entry(MOST_AHEAD + 1)):
        assert ledger.refuses(leap) is Rejection.SEQUENCE_AHEAD


def test_a_full_outbox_is_believed_after_any_time() -> None:
    """A device gives up the oldest of ten years, and sends what it holds, the newest first."""
    ledger, last = Ledger.begin(entry(1)), 10 * 365 * 86_400
    ledger.settle(entry(1))
    for seq in (last, last - MOST_ROWS + 1, last - 1):
        one = entry(seq, floor=last - MOST_ROWS + 1)
        assert ledger.refuses(one) is None
        ledger.settle(one)
    assert (ledger.high, ledger.last) == (last - MOST_ROWS + 1, last)
    assert ledger.gaps == [(2, last - MOST_ROWS)]


def test_a_device_that_never_fills_its_gap_costs_a_bounded_memory() -> None:
    ledger = Ledger.begin(entry(1))
    taken = 0
    for seq in range(2, 2 * MOST_AHEAD):
        one = entry(seq)
        if ledger.refuses(one) is not None:
            break
        ledger.settle(one)
        taken += 1
    assert taken == len(ledger.ahead) == MOST_AHEAD - 1


def test_of_streams_without_end_the_newest_are_remembered() -> None:
    ledger = Ledger.begin(entry(1))
    for number in range(1, MOST_RETIRED + 10):
        ledger.settle(entry(number, stream=f"{number}", base=number - 1))
    assert len(ledger.retired) == MOST_RETIRED
    newest = f"{MOST_RETIRED + 8}"
    assert ledger.refuses(entry(999, stream=newest, base=998)) is Rejection.TWO_DEVICES
    assert STREAM not in ledger.retired


def test_the_live_view_refuses_a_leap_and_goes_on() -> None:
    clock = ManualClock(from_epoch(NOW_S))
    board = FleetBoard("home", PLATES)
    board.place(Topology(DEFAULT_LEVELS, roots("home", "Fleet", PLATES, DEFAULT_LEVELS)))
    heard = FleetHeard("home", board, CommandBook("home", clock.now), clock, Conversation(clock))
    for seq, floor in ((1, 1), (2 ** 53, 2 ** 53), (1 + MOST_AHEAD, 1), (2, 1)):
        heard.message("pulsebms/home/pack_1/telemetry",
                      telemetry(packed(body()), seq=seq, floor=floor), False)
    counts = heard.counts("fleet", "broker", True)
    assert (counts.rejected, counts.missing, counts.late) == ({"sequence_ahead": 2}, 0, 0)


def test_the_ingest_never_says_more_than_its_report_may() -> None:
    counters = Counters()
    for _ in range(3):
        counters.add(given_up=MOST_SEQUENCE - 1)
    told = read_small(said(counters.said("home", 0, "")), IngestReport)
    assert told.given_up == MOST_SEQUENCE
