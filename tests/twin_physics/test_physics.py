"""PyBaMM itself, in one child for all of this file: windows, ageing, calibration.

Oracles: charge that is counted, voltages at rest, the balance of energy (`energy.py`), PyBaMM's own
thermal model (`entropy.py`) and run of every day (`every_day.py`), and a cell whose parameters are
known because PyBaMM's SPMe made its record (`truth.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import msgspec
import numpy as np
import pytest

from core.twin.life import RUN_LOSS_PCT
from core.twin.models import cell_model
from core.twin.rounds import CHECKED_DAYS, JUMP, task_of
from core.twin.tasks import (
    CalibrationResult,
    CalibrationTask,
    ForecastResult,
    ForecastTask,
    Progress,
    Result,
    Task,
    Usage,
    WindowPack,
    WindowResult,
    WindowTask,
    column,
    floats,
    new_id,
)
from services.twin.child import ITS_OWN, ROOT, Child
from tests.twin_physics.bpx_cell import bpx

POINTS, STEP_S, AH = 31, 10.0, 50.0
WINDOW_H = (POINTS - 1) * STEP_S / 3600.0
TIMEOUT_S = 600.0
MINIMAL = {"PATH": "/usr/bin:/bin", **ITS_OWN}


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    made = Child()
    yield made
    made.close()


@pytest.fixture(scope="module")
def by_pybamm() -> dict[str, Any]:
    """What `stumbling`, `truth`, `energy`, `entropy`, `borrowed` and `every_day` make with PyBaMM
    itself, which no test process imports."""
    program = ("import json, sys\n"
               "from tests.twin_physics import borrowed, energy, entropy, every_day, stumbling, "
               "truth\n"
               "json.dump({'stumbled': stumbling.stumbled(), 'truth': truth.truth(), "
               "'energies': energy.balances(), 'entropy': entropy.beside(), "
               "'lent': borrowed.lent(), 'every_day': every_day.losses_pct()}, sys.stdout)")
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True,
                         timeout=TIMEOUT_S, check=True, env=MINIMAL)
    return json.loads(ran.stdout)  # type: ignore[no-any-return]


def run(child: Child, task: Task) -> Result:
    told: list[Progress] = []
    result = child.run(task, told.append, TIMEOUT_S)
    assert result.id == task.id
    shares = [one.share for one in told]
    assert shares == sorted(shares)
    return result


def pack(name: str, soc: float = 0.5, current: float | np.ndarray = 0.0, volts: float = 3.7,
         **more: object) -> WindowPack:
    told = {"capacity_ah": AH, **more}
    return WindowPack(pack=name, soc=soc, voltage_v=column(np.full(POINTS, volts)),
                      current_a=column(np.full(POINTS, 0.0) + current),
                      **told)  # type: ignore[arg-type]


def window_task(*packs: WindowPack, **more: object) -> WindowTask:
    return WindowTask(id=new_id(), packs=packs, time_s=1.7e9,
                      **{"chemistry": "NMC", **more})  # type: ignore[arg-type]


def window(child: Child, *packs: WindowPack, **more: object) -> WindowResult:
    result = run(child, window_task(*packs, **more))
    assert isinstance(result, WindowResult)
    assert not result.failed
    assert [answer.pack for answer in result.answers] == [one.pack for one in packs]
    return result


@pytest.fixture(scope="module")
def many(child: Child) -> WindowResult:
    """Good packs and bad ones in one batch."""
    rng = np.random.default_rng(3)
    wild = rng.normal(0.0, 0.3 * AH, POINTS)
    holes = np.where(np.arange(POINTS) % 5 == 2, np.nan, wild)
    minutes = np.where(np.arange(POINTS) % 6 == 0, np.linspace(0.2 * AH, 0.8 * AH, POINTS), np.nan)
    return window(
        child, pack("rest", start_v=3.75, volts=3.75), pack("half c", current=0.5 * AH),
        pack("small", current=0.5, capacity_ah=1.0), pack("wild", current=wild),
        pack("holes", current=holes), pack("minutes", current=minutes), pack("above", volts=4.5),
        pack("below", volts=2.2), pack("declared wrong", start_v=2.1),
        pack("blind", current=np.nan), pack("empty", soc=0.0, current=5.0 * AH, volts=3.0),
        pack("ampere for milliampere", current=1000.0 * AH), pack("last", current=0.5 * AH),
        pack("cold", current=0.5 * AH, temperature_c=0.0))


def answers(result: WindowResult) -> dict[str, object]:
    return {answer.pack: answer for answer in result.answers}


def test_at_rest_the_voltage_is_the_open_circuit_one(many: WindowResult) -> None:
    found = answers(many)["rest"]
    assert np.allclose(floats(found.voltage_v), 3.75, atol=1e-3)
    assert found.residual_rms_mv < 1.0
    assert np.allclose(floats(found.ahead_v), 3.75, atol=1e-3)


@pytest.mark.parametrize(("name", "rate"), [("half c", 0.5), ("small", 0.5), ("last", 0.5)])
def test_charge_is_counted(many: WindowResult, name: str, rate: float) -> None:
    found = answers(many)[name]
    assert found.end_soc == pytest.approx(0.5 - rate * WINDOW_H, abs=2e-4)
    ahead = floats(found.ahead_soc)
    hours = floats(found.ahead_s) / 3600.0
    assert np.allclose(ahead, found.end_soc - rate * hours, atol=5e-4)
    assert found.plan_a == pytest.approx(rate * (1.0 if name == "small" else AH))


def test_charge_of_a_changing_current_is_its_integral(many: WindowResult) -> None:
    current = np.random.default_rng(3).normal(0.0, 0.3 * AH, POINTS)
    moved = np.trapezoid(current, dx=STEP_S) / 3600.0 / AH
    assert answers(many)["wild"].end_soc == pytest.approx(0.5 - moved, abs=5e-4)


def test_charge_of_a_window_of_minutes_is_that_of_the_lines_between_them(
        many: WindowResult) -> None:
    """As the filter's charge was counted back (`core.twin.windows`)."""
    assert answers(many)["minutes"].end_soc == pytest.approx(0.5 - 0.5 * WINDOW_H, abs=2e-4)


