"""The InfluxQL adapter against a real InfluxDB 1.x: the newest values and the past."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from core.errors import NotYetError, RequestError, SourceError, UnknownIdError
from core.ports import Series
from sources.influx import InfluxSource
from tests.influx.influxd import Influxd
from tests.influx.pumps import (
    SEVEN,
    START,
    STEP_S,
    day_of,
    line_of,
    outdoor_at,
    polled,
    register_of,
    source_at,
    told,
    topology_of,
)
from tests.sources.mosquitto import until

NOW = START + timedelta(hours=24)


def put(server: Influxd, *lines: str) -> None:
    server.write("heatpump", "\n".join(lines))


def ids(source: InfluxSource, quantities: tuple[str, ...] = SEVEN) -> list[str]:
    return [f"{source.devices[0].id}.{name}" for name in quantities]


@pytest.fixture(scope="module")
def day(shared_server: Influxd) -> Influxd:
    """A day of seven temperatures in the database `day`."""
    shared_server.create("day")
    shared_server.write("day", "\n".join(day_of()))
    return shared_server


def answered(source: InfluxSource) -> bool:
    try:
        source.poll(NOW)
    except NotYetError:
        return False
    return True


def day_of_seven(server: Influxd, max_points: int = 1000) -> tuple[InfluxSource, list[Series]]:
    source, _ = source_at(server.url, NOW, database="day")
    return source, source.recall(ids(source), START, NOW, max_points)


# --- the past -------------------------------------------------------------------------------------


def test_a_day_of_seven_temperatures_is_told_in_windows(day: Influxd) -> None:
    source, series = day_of_seven(day)
    assert [one.node_id for one in series] == ids(source)
    for above, one in enumerate(series):
        assert one.metric == "value"
        assert one.resolution_s == 120.0
        assert one.time_s.size == 720
        assert (np.diff(one.time_s) == 120.0).all()
        assert one.time_s[0] == START.timestamp()
        seconds = np.arange(86_400 // STEP_S) * STEP_S
        raw = np.array([outdoor_at(second) + above for second in seconds]).reshape(720, -1)
        np.testing.assert_allclose(one.mean, raw.mean(axis=1), atol=1e-5)
        np.testing.assert_allclose(one.minimum, raw.min(axis=1), atol=1e-5)
        np.testing.assert_allclose(one.maximum, raw.max(axis=1), atol=1e-5)


@pytest.mark.parametrize("max_points", [2, 10, 100, 500, 20_000])
def test_no_series_has_more_points_than_asked(day: Influxd, max_points: int) -> None:
    _, series = day_of_seven(day, max_points)
    assert all(0 < one.time_s.size <= max_points for one in series)


def test_readings_further_apart_than_a_window_leave_no_gaps(day: Influxd) -> None:
    """An hour in windows of 5 s over readings of every 30 s."""
    source, _ = source_at(day.url, NOW, database="day")
    (one,) = source.recall(ids(source, ("outdoor_c",)), START, START + timedelta(hours=1))
    assert one.time_s.size == 121, "both ends belong to it"
    assert one.resolution_s == 30.0
    assert np.diff(one.time_s).max() <= 2.5 * one.resolution_s


def test_windows_begin_within_the_range(day: Influxd) -> None:
    source, _ = source_at(day.url, NOW, database="day")
    start, end = START + timedelta(minutes=61, seconds=7), START + timedelta(hours=5, seconds=3)
    for one in source.recall(ids(source), start, end, 60):
        assert start.timestamp() <= one.time_s[0]
        assert one.time_s[-1] <= end.timestamp()


def test_an_empty_range_and_a_missing_register_are_empty_series(day: Influxd) -> None:
    source, _ = source_at(day.url, NOW, database="day")
    before = source.recall(ids(source), START - timedelta(days=9), START - timedelta(days=8))
    assert [one.time_s.size for one in before] == [0] * 7
    power, outdoor = source.recall(ids(source, ("electric_power_kw", "outdoor_c")), START, NOW)
    assert (power.time_s.size, outdoor.time_s.size) == (0, 720)


def test_a_gap_stays_a_gap(influx: Influxd) -> None:
    kept = [line for line in day_of(("outdoor_c",), 6.0)
            if not 7200 <= int(line.rsplit(" ", 1)[1]) / 1000 - START.timestamp() < 10_800]
    put(influx, *kept)
    source, _ = source_at(influx.url, NOW)
    (one,) = source.recall(ids(source, ("outdoor_c",)), START, START + timedelta(hours=6))
    assert np.diff(one.time_s).max() == pytest.approx(3600.0, abs=60.0)
    assert np.isfinite(one.mean).all()


def test_power_is_told_in_its_quantity_s_unit(influx: Influxd) -> None:
    """Watts in the seeds' schema, kilowatts here."""
    put(influx, *(line_of("electric_power_kw", 2000.0 + 100 * n, START + timedelta(minutes=n))
                  for n in range(10)))
    source, _ = source_at(influx.url, NOW)
    (one,) = source.recall(ids(source, ("electric_power_kw",)), START, START + timedelta(hours=1))
    np.testing.assert_allclose(one.mean, 2.0 + 0.1 * np.arange(10), rtol=1e-6)


