"""History and audit of alarms: what is sought is found however old it is, and what is cut off is
said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from components.alarms import history, words
from components.alarms.choice import Shown
from core.alarms.records import AuditEntry, Batch, Transition
from core.alarms.states import Event, State
from tests.components.test_alarms_page import CELLS, SITE, Desk, desk, opened, texts
from tests.core.sites import NOON

__all__ = ["desk"]
MOST = history.MOST
OLD = "system_1_cluster_0_rack_0_module_0_cell_0"


def line(second: float, element: str = CELLS[0]) -> Transition:
    return Transition(NOON + timedelta(seconds=second), element, "temperature_high", Event.ON,
                      State.NORMAL, State.UNACKNOWLEDGED, 1, "temperature_c", 52.1, 50.0,
                      "design", 1)


def entry(second: float, element: str = CELLS[0], why: str = "seen") -> AuditEntry:
    return AuditEntry(NOON + timedelta(seconds=second), "ada", "comment", element,
                      "temperature_high", why, "", "")


def flooded(desk: Desk, newer: int) -> Desk:
    """An old line, and an old entry, behind so many newer ones."""
    assert desk.alarm_store is not None
    times = [second / 1000 for second in range(1, newer + 1)]
    desk.alarm_store.append(Batch(
        transitions=(line(0, OLD), *map(line, times)),
        audit=(entry(0, OLD, "the pump is loud"), *map(entry, times))))
    desk.clock.advance(60)
    return desk


def help_of_csv(app: AppTest) -> str:
    (found,) = [one.proto for one in app.get("download_button")]
    return str(found.help)


@pytest.mark.parametrize(("view", "find"), [
    ("History", "System 1"), ("History", OLD.upper()), ("Audit", "System 1"),
    ("Audit", "PUMP is")])
def test_what_is_sought_is_found_behind_a_flood(desk: Desk, view: str, find: str) -> None:
    app = opened(flooded(desk, MOST), view=view, find=find)
    assert ">1 line<" in texts(app)
    assert words.place(SITE, OLD) in texts(app).replace("\u00a0", " ")
    assert help_of_csv(app) == "All lines that the filters leave, time in UTC"


@pytest.mark.parametrize("view", ["History", "Audit"])
def test_what_is_cut_off_is_said_where_the_lines_stand_and_at_their_export(
        desk: Desk, view: str) -> None:
    app = opened(flooded(desk, MOST), view=view, find="too hot")
    assert "the newest 5\u202f000: narrow the time or the filters" in texts(app)
    assert help_of_csv(app).startswith("The newest 5\u202f000 lines that the filters leave")


def test_as_many_lines_as_are_shown_are_all(desk: Desk) -> None:
    app = opened(flooded(desk, MOST - 1), view="History")
    assert ">5\u202f000 lines<" in texts(app)
    assert help_of_csv(app).startswith("All lines")


@pytest.mark.parametrize("view", ["History", "Audit"])
def test_what_was_written_before_the_clock_was_set_back_is_there(desk: Desk, view: str) -> None:
    flooded(desk, 3).clock.set_by(-3600.0)
    assert ">4 lines<" in texts(opened(desk, view=view))


def test_the_export_holds_what_is_found(desk: Desk) -> None:
    flooded(desk, 10)
    store = desk.alarm_store
    assert store is not None
    asked = history.asked(desk, Shown(states=frozenset(), text="system 1"))  # type: ignore[arg-type]
    found = store.history(asked)
    assert len(history.transitions_csv(found, SITE).splitlines()) == 1 + 1


@pytest.mark.parametrize("find", ["%", "_", "'; DROP TABLE alarms_audit; --", "Cluster 9"])
def test_nothing_is_found_that_is_not_there(desk: Desk, find: str) -> None:
    app = opened(flooded(desk, 3), view="Audit", find=find)
    assert ("No line of this time" in texts(app)) is (find != "_")
