"""No layer above the guard relaxes what it says: the centre, people, a manual override (law 8)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.edge.outbox import Outbox
from services.edge.plant import HOTTEST_C
from tests.fleet.test_guard import STEP_S, Bench


@pytest.fixture
def bench(outbox: Outbox) -> Bench:
    return Bench(outbox, "LFP")


WISHES = st.sampled_from(["ping", "override", "release", "controlled_shutdown", "emergency_stop",
                          "reset", "hot", "cool"])


@settings(max_examples=8, deadline=None)
@given(st.floats(20.0, 47.0), st.lists(st.tuples(WISHES, st.floats(-60.0, 60.0)), min_size=3,
                                       max_size=10))
@example(43.0, [("ping", -60.0)])
@example(43.0, [("override", -60.0), ("ping", 60.0), ("override", 20.0), ("release", -60.0)])
def test_nothing_that_people_or_the_centre_ask_for_relaxes_the_guard(
        warmest_c: float, asked: list[tuple[str, float]]) -> None:
    """A warm cell bounds charging long before discharging."""
    bench = Bench(Outbox(Path(":memory:"), ["pack_1"]), "LFP")
    bench.plants[0].state.temperature_c[3] = warmest_c
    bench.plants[0].heating_k_per_s[3], bench.plants[0].hottest_c = 0.1, warmest_c
    bench.live(22.0, 0.0)
    for wish, power_kw in asked:
        was, reply = bench.guards.each[0].memory.state, None
        if wish in ("hot", "cool"):
            bench.plants[0].heating_k_per_s[3] = 5.0 * (wish == "hot")
            bench.plants[0].hottest_c = HOTTEST_C
        else:
            more = {"power_kw": abs(power_kw) / 10.0, "hold_s": 60.0} if wish == "override" else {}
            reply = bench.command(wish, **more)
        for look in range(12):
            before_a, flowed_a = bench.limits_a(), bench.current_a()
            bench.live(STEP_S, power_kw)
            tripped = bench.guards.each[0].tripped
            if was == "latched" and not (wish == "reset" and reply and reply.state == "executed"):
                assert tripped
            if bench.guards.each[0].memory.state == "latched":
                assert bench.power_kw() == 0.0
            allowed_a = np.maximum(before_a, bench.limits_a()) * 1.05
            bound_kw = bench.packs[0].standing.power_kw
            if bound_kw is not None and look:  # the first flowed as asked for before
                allowed_a = np.minimum(allowed_a, 1050.0 * bound_kw / bench.volts())
            slewing_a = 2.0 * 100.0 * STEP_S
            low_a = min(-allowed_a[0], flowed_a + slewing_a)
            high_a = max(allowed_a[1], flowed_a - slewing_a)
            assert low_a - 1e-6 <= bench.current_a() <= high_a + 1e-6, (
                "within the limit of its way, or on its way there as fast as the inverter can")
    bench.outbox.close()


def test_an_override_is_a_limit_that_says_so(bench: Bench) -> None:
    """Whoever plans with the pack hears of it in amperes."""
    bench.live(25.0)
    bench.command("override", power_kw=2.0, hold_s=30.0)
    bench.live(1.0)
    body = bench.packs[0].body(bench.now_s)
    bound_a, capacity_ah = 2000.0 / bench.volts(), bench.plants[0].rating.capacity_ah
    assert (body.safety, body.limit_reason) == (
        "normal", f"charge and discharge limited to {bound_a / capacity_ah:.2g} C by operator")
    assert bench.limits_a() == pytest.approx((bound_a, bound_a), rel=1e-3)
    assert [(one.way, one.limit, one.cell) for one in body.partial_limits] == [
        ("charge", "operator", None), ("discharge", "operator", None)]
    assert bench.power_kw() == pytest.approx(2.0, rel=1e-3)


def test_an_override_bounds_both_ways_and_ends(bench: Bench) -> None:
    bench.live(25.0)
    bench.command("override", power_kw=2.0, hold_s=30.0)
    for power_kw in (5.0, -5.0):
        bench.live(2.0, power_kw)
        assert bench.power_kw() == pytest.approx(np.sign(power_kw) * 2.0, rel=1e-3)
        bench.live(2.0, power_kw / 10.0)
        assert bench.power_kw() == pytest.approx(power_kw / 10.0, rel=0.01)
    bench.live(23.0, -5.0)
    assert bench.limits_a()[0] < 100.0, "it comes back as slowly as any limit"
    bench.live(20.0, -5.0)
    assert (bench.limits_a(), bench.reason()) == ((100.0, 100.0), "")
    assert bench.power_kw() == pytest.approx(-5.0, rel=0.01)


def test_an_override_of_nothing_is_no_current(bench: Bench) -> None:
    bench.live(25.0)
    bench.command("override", power_kw=0.0, hold_s=30.0)
    bench.live(1.0)
    assert (bench.limits_a(), bench.power_kw(), bench.state()) == ((0.0, 0.0), 0.0, "normal")
    bench.command("release")
    bench.live(25.0)
    assert bench.power_kw() == pytest.approx(4.0, rel=0.01)


def test_a_bound_wider_than_safety_allows_is_no_limit(bench: Bench) -> None:
    bench.live(25.0)
    bench.command("override", power_kw=500.0, hold_s=30.0)
    bench.live(1.0)
    assert (bench.limits_a(), bench.reason()) == ((100.0, 100.0), "")
