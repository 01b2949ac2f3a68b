"""What a coordinated site uses and makes beside its packs: the meter of one of its houses, or
none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, cast

import numpy as np

from core.coordinator.ports import PriceTelling
from core.coordinator.problem import Floats
from core.devices import channel_id
from core.engine import Engine, devices_of
from core.errors import OrreryError
from core.household import Household
from core.houses import House
from core.ports import PastTellingSource, Series
from core.tariff import PriceSeries

LOAD, PV, GRID = "load_power_kw", "solar_power_kw", "grid_power_kw"
BUY, SELL = "import_price_per_kwh", "export_price_per_kwh"
MOST_POINTS = 20_000


@dataclass(frozen=True, slots=True)
class Metered:
    """Now [kW], [currency/kWh]; NaN where it is not told. grid_kw: import positive; currency: of
    the prices, "" where nobody says."""

    load_kw: float = math.nan
    pv_kw: float = math.nan
    grid_kw: float = math.nan
    import_price: float = math.nan
    export_price: float = math.nan
    currency: str = ""


class Meter(Protocol):
    """Any thread may ask."""

    def now(self) -> Metered: ...

    def past(self, start: datetime, steps: int, step_s: float) -> Mapping[str, Floats]:
        """LOAD and PV, means of `steps` steps from `start` [kW], [steps], NaN where not known."""
        ...

    def prices(self) -> PriceSeries | None:
        """What is known of the hours around now, None where nobody tells. Raises SourceError."""
        ...


class NoMeter:
    """A site of packs alone: it uses and makes nothing else."""

    def now(self) -> Metered:
        return Metered(0.0, 0.0)

    def past(self, start: datetime, steps: int, step_s: float) -> Mapping[str, Floats]:
        return {LOAD: np.zeros(steps), PV: np.zeros(steps)}

    def prices(self) -> PriceSeries | None:
        return None


class HouseMeter:
    """Of a house that the engine knows. Without a meter of its own for the load, the load is what
    the balance leaves; a house without PV makes none."""

    def __init__(self, engine: Engine, house: House) -> None:
        self._engine, self._house = engine, house

    def now(self) -> Metered:
        home = self._home()
        pv = home.value(PV) if home.told(PV) is not None else 0.0
        return Metered(home.value(LOAD), pv, home.value(GRID), home.value(BUY), home.value(SELL))

    def _home(self) -> Household:
        return Household(self._house, self._engine.devices, self._engine.snapshot.devices)

    def past(self, start: datetime, steps: int, step_s: float) -> Mapping[str, Floats]:
        return {name: self._past(name, start, steps, step_s) for name in (LOAD, PV)}

    def prices_past(self, start: datetime, steps: int, step_s: float) -> tuple[Floats, Floats]:
        """What its tariff's device told of import and export, as `past` [currency/kWh]."""
        return self._past(BUY, start, steps, step_s), self._past(SELL, start, steps, step_s)

    def prices(self) -> PriceSeries | None:
        for device in self._home().devices:
            source = self._engine.source_of(device.id)
            if hasattr(source, "day_ahead"):
                return cast(PriceTelling, source).day_ahead()
        return None

    def _past(self, name: str, start: datetime, steps: int, step_s: float) -> Floats:
        told = self._home().told(name)
        if told is None:
            return np.zeros(steps) if name == PV else np.full(steps, np.nan)
        source = self._engine.source_of(told.device.id)
        if self._engine.channels is None and hasattr(source, "tell_past"):
            time_s = start.timestamp() + step_s * np.arange(steps, dtype=np.float64)
            channels = [(device.id, own) for device in devices_of(source)
                        for own in device.quantities]
            found: Floats = cast(PastTellingSource, source).tell_past(time_s)[
                :, channels.index((told.device.id, name))]
            return found
        return self._recalled(channel_id(told.device.id, name), start, steps, step_s)

    def _recalled(self, channel: str, start: datetime, steps: int, step_s: float) -> Floats:
        end = start + timedelta(seconds=steps * step_s)
        try:
            found = self._engine.recall([channel], start, end, MOST_POINTS)
        except OrreryError:
            return np.full(steps, np.nan)  # what is not remembered is missing, and told as such
        return on_grid(found, start.timestamp(), steps, step_s)


def on_grid(told: Sequence[Series], start_s: float, steps: int, step_s: float) -> Floats:
    """Means of a series' points in each step, [steps], a wide point in all that it covers; NaN
    where it has none."""
    values = np.full(steps, np.nan)
    if not told or not told[0].time_s.size:
        return values
    one = told[0]
    known = np.isfinite(one.mean)
    time_s, mean = one.time_s[known], one.mean[known].astype(np.float64)
    at = np.floor((time_s - start_s) / step_s).astype(np.int64)
    inside = (at >= 0) & (at < steps)
    counts = np.bincount(at[inside], minlength=steps)
    sums = np.bincount(at[inside], weights=mean[inside], minlength=steps)
    values[counts > 0] = sums[counts > 0] / counts[counts > 0]
    for ahead in range(1, max(1, math.ceil(one.resolution_s / step_s))):
        later = at + ahead
        fits = (later >= 0) & (later < steps)
        empty = np.isnan(values[later[fits]])
        values[later[fits][empty]] = mean[fits][empty]
    return values
