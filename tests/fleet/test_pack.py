"""A pack at the edge: who steers it, and what it does when nobody does."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.fleet.messages import Allocation, Command, Condition, PartialLimit, packed
from core.fleet.rejections import Rejection
from core.fleet.telemetry import Telemetry, read_telemetry
from services.edge.estimator import CellEstimators
from services.edge.orders import Orders
from services.edge.outbox import Outbox
from services.edge.pack import Centre, Pack, PackGroup
from services.edge.plant import NOMINAL_V, EachPlant, Sample, SimulatedPack
from services.edge.ports import Estimate, Verdict
from tests.fleet.examples import NOW_S, PACK, telemetry

DEVICE = "pack_1"
NO_LIMIT_A = 1e4


class Limited:
    """Safety that limits each way to some amperes and takes every order."""

    contactors, cells = (True, True), 96
    opened_after_s = took_s = outcome = None
    timer = staticmethod(time.perf_counter)

    def __init__(self, charge_a: float, discharge_a: float) -> None:
        self._limits_a = charge_a, discharge_a

    def judge(self, samples: Sequence[Sample], estimates: Sequence[Estimate], now_s: float,
              arrived_s: float, bounds_kw: Sequence[float]) -> list[Verdict]:
        reason = "" if self._limits_a == (NO_LIMIT_A, NO_LIMIT_A) else "limited by cell 2"
        return [Verdict("derate", *self._limits_a, reason) for _ in samples]

    def limits(self) -> tuple[PartialLimit, ...]:
        return ()

    def conditions(self) -> tuple[Condition, ...]:
        return ()

    def order(self, action: str, by: str) -> str:
        return ""

    def rehearse(self) -> None:
        pass

    def settle(self, now_s: float) -> None:
        pass


class Alone(Pack):
    """The only one of its process."""

    def __init__(self, charge_a: float, discharge_a: float) -> None:
        safety, plant = Limited(charge_a, discharge_a), SimulatedPack("LFP", 96, 50.0, seed=3)
        super().__init__(DEVICE, safety, Centre(60.0))
        self.plant = plant
        self.group = PackGroup([self], safety, EachPlant([plant]),
                               CellEstimators([plant.rating]))


def pack_with(charge_a: float = NO_LIMIT_A, discharge_a: float = NO_LIMIT_A) -> Alone:
    return Alone(charge_a, discharge_a)


def allocate(pack: Pack, power_kw: float, issued_s: float = NOW_S, valid_s: float = 600.0) -> bool:
    pack.centre.heard(issued_s)
    return pack.centre.allocate(DEVICE, Allocation(v=1, site="home", issued_s=issued_s,
                                                   valid_s=valid_s, power_kw={DEVICE: power_kw}),
                                issued_s)


def power_at(pack: Alone, now_s: float) -> float:
    """After the decision of this sample has reached the plant [kW]."""
    pack.group.sample(now_s, 1.0)
    pack.group.sample(now_s, 1.0)
    return pack.body(now_s).power_kw or 0.0


def test_it_rests_until_somebody_allocates() -> None:
    pack = pack_with()
    assert power_at(pack, NOW_S) == 0.0
    assert pack.body(NOW_S).limit_reason == "no allocation yet"


@pytest.mark.parametrize("power_kw", [20.0, -20.0])
def test_it_follows_the_allocation_in_both_directions(power_kw: float) -> None:
    pack = pack_with()
    allocate(pack, power_kw)
    assert power_at(pack, NOW_S + 1) == pytest.approx(power_kw, rel=0.01)


def test_a_silent_centre_means_zero() -> None:
    pack = pack_with()
    allocate(pack, 20.0)
    assert power_at(pack, NOW_S + 61) == 0.0
    assert pack.body(NOW_S).limit_reason == "the centre is silent"
    pack.centre.heard(NOW_S + 62)
    assert power_at(pack, NOW_S + 63) == pytest.approx(20.0, rel=0.01)


def test_an_expired_allocation_means_zero() -> None:
    pack = pack_with()
    allocate(pack, 20.0, valid_s=10.0)
    pack.centre.heard(NOW_S + 10)
    assert power_at(pack, NOW_S + 11) == 0.0


def test_an_allocation_that_came_before_is_not_taken_again() -> None:
    pack = pack_with()
    assert allocate(pack, 20.0)
    assert not allocate(pack, 30.0)
    assert not allocate(pack, 30.0, issued_s=NOW_S - 1)


LIMIT_A = st.floats(0, 200) | st.just(math.nan)


@given(st.floats(-200, 200), LIMIT_A, LIMIT_A)
def test_the_current_that_flows_is_within_the_limit_of_its_way(
        wish_kw: float, charge_a: float, discharge_a: float) -> None:
    pack = pack_with(charge_a, discharge_a)
    allocate(pack, wish_kw)
    power_kw, current_a = power_at(pack, NOW_S + 1), pack.plant.current_a
    assert abs(power_kw) <= abs(wish_kw) * 1.001 + 1e-6
    assert power_kw == 0.0 or (power_kw > 0) == (wish_kw > 0)
    most_a, held_a = np.nan_to_num([discharge_a, charge_a]), 1.05
    assert -most_a[1] * held_a - 1e-6 <= current_a <= most_a[0] * held_a + 1e-6


def test_what_it_sends_is_what_the_centre_takes() -> None:
    pack = pack_with()
    pack.group.sample(NOW_S, 0.1)
    found = read_telemetry(telemetry(packed(pack.body(NOW_S))), PACK, NOW_S)
    assert isinstance(found, Telemetry)
    assert found.cells["voltage_v"].shape == (96,)
    assert found.body.soh_pct is None, "a filter of charge knows no health"


@pytest.mark.parametrize("chemistry", sorted(NOMINAL_V))
def test_an_hour_at_half_c_takes_half_the_charge(chemistry: str) -> None:
    plant = SimulatedPack(chemistry, 24, 10.0, seed=1, soc_pct=80.0)
    estimator = CellEstimators([plant.rating], [80.0])
    first = estimator.update([plant.step(0.0, 1.0)], 1.0)[0].soc_pct
    half_c_kw = 0.5 * plant.capacity_ah * NOMINAL_V[chemistry] * 24 / 1000
    for _ in range(3600):
        sample = plant.step(half_c_kw, 1.0)
        last = estimator.update([sample], 1.0)[0].soc_pct
    assert first is not None
    assert last is not None
    assert first - last == pytest.approx(50.0, abs=4.0)
    assert sample.current_a > 0
    assert np.all(sample.cell_temperature_c > 20.0)


# -- commands

@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "o.sqlite", [DEVICE])
    yield box
    box.close()


def command(action: str, number: int = 1, **changed: float) -> Command:
    return Command(v=1, id=f"{number:032x}", issuer="eve", action=action,  # type: ignore[arg-type]
                   **{"issued_s": NOW_S, "ttl_s": 30.0, **changed})


def test_a_command_is_done_once_and_a_replay_says_what_was_done(outbox: Outbox) -> None:
    pack = pack_with()
    counts: list[Rejection] = []
    orders = Orders(pack, outbox, count=counts.append)
    bound = command("override", power_kw=5.0, hold_s=30.0)
    assert orders.handle(bound, NOW_S + 1).state == "executed"
    assert orders.handle(command("release", 2), NOW_S + 2).state == "executed"
    again = orders.handle(bound, NOW_S + 3)
    assert (again.state, again.reason[:9]) == ("executed", "replayed:")
    assert (pack.standing.power_kw, counts) == (None, [Rejection.REPLAYED])


def test_an_expired_command_is_told_and_not_done(outbox: Outbox) -> None:
    pack = pack_with()
    reply = Orders(pack, outbox).handle(command("emergency_stop"), NOW_S + 31)
    assert (reply.state, pack.standing.stopped) == ("expired", "")


def test_a_command_from_the_future_is_refused(outbox: Outbox) -> None:
    reply = Orders(pack_with(), outbox).handle(command("ping", issued_s=NOW_S + 3600), NOW_S)
    assert reply.state == "refused"


@pytest.mark.parametrize("changed", [{}, {"power_kw": -1.0, "hold_s": 5.0}, {"power_kw": 5.0}])
def test_an_override_without_its_numbers_is_refused(outbox: Outbox,
                                                    changed: dict[str, float]) -> None:
    assert Orders(pack_with(), outbox).handle(command("override", **changed), NOW_S
                                              ).state == "refused"
