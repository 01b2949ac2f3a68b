"""Each verdict is found and named, by real records where there are some."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from bench import _twin_cells
from core.twin.diagnosis import LEAST_POINTS, Word, diagnose, left_by
from core.twin.drift import drift_after
from core.twin.models import cell_models
from core.twin.record import Record
from core.vocabulary import CHEMISTRIES
from tests.twin.cells import NMC, day, live, lively

AH = 100.0


def used(chemistry: str, seed: int = 0, resistance: float = 1.0, soc: float = 0.9) -> Record:
    return live(cell_models()[chemistry], AH, lively(AH, 5400, seed=seed), soc=soc,
                resistance=resistance, noise_v=0.002, seed=seed).record


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(CHEMISTRIES), st.integers(0, 100), st.floats(0.6, 2.0), st.floats(0.7, 0.95))
def test_a_pack_that_is_as_declared_agrees(chemistry: str, seed: int, resistance: float,
                                           soc: float) -> None:
    verdict = diagnose(used(chemistry, seed, resistance, soc), chemistry, AH)
    assert verdict.word == "agrees", verdict
    assert "mV" in verdict.cause
    assert verdict.left_v < 0.01


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(CHEMISTRIES), st.sampled_from(CHEMISTRIES), st.integers(0, 100))
def test_a_chemistry_declared_wrong_is_named(true: str, declared: str, seed: int) -> None:
    verdict = diagnose(used(true, seed), declared, AH)
    if true == declared:
        assert verdict.word == "agrees"
    else:
        assert (verdict.word, verdict.fits) == ("wrong_chemistry", true)
        assert true in verdict.cause
        assert declared in verdict.cause


@pytest.mark.parametrize("chemistry", CHEMISTRIES)
def test_a_sign_that_is_inverted_is_named(chemistry: str) -> None:
    verdict = diagnose(used(chemistry).turned(), chemistry, AH)
    assert verdict.word == "sign_inverted"
    assert "+ is discharging" in verdict.cause


@pytest.mark.parametrize("chemistry", ["NMC", "LCO"])
def test_an_inverted_sign_is_named_where_no_step_is_seen(chemistry: str) -> None:
    """Samples a minute apart, half a day of slow use."""
    current = np.repeat([0.0, 15.0, 15.0, 0.0], 60)
    record = live(cell_models()[chemistry], AH, current, soc=0.8, step_s=60.0,
                  noise_v=0.002).record
    assert diagnose(record, chemistry, AH).word == "agrees"
    verdict = diagnose(record.turned(), chemistry, AH)
    assert verdict.word == "sign_inverted", verdict


def test_what_is_missing_now_and_then_does_not_hide_a_wrong_chemistry() -> None:
    record = used("LFP")
    current = record.current_a.copy()
    current[[0, 40, 900, 5300]] = np.nan
    holed = Record(record.time_s + np.where(np.arange(5400) > 300, 7200.0, 0.0), current,
                   record.voltage_v)
    assert holed.longest().time_s.size == 4400
    assert diagnose(holed, "NMC", AH).fits == "LFP"


@pytest.mark.parametrize("chemistry", ["NMC", "LFP"])
def test_of_a_real_cell_sign_and_chemistry_are_told(chemistry: str) -> None:
    """Of makes that the curves were not taken from: what fits worse is still told apart."""
    drive = _twin_cells.drive(chemistry)
    record = drive.record.part(slice(0, drive.soc.size * 3 // 4))
    assert diagnose(record.turned(), chemistry, drive.capacity_ah).word == "sign_inverted"
    assert diagnose(record, chemistry, drive.capacity_ah).word in ("agrees", "does_not_fit")
    other = {"NMC": "LFP", "LFP": "NMC"}[chemistry]
    verdict = diagnose(record, other, drive.capacity_ah)
    assert verdict.word == "wrong_chemistry"
    models = cell_models()
    assert left_by(record, models[chemistry], drive.capacity_ah) \
        < left_by(record, models[other], drive.capacity_ah) / 2


def test_voltages_outside_of_the_window_are_named() -> None:
    record = used("NMC")
    volts = record.voltage_v.copy()
    volts[-200:] = 4.5
    verdict = diagnose(Record(record.time_s, record.current_a, volts), "NMC", 1000 * AH)
    assert verdict.word == "outside_window"
    assert "2.5 to 4.2 V" in verdict.cause


def test_a_pack_that_no_chemistry_explains_does_not_fit() -> None:
    """Half the cells of the series counted: every voltage is half."""
    record = used("NMC")
    verdict = diagnose(Record(record.time_s, record.current_a, record.voltage_v / 2), "NMC", AH)
    assert verdict.word == "does_not_fit"
    assert "number of cells" in verdict.cause


def test_too_little_is_called_too_little() -> None:
    short = used("NMC")
    few = Record(*(column[:LEAST_POINTS - 1] for column in (
        short.time_s, short.current_a, short.voltage_v)))
    assert diagnose(few, "NMC", AH).word == "too_little_data"
    still = live(NMC, AH, np.zeros(3600)).record
    verdict = diagnose(still, "NMC", AH)
    assert verdict.word == "too_little_data"
    assert "0.0 % of the capacity" in verdict.cause
    blind = Record(short.time_s, short.current_a, np.full(short.time_s.size, np.nan))
    assert diagnose(blind, "NMC", AH).word == "too_little_data"
    nothing = Record.of([], [], [])
    assert diagnose(nothing, "NMC", AH).word == "too_little_data"


@pytest.mark.parametrize(("begins", "slope_mv", "word"), [
    (0.6, 30.0, "drifting"), (0.6, -30.0, "drifting"), (0.6, 0.0, "agrees")])
def test_a_drift_is_found_with_its_beginning(begins: float, slope_mv: float, word: Word) -> None:
    made = live(NMC, AH, np.tile(day(AH), 2), soc=0.95, step_s=10.0, noise_v=0.002)
    times = made.record.time_s
    from_s = begins * times[-1]
    rng = np.random.default_rng(1)
    residual = rng.normal(0.0, 0.002, times.size) + np.where(
        times > from_s, slope_mv / 1000 * (times - from_s) / (times[-1] - from_s), 0.0)
    residual[rng.random(times.size) < 0.2] = math.nan
    verdict = diagnose(made.record, "NMC", AH, drift_after(None, times, residual))
    assert verdict.word == word
    if word == "drifting":
        assert verdict.since_s is not None
        assert abs(verdict.since_s - from_s) < 0.2 * (times[-1] - from_s)
        assert f"{math.copysign(1, slope_mv):+.0f}"[0] in verdict.cause


def test_a_wrong_capacity_is_not_called_another_chemistry() -> None:
    aged = live(NMC, 0.8 * AH, lively(AH, 5400), soc=0.9, noise_v=0.002).record
    assert diagnose(aged, "NMC", AH).fits is None
    window = structs.replace(NMC, window=(0.0, 1.0))
    assert left_by(aged, window, AH) < 0.05
