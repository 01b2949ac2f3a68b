"""The simulated house as a source: its devices, its minutes, its past, its faults."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from core.credibility import Trace, collapse_s, verdict
from core.devices import DeviceTable
from core.energy import energy
from core.errors import ConfigurationError, SourceError, UnknownIdError
from core.parsing import as_model
from core.quantities import QUANTITY
from core.topology import DEFAULT_LEVELS
from sim.house import Options, create
from sim.house_faults import collapsed_pct
from tests.sim.house_support import NOW, Floats, at, made, polled, started

BALANCE = ("solar_power_kw", "grid_power_kw", "battery_power_kw", "load_power_kw")
RISING = ("total_drawn_ah", "charge_cycles", "deepest_discharge_ah")


def channel(house: Any, rows: Floats, device: str, quantity: str) -> Floats:
    values: Floats = rows[:, at(house, device, quantity)]
    return values


def minutes(end: datetime, days: float) -> Floats:
    """Whole minutes of `days` before `end` [s]."""
    return end.timestamp() // 60 * 60 - 60.0 * np.arange(round(days * 1440), 0, -1)


def test_its_devices_and_its_house() -> None:
    house = made(house="cabin", label="The cabin", reserve_pct=20)
    assert [device.id for device in house.devices] == [
        "cabin_shunt", "cabin_inverter", "cabin_tariff"]
    assert [device.soc_method for device in house.devices] == ["counted", "estimated", ""]
    assert [device.native_sign for device in house.devices[:2]] == ["charge", "discharge"]
    assert house.roots == ()
    cabin, = house.houses
    assert (cabin.id, cabin.label, cabin.zone.key) == ("cabin", "The cabin",
                                                       "America/Los_Angeles")
    assert (cabin.capacity_kwh, cabin.nominal_v, cabin.chemistry) == (14.3, 51.2, "LFP")
    assert (cabin.reserve_pct, cabin.currency, cabin.prices_measured) == (20, "USD", True)
    assert DeviceTable([house.devices]).has("cabin_shunt", "battery_charge_kw")


@pytest.mark.parametrize("options", [
    {"building": 3}, {"solar_kw": -1}, {"house": "Not an id"}, {"time_zone": "Mars/Olympus"},
    {"reserve_pct": 90, "ceiling_pct": 80}, {"max_power_kw": 60}, {"charge_efficiency": 1.2},
    {"colour": "red"}, {"seed": -1}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    """Parsed as the registry does."""
    with pytest.raises(ConfigurationError):
        create("test", as_model(options, Options, "orrery.toml", "options"), DEFAULT_LEVELS)


def test_before_its_start_it_says_so() -> None:
    house = made()
    with pytest.raises(SourceError):
        house.poll(NOW)
    with pytest.raises(SourceError):
        house.tell_past(minutes(NOW, 1))


def test_a_minute_of_the_inverter_stands_while_the_shunt_goes_on() -> None:
    house = started()
    readings = [house.poll(NOW + timedelta(seconds=second)) for second in range(180)]
    inverter, shunt = (at(house, name, "battery_power_kw") for name in ("inverter", "shunt"))
    heard = np.array([reading.channels_heard[inverter] for reading in readings])
    assert np.flatnonzero(heard).tolist() == [0, 53, 113, 173], "NOW is 7 s past a minute"
    told = np.array([reading.channels for reading in readings])
    assert set(np.flatnonzero(np.diff(told[:, inverter]))) <= {52, 112, 172}
    assert len(np.unique(told[:, shunt])) > 3
    assert all(reading.channels_heard[shunt] for reading in readings)


@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_the_house_balances_whenever_the_inverter_speaks(hour: int) -> None:
    house = started(NOW + timedelta(hours=hour))
    rows = polled(house, 1800, NOW + timedelta(hours=hour), 60.0)
    solar, grid, stored, load = (channel(house, rows, "inverter", name) for name in BALANCE)
    np.testing.assert_allclose(solar + grid + stored, load, atol=1e-9)
    assert (solar >= 0).all()
    assert (load > 0).all()
    power = channel(house, rows, "shunt", "voltage_v") * channel(house, rows, "shunt", "current_a")
    np.testing.assert_allclose(channel(house, rows, "shunt", "battery_power_kw"), power / 1000)


def test_shunt_and_inverter_agree_on_sign_and_nearly_on_power() -> None:
    """Between them lies the converter: 4 to 5 %, and the shunt's own errors."""
    house = started()
    rows = polled(house, 86400, step_s=60.0)
    shunt, inverter = (channel(house, rows, name, "battery_power_kw")
                       for name in ("shunt", "inverter"))
    clear = np.abs(inverter) > 1.0
    assert clear.sum() > 300
    ratio = shunt[clear] / inverter[clear]
    assert ((ratio > 0.93) & (ratio < 1.08)).all()
    assert (ratio[inverter[clear] > 0] > 1.0).all(), "more leaves the battery than arrives"


