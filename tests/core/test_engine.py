from __future__ import annotations

import logging
import threading

import pytest

from core.clock import ManualClock, SystemClock
from core.engine import Engine
from core.errors import RetryLaterError
from core.frames import Frame
from core.topology import DEFAULT_LEVELS
from tests.core.sites import NOON, ScriptedReadings, lost, system


def two_sources() -> tuple[Engine, ScriptedReadings, ScriptedReadings]:
    first, second = ScriptedReadings([system(0)]), ScriptedReadings([system(1)])
    for source in (first, second):
        source.set_cells({"power_kw": 1.0})
    return Engine(DEFAULT_LEVELS, [first, second], ManualClock(NOON)), first, second


def test_a_lost_source_hides_no_other_and_is_logged_once(
        caplog: pytest.LogCaptureFixture) -> None:
    engine, first, _ = two_sources()
    engine.tick()
    first.failure = lost()
    with caplog.at_level(logging.INFO, logger="core.engine"):
        for _ in range(3):
            engine.tick()
        first.failure = None
        engine.tick()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert [status.state for status in engine.snapshot.sources] == ["live", "live"]


def test_the_state_of_a_lost_source_says_why_and_since_when() -> None:
    engine, first, _ = two_sources()
    first.failure = lost()
    engine.tick()
    status = engine.snapshot.sources[0]
    assert (status.state, status.since) == ("lost", NOON)
    assert "next try" in status.error
    assert engine.snapshot.sources[1].state == "live"


def test_a_defect_in_a_source_is_contained(caplog: pytest.LogCaptureFixture) -> None:
    engine, first, _ = two_sources()
    first.failure = ZeroDivisionError("a defect")
    engine.tick()
    engine.tick()
    assert engine.snapshot.sources[0].state == "lost"
    assert "ZeroDivisionError" in engine.snapshot.sources[0].error
    assert len(caplog.records) == 1


class FailingStore:
    def __init__(self) -> None:
        self.full = True
        self.kept: list[Frame] = []

    def append(self, frame: Frame) -> None:
        if self.full:
            raise RetryLaterError("disk full at /data; free some space")
        self.kept.append(frame)

    def close(self) -> None: ...


def test_history_that_cannot_be_written_is_said_and_recovers() -> None:
    engine, _, _ = two_sources()
    store = FailingStore()
    engine.attach(store)  # type: ignore[arg-type]
    assert "disk full" in engine.tick().history_error
    store.full = False
    assert engine.tick().history_error == ""
    assert len(store.kept) == 1


def test_the_thread_publishes_and_stops() -> None:
    source = ScriptedReadings([system(0)])
    engine = Engine(DEFAULT_LEVELS, [source], SystemClock(), period_s=0.2)
    engine.start()
    engine.stop()
    assert source.closed
    assert engine.snapshot.number >= 1


def test_a_published_frame_is_never_changed_afterwards() -> None:
    engine, first, _ = two_sources()
    before = engine.tick().frame
    power = before.columns["power_kw"].copy()
    first.set_cells({"power_kw": 9.0})
    engine.tick()
    assert (before.columns["power_kw"] == power).all()


class SetBack(ManualClock):
    """By an hour at each look at the sources; ends whoever waited five times."""

    def __init__(self) -> None:
        super().__init__(NOON)
        self.waits: list[float] = []

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.waits.append(seconds)
        if len(self.waits) == 5:
            stop.set()
        return super().wait(seconds, stop)


def test_a_clock_that_is_set_back_while_sources_are_asked_holds_nothing_up() -> None:
    clock, source = SetBack(), ScriptedReadings([system(0)])
    source.set_cells({"power_kw": 1.0})
    engine = Engine(DEFAULT_LEVELS, [source], clock)
    engine.also_report(lambda: clock.set_by(-3600.0) or [])
    engine._run()
    assert clock.waits == [1.0] * 5
    assert engine.snapshot.number == 5
