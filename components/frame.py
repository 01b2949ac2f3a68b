"""The one frame around every page: look, sign-in, navigation, sidebar."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import streamlit as st

from components import blocks, session, sidebar, sign_ins
from components._compat import (
    hear_it_out,
    insist_on_home,
    say_no_more_than_is_heard,
    send_all_that_was_said,
    stay_on_the_page,
    stop_here,
    write_theme_once,
)
from components.api_client import LocalClient, local_client
from core.errors import OrreryError
from core.runtime import is_started

LOGO = Path(__file__).with_name("logo.svg")
MARK = Path(__file__).with_name("mark.svg")
PAGE_ICON = Path(__file__).with_name("page_icon.svg")
PAGES = (
    ("pages/overview.py", "Overview", ":material/dashboard:", ""),
    ("pages/alarms.py", "Alarms", ":material/notifications:", "alarms"),
    ("pages/fleet.py", "Fleet", ":material/battery_charging_full:", "fleet"),
    ("pages/coordinator.py", "Coordinator", ":material/route:", "coordinator"),
    (session.SPACE_BALLS, "Space Balls", ":material/bubble_chart:", "space"),
    ("pages/digital_twin.py", "Digital twin", ":material/model_training:", "twin"),
    ("pages/energy_monitor.py", "Energy Monitor", ":material/bolt:", "house"),
    ("pages/heat_pump.py", "Heat pump", ":material/heat_pump:", "pump"),
    ("pages/connections.py", "Connections", ":material/hub:", "connections"),
)
"""File, title, icon, and the package of components whose style the page has beside the blocks'."""
STYLES = {session.page_name(file): package for file, _, _, package in PAGES}


def run() -> None:
    """Home.py's whole work."""
    write_theme_once()
    send_all_that_was_said()
    stay_on_the_page()
    hear_it_out()
    say_no_more_than_is_heard()
    st.set_page_config(page_title="Orrery", page_icon=str(PAGE_ICON), layout="wide")
    blocks.show_style(st.context.theme.type)
    client = _started_client_or_stop()
    _sign_in_or_stop(client)
    pages = [st.Page(file, title=title, icon=icon, url_path=session.page_name(file))
             for file, title, icon, _ in PAGES]
    page = st.navigation([_landing(pages[0]), *pages])
    blocks.show_page_style(STYLES.get(page.url_path, ""))
    st.logo(str(LOGO), size="large", icon_image=str(MARK))
    session.note_page(page.url_path)
    with st.sidebar:
        sidebar.show(client)
    page.run()


def _landing(page: st.Page) -> st.Page:
    """The address "/" leads to the first page, which so keeps an address of its own."""
    return st.Page(lambda: st.switch_page(page), title=page.title, visibility="hidden",
                   url_path="home", default=True)


def enter() -> LocalClient:
    """First line of every page: only inside the frame. Returns the client."""
    insist_on_home()
    return _client_or_stop()


def _started_client_or_stop() -> LocalClient:
    """The first one to look sees words while the engine starts, not a blank page."""
    waiting = st.empty()
    if not is_started():
        with waiting:
            blocks.show(blocks.state_box(
                "hourglass_top", "Orrery is starting",
                "It reads its configuration, opens its history and asks its sources.",
                "The page comes by itself."))
    client, error = _client()
    waiting.empty()
    return _cannot_start(error) if client is None else client


def _client_or_stop() -> LocalClient:
    client, error = _client()
    return _cannot_start(error) if client is None else client


def _client() -> tuple[LocalClient | None, str]:
    """And why there is none."""
    try:
        return local_client(), ""
    except OrreryError as error:
        return None, str(error)


def _cannot_start(why: str) -> NoReturn:
    blocks.show(blocks.state_box(icon="build", what="Orrery cannot start", why=why,
                                 do="Correct the file, then reload this page.", error=True))
    stop_here()


def _sign_in_or_stop(client: LocalClient) -> None:
    if client.sign_in_mode == "none":
        return
    signed_in = st.user.get("is_logged_in")
    if signed_in:
        sign_ins.note(client, st.user.to_dict())
        return
    if signed_in is None:
        blocks.show(blocks.state_box(
            "lock", "Sign-in is not set up",
            "orrery.toml asks for a sign-in, but .streamlit/secrets.toml has no [auth] section.",
            "Add the section of your OpenID Connect provider, then start Orrery again.",
            error=True))
    else:
        blocks.show(blocks.title("Sign in to see this site"))
        st.button("Sign in", on_click=st.login, type="primary", icon=":material/login:")
    stop_here()
