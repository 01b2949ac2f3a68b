"""A pack whose sensors lie, or of which no sample comes: what flows is judged by the plant's own
current."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from services.edge.outbox import Outbox
from services.edge.plant import EachPlant, NoSample, Plants, Sample, SimulatedPack
from services.edge.plant_group import PlantGroup
from tests.fleet.test_guard import STEP_S, Bench

Tells = Callable[[Sample], Sample | NoSample]
WARM_C, WARM_A = 44.0, 20.0


class Bus:
    """Plants, of which the first tells something else than it is."""

    def __init__(self, plants: Plants) -> None:
        self._plants, self.tells = plants, list[Tells]()
        self.answers: int | None = None

    def step(self, power_kw: Sequence[float], dt_s: float,
             close: Sequence[tuple[bool, bool]]) -> Sequence[Sample | NoSample]:
        first, *others = self._plants.step(power_kw, dt_s, close)
        for tell in self.tells:
            assert isinstance(first, Sample)
            first = tell(first)
        return [first, *others][:self.answers]


class Wired(Bench):
    """Its packs are read over a bus."""

    def plant_group(self) -> Bus:
        self.bus = Bus(PlantGroup(self.plants))
        return self.bus


@pytest.fixture
def bench(outbox: Outbox) -> Wired:
    """A warm cell leaves a fifth of the charging current."""
    bench = Wired(outbox, "LFP")
    bench.plants[0].state.temperature_c[3] = WARM_C
    bench.plants[0].heating_k_per_s[3], bench.plants[0].hottest_c = 0.1, WARM_C
    bench.live(25.0, 0.0)
    assert bench.limits_a() == pytest.approx((WARM_A, 100.0), rel=0.02)
    return bench


def measured(change: Callable[[float], float]) -> Tells:
    return lambda sample: replace(sample, voltage_v=change(sample.voltage_v))


def summed(factor: float) -> Tells:
    return lambda sample: replace(
        sample, cell_voltage_v=(sample.cell_voltage_v * np.float32(factor)))


@pytest.mark.parametrize("tell", [measured(lambda volts: 4.0 * volts), summed(1.02),
                                  measured(lambda volts: 0.25 * volts), summed(0.98)])
@pytest.mark.parametrize("power_kw", [-30.0, 30.0])
def test_a_wrong_voltage_lets_no_more_flow_than_is_allowed(bench: Wired, tell: Tells,
                                                           power_kw: float) -> None:
    bench.bus.tells = [tell]
    for _ in range(30):
        bench.live(STEP_S, power_kw)
        charge_a, discharge_a = bench.limits_a()
        assert -1.03 * charge_a <= bench.plants[0].current_a <= 1.03 * discharge_a
    assert abs(bench.plants[0].current_a) > 0.2 * WARM_A, "it works on with less"


@pytest.mark.parametrize("volts", [math.inf, -math.inf, math.nan, 0.0, -80.0])
@pytest.mark.parametrize("power_kw", [-30.0, 30.0])
def test_without_a_voltage_no_power_is_within_a_limit(bench: Wired, volts: float,
                                                      power_kw: float) -> None:
    bench.live(2.0, power_kw)
    assert bench.plants[0].current_a != 0.0
    bench.bus.tells = [measured(lambda _: volts)]
    bench.live(1.0, power_kw)
    for _ in range(2):
        assert (bench.plants[0].current_a, bench.limits_a()) == (0.0, (0.0, 0.0))
        assert bench.reason() == ("charge and discharge limited to 0 C by voltage at a missing "
                                  "value")
        bench.command("override", power_kw=1.0, hold_s=60.0)
        bench.live(1.0, power_kw)


# -- no sample


@pytest.fixture
def two(outbox: Outbox) -> Wired:
    bench = Wired(outbox, "LFP", "LFP")
    bench.live(25.0)
    assert bench.power_kw(0) == pytest.approx(4.0, rel=0.01)
    return bench


def quiet(_: Sample) -> NoSample:
    return NoSample("bus off")


def broken(_: Sample) -> NoSample:
    raise OSError("no such device")


def short(sample: Sample) -> Sample:
    return replace(sample, cell_voltage_v=sample.cell_voltage_v[1:])


def wide(sample: Sample) -> Sample:
    return replace(sample, cell_temperature_c=sample.cell_temperature_c.astype(np.float64))


@pytest.mark.parametrize(("tell", "why"), [
    (quiet, "bus off"), (short, "not float32 of 24 cells"), (wide, "not float32 of 24 cells")])
def test_a_pack_without_a_sample_gets_nothing_and_is_shut_down_alone(
        two: Wired, tell: Tells, why: str, caplog: pytest.LogCaptureFixture) -> None:
    two.bus.tells = [tell]
    two.live(STEP_S)
    body = two.packs[0].body(two.now_s)
    assert (body.charge_limit_a, body.discharge_limit_a, body.allocation_kw) == (0.0, 0.0, 0.0)
    assert (body.power_kw, body.current_a, body.soc_pct, body.voltage_v) == (None,) * 4
    assert body.limit_reason == "no sample comes from the pack"
    assert "current_missing" in [one.condition for one in body.conditions]
    assert not any(one.cells for one in body.conditions), "no alarm for each cell"
    assert two.guards.each[0].contactors == (True, True)
    two.live(0.8)
    assert two.plants[0].current_a == 0.0
    two.live(12.0)
    body = two.packs[0].body(two.now_s)
    assert (body.safety, body.samples) == ("latched", 0)
    assert body.limit_reason.startswith("latched: no_sample")
    assert two.guards.each[0].contactors == (False, False)
    switch = two.plants[0].switch
    assert (switch.plus.closed, switch.minus.closed) == (False, False)
    assert "no_sample" in two.command("reset").reason
    said, = [record.getMessage() for record in caplog.records]
    assert said.startswith("pack_1: no sample comes from it (")
    assert why in said
    assert (two.state(1), two.power_kw(1)) == ("normal", pytest.approx(4.0, rel=0.01))
    two.bus.tells = []
    two.live(12.0)
    assert two.command("reset").state == "executed"
    two.live(25.0)
    assert two.power_kw(0) == pytest.approx(4.0, rel=0.01)


def test_one_lost_look_trips_nothing(two: Wired, caplog: pytest.LogCaptureFixture) -> None:
    two.bus.tells = [quiet]
    two.live(3 * STEP_S)
    two.bus.tells = []
    two.live(25.0)
    assert (two.state(), two.reason()) == ("normal", "")
    assert two.packs[0].body(two.now_s).samples == 0, "asked for just before"
    assert [record.getMessage() for record in caplog.records] == [
        "pack_1: no sample comes from it (bus off)", "pack_1: samples come from it again"]


@pytest.mark.parametrize("answers", [None, 1, 0])
def test_a_bus_of_all_packs_that_fails_ends_nothing(two: Wired, answers: int | None) -> None:
    two.bus.tells, two.bus.answers = ([broken] if answers is None else []), answers
    two.live(STEP_S)
    assert [two.limits_a(at) for at in range(2)] == [(0.0, 0.0)] * 2
    two.bus.tells, two.bus.answers = [], None
    two.live(25.0)
    assert [two.state(at) for at in range(2)] == ["normal"] * 2
    assert two.power_kw(1) == pytest.approx(4.0, rel=0.01)


def test_a_bus_of_one_pack_that_fails_is_of_that_pack_alone() -> None:
    class Broken(SimulatedPack):
        """Its driver fails."""

        def step(self, power_kw: float, dt_s: float, close_plus: bool = True,
                 close_minus: bool = True) -> Sample:
            raise OSError("no such device")

    plants = [make("LFP", 24, 10.0, seed=1) for make in (Broken, SimulatedPack)]
    lost, heard = EachPlant(plants).step([0.0, 4.0], STEP_S, [(True, True)] * 2)
    assert lost == NoSample("OSError: no such device")
    assert isinstance(heard, Sample)


def test_the_last_word_of_contactors_counts_until_it_is_stale(bench: Wired) -> None:
    """A latched pack is not told to be welded at the first lost look."""
    bench.command("emergency_stop")
    bench.live(1.0)
    assert bench.state() == "latched"
    bench.bus.tells = [quiet]
    bench.live(0.7)
    assert bench.guards.each[0].hardware.plus_closed is False
    assert bench.guards.each[0].outcome == (True, "")
    bench.live(1.0)
    assert bench.guards.each[0].hardware.plus_closed is None
    assert bench.guards.each[0].outcome == (
        False, "NOT isolated; plus contactor welded or its feedback lost; minus contactor welded "
        "or its feedback lost")
