"""What limits an element, in sentences: what ends first, why, and what stays behind."""

from __future__ import annotations

import math
from collections.abc import Mapping

import streamlit as st

from components import blocks, describe, formats
from components.api_client import Client
from components.blocks import Html
from components.space import extremes, settings, units
from core.allowance import METRIC, DeviceLimit
from core.fleet.messages import SafetyState
from core.reach import Way
from core.strand import CAPACITY, CHEMISTRY, Bound, Strand, strand
from core.topology import Topology
from core.worst import NO_NODE

WAYS: tuple[Way, ...] = ("discharge", "charge")
GIVES = {"discharge": "gives", "charge": "takes"}
GIVE = {"discharge": "give", "charge": "take"}
BEHIND = {"discharge": "stay behind in its other cells",
          "charge": "stay empty in its other cells"}
END = {"discharge": "the floor is", "charge": "the ceiling is"}
HOLDING: frozenset[SafetyState | None] = frozenset({"derate", "zero", "opening", "latched"})
WHAT = {"voltage_v": "cell voltage", "temperature_c": "temperature", "soc_pct": "state of charge",
        CAPACITY: "capacity", CHEMISTRY: "chemistry"}
MODEL = ("A string is what is wired in series, such as a rack: its weakest cell ends it. Strings "
         "add up and share power by their size. Their power is 1\u00a0C, or what a device allows.")


def show(client: Client, node: int) -> None:
    """Reckoned only while it is open."""
    box = st.expander("What limits this?", key="space_limits", on_change="rerun",
                      icon=":material/speed:")
    if not box.open:
        return
    with box:
        for way in WAYS:
            _one_way(client, node, way)
        blocks.show(blocks.note(MODEL))


def _one_way(client: Client, node: int, way: Way) -> None:
    topology = client.topology
    of = strand(topology, client.snapshot().frame, node, way, devices(client, way))
    blocks.show(blocks.heading(way.capitalize()), *(
        Html(f'<div class="o o-lim">{blocks.html(text)}</div>')
        for text in sentences(topology, node, of, settings.current().temperature)))
    if of.first is None:
        return
    goal = of.first.string if of.first.leaf == NO_NODE else of.first.leaf
    if goal != node:
        st.button(f"Go to {blocks.markdown(describe.below(topology, node, goal))}",
                  key=f"limits_{way}", width="stretch", icon=":material/my_location:",
                  on_click=extremes.note_goal, args=(topology.ids[goal],))


def devices(client: Client, way: Way) -> Mapping[int, DeviceLimit]:
    """What the devices of packs allow, by their node."""
    index, found = client.topology.index_of_id, {}
    for pack in client.packs():
        amps = pack.discharge_limit_a if way == "discharge" else pack.charge_limit_a
        if amps is not None and pack.element in index:
            found[index[pack.element]] = DeviceLimit(amps, pack.limit_reason,
                                                     pack.safety in HOLDING)
    return found


def sentences(topology: Topology, node: int, of: Strand, temperature: str = "C") -> list[str]:
    """What ends first, what is held back, the sum, and what is not known."""
    found = []
    if of.first is not None:
        found.append(_first(topology, node, of.first, of.way, temperature))
    if of.held is not None:
        found.append(_held(topology, node, of.held, temperature))
    if of.strings > 1 and of.unknown < of.strings:
        found.append(_together(of))
    return found + _unknown(of)


def _first(topology: Topology, node: int, one: Bound, way: Way, temperature: str) -> str:
    who = _who(topology, node, one.string)
    if one.part == 0:
        return (f"{who} {GIVES[way]} nothing: {_why(topology, one, way, temperature)}. "
                f"{_lost(one)} out of reach.")
    most = "at most " if one.reason == "voltage" else ""
    ends = f"{way.capitalize()} ends first in {who}: "
    if one.leaf == node:
        ends = f"{who}: "
    text = (f"{ends}{_why(topology, one, way, temperature)}. "
            f"Until then it {GIVES[way]} {most}{formats.energy(one.usable_kwh)}")
    if one.leaf == one.string:
        return f"{text}."
    return f"{text}, and {formats.energy(one.stranded_kwh)} {BEHIND[way]}."


def _lost(one: Bound) -> str:
    known = [str(text) for text, value in (
        (formats.energy(one.stranded_kwh), one.stranded_kwh),
        (formats.power(one.stranded_kw), one.stranded_kw)) if math.isfinite(value)]
    return f"{' and '.join(known)} are" if known else "How much is not known, it is"


def _held(topology: Topology, node: int, one: Bound, temperature: str) -> str:
    lost = "" if math.isnan(one.stranded_kw) else (
        f" {formats.power(one.stranded_kw)} are out of reach.")
    held = "is held back" if one.reason == "device" else (
        f"may carry {100 * one.part:.0f} % of its power")
    return (f"{_who(topology, node, one.string)} {held}: "
            f"{_why(topology, one, None, temperature)}.{lost}")


def _together(of: Strand) -> str:
    known = of.strings - of.unknown
    which = f"All {formats.number(known)}" if not of.unknown else (
        f"{formats.number(known)} of {formats.number(of.strings)}")
    kw = "" if not of.stranded_kw > 0 else f" and {formats.power(of.stranded_kw)}"
    return (f"{which} strings together {GIVE[of.way]} {formats.energy(of.usable_kwh)}; "
            f"{formats.energy(of.stranded_kwh)}{kw} are stranded.")


def _unknown(of: Strand) -> list[str]:
    found = []
    if of.missing:
        told = ", ".join(f"{WHAT[one.what]} of {formats.counted(one.count, 'part')}"
                         for one in of.missing)
        found.append(f"Not known: {told}.")
    which = [f"the {words} of {formats.counted(count, 'string')}"
             for words, count in (("energy", of.unknown), ("power", of.unjudged)) if count]
    if which:
        found.append(f"No number for {' and '.join(which)}.")
    if of.nominal:
        found.append(f"{formats.counted(of.nominal, 'part').capitalize()} without a state of "
                     "health: reckoned with nominal capacity.")
    return found


def _who(topology: Topology, node: int, string: int) -> str:
    return describe.below(topology, node, string) or describe.name(topology, string)


def _why(topology: Topology, one: Bound, way: Way | None, temperature: str) -> str:
    """way: says where it ends, too."""
    if one.reason == "contactor":
        return "its contactor is open" if one.leaf == one.string else (
            f"the contactor of {describe.name(topology, one.leaf)} is open")
    if one.reason == "device":
        words = f" ({one.words})" if one.words else ""
        return f"its device allows {formats.quantity(one.value, 'A', 1)}{words}"
    metric = METRIC[one.reason]
    leaf = "it" if one.leaf == one.string else _who(topology, one.string, one.leaf)
    at = f"{leaf} is at {units.reading(metric, one.value, temperature)}"
    if way is None:
        return at
    limit = units.reading(metric, one.limit, temperature)
    return f"{at}, {END[way]} {limit}" if one.reason == "soc" else (
        f"{at}, the current ends at {limit}")
