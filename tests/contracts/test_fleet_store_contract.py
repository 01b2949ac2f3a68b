"""What every store of the fleet must hold: each (site, device, sequence) once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import ConfigurationError
from core.fleet.entries import MOST_RETIRED, FleetEntry
from core.fleet.ports import FleetStore
from core.fleet.rejections import Rejection
from core.registry import FLEET_STORES, make_fleet_past, make_fleet_store, make_fleet_stores
from scripts.app_process import ROOT
from tests.fleet.examples import OTHER_STREAM, THIRD_STREAM, entry
from tests.fleet.site import fleet_place

Open = Callable[[], FleetStore]
SEVERAL = "several"


@pytest.fixture(params=[*sorted(FLEET_STORES), SEVERAL])
def place(request: pytest.FixtureRequest, tmp_path: Path,
          monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the one store of this test is: an empty file or database of its own, or two."""
    if request.param == SEVERAL:
        return [f"sqlite:{tmp_path / name / 'fleet.db'}" for name in ("fleet", "second")]
    return [fleet_place(request, tmp_path, monkeypatch)]


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    return tmp_path / "waiting"


@pytest.fixture
def reopen(place: list[str], waiting: Path) -> Iterator[Open]:
    """Open the store; again = after its process ended."""
    held: list[FleetStore] = []

    def opened() -> FleetStore:
        for store in held:
            store.close()
        held[:] = [make_fleet_stores(place, waiting)]
        return held[0]

    yield opened
    for store in held:
        store.close()


@pytest.fixture
def store(reopen: Open) -> FleetStore:
    return reopen()


def high(store: FleetStore, device: str = "pack_1") -> int:
    mark = store.mark("home", device)
    assert mark is not None
    return mark.high


def numbers(store: FleetStore, device: str = "pack_1") -> list[int]:
    return [seq for seq, _ in store.bodies("home", device, 0, 2 ** 53)]


def test_a_batch_is_there_bit_for_bit(store: FleetStore) -> None:
    taken = store.take([entry(1), entry(2), entry(1, "pack_2", text=b"\x00\xff")])
    assert (taken.stored, taken.duplicate, taken.late, list(taken.refused)) == (3, 0, 0, [])
    assert store.bodies("home", "pack_1", 1, 2) == [(1, b"body 1"), (2, b"body 2")]
    assert store.bodies("home", "pack_2", 1, 1) == [(1, b"\x00\xff")]
    assert [mark.device for mark in store.marks()] == ["pack_1", "pack_2"]


def test_nothing_is_known_of_a_device_that_never_came(store: FleetStore) -> None:
    assert store.mark("home", "pack_9") is None
    assert store.bodies("home", "pack_9", 0, 10) == []
    assert store.gaps("home", "pack_9") == []


def test_others_read_by_time_what_came_in_any_order(store: FleetStore, place: list[str]) -> None:
    """Beside the process that writes; of each device the newest of each step, at its own time."""
    past = make_fleet_past(place, "orrery.toml", "store")
    assert past.bodies_between("home", ["pack_1"], 0, 2 ** 50, 1_000_000) == []
    assert past.oldest_us("home") is None
    store.take([entry(7), entry(8, "pack_2"), entry(9)])
    store.take([entry(seq) for seq in (1, 2, 3, 4)])
    store.take([replace(entry(10), body=None, reason="absurd")])
    found = past.bodies_between("home", ["pack_1", "pack_2", "pack_9"], 1_000_000, 9_000_000,
                                3_000_000)
    assert [(one.device, one.seq, one.time_us, one.body) for one in found] == [
        ("pack_1", 4, 4_000_000, b"body 4"), ("pack_1", 7, 7_000_000, b"body 7"),
        ("pack_2", 8, 8_000_000, b"body 8"), ("pack_1", 9, 9_000_000, b"body 9")]
    each = past.bodies_between("home", ["pack_1"], 0, 2 ** 50, 1_000_000)
    assert [one.seq for one in each] == [1, 2, 3, 4, 7, 9]
    assert past.bodies_between("other", ["pack_1"], 0, 2 ** 50, 1_000_000) == []
    assert past.oldest_us("other") is None
    past.close()


