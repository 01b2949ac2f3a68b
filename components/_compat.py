"""The private corners of Streamlit that Orrery touches, all in one place."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager


def insist_on_home() -> None:
    """Make a page that was opened first on a fresh server run inside Home.py's frame.

    Streamlit 1.67 runs `pages/x.py` alone when its address is the first request, past any
    sign-in, theme and navigation; `st.navigation` switches that off only once Home.py ran.
    """
    if PagesManager.uses_pages_directory is not False:
        PagesManager.uses_pages_directory = False
        st.rerun()


def leave_home_to_navigation() -> None:
    """The same, before the first request: called at start where there is a start to hook."""
    PagesManager.uses_pages_directory = False