def test_a_code_is_one_that_occurred(influx: Influxd) -> None:
    """Never the mean of two codes."""
    put(influx, *(line_of("alarm_code", code, START + timedelta(seconds=30 * n))
                  for n, code in enumerate((0, 40, 40, 10))))
    source, _ = source_at(influx.url, NOW)
    (one,) = source.recall(ids(source, ("alarm_code",)), START, START + timedelta(hours=20), 11)
    assert one.mean.tolist() == [10.0]
    assert (one.minimum.tolist(), one.maximum.tolist()) == ([0.0], [40.0])


def test_a_sensor_that_is_absent_is_not_in_the_mean(influx: Influxd) -> None:
    put(influx, *(line_of("outdoor_c", value, START + timedelta(seconds=30 * n))
                  for n, value in enumerate((4.0, -48.3, 6.0, -49.0))))
    source, _ = source_at(influx.url, NOW)
    (one,) = source.recall(ids(source, ("outdoor_c",)), START, START + timedelta(hours=20), 11)
    assert one.mean.tolist() == [5.0]
    assert one.minimum.tolist() == [4.0]


def test_a_sentinel_of_temperatures_is_a_value_elsewhere(influx: Influxd) -> None:
    put(influx, *(line_of("degree_minutes", value, START + timedelta(seconds=30 * n))
                  for n, value in enumerate((-49.0, -51.0))))
    source, _ = source_at(influx.url, NOW)
    (one,) = source.recall(ids(source, ("degree_minutes",)), START, START + timedelta(hours=20),
                           11)
    assert one.mean.tolist() == [-50.0]


def test_an_alarm_above_zero_is_on(influx: Influxd) -> None:
    put(influx, *(line_of("alarm_on", value, START + timedelta(seconds=30 * n))
                  for n, value in enumerate((0.0, 3.0))))
    source, _ = source_at(influx.url, NOW)
    (one,) = source.recall(ids(source, ("alarm_on",)), START, START + timedelta(hours=20), 11)
    assert (one.minimum[0], one.maximum[0], one.mean[0]) == (0.0, 1.0, 1.0)
    assert source.problems() == {}


def test_what_is_ten_times_too_large_is_left_out_and_told(influx: Influxd) -> None:
    """The others live on."""
    put(influx, *(line_of(quantity, value, START + timedelta(minutes=n)) for n in range(9)
                  for quantity, value in (("outdoor_c", 448.0), ("indoor_c", 21.0))))
    source, clock = source_at(influx.url, START + timedelta(minutes=10))
    outdoor, indoor = source.recall(ids(source, ("outdoor_c", "indoor_c")), START,
                                    START + timedelta(hours=1))
    assert (outdoor.time_s.size, indoor.time_s.size) == (0, 9)
    problem = source.problems()["outdoor_c"]
    assert "448" in problem
    assert "ten times too large" in problem


def test_one_window_with_an_implausible_reading_is_not_averaged(influx: Influxd) -> None:
    values = [4.0] * 20
    values[7] = 448.0
    put(influx, *(line_of("outdoor_c", value, START + timedelta(seconds=30 * n))
                  for n, value in enumerate(values)))
    source, _ = source_at(influx.url, NOW)
    (one,) = source.recall(ids(source, ("outdoor_c",)), START, START + timedelta(minutes=10), 13)
    assert one.time_s.size == 9
    assert (one.mean == 4.0).all()


def test_a_register_that_changed_its_name_is_one_series(influx: Influxd) -> None:
    """Brands and versions name their registers differently; the id is what is asked."""
    id_ = register_of("outdoor_c")
    at_ms = round(START.timestamp() * 1000)
    put(influx, f"heatpump,register_id={id_},name=old value=1 {at_ms}",
        f"heatpump,register_id={id_},name=new value=3 {at_ms + 30_000}")
    source, _ = source_at(influx.url, NOW)
    (one,) = source.recall(ids(source, ("outdoor_c",)), START, START + timedelta(hours=20), 11)
    assert one.mean.tolist() == [2.0]


def test_whole_numbers_and_decimal_ones_in_two_shards_are_read_as_one(influx: Influxd) -> None:
    """The type of a field is fixed for a week's shard only."""
    long_ago = START - timedelta(days=30)
    put(influx, line_of("outdoor_c", "7i", long_ago))
    put(influx, line_of("outdoor_c", 7.5, START))
    source, _ = source_at(influx.url, NOW)
    (one,) = source.recall(ids(source, ("outdoor_c",)), long_ago, NOW)
    assert one.mean.tolist() == [7.0, 7.5]


