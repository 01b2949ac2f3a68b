"""What must hold of a heat pump's arithmetic whatever its log says."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.heatpump.account import BASES, account
from core.heatpump.cop import Cop, cop_over, cop_series
from core.heatpump.counters import counted
from core.heatpump.cycles import compressor_starts, hot_water_cycles
from core.heatpump.energies import energies
from core.heatpump.events import events
from core.heatpump.findings import findings
from core.heatpump.log import PumpLog
from core.heatpump.runtimes import runtimes
from tests.core.heatpump_logs import LEVEL_MAP, log_of_cells, pump

SHARES = ("compressor_space", "compressor_water", "compressor_unsorted", "overlap", "auxiliary",
          "defrost", "idle")
SWITCHES = ("compressor_on", "auxiliary_1_on", "auxiliary_2_on", "defrost_on", "hot_water_valve")
RANGES = {"electric_power_kw": (0, 12), "heat_power_kw": (-4, 20), "flow_lpm": (0, 40),
          "radiator_supply_c": (20, 50), "radiator_return_c": (20, 50), "brine_in_c": (-8, 12),
          "hot_water_c": (20, 60), "alarm_on": (0, 1), "alarm_code": (0, 60)}


@st.composite
def logs(draw: st.DrawFn, complete: bool = False) -> PumpLog:
    """Anything: shares of minutes, silences, quantities that are missing altogether."""
    cells = draw(st.integers(1, 150))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    columns = {}
    for name, (low, high) in {**dict.fromkeys(SWITCHES, (0, 1)), **RANGES}.items():
        if not complete and rng.random() < 0.15:
            continue
        values = rng.uniform(low, high, cells)
        if name in SWITCHES:
            values = np.where(rng.random(cells) < 0.2, values, np.round(values))
        if not complete:
            values[rng.random(cells) < rng.choice([0, 0.1, 0.6])] = np.nan
        columns[name] = values
    return log_of_cells(columns or {"outdoor_c": np.zeros(cells)})


@given(logs(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_shares_of_the_known_time_sum_to_one(log: PumpLog, rated: bool) -> None:
    found = runtimes(log, pump(auxiliary_kw=9.0 if rated else 0.0))
    shares = [getattr(found, name) for name in SHARES]
    assert found.known_h + found.unknown_h == pytest.approx(log.size / 60)
    if found.known_h:
        assert sum(shares) == pytest.approx(1, abs=1e-9)
        assert min(shares) >= -1e-12
        assert found.compressor_h <= found.known_h * (1 + 1e-12)


@given(logs(), st.booleans(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_what_goes_in_comes_out(log: PumpLog, heat_has: bool, electricity_has: bool) -> None:
    told = account(log, pump(heat_has_auxiliary=heat_has, performance=LEVEL_MAP,
                             electricity_has_auxiliary=electricity_has, assumed_flow_lpm=18.0))
    for basis in BASES:
        found = energies(told, basis)
        if found.reason:
            assert np.isnan(found.inputs)
            continue
        assert found.inputs == pytest.approx(found.outputs, abs=1e-9)
        assert 0 < found.coverage <= 1
        assert found.source_heat >= 0
        assert found.meters_disagree == (found.losses < 0)


@given(logs(complete=True), st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None)
def test_a_silence_leaves_the_cop_of_the_rest(log: PumpLog, seed: int) -> None:
    """Cells that vanish as a whole leave what the others say."""
    kept = np.random.default_rng(seed).random(log.size) < 0.7
    holey = log_of_cells({name: np.where(kept, values, np.nan)
                          for name, values in log.columns.items()})
    short = log_of_cells({name: values[kept] for name, values in log.columns.items()})
    told = pump(performance=LEVEL_MAP, assumed_flow_lpm=18.0)
    for basis in BASES:
        for with_auxiliary in (True, False):
            _same(*(cop_over(account(one, told), basis, "all", with_auxiliary)
                    for one in (holey, short)))


def _same(one: Cop, other: Cop) -> None:
    np.testing.assert_allclose(astuple(one)[:5], astuple(other)[:5], rtol=1e-9)
    assert one.reason == other.reason


@given(logs(complete=True))
@settings(max_examples=60, deadline=None)
def test_buckets_sum_to_the_whole(log: PumpLog) -> None:
    told = account(log, pump())
    whole, buckets = cop_over(told, "metered"), cop_series(told, "metered", bucket_s=900.0)
    assert np.nansum(buckets.heat_kwh) == pytest.approx(whole.heat_kwh)
    assert np.nansum(buckets.electricity_kwh) == pytest.approx(whole.electricity_kwh)


@given(st.lists(st.floats(0, 3), min_size=3, max_size=120), st.sampled_from([0.01, 0.1, 1.0]),
       st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_a_counter_s_energy_is_what_it_rose_by(rises: list[float], step: float, seed: int,
                                               ) -> None:
    """Whatever the steps and the running: between the first and the last increment nothing is
    lost and nothing is added."""
    values = np.floor(np.cumsum(rises) / step + 1e-9) * step
    on = np.round(np.random.default_rng(seed).random(values.size))
    kwh = counted(log_of_cells({"heat_kwh": values}), "heat_kwh", on).kw / 60
    rows = np.flatnonzero(np.diff(values) > 0) + 1
    if rows.size < 2:
        assert np.nansum(kwh) == 0
        return
    inside = slice(rows[0] + 1, rows[-1] + 1)
    assert kwh[inside].sum() == pytest.approx(values[rows[-1]] - values[rows[0]])
    assert (kwh[inside] >= 0).all()
    assert np.nansum(np.abs(np.delete(kwh, np.arange(values.size)[inside]))) == 0


@given(logs())
@settings(max_examples=100, deadline=None)
def test_nothing_raises_and_cycles_never_overlap(log: PumpLog) -> None:
    told = pump()
    books = account(log, told)
    found = hot_water_cycles(log, books)
    ends = np.array([(one.start_s, one.end_s) for one in found.cycles]).reshape(-1, 2)
    assert (ends[:, 1] > ends[:, 0]).all()
    assert (ends[1:, 0] >= ends[:-1, 1] - 1e-6).all()
    assert found.open <= found.count
    starts = compressor_starts(log)
    assert (np.diff(starts.time_s) > 0).all()
    assert (starts.run_s > 0).all()
    list_of_events = events(log, told, 50)
    assert len(list_of_events) <= 50
    findings(log, told, books)
