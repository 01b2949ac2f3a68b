"""The parts of the Overview."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components import blocks, charts, describe, formats, session, trends
from components.api_client import Client
from components.blocks import Html, SystemRow
from components.formats import Text
from components.house import comparison, words
from components.site_map import site_deck
from core.errors import OrreryError
from core.ports import Series
from core.topology import GRID_ID
from core.worst import worst

HISTORY_CACHE_S = 8
SPARK_S, SPARK_POINTS = 3600, 120
DAY_S = 86400
MOST_ALARMS = 4
MAP_HEIGHT_PX = 262
ALARMS = "pages/alarms.py"
ENERGY_MONITOR = "pages/energy_monitor.py"


def cards(client: Client) -> None:
    """The site's numbers."""
    blocks.show(blocks.grid([_power_card(client), _soc_card(client), _stored_card(client),
                             _heat_card(client), _heard_card(client)], columns=5))


def _power_card(client: Client) -> Html:
    topology, frame = client.topology, client.snapshot().frame
    way = describe.way(topology, client.snapshot(), 0)
    return blocks.card("Battery power", formats.magnitude(frame.value("power_kw", 0)),
                       hue=formats.direction_hue(way), age_s=float(frame.age_s[0]), direction=way,
                       history=recent(client, "power_kw"))


def _soc_card(client: Client) -> Html:
    frame = client.snapshot().frame
    return blocks.card("State of charge", formats.value("soc_pct", frame.value("soc_pct", 0), 0),
                       age_s=float(frame.age_s[0]), note="mean by capacity",
                       history=recent(client, "soc_pct"))


def _stored_card(client: Client) -> Html:
    topology, frame = client.topology, client.snapshot().frame
    part = topology.children(0)
    stored_kwh = np.where(frame.stale[part], np.nan,
                          topology.capacity_kwh[part] * frame.columns["soc_pct"][part] / 100)
    known = np.isfinite(stored_kwh)
    total_kwh = float(stored_kwh[known].sum()) if known.any() else math.nan
    full_kwh = float(topology.capacity_kwh[part][known].sum())
    return blocks.card("Stored energy", formats.energy(total_kwh), age_s=float(frame.age_s[0]),
                       note=f"of {formats.energy(full_kwh)} nominal")


def _heat_card(client: Client) -> Html:
    topology, snapshot = client.topology, client.snapshot()
    found = worst(topology, snapshot.frame, 0, "temperature_c")
    if found is None:
        return blocks.card("Hottest cell", Text(formats.MISSING, "°C"), note="no reading")
    hot = found.high_node
    alarmed = int(snapshot.alarms.worst_tier[hot]) > 1
    return blocks.card("Hottest cell" if describe.is_cell(topology, hot) else "Hottest battery",
                       formats.value("temperature_c", found.high),
                       age_s=float(snapshot.frame.age_s[hot]), alarm=alarmed,
                       icon="device_thermostat", note=describe.short_name(topology, hot))


def _heard_card(client: Client) -> Html:
    topology, frame = client.topology, client.snapshot().frame
    leaves = topology.leaves(0)
    heard = int((~frame.stale[leaves]).sum())
    return blocks.card("Elements heard", Text(formats.number(heard), ""),
                       stale=heard == 0, age_s=float(frame.age_s[0]),
                       note=f"of {formats.number(leaves.size)} cells and batteries")


@st.cache_data(ttl=HISTORY_CACHE_S, show_spinner=False)
def _past(_client: Client, span_s: float, points: int) -> list[Series]:
    """Power and state of charge of the site; [] without history. Raises OrreryError."""
    end = _client.now()
    return _client.series([GRID_ID], ["power_kw", "soc_pct"], end - timedelta(seconds=span_s),
                          end, points)


def recent(client: Client, metric: str) -> NDArray[np.float32] | None:
    """The last hour of the site for a sparkline; None where there is none: a history that
    cannot be read is told by the chart below."""
    try:
        found = _past(client, SPARK_S, SPARK_POINTS)
    except OrreryError:
        return None
    return next((one.mean for one in found if one.metric == metric and one.mean.size), None)


