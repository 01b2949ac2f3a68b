"""Load and sun of the simulated house: the data's energies, seconds' variety, the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.house_data import Calendar, row_of
from sim.house_hours import SLOTS, Hours, appliances, parabolas, uniform
from tests.sim.house_support import data_rows, plan

CALIFORNIA = ZoneInfo("America/Los_Angeles")
KOLKATA = ZoneInfo("Asia/Kolkata")
SOLAR_KW = 8.0
each_case = settings(max_examples=25, deadline=None)
moments = st.integers(min_value=1_690_000_000, max_value=1_790_000_000)


def hours(begin_s: float, end_s: float, zone: str = "America/Los_Angeles", seed: int = 0,
          building: int = 1) -> Hours:
    return Hours(plan(time_zone=zone, seed=seed, building=building).site, begin_s, end_s)


def local(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, 30, tzinfo=CALIFORNIA)


def local_rows(day: datetime) -> list[dict[str, float]]:
    """The 24 rows of a local day without a change of clocks, by counting days from August."""
    august = datetime(day.year - (day.month < 8), 8, 1, tzinfo=UTC)
    number = (datetime(day.year, day.month, day.day, tzinfo=UTC) - august).days
    return data_rows()[24 * number:24 * number + 24]


@pytest.mark.parametrize("building", [1, 2])
@pytest.mark.parametrize("day", [
    datetime(2025, 8, 1, tzinfo=CALIFORNIA), datetime(2025, 12, 24, tzinfo=CALIFORNIA),
    datetime(2026, 6, 21, tzinfo=CALIFORNIA), datetime(2026, 1, 5, tzinfo=KOLKATA)])
def test_the_energies_of_a_day_are_those_of_the_data(building: int, day: datetime) -> None:
    begin_s = day.timestamp()
    lived = hours(begin_s, begin_s + 86400, str(day.tzinfo), building=building)
    every_s = begin_s + np.arange(86400.0)
    rows = local_rows(day)
    load_kwh = sum(row[f"load_{building}_kw"] for row in rows)
    solar_kwh = sum(row["solar_w_per_kw"] for row in rows) * SOLAR_KW / 1000.0
    load, solar = lived.means(np.append(every_s[::300], begin_s + 86400))
    assert load.sum() / 12.0 == pytest.approx(load_kwh, rel=1e-9)
    assert solar.sum() / 12.0 == pytest.approx(solar_kwh, rel=1e-9)
    load, solar = lived.at(every_s)
    assert load.sum() / 3600.0 == pytest.approx(load_kwh, rel=2e-3)
    assert solar.sum() / 3600.0 == pytest.approx(solar_kwh, rel=2e-3)


def test_each_hour_has_its_own_mean() -> None:
    day = datetime(2026, 3, 2, tzinfo=CALIFORNIA)
    begin_s = day.timestamp()
    load, solar = hours(begin_s, begin_s + 86400).means(begin_s + 3600.0 * np.arange(25))
    rows = local_rows(day)
    np.testing.assert_allclose(load, [row["load_1_kw"] for row in rows], atol=1e-9)
    np.testing.assert_allclose(
        solar, [row["solar_w_per_kw"] * SOLAR_KW / 1000.0 for row in rows], atol=1e-9)


@each_case
@given(moments, st.integers(0, 2**63 - 1), st.integers(1, 40))
def test_the_answer_depends_on_time_and_seed_alone(begin: int, seed: int, asked: int) -> None:
    """Whatever else is asked, in whichever order, and however the span is cut."""
    lived = hours(begin, begin + 200_000, seed=seed)
    times = begin + np.random.default_rng(asked).uniform(0, 200_000, asked)
    load, solar = lived.at(times)
    alone = [hours(float(one), float(one), seed=seed).at(np.array([one])) for one in times]
    np.testing.assert_allclose(load, [one[0][0] for one in alone], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(solar, [one[1][0] for one in alone], rtol=1e-12, atol=1e-12)


@each_case
@given(moments, st.integers(0, 1000))
def test_power_is_never_negative_and_means_agree_with_instants(begin: int, seed: int) -> None:
    lived = hours(begin, begin + 7200, seed=seed)
    every_s = begin + np.arange(0.0, 7200.0, 0.5)
    load, solar = lived.at(every_s)
    assert (load >= 0).all()
    assert (solar >= 0).all()
    edges_s = np.append(every_s[::1200], begin + 7200.0)
    for instants, means in zip((load, solar), lived.means(edges_s), strict=True):
        near = instants.reshape(-1, 1200).mean(axis=1)
        np.testing.assert_allclose(near, means, atol=0.01 * max(instants.max(), 0.1))


@each_case
@given(moments, st.lists(st.floats(0.1, 4000), min_size=1, max_size=30))
def test_means_over_any_cut_add_up(begin: int, steps: list[float]) -> None:
    edges_s = begin + np.concatenate([[0.0], np.cumsum(steps)])
    lived = hours(begin, float(edges_s[-1]))
    for parts, whole in zip(lived.means(edges_s), lived.means(edges_s[[0, -1]]), strict=True):
        assert (parts * np.diff(edges_s)).sum() == pytest.approx(
            whole[0] * (edges_s[-1] - begin), abs=1e-3)


def test_a_day_looks_like_a_house() -> None:
    """Appliances switch by the second, the sun does not shine by night, clouds dim a dim day."""
    begin_s = datetime(2025, 11, 20, tzinfo=CALIFORNIA).timestamp()
    load, solar = hours(begin_s, begin_s + 86400).at(begin_s + np.arange(86400.0))
    switched = np.abs(np.diff(load)) > 0.05
    assert 100 < switched.sum() < 600
    assert 0.02 < load.min() < 0.6
    assert 2.0 < load.max() < 15.0
    assert not solar[:5 * 3600].any()
    assert not solar[20 * 3600:].any()
    assert 1.0 < solar.max() <= SOLAR_KW * 1.1


def test_another_seed_is_another_day_of_the_same_energy() -> None:
    begin_s = datetime(2025, 11, 20, tzinfo=CALIFORNIA).timestamp()
    times = begin_s + np.arange(0.0, 86400.0, 60.0)
    one, other = hours(begin_s, begin_s + 86400, seed=1), hours(begin_s, begin_s + 86400, seed=2)
    assert np.abs(one.at(times)[0] - other.at(times)[0]).max() > 1.0
    np.testing.assert_allclose(one.means(times[::60])[0], other.means(times[::60])[0], rtol=1e-9)


def test_the_rows_follow_the_wall_clock() -> None:
    rows = data_rows()
    assert len(rows) == 8760
    assert row_of(local(2025, 8, 1)) == 0
    assert row_of(local(2026, 7, 31, 23)) == 8759
    assert row_of(local(2028, 2, 29, 7)) == row_of(local(2027, 2, 28, 7))
    dear = {hour for hour in range(24)
            if rows[row_of(local(2026, 1, 15, hour))]["price_per_kwh"] > 0.3}
    assert dear == {16, 17, 18, 19, 20}, "the tariff's 4 to 9 p.m."


@pytest.mark.parametrize(("day", "length_h"), [((2025, 11, 2), 25), ((2026, 3, 8), 23)])
def test_a_change_of_clocks_repeats_or_leaves_out_an_hour(
    day: tuple[int, int, int], length_h: int,
) -> None:
    calendar = Calendar(CALIFORNIA)
    begin_s = datetime(*day, tzinfo=CALIFORNIA).timestamp()
    of_day = calendar.rows(calendar.number(begin_s), length_h) % 24
    assert of_day[0] == 0
    assert of_day[-1] == 23
    assert len(set(of_day.tolist())) == min(length_h, 24)


def test_hours_begin_with_the_wall_clock_of_a_half_hour_zone() -> None:
    calendar = Calendar(KOLKATA)
    noon = datetime(2026, 1, 5, 12, tzinfo=KOLKATA)
    number = calendar.number(noon.timestamp())
    assert calendar.start_s(number) == noon.timestamp()
    assert calendar.rows(number, 1)[0] % 24 == 12
    at_s = (noon + timedelta(minutes=59)).timestamp()
    assert calendar.rows_at(np.array([at_s, at_s + 60.0])).tolist() == [
        row_of(noon), row_of(noon) + 1]


@each_case
@given(st.lists(st.floats(0.0, 10.0), min_size=5, max_size=60))
def test_parabolas_keep_the_mean_and_never_go_below_zero(given_means: list[float]) -> None:
    curves = parabolas(np.array(given_means))
    x = np.linspace(0.0, 1.0, 501)
    for (c0, c1, c2), mean in zip(curves, given_means[2:-2], strict=True):
        assert c0 + c1 / 2 + c2 / 3 == pytest.approx(mean, abs=1e-9)
        assert (c0 + c1 * x + c2 * x * x >= -1e-9).all()


def test_appliances_use_the_energy_given_and_stay_in_their_slots() -> None:
    energy_kwh = np.array([0.0, 0.01, 0.5, 4.0])
    pulses = appliances(5, np.arange(4), energy_kwh)
    used = (pulses.height * (pulses.stop - pulses.start)).sum(axis=1)
    np.testing.assert_allclose(used, energy_kwh, atol=1e-12)
    slots = np.arange(SLOTS) / SLOTS
    assert (pulses.start >= slots - 1e-12).all()
    assert (pulses.stop <= slots + 1 / SLOTS + 1e-12).all()
    assert (pulses.height >= 0).all()


def test_draws_are_even_and_no_two_hours_alike() -> None:
    draws = uniform(7, np.arange(490_000, 500_000), 1, 12)
    assert ((draws >= 0) & (draws < 1)).all()
    counts = np.histogram(draws, bins=20, range=(0, 1))[0] / draws.size
    np.testing.assert_allclose(counts, 0.05, atol=0.003)
    assert len(np.unique(draws)) == draws.size
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.03
