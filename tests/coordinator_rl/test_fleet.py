"""The packs of the world are the simulated fleet's: the same orders, for two days, to the packs
of the world and to whole edge packs with every cell, its estimator's truth and its safety."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from core.coordinator.problem import Floats
from core.coordinator.safe import PacksNow, box
from core.coordinator.usual import EFFICIENCY, HEADROOM
from core.fleet.catalogue import MIX
from core.safety.profile import SafetyProfile, safety_profile
from core.vocabulary import CHEMISTRIES
from services.coordinator.rl.days import STEP_S, STEPS
from services.coordinator.rl.fleet import Fleet, Made
from services.edge.cells import AMBIENT_C
from services.edge.guard import Guards
from services.edge.plant import SimulatedPack
from services.edge.plant_group import PlantGroup
from services.edge.ports import Estimate, Verdict

PLATES = (MIX[0], MIX[1], MIX[3])
LOOK_S = 20.0
DAYS = 2
SOC, PART, LOSS, KELVIN, AMPERES = 0.003, 0.001, 0.01, 0.1, 0.01
"""How far the world may be off: charge, parts of energy, of losses, temperature, limits."""


class Nothing:
    """Keeps no memory."""

    def safety(self, device: str) -> None:
        return None

    def keep_safety_soon(self, memories: object, then: object) -> None:
        return None

    def keep_with_bodies(self, memories: object) -> None:
        return None


def made(soc: float = 0.5, ambient_c: float = AMBIENT_C, health: float = 1.0) -> Made:
    """One site with a pack of each chemistry, as new."""
    kinds, series, kwh = zip(*PLATES, strict=True)
    shape = (1, len(PLATES))
    return Made(np.array([[CHEMISTRIES.index(kind) for kind in kinds]]),
                np.array([series], dtype=float), np.array([kwh]), np.full(shape, health),
                np.full(shape, soc), np.full(shape, ambient_c))


def unhurried() -> SafetyProfile:
    """Judged once a step."""
    profile = safety_profile()
    machine = msgspec.structs.replace(profile.machine, stale_after_s=STEP_S,
                                      overrun_s=2.0 * STEP_S)
    return msgspec.structs.replace(profile, machine=machine)


@dataclass
class Whole:
    """The same packs with all their cells behind their own safety, as in an edge process."""

    soc: float
    now_s: float = 1_763_700_000.0
    given_kwh: Floats = field(default_factory=lambda: np.zeros((2, len(PLATES))))
    verdicts: list[Verdict] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.packs = [SimulatedPack(kind, cells, kwh, 7 + at, 100.0 * self.soc, f"pack_{at}")
                      for at, (kind, cells, kwh) in enumerate(PLATES)]
        self._plants = PlantGroup(self.packs)
        self._guards = Guards([pack.rating for pack in self.packs], Nothing(), unhurried(),
                              lambda: self.now_s)
        self._ohm = np.array([pack.state.ohm.sum() for pack in self.packs])
        self.lost_kwh = np.zeros(len(PLATES))
        for _ in range(30):  # the contactors close, what is allowed comes back
            self.move(np.zeros(len(PLATES)), 1.0)
            self.judge()

    def move(self, power_kw: Floats, dt_s: float) -> None:
        self.now_s += dt_s
        self._samples = self._plants.step(power_kw.tolist(), dt_s, [
            guard.contactors for guard in self._guards.each])
        kwh = dt_s / 3600.0 * np.array([sample.power_kw for sample in self._samples])
        self.given_kwh += np.maximum((kwh, -kwh), 0.0)
        amperes = np.array([sample.current_a for sample in self._samples])
        self.lost_kwh += amperes ** 2 * self._ohm * dt_s / 3.6e6

    def judge(self) -> None:
        self.verdicts = self._guards.judge(
            self._samples, [Estimate(100.0 * soc) for soc in self.charges.tolist()], self.now_s,
            self.now_s, [math.inf] * len(self.packs))

    @property
    def charges(self) -> Floats:
        """Mean of the cells, parts of 1."""
        return np.array([pack.state.soc_pct.mean() / 100.0 for pack in self.packs])

    @property
    def warmth(self) -> Floats:
        return np.array([pack.state.temperature_c.mean() for pack in self.packs])

    @property
    def allowed_a(self) -> Floats:
        return np.array([(one.charge_limit_a, one.discharge_limit_a) for one in self.verdicts]).T


def orders(rng: np.random.Generator, now: PacksNow) -> Floats:
    """Anything that the safety layer lets through, held for a step."""
    within = box(now, STEP_S / 3600.0)
    share = rng.uniform(0.0, 1.0) * rng.choice([-1.0, 0.0, 1.0])
    return np.where(share < 0, -share * within.low_kw, share * within.high_kw)


def test_for_two_days_they_are_what_whole_packs_are() -> None:
    fleet, whole = Fleet(made()), Whole(0.5)
    rng, given = np.random.default_rng(3), np.zeros((2, len(PLATES)))
    apart = {"soc": 0.0, "kelvin": 0.0, "amperes": 0.0}
    for _ in range(DAYS * STEPS):
        asked = orders(rng, fleet.told())
        kwh = STEP_S / 3600.0 * fleet.move(asked, STEP_S)[0]
        given += np.maximum((kwh, -kwh), 0.0)
        for _ in range(round(STEP_S / LOOK_S)):
            whole.move(asked[0], LOOK_S)
        whole.judge()
        own_a = np.stack([fleet.allowed_a("charge"), fleet.allowed_a("discharge")])
        apart = {"soc": max(apart["soc"], np.abs(fleet.soc[0] - whole.charges).max()),
                 "kelvin": max(apart["kelvin"],
                               np.abs(fleet.temperature_c[0] - whole.warmth).max()),
                 "amperes": max(apart["amperes"], np.abs(own_a - whole.allowed_a).max())}
    assert fleet.beyond == 0
    assert (given > 150.0).all(), "they have worked"
    assert apart["soc"] < SOC
    assert apart["kelvin"] < KELVIN
    assert apart["amperes"] < AMPERES
    np.testing.assert_allclose(given, whole.given_kwh, rtol=PART)
    np.testing.assert_allclose(fleet.lost_kwh[0], whole.lost_kwh, rtol=LOSS)


def test_energy_is_conserved_with_its_losses() -> None:
    fleet, rng = Fleet(made()), np.random.default_rng(4)
    before, given = fleet.held_kwh, np.zeros((1, len(PLATES)))
    for _ in range(STEPS):
        given += STEP_S / 3600.0 * fleet.move(orders(rng, fleet.told()), STEP_S)
    throughput = 2.0 * before
    assert (fleet.lost_kwh > 0.2).all()
    np.testing.assert_allclose(before - fleet.held_kwh, given + fleet.lost_kwh,
                               atol=0.002 * throughput.max())


def test_what_a_coordinator_takes_for_its_losses_is_more_than_they_are() -> None:
    """From half full up and down again at a third of what it may: of each kWh that went in a
    little is lost, less than EFFICIENCY of each way says."""
    fleet, taken, back = Fleet(made()), 0.0, 0.0
    begun = fleet.soc
    for _ in range(12):
        taken += -fleet.move(box(fleet.told(), 1.0).low_kw / 3.0, STEP_S) * STEP_S / 3600.0
    while (fleet.soc > begun + 1e-4).any():
        out = np.minimum(20.0, 3600.0 / 6.0 * fleet.told().capacity_kwh * (fleet.soc - begun))
        back += fleet.move(np.maximum(out, 0.0), 6.0) * 6.0 / 3600.0
    kept = back / taken
    assert (kept < 1.0).all()
    assert (kept > EFFICIENCY ** 2).all()


@pytest.mark.parametrize(("soc", "ambient_c", "less"), [
    (0.92, 22.0, "charge"), (0.08, 22.0, "discharge"), (0.5, 3.5, "charge")])
def test_devices_cut_what_they_may_not_take(soc: float, ambient_c: float, less: str) -> None:
    """Beyond what a coordinator asks for: at the ends of the charge, and in the cold."""
    fleet = Fleet(made(soc, ambient_c))
    free = Fleet(made()).allowed_a("charge")
    allowed = {way: fleet.allowed_a(way) for way in ("charge", "discharge")}  # type: ignore[arg-type]
    assert (allowed[less] < 0.75 * free).all()
    other = "discharge" if less == "charge" else "charge"
    np.testing.assert_allclose(allowed[other], free)
    if ambient_c == AMBIENT_C:
        whole = Whole(soc)
        np.testing.assert_allclose([allowed["charge"], allowed["discharge"]], whole.allowed_a,
                                   atol=1.0)
    told = fleet.told()
    limit_a = told.charge_limit_a if less == "charge" else told.discharge_limit_a
    np.testing.assert_allclose(limit_a[0], HEADROOM * allowed[less])
    sign = -1.0 if less == "charge" else 1.0
    given = fleet.move(np.full((1, len(PLATES)), sign * 60.0), STEP_S)
    assert (np.abs(given) < 60.0).all()
    assert (fleet.beyond > 0) == (soc != 0.5)


def test_an_aged_pack_holds_less_and_loses_more() -> None:
    new, old = Fleet(made()), Fleet(made(health=0.8))
    np.testing.assert_allclose(old.held_kwh, 0.8 * new.held_kwh)
    np.testing.assert_allclose(old.told().capacity_kwh, 0.8 * new.told().capacity_kwh)
    for fleet in (new, old):
        fleet.move(np.full((1, len(PLATES)), 20.0), STEP_S)
    assert (old.lost_kwh > 1.2 * new.lost_kwh).all()
