"""Alarms survive SIGKILL with their delays, a damaged file is said, and growth has a bound."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench._postgres import PostgresServer
from core.alarms.journal import AlarmJournal
from core.alarms.ports import AlarmStore
from core.alarms.records import AlarmQuery, AuditEntry, Batch, Finding
from core.alarms.states import Event, State
from core.clock import ManualClock
from core.topology import DEFAULT_LEVELS, Topology
from store.records import ALARMS, open_alarms
from store.records.alarms import PRUNED_EVERY, AlarmTables
from store.records.sqlite import SqlitePlace
from tests.architecture.test_style import ROOT
from tests.contracts.test_alarm_store_contract import line
from tests.core.alarm_bench import NOON, hot
from tests.core.sites import system
from tests.store.alarm_writer import PENDING, STEP_S, key, opened, store_at

ALL = AlarmQuery(NOON, NOON + timedelta(days=1), limit=100_000)
EXPECTED = (State.ACKNOWLEDGED, State.SHELVED, State.UNACKNOWLEDGED)


@pytest.fixture(params=["directory", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path,
          monkeypatch: pytest.MonkeyPatch) -> str:
    """As `alarm_writer` is told it."""
    if request.param == "directory":
        return str(tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    monkeypatch.setenv("ALARMS_URL", server.new_schema())
    return "postgres:ALARMS_URL"


def killed_after(place: str, first: int, acks: int) -> int:
    """Kill the writer after so many steps that it said are kept; returns the last of them."""
    command = [sys.executable, "-m", "tests.store.alarm_writer", place, str(first)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = first - 1
        for _ in range(acks):
            said = process.stdout.readline()
            assert said, "the writer ended by itself"
            last = int(said)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
    assert process.returncode == -signal.SIGKILL
    return int(rest[-1]) if rest else last


def test_what_an_action_returned_from_survives_kill_9(place: str) -> None:
    said: list[int] = []
    unsaid: list[int] = []
    for acks in (3, 40, 111):
        first = (unsaid[-1] if unsaid else -1) + 1
        last = killed_after(place, first, acks)
        said += range(first, last + 1)
        unsaid.append(last + 1)
        journal, _, store = opened(place, last)
        told = {step: one.state for step in said if (one := journal.get(key(step)))}
        assert told == {step: EXPECTED[step % 3] for step in said}
        pending = journal.get(PENDING)
        assert pending is not None
        assert pending.changing_at == NOON + timedelta(seconds=STEP_S)
        assert_each_once(store, {key(step).element for step in said},
                         {key(step).element for step in unsaid})
        store.close()


def assert_each_once(store: AlarmStore, said: set[str], unsaid: set[str]) -> None:
    """Every raising once, with its number; of what was said nothing is missing."""
    raised = [entry for entry in store.history(ALL) if entry.event is Event.ON]
    elements = [entry.element for entry in raised]
    assert said <= set(elements) <= said | unsaid
    assert len(elements) == len(set(elements))
    assert len({entry.occurrence for entry in raised}) == len(raised)
    acted = [(entry.element, entry.action) for entry in store.audit(ALL)]
    assert len(acted) == len(set(acted))
    assert {key(step).element for step in range(1000) if step % 3 < 2} & said <= {
        element for element, _ in acted}


def test_a_damaged_file_is_set_aside_and_said(tmp_path: Path,
                                              caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "alarms.sqlite"
    file.write_bytes(b"no database at all " * 500)
    store = open_alarms(tmp_path, ManualClock(NOON))
    store.append(Batch(transitions=(line(0),)))
    assert len(store.history(ALL)) == 1
    assert [path.read_bytes()[:11] for path in tmp_path.glob("*.damaged-*")] == [b"no database"]
    assert "a new one begins" in caplog.text
    store.close()


def test_growth_has_a_bound(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path, ALARMS)
    store = AlarmTables(place, most_transitions=1000)
    sizes = []
    for start in range(0, 40_000, 1000):
        store.append(Batch(transitions=tuple(line(start + second) for second in range(1000))))
        sizes.append(place.size())
    found = store.history(ALL)
    assert 1000 <= len(found) <= 1000 + PRUNED_EVERY
    assert found[0].occurrence == 40_000
    assert max(sizes[20:]) <= 1.2 * max(sizes[:20])
    store.close()


def test_ten_thousand_alarms_of_one_tick_are_all_kept(place: str) -> None:
    """How fast: `python -m bench flood`."""
    site = Topology(DEFAULT_LEVELS, [system(number, 10, 50) for number in range(20)])
    findings: list[Finding] = [hot(3, one) for one in site.ids if "cell" in one]
    clock = ManualClock(NOON)
    store = store_at(place, clock)
    journal = AlarmJournal(site, clock, keep=store.append)
    journal.tick(findings)
    assert journal.error == ""
    assert len(store.load(NOON).instances) == len(store.history(ALL)) == len(findings) == 10_000
    store.close()


def test_acknowledgements_take_nothing_else_out_of_the_audit(tmp_path: Path) -> None:
    store = AlarmTables(SqlitePlace(tmp_path, ALARMS), most_audit=1000)
    entry = AuditEntry(NOON, "ada", "emergency_stop", "system_0", "", "smoke", "", "sent")
    acknowledged = replace(entry, action=Event.ACKNOWLEDGE.value)
    store.append(Batch(audit=(entry,), durable=True))
    for _ in range(4):
        store.append(Batch(audit=(acknowledged,) * 5000, durable=True))
    kept = [one.action for one in store.audit(ALL)]
    assert kept == [*["acknowledge"] * 1000, "emergency_stop"]
    for _ in range(2):
        store.append(Batch(audit=(entry,) * 5000, durable=True))
    kept = [one.action for one in store.audit(ALL)]
    assert kept == [*["emergency_stop"] * 1000, *["acknowledge"] * 1000]
    store.close()


def test_growth_has_a_bound_over_restarts_too(tmp_path: Path) -> None:
    for start in range(0, 6000, 2000):
        store = AlarmTables(SqlitePlace(tmp_path, ALARMS), most_transitions=1000)
        store.append(Batch(transitions=tuple(line(start + second) for second in range(2000))))
        store.close()
    store = AlarmTables(SqlitePlace(tmp_path, ALARMS), most_transitions=1000)
    store.append(Batch(transitions=(line(6000),)))
    assert len(store.history(ALL)) == 1000
    store.close()
