"""The meter of the packs' site: three real homes, many times, the same whenever it is asked."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from core.devices import DeviceTable
from core.errors import ConfigurationError, SourceError
from core.household import Household, with_electricity
from core.parsing import as_model
from core.registry import SOURCES
from core.tariff import prices
from core.topology import DEFAULT_LEVELS, Topology
from sim.house_data import MORE_FILE, ROWS, Calendar, three_homes
from sim.house_data import profile as home
from sim.site import METER, TARIFF, Options, SiteMeter, create

NOW = datetime(2026, 3, 2, 11, 20, tzinfo=UTC)


def made(**options: Any) -> SiteMeter:
    return create("site", as_model(options, Options, "orrery.toml", "options"), DEFAULT_LEVELS)


def started(now: datetime = NOW, **options: Any) -> SiteMeter:
    site = made(**options)
    site.start(now, Topology(DEFAULT_LEVELS, site.roots))
    return site


def test_its_devices_and_its_house() -> None:
    site = made(house="harbour", label="The harbour")
    assert SOURCES["site"] == "sim.site"
    assert [(device.id, device.role) for device in site.devices] == [
        ("harbour_meter", "meter"), ("harbour_tariff", "tariff")]
    house, = site.houses
    assert (house.id, house.label, house.currency) == ("harbour", "The harbour", "USD")
    assert (house.prices_measured, house.zone.key) == (True, "Europe/Stockholm")
    assert site.roots == ()


def test_the_mean_home_is_that_of_the_data() -> None:
    with gzip.open(MORE_FILE, "rt", encoding="utf-8") as file:
        rows = [{name: float(value) for name, value in row.items()}
                for row in csv.DictReader(file)]
    mean = three_homes()
    assert len(rows) == ROWS == len(mean.load_kw)
    for number in (0, 3000, 8759):
        loads = (home(1).load_kw[number], home(2).load_kw[number], rows[number]["load_3_kw"])
        suns = (1000.0 * home(1).solar_kw[number], rows[number]["solar_2_w_per_kw"],
                rows[number]["solar_3_w_per_kw"])
        assert mean.load_kw[number] == pytest.approx(sum(loads) / 3)
        assert mean.solar_kw[number] == pytest.approx(sum(suns) / 3000)
    assert 3.0 * mean.load_kw.sum() == pytest.approx(10583.4 + 9353.6 + 7170.4, abs=1.0)


def test_hours_have_the_energy_of_the_data() -> None:
    """Of the same hour of the local day, as many times as there are homes."""
    site = made(homes=120, solar_kw=5.0)
    begin = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    times = begin + 600.0 * np.arange(6 * 24 * 4)
    told = site.tell_past(times).reshape(-1, 6, 4).mean(axis=1)
    rows = Calendar(site.houses[0].zone).rows_at(times[::6])
    mean = three_homes()
    assert np.allclose(told[:, 0], 120 * mean.load_kw[rows])
    assert np.allclose(told[:, 1], 120 * 5.0 * mean.solar_kw[rows])
    assert np.allclose(told[:, 2], mean.price_per_kwh[rows])
    assert np.allclose(told[:, 3], 0.05)


def test_past_and_present_meet() -> None:
    """A minute's mean, told, is the mean of its polls."""
    site = started()
    minute = NOW.timestamp() + np.array([0.0, 60.0])
    told = site.tell_past(minute)[0]
    readings = [site.poll(NOW + timedelta(seconds=second)).channels for second in range(60)]
    assert np.mean(readings, axis=0) == pytest.approx(told, rel=0.02)


def test_it_is_the_same_whenever_it_is_asked() -> None:
    late = NOW + timedelta(days=3, hours=5)
    one, other = started(), started(late - timedelta(seconds=1))
    assert np.array_equal(one.poll(late).channels, other.poll(late).channels)
    assert np.array_equal(one.poll(NOW).channels, started().poll(NOW).channels), "back again"
    day_s = NOW.timestamp() + 60.0 * np.arange(1440)
    assert np.array_equal(one.tell_past(day_s), other.tell_past(day_s))
    assert not np.allclose(made(seed=2).tell_past(day_s), one.tell_past(day_s))


def test_load_is_as_uneven_as_that_of_many_homes() -> None:
    """Minutes differ from their hour's mean, but from minute to minute by some users alone."""
    site = made()
    told = site.tell_past(NOW.timestamp() // 3600 * 3600 + 60.0 * np.arange(24 * 60))[:, 0]
    hours = np.repeat(told.reshape(24, 60).mean(axis=1), 60)
    away = np.abs(told / hours - 1.0)
    assert 0.01 < away.mean() < 0.2
    assert 0.05 < np.abs(np.diff(told) / told.mean()).max() < 0.6


@pytest.mark.parametrize(("hour", "hours"), [(8, 48), (12, 48), (13, 72), (23, 72)])
def test_tomorrow_is_known_from_the_early_afternoon(hour: int, hours: int) -> None:
    """Local time; the series begins at yesterday's midnight."""
    now = datetime(2026, 3, 2, hour, 0, 1, tzinfo=made().houses[0].zone)
    site = started(now.astimezone(UTC))
    told = site.day_ahead()
    assert len(told.time_s) == hours
    assert datetime.fromtimestamp(told.time_s[0], UTC) == (
        now.replace(hour=0, second=0) - timedelta(days=1))
    _, buy, sell = prices(told, now.timestamp(), now.timestamp() + 1)
    reading = site.poll(now.astimezone(UTC)).channels
    assert reading is not None
    assert [buy[0], sell[0]] == reading[len(METER):].tolist()
    assert set(np.unique(told.import_per_kwh)) <= {0.21, 0.22, 0.4, 0.5, 0.54}


def test_a_day_of_23_hours() -> None:
    site = started(datetime(2026, 3, 28, 13, 0, tzinfo=UTC))
    assert len(site.day_ahead().time_s) == 2 * 24 + 23


def test_before_its_start_it_says_so() -> None:
    for ask in (lambda: made().poll(NOW), lambda: made().day_ahead()):
        with pytest.raises(SourceError, match="not started"):
            ask()


@pytest.mark.parametrize("options", [
    {"homes": 0}, {"homes": -1}, {"solar_kw": -1}, {"time_zone": "Mars/Olympus"},
    {"house": "Not an id"}, {"colour": "red"}, {"seed": -1}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        made(**options)


def test_a_site_of_packs_is_no_house_of_the_energy_monitor() -> None:
    """But whoever coordinates it asks it as any house."""
    from core.devices import Board
    site = started()
    table = DeviceTable([site.devices])
    assert with_electricity(site.houses, table) == ()
    board = Board(table, [10.0])
    reading = site.poll(NOW)
    assert reading.channels is not None
    board.apply(0, NOW, reading.channels, None)
    home = Household(site.houses[0], table, board.frame(NOW))
    for quantity, value in zip((*METER, *TARIFF), reading.channels, strict=True):
        assert home.value(quantity) == value
