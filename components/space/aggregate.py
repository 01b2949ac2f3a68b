"""Together: what the parts of an element are as one, now and over the stored history."""

from __future__ import annotations

import math
from datetime import timedelta

import streamlit as st

from components import blocks, describe, formats, parts, session
from components.api_client import LocalClient
from components.blocks import Html
from components.formats import Text
from components.space import settings, units
from components.space.extremes import is_of_one_chemistry
from components.space.settings import Settings
from core.aggregate import Amount, Past, Stock, Together, past, stock, together
from core.clock import from_epoch
from core.direction import direction
from core.errors import OrreryError
from core.reach import end_pct
from core.topology import Topology
from core.worst import Worst

WINDOW = timedelta(days=7)
KEEP_S = 60
SLOW_FROM = 20_000
"""Elements below, beyond which stored energy is reckoned only every `SLOW_S`."""
SLOW_S, LIVE_S = 10.0, 1.0
MOST_POINTS = 12_000
HINT_CYCLES = "Equivalent full cycles: throughput over twice the nominal capacity"
LONGEST_H = 1000.0
WORTH_TELLING = 0.005
"""Share of the energy that must be stranded to be told."""


def show(client: LocalClient, place: int) -> None:
    """The panel of what is selected, else of the place itself; refreshed by itself."""
    every_s = max(settings.current().every_s, client.period_s, LIVE_S)
    parts.live(_panel, "space-sums_together", every_s, client, place)


def _panel(client: LocalClient, place: int) -> None:
    topology = client.topology
    chosen = session.selected_node(topology, place)
    node = place if chosen is None else chosen
    with st.container(key="panel_together", gap=None):
        name = describe.name(topology, node) if node else "the whole site"
        if topology.is_leaf(node):
            blocks.show(blocks.heading(f"Together: {name}"),
                        blocks.note("It has no parts: its own values are all there is."))
            return
        blocks.show(blocks.heading(f"Together: {describe.counted_children(topology, node)} of "
                                   f"{name}", _window_words(_past_of(client, node))),
                    blocks.grid(_cards(client, node), columns=6))


def _cards(client: LocalClient, node: int) -> list[Html]:
    topology, frame, shown = client.topology, client.snapshot().frame, settings.current()
    now, alike = together(topology, frame, node), is_of_one_chemistry(topology, node)
    return [*_flow_cards(now, topology, node), *_mean_cards(now, shown, alike),
            *_energy_cards(_stock_of(client, node)), *_past_cards(_past_of(client, node))]


def _flow_cards(now: Together, topology: Topology, node: int) -> list[Html]:
    known = f"{now.known_parts} of {now.parts} parts known"
    way = direction(now.parts_kw, float(topology.capacity_kwh[node]))
    own = f", measured {formats.magnitude(now.power_kw)}" if topology.measured[node] else ""
    return [blocks.card("Sum of power", formats.magnitude(now.parts_kw), direction=way,
                        below=known + own),
            blocks.card("Capacity", formats.energy(now.capacity_kwh), below="nominal")]


def _mean_cards(now: Together, shown: Settings, alike: bool) -> list[Html]:
    soc = formats.value("soc_pct", now.soc_pct)
    return [
        blocks.card("State of charge", soc, below=_ends(now, "soc_pct", shown),
                    help="Mean, weighted by capacity"),
        blocks.card("State of health", formats.value("soh_pct", now.soh_pct),
                    below="weighted by capacity"),
        blocks.card("Temperature", units.reading("temperature_c", now.temperature_c,
                                                shown.temperature),
                    below=_ends(now, "temperature_c", shown), help="Mean of the parts"),
        blocks.card("Cell voltages", _spread(now.spreads.get("voltage_v"), alike),
                    below=_ends(now, "voltage_v", shown) + ", several chemistries" * (not alike),
                    help="Highest less lowest of all cells of one chemistry"),
    ]


def _spread(found: Worst | None, alike: bool) -> Text:
    """Cells of different chemistries cannot be compared."""
    return units.difference("voltage_v", math.nan if found is None or not alike else found.delta)


