"""What a pack behind its guard publishes of its limits: all that are near, each with its reason."""

from __future__ import annotations

import pytest

from core.fleet.messages import packed
from services.edge.outbox import Outbox
from tests.fleet.test_guard import Bench


@pytest.fixture
def bench(outbox: Outbox) -> Bench:
    return Bench(outbox, "LFP")


def limits(bench: Bench, at: int = 0) -> list[tuple[str, str, float, int | None]]:
    return [(one.way, one.limit, round(one.amps), one.cell)
            for one in bench.packs[at].body(bench.now_s).partial_limits]


def test_every_limit_that_is_near_is_sent_with_its_reason(outbox: Outbox) -> None:
    bench = Bench(outbox, "LFP", "LFP")
    bench.live(30.0, power_kw=0.0)
    without = packed(bench.packs[1].body(bench.now_s))
    assert limits(bench, 1) == []
    assert b"partial_limits" not in without
    bench.plants[1].heating_k_per_s[5], bench.plants[1].hottest_c = 2.0, 42.5
    bench.plants[1].state.soc_pct[:] = 91.5
    bench.begin(outbox)
    bench.live(60.0, power_kw=0.0)
    body = bench.packs[1].body(bench.now_s)
    assert limits(bench, 1) == [("charge", "temperature_max", 50, 6), ("charge", "soc", 70, None)]
    assert body.partial_limits[0].why == "charge limited to 0.38 C by cell 6 at 42.5 °C"
    assert body.partial_limits[0].amps == body.charge_limit_a
    assert body.limit_reason == body.partial_limits[0].why
    assert limits(bench, 0) == [], "of the other pack in its process"


def test_both_ways_are_told_where_they_differ(bench: Bench) -> None:
    bench.live(1.0)
    assert bench.reason().startswith("charge and discharge limited to 0.0")
    bench.live(30.0, power_kw=0.0)
    bench.plants[0].heating_k_per_s[5], bench.plants[0].hottest_c = 2.0, 42.5
    bench.plants[0].state.soc_pct[:] = 7.0
    bench.begin(bench.outbox)
    bench.live(60.0, power_kw=0.0)
    first, second = bench.reason().split("; ")
    assert bench.limits_a()[1] < bench.limits_a()[0] < 100.0
    assert first.startswith("discharge limited to 0.31 C by state of charge at 7"), "the stricter"
    assert second == "charge limited to 0.38 C by cell 6 at 42.5 °C"
    assert {way for way, *_ in limits(bench)} == {"charge", "discharge"}


def test_a_stopped_pack_tells_what_stopped_it(bench: Bench) -> None:
    bench.live(30.0)
    bench.command("emergency_stop")
    bench.live(1.0)
    assert ("charge", "safety_state", 0.0, None) in limits(bench)
    assert ("discharge", "safety_state", 0.0, None) in limits(bench)


def test_a_reset_between_two_samples_changes_no_limit_of_the_verdict(bench: Bench) -> None:
    """A body tells limits and amperes of one and the same decision."""
    bench.live(30.0)
    bench.command("emergency_stop")
    bench.live(30.0)
    before = bench.packs[0].body(bench.now_s)
    assert bench.command("reset").state == "executed"
    after = bench.packs[0].body(bench.now_s)
    assert (after.safety, after.charge_limit_a) == (before.safety, 0.0)
    assert after.partial_limits == before.partial_limits
