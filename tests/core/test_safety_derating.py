"""What may flow and why: the least of all limits, cut at once, back slowly (laws 4, 7, 8)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GiveUpError
from core.limits import safe_operating_area
from core.safety.area import Area, Sample
from core.safety.derating import (
    CHARGE,
    DISCHARGE,
    LIMITS,
    RAMP,
    WAYS,
    Derated,
    Derating,
    FallenPart,
)
from core.safety.layout import Layout
from core.vocabulary import CHEMISTRIES
from tests.core.safety_bench import healthy, pack, with_cell

FREE = np.full((2, 1), np.inf, dtype=np.float32)
LONG_S = 1000.0


class Limiter:
    def __init__(self, chemistry: str = "LFP", ramp: str = "fastest") -> None:
        self.layout = Layout([replace(pack(chemistry), ramp=ramp)])
        self.area, self.derating = Area(self.layout), Derating(self.layout)
        self.calm = healthy(self.layout)

    def step(self, sample: Sample | None = None, dt_s: float = LONG_S, stopped: bool = False,
             operator: np.ndarray = FREE) -> Derated:
        with np.errstate(invalid="ignore"):
            state = self.area.evaluate(sample or self.calm, dt_s)
        return self.derating.step(sample or self.calm, state, operator, np.array([stopped]),
                                  dt_s)

    def cell(self, quantity: str, value: float, cell: int = 3) -> Sample:
        return with_cell(self.calm, self.layout, quantity, cell, value)

    def packs(self, **values: float) -> Sample:
        return replace(self.calm, **{name: np.array([value], dtype=np.float32)
                                     for name, value in values.items()})


def allowed(found: Derated) -> tuple[float, float]:
    return float(found.allowed_a[CHARGE, 0]), float(found.allowed_a[DISCHARGE, 0])


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
@pytest.mark.parametrize(("quantity", "name", "way"), [
    ("voltage_v", "voltage_max_v", CHARGE), ("voltage_v", "voltage_min_v", DISCHARGE),
    ("temperature_c", "charge_temperature_max_c", CHARGE),
    ("temperature_c", "charge_temperature_min_c", CHARGE),
    ("temperature_c", "discharge_temperature_max_c", DISCHARGE),
    ("temperature_c", "discharge_temperature_min_c", DISCHARGE)])
def test_from_the_information_limit_to_the_warning_limit(chemistry: str, quantity: str,
                                                         name: str, way: int) -> None:
    start, end = safe_operating_area().table(name)[CHEMISTRIES.index(chemistry), :2]
    found = [float(Limiter(chemistry).step(Limiter(chemistry).cell(quantity, value))
                   .allowed_a[way, 0])
             for value in (start, (start + end) / 2, end, end + (end - start))]
    assert found == pytest.approx([100, 50, 0, 0], abs=0.01)


@pytest.mark.parametrize(("change", "expected"), [
    ({}, (100, 100)), ({"soc_pct": 92.5}, (50, 100)), ({"soc_pct": 95.0}, (0, 100)),
    ({"soc_pct": 5.0}, (100, 0)), ({"soh_pct": 80.0}, (80, 80)), ({"soh_pct": 24.0}, (0, 0)),
    ({"bms_charge_a": 30.0}, (30, 100)), ({"bms_discharge_a": -5.0}, (100, 0)),
    ({"soc_pct": math.nan}, (0, 0)), ({"soh_pct": math.nan}, (0, 0)),
    ({"current_a": math.nan}, (0, 0)), ({"bms_charge_a": math.nan}, (0, 100)),
    ({"bms_discharge_a": math.inf}, (100, 0))])
def test_what_a_pack_limits(change: dict[str, float], expected: tuple[float, float]) -> None:
    limiter = Limiter()
    assert allowed(limiter.step(limiter.packs(**change))) == pytest.approx(expected)


@pytest.mark.parametrize("quantity", ["voltage_v", "temperature_c"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_missing_cell_allows_nothing_and_is_named(quantity: str, value: float) -> None:
    limiter = Limiter()
    found = limiter.step(limiter.cell(quantity, value))
    assert 0.0 in allowed(found)
    if math.isnan(value):
        assert allowed(found) == (0.0, 0.0)
        assert "by cell 3 at a missing value" in found.reason(CHARGE, 0).words()


def test_the_reason_can_be_said() -> None:
    limiter = Limiter()
    found = limiter.step(limiter.cell("temperature_c", 42.0))
    assert found.reason(CHARGE, 0).words() == "charge limited to 0.6 C by cell 3 at 42 °C"
    assert found.reason(CHARGE, 0).words("cell_3 of b").endswith("by cell_3 of b at 42 °C")
    operator = np.array([[20.0], [np.nan]], dtype=np.float32)
    held = limiter.step(operator=operator)
    assert held.reason(CHARGE, 0).words() == "charge limited to 0.2 C by operator"
    assert allowed(held) == (20.0, 0.0)
    assert limiter.step(stopped=True).reason(DISCHARGE, 0).limit == "safety_state"
    assert limiter.step(dt_s=0.1).reason(CHARGE, 0).limit == "ramp"


def told(found: Derated, way: int) -> list[tuple[str, float]]:
    return [(one.limit, round(one.amps, 2)) for one in found.near(way, 0)]


def test_every_limit_that_is_near_is_told_the_strictest_first() -> None:
    limiter = Limiter()
    warm = limiter.cell("temperature_c", 42.0)
    both = with_cell(warm, limiter.layout, "voltage_v", 5, 3.53)
    found = limiter.step(replace(both, soh_pct=np.array([80.0], dtype=np.float32)))
    assert told(found, CHARGE) == [("temperature_max", 60.0), ("voltage", 70.0),
                                   ("c_rate", 80.0)]
    assert told(found, DISCHARGE) == [("c_rate", 80.0)]
    assert [one.words() for one in found.near(CHARGE, 0)] == [
        "charge limited to 0.6 C by cell 3 at 42 °C", "charge limited to 0.7 C by cell 5 at 3.53 V",
        "charge limited to 0.8 C by state of health at 80 %"]
    assert [one.leaf for one in found.near(CHARGE, 0)] == [3, 5, -1]


def test_a_pack_that_nothing_limits_has_no_limit_near() -> None:
    limiter = Limiter()
    calm = limiter.step()
    assert (calm.near(CHARGE, 0), calm.near(DISCHARGE, 0)) == ([], [])
    assert not calm.limited(CHARGE, 0)
    assert not calm.limited(DISCHARGE, 0)


def test_the_ramp_is_told_only_where_it_holds() -> None:
    limiter = Limiter(ramp="medium")
    assert told(limiter.step(dt_s=1.0), CHARGE) == [("ramp", 0.5)]
    limiter.step()
    aged = limiter.step(limiter.packs(soh_pct=80.0), dt_s=1.0)
    assert float(aged.partial_a[RAMP, CHARGE, 0]) > 100.0
    again = limiter.step(limiter.packs(soh_pct=80.0), dt_s=1.0)
    assert float(again.partial_a[RAMP, CHARGE, 0]) == pytest.approx(80.5), "it follows"
    assert told(again, CHARGE) == [("c_rate", 80.0)]


@settings(max_examples=60, deadline=None)
@given(volts=st.floats(2.0, 4.5), heat=st.floats(-40, 90), soc=st.floats(0, 100),
       soh=st.floats(0, 100) | st.just(math.nan), stopped=st.booleans(), dt_s=st.floats(0, 10))
def test_what_is_told_first_is_what_is_allowed(volts: float, heat: float, soc: float, soh: float,
                                               stopped: bool, dt_s: float) -> None:
    limiter = Limiter("NMC")
    limiter.step()
    sample = replace(limiter.cell("voltage_v", volts),
                     temperature_c=np.full(8, heat, dtype=np.float32),
                     soc_pct=np.array([soc], dtype=np.float32),
                     soh_pct=np.array([soh], dtype=np.float32))
    found = limiter.step(sample, dt_s, stopped)
    for way in (CHARGE, DISCHARGE):
        near = found.near(way, 0)
        amps = [one.amps for one in near]
        assert amps == sorted(amps)
        assert all(0 < len(one.words()) <= 120 for one in near), "as a message may carry"
        assert bool(near) == found.limited(way, 0)
        assert len({one.limit for one in near}) == len(near)
        assert {one.way for one in near} <= {WAYS[way]}
        if near:
            assert amps[0] == float(found.allowed_a[way, 0])
            assert near[0].words() == found.reason(way, 0).words()


def test_cut_at_once_and_ramped_back() -> None:
    limiter = Limiter(ramp="medium")
    assert allowed(limiter.step(dt_s=1.0)) == (0.5, 0.5)
    assert allowed(limiter.step()) == (100.0, 100.0)
    assert allowed(limiter.step(limiter.cell("temperature_c", 45.0), dt_s=0.01))[0] == 0.0
    back = [allowed(limiter.step(dt_s=1.0))[0] for _ in range(4)]
    assert back == [0.5, 1.0, 1.5, 2.0]
    assert allowed(limiter.step(dt_s=-5.0))[0] == 2.0
    assert allowed(limiter.step(dt_s=math.nan))[0] == 2.0


def test_a_voltage_limit_only_falls_until_the_cell_is_out_of_the_zone() -> None:
    limiter = Limiter()
    found = [allowed(limiter.step(limiter.cell("voltage_v", volts)))[0]
             for volts in (3.55, 3.52, 3.57, 3.501, math.nan, 3.53, 3.50)]
    assert found == pytest.approx([50, 50, 30, 30, 0, 30, 100], abs=0.02)


@settings(max_examples=60, deadline=None)
@given(volts=st.floats(2.0, 4.5), heat=st.floats(-40, 90), soc=st.floats(0, 100),
       missing=st.sets(st.sampled_from(Sample.__slots__), max_size=3))
def test_never_more_than_any_partial_limit(volts: float, heat: float, soc: float,
                                           missing: set[str]) -> None:
    limiter = Limiter("NMC")
    sample = replace(limiter.cell("voltage_v", volts),
                     temperature_c=np.full(8, heat, dtype=np.float32),
                     soc_pct=np.array([soc], dtype=np.float32))
    for name in missing:
        sample = replace(sample, **{name: np.full_like(getattr(sample, name), np.nan)})
    found = limiter.step(sample)
    assert (found.allowed_a == found.partial_a.min(axis=0)).all()
    assert np.isfinite(found.allowed_a).all()
    assert (found.allowed_a >= 0).all()
    one_way = {"bms_charge_a": DISCHARGE, "bms_discharge_a": CHARGE}
    for name in missing:
        closed = [way for way in (CHARGE, DISCHARGE) if way != one_way.get(name)]
        assert (found.allowed_a[closed] == 0).all()


def test_a_restart_keeps_the_ratchet_and_begins_its_ramp_anew() -> None:
    before, after = Limiter(), Limiter(ramp="slow")
    assert not before.derating.held.any()
    before.step(before.cell("voltage_v", 3.58))
    assert before.derating.held.all()
    after.derating.restore(0, before.derating.ratchet(0))
    sample = before.cell("voltage_v", 3.52)
    assert allowed(after.step(sample, 10.0)) == pytest.approx((1.0, 1.0)), "0.1 A/s"
    assert allowed(after.step(sample)) == allowed(before.step(sample))
    for damaged in ((math.nan, 1.0), (-0.1, 1.0), (1.0, 1.1), (1.0, math.inf)):
        charge, discharge = map(FallenPart, damaged)
        with pytest.raises(GiveUpError):
            after.derating.restore(0, (charge, discharge))


def test_an_unknown_ramp_is_refused_and_limits_have_names() -> None:
    with pytest.raises(GiveUpError, match="warp"):
        Derating(Layout([replace(pack(), ramp="warp")]))
    assert LIMITS[RAMP] == "ramp"
