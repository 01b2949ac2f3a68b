"""The documented client methods over the houses: of this process, or of another Orrery.

    energy_api().get_victron_battery_current()["data"]["soc"]

ORRERY_API_URL names another Orrery's gateway, ORRERY_API_KEY its key; without them this
process answers itself.
"""

from __future__ import annotations

import os
from typing import Protocol

from core.errors import ConfigurationError
from core.house_api import Answer, HouseApi
from core.runtime import Runtime, shared_runtime

URL_VARIABLE, KEY_VARIABLE = "ORRERY_API_URL", "ORRERY_API_KEY"


class EnergyApi(Protocol):
    """Answers have the shapes of `core/house_shapes.py`; "status" says whether there is one.

    house: an id, None = the first house. Raises RequestError for `hours` or `limit` out of
    range and UnknownIdError for a house that is not there; over HTTP also SourceError.
    """

    def get_victron_battery_current(self, house: str | None = None) -> Answer: ...

    def get_victron_battery_history(self, hours: int = 24, limit: int = 480,
                                    house: str | None = None) -> Answer: ...

    def get_victron_health(self, house: str | None = None) -> Answer: ...

    def get_latest_energy(self, house: str | None = None) -> Answer: ...

    def get_recent_energy(self, hours: int = 1, limit: int = 100,
                          house: str | None = None) -> Answer: ...

    def get_energy_history(self, hours: int = 24, limit: int = 1000,
                           house: str | None = None) -> Answer: ...

    def get_energy_stats(self, hours: int = 24, house: str | None = None) -> Answer: ...

    def get_health(self) -> Answer: ...


class LocalEnergyApi:
    """Asks the engine of `runtime`."""

    def __init__(self, runtime: Runtime) -> None:
        self._answers = HouseApi(runtime)

    def get_victron_battery_current(self, house: str | None = None) -> Answer:
        return self._answers.battery_current(house)

    def get_victron_battery_history(self, hours: int = 24, limit: int = 480,
                                    house: str | None = None) -> Answer:
        return self._answers.battery_history(hours, limit, house)

    def get_victron_health(self, house: str | None = None) -> Answer:
        return self._answers.victron_health(house)

    def get_latest_energy(self, house: str | None = None) -> Answer:
        return self._answers.latest_energy(house)

    def get_recent_energy(self, hours: int = 1, limit: int = 100,
                          house: str | None = None) -> Answer:
        return self._answers.recent_energy(hours, limit, house)

    def get_energy_history(self, hours: int = 24, limit: int = 1000,
                           house: str | None = None) -> Answer:
        return self._answers.energy_history(hours, limit, house)

    def get_energy_stats(self, hours: int = 24, house: str | None = None) -> Answer:
        return self._answers.energy_stats(hours, house)

    def get_health(self) -> Answer:
        return self._answers.health()


def energy_api() -> EnergyApi:
    """By the environment; raises ConfigurationError."""
    url, key = os.environ.get(URL_VARIABLE), os.environ.get(KEY_VARIABLE)
    if url:
        from components.http_api import HttpEnergyApi

        return HttpEnergyApi(url, key or None)
    if key:
        raise ConfigurationError("the environment", KEY_VARIABLE, "(not shown)",
                                 f"a key only together with {URL_VARIABLE}")
    return LocalEnergyApi(shared_runtime())
