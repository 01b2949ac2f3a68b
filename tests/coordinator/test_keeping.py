"""What a loop keeps waits while its store is out of reach; a file whose table of leases is away is
one."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from core.coordinator.keeping import MOST_WAITING, Keeper
from core.coordinator.records import LEASE_S, SiteState
from core.coordinator.settings import SiteSettings
from core.coordinator.tariffs import SiteTariff, StoredPrices
from core.coordinator.view import Note
from core.errors import RetryLaterError
from core.tariff import PriceSeries
from store.records import open_coordinator
from store.records.coordinator import CoordinatorTables
from tests.contracts.test_coordinator_store_contract import minute
from tests.coordinator.fleet import NOON, SITE


class Away:
    """A store that can be out of reach, and its keeper."""

    def __init__(self, folder: Path) -> None:
        self.store: CoordinatorTables = open_coordinator(folder)
        self._file = folder / "coordinator.sqlite"
        self.keeper = Keeper(self.store, SITE, "one")

    def _rename(self, before: str, after: str) -> None:
        with closing(sqlite3.connect(self._file)) as db:
            db.execute(f"ALTER TABLE {before} RENAME TO {after}")

    def lose(self) -> None:
        self._rename("coordinator_leases", "away")

    def find(self) -> None:
        self._rename("away", "coordinator_leases")

    def state(self, seconds: float) -> None:
        told = SiteState(NOON + timedelta(seconds=seconds), "one")
        self.keeper.keep("state", partial(self.store.keep_state, SITE, told))

    def note(self, number: int) -> None:
        told = Note(NOON, "info", str(number))
        self.keeper.keep(("note", number), partial(self.store.note, SITE, told))


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Away]:
    found = Away(tmp_path)
    yield found
    found.store.close()


def test_who_never_held_the_site_does_not_drive_without_the_store(away: Away) -> None:
    away.lose()
    with pytest.raises(RetryLaterError):
        away.keeper.holds(NOON)
    away.find()
    assert away.keeper.holds(NOON)
    away.lose()
    assert away.keeper.holds(NOON)
    why = away.keeper.lost
    assert "coordinator_leases" in why
    away.store.close()
    assert away.keeper.holds(NOON)
    assert away.keeper.lost == why, "said once"


def test_what_waits_is_kept_in_its_order_the_newest_of_each(away: Away) -> None:
    away.store.save_settings(SITE, SiteSettings(controller="off"), "ada", NOON)
    away.keeper.holds(NOON)
    away.keeper.settings()
    away.lose()
    away.keeper.holds(NOON)
    for number in range(3):
        away.note(number)
        away.state(number)
        away.keeper.keep_minutes([minute(number)])
    away.store.save_settings(SITE, SiteSettings(), "bob", NOON)
    changed = away.keeper.settings()
    assert changed is not None
    assert changed.who == "ada", "as it was last"
    assert (away.store.notes(SITE), away.store.state(SITE)) == ([], None)
    away.find()
    assert away.keeper.holds(NOON)
    assert away.keeper.lost == ""
    assert [note.words for note in away.store.notes(SITE)] == ["2", "1", "0"]
    state = away.store.state(SITE)
    assert state is not None
    assert state.at == NOON + timedelta(seconds=2)
    assert len(away.store.minutes(SITE, NOON, NOON + timedelta(hours=1))) == 3
    assert away.keeper.settings() == away.store.settings(SITE)


def test_prices_that_were_read_before_are_known_without_the_store(away: Away) -> None:
    told = StoredPrices("EUR", [NOON.timestamp()], [0.3], [0.1], 3600.0)
    away.store.keep_prices(SITE, "day ahead", msgspec.json.encode(told), NOON)
    tariff = SiteTariff(SITE, away.store, ZoneInfo("UTC"))
    asked = SiteSettings(prices="day ahead")
    tariff(asked)
    assert (tariff.currency(SiteSettings()), tariff.currency(asked)) == ("", "EUR")
    away.store.close()
    known = tariff(SiteSettings(prices="day ahead"))
    assert isinstance(known, PriceSeries)
    assert known.import_per_kwh.tolist() == [0.3]
    with pytest.raises(RetryLaterError):
        tariff(SiteSettings(prices="another"))
    assert tariff.currency(SiteSettings(prices="another")) == ""


def test_only_so_much_waits_and_the_oldest_goes_first(away: Away) -> None:
    away.keeper.holds(NOON)
    away.lose()
    away.keeper.holds(NOON)
    for number in range(MOST_WAITING + 7):
        away.note(number)
    assert len(away.keeper._waiting) == MOST_WAITING
    assert next(iter(away.keeper._waiting)) == ("note", 7)


def test_where_another_took_over_meanwhile_nothing_of_before_is_told(away: Away) -> None:
    away.keeper.holds(NOON)
    away.lose()
    away.keeper.holds(NOON)
    away.state(1.0)
    away.find()
    later = NOON + timedelta(seconds=LEASE_S + 1)
    away.store.lease(SITE, "two", later)
    assert not away.keeper.holds(later)
    assert away.store.state(SITE) is None
    assert away.keeper.lost == ""


def test_at_an_end_what_can_be_kept_still_is(away: Away) -> None:
    away.keeper.holds(NOON)
    away.lose()
    away.keeper.holds(NOON)
    away.state(1.0)
    away.find()
    away.keeper.release()
    assert away.store.state(SITE) is not None


def test_at_an_end_nothing_is_told_over_who_took_the_site_meanwhile(away: Away) -> None:
    away.keeper.holds(NOON)
    away.lose()
    away.keeper.holds(NOON + timedelta(seconds=1))
    away.state(1.0)
    away.find()
    later = NOON + timedelta(seconds=LEASE_S + 2)
    assert away.store.lease(SITE, "two", later) == "two"
    away.keeper.release()
    assert away.store.state(SITE) is None
    assert away.store.lease(SITE, "three", later) == "two", "it is not given back by another"


def test_at_an_end_it_is_said_what_is_lost(away: Away, caplog: pytest.LogCaptureFixture) -> None:
    away.keeper.holds(NOON)
    away.store.close()
    away.keeper.holds(NOON)
    away.note(1)
    away.keeper.keep_minutes([minute(1), minute(2)])
    with pytest.raises(RetryLaterError), caplog.at_level(logging.WARNING):
        away.keeper.release()
    assert "2 lines and 2 minutes are not kept" in caplog.text
