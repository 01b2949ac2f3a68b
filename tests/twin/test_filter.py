"""The filter against filterpy's, against known cells, against real drives, and on bad samples."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from bench import _twin_cells
from core.errors import RequestError
from core.twin.filter import CellFilter, Tuning
from core.twin.models import CellModel
from tests.twin.cells import LFP, NMC, live, lively

AH = 50.0


def one(model: CellModel = NMC, soc: float = 0.6, sigma: float = 0.02) -> CellFilter:
    cells = CellFilter([model], [1], [AH])
    cells.begin(soc, sigma)
    return cells


class Oracle:
    """The same cell by filterpy: its algebra, our model. No surprise, no gate."""

    def __init__(self, soc: float, sigma: float) -> None:
        from filterpy.kalman import ExtendedKalmanFilter  # loads scipy.stats, 0.7 s

        self.tuning, self.t = Tuning(), 0.0
        self.kalman = ExtendedKalmanFilter(dim_x=3, dim_z=1)
        self.kalman.x = np.array([[soc], [1.0], [0.0]])
        self.kalman.P = np.diag([sigma**2, self.tuning.start_resistance**2,
                                 self.tuning.start_leak**2])

    def step(self, current_a: float, drop_v: float, unsure_v: float, volts: float,
             dt_s: float) -> None:
        hours, tuning, kalman = dt_s / 3600.0, self.tuning, self.kalman
        kalman.F = np.array([[1, 0, -hours], [0, 1, 0], [0, 0, 1.0]])
        kalman.B = np.array([[-hours / AH], [0.0], [0.0]])
        kalman.Q = np.diag([tuning.soc_walk**2, tuning.resistance_walk**2,
                            tuning.leak_walk**2]) * hours
        kalman.predict(u=np.array([[current_a]]))
        slope = float(NMC.slope_v(kalman.x[0, 0]))
        seen = np.array([[slope, -drop_v, 0.0]])
        noise = (NMC.voltage_error_v**2 + (NMC.drop_error * drop_v) ** 2 + unsure_v**2
                 + (NMC.charge_error * slope) ** 2) * 2 * NMC.error_lasts_s / dt_s
        kalman.update(np.array([[volts]]), lambda x: seen,
                      lambda x: NMC.ocv_v(x[0:1]) - x[1:2] * drop_v, R=np.array([[noise]]))


def test_a_cell_is_estimated_as_filterpy_does() -> None:
    current = lively(AH, 900)
    current[0] = 0.0
    made = live(NMC, AH, current, soc=0.7, resistance=1.1, noise_v=0.001)
    drop_v = made.record.drop_v(NMC, AH)
    cells, oracle = one(soc=0.69), Oracle(0.69, 0.02)
    decay = math.exp(-1.0 / NMC.pairs[1][1])
    pairs_v = sum(share for share, _ in NMC.pairs) * NMC.drop_1c_v
    lost = 1.0
    for row in range(1, current.size):
        lost *= decay
        volts = float(made.record.voltage_v[row])
        cells.step([current[row]], [volts], 1.0)
        oracle.step(current[row], float(drop_v[row]),
                    lost * Tuning().unknown_c * 0.5 * pairs_v, volts, 1.0)
    theirs = oracle.kalman
    assert cells.soc[0] == pytest.approx(theirs.x[0, 0], abs=2e-4)
    assert cells.resistance[0] == pytest.approx(theirs.x[1, 0], abs=5e-3)
    assert cells.leak_c[0] == pytest.approx(theirs.x[2, 0], abs=1e-4)
    deviations = [cells.soc_sigma[0], cells.resistance_sigma[0], cells.leak_sigma_c[0]]
    assert deviations == pytest.approx(np.sqrt(np.diag(theirs.P)), rel=0.02)


def test_a_wrong_start_a_resistance_and_a_bias_are_found() -> None:
    """Within three deviations each, on an NMC cell whose model is right."""
    current = lively(AH, 1800, mean_c=0.2)
    made = live(NMC, AH, current, soc=0.9, resistance=1.4, step_s=4.0, noise_v=0.002)
    cells = one(soc=0.75, sigma=0.15)
    for told_a, volts in zip(current + 0.01 * AH, made.record.voltage_v, strict=True):
        cells.step([told_a], [volts], 4.0)
    for found, sigma, truth in ((cells.soc, cells.soc_sigma, made.soc[-1]),
                                (cells.resistance, cells.resistance_sigma, 1.4),
                                (cells.leak_c, cells.leak_sigma_c, -0.01)):
        assert abs(float(found[0]) - truth) < 3 * float(sigma[0])
    assert abs(float(cells.soc[0]) - made.soc[-1]) < 0.01
    assert float(cells.resistance[0]) == pytest.approx(1.4, abs=0.1)


@cache
def errors(chemistry: str) -> tuple[np.ndarray, np.ndarray]:
    cases = (*_twin_cells.FAULTY, *_twin_cells.BIASED, *_twin_cells.UNBELIEVED)
    return _twin_cells.charge_errors(_twin_cells.drive(chemistry), cases)


FROM_FULL = slice(-len(_twin_cells.UNBELIEVED), -2)
"""Of the starts that are right and not believed."""
BELIEVED = slice(0, -len(_twin_cells.UNBELIEVED))


def test_charge_of_a_real_nmc_drive_is_within_one_percent() -> None:
    """From a start 20 % wrong, with a bias of 1 % C; also with the bias alone, from full and from
    the middle."""
    filtered, counted = errors("NMC")
    assert filtered.max() <= 1.0
    assert (filtered < counted)[BELIEVED].all()
    assert (filtered < counted)[FROM_FULL].all()


def test_charge_of_a_real_lfp_drive_is_better_than_counting() -> None:
    """In every case, and where the start is right a filter without a gate is worse."""
    filtered, counted = errors("LFP")
    assert len(filtered[BELIEVED]) == 10
    assert (filtered < counted)[BELIEVED].all()
    assert (filtered < counted)[FROM_FULL].all()


@pytest.mark.parametrize(("chemistry", "most"), [("NMC", 0.75), ("LFP", 1.2)])
def test_a_right_start_that_is_doubted_is_left_no_further_than_curve_and_circuit_are_off(
        chemistry: str, most: float) -> None:
    """Counting from a truth that it was given may be better then, for an hour."""
    filtered, _ = errors(chemistry)
    assert filtered[-len(_twin_cells.UNBELIEVED):].max() < most


def steps(cells: CellFilter, count: int, current_a: float, volts: float, dt_s: float = 1.0) -> None:
    for _ in range(count):
        cells.step([current_a], [volts], dt_s)


def test_of_a_flat_curve_no_voltage_moves_the_charge() -> None:
    """12 mV off for an hour at rest: within what curve and circuit get wrong."""
    flat, sloped = one(LFP, 0.6), one(structs.replace(LFP, least_slope_v=0.0), 0.6)
    for cells in (flat, sloped):
        steps(cells, 600, 0.0, float(LFP.ocv_v(0.6)) + 0.012, 6.0)
    assert float(flat.soc[0]) == pytest.approx(0.6, abs=1e-3)
    assert abs(float(sloped.soc[0]) - 0.6) > 0.01, "the gate is what held it"


def test_a_flat_guess_far_from_a_steep_voltage_is_left() -> None:
    """Believed half full while the voltage says nearly empty: that is not noise."""
    cells = one(LFP, 0.5, 0.2)
    steps(cells, 60, 0.0, float(LFP.ocv_v(0.02)))
    assert float(cells.soc[0]) < 0.08


@pytest.mark.parametrize(("current_a", "volts"), [(math.nan, 3.7), (5.0, math.nan), (5.0, math.inf),
                                                  (5.0, 9.9), (math.inf, 3.7)])
def test_what_is_missing_corrects_nothing_and_the_variance_grows(current_a: float,
                                                                 volts: float) -> None:
    cells = one()
    cells.step([0.0], [float(NMC.ocv_v(0.6))], 1.0)
    before, sigma, resistance = (float(value[0]) for value in (
        cells.soc, cells.soc_sigma, cells.resistance))
    steps(cells, 60, current_a, volts)
    counted = before - (5.0 * 60 / 3600 / AH if current_a == 5.0 else 0.0)
    assert float(cells.soc[0]) == pytest.approx(counted, abs=1e-4)
    assert float(cells.resistance[0]) == pytest.approx(resistance, abs=1e-5)
    assert float(cells.soc_sigma[0]) > sigma


def test_of_a_gap_nothing_is_counted_and_the_variance_grows_by_what_may_have_flowed() -> None:
    cells = one()
    cells.step([20.0], [math.nan], 1.0)
    before = float(cells.soc[0])
    cells.step([20.0], [math.nan], 1800.0)
    assert float(cells.soc[0]) == pytest.approx(before, abs=1e-6)
    assert float(cells.soc_sigma[0]) == pytest.approx(Tuning().unknown_c * 0.5, rel=0.05)


@pytest.mark.parametrize("dt_s", [-3600.0, 0.0, math.nan])
def test_a_clock_that_jumped_back_adds_no_time(dt_s: float) -> None:
    cells = one()
    cells.step([10.0], [math.nan], dt_s)
    assert float(cells.soc[0]) == pytest.approx(0.6, abs=1e-6)
    assert float(cells.soc_sigma[0]) == pytest.approx(0.02, rel=1e-3)


def test_nothing_known_is_nan_until_voltage_and_current_are_known() -> None:
    cells = CellFilter([NMC, NMC], [2, 1], [AH] * 3)
    cells.step([math.nan, 0.0], [3.7, 3.7, math.nan], 1.0)
    assert np.isnan(cells.soc).all()
    assert np.isnan(cells.soc_sigma).all()
    cells.step([0.0, 0.0], [3.7, math.nan, 3.7], 1.0)
    assert np.isnan(cells.soc).tolist() == [False, True, False]


def test_sign_discharging_takes_and_charging_gives() -> None:
    for current_a in (25.0, -25.0):
        cells = one(LFP, 0.6)
        steps(cells, 360, current_a, math.nan)
        assert float(cells.soc[0]) - 0.6 == pytest.approx(-math.copysign(0.05, current_a), abs=1e-3)


def test_cold_cells_lose_more_and_the_charge_stays() -> None:
    """At -10 C a loaded cell's voltage is lower; told so, the filter does not call it empty."""
    ohmic, pair = NMC.warmth(-10.0)
    shares = sum(share for share, _ in NMC.pairs)
    volts = float(NMC.ocv_v(0.5)) - 0.5 * NMC.drop_1c_v * float(
        ohmic * NMC.ohmic_share + pair * shares)
    found = []
    for temperature in ([-10.0], None):
        cells = one(NMC, 0.5, 0.05)
        for _ in range(600):
            cells.step([0.5 * AH], [math.nan], 1.0, temperature)
        cells.begin(0.5, 0.05)
        cells.step([0.5 * AH], [volts], 1.0, temperature)
        found.append(float(cells.soc[0]))
    assert found[0] == pytest.approx(0.5, abs=0.005)
    assert found[1] < found[0] - 0.01


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.sampled_from(["LFP", "NMC", "LCO"]), min_size=1,
                                        max_size=4))
