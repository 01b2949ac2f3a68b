"""The recorded house against the rows of its own recordings, read here a second time by hand."""

from __future__ import annotations

import json
import math
import shutil
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import ManualClock
from core.engine import Engine, houses_of
from core.errors import ConfigurationError
from core.topology import DEFAULT_LEVELS
from sources.replay import RECORDINGS, STALE_AFTER_S, Options, create, from_directory

START = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
BATTERY, SYSTEM = "recorded_house_battery", "recorded_house_system"
VENUS_S = 603.0
CHARGERS = ("mppt0", "mppt1", "mppt2", "mppt3")


@cache
def rows(file: str, path: str) -> list[tuple[float, str]]:
    lines = (RECORDINGS / "victron" / f"{file}.tsv").read_text().splitlines()[2:]
    split = [line.split("\t") for line in lines]
    return [(float(time_s), value) for time_s, name, value in split if name == path]


def last(file: str, path: str, at_s: float) -> float:
    """The value of `path` in the last row at or before `at_s`; NaN for null."""
    found = [json.loads(value) for time_s, value in rows(file, path) if time_s <= at_s]
    return math.nan if found[-1] is None else float(found[-1])


def engine_of(directory: Path = RECORDINGS) -> tuple[Engine, ManualClock]:
    clock = ManualClock(START)
    source = from_directory("recorded", Options(), DEFAULT_LEVELS, directory)
    return Engine(DEFAULT_LEVELS, [source], clock), clock


def told(engine: Engine, clock: ManualClock, at_s: float) -> dict[tuple[str, str], float]:
    """Every channel at a moment of the replay."""
    clock.advance(at_s - (clock.now() - START).total_seconds())
    values = engine.tick().devices.values
    return {(device.id, name): float(values[engine.devices.index(device.id, name)])
            for device in engine.devices.devices.values() for name in device.quantities}


def test_the_house_is_known_without_configuration() -> None:
    source = create("recorded", Options(), DEFAULT_LEVELS)
    (house,) = houses_of(source)
    assert (house.id, house.label, house.chemistry) == ("recorded_house",
                                                        "Recorded house (Victron)", "LFP")
    assert (house.nominal_v, house.capacity_kwh) == (48.0, pytest.approx(9.6))
    assert house.capacity_ah == pytest.approx(200.0)
    assert str(house.zone) == "UTC"


def test_only_what_was_recorded_is_a_quantity() -> None:
    """Temperature, health, cells and two histories are null from first to last; no AC source."""
    battery, system = create("recorded", Options(house="boat"), DEFAULT_LEVELS).devices
    assert (battery.id, battery.house, battery.role, battery.label, battery.soc_method) == (
        "boat_battery", "boat", "battery_monitor", "48v House", "counted")
    assert battery.quantities == (
        "soc_pct", "voltage_v", "current_a", "battery_power_kw", "consumed_ah", "time_to_go_s",
        "deepest_discharge_ah", "total_drawn_ah", "charge_cycles", "since_full_s")
    assert (system.id, system.role, system.soc_method) == ("boat_system", "inverter", "")
    assert system.quantities == ("solar_power_kw", "load_power_kw")


