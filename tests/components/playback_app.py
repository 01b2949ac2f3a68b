"""The row that turns a page back in time, over a site that a test made.

AppTest runs `page` in the test's own process: `CLIENTS` is what the test and the page share.
"""

from __future__ import annotations

import streamlit as st

from components import live
from components.api_client import LocalClient
from components.space import playback

CLIENTS: list[LocalClient] = []


def page() -> None:
    """The head, the row, and what the page's client tells; as pages/space_balls.py does it."""
    client = playback.client(CLIENTS[-1])
    live.head(client, 0)
    playback.bar(client)
    st.text(f"past {client.past}")
    st.text(f"number {client.snapshot().number}")
