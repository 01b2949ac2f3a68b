"""The REST API of the houses of this process: one implementation under the gateway's routes
and the client in this process. Answers are plain dicts of the shapes in `core/house_shapes.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from core import house_answers as answers
from core.engine import Snapshot, SourceStatus, devices_of
from core.errors import RequestError, UnknownIdError
from core.house_answers import Standing, stalled_after_s
from core.house_shapes import NothingKnown
from core.household import Household
from core.houses import House
from core.runtime import Runtime

Answer = dict[str, Any]

LONGEST_ECHO = 40
NO_HOUSE = "no house is configured: add a source of one to orrery.toml"


@dataclass(frozen=True, slots=True)
class Whole:
    """A number that a question may carry: whole, from `low` to `high`, both included."""

    low: int
    high: int

    def refusal(self, name: str, given: object) -> RequestError:
        """What to say of a value that is out of range or no whole number."""
        shown = repr(given)
        short = shown if len(shown) <= LONGEST_ECHO else shown[:LONGEST_ECHO] + "..."
        return RequestError(f"{name} = {short} is not allowed; allowed: a whole number from "
                            f"{self.low} to {self.high}")

    def checked(self, name: str, given: object) -> int:
        """Raises RequestError."""
        if isinstance(given, bool) or not isinstance(given, int):
            raise self.refusal(name, given)
        if not self.low <= given <= self.high:
            raise self.refusal(name, given)
        return given


Ranges = dict[str, Whole]

BATTERY_HISTORY: Ranges = {"hours": Whole(1, 72), "limit": Whole(1, 1000)}
RECENT_ENERGY: Ranges = {"hours": Whole(1, 72), "limit": Whole(1, 1000)}
ENERGY_HISTORY: Ranges = {"hours": Whole(1, 720), "limit": Whole(1, 5000)}
ENERGY_STATS: Ranges = {"hours": Whole(1, 720)}


class HouseApi:
    """Answers from the engine of `runtime`. `house`: an id, None = the first house.

    Every method but `health` raises UnknownIdError for a house that is not there; those with
    `hours` or `limit` raise RequestError out of their ranges, and OrreryError where history
    cannot be read.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._houses = runtime.energy_houses
        self._engine = runtime.engine

    def battery_current(self, house: str | None = None) -> Answer:
        return self._answered(house, answers.battery_current)

    def battery_history(self, hours: int = 24, limit: int = 100,
                        house: str | None = None) -> Answer:
        _check(BATTERY_HISTORY, hours=hours, limit=limit)
        return self._answered(house, lambda one: answers.battery_history(one, hours, limit))

    def victron_health(self, house: str | None = None) -> Answer:
        return self._answered(house, answers.victron_health)

    def latest_energy(self, house: str | None = None) -> Answer:
        return self._answered(house, answers.latest_energy)

    def recent_energy(self, hours: int = 1, limit: int = 100,
                      house: str | None = None) -> Answer:
        _check(RECENT_ENERGY, hours=hours, limit=limit)
        return self._answered(house, lambda one: answers.recent_energy(one, hours, limit))

    def energy_history(self, hours: int = 24, limit: int = 1000,
                       house: str | None = None) -> Answer:
        _check(ENERGY_HISTORY, hours=hours, limit=limit)
        return self._answered(house, lambda one: answers.energy_history(one, hours, limit))

    def energy_stats(self, hours: int = 24, house: str | None = None) -> Answer:
        _check(ENERGY_STATS, hours=hours)
        return self._answered(house, lambda one: answers.energy_stats(one, hours))

    def health(self) -> Answer:
        """Of the process, whatever houses it has."""
        said = answers.health(self._engine.snapshot, self._keeps_history,
                              self._engine.clock.now(), self._engine.frame_age_s,
                              stalled_after_s(self._engine.period_s))
        return _plain(said)

    @property
    def _keeps_history(self) -> bool:
        return self._engine.store is not None or self._engine.channels is not None

    def _answered(self, house_id: str | None, answer: Callable[[Standing], object]) -> Answer:
        house = self._house(house_id)
        if house is None:
            return _plain(NothingKnown(
                status="not_initialized" if answer is answers.victron_health else "no_data",
                message=NO_HOUSE, timestamp=self._engine.clock.now().timestamp()))
        return _plain(answer(self._standing(house)))

    def _house(self, house_id: str | None) -> House | None:
        """None where there is no house at all and none is named; raises UnknownIdError."""
        if house_id is None:
            return self._houses[0] if self._houses else None
        for house in self._houses:
            if house.id == house_id:
                return house
        known = ", ".join(house.id for house in self._houses) or "none"
        raise UnknownIdError(f"no house is called {house_id[:LONGEST_ECHO]!r}; known: {known}")

    def _standing(self, house: House) -> Standing:
        snapshot = self._engine.snapshot
        household = Household(house, self._engine.devices, snapshot.devices)
        return Standing(household, self._statuses(snapshot), self._engine.channels,
                        self._engine.clock.now(), self._engine.frame_age_s,
                        stalled_after_s(self._engine.period_s))

    def _statuses(self, snapshot: Snapshot) -> dict[str, SourceStatus]:
        return {device.id: status for source, status in
                zip(self._engine.sources, snapshot.sources, strict=True)
                for device in devices_of(source)}


def _check(allowed: Ranges, **given: object) -> None:
    for name, value in given.items():
        allowed[name].checked(name, value)


def _plain(answer: object) -> Answer:
    found: Answer = msgspec.to_builtins(answer)
    return found