def test_packs_of_any_size_are_one_cell(many: WindowResult) -> None:
    found = answers(many)
    assert np.allclose(floats(found["half c"].voltage_v), floats(found["small"].voltage_v),
                       atol=5e-4)
    assert found["half c"].voltage_v == found["last"].voltage_v


def test_a_cold_cell_loses_more(many: WindowResult) -> None:
    found = answers(many)
    drop = [floats(found[name].voltage_v)[-1] for name in ("half c", "cold")]
    assert drop[0] > drop[1] + 0.005


@pytest.mark.parametrize(("name", "words"), [
    ("above", "4.500 V, lies above the 2.5 to 4.2 V"), ("below", "2.200 V, lies below"),
    ("declared wrong", "check the declared chemistry"), ("blind", "no current was measured"),
    ("ampere for milliampere", "unit of the current"),
])
def test_what_cannot_be_modelled_says_why(many: WindowResult, name: str, words: str) -> None:
    found = answers(many)[name]
    assert words in found.failed
    assert not found.voltage_v


def test_an_emptied_cell_ends_early_and_the_others_do_not(many: WindowResult) -> None:
    found = answers(many)["empty"]
    assert "an electrode is empty or full" in found.note
    assert not np.isfinite(floats(found.voltage_v)[-1])
    assert np.isfinite(floats(answers(many)["last"].voltage_v)).all()


def test_missing_currents_are_told(many: WindowResult) -> None:
    assert "6 of 31 currents were missing" in answers(many)["holes"].note


def test_the_inside_is_told(many: WindowResult) -> None:
    states = {name: floats(values) for name, values in answers(many)["half c"].states.items()}
    assert set(states) == {"negative_surface", "positive_surface", "negative_mean",
                           "positive_mean", "ocv_v", "negative_reaction_v", "positive_reaction_v",
                           "temperature_c", "heat_w"}
    assert (np.diff(states["negative_mean"]) < 0).all()
    assert (np.diff(states["positive_mean"]) > 0).all()
    assert (states["negative_surface"][1:] < states["negative_mean"][1:]).all()


@pytest.mark.parametrize("chemistry", ["LFP", "LCO"])
def test_each_chemistry_at_the_charge_that_the_circuit_believes(child: Child,
                                                                chemistry: str) -> None:
    volts = float(cell_model(chemistry).ocv_v(0.6))
    result = window(child, pack("rest", start_v=volts, volts=volts),
                    pack("charging", soc=0.7, current=-1.2 * AH, volts=volts), chemistry=chemistry)
    rest, charging = result.answers
    assert rest.residual_rms_mv is not None
    assert rest.residual_rms_mv < 2.0
    assert "reaches its limit of" in charging.note
    borrows = "heat capacity, size, cooling borrowed from OKane2022" in result.parameter_set
    assert borrows == (chemistry == "LFP"), "whose set tells nothing of heat"


