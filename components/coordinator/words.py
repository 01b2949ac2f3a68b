"""What the fleet does and why, in words. No Streamlit in here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from components import formats
from components.blocks import Alarm, Content
from components.coordinator import stretches
from components.coordinator.stretches import Stretch
from components.formats import Text
from core.coordinator.currency import reckoned
from core.coordinator.plan import Controller
from core.coordinator.view import Ahead, Allocated, DayCost, Silence, SiteView

NAMES: dict[Controller, str] = {"off": "Off", "rule-based": "Rule-based", "mpc": "MPC", "rl": "RL"}
ACTORS: dict[Controller, str] = {"off": "Nobody", "rule-based": "The rules", "mpc": "MPC",
                                 "rl": "The RL policy"}
DOES = {"charging": "charging", "discharging": "discharging", "idle": "resting",
        "unknown": "not heard"}
DEARER = 1.02
"""By so much a price must differ to be a reason."""
WISHED = "the objectives of this site ask for it"
KEPT = 0.05
"""A surplus of PV explains a charge that is at most so much larger."""


def clock(when: datetime, zone: str | None, now: datetime) -> str:
    """"17:20" of the viewer's day, "Sun 17:20" of another."""
    local = when.astimezone(formats.zone(zone))
    other = local.date() != now.astimezone(formats.zone(zone)).date()
    return f"{local:%a %H:%M}" if other else f"{local:%H:%M}"


def money(value: float, currency: str, decimals: int = 2) -> Text:
    return Text(formats.number(value, decimals), currency)


def kept(value: float, currency: str | None) -> Text:
    """Money of a time that is over; None: an earlier version kept no currency (`unkept`)."""
    return money(value, currency or "")


def unkept(currency: str | None) -> str:
    """Where money stands without its currency: why, "" where that is known."""
    return reckoned(currency) if currency is None else ""


def price(value: float, currency: str) -> str:
    """"0.21 EUR/kWh", "0.21 a kWh" where nobody says the currency."""
    return f"{formats.number(value, 2)} " + (f"{currency}/kWh" if currency else "a kWh")


def prices(one: Stretch, currency: str) -> str:
    """Of import."""
    return span(*one.import_price, currency)


def span(low: float, high: float, currency: str) -> str:
    """"0.21 EUR/kWh", "0.21 to 0.50 EUR/kWh"."""
    if formats.number(low, 2) == formats.number(high, 2):
        return price(high, currency)
    return f"{formats.number(low, 2)} to {price(high, currency)}"


def title(view: SiteView, zone: str | None) -> list[Content | Alarm]:
    """One sentence: who does what with the fleet, until when, why; and what is wrong."""
    return [*_doing(view, zone), *_wrong(view)]


def _doing(view: SiteView, zone: str | None) -> list[Content | Alarm]:
    if not view.drives and view.settings.controller != "off":
        return ["Nobody coordinates this fleet now"]
    if view.override is not None:
        held = view.override
        way = _kw_words(held.power_kw)
        return [f"{held.who} holds the fleet {way} until {clock(held.until, zone, view.at)}"]
    if view.settings.controller == "off":
        return ["The coordinator is off: each pack goes its own way"]
    if view.ahead is None:
        return ["The fleet cannot be planned now" if view.problem else "The first plan is made now"]
    return _planned(view, view.ahead, zone)


def _kw_words(power_kw: float) -> str:
    if abs(power_kw) < stretches.IDLE_KW:
        return "at rest"
    way = "discharging" if power_kw > 0 else "charging"
    return f"{way} at {formats.magnitude(power_kw)}"


def _planned(view: SiteView, ahead: Ahead, zone: str | None) -> list[Content | Alarm]:
    found = stretches.stretches(ahead)
    place = stretches.at(found, view.at)
    one, rest = found[place], found[place + 1:]
    who = ACTORS[ahead.plan.controller]
    many = ahead.plan.controller == "rule-based"
    begin = f"{who} {'let' if many else 'lets'} the fleet rest" if one.way == "idle" else \
        f"{who} {'have' if many else 'has'} the fleet {DOES[one.way]}"
    power: list[Content | Alarm] = [] if one.way == "idle" else [
        " ", formats.magnitude(_power_now(view.allocated, one))]
    until = f" until {clock(one.end, zone, view.at)}" if rest else " for all of the plan"
    return [begin, *power, until, f": {why(view, ahead, place, zone)}"]