def _ends(now: Together, metric: str, shown: Settings) -> str:
    """"21.3 to 38.0 °C"."""
    found = now.spreads.get(metric)
    if found is None:
        return "spread not known"
    low, high = (units.reading(metric, value, shown.temperature)
                 for value in (found.low, found.high))
    return f"{low.number} to {high}"


def _energy_cards(found: Stock) -> list[Html]:
    return [_amount_card("Can be drawn", found.left, f"above {end_pct('discharge'):.0f} %",
                         _to_go(found) if found.towards == "discharging" else ""),
            _amount_card("Can be charged", found.room, f"below {end_pct('charge'):.0f} %",
                         _to_go(found) if found.towards == "charging" else "")]


def _amount_card(label: str, amount: Amount, edge: str, note: str) -> Html:
    """With what weaker cells strand, or of how many parts it is known."""
    lost_kwh = amount.whole_kwh - amount.usable_kwh
    below = [edge]
    if amount.known < amount.parts:
        below.append(f"known of {amount.known} of {amount.parts} parts")
    elif lost_kwh > WORTH_TELLING * amount.whole_kwh:
        below.append(f"{formats.energy(lost_kwh)} stranded")
    return blocks.card(label, formats.energy(amount.usable_kwh), below=", ".join(below), note=note)


def _to_go(found: Stock) -> str:
    end = "empty" if found.towards == "discharging" else "full"
    if not math.isfinite(found.hours):
        return ""
    if found.hours > LONGEST_H:
        return f"{end} in more than {LONGEST_H:.0f} h"
    return f"{end} in {formats.age(found.hours * 3600)}"


def _past_cards(found: Past | str) -> list[Html]:
    if isinstance(found, str):
        return []
    out = formats.energy(found.discharged_kwh)
    into = formats.energy(found.charged_kwh)
    share = found.efficiency.share
    return [
        blocks.card("Throughput", formats.energy(found.throughput_kwh),
                    below=f"{into} in, {out} out"),
        blocks.card("Full cycles", formats.quantity(found.cycles, "", 2), below="equivalent",
                    help=HINT_CYCLES),
        blocks.card("Round trip", formats.quantity(100 * share, "%", 1),
                    below=found.efficiency.reason or "corrected for the change of charge"),
    ]


def _window_words(found: Past | str) -> str:
    if isinstance(found, str):
        return found
    return (f"history: {formats.age(found.hours * 3600)}, {100 * found.coverage:.0f} % of it "
            "known")


def _stock_of(client: LocalClient, node: int) -> Stock:
    """Energy moves slowly: of a large site it is kept for some seconds."""
    topology, frame = client.topology, client.snapshot().frame
    if topology.size < SLOW_FROM:
        return stock(topology, frame, node)
    slot = frame.time.timestamp() // SLOW_S
    held: tuple[tuple[object, ...], Stock] | None = st.session_state.get("space_stock")
    key = (id(topology), node, slot)
    if held is None or held[0] != key:
        held = key, stock(topology, frame, node)
        st.session_state["space_stock"] = held
    return held[1]


def _past_of(client: LocalClient, node: int) -> Past | str:
    """History up to now or to the moment that is shown, or why there is none."""
    slot = int(client.now().timestamp()) // KEEP_S
    return _remembered(client, id(client.topology), client.topology.ids[node], slot)


@st.cache_data(ttl=2 * KEEP_S, max_entries=500, show_spinner=False)
def _remembered(_client: LocalClient, site: int, node_id: str, slot: int) -> Past | str:
    """site: which topology it is an element of; slot: the minute."""
    try:
        return _told(_client, node_id, float(slot * KEEP_S))
    except OrreryError as error:
        return f"history cannot be read: {error}"


def _told(client: LocalClient, node_id: str, end_s: float) -> Past | str:
    health = client.history()
    if health is None or health.oldest is None:
        return "no history is kept"
    end = from_epoch(end_s)
    start = max(end - WINDOW, health.oldest)
    if end - start < timedelta(seconds=2 * KEEP_S):
        return "history has only begun"
    power, soc = client.series([node_id], ["power_kw", "soc_pct"], start, end, MOST_POINTS)
    capacity_kwh = float(client.topology.capacity_kwh[client.topology.index(node_id)])
    return past(power, soc, capacity_kwh, start.timestamp(), end_s)