def test_the_tariff_is_the_data_s() -> None:
    house = started(export_price_per_kwh=0.08)
    rows = polled(house, 86400, step_s=600.0)
    local_hour = (NOW.hour - 7 + (NOW.minute + 10 * np.arange(144)) / 60) % 24
    price = channel(house, rows, "tariff", "import_price_per_kwh")
    assert (price[(local_hour >= 16) & (local_hour < 21)] > 0.3).all()
    assert (price[(local_hour < 16) | (local_hour >= 21)] < 0.3).all()
    assert (channel(house, rows, "tariff", "export_price_per_kwh") == 0.08).all()


def test_time_to_go_is_told_while_discharging_alone() -> None:
    house = started()
    rows = polled(house, 86400, step_s=60.0)
    to_go = channel(house, rows, "shunt", "time_to_go_s")
    current = channel(house, rows, "shunt", "current_a")
    assert np.isnan(to_go[current <= 0]).all()
    steady = current > 10.0
    assert np.isfinite(to_go[steady]).mean() > 0.95
    soc = channel(house, rows, "shunt", "soc_pct")
    hours = (soc[steady] - 10) / 100 * 279.3 / current[steady]
    assert np.nanmedian(to_go[steady] / 3600 / hours) == pytest.approx(1, abs=0.1)


def test_the_past_meets_the_first_poll() -> None:
    house = started()
    told = house.tell_past(np.append(minutes(NOW, 3), NOW.timestamp() - 1.0))
    now = house.poll(NOW).channels
    assert now is not None
    for quantity, apart in (
            ("soc_pct", 0.2), ("temperature_c", 0.1), ("consumed_ah", 0.5),
            ("total_drawn_ah", 0.5), ("charge_cycles", 0.0), ("since_full_s", 67.0),
            ("last_discharge_ah", 0.5), ("deepest_discharge_ah", 0.0)):
        place = at(house, "shunt", quantity)
        assert told[-1, place] == pytest.approx(now[place], abs=apart), quantity
    estimate = at(house, "inverter", "soc_pct")
    assert told[-1, estimate] == pytest.approx(now[estimate], abs=2.0)


def test_the_past_is_what_was_lived() -> None:
    """A house that lived through six hours by the second, and one that tells them afterwards
    by the minute: a peak above the battery's power is cut less where minutes are all."""
    live, end = started(), NOW + timedelta(hours=6)
    lived = polled(live, 6 * 3600)[53:53 + 350 * 60].reshape(350, 60, -1)
    told = started(end).tell_past(NOW.timestamp() + 53.0 + 60.0 * np.arange(350))
    for quantity in ("current_a", "battery_power_kw"):
        place = at(live, "shunt", quantity)
        assert told[:, place].mean() == pytest.approx(lived[:, :, place].mean(), rel=0.02)
    soc = at(live, "shunt", "soc_pct")
    np.testing.assert_allclose(told[:, soc], lived[:, 0, soc], atol=1.0)


