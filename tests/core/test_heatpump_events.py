from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.heatpump.alarms import active_codes, bits_of, code_now
from core.heatpump.events import Event, events
from core.heatpump.log import PumpLog
from tests.core.heatpump_logs import CODED, FLAGGED, NAN, T0, blocks, log_of_cells, pump


def told(log: PumpLog, limit: int = 200, **of_pump: object) -> list[tuple[float, str, str]]:
    """Minutes since the start, kind, what; oldest first."""
    return [((one.time_s - T0) / 60, one.kind, one.what)
            for one in reversed(events(log, pump(**of_pump), limit))]


def test_switches_newest_first() -> None:
    log = log_of_cells({
        "compressor_on": blocks((0, 10), (1, 10), (0, 10)),
        "brine_pump_on": blocks((0, 9), (1, 12), (0, 9)),
        "radiator_pump_on": blocks((1, 30)),
        "hot_water_valve": blocks((0, 12), (1, 6), (0, 12))})
    found = events(log, pump())
    assert [one.time_s for one in found] == sorted((one.time_s for one in found), reverse=True)
    assert told(log) == [
        (9, "brine_pump", "on"), (10, "compressor", "on"), (12, "valve", "hot_water_start"),
        (18, "valve", "hot_water_stop"), (20, "compressor", "off"), (21, "brine_pump", "off")]
    assert [one.what for one in events(log, pump(), 2)] == ["off", "off"]
    assert events(log, pump(), 0) == []


def test_what_was_on_already_is_no_event() -> None:
    assert told(log_of_cells({"compressor_on": blocks((1, 30))})) == []


def test_the_auxiliary_heater_by_more_than_ten_points() -> None:
    level = blocks((0, 5), (30, 5), (38, 5), (45, 5), (90, 5), (0, 5))
    found = events(log_of_cells({"auxiliary_pct": level}), pump())
    assert [((one.time_s - T0) / 60, one.what) for one in reversed(found)] == [
        (5, "on"), (15, "changed"), (20, "changed"), (25, "off")]
    assert [one.value for one in reversed(found)][:3] == [30, 45, 90]


def test_a_heater_that_tells_its_power_alone_has_kilowatts() -> None:
    found = events(log_of_cells({"auxiliary_power_kw": blocks((0, 5), (3, 5), (6, 5))}), pump())
    assert [(one.what, one.value, one.unit) for one in reversed(found)] == [
        ("on", 3, "kW"), ("changed", 6, "kW")]


def test_an_alarm_that_has_a_flag_is_history_without_it() -> None:
    """IVT keeps the number of the last alarm for ever."""
    log = log_of_cells({"alarm_on": blocks((0, 10), (1, 10), (0, 10)),
                        "alarm_code": blocks((6, 10), (21, 20))})
    found = events(log, pump())
    assert found == [Event(T0 + 1200, "alarm", "cleared", 21), Event(T0 + 600, "alarm", "raised",
                                                                    21)]


def test_codes_are_never_averaged() -> None:
    """A minute that saw 0 and 183 saw no alarm 91."""
    code = blocks((0, 10), (50, 10), (60, 10), (183, 10))
    log = log_of_cells({"alarm_code": code})
    log = replace(log, columns={"alarm_code": code / 2})
    found = events(log, pump(alarms=CODED))
    assert [(one.what, one.value) for one in reversed(found)] == [
        ("raised", 50), ("cleared", 50), ("raised", 60), ("cleared", 60)]


def test_alarms_in_bits() -> None:
    log = log_of_cells({"alarm_bits": blocks((0, 5), (8, 5), (9, 5), (1, 5))})
    found = events(log, pump(alarms=CODED))
    assert [((one.time_s - T0) / 60, one.what, one.value) for one in reversed(found)] == [
        (5, "raised", 3), (10, "raised", 0), (15, "cleared", 3)]
    assert bits_of(9.0, CODED) == (0, 3)
    assert bits_of(16.0, CODED) == bits_of(NAN, CODED) == bits_of(-1.0, CODED) == ()


@pytest.mark.parametrize(("on", "code", "expected"), [
    (1.0, 6.0, 6), (0.0, 6.0, 0), (1.0, NAN, -1), (1.0, 0.0, -1), (NAN, 6.0, NAN)])
def test_the_rule_of_a_flag(on: float, code: float, expected: float) -> None:
    np.testing.assert_equal(code_now(on, code, FLAGGED), expected)


@pytest.mark.parametrize(("on", "code", "expected"), [
    (NAN, 50.0, 50), (NAN, 0.0, 0), (NAN, 183.0, 0), (NAN, NAN, NAN), (1.0, NAN, -1),
    (0.0, NAN, 0), (NAN, 999.0, 999)])
def test_the_rule_of_a_code(on: float, code: float, expected: float) -> None:
    np.testing.assert_equal(code_now(on, code, CODED), expected)


def test_unknown_codes_stay_unknown_among_known_ones() -> None:
    found = active_codes(np.full(3, NAN), np.array([0.0, NAN, 50.0]), CODED)
    np.testing.assert_array_equal(found, [0, NAN, 50])


def test_silence_is_told() -> None:
    on = blocks((0, 10), (NAN, 20), (0, 5), (NAN, 1), (0, 4), (NAN, 20))
    found = events(log_of_cells({"compressor_on": on}), pump())
    assert [((one.time_s - T0) / 60, one.kind, one.what) for one in reversed(found)] == [
        (10, "silence", "begins"), (30, "silence", "ends"), (40, "silence", "begins")]
    assert found[1].value == 1200


def test_a_start_that_nobody_saw_is_no_event() -> None:
    on = blocks((0, 10), (NAN, 20), (1, 10))
    assert [kind for _, kind, _ in told(log_of_cells({"compressor_on": on}))] == [
        "silence", "silence"]


def test_an_empty_log_has_no_events() -> None:
    assert events(log_of_cells({"compressor_on": np.zeros(0)}), pump()) == []
