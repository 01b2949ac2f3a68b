"""A learnt policy as a planner: it is asked step after step, and its fleet lives through what it
says."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import numpy as np

from core.coordinator import placed
from core.coordinator.account import after, cost_of, reach
from core.coordinator.actor import FILE, Actor, load
from core.coordinator.curtailment import at_grid
from core.coordinator.plan import Controller, Plan
from core.coordinator.policy import Sight, by_hour, features, power_of, spread
from core.coordinator.problem import Floats, Packs, Problem, check
from core.coordinator.unmet import exceeded
from core.errors import GiveUpError, OrreryError, RequestError, RetryLaterError

SITE = "site"
HERE = "the coordinator"
"""As a deployment of the policy that plans for the whole site is called."""
NOT_KNOWN = {"peak_per_kw": "the peak", "setpoint_kw": "the set-point",
             "export_per_kwh": "what PV is worth here"}
"""Wishes that a policy was never taught, in words."""
NO_PLACE = ("orrery.toml names no file for a policy of this site's own: set actor and "
            "actor_key_secret under [coordinator]")


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

    @property
    def version(self) -> str:
        """Of the policy in use, "" for none."""
        actor = self.actor
        return "" if actor is None else actor.record.version

    @property
    def before(self) -> str:
        """The version that a roll-back would bring back, "" where there is none to trust."""
        try:
            return load(placed.before(self._path), self._key).record.version
        except GiveUpError:
            return ""

    @property
    def shut(self) -> str:
        """Why no other policy can be put in its place, "" where one can."""
        return NO_PLACE if self._path == FILE else ""

    def deploy(self, file: bytes) -> str:
        """That policy drives from now on; its version. Raises RequestError with the gate's words
        where it was refused, GiveUpError where it is not to be trusted or cannot be written."""
        if self.shut:
            raise RequestError(self.shut)
        placed.deploy(file, self._path, self._key, SITE)
        return self.version

    def roll_back(self) -> str:
        """The policy before drives again; its version. Raises RequestError where there is none,
        GiveUpError where it is not to be trusted or the files cannot be moved."""
        return placed.roll_back(self._path, self._key).version

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
    most = max(problem.connection.export_limit_kw + net, -float(take.sum()))
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
    grid_kw, curtailed = at_grid(powers, outlook, problem.connection)
    deaf = [word for name, word in NOT_KNOWN.items() if getattr(wanted, name)]
    words = f"policy {actor.record.version} ({actor.record.method})"
    if deaf:
        words += f": it was not taught to mind {', '.join(deaf)}"
    return Plan(made_at, outlook.start, outlook.step_s, packs.ids, "rl", powers, energy, grid_kw,
                cost_of(powers, packs, outlook, problem.connection, wanted), words=words,
                solve_s=solve_s, exceeded=exceeded(problem, energy, grid_kw, curtailed),
                curtailed_kw=curtailed if problem.connection.curtailable else None)
