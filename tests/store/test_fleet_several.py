"""The fleet's telemetry in several stores: what is told to be kept is in each, or waits for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from core.clock import ManualClock
from core.errors import ConfigurationError, RetryLaterError
from core.fleet.entries import FleetEntry, Taken
from core.fleet.ports import FleetStore
from core.fleet.rejections import Rejection
from core.registry import make_fleet_past, make_fleet_stores
from store.fleet import SqliteFleetStore
from store.fleet_several import SeveralFleetStores
from store.fleet_waiting import WaitingEntries
from tests.fleet.examples import OTHER_STREAM, THIRD_STREAM, entry
from tests.store.support import at


class Leaving(SqliteFleetStore):
    """A real store that takes nothing while it is away."""

    def __init__(self, path: Path, away: Callable[[], bool]) -> None:
        super().__init__(path)
        self._away = away

    def take(self, entries: Sequence[FleetEntry]) -> Taken:
        if self._away():
            raise RetryLaterError("nobody answers")
        return super().take(entries)


class Place:
    """Two stores in files that can be away."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, ManualClock(at(0))
        self.away = self.first_away = False
        self.open_again()

    def open_again(self, most_bytes: int = 10 ** 6) -> None:
        self.first = Leaving(self.folder / "first" / "fleet.db", lambda: self.first_away)
        self.waiting = WaitingEntries(self.folder / "waiting.db", most_bytes)
        self.several = SeveralFleetStores(
            self.first, {"second": (self._open, self.waiting)}, self.clock)

    def _open(self) -> FleetStore:
        if self.away:
            raise RetryLaterError("nobody is at home")
        self.second = Leaving(self.folder / "second" / "fleet.db", lambda: self.away)
        return self.second

    def come_back(self) -> None:
        self.away = False
        self.several.settle()

    def numbers(self, store: FleetStore, device: str = "pack_1") -> list[int]:
        return [seq for seq, _ in store.bodies("home", device, 0, 2 ** 53)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path)
    yield found
    found.several.close()


def entries(*numbers: int) -> list[FleetEntry]:
    return [entry(number) for number in numbers]


def test_each_has_each_once(place: Place) -> None:
    taken = place.several.take(entries(1, 2, 2, 3))
    assert (taken.stored, taken.duplicate) == (3, 1)
    place.several.take(entries(3, 4))
    assert place.numbers(place.first) == place.numbers(place.second) == [1, 2, 3, 4]
    assert place.several.behind() == ""
    assert place.waiting.count == 0
    mark = place.several.mark("home", "pack_1")
    assert mark is not None
    assert mark.high == 4


def test_what_one_lacks_waits_and_is_handed_on_in_order(place: Place) -> None:
    place.several.take(entries(1))
    place.away = True
    place.several.take(entries(2, 3))
    place.several.take([entry(4, stream=OTHER_STREAM, base=3)])
    assert place.numbers(place.first) == [1, 2, 3, 4], "the first goes on"
    assert place.several.behind() == "3 messages wait on this disk for second: nobody answers"
    place.come_back()
    assert place.several.behind() == ""
    assert place.numbers(place.second) == [1, 2, 3, 4]
    assert [(one.stream, one.high) for one in place.second.marks()] == [(OTHER_STREAM, 4)]
    place.several.take([entry(5, stream=OTHER_STREAM, base=3)])
    assert place.numbers(place.second) == [1, 2, 3, 4, 5], "and it is written at once again"


def test_what_waits_outlives_the_process_and_a_store_that_is_away_at_the_start(
        place: Place) -> None:
    place.away = True
    place.several.take(entries(1, 2))
    place.several.close()
    place.open_again()
    assert "2 messages wait" in place.several.behind()
    assert "nobody is at home" in place.several.behind()
    place.several.take(entries(2, 3))
    place.come_back()
    assert place.numbers(place.second) == [1, 2, 3]


def test_the_first_that_is_down_stops_all_and_no_message_is_twice_in_the_others(
        place: Place) -> None:
    """The first commits last: what its marks tell is safe in each."""
    place.first_away = True
    for numbers, place.away in (((1, 2), False), ((3,), True)):
        for _ in range(3):
            with pytest.raises(RetryLaterError, match="nobody answers"):
                place.several.take(entries(*numbers))
    mark = place.several.mark("home", "pack_1")
    assert mark is not None
    assert mark.high == 0, "no device forgets anything"
    place.first_away = False
    assert place.several.take(entries(1, 2, 3)).stored == 3
    place.come_back()
    assert place.numbers(place.first) == place.numbers(place.second) == [1, 2, 3]


def test_beyond_its_bound_nothing_is_taken_and_nothing_is_told_to_be_kept(place: Place) -> None:
    place.several.close()
    place.away = True
    place.open_again(most_bytes=10)
    place.several.take(entries(1, 2))
    with pytest.raises(RetryLaterError, match="no more have room"):
        place.several.take(entries(3))
    mark = place.several.mark("home", "pack_1")
    assert mark is not None
    assert mark.high == 2, "its device keeps number 3"
    place.come_back()
    place.several.take(entries(3))
    assert place.numbers(place.second) == [1, 2, 3]


def test_each_forgets_what_is_old(place: Place) -> None:
    place.several.take(entries(1, 2))
    assert place.several.forget(10 ** 15 + 2) == 1
    assert place.numbers(place.first) == place.numbers(place.second) == [2]


def numbered_anew(place: Place, *numbers: int) -> list[FleetEntry]:
    """What a device that is told to does with its messages."""
    mark = place.several.mark("home", "pack_1")
    assert mark is not None
    return [entry(mark.last + seq, stream=THIRD_STREAM, base=mark.last, floor=mark.last + 1,
                  time_us=1_000_000 * seq, text=b"body %d" % seq) for seq in numbers]


