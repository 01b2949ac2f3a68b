"""The heat pumps on the Overview: one card each, with its jump to its own page."""

from __future__ import annotations

import math
from html import escape

import streamlit as st

from components import blocks, formats
from components.api_client import Client
from components.blocks import Html, PressRow
from components.pump import past, words
from core.devices import Device
from core.errors import OrreryError
from core.heatpump.standing import state
from core.told import DeviceNow

HEAT_PUMP = "pages/heat_pump.py"
HEAD = Html('<div class="o-row hd o-pump"><span>Heat pump</span><span>Now</span>'
            '<span class="rt">COP, 24 h</span><span class="rt">Hot water</span>'
            '<span class="rt">Outdoor</span><span class="rt">Power</span><span></span>'
            '<span class="rt">Age</span></div>')


def show(client: Client) -> None:
    """Nothing where the site has none."""
    pumps = {device.id: device for device in client.heat_pumps}
    if not pumps:
        return
    blocks.show(blocks.heading("Heat pumps", "how well, and whether the water is warm"))
    rows = [PressRow(device.id, f"Open {device.label}", _row(client, device))
            for device in pumps.values()]
    pressed = blocks.press_rows(rows, key="pumps", head=HEAD)
    if pressed is not None:
        st.switch_page(HEAT_PUMP, query_params={"pump": pressed})


@st.cache_data(ttl=120, max_entries=200, show_spinner=False)
def _cop(_client: Client, device_id: str) -> float:
    """Of the last 24 hours; NaN where it is not known."""
    device = next(one for one in _client.heat_pumps if one.id == device_id)
    try:
        return past.day(_client, device).figures.cop
    except OrreryError:
        return math.nan


def _row(client: Client, device: Device) -> Html:
    now = client.device_now(device)
    found, alarm = state(now), words.alarm(now)
    stale = not now.age_s <= client.status_of(device).info.stale_after_s
    tier = " t3" if alarm else ""
    pills = blocks.pill(3, alarm) if alarm else ""
    return Html(
        f'<div class="o-row o-pump{" old" if stale else ""}{tier}">'
        f'<span class="nm">{escape(device.label)}</span>'
        f'<span class="sta">{blocks.symbol(words.STATE_ICONS[found])} {found}</span>'
        f'<span class="num">{formats.number(_cop(client, device.id), 1)}</span>'
        f'<span class="num">{_reading(now, "hot_water_c")}</span>'
        f'<span class="num out">{_reading(now, "outdoor_c")}</span>'
        f'<span class="num pow">{blocks.html(formats.power(now.value("electric_power_kw")))}'
        f'</span><span class="alc">{pills}</span>'
        f'<span class="agc">{formats.age(now.age_s)}</span></div>')


def _reading(now: DeviceNow, quantity: str) -> str:
    return str(blocks.html(formats.quantity(now.value(quantity), "°C", 1)))