def test_who_reads_is_no_writer_and_sees_what_the_writer_left(reopen: Open,
                                                              place: list[str]) -> None:
    store = reopen()
    past = make_fleet_past(place, "orrery.toml", "store")
    store.take([entry(1)])
    store.close()
    assert past.oldest_us("home") == 1_000_000
    assert reopen().take([entry(2)]).stored == 1
    assert len(past.bodies_between("home", ["pack_1"], 0, 2 ** 50, 1_000_000)) == 2
    past.close()


def test_twice_is_once_within_a_batch_and_across(store: FleetStore) -> None:
    assert store.take([entry(1), entry(1), entry(2)]).duplicate == 1
    taken = store.take([entry(2), entry(1)])
    assert (taken.stored, taken.duplicate) == (0, 2)
    assert numbers(store) == [1, 2]


def test_the_mark_waits_at_a_gap_and_climbs_when_it_is_filled(store: FleetStore) -> None:
    store.take([entry(1), entry(3), entry(5)])
    assert high(store) == 1
    taken = store.take([entry(2)])
    assert (high(store), taken.late) == (3, 1)
    store.take([entry(4)])
    assert high(store) == 5


def test_a_gap_is_remembered_over_a_restart(reopen: Open) -> None:
    reopen().take([entry(1), entry(3)])
    store = reopen()
    assert high(store) == 1
    assert store.take([entry(3)]).duplicate == 1
    store.take([entry(2)])
    assert high(store) == 3


def test_what_the_device_gave_up_is_a_gap_and_not_waited_for(store: FleetStore) -> None:
    assert store.take([entry(1), entry(3)]).given_up == 0
    assert store.take([entry(9, floor=7)]).given_up == 4
    assert store.take([entry(9, floor=7)]).given_up == 0, "told once"
    assert store.gaps("home", "pack_1") == [(2, 2), (4, 6)]
    assert high(store) == 6
    store.take([entry(7, floor=7), entry(8, floor=7)])
    assert high(store) == 9


def test_a_new_store_begins_where_the_outbox_stands(store: FleetStore) -> None:
    store.take([entry(5001, floor=5000), entry(5000, floor=5000)])
    assert (high(store), store.gaps("home", "pack_1")) == (5001, [])


def test_what_is_refused_for_good_is_settled_without_a_body(store: FleetStore) -> None:

    store.take([entry(1), replace(entry(2), body=None, reason="absurd"), entry(3)])
    assert (high(store), numbers(store)) == (3, [1, 3])


def test_a_new_outbox_numbers_on_and_the_old_one_is_told(store: FleetStore) -> None:
    store.take([entry(1), entry(2)])
    begun = store.take([entry(1, stream=OTHER_STREAM, time_us=77)])
    assert [reason for _, reason in begun.refused] == [Rejection.SEQUENCE_BACKWARDS]
    anew = entry(3, stream=OTHER_STREAM, base=2, time_us=77)
    assert store.take([anew]).stored == 1
    old = store.take([entry(3), entry(4)])
    assert [reason for _, reason in old.refused] == [Rejection.TWO_DEVICES] * 2
    assert numbers(store) == [1, 2, 3]
    assert store.take([anew]).duplicate == 1


def test_streams_are_remembered_over_a_restart(reopen: Open) -> None:
    store = reopen()
    store.take([entry(1), entry(2, stream=OTHER_STREAM, base=1)])
    store = reopen()
    assert store.take([entry(3)]).refused[0][1] is Rejection.TWO_DEVICES
    behind = entry(2, stream=THIRD_STREAM, base=1)
    assert store.take([behind]).refused[0][1] is Rejection.SEQUENCE_BACKWARDS


