"""The private corners of Streamlit that Orrery touches, all in one place."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from functools import cache

import streamlit as st
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session, exists, get_instance
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


def write_theme_once() -> None:
    """Copy the theme into the first message of each run, instead of writing it anew.

    Streamlit 1.67 looks up 300 options of six sections whenever a page or a fragment runs, as
    long as 3 ms. A change of the theme in config.toml then needs a new start.
    """
    original = app_session._populate_theme_msg
    if hasattr(original, "plain"):
        return

    @cache
    def written(section: str) -> CustomThemeConfig:
        message = CustomThemeConfig()
        original(message, section)
        return message

    def copy(message: CustomThemeConfig, section: str = "theme") -> None:
        if written(section).ByteSize():  # an empty section stays absent
            message.MergeFrom(written(section))

    copy.plain = original  # type: ignore[attr-defined]
    app_session._populate_theme_msg = copy


def open_sessions() -> int | None:
    """How many pages people have open; None before the server runs."""
    return get_instance()._session_mgr.num_active_sessions() if exists() else None


def answer_at_once() -> None:
    """Set TCP_NODELAY where this server listens, for the connections to come.

    asyncio does not for the listener that Streamlit 1.67 makes; without it each answer on a
    connection that is kept takes 40 ms. Called when the server's lifespan begins.
    """
    for number in range(256):
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as found:
                inet = found.family in {socket.AF_INET, socket.AF_INET6}
                if inet and found.getsockname()[1] == st.get_option("server.port"):
                    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
