"""A device that was offline empties its outbox: what came late is in history without a restart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from core.clock import ManualClock
from core.engine import Engine
from core.fleet.entries import FleetEntry
from core.fleet.ports import FleetStore
from core.late import KEPT_DAYS, MOST_MINUTES, LateArrivals, late_arrivals, runs
from core.ports import Series, Source
from core.registry import FLEET_STORES, make_fleet_past, make_fleet_store
from core.topology import DEFAULT_LEVELS
from store.embedded import EmbeddedStore
from tests.core.sites import ScriptedReadings, system
from tests.fleet.site import fleet_place
from tests.fleet.test_fleet_past import (
    FIRST,
    SECOND,
    SITE,
    assert_equals_the_bodies,
    fleet,
    kept,
    power_at,
)
from tests.sources.mosquitto import until
from tests.store.support import at, seconds_of

ENDED = 2400
"""Seconds after noon, when an app looks that ran all the time."""
AWAY = range(600, 1200)
"""When the second pack was offline."""


def received(second: float, entries: Sequence[FleetEntry]) -> list[FleetEntry]:
    return [replace(one, received_us=round(at(second).timestamp() * 1e6)) for one in entries]


@pytest.fixture(params=sorted(FLEET_STORES))
def place(request: pytest.FixtureRequest, tmp_path: Path,
          monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the ingest's store, in each kind."""
    return fleet_place(request, tmp_path, monkeypatch)


class Site:
    """An app that ran all the time, and heard both packs but for AWAY; the ingest's store."""

    def __init__(self, folder: Path, place: str, *more: Source) -> None:
        self.clock = ManualClock(at(ENDED))
        self.ingest: FleetStore = make_fleet_store(place)
        self.engine = Engine(DEFAULT_LEVELS, [fleet(place, self.clock), *more], self.clock)
        self.folder, topology = folder / "history", self.engine.topology
        self.history = EmbeddedStore(self.folder, topology)
        self.engine.attach(self.history)
        empty = self.engine.snapshot.frame
        for second in range(ENDED):
            columns = {name: column.copy() for name, column in empty.columns.items()}
            power = columns["power_kw"]
            heard = [("pack_1", FIRST)] + [("pack_2", SECOND)] * (second not in AWAY)
            for device, element in heard:
                power[topology.index(element)] = power_at(second, device)
            power[topology.index(SITE)] = sum(power_at(second, device) for device, _ in heard)
            self.history.append(replace(empty, time=at(second), columns=columns))
        self.history.settle()
        self.ingest.take([*received(0, kept("pack_1", range(ENDED)))])
        self.late = LateArrivals(self.engine, self.history, at(0))

    def deliver(self, second: float, seconds: Sequence[int] = AWAY) -> None:
        """The outbox of the second pack, at last."""
        self.ingest.take(received(second, kept("pack_2", seconds, seq=1 + min(seconds))))

    def look(self, passed_s: float = 60.0) -> None:
        self.clock.advance(passed_s)
        self.late.look()

    def power(self, node: str, end: float = ENDED) -> Series:
        (found,) = self.history.series([node], ["power_kw"], at(0), at(end), 10_000)
        return found

    def close(self) -> None:
        self.late.stop()
        self.engine.stop()
        self.ingest.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[list[Site]]:
    begun: list[Site] = []
    yield begun
    for site in begun:
        site.close()


def begun(opened: list[Site], folder: Path, place: str, *more: Source) -> Site:
    opened.append(Site(folder, place, *more))
    return opened[-1]


def test_what_an_outbox_delivers_while_the_app_runs_is_in_history(
        tmp_path: Path, place: str, opened: list[Site]) -> None:
    site = begun(opened, tmp_path, place)
    assert not set(seconds_of(site.power(SECOND))) & set(AWAY)
    site.deliver(ENDED)
    site.look()
    assert site.late.error == ""
    found = site.power(SECOND)
    assert [one for one in seconds_of(found) if one in AWAY] == list(range(600, 1200, 60))
    for minute in (600, 1140):
        own = [power_at(one, "pack_2") for one in range(minute, minute + 60)]
        assert_equals_the_bodies(found, minute, own)
    (top,) = site.history.series([SITE], ["power_kw"], at(-7200), at(ENDED), 10_000)
    assert_equals_the_bodies(top, 600, [power_at(one, "pack_1") + power_at(one, "pack_2")
                                        for one in range(600, 660)])
    moment = site.history.moment_at(at(900))
    assert moment is not None
    assert moment.frame.value("power_kw", site.engine.topology.index(SECOND)) > 100.0


def test_young_minutes_wait_and_are_then_told_as_a_whole(tmp_path: Path, opened: list[Site],
                                                         ) -> None:
    """The first half of them comes, and a little later the rest."""
    site = begun(opened, tmp_path, f"sqlite:{tmp_path / 'fleet' / 'fleet.db'}")
    site.deliver(ENDED - 100, [*AWAY][:330])
    site.look(AWAY.stop - 200 - ENDED)
    assert not set(seconds_of(site.power(SECOND))) & set(AWAY), "it is not over yet"
    site.look(ENDED - (AWAY.stop - 200) + 60.0)
    assert 900 in seconds_of(site.power(SECOND))
    site.deliver(ENDED + 60, [*AWAY][330:])
    site.look()
    assert_equals_the_bodies(site.power(SECOND), 900, [
        power_at(one, "pack_2") for one in range(900, 960)])