def test_the_spme_loses_more_than_the_spm(child: Child, many: WindowResult) -> None:
    result = window(child, pack("half c", current=0.5 * AH), model="SPMe")
    found = result.answers[0]
    assert floats(found.voltage_v)[-1] < floats(answers(many)["half c"].voltage_v)[-1] - 1e-3
    assert {"concentration_v", "electrolyte_v", "electrode_v"} <= set(found.states)


each_balance = pytest.mark.parametrize(("chemistry", "model", "span"), list(product(
    ("NMC", "LFP", "LCO"), ("SPM", "SPMe"), ("window", "day"))))


@pytest.fixture(scope="module")
def energies(by_pybamm: dict[str, Any]) -> dict[str, dict[str, float]]:
    return by_pybamm["energies"]  # type: ignore[no-any-return]


@each_balance
def test_what_leaves_the_terminals_and_what_is_lost_is_what_was_stored(
        energies: dict[str, dict[str, float]], chemistry: str, model: str, span: str) -> None:
    """Within a hundredth of what is lost, which each overpotential that is told is part of."""
    told = energies[f"{chemistry} {model} {span}"]
    assert 0.01 * told["stored"] < told["lost"] < told["terminal"] < told["stored"]
    assert told["terminal"] + told["lost"] == pytest.approx(told["stored"],
                                                            abs=0.01 * told["lost"])
    assert told["modelled"] == pytest.approx(told["counted"], abs=0.005)


@each_balance
def test_heat_that_is_made_warms_the_cell_and_what_is_around_it(
        energies: dict[str, dict[str, float]], chemistry: str, model: str, span: str) -> None:
    """And where no electrode takes up or gives heat by itself, it is all that is lost."""
    told = energies[f"{chemistry} {model} {span}"]
    assert told["warmed"] == pytest.approx(told["heat"], rel=0.01)
    if chemistry != "LCO":  # whose set alone has an entropy of its electrodes
        assert told["heat"] == pytest.approx(told["lost"], rel=0.02)


@pytest.mark.parametrize(("way", "sign"), [("discharge", 1.0), ("charge", -1.0)])
def test_the_heat_of_entropy_is_that_of_pybamm_s_own_thermal_model(
        by_pybamm: dict[str, Any], way: str, sign: float) -> None:
    """Given on discharge and taken on charge. Temperatures are within 0.1 K, for PyBaMM's leaves
    out what the particles' gradients lose; without entropy they would be some 0.4 K apart."""
    ours, theirs = (by_pybamm["entropy"][way][who] for who in ("ours", "pybamm"))
    hour_w, pybamm_w = (np.array(told["reversible_w"]) for told in (ours, theirs))
    assert sign * np.mean(pybamm_w) > 0.05
    assert np.allclose(hour_w[1:], pybamm_w[1:], atol=0.005 * np.abs(pybamm_w).max())
    apart_c = np.array(ours["temperature_c"]) - np.array(theirs["temperature_c"])
    assert np.abs(apart_c).max() < 0.1
    assert np.ptp(theirs["temperature_c"]) > 0.1


def test_only_what_a_set_does_not_tell_of_heat_is_borrowed(by_pybamm: dict[str, Any]) -> None:
    lent = dict(by_pybamm["lent"])
    assert lent.pop("Cell cooling surface area [m2]") == pytest.approx(0.557, abs=0.001)
    assert set(lent.values()) == {1.0}


def test_the_model_has_a_temperature_of_its_own(many: WindowResult) -> None:
    found = {name: {key: floats(values) for key, values in answer.states.items()}
             for name, answer in answers(many).items()}
    rest, busy, cold = (found[name]["temperature_c"] for name in ("rest", "half c", "cold"))
    assert np.allclose(rest, 25.0, atol=1e-3)
    assert (np.diff(busy) > 0).all()
    assert 25.1 < busy[-1] < 27.0
    assert cold[0] == pytest.approx(0.0, abs=1e-3)
    assert cold[-1] > busy[-1] - 25.0, "it loses more"
    assert "no temperature was measured; 25 °C is taken" in answers(many)["rest"].note
    assert "25 °C" not in answers(many)["cold"].note
    assert np.allclose(found["half c"]["heat_w"], 50.0 * found["small"]["heat_w"], rtol=1e-3)


