"""A learnt policy as a planner: it is asked step after step, and its fleet lives through what it
says."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

import numpy as np

from core.coordinator.account import after, cost_of, reach
from core.coordinator.actor import BEFORE, FILE, Actor, load
from core.coordinator.plan import Controller, Exceeded, Plan
from core.coordinator.policy import Sight, by_hour, features, power_of, spread
from core.coordinator.problem import Floats, Packs, Problem, check
from core.errors import GiveUpError, OrreryError, RequestError, RetryLaterError

SITE = "site"
HERE = "the coordinator"
"""As a deployment of the policy that plans for the whole site is called."""
NOT_KNOWN = ("peak_per_kw", "setpoint_kw", "export_per_kwh")


class RlPlanner:
    """A Planner. path: of the site's own actor, the shipped one without it; key: that it is
    signed with. Limits of the connection, the reserve and the packs hold whatever it says."""

    controller: Controller = "rl"

    def __init__(self, path: Path | None = None, key: str | None = None) -> None:
        self._path, self._key = path or FILE, key
        self._read_ns = -1
        self._actor: Actor | None = None
        self._why = ""

    @property
    def actor(self) -> Actor | None:
        """The newest in the file, None where it is not to be used."""
        try:
            changed_ns = self._path.stat().st_mtime_ns
        except OSError:
            changed_ns = 0
        if changed_ns != self._read_ns:
            self._read_ns = changed_ns
            try:
                self._actor, self._why = load(self._path, self._key), ""
            except GiveUpError as error:
                self._actor, self._why = None, str(error)
        return self._actor

    @property
    def missing(self) -> str:
        return "" if self.actor is not None else self._why

    @property
    def held_back(self) -> str:
        """Why it may plan, but not drive; "" where the gate let it."""
        actor = self.actor
        if actor is None:
            return ""
        verdict = actor.record.verdict(SITE)
        if verdict is None:
            return f"the policy {actor.record.version} was never judged for a site"
        return "" if verdict.deployed else verdict.words

    def roll_back(self) -> str:
        """The policy before drives again; its version. Raises RequestError where there is none,
        GiveUpError where it is not to be trusted or the files cannot be moved."""
        before = self._path.with_name(self._path.name + BEFORE)
        if not before.exists():
            raise RequestError(f"There is nothing before {self._path.name} to go back to")
        version = load(before, self._key).record.version
        try:
            os.replace(before, self._path)
        except OSError as error:
            raise GiveUpError(f"{self._path} cannot be replaced: {error.strerror}; see who may "
                              "write there") from error
        return version

    def plan(self, problem: Problem, made_at: datetime, limit_s: float) -> Plan:
        """As `Planner`."""
        began = time.perf_counter()
        check(problem)
        actor = self.actor
        if actor is None:
            raise OrreryError(self._why)
        outlook, packs = problem.outlook, problem.packs
        energy = [packs.energy_kwh.astype(np.float64)]
        powers = np.zeros((len(packs), outlook.steps))
        for step in range(outlook.steps):
            if time.perf_counter() - began > limit_s:
                raise RetryLaterError(f"The policy took longer than {limit_s:g} s")
            powers[:, step] = _said(actor, problem, step, energy[-1])
            energy.append(after(packs, energy[-1], powers[:, step], outlook.step_h))
        return _told(problem, made_at, powers, np.stack(energy, axis=1), actor,
                     time.perf_counter() - began)


def _said(actor: Actor, problem: Problem, step: int, energy_kwh: Floats) -> Floats:
    """Powers [n] inside what packs, reserve and connection allow."""
    packs, outlook, reserve = problem.packs, problem.outlook, problem.objectives.reserve
    if not len(packs):
        return np.zeros(0)
    take, give = reach(packs, energy_kwh, outlook.step_h, reserve)
    net = float(outlook.net_kw[step])
    room = max(problem.connection.import_limit_kw - net, 0.0)
    seen = _sight(packs, energy_kwh, reserve, min(float(take.sum()), room), float(give.sum()), net,
                  by_hour(outlook, step))
    wish = float(power_of(actor.act(features(seen)), seen.net_kw, seen.take_kw, seen.give_kw)[0])
    most = max(problem.connection.export_limit_kw + net, 0.0)
    least = net - problem.connection.import_limit_kw
    wish = min(max(min(wish, most), least), float(give.sum()))
    return spread(wish, -take, give, packs.wear_per_kwh, packs.capacity_kwh)


def _sight(packs: Packs, energy_kwh: Floats, reserve: float, take_kw: float, give_kw: float,
           net_kw: float, ahead: tuple[Floats, Floats, Floats]) -> Sight:
    floor = np.maximum(packs.floor, reserve)
    whole = float(packs.capacity_kwh.sum())
    band = max(float(((packs.ceiling - floor) * packs.capacity_kwh).sum()), 1e-9)
    stored = float((energy_kwh - floor * packs.capacity_kwh).sum())
    share = packs.capacity_kwh / whole
    return Sight.of_one(
        capacity_kwh=whole, stored=min(max(stored / band, 0.0), 1.0), band=band / whole,
        take_kw=take_kw, give_kw=give_kw, efficiency=float(share @ packs.efficiency),
        wear_per_kwh=float(share @ packs.wear_per_kwh), net_kw=net_kw, ahead=ahead)


def _told(problem: Problem, made_at: datetime, powers: Floats, energy: Floats, actor: Actor,
          solve_s: float) -> Plan:
    outlook, packs, wanted = problem.outlook, problem.packs, problem.objectives
    grid_kw = outlook.net_kw - powers.sum(axis=0)
    deaf = [name for name in NOT_KNOWN if getattr(wanted, name)]
    words = f"policy {actor.record.version} ({actor.record.method})"
    if deaf:
        words += f"; it does not know of {', '.join(deaf)}"
    return Plan(made_at, outlook.start, outlook.step_s, packs.ids, "rl", powers, energy, grid_kw,
                cost_of(powers, packs, outlook, problem.connection, wanted), words=words,
                solve_s=solve_s, exceeded=_exceeded(problem, grid_kw))


def _exceeded(problem: Problem, grid_kw: Floats) -> tuple[Exceeded, ...]:
    found = []
    for name, limit, over in (
            ("import limit", problem.connection.import_limit_kw, grid_kw),
            ("export limit", problem.connection.export_limit_kw, -grid_kw)):
        by = over - limit
        if len(by) and by.max() > 1e-6:
            found.append(Exceeded(name, int(by.argmax()), float(by.max()), "kW",
                                  "packs cannot do more against it"))
    return tuple(found)
