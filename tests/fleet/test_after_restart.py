"""What became of commands whose sender is gone is audited by who comes after it, once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.alarms.records import AlarmQuery, AuditEntry
from core.clock import ManualClock
from core.engine import Engine
from core.errors import HistoryLockedError
from core.fleet.command_book import CommandBook
from core.fleet.messages import VERSION, Command, Reply
from core.fleet.outcomes import LateAnswers, follow, resume
from core.fleet.ports import CommandLife, CommandStore
from core.topology import DEFAULT_LEVELS
from store.records import open_alarms, open_site_records
from tests.components.fleet_site import SITE, START, FakeFleet
from tests.gateway.site import eventually

LOOK_S = 0.01


class Booked(FakeFleet):
    """Its commands are in a book, as those of a real fleet."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(3, 2, clock)
        self.book = CommandBook(SITE, clock.now)

    def commands(self) -> Sequence[CommandLife]:
        return self.book.lives()

    def remember(self, store: CommandStore) -> None:
        self.book.remember(store)

    def close(self) -> None:
        self.book.close()

    def send(self, device: str, action: str = "emergency_stop", issuer: str = "Anna",
             ) -> CommandLife:
        return self.book.send(lambda *_: None, device, action, issuer)

    def hear(self, life: CommandLife, state: str = "executed") -> None:
        self.book.heard(life.device, [Reply(id=life.command.id,
                                            state=state)])  # type: ignore[arg-type]


class Place:
    """Where alarms and commands are kept, and processes that begin there."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock(START)
        self._directory = directory
        self._engines: list[Engine] = []

    def begin(self) -> tuple[Engine, Booked]:
        """As another process, which has no audit while one before it lives."""
        fleet = Booked(self.clock)
        engine = Engine(DEFAULT_LEVELS, [fleet], self.clock)
        try:
            engine.keep_alarms(open_alarms(self._directory / "alarms", self.clock))
        except HistoryLockedError as error:
            engine.keep_alarms(None, str(error))
        engine.keep_records(open_site_records(self._directory / "records", self.clock),
                            late=LateAnswers(LOOK_S))
        self._engines.append(engine)
        return engine, fleet

    def close(self) -> None:
        for engine in self._engines:
            engine.stop()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path)
    yield found
    found.close()


def told(engine: Engine) -> list[tuple[str, str, str, str, str]]:
    """The audit, oldest first."""
    assert engine.desk.store is not None
    day = timedelta(days=2)
    return [(one.who, one.action, one.element, one.before, one.after) for one in
            engine.desk.store.audit(AlarmQuery(START - day, START + day))[::-1]]


def line(device: str, after: str, action: str = "emergency_stop",
         who: str = "Anna") -> tuple[str, str, str, str, str]:
    return who, f"{action}: outcome", f"system_home_rack_{device}", action, after


@pytest.mark.parametrize("away_s", [4.0, 3600.0], ids=["in time", "its time is over"])
def test_who_begins_anew_tells_what_was_open(place: Place, away_s: float) -> None:
    sender, fleet = place.begin()
    first = fleet.send("pack_001")
    place.clock.advance(2)
    other = fleet.send("pack_002", "reset", "Bob")
    done = fleet.send("pack_003")
    fleet.hear(done)
    sender.stop()
    place.clock.advance(away_s)
    engine, fleet = place.begin()
    fleet.hear(first)
    eventually(lambda: len(told(engine)) == 1)
    engine.stop()
    engine, fleet = place.begin()
    fleet.hear(first)
    fleet.hear(done)
    fleet.hear(other, "refused")
    eventually(lambda: len(told(engine)) == 2)
    spent_s = away_s + 2
    assert told(engine) == [
        line("001", "answered after a restart: 1 executed; pack_001: executed "
                    f"{spent_s:.0f} s after it was sent"),
        line("002", "answered after a restart: 1 refused; pack_002: refused "
                    f"{away_s:.0f} s after it was sent", "reset", "Bob")]


def test_while_the_sender_lives_it_alone_tells(place: Place) -> None:
    sender, fleet = place.begin()
    first, second = fleet.send("pack_001"), fleet.send("pack_002")
    place.clock.advance(60)

    def keep(outcome: str) -> None:
        sender.desk.audit(AuditEntry(place.clock.now(), "Anna", "emergency_stop: outcome", "home",
                                     "", "", "", outcome))

    follow([first.command.id, second.command.id], fleet.commands, 30.0, {}, keep,
           LateAnswers(LOOK_S))
    eventually(lambda: len(told(sender)) == 1)
    beside, deaf = place.begin()
    assert beside.desk.store is None
    for one in (deaf, fleet):
        one.hear(first)
    eventually(lambda: len(told(sender)) == 2)
    assert told(sender)[1][4].startswith("answered late: 1 executed; pack_001")
    sender.stop()
    engine, fleet = place.begin()
    for one in (deaf, fleet):
        one.hear(second)
    eventually(lambda: len(told(engine)) == 3)
    assert told(engine)[2] == line("002", "answered after a restart: 1 executed; pack_002: "
                                          "executed 60 s after it was sent")


def lives() -> list[CommandLife]:
    """One order of two packs; another of one of them; what nobody waits for."""
    now_s = START.timestamp()

    def life(number: int, device: str, sent_s: float, **more: object) -> CommandLife:
        values = {"action": "override", "power_kw": 20.0, "hold_s": 900.0, "issuer": "Anna",
                  **more}
        command = Command(v=VERSION, id=f"{number:032x}", issued_s=now_s + sent_s, ttl_s=30.0,
                          **values)  # type: ignore[arg-type]
        return CommandLife(command, SITE, device, "expired", untold=True)

    return [life(1, "pack_001", -100.0), life(2, "pack_002", -99.9), life(3, "pack_001", -50.0),
            life(4, "pack_001", -90_000.0), life(5, "pack_003", -40.0, action="ping",
                                                 power_kw=None, hold_s=None)]


def test_an_order_to_many_is_one_line_and_neither_pings_nor_what_is_older_than_a_day() -> None:
    known, kept = lives(), list[AuditEntry]()
    resume(lambda: known, kept.append, lambda: START, LateAnswers(LOOK_S))
    known[:] = [replace(one, state="executed", untold=False) for one in known]
    eventually(lambda: len(kept) == 2)
    assert [(one.who, one.element, one.before, one.after) for one in kept] == [
        ("Anna", "system_home", "override: at most 20 kW for 900 s",
         "answered after a restart: 2 executed; pack_001: executed; pack_002: executed"),
        ("Anna", "system_home_rack_001", "override: at most 20 kW for 900 s",
         "answered after a restart: 1 executed; pack_001: executed")]
