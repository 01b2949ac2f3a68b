"""One pack closely: numbers, limits and why, its cells, its alarms."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import streamlit as st

from components import blocks, describe, formats, parts, plot, session
from components.api_client import LocalClient
from components.blocks import Html, Pair
from components.drawing import Drawing
from components.fleet import board, choice
from components.fleet.lines import clock, limits, link, reason
from components.fleet.standing import SAFETY, TRIPPED, chemistry_index, estimated_soh
from components.tokens import tokens
from components.twin import choice as twins
from components.twin import words
from core.fleet.called import names_of
from core.fleet.messages import PartialLimit
from core.fleet.ports import PackState
from core.safety.derating import WAYS, LimitName
from core.safety.margins import HIGHEST, LOWEST, trip_limits
from core.safety.profile import safety_profile
from core.topology import FloatArray
from core.twin.study import Judged

CHART_PX = 132
MOST_ALARMS = 5
DEVICE_MEASURES = {"Power", "Sum of its parts", "State of health"}
"""Told in another way beside it: cells report no power, and health comes from the device or the
digital twin."""
LIMITS: Mapping[LimitName, str] = {
    "bms": "Battery management", "voltage": "Cell voltage",
    "temperature_max": "Highest temperature", "temperature_min": "Lowest temperature",
    "soc": "State of charge", "c_rate": "Rating and health", "current": "Reading of the current",
    "operator": "A person", "safety_state": "Safety state", "ramp": "Slow return"}


def head(client: LocalClient, element: str) -> None:
    """Name and state; it lives."""
    pack, node = _pack(client, element)
    if pack is None:
        blocks.show(blocks.state_box("help", "This pack is gone", "No source tells of it now."))
        return
    state = [_safety(pack)]
    if node is not None:
        snapshot = client.snapshot()
        way = describe.way(client.topology, snapshot, node)
        words = f"{formats.direction_word(way)} " + str(
            formats.magnitude(snapshot.frame.value("power_kw", node)))
        state += [blocks.direction_mark(way, None if way in ("idle", "unknown") else words),
                  *describe.alarm_pills(snapshot, node)]
    name = names_of(client.packs())[pack.site, pack.device]
    blocks.show(blocks.details(name, state, [], _note(pack)))


def show(client: LocalClient, element: str) -> None:
    """Alarms, cells and all numbers; it lives."""
    pack, node = _pack(client, element)
    if pack is None or node is None:
        return
    _alarms(client, node)
    _limits(pack)
    _cells(client, pack, node)
    topology, snapshot = client.topology, client.snapshot()
    known = [*describe.details_pairs(topology, snapshot, node),
             *describe.extreme_pairs(topology, snapshot, node)]
    pairs = [pair for pair in known if pair.label not in DEVICE_MEASURES]
    blocks.show(blocks.details("", [], [*_pairs(pack, board.judged(client)), *pairs]))


def _pack(client: LocalClient, element: str) -> tuple[PackState | None, int | None]:
    pack = next((one for one in client.packs() if one.element == element), None)
    return pack, client.topology.index_of_id.get(element)


def _safety(pack: PackState) -> Html:
    icon, word = SAFETY[pack.safety]
    if pack.safety in TRIPPED:
        return blocks.pill(3, word)
    return Html(f"<span>{blocks.symbol(icon)} {word}</span>")


def _limits(pack: PackState) -> None:
    """Everything that makes what it may take and give, the strictest first."""
    pairs = [_limit(one, place == 0) for way in WAYS
             for place, one in enumerate(pack.limits_of(way))]
    if pairs:
        blocks.show(blocks.heading("What limits it", "strictest first"),
                    blocks.details("", [], pairs))


def _limit(one: PartialLimit, in_force: bool) -> Pair:
    amps = formats.quantity(one.amps, "A", 1)
    return Pair(one.way.capitalize(),
                blocks.strong(f"{amps}, in force") if in_force else amps,
                f"{LIMITS[one.limit]}: {one.why}")


def _health(pack: PackState, judged: Mapping[str, Judged]) -> Pair:
    """Its device's word, else the digital twin's."""
    if pack.soh_pct is not None and math.isfinite(pack.soh_pct):
        return Pair("State of health", formats.quantity(pack.soh_pct, "%", 1))
    twin = estimated_soh(pack, judged)
    if twin.known:
        return Pair("State of health, estimated", formats.quantity(twin.value, "%", 1),
                    f"{words.between(twin, 1, '%')}, by the digital twin")
    return Pair("State of health", "not told",
                f"The digital twin: {words.NO_SOH}" if pack.element in judged else "")


def _pairs(pack: PackState, judged: Mapping[str, Judged]) -> list[Pair]:
    """What only its device knows, and its health."""
    asked = formats.MISSING if pack.allocation_kw is None else formats.power(pack.allocation_kw)
    pairs = [Pair("Limits", limits(pack), "charge | discharge")]
    if pack.limit_reason:
        pairs.append(Pair("Why", reason(pack)))
    pairs += [Pair("Asked for", asked), _health(pack, judged), *_timing(pack)]
    if pack.policy:
        pairs.append(Pair("Learnt policy", pack.policy, "while the coordinator is out of reach"))
    pairs += [Pair("Messages", _messages(pack)),
              Pair("Outbox", f"{formats.number(pack.pending)} waiting",
                   f"{formats.number(pack.dropped)} given up" if pack.dropped else "")]
    return pairs


def _timing(pack: PackState) -> list[Pair]:
    """How fast it sees, decides and acts: three times, none of which is another."""
    pairs = []
    if pack.decision_us is not None:
        how = {True: ", with real-time priority", False: ", without real-time priority",
               None: ""}[pack.real_time]
        pairs = [Pair("Safety decision", formats.quantity(pack.decision_us, "µs"),
                      f"from sample to trip, the longest of its last second{how}"),
                 Pair("Detection", _detection(),
                      "how long a limit of current, voltage or temperature is passed before it "
                      f"trips, by {pack.samples} samples a message; a short circuit at once")]
    if pack.opened_after_s is not None:
        pairs.append(Pair("Actuation", formats.quantity(pack.opened_after_s, "s", 2),
                          "from its last trip or stop to open contactors"))
    return pairs


def _detection() -> str:
    """Current, voltage, temperature."""
    delays = safety_profile().delays
    kinds = (delays.current, delays.voltage, delays.temperature)
    return " | ".join(formats.number(kind.set_s, 1) for kind in kinds) + "\u202fs"


def _messages(pack: PackState) -> str:
    return (f"{formats.number(pack.missing)} missing, {formats.number(pack.late)} late, "
            f"{formats.number(pack.duplicate)} twice")


def _note(pack: PackState) -> str:
    """Where it is, what runs on it."""
    told = [f"{pack.site}/{pack.device}", pack.firmware and f"firmware {pack.firmware}",
             link(pack) or "device online", clock(pack)]
    return " · ".join(part for part in told if part)


def _cells(client: LocalClient, pack: PackState, node: int) -> None:
    part = client.topology.children(node)
    volts = client.snapshot().frame.columns["voltage_v"][part]
    if not np.isfinite(volts).any():
        blocks.show(blocks.note("No voltage of a cell is known."))
        return
    low, high = float(np.nanmin(volts)), float(np.nanmax(volts))
    spread = formats.quantity(1000 * (high - low), "mV")
    blocks.show(blocks.heading("Cell voltages", f"{volts.size} cells, spread {spread}"))
    plot.show(_figure(volts, pack), key="fleet_cells", height=CHART_PX,
              alt=f"Voltage of each of {volts.size} cells, {low:.3f} to {high:.3f} V",
              view=pack.element)


def _figure(volts: FloatArray, pack: PackState) -> Drawing:
    """One dot a cell; the trip limits where they are near enough to be seen."""
    colour = tokens(st.context.theme.type)
    axis = {"showgrid": False, "zeroline": False, "tickfont": {"color": colour["text3"],
                                                             "size": 11}}
    drawing = Drawing(
        margin={"l": 4, "r": 4, "t": 6, "b": 4}, paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)", showlegend=False, hovermode="closest",
        xaxis={**axis, "automargin": True, "nticks": 6},
        yaxis={**axis, "automargin": True, "showgrid": True, "gridcolor": colour["border"],
               "nticks": 4, "tickformat": ".3f"})
    drawing.add_scatter(x=np.arange(1, volts.size + 1), y=volts, mode="markers", name="",
                        marker={"size": 3, "color": colour["text3"]},
                        hovertemplate="Cell %{x}: %{y:.3f} V")
    low, high = float(np.nanmin(volts)), float(np.nanmax(volts))
    limits = trip_limits(np.array([chemistry_index(pack.chemistry)]), np.array([math.nan]))
    for limit in (float(limits[LOWEST, 0]), float(limits[HIGHEST, 0])):
        if low - 0.1 < limit < high + 0.1:
            drawing.add_hline(limit, line={"color": colour["alarm"], "width": 1, "dash": "dot"})
    return drawing


def _alarms(client: LocalClient, node: int) -> None:
    topology, snapshot = client.topology, client.snapshot()
    part = topology.children(node)
    own = [alarm for alarm in snapshot.alarms.active
           if alarm.node == node or part.start <= alarm.node < part.stop]
    if not own:
        blocks.show(blocks.note("No alarms."))
        return
    groups = describe.alarm_groups(topology, own)
    rows = [describe.alarm_row(topology, group, client.now()) for group in groups[:MOST_ALARMS]]
    more = len(groups) - len(rows)
    blocks.show(blocks.heading("Alarms", f"{more} more" if more else ""),
                blocks.alarm_rows(rows, compact=True))


def top(client: LocalClient, pack: PackState) -> None:
    """Name and state, which live, and the ways to and fro, which do not."""
    node = client.topology.index_of_id.get(pack.element)
    with st.container(horizontal=True, wrap=False, vertical_alignment="top", key="fleet_top"):
        with st.container(key="fleet_who"):
            parts.live(head, "fleet_name", 2.0, client, pack.element)
        if st.button("Open in Space Balls", key="fleet_open", icon=":material/bubble_chart:",
                     disabled=node is None, type="tertiary") and node is not None:
            session.open_place(client.topology, node)
        if st.button("Digital twin", key="fleet_twin", icon=":material/model_training:",
                     disabled=not client.twin_has(pack.element), type="tertiary"):
            twins.open_pack(pack.element)
        if st.button("Close", key="fleet_close", icon=":material/close:", type="tertiary"):
            choice.choose(None)
            st.rerun()
