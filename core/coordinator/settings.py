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

LONGEST_OVERRIDE = timedelta(hours=24)
MOST_KW, LONGEST_NAME, LONGEST_WORDS = 1e6, 80, 200
BOUNDS = {"cost": (0.0, 10.0), "wear": (0.0, 10.0), "peak_per_kw": (0.0, 1000.0),
          "export_per_kwh": (-10.0, 10.0), "setpoint_per_kwh": (0.0, 100.0), "reserve": (0.0, 0.9),
          "reserve_per_kwh": (0.0, 1000.0), "calm": (0.0, 1.0), "patience": (0.0, 0.1),
          "setpoint_kw": (-1e6, 1e6),
          "energy_value": (-100.0, 100.0)}
"""Of objectives, within which a wish makes sense."""
Limit = Annotated[float, Meta(ge=0, le=MOST_KW)]
Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
Words = Annotated[str, Meta(max_length=LONGEST_WORDS)]


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operator's own power for the whole fleet [kW], discharge positive, until then (UTC)."""

    power_kw: Annotated[float, Meta(ge=-MOST_KW, le=MOST_KW)]
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
    """`settings` where they make sense and can be kept: what is written of them reads the same.
    Raises RequestError naming what does not."""
    _sensible(settings)
    try:
        again = msgspec.json.decode(written(settings), type=SiteSettings)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise RequestError(f"This cannot be set: {_said(error)}") from error
    if again != settings:
        raise RequestError("This cannot be set: one of its numbers is not a number")
    return settings


def _said(error: Exception) -> str:
    """"ramp_s: expected float >= 1.0"."""
    what, _, where = str(error).partition(" - at ")
    field = where.strip("`").removeprefix("$.")
    return (f"{field}: " if field else "") + what[:1].lower() + what[1:].replace("`", "")


def _sensible(settings: SiteSettings) -> SiteSettings:
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
    if not math.isfinite(power_kw) or abs(power_kw) > MOST_KW:
        raise RequestError("An override needs a power in kW; give a number up to "
                           f"{MOST_KW:,.0f} either way")
    if not timedelta(0) < hold <= LONGEST_OVERRIDE:
        raise RequestError("An override holds for at most 24 hours; give more than 0 and less")
    if not 1 <= len(who) <= LONGEST_NAME or len(why) > LONGEST_WORDS:
        raise RequestError(f"An override has a name of 1 to {LONGEST_NAME} characters and a reason "
                           f"of at most {LONGEST_WORDS}; give such ones")
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
        return _sensible(msgspec.json.decode(text, type=SiteSettings))
    except msgspec.MsgspecError as error:
        raise RequestError(f"These are no settings of a site: {error}") from error