@pytest.mark.parametrize("now", [NOW, datetime(2026, 1, 9, 3, 0, tzinfo=UTC)])
def test_registers_never_fall_from_the_past_into_the_present(now: datetime) -> None:
    house = started(now)
    far = now.timestamp() // 300 * 300 - 300.0 * np.arange(120 * 288, 40 * 288, -1)
    told = np.concatenate([house.tell_past(far), house.tell_past(minutes(now, 40)),
                           polled(house, 600, now)])
    for quantity in RISING:
        register = channel(house, told, "shunt", quantity)
        assert (np.diff(register) >= 0).all(), quantity
        assert register[0] > 0, quantity


def test_the_past_in_pieces_is_the_past_at_once() -> None:
    times = minutes(NOW, 2)
    whole = started().tell_past(times)
    house = started()
    pieces = np.concatenate([house.tell_past(piece) for piece in np.split(times, [700, 701])])
    np.testing.assert_allclose(pieces, whole, rtol=1e-9)
    again = house.tell_past(times[:100])
    np.testing.assert_allclose(again, whole[:100], rtol=1e-9)
    assert house.tell_past(np.empty(0)).shape == (0, 22)


@pytest.mark.parametrize("step_s", [60.0, 300.0, 3600.0])
def test_energies_of_the_past_do_not_depend_on_the_steps_asked(step_s: float) -> None:
    house = started()
    end_s = NOW.timestamp() // 3600 * 3600
    times = end_s - step_s * np.arange(round(5 * 86400 / step_s), 0, -1)
    told = house.tell_past(times)
    finest = started().tell_past(end_s - 60.0 * np.arange(5 * 1440, 0, -1))
    for name in BALANCE:
        place = at(house, "inverter", name)
        assert told[:, place].mean() == pytest.approx(finest[:, place].mean(), abs=1e-9)
    solar, grid, stored, load = (channel(house, told, "inverter", name) for name in BALANCE)
    np.testing.assert_allclose(solar + grid + stored, load, atol=1e-8)


def test_a_year_is_plausible() -> None:
    house = started()
    times = NOW.timestamp() // 300 * 300 - 300.0 * np.arange(365 * 288, 0, -1)
    told = house.tell_past(times)
    names = [name for device in house.devices for name in device.quantities]
    for name, column in zip(names, told.T, strict=True):
        low, high = QUANTITY[name].plausible
        values = column[np.isfinite(column)]
        assert values.size, name
        assert ((values >= low) & (values <= high)).all(), name
    edges = np.array([times[0], times[-1] + 300.0])
    stored = energy(times, channel(house, told, "inverter", "battery_power_kw"), edges, 400, 300)
    assert 0.85 < stored.discharged_kwh[0] / stored.charged_kwh[0] < 0.93
    cycles = channel(house, told, "shunt", "charge_cycles")
    assert 200 < cycles[-1] - cycles[0] <= 365


def test_a_long_pause_is_lived_through() -> None:
    """Three days, and a month, after which it begins as at a start; registers never fall."""
    house = started()
    before = polled(house, 60)[-1]
    later = house.poll(NOW + timedelta(days=3)).channels
    much_later = house.poll(NOW + timedelta(days=33)).channels
    for quantity in RISING:
        place = at(house, "shunt", quantity)
        assert before[place] <= later[place] <= much_later[place], quantity
    fresh = started(NOW + timedelta(days=33)).poll(NOW + timedelta(days=33)).channels
    for device in ("shunt", "inverter"):
        place = at(house, device, "soc_pct")
        assert much_later[place] == pytest.approx(fresh[place], abs=0.5)


def test_the_shunt_s_charge_collapses_and_is_found_out() -> None:
    """venus #1668: down to 11 % within 30 minutes on about 1 Ah."""
    house = started()
    polled(house, 60)
    begin = NOW + timedelta(seconds=60)
    house.start_script("soc_collapse", begin)
    rows = polled(house, 2400, begin)
    soc, current = (channel(house, rows, "shunt", name) for name in ("soc_pct", "current_a"))
    assert soc[0] > 80
    assert soc[1800:] == pytest.approx(11.0)
    assert abs(current[:1800].sum() / 3600) < 1.5
    consumed = channel(house, rows, "shunt", "consumed_ah")
    np.testing.assert_allclose(consumed, (1 - soc / 100) * 279.297, atol=0.01)
    times = begin.timestamp() + np.arange(2400.0)
    found_s = collapse_s(Trace(times, soc, current, 279.3, 10, 10)) - begin.timestamp()
    assert 0 < found_s <= 60
    assert channel(house, rows, "inverter", "soc_pct").min() > 60, "the other source knows better"
    house.stop_scripts()
    assert polled(house, 1, begin + timedelta(seconds=2401))[0, 0] > 80


