"""What every `core.site_records.SiteRecords` must do, and commands that outlive a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench._postgres import PostgresServer
from core.clock import ManualClock
from core.fleet.command_book import CommandBook
from core.fleet.messages import Reply
from core.fleet.ports import CommandLife
from core.site_records import SiteRecords
from store import postgres as servers
from store.records import open_site_records
from tests.core.alarm_bench import NOON

EVIL = "=cmd|'/c calc'!A0'); DROP TABLE site_saved; <script>alert(1)</script> :name %s \\ \n"
Open = Callable[..., SiteRecords]


@pytest.fixture(params=["postgres", "sqlite"])
def opener(request: pytest.FixtureRequest, tmp_path: Path,
           monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the one database of this test, which begins empty, as another process would, so
    many days after NOON."""
    opened: list[SiteRecords] = []
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        monkeypatch.setenv("RECORDS_URL", server.new_schema())

    def one_more(days: float = 0.0) -> SiteRecords:
        clock = ManualClock(NOON + timedelta(days=days))
        opened.append(servers.open_site_records("RECORDS_URL", clock)
                      if request.param == "postgres" else
                      open_site_records(tmp_path / "records", clock))
        return opened[-1]

    yield one_more
    for one in opened:
        one.close()


@pytest.fixture
def records(opener: Open) -> SiteRecords:
    return opener()


def book(records: SiteRecords, clock: ManualClock, site: str = "home",
         most: int = 1000) -> CommandBook:
    found = CommandBook(site, clock.now, most)
    found.remember(records)
    return found


def send(book: CommandBook, device: str = "pack_1", issuer: str = "ada") -> CommandLife:
    return book.send(lambda *_: None, device, "emergency_stop", issuer)


def test_commands_and_what_became_of_them_outlive_a_restart(records: SiteRecords,
                                                            opener: Open) -> None:
    clock = ManualClock(NOON)
    first = book(records, clock)
    done = send(first, issuer=EVIL[:80])
    clock.advance(1)
    unheard = send(first, "pack_2")
    clock.advance(1)
    first.heard("pack_1", [Reply(id=done.command.id, state="received")])
    first.heard("pack_1", [Reply(id=done.command.id, state="refused", reason=EVIL[:200])])
    clock.advance(1)
    open_ = send(first)
    first.close()
    again = book(opener(), clock)
    assert again.lives() == first.lives()
    assert [(life.state, life.reason) for life in again.lives()] == [
        ("sent", ""), ("sent", ""), ("refused", EVIL[:200])]
    assert again.life(done.command.id).command == done.command
    again.heard("pack_1", [Reply(id=open_.command.id, state="executed")])
    assert again.life(open_.command.id).state == "executed"
    clock.advance(60)
    assert again.life(unheard.command.id).state == "expired"
    again.close()
    assert book(records, clock).life(open_.command.id).state == "executed"


def test_a_book_without_a_store_loses_nothing_when_it_gets_one(records: SiteRecords) -> None:
    clock = ManualClock(NOON)
    before = CommandBook("home", clock.now)
    early = send(before)
    before.remember(records)
    before.close()
    assert [life.command for life in book(records, clock).lives()] == [early.command]


def test_sites_do_not_meet_and_a_day_is_remembered(records: SiteRecords) -> None:
    clock = ManualClock(NOON)
    here, there = book(records, clock), book(records, clock, "elsewhere")
    old = send(here)
    send(there)
    clock.advance(23 * 3600)
    young = send(here)
    here.close()
    there.close()
    assert [life.command for life in book(records, clock).lives()] == [young.command, old.command]
    clock.advance(2 * 3600)
    assert [life.command for life in book(records, clock).lives()] == [young.command]


def test_after_a_month_commands_are_forgotten(records: SiteRecords, opener: Open) -> None:
    one = book(records, ManualClock(NOON))
    life = send(one)
    one.close()
    for days, known in ((30.0, [life]), (32.0, [])):
        assert opener(days).commands("home", NOON, 10) == known


def test_a_stop_of_a_thousand_packs_is_kept_whole(records: SiteRecords) -> None:
    clock = ManualClock(NOON)
    one = book(records, clock)
    for number in range(1050):
        clock.advance(0.001)
        send(one, f"pack_{number}")
    one.close()
    known = book(records, clock).lives()
    assert len(known) == 1000
    assert known[0].device == "pack_1049"
    assert len(records.commands("home", NOON - timedelta(days=1), 10_000)) == 1050


@settings(max_examples=20, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["operator", "source"]), st.sampled_from("abÖ"),
                          st.text(max_size=20)), max_size=8))
def test_what_is_saved_is_what_was_saved_last(records: SiteRecords,
                                              told: list[tuple[str, str, str]]) -> None:
    expected: dict[str, dict[str, str]] = {"operator": {}, "source": {}}
    for kind, name, value in told:
        records.save(kind, name, value)  # type: ignore[arg-type]
        expected[kind][name] = value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    for kind in expected:
        assert records.saved(kind) == expected[kind]  # type: ignore[arg-type]
        for name in expected[kind]:
            assert records.remove(kind, name)  # type: ignore[arg-type]
            assert not records.remove(kind, name)  # type: ignore[arg-type]


def test_several_processes_share_them(records: SiteRecords, opener: Open) -> None:
    other = opener()
    records.save("operator", EVIL, "one")
    other.save("operator", EVIL, "two")
    assert records.saved("operator") == {EVIL: "two"}
