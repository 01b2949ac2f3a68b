"""All packs: the answer as a title, then the rows of one screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import streamlit as st

from components import blocks, formats, scripted
from components.api_client import LocalClient
from components.blocks import Content
from components.fleet import choice
from components.fleet.lines import line
from components.fleet.standing import (
    NOT_JUDGED,
    TRIPPED,
    Standings,
    Wish,
    standings,
    wanted,
)
from core.direction import direction
from core.twin.study import Judged

TABLE = "fleet_table"
SCRIPT = Path(__file__).with_name("table.js")
ROWS = 50
HEADS = (("name", "Pack"), ("alarms", "Safety"), ("power", "Power"), ("charge", "Charge"),
         ("cell", "Worst cell"), ("temperature", "Temp."), ("", "Limits, charge | discharge"),
         ("age", "Heard"))
AGAIN = "fleet_again"


def now(client: LocalClient) -> Standings:
    """All packs of the site as they stand."""
    return standings(client.topology, client.snapshot(), client.packs(), client.now(),
                     judged(client))


def judged(client: LocalClient) -> Mapping[str, Judged]:
    """By the digital twin, by element; nothing where there is none."""
    site = client.twin_site()
    return NOT_JUDGED if isinstance(site, str) else site.judged


def nothing() -> None:
    """A site without packs says how it gets some."""
    blocks.show(
        blocks.title("No fleet here"),
        blocks.state_box("battery_unknown", "orrery.toml names no source with packs",
                         "Packs come from edge devices over MQTT, or are simulated in here.",
                         blocks.join("Add a source of kind ", blocks.code("packs"), " or ",
                                     blocks.code("fleet-mqtt"), ", or start ",
                                     blocks.code("make fleet"), ".")))


def head(client: LocalClient) -> None:
    """"24 packs, 1.1 MW discharging, 1 tripped, 2 silent"."""
    all_ = now(client)
    parts: list[Content | blocks.Alarm] = [formats.counted(len(all_.packs), "pack")]
    parts += _power(all_)
    tripped, silent = int(all_.of(TRIPPED).sum()), int(all_.silent.sum())
    if tripped:
        parts += [", ", blocks.Alarm(f"{tripped} tripped")]
    if silent:
        parts.append(f", {silent} silent")
    stopped, derated = int(all_.of(("zero",)).sum()), int(all_.of(("derate",)).sum())
    if stopped:
        parts.append(f", {stopped} at 0 A")
    if derated:
        parts.append(f", {derated} derated")
    blocks.show(blocks.title(*parts, sub=_links(client)))


def _power(all_: Standings) -> list[Content | blocks.Alarm]:
    known = np.isfinite(all_.power_kw)
    if not known.any():
        return [", no data"]
    total = float(all_.power_kw[known].sum())
    capacity = sum(pack.capacity_kwh or 0.0 for pack in all_.packs)
    way = direction(total, capacity)
    if way == "idle":
        return [", idle"]
    return [", ", formats.magnitude(total), f" {formats.direction_word(way)}"]


def _links(client: LocalClient) -> list[Content]:
    """What comes in, and through what."""
    told: list[Content] = []
    for count in client.fleet_counts():
        mark = "live" if count.connected else "silent"
        told += [blocks.pill(mark, count.site if count.connected
                             else f"{count.site}: no connection"),
                 f"{count.rate:.0f} messages/s"]
        if count.missing:
            told.append(blocks.strong(f"{formats.number(count.missing)} missing"))
    return [*told, formats.local_time(client.now(), st.context.timezone)]


def show(client: LocalClient, wish: Wish) -> None:
    """One screen of rows; a press opens the pack."""
    if st.session_state.pop(AGAIN, False):
        st.rerun()
    all_ = now(client)
    order = wanted(all_, wish)
    if not order.size:
        blocks.show(blocks.state_box("filter_alt_off", "No pack fits",
                                     "The filter above leaves none over.", "Change it."))
        return
    first = min(choice.page(), (order.size - 1) // ROWS) * ROWS
    topology, snapshot = client.topology, client.snapshot()
    shown = order[first:first + ROWS]
    scripted.table("orrery.fleet", SCRIPT)(
        key=TABLE, height="content", on_act_change=_act,
        data={"heads": HEADS,
              "rows": [line(topology, snapshot, all_, int(place)) for place in shown],
              "first": first, "size": ROWS, "total": int(order.size), "sort": wish.sort,
              "chosen": choice.chosen(),
              "count": f"{first + 1} to {first + shown.size} of {formats.number(order.size)}"})


def _act() -> None:
    if scripted.took(TABLE, choose=choice.choose, sort_by=choice.sort_by, go_to=choice.go_to):
        st.session_state[AGAIN] = True