def test_channels_and_ranges_of_others_are_refused(day: Influxd) -> None:
    source, _ = source_at(day.url, NOW, database="day")
    with pytest.raises(UnknownIdError):
        source.recall(["other.outdoor_c"], START, NOW)
    with pytest.raises(RequestError):
        source.recall(ids(source), START.replace(tzinfo=None), NOW)
    with pytest.raises(RequestError):
        source.recall(ids(source), START - timedelta(days=40_000), NOW)
    with pytest.raises(RequestError):
        source.recall(ids(source), START, NOW, 1)
    assert source.recall([], START, NOW) == []
    assert all(not one.time_s.size for one in source.recall(ids(source), NOW, START))


# --- the newest values ----------------------------------------------------------------------------


def test_each_newest_value_has_its_own_age(influx: Influxd) -> None:
    put(influx, line_of("outdoor_c", 4.0, NOW - timedelta(minutes=20)),
        line_of("indoor_c", 21.0, NOW - timedelta(seconds=20)),
        line_of("hot_water_c", 50.0, NOW - timedelta(seconds=18)),
        line_of("compressor_on", 1.0, NOW - timedelta(hours=2)))
    source, clock = source_at(influx.url, NOW)
    first = polled(source, clock)
    assert told(source, first) == {"outdoor_c": 4.0}
    assert first.measured_at == NOW - timedelta(minutes=20)
    second = source.poll(clock.now())
    assert told(source, second) == {"indoor_c": 21.0, "hot_water_c": 50.0}
    assert second.measured_at == NOW - timedelta(seconds=20), "the oldest of what is told at once"
    again = source.poll(clock.now())
    assert again.measured_at == second.measured_at


def test_it_asks_on_a_thread_of_its_own(influx: Influxd) -> None:
    put(influx, line_of("outdoor_c", 4.0, NOW))
    source, clock = source_at(influx.url, NOW)
    with pytest.raises(NotYetError):
        source.poll(clock.now())
    source.start(NOW, topology_of(source))
    until(lambda: answered(source), "an answer")
    assert told(source, source.poll(NOW)) == {"outdoor_c": 4.0}
    source.close()


def test_sentinels_and_implausible_values_harm_no_other(influx: Influxd) -> None:
    put(influx, line_of("outdoor_c", 448.0, NOW), line_of("indoor_c", -48.3, NOW),
        line_of("hot_water_c", 50.0, NOW))
    source, clock = source_at(influx.url, NOW)
    reading = polled(source, clock)
    found = told(source, reading)
    assert found["hot_water_c"] == 50.0
    assert np.isnan([found["outdoor_c"], found["indoor_c"]]).all()
    assert list(source.problems()) == ["outdoor_c"]
    assert "ten times" in source.problems()["outdoor_c"]


def test_what_went_silent_is_said(influx: Influxd) -> None:
    put(influx, line_of("outdoor_c", 4.0, NOW))
    source, clock = source_at(influx.url, NOW)
    polled(source, clock)
    with pytest.raises(SourceError, match="newest reading is .* old; see whether the collector"):
        source.poll(NOW + timedelta(hours=2))


def test_two_pumps_in_one_bucket_are_never_mixed(influx: Influxd) -> None:
    for pump, value in (("north", 1.0), ("south", 9.0)):
        put(influx, line_of("outdoor_c", value, NOW - timedelta(minutes=5), pump=pump))
    source, clock = source_at(influx.url, NOW)
    with pytest.raises(SourceError, match="several pumps .*'north', 'south'.*pump = "):
        polled(source, clock)
    with pytest.raises(SourceError, match="several pumps"):
        source.recall(ids(source), START, NOW)
    south, clock = source_at(influx.url, NOW, pump="south")
    assert told(south, polled(south, clock)) == {"outdoor_c": 9.0}
    assert south.recall(ids(south, ("outdoor_c",)), START, NOW)[0].mean.tolist() == [9.0]


# --- the conversation -----------------------------------------------------------------------------


def test_ping_tells_a_round_trip(influx: Influxd) -> None:
    source, _ = source_at(influx.url, NOW)
    assert 0.0 < source.ping() < 2.0
    talk = source.talk()
    assert (talk.sent, talk.heard, talk.failed) == (1, 1, 0)


def test_a_person_is_told_what_is_there(influx: Influxd) -> None:
    put(influx, line_of("outdoor_c", 4.04, NOW - timedelta(seconds=20)))
    source, _ = source_at(influx.url, NOW)
    found = source.found()
    assert "outdoor 4.0 °C" in found
    assert "20 s old" in found


def test_it_asks_at_once_when_told_to(influx: Influxd) -> None:
    put(influx, line_of("outdoor_c", 4.0, NOW))
    source, clock = source_at(influx.url, NOW, period_s=3600.0)
    source.poller.step()
    assert source.talk().sent == 1
    clock.advance(2.0)
    source.ask_now()
    source.start(NOW, topology_of(source))
    until(lambda: source.talk().sent >= 2, "another question")
    source.close()
