"""The shunt counts, drifts and synchronises; the inverter reads its charge off the voltage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from core.credibility import Trace, verdict
from core.energy import victron_cycles
from sim.house_account import account
from sim.house_hours import Hours
from sim.house_meters import Shunt, ShuntSpec, VoltageEstimate
from sim.house_process import AT, Process, Registers, edges_between
from tests.sim.house_support import Floats, plan

BEGIN_S = 1_754_006_400.0
SPEC = ShuntSpec(capacity_ah=280.0, charged_v=53.7, offset_a=0.0, gain=1.0)


def lived(days: float, synchronises: bool = True, **options: float) -> tuple[Floats, Floats]:
    """Times [s] and rows of minutes."""
    process = Process(plan(**options), BEGIN_S, Registers(0.0, 0.0))
    process.shunt.synchronises = synchronises
    edges_s = edges_between(BEGIN_S, BEGIN_S + days * 86400.0, 60.0)
    return edges_s[:-1], process.told(Hours(process.plan.site, edges_s[0], edges_s[-1]), edges_s)


def counted(shunt: Shunt, current_a: float, seconds: int, voltage_v: float = 52.0,
            from_s: float = 0.0) -> None:
    for second in range(seconds):
        shunt.count(from_s + second + 1.0, 1.0, shunt.measured_a(current_a), voltage_v)


def test_it_counts_what_flows() -> None:
    shunt = Shunt(SPEC, 50.0)
    counted(shunt, 28.0, 3600)
    assert shunt.soc_pct == pytest.approx(40.0)
    assert shunt.drawn_ah == pytest.approx(28.0)
    assert shunt.mean_a == pytest.approx(28.0)
    counted(shunt, -56.0, 1800)
    assert shunt.soc_pct == pytest.approx(50.0)
    assert shunt.drawn_ah == pytest.approx(28.0), "charging is not drawn"


def test_offset_and_gain_make_it_drift() -> None:
    """0.08 A over a day are 1.92 Ah, 0.69 % of 280 Ah."""
    idle = Shunt(ShuntSpec(280.0, 53.7, offset_a=0.08, gain=1.0), 50.0)
    counted(idle, 0.0, 86400)
    assert idle.soc_pct == pytest.approx(50.0 - 0.08 * 24 / 2.8)
    busy = Shunt(ShuntSpec(280.0, 53.7, offset_a=0.0, gain=1.01), 50.0)
    counted(busy, 28.0, 3600)
    assert busy.soc_pct == pytest.approx(39.9)


@pytest.mark.parametrize(("voltage_v", "current_a", "seconds", "full"), [
    (53.8, -5.0, 200, True), (53.8, -5.0, 170, False), (53.8, -12.0, 600, False),
    (53.6, -5.0, 600, False)])
def test_it_is_full_at_charged_voltage_and_tail_current_for_three_minutes(
    voltage_v: float, current_a: float, seconds: int, full: bool,
) -> None:
    shunt = Shunt(SPEC, 93.0)
    counted(shunt, current_a, seconds, voltage_v)
    assert (shunt.soc_pct == 100.0) == full
    assert shunt.full_at_s == (200.0 if full else pytest.approx(np.nan, nan_ok=True))


def test_the_last_discharge_stands_until_the_next_begins() -> None:
    shunt = Shunt(SPEC, 90.0)
    counted(shunt, 28.0, 7200)
    assert shunt.last_ah == pytest.approx(28.0 + 56.0)
    counted(shunt, -1.0, 200, 53.8)
    assert shunt.consumed_ah == 0.0
    assert shunt.last_ah == pytest.approx(84.0)
    counted(shunt, 28.0, 360)
    assert shunt.last_ah == pytest.approx(2.8)
    assert shunt.deepest_ah == pytest.approx(84.0)


def test_a_drifted_shunt_is_right_again_once_the_battery_is_full() -> None:
    """It can only stay wrong by what the drift of the days since makes, and by the nominal
    capacity that it counts with (2 % at the reserve)."""
    _, rows = lived(20.0, shunt_offset_a=1.0)
    error = rows[:, AT["shunt_pct"]] - rows[:, AT["soc_pct"]]
    synchronised = np.flatnonzero(np.diff(rows[:, AT["full_at_s"]]) > 1000.0)
    assert len(synchronised) >= 10
    assert (np.abs(error[synchronised + 1]) < 0.5).all()
    assert error[500:].min() < -5.0, "8.6 % a day at 1 A"


def test_one_that_never_synchronises_drifts_away() -> None:
    _, good = lived(20.0)
    _, bad = lived(20.0, synchronises=False)
    np.testing.assert_array_equal(good[:, AT["soc_pct"]], bad[:, AT["soc_pct"]])
    assert np.abs(good[-1440:, AT["shunt_pct"]] - good[-1440:, AT["soc_pct"]]).max() < 3.0
    assert np.abs(bad[-1440:, AT["shunt_pct"]] - bad[-1440:, AT["soc_pct"]]).max() > 4.0
    assert np.isnan(bad[:, AT["full_at_s"]]).all()


def test_cycles_and_drawn_charge_are_what_the_rows_say() -> None:
    _, rows = lived(30.0)
    assert rows[-1, AT["cycles"]] == victron_cycles(rows[:, AT["shunt_pct"]]) > 15
    drawn_ah = np.maximum(rows[:-1, AT["current_a"]], 0.0).sum() / 60.0
    assert rows[-1, AT["drawn_ah"]] == pytest.approx(drawn_ah, rel=1e-9)


def test_the_estimate_jumps_with_the_load_and_the_count_does_not() -> None:
    time_s, rows = lived(10.0)
    day = slice(7 * 1440, 8 * 1440)
    words = [verdict(Trace(time_s[day], rows[day, AT[name]], rows[day, AT["current_a"]],
                           279.3, 150.0, 150.0), time_s[day][-1]).word
             for name in ("estimate_pct", "shunt_pct")]
    assert words == ["voltage_estimate", "aligned"]


def test_a_rested_battery_is_read_right() -> None:
    estimate = VoltageEstimate(16, 50.0)
    open_v = Process(plan(), BEGIN_S, Registers(0.0, 0.0)).battery.open_v
    for _ in range(600):
        estimate.look(open_v(30.0), 60.0)
    assert estimate.soc_pct == pytest.approx(30.0, abs=0.5)
    estimate.look(99.0, 60.0)
    assert 30.0 < estimate.soc_pct < 32.0, "no faster than 1.6 % a minute"


def test_the_account_of_a_date_is_near_what_is_lived_and_never_less() -> None:
    """Told for a month: the margin keeps a later start from counting less than an earlier."""
    time_s, rows = lived(31.0)
    of = plan()
    zone = of.site.calendar.zone
    counted_by = account(of)
    begin, end = (counted_by.at(datetime.fromtimestamp(at_s, zone)) for at_s in time_s[[0, -1]])
    drawn_ah = rows[-1, AT["drawn_ah"]] - rows[0, AT["drawn_ah"]]
    assert drawn_ah < end.drawn_ah - begin.drawn_ah < drawn_ah * 1.1
    assert end.cycles - begin.cycles == pytest.approx(rows[-1, AT["cycles"]], abs=1)


def test_the_account_rises_over_the_years_and_from_nothing() -> None:
    of = account(plan())
    first = datetime(2021, 1, 1, tzinfo=UTC)
    told = [of.at(first + timedelta(hours=7 * step)) for step in range(6000)]
    assert told[0].drawn_ah == 0.0
    assert (np.diff([one.drawn_ah for one in told]) >= 0).all()
    assert (np.diff([one.cycles for one in told]) >= 0).all()
    assert 200 < told[-1].cycles / 3.8 < 365