def test_it_begins_as_warm_as_measured_and_is_cooled_by_the_mean(child: Child) -> None:
    result = window(child, pack("cooled", start_c=30.0, temperature_c=20.0))
    told = floats(result.answers[0].states["temperature_c"])
    assert told[0] == pytest.approx(30.0, abs=1e-3)
    assert (np.diff(told) < 0).all()
    assert 20.0 < told[-1] < 29.0


# -- ageing


@pytest.fixture(scope="module")
def year(child: Child) -> ForecastResult:
    result = run(child, ForecastTask(id=new_id(), chemistry="NMC", days=40, check=True))
    assert isinstance(result, ForecastResult)
    return result


def test_the_state_jump_agrees_with_every_day(year: ForecastResult) -> None:
    """Within the 3 % that a year may be off."""
    assert not year.failed
    assert year.solved_days < 20
    assert year.error_pct is not None
    assert abs(year.error_pct) < 3.0
    assert year.checked_days == 40
    assert year.checked_loss_pct == year.loss_pct
    assert year.full_loss_pct is not None
    assert year.full_loss_pct > 0.2


def test_the_state_jump_loses_what_pybamm_s_own_run_of_full_cycles_loses(
        year: ForecastResult, by_pybamm: dict[str, Any]) -> None:
    """As one before any jump, and within 3 % from the second jump on: the first, of the film's
    fastest days, loses a tenth too much, which the slower growth of a thicker film makes good."""
    full, days = np.array(by_pybamm["every_day"]), floats(year.days).astype(int)
    off = np.abs(100.0 * (1.0 - floats(year.capacity)) / full[days - 1] - 1.0)
    landed = days[1:][np.diff(days) > 1]
    assert (days[-1], full.size, landed.size) == (40, 40, 4)
    assert off[days < landed[0]].max() < 0.001
    assert off[days >= landed[1]].max() < 0.03


@pytest.mark.parametrize("chemistry", ["NMC", "LFP", "LCO"])
def test_the_runs_of_the_app_are_within_three_percent_of_every_day(child: Child,
                                                                   chemistry: str) -> None:
    """With their own jump and their own check; but of one year instead of ten."""
    task = msgspec.structs.replace(task_of((chemistry, Usage(), ())), days=365)
    assert (task.jump, task.check_days) == (JUMP, CHECKED_DAYS)
    result = run(child, task)
    assert isinstance(result, ForecastResult)
    assert not result.failed
    assert result.checked_days is not None
    assert 60 < result.checked_days <= CHECKED_DAYS
    assert result.checked_days in floats(result.days)
    assert floats(result.days)[-1] == 365.0
    assert result.error_pct is not None
    assert result.full_loss_pct is not None
    assert 0.0 < abs(result.error_pct) < 3.0
    assert result.error_pct == pytest.approx(
        100 * (result.checked_loss_pct / result.full_loss_pct - 1))
    at = floats(result.days).tolist().index(result.checked_days)
    assert result.checked_loss_pct == pytest.approx(
        100 * (1 - floats(result.capacity)[at]), abs=1e-4)
    assert result.loss_pct > result.checked_loss_pct > 0.3


def test_a_course_falls_and_its_losses_rise(year: ForecastResult) -> None:
    days, capacity = floats(year.days), floats(year.capacity)
    assert (days[0], days[-1]) == (1.0, 40.0)
    assert (np.diff(days) > 0).all()
    assert (np.diff(capacity) < 0).all()
    assert (np.diff(floats(year.sei)) > 0).all()
    assert floats(year.cycles)[-1] == pytest.approx(40 * 0.75, rel=0.05)
    assert year.loss_pct == pytest.approx(100.0 * (1.0 - capacity[-1]), abs=1e-4)
    assert "SEI" in year.dominates
    assert year.origin == "own"


@pytest.mark.parametrize(("chemistry", "origin", "words"), [
    ("LFP", "grafted", "uncalibrated"), ("LCO", "own", "no plating")])
def test_each_chemistry_ages(child: Child, chemistry: str, origin: str, words: str) -> None:
    result = run(child, ForecastTask(id=new_id(), chemistry=chemistry,  # type: ignore[arg-type]
                                     days=12))
    assert isinstance(result, ForecastResult)
    assert not result.failed
    assert (result.origin, words in result.note) == (origin, True)
    assert 0.01 < (result.loss_pct or 0.0) < 3.0
    lithium = floats(result.sei)[-1] + floats(result.plating)[-1]
    assert 0.7 < result.loss_pct / (100.0 * lithium) < 1.3  # what is lost to films is capacity
    assert result.error_pct is None