@pytest.mark.parametrize("began_pct", [45.0, 70.0, 100.0])
def test_a_collapse_is_fast_enough_to_be_seen_in_a_minute(began_pct: float) -> None:
    assert collapsed_pct(began_pct, 0.0) == began_pct
    assert began_pct - collapsed_pct(began_pct, 60.0) > 2.0
    assert collapsed_pct(began_pct, 1800.0) == collapsed_pct(began_pct, 1e6) == 11.0
    assert collapsed_pct(8.0, 900.0) == 8.0


def test_an_inverted_sign_is_the_inverter_s_alone() -> None:
    good, bad = started(), started()
    bad.start_script("inverted_sign", NOW)
    told, turned = polled(good, 60), polled(bad, 60)
    place = at(good, "inverter", "battery_power_kw")
    np.testing.assert_array_equal(turned[:, place], -told[:, place])
    np.testing.assert_array_equal(np.delete(turned, place, 1), np.delete(told, place, 1))


def test_an_inverted_sign_is_found_out() -> None:
    """By the current that the inverter's power means, against its own charge."""
    house = started()
    house.start_script("inverted_sign", NOW)
    rows = polled(house, 86400, step_s=60.0)
    power_w = channel(house, rows, "inverter", "battery_power_kw") * 1000
    current = power_w / channel(house, rows, "shunt", "voltage_v")
    times = NOW.timestamp() + 60.0 * np.arange(len(rows))
    soc = channel(house, rows, "shunt", "soc_pct")
    assert verdict(Trace(times, soc, current, 279.3, 150, 150), times[-1]).word in (
        "sign_inverted", "collapse")


def test_a_silent_inverter_is_not_heard() -> None:
    house = started()
    polled(house, 10)
    house.start_script("inverter_silent", NOW)
    readings = [house.poll(NOW + timedelta(seconds=10 + second)) for second in range(120)]
    first, last = (at(house, "inverter", name) for name in ("solar_power_kw", "soc_pct"))
    assert not any(reading.channels_heard[first:last + 1].any() for reading in readings)
    assert all(reading.channels_heard[:first].all() for reading in readings)
    house.stop_scripts()
    assert house.poll(NOW + timedelta(seconds=131)).channels_heard.all()


def test_a_shunt_that_never_synchronises_is_never_full() -> None:
    house = started()
    since = at(house, "shunt", "since_full_s")
    before = polled(house, 1)[0, since]
    house.start_script("shunt_never_synchronises", NOW)
    rows = polled(house, 8 * 86400, step_s=600.0)
    assert (np.diff(rows[:, since]) > 0).all()
    assert rows[-1, since] == pytest.approx(before + 8 * 86400 - 600)
    house.stop_scripts()
    rows = polled(house, 3 * 86400, NOW + timedelta(days=8), 600.0)
    assert rows[:, since].min() < 86400


def test_a_fault_that_is_not_there_is_named_with_those_that_are() -> None:
    house = started()
    with pytest.raises(UnknownIdError, match="soc_collapse"):
        house.start_script("earthquake", NOW)
    house.start_script("inverter_silent", NOW)
    house.start_script("inverted_sign", NOW)
    assert sorted(house.running_scripts()) == ["inverted_sign", "inverter_silent"]
    assert set(house.running_scripts()) < set(house.scripts())


def test_without_sun_it_never_charges_and_knows_no_full() -> None:
    house = started(solar_kw=0)
    rows = polled(house, 3600, step_s=60.0)
    assert (channel(house, rows, "inverter", "solar_power_kw") == 0).all()
    assert (channel(house, rows, "inverter", "battery_power_kw") <= 0.01).all()
    assert np.isnan(channel(house, rows, "shunt", "since_full_s")).all()