def test_what_the_second_refuses_is_told_and_in_none_until_it_is_numbered_anew(
        place: Place) -> None:
    """The first has an empty disk, and the device an empty outbox: only the second knows it."""
    place.several.take(entries(1, 2, 3))
    place.several.close()
    shutil.rmtree(place.folder / "first")
    place.open_again()
    afresh = [entry(seq, stream=OTHER_STREAM, time_us=9_000_000 + seq, text=b"new %d" % seq)
              for seq in (1, 2)]
    taken = place.several.take([*afresh, entry(1, "pack_2")])
    assert [one for one, _ in taken.refused] == afresh
    assert {why for _, why in taken.refused} == {Rejection.SEQUENCE_BACKWARDS}
    assert (taken.stored, place.numbers(place.first)) == (1, [])
    mark = place.several.mark("home", "pack_1")
    assert mark is not None
    assert (mark.high, mark.last) == (0, 3), "none of it is settled"
    assert place.several.take(numbered_anew(place, 11, 12)).stored == 2
    assert place.numbers(place.first) == [14, 15]
    assert place.numbers(place.second) == [1, 2, 3, 14, 15]


def test_a_device_numbers_above_what_the_second_has_already(place: Place) -> None:
    """The process was killed after the commit of the second and before that of the first."""
    place.several.take(entries(1, 2))
    place.first_away = True
    with pytest.raises(RetryLaterError):
        place.several.take(entries(3, 4))
    place.first_away = False
    assert len(place.several.take([entry(2, time_us=77)]).refused) == 1
    taken = place.several.take(numbered_anew(place, 3, 4, 5))
    assert (taken.stored, taken.refused) == (3, ())
    assert place.numbers(place.first) == [1, 2, 7, 8, 9]
    assert place.numbers(place.second) == [1, 2, 3, 4, 9], "each message once"


def test_what_the_second_refuses_of_that_which_waited_is_counted_and_named(place: Place) -> None:
    place.several.take(entries(1, 2, 3))
    place.several.close()
    shutil.rmtree(place.folder / "first")
    place.away = True
    place.open_again()
    place.several.take([entry(seq, stream=OTHER_STREAM, time_us=7) for seq in (1, 2)])
    place.come_back()
    behind = place.several.behind()
    assert "second refused 2 that had waited for it" in behind
    assert "numbers that are used already" in behind
    assert "(pack_1, number 2)" in behind
    refused = place.several.take([entry(3, stream=OTHER_STREAM, time_us=8)]).refused
    assert [one.seq for one, _ in refused] == [3], "and its device numbers anew"
    assert place.several.take(numbered_anew(place, 4)).stored == 1
    assert place.numbers(place.second) == [1, 2, 3, 7]


def urls(folder: Path) -> list[str]:
    return [f"sqlite:{folder / name / 'fleet.db'}" for name in ("one", "two")]


def test_as_the_command_line_names_them(tmp_path: Path) -> None:
    store = make_fleet_stores(urls(tmp_path), tmp_path / "waiting")
    store.take(entries(1, 2))
    store.close()
    for url in urls(tmp_path):
        past = make_fleet_past(url, "orrery.toml", "store")
        assert [one.seq for one in past.bodies_between("home", ["pack_1"], 0, 2 ** 50, 1)] == [1, 2]
        past.close()


@pytest.mark.parametrize("asked", [
    lambda folder: [urls(folder)[0]] * 2,
    lambda folder: [],
    lambda folder: [urls(folder)[0], "mysql:X"],
])
def test_a_list_that_is_none_is_named(tmp_path: Path,
                                      asked: Callable[[Path], list[str]]) -> None:
    for make in (lambda told: make_fleet_stores(told, tmp_path / "waiting"),
                 lambda told: make_fleet_past(told, "orrery.toml", "fleet.store")):
        with pytest.raises(ConfigurationError):
            make(asked(tmp_path))
    assert not (tmp_path / "one").exists(), "nothing is made of a list that is wrong"


def test_read_from_the_first_that_can_answer(tmp_path: Path) -> None:
    """The first knows less far back; then it is no store any more."""
    one, two = urls(tmp_path)
    for url, numbers in ((one, (5, 6, 7)), (two, (2, 3, 5, 6))):
        store = make_fleet_stores([url], tmp_path)
        store.take(entries(*numbers))
        store.close()
    past = make_fleet_past([one, two], "orrery.toml", "fleet.store")

    def told(after: int) -> list[int]:
        return [body.seq for body in past.bodies_between(
            "home", ["pack_1"], after * 1_000_000, 9_000_000, 1_000_000)]

    assert past.oldest_us("home") == 2_000_000
    assert told(5) == [6, 7], "the first reaches back so far"
    assert told(1) == [2, 3, 5, 6], "only the second does"
    health = past.health()
    assert list(health.parts) == [one, two]
    assert (health.error, health.newest) == ("", health.parts[one].newest)
    (tmp_path / "one" / "fleet.db").write_bytes(b"no database" * 1000)
    assert told(5) == [6]
    (tmp_path / "two" / "fleet.db").write_bytes(b"no database" * 1000)
    with pytest.raises(RetryLaterError, match="cannot be read"):
        told(5)
    past.close()


def test_two_files_in_one_folder_are_named_as_the_command_line_does(tmp_path: Path) -> None:
    places = [f"sqlite:{tmp_path / name}" for name in ("first.sqlite", "second.sqlite")]
    with pytest.raises(ConfigurationError, match="--store.*second.*a folder that no other store"):
        make_fleet_stores(places, tmp_path / "waiting")
    make_fleet_stores(places[:1], tmp_path / "waiting").close()