def _power_now(last: Allocated | None, one: Stretch) -> float:
    """As measured; as planned where it is not."""
    known = math.nan if last is None else measured_kw(last)
    return known if math.isfinite(known) and known * one.fleet_kw > 0 else one.fleet_kw


def measured_kw(last: Allocated) -> float:
    """Of all packs together, NaN where not all of them tell."""
    return sum((share.power_kw for share in last.shares), 0.0) if last.shares else math.nan


def why(view: SiteView, ahead: Ahead, place: int, zone: str | None) -> str:
    """The reason of a stretch, from prices, PV and what the controller says a kWh is worth."""
    found = stretches.stretches(ahead)
    one, rest = found[place], found[place + 1:]
    if one.way == "idle":
        return _why_rest(view, rest, zone)
    held = _held_by_limit(ahead, one)
    if held:
        return held
    return _why_charge(view, ahead, one, zone) if one.way == "charging" else \
        _why_discharge(ahead, one, view.currency)


def _held_by_limit(ahead: Ahead, one: Stretch) -> str:
    """A limit, or the reserve, that the fleet works for."""
    for binding in stretches.binding_in(ahead.plan, one.steps):
        if one.way == "discharging" and binding.limit in ("import limit", "import peak"):
            return f"it keeps the connection below the {binding.limit}"
        if one.way == "charging" and binding.limit == "export limit":
            return "it keeps the connection below the export limit"
        if one.way == "charging" and binding.limit == "reserve":
            return f"it fills the reserve of {formats.number(ahead.reserve_pct)} %"
    return ""


def _why_rest(view: SiteView, rest: Sequence[Stretch], zone: str | None) -> str:
    later = next((one for one in rest if one.way != "idle"), None)
    if later is None:
        return "nothing ahead is worth the wear"
    when, costs = clock(later.start, zone, view.at), prices(later, view.currency)
    if later.way == "discharging":
        return f"from {when} on power costs {costs}"
    if later.net_kw < 0:
        return f"from {when} on PV is left over"
    return f"from {when} on power costs {costs}"


def _why_charge(view: SiteView, ahead: Ahead, one: Stretch, zone: str | None) -> str:
    currency = view.currency
    if -one.net_kw * (1 + KEPT) >= abs(one.fleet_kw):
        return f"it stores PV that would earn {price(one.export_price, currency)}"
    dear = stretches.dear_from(ahead, one.last, DEARER * one.import_price[1])
    if dear is not None:
        when = clock(stretches.moment(ahead.plan, dear), zone, view.at)
        costs = price(float(ahead.outlook.import_price[dear]), currency)
        return f"power costs {prices(one, currency)} now and {costs} from {when} on"
    worth = _worth(ahead, one)
    if worth > one.import_price[1]:
        return (f"power costs {prices(one, currency)}, a stored kWh is worth "
                f"{formats.number(worth, 2)}")
    return WISHED


def _why_discharge(ahead: Ahead, one: Stretch, currency: str) -> str:
    worth = _worth(ahead, one)
    if worth < one.import_price[1]:
        return (f"power costs {prices(one, currency)}, a stored kWh is worth "
                f"{formats.number(worth, 2)}")
    if one.net_kw > 0:
        return f"power from the grid would cost {prices(one, currency)}"
    return WISHED


def _worth(ahead: Ahead, one: Stretch) -> float:
    known = ahead.plan.energy_worth
    return math.nan if known is None else float(known[one.first:one.last].mean())


def wrong(view: SiteView) -> list[str]:
    """What a person has to look at, each in a few words; [] when all is well."""
    told = []
    if view.fallback:
        told.append("the controller fell back")
    if view.problem and view.drives:
        told.append("planning has a problem")
    undelivered = 0 if view.allocated is None else len(view.allocated.undelivered)
    if undelivered:
        told.append(f"{formats.counted(undelivered, 'pack')} "
                    f"{'does' if undelivered == 1 else 'do'} not deliver")
    if view.today is not None and view.today.violations:
        told.append("packs were measured beyond their limits "
                    f"{formats.counted(view.today.violations, 'time')} today")
    return told


