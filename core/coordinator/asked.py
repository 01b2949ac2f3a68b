"""What pages may ask and change of coordinated sites, whichever process coordinates them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from core.coordinator.price_states import PriceState
from core.coordinator.prices import PriceFormat, Prices
from core.coordinator.records import Changed
from core.coordinator.settings import SiteSettings
from core.coordinator.view import (
    Deployment,
    Happened,
    Line,
    Preview,
    RlRoom,
    SiteView,
    Watched,
)


class Coordination(Protocol):
    """Any thread. Each raises UnknownIdError for another site, RetryLaterError and GiveUpError
    where what is kept cannot be read or written."""

    @property
    def sites(self) -> Sequence[str]: ...

    def view(self, site: str) -> SiteView:
        """Everything of one, at most a second old."""
        ...

    def happened(self, site: str, start: datetime, end: datetime,
                 span_s: float = 600.0) -> Happened:
        """The plan against what happened; RequestError for a span that cannot be."""
        ...

    def preview(self, site: str, settings: SiteSettings) -> Preview:
        """The plan that other settings would make, on the caller's thread (some 10 ms);
        RequestError for settings that cannot be."""
        ...

    def settings(self, site: str) -> SiteSettings: ...

    def apply(self, site: str, settings: SiteSettings, who: str,
              seen: SiteSettings | None = None) -> None:
        """Plan by them from now on, and keep who wanted it; an override in force stays. seen: what
        was set when `who` decided, as all that follow. Raises RequestError, also for a controller
        that the gate holds back, and ChangedMeanwhileError where something else is set by now."""
        ...

    def override(self, site: str, power_kw: float, hold: timedelta, who: str, why: str,
                 seen: SiteSettings | None = None) -> None:
        """Hold the fleet at a power [kW], + discharging; it ends by itself. Raises RequestError,
        ChangedMeanwhileError where another controller or override holds by now."""
        ...

    def release(self, site: str, who: str, seen: SiteSettings | None = None) -> None:
        """End an override now. Raises as `override`."""
        ...

    def take_prices(self, site: str, name: str, file: bytes, form: PriceFormat, currency: str,
                    who: str) -> Prices:
        """Keep a series of prices out of a CSV or JSON file; `SiteSettings.prices` may then be
        `name`. Raises RequestError naming what is wrong in it."""
        ...

    def price_states(self, site: str) -> Sequence[PriceState]:
        """Of its house, of each source that tells prices, of each series that was taken in."""
        ...

    def watched(self, site: str) -> Watched | None:
        """Today so far; None where no minute was watched."""
        ...

    def changes(self, site: str, most: int = 50) -> Sequence[Changed]:
        """Who set what, the newest first."""
        ...

    def lines(self) -> Sequence[Line]:
        """For the Overview: of sites that anybody coordinates."""
        ...

    def rl_room(self) -> RlRoom: ...

    def policy_file(self, name: str) -> bytes:
        """Of one of `RlRoom.policies`. Raises RequestError where it is gone."""
        ...

    def deploy(self, name: str, who: str) -> Deployment:
        """That policy plans for whole sites from now on. Raises RequestError with the gate's words
        where it was refused."""
        ...

    def roll_back(self, device: str, who: str) -> Deployment:
        """The version before drives again. Raises UnknownIdError, RequestError where there was
        none or its file is another machine's."""
        ...
