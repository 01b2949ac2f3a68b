"""An edge process that is too slow for its samples: it tells in time all the same, and counts the
charge of the time that really passed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from core.clock import ManualClock, from_epoch
from core.fleet.messages import VERSION, Allocation, Body, decode
from services.edge.__main__ import group_of
from services.edge.guard import Guards
from services.edge.outbox import Outbox
from services.edge.runtime import STATUS_EVERY_S, EdgeRuntime, Plate
from services.fleet_link import Broker
from tests.fleet.examples import NOW_S

PACK = "pack_1"
PLATE = Plate("LFP", 24, 10.0)


class Slow(EdgeRuntime):
    """Each of its ticks takes `takes_s` by the clock; it ends after `most` of them."""

    def __init__(self, outbox: Outbox, rate_hz: int, every: int | None, takes_s: float) -> None:
        self.clock = ManualClock(from_epoch(NOW_S))
        group = group_of({PACK: PLATE}, outbox, 3600.0, seed=1)
        guards = group._safety
        assert isinstance(guards, Guards)
        guards.timer = guards.monitor.timer = self.clock.monotonic_s
        group._urgent = None
        super().__init__("home", group, {PACK: PLATE}, outbox, Broker(host="127.0.0.1", port=1),
                         self.clock, rate_hz, every)
        self.takes_s, self.told_s, self.stop = takes_s, list[float](), threading.Event()
        self.ends_s = 0.0

    def live(self, seconds: float) -> None:
        """Without a pause: as if each tick were late."""
        self.ends_s = self.clock.monotonic_s() + seconds
        self.stop.clear()
        while not self.stop.is_set():
            self._tick()

    def _tick(self) -> None:
        super()._tick()
        self.clock.advance(self.takes_s)
        if self.clock.monotonic_s() >= self.ends_s:
            self.stop.set()

    def _tell(self, state: str) -> None:
        if state == "online":
            self.told_s.append(self.clock.monotonic_s())

    def allocate(self, power_kw: float) -> None:
        now_s = self.clock.now().timestamp()
        self._packs[PACK].centre.allocate(PACK, Allocation(
            v=VERSION, site="home", issued_s=now_s, valid_s=3600.0,
            power_kw={PACK: power_kw}), now_s)
        self._packs[PACK].centre.heard(now_s)


def bodies(outbox: Outbox) -> list[Body]:
    return [decode(told, Body, json=False) for _, told in outbox.waiting(PACK, 0, 1000)]


@pytest.mark.parametrize(("rate_hz", "every", "takes_s"), [
    (10, None, 0.25), (100, None, 0.021), (10, 600, 0.105), (10, None, 0.001)])
def test_a_slow_process_goes_on_telling(outbox: Outbox, rate_hz: int, every: int | None,
                                        takes_s: float) -> None:
    process = Slow(outbox, rate_hz, every, takes_s)
    body_s = (every or rate_hz) / rate_hz
    process.ends_s = 10 * body_s
    process.run(process.stop)
    told = bodies(outbox)
    assert len(told) >= 7
    between = [after.time_s - before.time_s for before, after in zip(told, told[1:], strict=False)]
    assert max(between) <= body_s + 2 * max(takes_s, 1 / rate_hz)
    assert sum(one.samples for one in told) >= 7 * min(every or rate_hz, body_s / takes_s) - 2
    statuses = [after - before for before, after in
                zip(process.told_s, process.told_s[1:], strict=False)]
    assert process.told_s[0] == 0.0
    assert all(span <= STATUS_EVERY_S + 2 * max(takes_s, 1 / rate_hz) for span in statuses)
    assert len(process.told_s) >= 10 * body_s // (STATUS_EVERY_S + 2 * takes_s)


def test_charge_is_counted_over_the_time_that_passed(outbox: Outbox) -> None:
    process = Slow(outbox, 10, None, 0.15)
    process.live(30.0)
    process.allocate(4.0)
    first = process._group._estimates[0].soc_pct
    before = process._group._plants._cells.soc_pct.mean()  # type: ignore[attr-defined]
    process.live(300.0)
    told = [one for one in bodies(outbox) if (one.power_kw or 0.0) > 3.95]
    energy_pct = 100.0 * 4.0 * (300.0 / 3600.0) / 10.0
    after = process._group._plants._cells.soc_pct.mean()  # type: ignore[attr-defined]
    last = process._group._estimates[0].soc_pct
    assert len(told) > 200
    assert first is not None
    assert last is not None
    assert before - after == pytest.approx(energy_pct, rel=0.03)
    assert first - last == pytest.approx(before - after, abs=0.4)


def test_of_a_long_hole_no_charge_is_counted_and_the_estimate_is_trusted_less(
        outbox: Outbox) -> None:
    """Nobody knows what flowed; a simulated pack rests when it hears nothing."""
    process = Slow(outbox, 10, None, 0.1)
    process.allocate(4.0)
    process.live(60.0)
    cells = process._group._plants._cells  # type: ignore[attr-defined]
    counted = process._group._estimators._filter  # type: ignore[attr-defined]
    before, told, sigma = cells.soc_pct.mean(), counted.soc.mean(), counted.soc_sigma.max()
    process.clock.advance(1800.0)
    process._tick()
    assert cells.soc_pct.mean() == pytest.approx(before, abs=0.01)
    assert abs(cells.temperature_c - 22.0).max() < 10.0
    assert counted.soc.mean() == pytest.approx(told, abs=0.02)
    assert counted.soc_sigma.max() > 3 * sigma


def test_a_sample_is_a_period_after_the_start(tmp_path: Path) -> None:
    """There is none before the first."""
    outbox = Outbox(tmp_path / "first.sqlite", [PACK])
    process = Slow(outbox, 10, None, 0.0)
    assert [process._passed_s(), process._passed_s()] == [0.1, 0.0]
    process.clock.advance(0.3)
    assert process._passed_s() == pytest.approx(0.3)
    outbox.close()
