"""What a person says of a house in orrery.toml: its battery, its tariff, its time zone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from core.errors import ConfigurationError
from core.tariff import FlatTariff, Period, Tariff, TimeOfUseTariff
from core.vocabulary import CHEMISTRIES

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Price = Annotated[float, msgspec.Meta(ge=-100, le=100)]
Hour = Annotated[int, msgspec.Meta(ge=0, le=24)]
Weekday = Annotated[int, msgspec.Meta(ge=0, le=6)]
HouseId = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}\Z")]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
CURRENCY = r"^[A-Z]{3}\Z"
Currency = Annotated[str, msgspec.Meta(pattern=CURRENCY)]

EVERY_DAY = tuple(range(7))


class PeriodConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """from_hour to to_hour, local time, over midnight where to_hour <= from_hour; Monday is 0."""

    from_hour: Hour
    to_hour: Hour
    weekdays: tuple[Weekday, ...] = EVERY_DAY
    import_per_kwh: Price
    export_per_kwh: Price = 0.0


class TariffConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """kind "flat": one price. "time_of_use": `periods`, the first that holds, else the flat
    prices. "measured": the prices that a source of this house reports."""

    kind: Literal["flat", "time_of_use", "measured"]
    currency: Currency
    import_per_kwh: Price = 0.0
    export_per_kwh: Price = 0.0
    periods: list[PeriodConfig] = []


class HouseConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """capacity_kwh: real capacity of the battery [kWh]; nominal_v [V]. reserve_pct, ceiling_pct:
    what is left and what is filled up to [%]. time_zone: an IANA name, days and tariffs follow
    it."""

    id: HouseId
    label: Label
    time_zone: str = "UTC"
    capacity_kwh: Positive | None = None
    nominal_v: Positive | None = None
    chemistry: str | None = None
    reserve_pct: Percent = 10.0
    ceiling_pct: Percent = 100.0
    tariff: TariffConfig | None = None


@dataclass(frozen=True, slots=True)
class House:
    """A house as the screens know it. capacity_kwh, nominal_v: NaN where nobody said.

    tariff: None where there is none, or where its prices are measured (`prices_measured`).
    """

    id: str
    label: str
    zone: ZoneInfo
    capacity_kwh: float = math.nan
    nominal_v: float = math.nan
    chemistry: str | None = None
    reserve_pct: float = 10.0
    ceiling_pct: float = 100.0
    currency: str = ""
    tariff: Tariff | None = None
    prices_measured: bool = False

    @property
    def capacity_ah(self) -> float:
        """At the nominal voltage; NaN where either is not known [Ah]."""
        return self.capacity_kwh * 1000 / self.nominal_v


def house_of(config: HouseConfig, at: str, file: str) -> House:
    """Raises ConfigurationError for a time zone, a chemistry or bounds that cannot be."""
    try:
        zone = ZoneInfo(config.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(file, f"{at}.time_zone", config.time_zone,
                                 "an IANA name such as Europe/Stockholm") from error
    if config.chemistry is not None and config.chemistry not in CHEMISTRIES:
        raise ConfigurationError(file, f"{at}.chemistry", config.chemistry,
                                 "one of " + ", ".join(CHEMISTRIES))
    if config.reserve_pct >= config.ceiling_pct:
        raise ConfigurationError(file, f"{at}.reserve_pct", config.reserve_pct,
                                 "less than ceiling_pct")
    said = config.tariff
    return House(
        config.id, config.label, zone, _or_nan(config.capacity_kwh), _or_nan(config.nominal_v),
        config.chemistry, config.reserve_pct, config.ceiling_pct,
        "" if said is None else said.currency,
        None if said is None else _tariff(said, zone),
        said is not None and said.kind == "measured")


def houses_in(configs: Sequence[HouseConfig], known: Sequence[House], named: Iterable[str],
              file: str) -> tuple[House, ...]:
    """All houses of the site: those of orrery.toml, then those that sources know, then those
    that devices only name. Raises ConfigurationError as `house_of` does."""
    said = [house_of(config, f"houses[{position}]", file)
            for position, config in enumerate(configs)]
    found = {house.id: house for house in [*known, *said]}
    order = dict.fromkeys([*(house.id for house in [*said, *known]), *named])
    return tuple(found.get(house_id) or _unsaid(house_id) for house_id in order)


def _unsaid(house_id: str) -> House:
    return House(house_id, house_id.replace("_", " ").capitalize(), ZoneInfo("UTC"))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _tariff(said: TariffConfig, zone: ZoneInfo) -> Tariff | None:
    flat = FlatTariff(said.import_per_kwh, said.export_per_kwh)
    if said.kind == "measured":
        return None
    if said.kind == "flat":
        return flat
    periods = [Period(one.from_hour, one.to_hour, frozenset(one.weekdays),
                      FlatTariff(one.import_per_kwh, one.export_per_kwh))
               for one in said.periods]
    return TimeOfUseTariff(zone, periods, flat)
