"""What people set for a coordinated site: who steers it, what is wanted, what its energy costs."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from core.coordinator.plan import Controller
from core.coordinator.problem import NO_LIMIT, Connection, Objectives
from core.coordinator.usual import RAMP_S
from core.errors import RequestError
from core.houses import TariffConfig

Limit = Annotated[float, Meta(ge=0, le=1e6)]
Name = Annotated[str, Meta(min_length=1, max_length=80)]
Words = Annotated[str, Meta(max_length=200)]

LONGEST_OVERRIDE = timedelta(hours=24)
BOUNDS = {"cost": (0.0, 10.0), "wear": (0.0, 10.0), "peak_per_kw": (0.0, 1000.0),
          "export_per_kwh": (-10.0, 10.0), "setpoint_per_kwh": (0.0, 100.0), "reserve": (0.0, 0.9),
          "reserve_per_kwh": (0.0, 1000.0), "calm": (0.0, 1.0), "patience": (0.0, 0.1),
          "setpoint_kw": (-1e6, 1e6),
          "energy_value": (-100.0, 100.0)}
"""Of objectives, within which a wish makes sense."""


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operator's own power for the whole fleet [kW], discharge positive, until then (UTC)."""

    power_kw: Annotated[float, Meta(ge=-1e6, le=1e6)]
    since: datetime
    until: datetime
    who: Name
    why: Words = ""

    def holds(self, now: datetime) -> bool:
        return self.since <= now < self.until

    @property
    def words(self) -> str:
        """"charging at 40.0 kW", "at rest"."""
        if self.power_kw == 0:
            return "at rest"
        way = "discharging" if self.power_kw > 0 else "charging"
        return f"{way} at {abs(self.power_kw):.1f} kW"


class SiteSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """challenger: plans beside the controller, is scored, drives nothing. prices: name of a price
    series that was taken in, "" = by `prices_from`: name of a source that tells prices, "" = by
    `tariff`. import_limit_kw, export_limit_kw: of the
    connection, None = none. pv_curtailable: the site's inverter holds PV back by itself, where
    export is limited or costs money. ramp_s: in so long a pack goes from rest to its rated power:
    each second its order changes by at most rated kW / ramp_s. A limit that got tighter, of the
    pack or of the connection, is kept at once whatever the ramp says [s]."""

    controller: Controller = "mpc"
    challenger: Controller | None = None
    objectives: Objectives = msgspec.field(default_factory=Objectives)
    tariff: TariffConfig | None = None
    prices: Annotated[str, Meta(max_length=80)] = ""
    prices_from: Annotated[str, Meta(max_length=80)] = ""
    import_limit_kw: Limit | None = None
    export_limit_kw: Limit | None = None
    pv_curtailable: bool = False
    ramp_s: Annotated[float, Meta(ge=1, le=600)] = RAMP_S
    override: Override | None = None

    def override_at(self, now: datetime) -> Override | None:
        """The one in force."""
        held = self.override
        return held if held is not None and held.holds(now) else None

    def connection(self, peak_kw: float = 0.0) -> Connection:
        return Connection(NO_LIMIT if self.import_limit_kw is None else self.import_limit_kw,
                          NO_LIMIT if self.export_limit_kw is None else self.export_limit_kw,
                          peak_kw, self.pv_curtailable)


def check_settings(settings: SiteSettings) -> SiteSettings:
    """`settings` where they make sense; raises RequestError naming what does not."""
    for name, (low, high) in BOUNDS.items():
        value = getattr(settings.objectives, name)
        if value is not None and not low <= value <= high:
            raise RequestError(f"{name} = {value}: give {low:g} to {high:g}")
    if settings.challenger is not None and settings.challenger == settings.controller:
        raise RequestError(f"{settings.controller} steers already: a challenger is another one")
    return settings


def overridden(settings: SiteSettings, power_kw: float, hold: timedelta, now: datetime, who: str,
               why: str) -> SiteSettings:
    """With an override that ends by itself; raises RequestError."""
    if not math.isfinite(power_kw):
        raise RequestError("An override needs a power in kW; give a number")
    if not timedelta(0) < hold <= LONGEST_OVERRIDE:
        raise RequestError("An override holds for at most 24 hours; give more than 0 and less")
    told = Override(power_kw=power_kw, since=now, until=now + hold, who=who, why=why)
    return msgspec.structs.replace(settings, override=told)


def released(settings: SiteSettings) -> SiteSettings:
    """Without an override."""
    return msgspec.structs.replace(settings, override=None)


def written(settings: SiteSettings) -> bytes:
    """JSON."""
    return msgspec.json.encode(settings)


def read(text: bytes | str) -> SiteSettings:
    """Strictly; raises RequestError."""
    try:
        return check_settings(msgspec.json.decode(text, type=SiteSettings))
    except msgspec.MsgspecError as error:
        raise RequestError(f"These are no settings of a site: {error}") from error
