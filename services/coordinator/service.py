"""The coordinator as a process of its own: hears the fleet over its broker, plans, and sends.

It keeps no history and raises no alarms; what it plans and did lies in the coordinator's store,
where the app and the gateway read it.
"""

from __future__ import annotations

import faulthandler
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from core.clock import Clock
from core.config import Config, SourceConfig
from core.coordination import coordinator
from core.coordinator.desk import CoordinatorDesk
from core.coordinator.gather import TwinSays
from core.coordinator.loop import Cadence
from core.engine import Engine, devices_of, houses_of
from core.errors import ConfigurationError, OrreryError
from core.houses import houses_in
from core.ports import Source
from core.registry import make_sources
from core.twin.tree import TreeTwin
from services.report import Report

FLEET_KIND = "fleet-mqtt"
REPORT_S = 1.0
STILL_S = 120.0
"""A turn that takes longer will not end: the process does, and whoever keeps it starts it anew."""


class CoordinatorService:
    """Of the fleets among `sources`, and what knows their houses; see `wanted_sources`."""

    def __init__(self, config: Config, sources: Sequence[Source], clock: Clock,
                 cadence: Cadence | None = None) -> None:
        """Raises OrreryError where there is nothing to coordinate, or nothing can be kept."""
        self.engine = Engine(config.level_list, sources, clock, config.engine.period_s,
                             with_alarms=False)
        self._twin = TreeTwin(self.engine.topology) if config.twin.enabled else None
        self._taken = self._told = self._watched = -1
        houses = houses_in(
            config.houses, [house for source in sources for house in houses_of(source)],
            [device.house for device in self.engine.devices.devices.values()], config.file)
        desk = coordinator(self.engine, config, houses, self._twin_says, cadence=cadence)
        if isinstance(desk, str):
            raise OrreryError(desk)
        self.desk: CoordinatorDesk = desk

    def _twin_says(self) -> TwinSays | None:
        """A filter of this process's own, over the newest frame: charge and resistance. Lives and
        capacities take a history: the app's twin finds them (core/coordinator/lives.py)."""
        if self._twin is None:
            return None
        snapshot = self.engine.snapshot
        if snapshot.number != self._taken:
            self._taken = snapshot.number
            self._twin.take(snapshot.frame)
        return TwinSays(self._twin.table(), lives=None)

    def run(self, stop: threading.Event, report: Path | None = None) -> None:
        """Until `stop`, or until a turn has stood still for STILL_S. report: a file that says how
        it goes, each second in which a turn ended."""
        kept = None if report is None else Report(report)
        self._watch()
        self.engine.tick()
        self.engine.start()
        self.desk.start()
        try:
            while not self.engine.clock.wait(REPORT_S, stop):
                self._watch()
                if kept is not None:
                    self.tell(kept)
        finally:
            self.close()
            faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        """When no further turn ends within STILL_S, the process says where all its threads stand
        and ends with status 1, by a thread that needs no interpreter: a solver may hold that."""
        if self.desk.turns != self._watched:
            self._watched = self.desk.turns
            faulthandler.dump_traceback_later(STILL_S, exit=True)

    def tell(self, report: Report) -> None:
        """Not again before the next turn has ended."""
        if self.desk.turns == self._told:
            return
        self._told = self.desk.turns
        states = self.desk.states
        report.write({
            "time_s": self.engine.clock.now().timestamp(), "turns": self._told,
            "drives": [site for site, state in states.items() if state is not None],
            "problems": {site: state.problem or state.fallback for site, state in states.items()
                         if state and (state.problem or state.fallback)},
            "errors": self.desk.errors})

    def close(self) -> None:
        """Give the sites back, and leave the broker; safe to call twice."""
        self.desk.stop()
        self.engine.stop()


def wanted_sources(config: Config) -> list[Source]:
    """The fleets over brokers, what knows a house that a site is coordinated for, and what tells
    prices, which a person may choose. Raises ConfigurationError where there is no fleet."""
    houses = {said.house for said in config.coordinator.sites.values() if said.house}
    made = zip(config.sources, make_sources(config), strict=True)
    found = [source for said, source in made
             if said.kind == FLEET_KIND or _of_houses(source, houses)
             or hasattr(source, "day_ahead")]
    if not any(hasattr(source, "packs") for source in found):
        raise ConfigurationError(config.file, "sources", [one.kind for one in config.sources],
                                 f"one of kind {FLEET_KIND!r}, whose packs are coordinated")
    return found


def _of_houses(source: Source, houses: set[str]) -> bool:
    return any(device.house in houses for device in devices_of(source))


def signed_in(config: Config, username: str, password_variable: str) -> Config:
    """The same, but as the coordinator's own user of the broker."""
    def own(source: SourceConfig) -> SourceConfig:
        if source.kind != FLEET_KIND:
            return source
        more = {"username": username, **({"password_secret": password_variable}
                                         if password_variable else {})}
        return msgspec.structs.replace(source, options={**source.options, **more})

    sources: Sequence[SourceConfig] = [own(source) for source in config.sources]
    return msgspec.structs.replace(config, sources=list(sources))