def test_cells_of_a_fleet_are_as_each_alone(seed: int, chemistries: list[str]) -> None:
    """Whatever happens to them; all numbers stay finite."""
    rng = np.random.default_rng(seed)
    models = [{"LFP": LFP, "NMC": NMC, "LCO": NMC}[name] for name in chemistries]
    counts = rng.integers(1, 4, len(models)).tolist()
    capacity = rng.uniform(1.0, 300.0, sum(counts))
    ends = np.cumsum(counts)
    parts = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
    fleet = CellFilter(models, counts, capacity)
    alone = [CellFilter([model], [count], capacity[part])
             for model, count, part in zip(models, counts, parts, strict=True)]
    for _ in range(15):
        current = np.where(rng.random(len(models)) < 0.2, np.nan,
                           rng.normal(0, 100, len(models)))
        volts = np.where(rng.random(ends[-1]) < 0.2, np.nan, rng.uniform(1.0, 5.0, ends[-1]))
        dt_s = float(rng.choice([0.1, 1.0, 10.0, 500.0, -1.0]))
        fleet.step(current, volts, dt_s)
        for at, (cells, part) in enumerate(zip(alone, parts, strict=True)):
            cells.step(current[at:at + 1], volts[part], dt_s)
    for cells, part in zip(alone, parts, strict=True):
        np.testing.assert_allclose(fleet.soc[part], cells.soc, atol=1e-5)
        np.testing.assert_allclose(fleet.soc_sigma[part], cells.soc_sigma, rtol=1e-3)
    assert np.isfinite(fleet.resistance).all()
    assert np.isfinite(fleet.leak_sigma_c).all()
    assert (fleet.soc_sigma[np.isfinite(fleet.soc)] > 0).all()


