"""Which prices a site may be planned by, and how good each is now."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from core.clock import from_epoch
from core.errors import OrreryError
from core.tariff import PriceSeries, Tariff, prices

AHEAD_S = 86_400.0
ENDED = "no price is known from now on: newer ones are needed"


@dataclass(frozen=True, slots=True)
class Teller:
    """A source that tells prices. house: whose; told: as `PriceTelling.day_ahead`; error: why its
    last question brought none, "" where it did; currency: "" where nobody says."""

    label: str
    house: str
    told: Callable[[], PriceSeries]
    error: str = ""
    currency: str = ""


@dataclass(frozen=True, slots=True)
class PriceState:
    """kind: of the site's house, of a source of prices, or a series that was taken in; name: of
    the source or the series. until: up to when prices are known, None where they are for good or
    not at all. low, high: of import in what is known of the next 24 hours [currency/kWh], NaN
    where nothing is. words: why they are not fresh, "" where they are. currency: "" where it
    is not told with them."""

    kind: Literal["house", "source", "series"]
    name: str
    label: str
    standing: Literal["fresh", "stale", "missing"]
    until: datetime | None = None
    low: float = math.nan
    high: float = math.nan
    words: str = ""
    currency: str = ""


def state_of(kind: Literal["house", "source", "series"], name: str, label: str,
             told: Callable[[], Tariff], now: datetime, error: str = "") -> PriceState:
    """told: raises OrreryError where nothing is known; error: why nothing newer comes."""
    try:
        tariff = told()
    except OrreryError as lost:
        return PriceState(kind, name, label, "missing", words=str(lost))
    _, buy, _ = prices(tariff, now.timestamp(), now.timestamp() + AHEAD_S)
    known = buy[np.isfinite(buy)]
    until = from_epoch(float(tariff.time_s[-1]) + tariff.hold_s) if isinstance(
        tariff, PriceSeries) else None
    if not known.size:
        return PriceState(kind, name, label, "stale", until, words=error or ENDED)
    return PriceState(kind, name, label, "stale" if error else "fresh", until,
                      float(known.min()), float(known.max()), error)