def test_at_the_start_with_golden_numbers() -> None:
    """19.57 + 48.02 + 24.07 + 64.64 W of sun, 1373 W of AC load, 3947 W out of the battery."""
    engine, clock = engine_of()
    found = told(engine, clock, 0.0)
    expected = {(SYSTEM, "solar_power_kw"): 0.1563, (SYSTEM, "load_power_kw"): 1.373,
                (BATTERY, "battery_power_kw"): 3.947, (BATTERY, "current_a"): 75.3,
                (BATTERY, "soc_pct"): 83.51, (BATTERY, "voltage_v"): 52.42,
                (BATTERY, "consumed_ah"): 31.1, (BATTERY, "time_to_go_s"): 6720.0,
                (BATTERY, "deepest_discharge_ah"): 68.5, (BATTERY, "total_drawn_ah"): 523.7,
                (BATTERY, "charge_cycles"): 0.0, (BATTERY, "since_full_s"): 9453.0}
    assert found == pytest.approx(expected, rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(at_s=st.integers(0, 3 * int(VENUS_S)))
def test_every_moment_equals_the_recording(at_s: int) -> None:
    engine, clock = engine_of()
    found, within_s = told(engine, clock, float(at_s)), at_s % VENUS_S
    solar_w = sum(last(file, "/Yield/Power", within_s) for file in CHARGERS)
    assert found[SYSTEM, "solar_power_kw"] == pytest.approx(solar_w / 1e3)
    assert found[SYSTEM, "load_power_kw"] == pytest.approx(
        last("multi", "/Ac/Out/L1/P", within_s) / 1e3)
    for quantity, path, factor in (
            ("soc_pct", "/Soc", 1.0), ("current_a", "/Dc/0/Current", -1.0),
            ("battery_power_kw", "/Dc/0/Power", -1e-3), ("consumed_ah", "/ConsumedAmphours", -1.0),
            ("total_drawn_ah", "/History/TotalAhDrawn", 1.0)):
        assert found[BATTERY, quantity] == pytest.approx(
            last("lynxbms1", path, within_s) * factor), quantity
    to_go_s = last("lynxbms1", "/TimeToGo", within_s)
    assert found[BATTERY, "time_to_go_s"] == pytest.approx(
        math.nan if to_go_s == 864_000 else to_go_s, nan_ok=True)


def test_no_channel_of_the_recording_ever_looks_stale() -> None:
    """Played at its own pace, through the seam."""
    engine, clock = engine_of()
    oldest_s = 0.0
    for _ in range(int(2 * VENUS_S)):
        frame = engine.tick().devices
        assert not frame.stale.any()
        oldest_s = max(oldest_s, float(frame.age_s.max()))
        clock.advance(1.0)
    assert 0.0 < oldest_s < STALE_AFTER_S


def test_without_a_loop_the_house_falls_silent() -> None:
    clock = ManualClock(START)
    source = create("recorded", Options(loop=False), DEFAULT_LEVELS)
    engine = Engine(DEFAULT_LEVELS, [source], clock)
    engine.tick()
    clock.advance(5000.0)
    engine.tick()
    clock.advance(100.0)
    frame = engine.tick().devices
    assert frame.stale.all()
    assert np.isfinite(frame.values).any(), "the last values stay, marked"


# --- other files --------------------------------------------------------------------------------


def changed(folder: Path, file: str, old: str, new: str) -> Path:
    directory = Path(shutil.copytree(RECORDINGS, folder / "recordings"))
    path = directory / "victron" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return directory


def test_grid_is_a_quantity_where_an_ac_source_is_connected(tmp_path: Path) -> None:
    directory = changed(tmp_path, "multi.tsv", "0\t/Ac/ActiveIn/Connected\t0\n",
                        "0\t/Ac/ActiveIn/Connected\t1\n0\t/Ac/ActiveIn/L2/P\t-250\n")
    engine, clock = engine_of(directory)
    assert told(engine, clock, 1.0)[SYSTEM, "grid_power_kw"] == pytest.approx(-0.25)


@pytest.mark.parametrize(("file", "old", "new", "allowed"), [
    ("mppt2.tsv", "solarcharger", "battery", "solarcharger"),
    ("multi.tsv", "com.victronenergy.vebus", "com.victronenergy.multi", "vebus"),
    ("mppt0.tsv", "\n0\t", "\n1\t", "a full snapshot at t = 0"),
    ("mppt1.tsv", "0\t/Yield/Power\t48.02000045776367", "0\t/Yield/Power\t\"sun\"",
     "finite number"),
    ("multi.tsv", "0\t/Ac/Out/L1/P\t1373", "0\t/Ac/Out/L1/P\t[1373]", "a JSON number"),
])
def test_a_recording_that_is_not_what_it_should_be_is_named(
    tmp_path: Path, file: str, old: str, new: str, allowed: str
) -> None:
    directory = changed(tmp_path, file, old, new)
    with pytest.raises(ConfigurationError) as found:
        engine_of(directory)
    assert found.value.file == file
    assert allowed in found.value.allowed


def test_an_implausible_power_is_missing(tmp_path: Path) -> None:
    directory = changed(tmp_path, "mppt1.tsv", "0\t/Yield/Power\t48.02000045776367",
                        "0\t/Yield/Power\t1e12")
    engine, clock = engine_of(directory)
    assert np.isnan(told(engine, clock, 0.0)[SYSTEM, "solar_power_kw"])


def test_a_charger_that_does_not_know_is_left_out(tmp_path: Path) -> None:
    directory = changed(tmp_path, "mppt1.tsv", "0\t/Yield/Power\t48.02000045776367",
                        "0\t/Yield/Power\tnull")
    engine, clock = engine_of(directory)
    assert told(engine, clock, 0.0)[SYSTEM, "solar_power_kw"] == pytest.approx(0.10828)
