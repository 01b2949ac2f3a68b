"""An alarm in words: where, what, since when, what became of it. No Streamlit in here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from components import blocks, describe, formats
from components.blocks import Content
from components.formats import Text
from core.alarms.records import TRIP, Hiding, Instance, Key
from core.alarms.rules import alarm_rules
from core.alarms.states import ALARMED, ASKING, WORDS, State
from core.topology import Topology
from core.vocabulary import BY_NAME

HIDDEN_WORDS = {State.SHELVED: "shelved", State.SUPPRESSED: "suppressed",
                State.OUT_OF_SERVICE: "out of service"}
_UNITS = {"v": ("V", 3), "mv": ("mV", 0), "a": ("A", 1), "c": ("°C", 1), "k": ("K", 1),
          "pct": ("%", 1), "kw": ("kW", 1), "s": ("s", 1)}


@lru_cache(maxsize=65_536)
def place(topology: Topology, element: str) -> str:
    """"System 0 · Cluster 1 · Cell 15"; the id of one that this site does not have."""
    node = topology.index_of_id.get(element)
    if node is None:
        return element
    return describe.short_name(topology, node) if node else topology.names[0]


def unbroken(text: str) -> str:
    """A place whose lines end only between elements, for rows."""
    return text.replace(" ", "\u00a0").replace("\u00a0·\u00a0", "\u00a0· ")


def condition(name: str) -> str:
    """"Too hot"."""
    words = alarm_rules().words(name)
    return words[:1].upper() + words[1:]


def what(metric: str, value: float, limit: float, name: str) -> str:
    """"Too hot: 52.1 °C, limit 50.0 °C"."""
    words = condition(name)
    if metric == "age_s":
        return f"{words}: last heard {formats.age(value)} ago"
    if math.isnan(value):
        return words
    told = f"{words}: {_joined(metric, value)}"
    return told if math.isnan(limit) else f"{told}, limit {_joined(metric, limit)}"


def what_of(one: Instance) -> str:
    return what(one.metric, one.value, one.limit, one.condition)


def _joined(metric: str, value: float) -> str:
    """No line ends between a number and its unit."""
    return str(measured(metric, value)).replace(" ", "\u00a0")


def measured(metric: str, value: float) -> Text:
    """In the unit that the metric's name ends with (law 2)."""
    if metric == "voltage_v" or metric not in BY_NAME:
        unit, decimals = _UNITS.get(metric.rpartition("_")[2], ("", 2))
        return formats.quantity(value, unit, decimals)
    return formats.value(metric, value)


def unit(metric: str) -> str:
    """For a column of its own; "" where none is known."""
    return measured(metric, 1.0).unit


def state(one: Instance, zone: str | None) -> str:
    """"acknowledged by ada", "shelved until 14:05 by ada"."""
    if one.hiding is not None:
        return _hidden(one.state, one.hiding, zone)
    by = f" by {one.acknowledged_by}" if one.acknowledged_by else ""
    return WORDS[one.state] + by


def _hidden(now: State, hiding: Hiding, zone: str | None) -> str:
    if hiding.cause is not None:
        return "suppressed, " + hiding.why.partition(":")[0]
    until = f" until {clock(hiding.until, zone)}" if hiding.until else ""
    once = " or until it is gone" if hiding.once else ""
    return f"{HIDDEN_WORDS[now]}{until}{once} by {hiding.who}"


def clock(moment: datetime, zone: str | None) -> str:
    """"14:05", of a time within a few hours."""
    return formats.local_time(moment, zone).rpartition(" ")[2]


def since(one: Instance, now: datetime) -> str:
    """Its age, "4 min"."""
    return formats.age((now - one.began).total_seconds())


def short(topology: Topology, key: Key) -> str:
    """"Cell 15, too hot"."""
    return f"{place(topology, key.element)}, {alarm_rules().words(key.condition)}"


def title(instances: Iterable[Instance]) -> list[Content | blocks.Alarm]:
    """"3 alarms, 1 trip, 2 unacknowledged"."""
    listed = [one for one in instances if one.state in ALARMED]
    if not listed:
        return ["No alarms"]
    trips = sum(one.severity >= TRIP for one in listed)
    asking = sum(one.state in ASKING for one in listed)
    words = [formats.counted(len(listed), "alarm")]
    if trips:
        words.append(formats.counted(trips, "trip"))
    words.append(f"{formats.number(asking)} unacknowledged" if asking else "all acknowledged")
    return [blocks.Alarm(", ".join(words))]


def hidden(instances: Iterable[Instance]) -> list[str]:
    """"3 shelved", "38 suppressed": what the list of open alarms leaves out."""
    counts = Counter(one.state for one in instances)
    return [f"{formats.number(counts[one])} {word}"
            for one, word in HIDDEN_WORDS.items() if counts[one]]


def by_tier(tiers: tuple[int, int, int]) -> str:
    """Of counts of info, warning and trip: "1 trip, 3 infos"."""
    named = zip(("info", "warning", "trip"), tiers, strict=True)
    told = [formats.counted(count, name) for name, count in named if count]
    return ", ".join(reversed(told)) or "none came"