def lacking(view: SiteView) -> list[str]:
    """What is less than was asked for, without being wrong."""
    told = []
    if view.left_out:
        told.append(f"{formats.counted(len(view.left_out), 'pack')} left out")
    missed = () if view.ahead is None else view.ahead.plan.exceeded
    if len(missed) == 1:
        told.append(f"{missed[0].limit} missed by {formats.number(missed[0].by)} {missed[0].unit}")
    elif missed:
        told.append(f"{len(missed)} wishes not met")
    return told


def _wrong(view: SiteView) -> list[Content | Alarm]:
    parts: list[Content | Alarm] = []
    if wrong(view):
        parts += ["; ", Alarm(", ".join(wrong(view)))]
    if lacking(view):
        parts += ["; ", ", ".join(lacking(view))]
    return parts


def captured(day: DayCost | None) -> str:
    """"captured 91 % of what was possible", "" where it is not known."""
    if day is None or not math.isfinite(day.captured_pct):
        return ""
    return f"captured {formats.number(day.captured_pct)} % of what was possible"


def signed(kw: float) -> str:
    """"12.3 kW out", "4.0 kW in", "0 W": a power with its direction in a word."""
    if not math.isfinite(kw):
        return formats.MISSING
    size = formats.magnitude(kw)
    if abs(kw) < stretches.IDLE_KW:
        return "at rest"
    return f"{size} {'out' if kw > 0 else 'in'}"


def grid(kw: float) -> str:
    """"120 kW from the grid"."""
    if not math.isfinite(kw):
        return formats.MISSING
    return f"{formats.magnitude(kw)} {'from' if kw >= 0 else 'to'} the grid"


def sentence(text: str) -> str:
    """With a capital, unless it begins with a name of a machine, and a full stop."""
    begin = capital(text) if text.partition(" ")[0].isalpha() else text
    return begin + ("" if begin.endswith((".", "?")) else ".")


def capital(text: str) -> str:
    """Its first letter alone."""
    return text[:1].upper() + text[1:]


def silent(one: Silence | None) -> str:
    """`silence` as a sentence, "" where nothing is known."""
    told = silence(one)
    return f"Without a coordinator {told}." if told else ""


def silence(one: Silence | None) -> str:
    """What packs do without a coordinator, and when: "packs rest 60 s after their last order". An
    order is a word too: a silence that is borne for longer than it holds ends nothing."""
    if one is None or not one.packs:
        return ""
    does = {0: "packs rest", one.packs: "packs follow their learnt policy"}.get(
        one.learnt, f"packs rest, {formats.number(one.learnt)} of {formats.number(one.packs)} "
        "follow their learnt policy,")
    ends = [f"{_seconds(one.order_s)} after their last order"] if math.isfinite(one.order_s) else []
    if math.isfinite(one.least_s) and not one.least_s >= one.order_s:
        upto = f" to {_seconds(one.most_s)}" if one.most_s > one.least_s else ""
        ends.append(f"{_seconds(one.least_s)}{upto} after the centre's last word of any kind")
    first = ", whichever comes first" * (len(ends) > 1)
    untold = [f"{formats.counted(one.untold, 'pack')} "
              f"{'does' if one.untold == 1 else 'do'} not say how long silence is borne"] \
        if one.untold else []
    return "; ".join([f"{does} {' or '.join(ends)}{first}", *untold] if ends else untold)


def _seconds(seconds: float) -> str:
    """In seconds up to five minutes: "90 s" is not "1 min"."""
    return f"{formats.number(seconds)} s" if seconds < 300.0 else formats.age(seconds)


def held(kw: float) -> str:
    """"at rest", "discharging at 40 kW"."""
    return _kw_words(kw)


def baseline(name: str) -> str:
    """"No battery", "MPC"."""
    return {"mpc": "MPC", "rl": "RL", "sac": "SAC", "dagger": "DAgger",
            "rllib": "SAC on a Ray cluster"}.get(name, capital(name))