def test_a_minute_that_is_deleted_stays_deleted(tmp_path: Path, opened: list[Site]) -> None:
    site = begun(opened, tmp_path, f"sqlite:{tmp_path / 'fleet' / 'fleet.db'}")
    site.history.close()
    for tier in ("raw", "minute"):
        for path in (site.folder / tier).iterdir():
            path.unlink()
    site.history = site.engine.store = EmbeddedStore(site.folder, site.engine.topology)
    site.late = LateArrivals(site.engine, site.history, at(0))
    before = seconds_of(site.power(SECOND))
    site.deliver(ENDED)
    site.look()
    assert site.late.error == ""
    assert seconds_of(site.power(SECOND)) == before


def test_so_many_at_one_look_and_the_rest_at_the_next(tmp_path: Path,
                                                      opened: list[Site]) -> None:
    site = begun(opened, tmp_path, f"sqlite:{tmp_path / 'fleet' / 'fleet.db'}")
    site.late = LateArrivals(site.engine, site.history, at(0), most_minutes=4)
    site.deliver(ENDED)
    for told in (4, 8, 10):
        site.look()
        found = [one for one in seconds_of(site.power(SECOND)) if one in AWAY]
        assert len(found) == told


def test_beside_another_source_the_top_stays_as_it_was(tmp_path: Path,
                                                       opened: list[Site]) -> None:
    """What the other one told at that time is not known any more."""
    site = begun(opened, tmp_path, f"sqlite:{tmp_path / 'fleet' / 'fleet.db'}",
                 ScriptedReadings([system()]))
    grid = site.engine.topology.ids[0]
    before = site.power(grid)
    site.deliver(ENDED)
    site.look()
    np.testing.assert_array_equal(site.power(grid).mean, before.mean)
    assert 600 in seconds_of(site.power(SITE))


def test_a_store_that_does_not_answer_is_said_and_asked_again(tmp_path: Path,
                                                              opened: list[Site]) -> None:
    file = tmp_path / "fleet" / "fleet.db"
    site = begun(opened, tmp_path, f"sqlite:{file}")
    site.deliver(ENDED)
    site.ingest.close()
    kept_file = file.rename(tmp_path / "elsewhere")
    file.write_bytes(b"no database" * 1000)
    site.look()
    assert "cannot be read" in site.late.error
    kept_file.rename(file)
    site.look()
    assert site.late.error == ""
    assert 600 in seconds_of(site.power(SECOND))


@pytest.mark.parametrize("set_back_s", [90.0, 3600.0])
def test_what_comes_after_the_clock_was_set_back_is_found_at_once(
        tmp_path: Path, place: str, opened: list[Site], set_back_s: float) -> None:
    """What is received then has times that were looked at before."""
    site = begun(opened, tmp_path, place)
    for _ in range(70):
        site.look()
    site.clock.set_by(-set_back_s)
    site.ingest.take([replace(one, received_us=round(site.clock.now().timestamp() * 1e6))
                      for one in kept("pack_2", AWAY, seq=1 + min(AWAY))])
    site.look()
    assert site.late.error == ""
    assert [one for one in seconds_of(site.power(SECOND)) if one in AWAY] == list(
        range(600, 1200, 60))


def test_it_looks_by_itself_and_only_where_something_is_kept(tmp_path: Path,
                                                             opened: list[Site]) -> None:
    site = begun(opened, tmp_path, f"sqlite:{tmp_path / 'fleet' / 'fleet.db'}")
    found = late_arrivals(site.engine)
    assert found is not None
    site.late = found
    site.deliver(ENDED + 1)
    found.start()
    until(lambda: site.clock.advance(30.0) and 600 in seconds_of(site.power(SECOND)),
          "it is looked at")
    bare = Engine(DEFAULT_LEVELS, [ScriptedReadings([system()])], site.clock)
    bare.attach(site.history)
    assert late_arrivals(bare) is None
    bare.attach(None)
    bare.stop()


def test_minutes_that_came_late_are_found_by_when_they_came(place: str) -> None:
    """Also after what is old was forgotten, and the live ones among them are none."""
    store = make_fleet_store(place)
    past = make_fleet_past(place, "orrery.toml", "store")

    def late(after: float, until_s: float) -> list[float]:
        found = past.late_minutes("home", *(round(at(one).timestamp() * 1e6)
                                            for one in (after, until_s)), 15_000_000)
        return [one / 1e6 - at(0).timestamp() for one in found]

    assert late(0, 10 ** 6) == []
    for second in range(1000, 1100):
        store.take(received(second + 1, kept("pack_1", [second], seq=second)))
    store.take(received(1101, kept("pack_2", [100, 130, 190, 1099])))
    store.take(received(1200, kept("pack_2", [250], seq=9)))
    assert late(0, 2000) == [60.0, 120.0, 180.0, 240.0]
    assert late(1100, 1101) == [60.0, 120.0, 180.0]
    assert late(1101, 2000) == [240.0]
    store.forget(round(at(1050).timestamp() * 1e6))
    assert late(1101, 2000) == [240.0]
    assert past.late_minutes("other", 0, 2 ** 52, 15_000_000) == []
    store.close()
    past.close()


def test_runs_are_minutes_that_follow_each_other() -> None:
    def minutes(*seconds: int) -> list[datetime]:
        return [at(one) for one in seconds]

    assert runs([], 3) == []
    assert runs(minutes(0, 60, 120, 180, 300), 3) == [
        minutes(0, 60, 120), minutes(180), minutes(300)]
    assert MOST_MINUTES * 60 < KEPT_DAYS * 86400