def test_warmth_and_a_full_rest_age_faster(child: Child) -> None:
    lost = []
    for usage in (Usage(depth=0.3, rest_soc=0.4, temperature_c=10.0),
                  Usage(depth=0.3, rest_soc=0.95, temperature_c=35.0)):
        result = run(child, ForecastTask(id=new_id(), chemistry="NMC", usage=usage, days=12))
        assert isinstance(result, ForecastResult)
        lost.append(floats(result.sei)[-1])
    assert lost[1] > 1.5 * lost[0]


@pytest.mark.parametrize("chemistry", sorted(RUN_LOSS_PCT))
def test_the_pace_that_intervals_of_life_are_made_of_is_that_of_the_runs(
        child: Child, chemistry: str) -> None:
    result = run(child, ForecastTask(
        id=new_id(), chemistry=chemistry, usage=Usage(depth=0.7, rest_soc=0.9), days=365, jump=40))
    assert isinstance(result, ForecastResult)
    assert result.loss_pct == pytest.approx(RUN_LOSS_PCT[chemistry], rel=0.05)


def test_an_impossible_usage_is_told(child: Child) -> None:
    task = ForecastTask(id=new_id(), chemistry="NMC", usage=Usage(depth=0.9, rest_soc=0.5))
    assert "more than the 50% that the cell rests at" in run(child, task).failed


@pytest.fixture(scope="module")
def stumbled(by_pybamm: dict[str, Any]) -> dict[str, list[dict[str, object]]]:
    return by_pybamm["stumbled"]  # type: ignore[no-any-return]


def test_one_bad_pack_in_a_batch_hurts_no_other(
        stumbled: dict[str, list[dict[str, object]]]) -> None:
    """PyBaMM raises for the whole batch; by halves the bad ones are found."""
    assert "SolverError" in str(stumbled["raised"])
    for bad, told in zip(([3], [0], [6], [1, 2, 5]), stumbled["batches"], strict=True):
        assert sorted(told["failed"]) == [f"p{row}" for row in bad]
        assert all("the solver gave up" in why for why in told["failed"].values())
        assert told["ends"] == {name: pytest.approx(volts, abs=1e-4)
                                for name, volts in stumbled["alone"].items()
                                if name not in told["failed"]}


def test_a_solver_that_gives_up_after_a_jump_is_asked_for_half_of_it(
        stumbled: dict[str, list[dict[str, object]]]) -> None:
    stumbles, goes, fails, dies, ages = stumbled["lives"]
    assert goes["ended"] == ""
    for told in (stumbles, goes):
        assert told["days"][-1] == 40
        assert told["days"] == sorted(set(told["days"]))
        assert np.allclose(told["capacity"], 1.0 - 0.001 * np.array(told["days"]))
        assert set(told["lengths"]) == {len(told["days"])}
    assert len(stumbles["days"]) > len(goes["days"])
    assert "on day 1 the solver gives up: IDA_CONV_FAIL" in fails["words"]
    assert dies["days"][-1] == 203
    assert "on day 204 the solver gives up: IDA_CONV_FAIL; the run ends there" in dies["ended"]
    assert 0.56 < ages["capacity"][-1] < 0.6
    assert "with 60% of the capacity left" in ages["ended"]


def test_a_calibration_goes_round_what_the_solver_cannot_solve(
        stumbled: dict[str, list[dict[str, object]]]) -> None:
    whole, lame = stumbled["calibrated"]
    for told in (whole, lame):
        assert told["nothing"] == [True, True], "no voltage where it gave up, and the next solves"
    assert (whole["ohm"], whole["gave_up"]) == (pytest.approx(0.008, rel=0.02), 0)
    assert lame["gave_up"] > 0
    assert 0.004 < lame["ohm"] <= 0.005


# -- calibration


@pytest.fixture(scope="module")
def truth(by_pybamm: dict[str, Any]) -> dict[str, object]:
    return by_pybamm["truth"]  # type: ignore[no-any-return]


