"""A pack whose coordinator is out of reach goes by the learnt policy, within a stated time and all
limits; without one it rests."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from core.coordinator.actor import Actor
from core.coordinator.alone import ALONE_WORDS, Alone
from core.coordinator.usual import CEILING, EFFICIENCY, FLOOR
from core.errors import ConfigurationError
from core.fleet.messages import Allocation
from services.coordinator.rl.evaluate import at_the_edge, begun, by_policy
from services.coordinator.rl.export import export
from services.edge.__main__ import group_of, parser, policies_of
from services.edge.outbox import Outbox
from services.edge.pack import SILENT_S, Centre, Pack
from services.edge.plant import Sample
from services.edge.policies import Policies
from services.edge.ports import Estimate, Verdict
from services.edge.runtime import Plate
from tests.coordinator_rl.cases import KEY, LET, SITE_REFUSED, actor, always, days, rest, typical

DEVICE = "pack_001"
NOW_S = 1_763_700_000.0
SAMPLE = Sample(np.full(160, 3.125, np.float32), np.full(160, 25.0, np.float32), 0.0, 500.0)
FREE = Verdict("normal", 100.0, 100.0)


class NoSafety:
    """Never asked here."""

    contactors = (True, True)

    def limits(self) -> tuple[()]:
        return ()

    def conditions(self) -> tuple[()]:
        return ()

    def order(self, action: str, by: str) -> str:
        return ""


def alone(action: float, net_per_kwh: float = 0.1) -> Alone:
    """Packs of a site with 10 kW of load for each 100 kWh, whatever the hour."""
    return Alone(always(action, LET, typical_day=typical(net_per_kwh)), 100.0, "LFP")


def steered(pack: Pack, now_s: float, soc_pct: float | None = 50.0,
            verdict: Verdict = FREE) -> tuple[float, str]:
    pack.act(SAMPLE, verdict, Estimate(soc_pct), 1.0, now_s)
    return pack.power_kw, pack.body(now_s).limit_reason


def allocated(who: Alone | None) -> Pack:
    """One that was asked for 20 kW at NOW_S."""
    pack = Pack(DEVICE, NoSafety(), Centre(), who)
    pack.centre.heard(NOW_S)
    pack.centre.allocate(DEVICE, Allocation(v=1, site="home", issued_s=NOW_S, valid_s=3600.0,
                                            power_kw={DEVICE: 20.0}), NOW_S)
    return pack


def test_it_drives_once_the_centre_is_silent_and_not_before() -> None:
    pack = allocated(alone(0.4))
    assert steered(pack, NOW_S + SILENT_S - 1.0) == (20.0, "")
    power_kw, why = steered(pack, NOW_S + SILENT_S + 0.1)
    assert power_kw == pytest.approx(10.0)
    assert why == f"the centre is silent: {ALONE_WORDS}"
    pack.centre.heard(NOW_S + SILENT_S + 5.0)
    assert steered(pack, NOW_S + SILENT_S + 5.1) == (20.0, "")


def test_a_clock_that_is_set_back_does_not_freeze_its_power() -> None:
    """It is asked anew, with the charge of now."""
    pack = allocated(alone(0.4))
    assert steered(pack, NOW_S + 100.0, soc_pct=50.0)[0] > 0.0
    assert steered(pack, NOW_S - 3600.0, soc_pct=0.0)[0] == 0.0
    assert steered(pack, NOW_S - 3595.0, soc_pct=50.0)[0] == 0.0, "it holds for ten seconds"
    assert steered(pack, NOW_S - 3590.0, soc_pct=50.0)[0] > 0.0


def test_an_allocation_that_ran_out_is_the_same() -> None:
    pack = allocated(alone(0.4))
    pack.centre.heard(NOW_S + 3601.0)
    power_kw, why = steered(pack, NOW_S + 3601.0)
    assert (power_kw, why) == (pytest.approx(10.0), f"the allocation has expired: {ALONE_WORDS}")


def test_without_a_policy_or_before_any_allocation_it_rests() -> None:
    assert steered(allocated(None), NOW_S + 61.0) == (0.0, "the centre is silent")
    never = Pack(DEVICE, NoSafety(), Centre(), alone(0.4))
    assert steered(never, NOW_S + 61.0) == (0.0, "no allocation yet")


def test_safety_and_people_stand_above_it() -> None:
    held = Verdict("derate", 100.0, 4.0, "a warm cell")
    power_kw, why = steered(allocated(alone(0.4)), NOW_S + 61.0, verdict=held)
    assert power_kw == pytest.approx(2.0)
    assert ALONE_WORDS in why
    nothing = Verdict("zero", 0.0, 0.0, "too hot")
    assert steered(allocated(alone(0.4)), NOW_S + 61.0, verdict=nothing)[0] == 0.0
    assert steered(allocated(alone(0.4)), NOW_S + 61.0, soc_pct=None)[0] == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_random_weights_neither_buy_nor_sell_nor_leave_the_band(seed: int) -> None:
    """A day of ten-minute steps: between nothing and the usual need, floor and ceiling."""
    rng = np.random.default_rng(seed)
    net = rng.normal(0.0, 0.3, (12, 24))
    own = actor(seed, 96, LET, typical_day=typical())
    who = Alone(Actor(own.layers, type(own.typical)(own.typical.zone, net, own.typical.buy,
                                                    own.typical.sell), own.record), 100.0, "LFP")
    zone, soc, moved = ZoneInfo(own.typical.zone), 50.0, 0.0
    for step in range(144):
        now = datetime.fromtimestamp(NOW_S + 600.0 * step, zone)
        power_kw = who.power_kw(now, soc, 60.0, 60.0)
        need_kw = 100.0 * net[now.month - 1, now.hour]
        assert min(0.0, need_kw) - 1e-9 <= power_kw <= max(0.0, need_kw) + 1e-9
        soc += -power_kw / 6.0 * (EFFICIENCY if power_kw < 0 else 1.0 / EFFICIENCY)
        moved += abs(power_kw)
        assert 100 * FLOOR - 1e-6 <= soc <= 100 * CEILING + 1e-6
    assert moved > 0


def test_the_evaluation_is_of_what_a_pack_does() -> None:
    """One that gives the usual need saves where that is right, and harms nothing."""
    fixed = days(40)
    world = begun(fixed)
    net = (world.net_kw[:, :144] / world.size[:, None]).reshape(40, 24, 6).mean(axis=(0, 2))
    usual = typical()
    usual = type(usual)(usual.zone, np.tile(net / fixed.capacity_kwh, (12, 1)),
                        usual.buy, usual.sell)
    found = at_the_edge(fixed, lambda states: np.where(states[:, 6] > 0, 0.4, -0.4), usual, 0.5)
    assert found.violations == 0
    assert found.cost < by_policy(fixed, rest).cost


def test_the_command_line_takes_only_what_is_signed_and_let(tmp_path: Path) -> None:
    plates = {DEVICE: Plate("LFP", 24, 100.0)}
    asked = parser().parse_args(["--device", DEVICE, "--actor", str(tmp_path / "actor")])
    outbox = Outbox(tmp_path / "outbox.sqlite", plates)
    group = group_of(plates, outbox, 60.0, 1)

    def told(path: Path | None, key: str | None) -> Policies:
        return policies_of(group, plates, outbox, path, key)[DEVICE]

    with pytest.raises(ConfigurationError, match="cannot be read"):
        told(asked.actor, KEY)
    export(actor(1, 96, LET), KEY, asked.actor)
    assert told(asked.actor, KEY).running == "run-1"
    assert told(None, None).running == ""
    with pytest.raises(ConfigurationError, match="another key"):
        told(asked.actor, "another key, also long")
    export(actor(1, 96, SITE_REFUSED), KEY, asked.actor)
    with pytest.raises(ConfigurationError, match="never judged for the edge"):
        told(asked.actor, KEY)
    outbox.close()