def test_a_former_stream_comes_back_where_the_one_after_it_is_silent(reopen: Open) -> None:
    """It numbers anew, and what it sends again is stored once."""
    def at(one: FleetEntry, second: float) -> FleetEntry:
        return replace(one, received_us=10 ** 15 + round(1e6 * second))

    def why(one: FleetEntry, second: float) -> Rejection:
        return store.take([at(one, second)]).refused[0][1]

    store, former = reopen(), entry(3)
    store.take([at(entry(1), 0), at(entry(2, stream=OTHER_STREAM, base=1), 1)])
    assert why(former, 10) is Rejection.TWO_DEVICES
    store.take([at(entry(3, stream=OTHER_STREAM, base=1), 69)])
    assert why(former, 71) is Rejection.TWO_DEVICES, "it was heard meanwhile"
    store = reopen()
    assert why(former, 1000) is Rejection.TWO_DEVICES, "nobody listened meanwhile"
    assert why(former, 1059) is Rejection.TWO_DEVICES
    assert why(former, 1060) is Rejection.SEQUENCE_BACKWARDS
    taken = store.take([at(entry(4, stream=THIRD_STREAM, base=3, time_us=1_000_000,
                                 text=b"body 1"), 1061),
                        at(entry(5, stream=THIRD_STREAM, base=3), 1061)])
    assert (taken.stored, taken.duplicate, numbers(store)) == (1, 1, [1, 2, 3, 5])
    assert why(entry(4, stream=OTHER_STREAM, base=1), 1062) is Rejection.TWO_DEVICES


def test_of_former_streams_the_newest_are_remembered_over_a_restart(reopen: Open) -> None:
    store, count = reopen(), MOST_RETIRED + 5
    anew = [entry(seq, stream=f"{seq:016}", base=seq - 1) for seq in range(1, count + 1)]
    store.take([entry(1), *anew[1:-1]])
    store.take(anew[-1:])
    store = reopen()
    former = entry(999, stream=anew[-2].stream, base=998)
    assert store.take([former]).refused[0][1] is Rejection.TWO_DEVICES
    assert store.take([entry(999, base=998)]).stored == 1, "it was long ago"


def test_a_leap_that_no_outbox_can_make_is_refused(store: FleetStore) -> None:
    taken = store.take([entry(1), entry(2 ** 53, floor=2 ** 53), entry(2)])
    assert [reason for _, reason in taken.refused] == [Rejection.SEQUENCE_AHEAD]
    assert (taken.given_up, high(store)) == (0, 2)


def test_one_number_with_another_message_is_no_duplicate(store: FleetStore) -> None:
    store.take([entry(1), entry(2)])
    taken = store.take([entry(2, time_us=99)])
    assert [reason for _, reason in taken.refused] == [Rejection.SEQUENCE_BACKWARDS]
    assert taken.duplicate == 0


def test_what_an_outbox_sends_under_a_new_number_is_not_stored_again(store: FleetStore) -> None:
    store.take([entry(1), entry(2), entry(3)])
    anew = [entry(4, stream=OTHER_STREAM, base=3, time_us=3_000_000, text=b"body 3"),
            entry(5, stream=OTHER_STREAM, base=3, time_us=9_000_000, text=b"new")]
    taken = store.take(anew)
    assert (taken.stored, taken.duplicate) == (1, 1)
    assert (numbers(store), high(store)) == ([1, 2, 3, 5], 5)
    assert store.take(anew).duplicate == 2


def test_what_is_forgotten_stays_settled(reopen: Open) -> None:
    store = reopen()
    store.take([entry(seq) for seq in (1, 2, 3, 5)])
    assert store.forget(10 ** 15 + 10, most=2) == 2
    assert store.forget(10 ** 15 + 10) == 1
    assert store.forget(10 ** 15 + 10) == 0, "what waits behind a gap stays"
    store = reopen()
    assert store.take([entry(1), entry(5)]).duplicate == 2
    assert (numbers(store), high(store)) == ([5], 3)
    store.take([entry(4)])
    assert high(store) == 5


