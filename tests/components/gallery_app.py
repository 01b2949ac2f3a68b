"""A page of blocks for the browser tests: a map and rows that can be pressed."""

import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from components import blocks  # noqa: E402
from components.blocks import SystemRow  # noqa: E402
from components.site_map import Site, site_deck  # noqa: E402
from components.tokens import LOGO, PAGE_ICON  # noqa: E402

st.set_page_config("Blocks", str(PAGE_ICON), layout="wide")
theme = st.context.theme.type
blocks.show_style(theme)
st.logo(str(LOGO), size="large")
blocks.show(blocks.title("Blocks", sub=[blocks.pill("live", "Live")]))
pressed = blocks.press_systems({
    "system_0": SystemRow("<b>System 0</b>", "discharging", 412.0, 31.0, 2.0),
    "system_1": SystemRow("System 1", "charging", -20.0, 60.0, 2.0),
}, key="systems")
st.write(f"Pressed: {pressed}")
deck = site_deck([Site("@@=<b>Berlin", 52.5, 13.4, "discharging", 3),
                  Site("Oslo", 59.9, 10.7, "charging")], theme)
if deck is not None:
    st.pydeck_chart(deck, height=320, key="map")
