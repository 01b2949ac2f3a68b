"""The parts of the Fleet page that ask and command, over a site that a test made.

AppTest runs `page` in the test's own process: `SITE` and `ASKED` are what the test and the page
share. AppTest has no dialogs that stay open: what stands in one is drawn on the page instead.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from components import confirm, operator
from components.fleet import commands, orders
from components.fleet.orders import Target
from tests.components.fleet_site import AuditedClient

SITE: list[AuditedClient] = []
ASKED: list[tuple[Target, str, float | None, float | None]] = []


def page() -> None:
    """One pack's orders, the whole site's, the second step, and what became of them."""
    client = SITE[-1]
    operator.sign_in_button(client)
    orders.tools(client, orders.of_pack(client, client.packs()[0]), "pack")
    orders.site_tools(client)
    if ASKED:
        _second_step(client)
    commands.show(client)


def spheres_page() -> None:
    """The packs of a site as spheres."""
    from components.fleet import spheres
    from tests.components import fleet_app

    spheres.show(fleet_app.SITE[-1])


def detail_page() -> None:
    """The first pack closely."""
    from components.fleet import detail
    from tests.components import fleet_app

    client = fleet_app.SITE[-1]
    detail.show(client, client.packs()[0].element)


def _second_step(client: AuditedClient) -> None:
    step = orders.step(client, *ASKED[-1])
    if "token" not in st.session_state:
        st.session_state["token"] = confirm.issue(client, step, operator.name(client) or "Anna")
    confirm.second_step(client, step, st.session_state["token"],
                        partial(orders.send, client, *ASKED[-1]))