def test_what_waits_behind_a_gap_keeps_nothing_else(store: FleetStore) -> None:
    """A device whose first number never comes: others are forgotten all the same."""
    def at(one: FleetEntry, second: int) -> FleetEntry:
        return replace(one, received_us=second)

    behind = [entry(seq, "pack_2", stream=OTHER_STREAM) for seq in range(1, 14)]
    store.take([at(one, 10) for one in behind[1:]])
    store.take([at(entry(seq), 10 + seq) for seq in range(1, 6)])
    assert sum(store.forget(15, most=3) for _ in range(20)) == 4
    assert (numbers(store), numbers(store, "pack_2")) == ([5], list(range(2, 14)))
    store.take([at(behind[0], 20)])
    assert sum(store.forget(15, most=3) for _ in range(20)) == 12
    assert (numbers(store), numbers(store, "pack_2")) == ([5], [1])


def test_another_message_under_a_forgotten_number_is_no_duplicate(reopen: Open) -> None:
    """Its device was restored from an old image."""
    store = reopen()
    store.take([entry(seq) for seq in range(1, 6)])
    assert store.forget(10 ** 15 + 4) == 3
    for _ in range(2):
        store = reopen()
        taken = store.take([entry(1), entry(2, time_us=77_000_000), entry(3)])
        assert taken.duplicate == 2
        assert [(one.seq, why) for one, why in taken.refused] == [
            (2, Rejection.SEQUENCE_BACKWARDS)]
    assert (numbers(store), high(store)) == ([4, 5], 5)


def test_nor_where_all_of_its_device_is_forgotten(reopen: Open) -> None:
    """What was the same message, and came again meanwhile, makes no difference."""
    store = reopen()
    store.take([entry(seq) for seq in range(1, 6)])
    assert store.forget(10 ** 15 + 6) == 5
    store = reopen()
    assert store.take([replace(entry(2), received_us=3 * 10 ** 15)]).duplicate == 1
    anew = replace(entry(2, time_us=2 * 10 ** 15), received_us=3 * 10 ** 15)
    assert [why for _, why in store.take([anew]).refused] == [Rejection.SEQUENCE_BACKWARDS]


def test_devices_do_not_touch_each_other(store: FleetStore) -> None:
    store.take([entry(1), entry(1, "pack_2", stream=OTHER_STREAM)])
    taken = store.take([entry(1, stream=THIRD_STREAM), entry(2, "pack_2", stream=OTHER_STREAM)])
    assert (taken.stored, len(taken.refused)) == (1, 1)


def test_a_second_writer_is_refused(reopen: Open, place: list[str], waiting: Path) -> None:
    store = reopen()
    with pytest.raises(ConfigurationError, match=str(os.getpid())):
        make_fleet_stores(place, waiting)
    assert store.take([entry(1)]).stored == 1


@settings(max_examples=25, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 30), st.data())
def test_any_order_with_any_repeats_ends_with_each_once(reopen: Open, count: int,
                                                        data: st.DataObject) -> None:
    store = reopen()
    device = f"pack_{len(store.marks())}"
    sent = data.draw(st.permutations(list(range(1, count + 1)) * 2))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    for first, last in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        store.take([entry(seq, device) for seq in sent[first:last]])
        if data.draw(st.booleans()):
            store = reopen()
    assert numbers(store, device) == list(range(1, count + 1))
    assert high(store, device) == count


WRITER = """
import sys
from pathlib import Path
from core.registry import make_fleet_stores
from tests.fleet.examples import entry
store, seq = make_fleet_stores(sys.argv[2:], Path(sys.argv[1])), 0
while True:
    store.take([entry(seq + 1), entry(seq + 2)])
    seq += 2
    print(seq, flush=True)
"""


def test_what_take_returned_from_survives_sigkill(place: list[str], waiting: Path) -> None:
    """Of several stores, in each."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(waiting), *place], cwd=ROOT,
                          text=True, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(20)]
        os.kill(writer.pid, signal.SIGKILL)
        told += [int(line) for line in writer.stdout.read().split()]
    for one in place:
        store = make_fleet_store(one)
        found = numbers(store)
        store.close()
        assert found == list(range(1, len(found) + 1))
        assert len(found) >= told[-1]
        assert len(found) % 2 == 0, "half a batch"


def test_an_unknown_kind_is_told_and_a_url_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="sqlite") as told:
        make_fleet_store("papyrus://ada:s3cret@somewhere")
    assert "s3cret" not in str(told.value)