def calibration(truth: dict[str, object], **more: object) -> CalibrationTask:
    told = {"current_a": column(truth["current_a"]), "voltage_v": column(truth["voltage_v"]),
            "start_v": truth["start_v"], "chemistry": "NMC", **more}
    return CalibrationTask(id=new_id(), pack="pack_1", capacity_ah=truth["capacity_ah"], soc=0.5,
                           step_s=truth["step_s"], **told)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted(child: Child, truth: dict[str, object]) -> CalibrationResult:
    result = run(child, calibration(truth))
    assert isinstance(result, CalibrationResult)
    assert not result.failed
    return result


def test_known_parameters_are_found_within_their_intervals(
        fitted: CalibrationResult, truth: dict[str, object]) -> None:
    for name, true in truth["true"].items():
        told = fitted.parameters[name]
        assert told.low is not None
        assert told.high is not None
        assert told.low <= true <= told.high, (name, told, true)
        assert told.high - told.low < 0.2 * max(told.after, 0.02), (name, told)


def test_a_calibration_is_accepted_by_what_it_has_not_seen(fitted: CalibrationResult) -> None:
    assert fitted.accepted
    assert fitted.unseen_after_mv is not None
    assert fitted.unseen_before_mv is not None
    assert fitted.unseen_after_mv < 4.0 < fitted.unseen_before_mv
    assert "accepted" in fitted.words


def test_what_helps_only_the_seen_part_is_not_accepted(child: Child,
                                                       truth: dict[str, object]) -> None:
    """In the first part a cell that lost much, in the second a new one."""
    volts = np.array(truth["voltage_v"])
    half = volts.size // 2
    volts[half:] = np.array(truth["new_v"])[half:]
    result = run(child, calibration(truth, voltage_v=column(volts), hold=0.5,
                                    fitted=("contact_ohm",)))
    assert isinstance(result, CalibrationResult)
    assert not result.accepted
    assert result.words.startswith("not accepted")


def test_a_model_that_ends_in_the_unseen_part_is_told_in_words(
        child: Child, truth: dict[str, object]) -> None:
    """Begun too empty: there is no error to tell of a cell that is at its end."""
    result = run(child, calibration(truth, start_v=3.66, hold=0.5, fitted=("contact_ohm",)))
    assert isinstance(result, CalibrationResult)
    assert not result.failed
    assert not result.accepted
    assert "an electrode of the model is empty or full" in result.words
    assert (result.unseen_before_mv, result.unseen_after_mv) == (None, None)
    assert result.rms_after_mv is not None
    assert result.rms_after_mv < 1000.0
    assert np.isnan(floats(result.after_v)).any()
    assert 2.0 < np.nanmin(floats(result.after_v))


@pytest.mark.parametrize(("change", "words"), [
    ({"voltage_v": "high"}, "above the 2.5 to 4.2 V"), ({"current_a": "none"}, "less than 5%"),
    ({"bpx": "{}"}, "no BPX file"),
    ({"current_a": "gap"}, "for 7 min, 58 min after its begin, the record holds no current"),
    ({"current_a": "late"}, "for 5 min, 0 min after its begin, the record holds no current"),
])
def test_a_record_that_tells_nothing_is_told(child: Child, truth: dict[str, object],
                                             change: dict[str, object], words: str) -> None:
    count = len(truth["current_a"])
    gap, late = np.array(truth["current_a"]), np.array(truth["current_a"])
    gap[350:390], late[:30] = np.nan, np.nan
    columns = {"high": column(np.full(count, 4.4)), "none": column(np.zeros(count)),
               "gap": column(gap), "late": column(late)}
    more = {name: columns.get(value, value) for name, value in change.items()}
    assert words in run(child, calibration(truth, **more)).failed


def test_a_cell_of_a_bpx_file_is_fitted(child: Child, truth: dict[str, object]) -> None:
    result = run(child, calibration(truth, bpx=bpx()))
    assert isinstance(result, CalibrationResult)
    assert not result.failed
    assert result.parameter_set == "BPX file"
    assert result.rms_after_mv is not None
    assert result.rms_before_mv is not None
    assert result.rms_after_mv < 0.95 * result.rms_before_mv


def test_a_calibration_begins_the_forecast(child: Child, fitted: CalibrationResult) -> None:
    parameters = {name: told.after for name, told in fitted.parameters.items()}
    ask = partial(ForecastTask, chemistry="NMC", days=12)
    calibrated = run(child, ask(id=new_id(), parameters=parameters))
    assert isinstance(calibrated, ForecastResult)
    assert not calibrated.failed
    assert (calibrated.origin, calibrated.calibrated) == ("own", True)
    assert msgspec.structs.asdict(calibrated)["loss_pct"] > 0.0