def test_a_capacity_that_was_found_counts_from_then_on() -> None:
    cells = CellFilter([NMC], [2], [AH, AH])
    cells.begin(0.6, 0.02)
    cells.set_capacity([math.nan, AH / 2])
    for _ in range(360):
        cells.step([0.1 * AH], [math.nan, math.nan], 1.0)
    assert cells.soc == pytest.approx([0.59, 0.58], abs=1e-4)
    assert cells.capacity_ah.tolist() == [AH, AH / 2]
    for wrong in ([0.0, AH], [AH], [AH, math.inf]):
        with pytest.raises(RequestError):
            cells.set_capacity(wrong)


def test_what_does_not_fit_together_is_refused() -> None:
    for models, counts, capacity in (([], [], []), ([NMC], [0], []), ([NMC], [2], [50.0]),
                                     ([NMC], [1], [0.0]), ([NMC], [1], [math.nan])):
        with pytest.raises(RequestError):
            CellFilter(models, counts, capacity)
    with pytest.raises(RequestError, match="1 currents and 1 voltages"):
        one().step([1.0, 2.0], [3.7], 1.0)


def test_packs_go_on_as_they_were_in_a_filter_of_others() -> None:
    """To the last bit, whatever stands between and after them; one with other cells does not."""
    current, volts = lively(AH, 60), 3.6 + 0.1 * np.random.default_rng(7).random((60, 5))

    def filter_of(models: list[CellModel], counts: list[int]) -> CellFilter:
        return CellFilter(models, counts, np.full(sum(counts), AH))

    still = filter_of([NMC, LFP, NMC], [2, 1, 2])
    for amps, row in zip(current[:30], volts[:30], strict=True):
        still.step([amps, 0.0, -amps], row, 1.0)
    other = filter_of([NMC, NMC, NMC, LFP], [2, 3, 2, 1])
    other.go_on(still, [0, 2])
    assert np.array_equal(other.residual_v[:2], still.residual_v[:2])
    for amps, row in zip(current[30:], volts[30:], strict=True):
        still.step([amps, 0.0, -amps], row, 1.0)
        other.step([amps, 1.0, -amps, 0.0], [*row[:2], 3.7, 3.7, 3.7, *row[3:], 3.3], 1.0)
    here, there = [0, 1, 3, 4], [0, 1, 5, 6]
    for of in ("soc", "soc_sigma", "resistance", "resistance_sigma", "leak_c", "leak_sigma_c",
               "residual_v"):
        assert np.array_equal(getattr(still, of)[here], getattr(other, of)[there]), of
    with pytest.raises(RequestError, match="as many cells"):
        other.go_on(still, [1])
