"""The tools of the Space Balls page over a site that a test made, as AppTest runs them.

`SITE`, `PLACE`: what is shown. BEFORE: what the page does first in each run, as a callback would.
"""

from __future__ import annotations

from collections.abc import Callable

from components.api_client import LocalClient

SITE: list[LocalClient] = []
PLACE: list[int] = []
BEFORE: list[Callable[[], None]] = []


def page() -> None:
    """Tools, and the panel of the settings as if it were open."""
    import streamlit as st

    from components.space import panel, settings, tools
    from tests.components import space_tools_app

    st.session_state["page_before"] = st.session_state.get("page_now")
    st.session_state["page_now"] = st.session_state.get("page", "space_balls")
    client, place = space_tools_app.SITE[-1], space_tools_app.PLACE[-1]
    settings.follow_address(client)
    for act in space_tools_app.BEFORE:
        act()
    tools.above(client, place)
    with st.container():
        panel.show(client)


def panel_page() -> None:
    """What is together at the place."""
    from components.space import aggregate
    from tests.components import space_tools_app

    aggregate.show(space_tools_app.SITE[-1], space_tools_app.PLACE[-1])
