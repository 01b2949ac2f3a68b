"""What differs between two settings of a site, in words. No Streamlit in here."""

from __future__ import annotations

from components import formats
from components.coordinator import words
from core.coordinator.problem import Objectives
from core.coordinator.settings import Override, SiteSettings
from core.houses import TariffConfig

OBJECTIVES = (("cost", "energy counts", 1.0, "times its price", 1),
              ("wear", "wear counts", 1.0, "times its cost", 1),
              ("peak_per_kw", "a kW of peak costs", 1.0, "{currency}", 2),
              ("export_per_kwh", "a kWh exported costs", 1.0, "{currency} more", 2),
              ("reserve", "kept for an outage:", 100.0, "%", 0),
              ("setpoint_per_kwh", "missing the set-point costs", 1.0, "{currency}/kWh", 2),
              ("reserve_per_kwh", "using the reserve costs", 1.0, "{currency}/kWh", 2),
              ("calm", "a plan that jumps costs", 1.0, "{currency}/kW²", 6))


def told(before: SiteSettings | None, after: SiteSettings, currency: str) -> list[str]:
    """[] where nothing differs; before: None where nothing was set."""
    was = SiteSettings() if before is None else before
    found = [*_steers(was, after), *_objectives(was.objectives, after.objectives, currency)]
    if (was.tariff, was.prices, was.prices_from) != (
            after.tariff, after.prices, after.prices_from):
        found.append(f"prices: {tariff(after.tariff, after.prices, after.prices_from)}")
    for word, old, new in (("import", was.import_limit_kw, after.import_limit_kw),
                           ("export", was.export_limit_kw, after.export_limit_kw)):
        if old != new:
            found.append(f"no limit of {word}" if new is None else
                         f"{word} at most {formats.power(new)}")
    if was.pv_curtailable != after.pv_curtailable:
        found.append("PV can be held back" if after.pv_curtailable else "PV cannot be held back")
    if was.ramp_s != after.ramp_s:
        found.append(f"full power in {formats.number(after.ramp_s)} s")
    if was.override != after.override:
        found.append(_override(after.override))
    return found


def _steers(was: SiteSettings, after: SiteSettings) -> list[str]:
    found = []
    if was.controller != after.controller:
        found.append(f"controller {words.NAMES[after.controller]} instead of "
                     f"{words.NAMES[was.controller]}")
    if was.challenger != after.challenger:
        found.append("nobody in its shadow" if after.challenger is None else
                     f"{words.NAMES[after.challenger]} in its shadow")
    return found


def _objectives(was: Objectives, after: Objectives, currency: str) -> list[str]:
    found = []
    for name, word, factor, unit, digits in OBJECTIVES:
        old, new = getattr(was, name), getattr(after, name)
        if abs(old - new) > 1e-9:
            found.append(f"{word} {formats.number(factor * new, digits)} "
                         f"{unit.format(currency=currency)} instead of "
                         f"{formats.number(factor * old, digits)}")
    if was.setpoint_kw != after.setpoint_kw:
        found.append("no set-point" if after.setpoint_kw is None else
                     f"the connection is held at {formats.power(after.setpoint_kw)}")
    return found


def tariff(told_: TariffConfig | None, prices: str, prices_from: str = "") -> str:
    """"flat, 0.30 EUR/kWh"."""
    if prices:
        return f"the series {prices}"
    if prices_from:
        return f"day-ahead, by the source {prices_from}"
    if told_ is None or told_.kind == "measured":
        return "as its house tells"
    base = words.price(told_.import_per_kwh, told_.currency)
    if told_.kind == "flat":
        return f"flat, {base}"
    others = formats.counted(len(told_.periods), "other price")
    return f"time of use, {base} and {others}"


def _override(held: Override | None) -> str:
    if held is None:
        return "no override any more"
    return f"override: {words.signed(held.power_kw)}, {held.why or 'no reason was given'}"
