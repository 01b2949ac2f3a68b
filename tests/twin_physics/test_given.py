"""What people give, read by a child: parameter files and recordings, good and hostile ones; and
intervals of predictions on real cells. One child for all of this file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import numpy as np
import pytest

from bench import _twin_cells
from core.errors import RequestError
from core.twin.bands import LEAST_OWN, NEWEST_OWN, width
from core.twin.predictions import AFTER_S, KEPT_C_RATE, Point, prediction_of
from core.twin.record import Record
from core.twin.tasks import (
    MOST_BPX,
    FileResult,
    FileTask,
    WindowAnswer,
    WindowPack,
    WindowResult,
    WindowTask,
    check_task,
    column,
    floats,
    new_id,
    packed,
    read_task,
)
from services.twin.child import Child
from tests.twin_physics.bpx_cell import bpx

TIMEOUT_S = 600.0
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    made = Child()
    yield made
    made.close()


def read(child: Child, kind: str, text: str) -> FileResult:
    task = FileTask(id=new_id(), kind=kind, text=text)  # type: ignore[arg-type]
    result = child.run(read_task(packed(task)), lambda told: None, TIMEOUT_S)
    assert isinstance(result, FileResult)
    assert child.alive
    return result


def changed(name: str, value: object) -> str:
    """The good file with one parameter of its negative electrode as it likes."""
    told = json.loads(bpx())
    told["Parameterisation"]["Negative electrode"][name] = value
    return json.dumps(told)


def test_a_good_file_is_tried_and_says_what_it_is(child: Child) -> None:
    result = read(child, "bpx", bpx(Title=HOSTILE))
    assert not result.failed
    assert result.title == HOSTILE
    assert 2.0 < (result.low_v or 0) < (result.high_v or 0) < 4.7
    assert 0.1 < (result.capacity_ah or 0) < 100.0
    formula = changed("OCP [V]", "0.1 + 0.9 * exp(-30.0 * x) - 5e-2*tanh(x)")
    assert not read(child, "bpx", formula).failed


@pytest.mark.parametrize(("text", "why"), [
    ("", "no JSON"), ("no json", "no JSON"), ("[1, 2]", "no part"), ("{}", "no part"),
    ('{"Parameterisation": {"a": NaN}}', "NaN is no number"),
    ('{"Parameterisation": {"a": -Infinity}}', "-Infinity is no number"),
    ('{"Parameterisation": {"a": 1e999}}', "not finite"),
    ('{"Parameterisation": {"a": 1, "a": 2}}', "names a key twice"),
    ("[" * 100_000, "no JSON"),
    ('{"Parameterisation": ' + '{"a":' * 30 + "1" + "}" * 31, "nested too deep"),
    ('{"Parameterisation": {}}', "no BPX file that PyBaMM can read"),
    ('{"Parameterisation": {"a": [' + "0," * 20_000 + "0]}}", "more than 10000 points"),
    (changed("OCP [V]", "exit(1)"), "a formula that BPX does not know"),
    (changed("OCP [V]", "open(0)"), "a formula that BPX does not know"),
    (changed("OCP [V]", "x.__class__"), "a formula that BPX does not know"),
    (changed("OCP [V]", "__import__('os').system('id')"), "a formula that BPX does not know"),
    (changed("OCP [V]", HOSTILE), "a formula that BPX does not know"),
    (changed("OCP [V]", "1 / (x - x)"), "can read: ZeroDivisionError"),
    (changed("OCP [V]", "9.9"), "are no cell's|has no window|share no charge window"),
    (changed("Thickness [m]", -1.0), "no|not"),
    (changed("Thickness [m]", "x" * 5000), "a formula that BPX does not know"),
    (changed("Maximum concentration [mol.m-3]", 0.0), "no|not"),
    (bpx().replace('"Density [kg.m-3]": 2000.0', '"Density [kg.m-3]": -1.0'), "is no cell's|read"),
    (bpx().replace('"Volume [m3]": 2.4e-05', '"Volume [m3]": 0.0'), "is no cell's|read"),
])
def test_a_hostile_file_is_refused_in_words_and_the_child_lives(child: Child, text: str,
                                                                why: str) -> None:
    result = read(child, "bpx", text)
    assert re.search(why, result.failed), result.failed
    assert "the solver gave up" not in result.failed


def test_a_file_that_is_too_long_never_reaches_a_child() -> None:
    with pytest.raises(RequestError, match="KiB"):
        check_task(FileTask(id=new_id(), kind="bpx", text=" " * (MOST_BPX + 1)))
    with pytest.raises(RequestError):
        read_task(packed(FileTask(id=new_id(), kind="csv", text=" " * (8 * 2**20 + 1))))


def test_a_recording_is_put_on_a_grid(child: Child) -> None:
    rows = "\n".join(f"{second},{3.7 - 0.01 * (second // 30 % 2)},{1000 * (second // 30 % 2)},25.0"
                     for second in range(300))
    result = read(child, "csv", f"time [s],voltage [V],current [mA],temperature [C]\n{rows}")
    assert not result.failed
    assert result.step_s == 1.0
    assert floats(result.current_a).max() == pytest.approx(1.0)
    assert result.temperature_c == pytest.approx(25.0)
    assert "names the columns" in read(child, "csv", HOSTILE).failed


# -- what counts for a pack


def pack(name: str, soc: float = 0.5, current: float = 5.0, **more: object) -> WindowPack:
    return WindowPack(pack=name, soc=soc, capacity_ah=50.0, voltage_v=column(np.full(31, 3.7)),
                      current_a=column(np.full(31, current)), **more)  # type: ignore[arg-type]


def window(child: Child, *packs: WindowPack, **more: object) -> WindowResult:
    result = child.run(WindowTask(id=new_id(), packs=packs, time_s=1.7e9, **{
        "chemistry": "NMC", **more}), lambda told: None, TIMEOUT_S)  # type: ignore[arg-type]
    assert isinstance(result, WindowResult)
    assert not result.failed, result.failed
    return result


def test_a_parameter_file_models_windows(child: Child) -> None:
    results = [window(child, pack("a"), **more) for more in ({"bpx": bpx()}, {})]
    given, own = (result.answers[0] for result in results)
    assert results[0].parameter_set == "the parameter file; cooling borrowed from OKane2022"
    assert not given.failed
    assert np.isfinite(floats(given.states["temperature_c"])).all()
    assert np.isfinite(floats(given.voltage_v)).all()
    assert np.abs(floats(given.voltage_v) - floats(own.voltage_v)).max() > 0.005


def test_a_kept_file_whose_heat_is_no_cell_s_loses_no_window(child: Child) -> None:
    """Such a file is refused now; one that was kept before lacks heat and temperature alone."""
    kept = bpx().replace('"Volume [m3]": 2.4e-05', '"Volume [m3]": 0.0')
    cold, warm = (window(child, pack("a"), bpx=text) for text in (kept, bpx()))
    assert "no heat and no temperature, for its heat capacity, size or cooling" in \
        cold.parameter_set
    assert floats(cold.answers[0].voltage_v) == pytest.approx(floats(warm.answers[0].voltage_v))
    assert set(warm.answers[0].states) - set(cold.answers[0].states) == {"heat_w", "temperature_c"}


def test_what_a_calibration_found_models_windows(child: Child) -> None:
    """Contacts drop what Ohm says; less active material is driven harder."""
    plain, contacts, less = window(
        child, pack("plain"), pack("contacts", fitted={"contact_ohm": 0.01}),
        pack("less", fitted={"negative_active": 0.7, "positive_active": 0.7}), model="SPMe").answers
    cell_a = 5.0 * 5.0 / 50.0  # of the parameter set's cell, which has some 5 Ah
    lost = floats(plain.voltage_v) - floats(contacts.voltage_v)
    assert lost == pytest.approx(0.01 * cell_a, rel=0.1)
    assert floats(contacts.ahead_v)[-1] < floats(plain.ahead_v)[-1]
    assert floats(less.voltage_v)[-1] < floats(plain.voltage_v)[-1] - 0.001


# -- real cells


def windows_of(record: Record, soc: np.ndarray, capacity_ah: float, every_s: float,
               plan_of_drive: bool) -> tuple[list[WindowPack], list[float]]:
    """plan_of_drive: the mean of what comes, else the last minute goes on."""
    at, packs = record.time_s, []
    ends = np.arange(at[0] + 300.0, at[-1] - 900.0, every_s).tolist()
    charge = np.concatenate([[0.0], np.cumsum(record.current_a[1:] * np.diff(at))])
    for end in ends:
        grid = end - 300.0 + 10.0 * np.arange(31)
        edges = np.interp(np.append(grid[0] - 10.0, grid), at, charge)
        ahead_a = (np.interp(end + 900.0, at, charge) - edges[-1]) / 900.0
        packs.append(WindowPack(
            pack=f"{end:.0f}", capacity_ah=capacity_ah,
            soc=float(np.clip(np.interp(grid[0], at, soc), 0.0, 1.0)),
            current_a=column(np.diff(edges) / np.diff(np.append(grid[0] - 10.0, grid))),
            voltage_v=column(np.interp(grid, at, record.voltage_v)),
            plan_a=float(ahead_a) if plan_of_drive else None))
    return packs, ends


def coverage(record: Record, answers: tuple[WindowAnswer, ...], ends: list[float], after_s: float,
             capacity_ah: float) -> list[bool]:
    """As the app does it: of each prediction whose plan was kept on the mean, whether it came true
    inside of the interval that the errors known by then give."""
    at, met, inside = record.time_s, list[tuple[float, float]](), []
    charge = np.concatenate([[0.0], np.cumsum(record.current_a[1:] * np.diff(at))])
    for answer, end in zip(answers, ends, strict=True):
        point = _point(answer, after_s)
        ahead_a = float(np.interp(end + after_s, at, charge) - np.interp(end, at, charge)) \
            / after_s
        if point is None or point.spread_v is None or answer.plan_a is None or \
                abs(ahead_a - answer.plan_a) > KEPT_C_RATE * capacity_ah:
            continue
        near = np.abs(at - end - after_s) <= 30.0
        truth = float(record.voltage_v[near].mean()) if near.any() else \
            float(np.interp(end + after_s, at, record.voltage_v))
        error = abs(truth - point.cell_v) / point.spread_v
        known = np.array([told for due, told in met if due <= end][::-1][:NEWEST_OWN])
        if known.size >= LEAST_OWN:
            inside.append(error <= width(known))
        met.append((end + after_s, error))
    return inside


def _point(answer: WindowAnswer, after_s: float) -> Point | None:
    told = prediction_of(WindowResult(id="0" * 32), answer, "here", "pack_1", 1.0)
    return next((point for point in told.points if point.after_s == after_s), None)


@pytest.mark.parametrize("chemistry", ["NMC", "LFP"])
def test_on_real_drives_and_discharges_intervals_hold_what_they_promise(child: Child,
                                                                        chemistry: str) -> None:
    """About:Energy's cells, which are not the parameter set's: from full to empty once, so that no
    moment is like one before."""
    drive = _twin_cells.drive(chemistry)
    slow = _twin_cells.read(f"{chemistry.lower()}_c20.csv.gz")
    slow_soc = 1.0 - slow.used_ah() / slow.used_ah()[-1]
    for record, soc, every_s, of_drive, leads in (
            (drive.record, drive.soc, 60.0, True, (900.0,)),
            (slow, slow_soc, 300.0, False, AFTER_S)):
        packs, ends = windows_of(record, soc, drive.capacity_ah, every_s, of_drive)
        answers = window(child, *packs, chemistry=chemistry).answers
        for after_s in leads:
            inside = coverage(record, answers, ends, after_s, drive.capacity_ah)
            assert len(inside) >= 60
            assert 0.85 <= np.mean(inside) <= 0.98, (after_s, of_drive)