def systems(client: Client) -> None:
    """One card a system: alarmed first, silent last; each with its jump."""
    blocks.show(blocks.heading("Systems", "alarmed first, silent last"))
    topology, snapshot = client.topology, client.snapshot()
    rows = {topology.ids[node]: describe.system_row(topology, snapshot, node)
            for node in describe.worst_first(topology, snapshot)}
    full_kw = describe.full_power_kw(topology.capacity_kwh[topology.children(0)])
    pressed = blocks.press_systems(rows, key="systems", full_kw=full_kw)
    if pressed is not None:
        session.open_place(topology, topology.index(pressed))


def houses(client: Client) -> None:
    """One card a house, each with its jump to the Energy Monitor."""
    if not client.houses:
        return
    blocks.show(blocks.heading("Houses", "battery, and what feeds the house"))
    rows = {house.id: _house_row(client, house.id) for house in client.houses}
    full_kw = describe.full_power_kw(house.capacity_kwh for house in client.houses)
    pressed = blocks.press_systems(rows, key="houses", full_kw=full_kw, head=blocks.HOUSE_HEAD)
    if pressed is not None:
        st.switch_page(ENERGY_MONITOR, query_params={"house": pressed})


def _house_row(client: Client, house_id: str) -> SystemRow:
    household = client.household(house_id)
    told = household.told("battery_power_kw") or household.told("soc_pct")
    pills = tuple(blocks.pill("warning", f"{device}: {word}")
                  for device, word in comparison.alerts(client, house_id))
    sentence = "".join(str(part) for part in words.title(household))
    return SystemRow(
        household.house.label, words.battery_way(household),
        household.value("battery_power_kw"), household.value("soc_pct"), household.age_s,
        stale=told is None or told.stale, tier=2 if pills else 0, pills=pills, note=sentence)


def alarms(client: Client) -> None:
    """The worst alarms, newest first, each with its jump; nothing where there are none."""
    topology, snapshot = client.topology, client.snapshot()
    active = snapshot.alarms.active
    if not active:
        return
    blocks.show(blocks.heading("Active alarms", formats.counted(len(active), "alarm")))
    groups = describe.alarm_groups(topology, active)
    shown = {str(place): group for place, group in enumerate(groups[:MOST_ALARMS])}
    rows = {place: describe.alarm_row(topology, group, client.now())
            for place, group in shown.items()}
    pressed = blocks.press_alarms(rows, key="alarms")
    if st.button("All alarms" if len(groups) <= MOST_ALARMS else
                 f"All alarms, {len(groups) - MOST_ALARMS} more", key="all_alarms",
                 icon=":material/notifications:", type="tertiary"):
        st.switch_page(ALARMS)
    if pressed is not None:
        session.open_element(topology, shown[pressed].worst.node)


def site_chart(client: Client) -> None:
    """24 hours of the whole site."""
    st.fragment(_site_chart, run_every=10.0, key="overview_day")(client)


def _site_chart(client: Client) -> None:
    end_s = client.now().timestamp()
    span, zone = (end_s - DAY_S, end_s), st.context.timezone
    with st.container(key="panel_day", gap=None):
        blocks.show(blocks.heading("Last 24 hours", blocks.legend(trends.POWER_LEGEND)),
                    *trends.past_note(client))
        try:
            found = _past(client, DAY_S, trends.MOST_POINTS)
        except OrreryError as error:
            trends.unreadable(error)
            return
        if not found:
            trends.no_history(client)
        elif charts.has_data(found[0]):
            figure = charts.trend_power_soc(*found, theme=st.context.theme.type, zone=zone,
                                            span=span)
            charts.show(figure, key="overview_power", alt=charts.alt(found[0], "Power", span,
                                                                     zone))
        else:
            trends.empty(client, 0)


def site_map(client: Client) -> None:
    """Where the systems are, for those that have coordinates."""
    if client.topology.places:
        st.fragment(_site_map, run_every=10.0, key="overview_map")(client)


def _site_map(client: Client) -> None:
    deck = site_deck(describe.sites(client.topology, client.snapshot()), st.context.theme.type,
                     height_px=MAP_HEIGHT_PX)
    with st.container(key="panel_map", gap=None):
        blocks.show(blocks.heading("Sites", "north is up"))
        st.pydeck_chart(deck, height=MAP_HEIGHT_PX, key="site_map")
