"""The packs of a demo, alive: plants, guards and orders as an edge process has them, no broker.

It lives in the engine's process and at the engine's pace, so that it claims nothing of how fast it
decides: samples follow each other by lived time, and a process that slept has missed nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from core.clock import from_epoch
from core.fleet.board import FleetBoard
from core.fleet.catalogue import PackPlate
from core.fleet.messages import VERSION, Allocation, Command, Reply, Status, allocations
from core.fleet.ports import CommandLife
from core.safety.profile import SafetyProfile, safety_profile
from core.secrets import secret
from services.edge.demo_day import Day
from services.edge.demo_faults import FAULTS, SILENT, pack_of
from services.edge.demo_inbox import Inbox
from services.edge.estimator import CellEstimators
from services.edge.guard import Guard, Guards
from services.edge.orders import Orders
from services.edge.outbox import Outbox
from services.edge.pack import Centre, Pack, PackGroup
from services.edge.plant import SimulatedPack
from services.edge.plant_group import PlantGroup
from services.edge.policies import Policies, Trust

LONGEST_STEP_S = 30.0
"""A longer pause was slept, not lived [s]."""
ALLOCATE_EVERY_S = 5.0
VALID_S = 60.0
JUST_AFTER_S = 1e-5
TELL_EVERY_S = 10.0
FIRMWARE = "demo 1"
IN_MEMORY = Path(":memory:")
ACTOR_KEY = "ORRERY_ACTOR_KEY"
"""Secret that policies are signed with."""


@dataclass(slots=True)
class _Device:
    """One pack."""

    plate: PackPlate
    day: Day
    plant: SimulatedPack
    pack: Pack
    policies: Policies
    orders: Orders
    soc_pct: float | None = None
    silent: bool = False


class Site:
    """Begins at `now_s` (seconds since 1970) with the charge that the day has come to."""

    def __init__(self, site: str, plates: Sequence[PackPlate], board: FleetBoard, now_s: float,
                 seed: int) -> None:
        self._site, self._board = site, board
        self._outbox = Outbox(IN_MEMORY, [plate.device for plate in plates])
        self._at_s, self._lived_s, self._key = now_s, 0.0, secret(ACTOR_KEY)
        self._allocated_s = self._told_s = self._steered_s = -np.inf
        self.inbox = Inbox(site, lambda: from_epoch(self._at_s))
        self.received, self.per_s = 0, 0.0
        self._running: dict[str, _Device] = {}
        days = [Day.of(number, plate) for number, plate in enumerate(plates)]
        plants = [SimulatedPack(plate.chemistry, plate.cells, plate.capacity_kwh, seed + number,
                                day.soc_pct(now_s), plate.device)
                  for number, (plate, day) in enumerate(zip(plates, days, strict=True))]
        ratings = [plant.rating for plant in plants]
        guards = Guards(ratings, self._outbox, _unhurried(), lambda: self._lived_s)
        self._devices = {
            plate.device: self._device(plate, day, plant, guard)
            for plate, day, plant, guard in zip(plates, days, plants, guards.each, strict=True)}
        self._group = PackGroup([device.pack for device in self._devices.values()], guards,
                                PlantGroup(plants), CellEstimators(
                                    ratings, [day.soc_pct(now_s) for day in days]))
        self._live(now_s, 1.0)

    def _device(self, plate: PackPlate, day: Day, plant: SimulatedPack, guard: Guard) -> _Device:
        pack = Pack(plate.device, guard)
        trust = Trust(plate.capacity_kwh, plate.chemistry, self._key)
        policies = Policies(pack, self._outbox, trust)
        orders = Orders(pack, self._outbox, policies,
                        tell=lambda reply: self.inbox.book.heard(plate.device, [reply]))
        return _Device(plate, day, plant, pack, policies, orders)

    def live_until(self, now_s: float) -> None:
        """A clock that stands still or steps back moves nothing."""
        passed_s = now_s - self._at_s
        if passed_s < 0:
            self._clock_stepped_back()
        self._at_s = now_s
        self.inbox.deliver(now_s, self._answer)
        if passed_s > 0:
            self._live(now_s, min(passed_s, LONGEST_STEP_S))

    def send(self, device: str, action: str, issuer: str, ttl_s: float, power_kw: float | None,
             hold_s: float | None, policy: bytes | None = None) -> CommandLife:
        """Raises RequestError for what the schema does not know."""
        return self.inbox.send(device, action, issuer, ttl_s, power_kw, hold_s, policy)

    def close(self) -> None:
        self.inbox.book.close()
        self._outbox.close()

    # -- faults

    def start_fault(self, name: str) -> None:
        device = list(self._devices.values())[pack_of(name, len(self._devices))]
        FAULTS[name](device.plant)
        device.silent = device.silent or name == SILENT
        self._running[name] = device
        self._told_s = -np.inf

    def repair(self) -> None:
        for device in self._running.values():
            device.plant.repair()
            device.silent = False
        self._running = {}
        self._told_s = -np.inf

    def faults(self) -> list[str]:
        return list(self._running)

    # -- inside

    def _clock_stepped_back(self) -> None:
        """What was allocated lies ahead now: the centre begins anew, as after a restart."""
        for device in self._devices.values():
            device.pack.centre = Centre()
        self._allocated_s = self._told_s = self._steered_s = -np.inf

    def _live(self, now_s: float, dt_s: float) -> None:
        self._lived_s += dt_s
        if now_s - self._allocated_s >= ALLOCATE_EVERY_S and now_s >= self._steered_s:
            self._allocate(now_s)
        self._group.sample(now_s, dt_s)
        for device in self._devices.values():
            device.orders.follow(now_s)
        heard = [device for device in self._devices.values() if not device.silent]
        for device in heard:
            self._hear(device, now_s)
        self.received += len(heard)
        self.per_s = len(heard) / dt_s
        if now_s - self._told_s >= TELL_EVERY_S:
            self._told_s = now_s
            self._tell(now_s)

    def steer(self, power_kw: Mapping[str, float], valid_s: float,
              lease_s: float | None = None) -> None:
        """A coordinator's own allocation; raises RequestError for what is no power."""
        # Devices take what is newer than the last: two of one moment follow each other.
        issued_s = max(self._at_s, self._allocated_s + JUST_AFTER_S)
        for message in allocations(self._site, power_kw, issued_s, valid_s, lease_s):
            self._deliver(message, self._at_s)
        self._allocated_s, self._steered_s = issued_s, self._at_s + valid_s

    def _allocate(self, now_s: float) -> None:
        """The fixed day where nobody coordinates: one message for all, as a coordinator sends.
        Packs with a learnt policy are left to it."""
        self._allocated_s = now_s
        self._deliver(Allocation(
            v=VERSION, site=self._site, issued_s=now_s, valid_s=VALID_S,
            power_kw={name: device.day.power_kw(now_s, device.soc_pct)
                      for name, device in self._devices.items() if device.pack.alone is None}),
            now_s)

    def _deliver(self, message: Allocation, now_s: float) -> None:
        for name, device in self._devices.items():
            if not device.silent and device.pack.centre.allocate(name, message, now_s):
                device.pack.centre.heard(now_s)

    def _hear(self, device: _Device, now_s: float) -> None:
        body = device.pack.body(now_s)
        device.soc_pct = body.soc_pct
        cells = {name: np.frombuffer(said, dtype="<f4") for name, said in body.cells.items()
                 if isinstance(said, bytes)}
        self._board.take(device.plate.device, body, cells)

    def _answer(self, name: str, command: Command) -> Reply | None:
        device = self._devices[name]
        self._told_s = -np.inf
        return None if device.silent else device.orders.handle(command, self._at_s)

    def _tell(self, now_s: float) -> None:
        for name, device in self._devices.items():
            if device.silent:
                self._board.tell(name, Status(v=VERSION, site=self._site, device=name,
                                              state="offline"))
                continue
            plate = device.plate
            self._board.tell(name, Status(
                v=VERSION, site=self._site, device=name, state="online", time_s=now_s,
                firmware=FIRMWARE, chemistry=plate.chemistry, cells=plate.cells,
                capacity_kwh=plate.capacity_kwh, policy=device.policies.running,
                policy_before=device.policies.before,
                silent_s=device.pack.centre.silent_s,
                lease_s=device.pack.centre.lease_s(now_s)))


def _unhurried() -> SafetyProfile:
    """One sample a second and no process of its own: neither late nor stale until it slept."""
    profile = safety_profile()
    machine = msgspec.structs.replace(profile.machine, stale_after_s=LONGEST_STEP_S,
                                      overrun_s=2.0 * LONGEST_STEP_S)
    return msgspec.structs.replace(profile, machine=machine)
