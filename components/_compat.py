"""The private corners of Streamlit that Orrery touches, all in one place."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import NoReturn

import streamlit as st
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session, exists, get_instance
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx

MOST_UNSENT = 300
"""Messages that may wait to be sent to a browser before no more is made; a whole page has up to
160."""
UNTIL_HEARD_S = 0.002
"""From one look whether an ended run's last word is heard to the next."""


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


def send_all_that_was_said() -> None:
    """Keep what a fragment said before it runs again, where it was not sent yet.

    Streamlit 1.67 drops it. On a slow machine that is part of a page which the browser does not
    know yet, so that a hole is left in it; the browser ends with "Bad delta path index" or "'setIn'
    cannot be called on an ElementNode", and no part of the page goes on. What is kept is written
    over by what follows.
    """
    original = ForwardMsgQueue.clear
    if hasattr(original, "plain"):
        return

    def clear(self: ForwardMsgQueue, retain_lifecycle_msgs: bool = False,
              fragment_ids_this_run: list[str] | None = None) -> None:
        none_of_them = None if fragment_ids_this_run is None else []
        original(self, retain_lifecycle_msgs, none_of_them)

    clear.plain = original  # type: ignore[attr-defined]
    ForwardMsgQueue.clear = clear  # type: ignore[method-assign]


def stay_on_the_page() -> None:
    """Run a fragment on the page where the session is, not where the browser was when it asked.

    A browser of Streamlit 1.67 asks for the next run of a fragment a moment before it learns that
    the page changed. The run would tell it the page of before, whereupon it forgets all of the new
    one; what comes next ends it as in `send_all_that_was_said`. A fragment of the page before is
    no longer known and not run.
    """
    original = ScriptRunner._run_script
    if hasattr(original, "plain"):
        return

    def run(self: ScriptRunner, asked: RerunData) -> None:
        here = self._pages_manager.current_page_script_hash
        if asked.fragment_id_queue and here:
            asked = replace(asked, page_script_hash=here)
        original(self, asked)

    run.plain = original  # type: ignore[attr-defined]
    ScriptRunner._run_script = run  # type: ignore[method-assign]


def hear_it_out() -> None:
    """Let a fragment's next run wait until all is heard that the run before it said.

    Where the run before has just ended, Streamlit 1.67 gives the session a new runner at once and
    drops what the old one said and nobody read yet: a whole page, or the word that leads a person
    out who signs out. So a press has no effect where a fragment asks a moment after it.
    """
    original = AppSession._create_scriptrunner
    if hasattr(original, "plain"):
        return

    def create(self: AppSession, asked: RerunData) -> None:
        if self._scriptrunner is None:
            original(self, asked)
        else:  # it takes no more requests; the session lets go of it at its last word
            self._event_loop.call_later(UNTIL_HEARD_S, again, self, asked)

    def again(self: AppSession, asked: RerunData) -> None:
        known = not asked.fragment_id or self.has_fragment(asked.fragment_id)
        if self._state is AppSessionState.SHUTDOWN_REQUESTED or not known:
            return
        if self._scriptrunner is None or not self._scriptrunner.request_rerun(asked):
            self._create_scriptrunner(asked)

    create.plain = original  # type: ignore[attr-defined]
    AppSession._create_scriptrunner = create  # type: ignore[method-assign]


def say_no_more_than_is_heard() -> None:
    """Leave out a fragment's timed run while MOST_UNSENT of what was said waits to be sent.

    A browser asks by its clock, whether it has heard the answer to what it asked before or not.
    Where the machine is too slow for all who look, what waits grew without end: 170,000 messages
    after 50 minutes with twenty of them, and 20 MB a minute. The browser asks again.
    """
    original = AppSession.request_rerun
    if hasattr(original, "plain"):
        return

    def request_rerun(self: AppSession, asked: ClientState | None) -> None:
        timed = asked is not None and asked.is_auto_rerun
        if not (timed and len(self._browser_queue) > MOST_UNSENT):
            original(self, asked)

    request_rerun.plain = original  # type: ignore[attr-defined]
    AppSession.request_rerun = request_rerun  # type: ignore[method-assign]


def stop_here() -> NoReturn:
    """End a page early, as st.stop does, and forget the fragments of what stood here before.

    Streamlit 1.67 forgets them at the end of a whole page alone. What one of them says later has no
    place in this page: the browser ends with "Cannot set a node at a delta path", and at the door
    it is said to somebody who is out.
    """
    context = get_script_run_ctx()
    if context is not None:
        context.fragment_storage.clear(context.shared.new_fragment_ids.snapshot())
    st.stop()


def open_sessions() -> int | None:
    """How many pages people have open; None before the server runs."""
    return get_instance()._session_mgr.num_active_sessions() if exists() else None


def heard_at() -> tuple[str, Sequence[str]]:
    """The address where this server listens, "" for all networks, and the names that it answers to.
    "" too where these hold a pattern: then the gateway's own list alone can tell names apart."""
    names = [str(one).lower() for one in st.get_option("server.allowedHosts")]
    if any("*" in one for one in names):
        return "", ()
    return str(st.get_option("server.address") or ""), names


def is_signed_in(cookies: Mapping[str, str]) -> bool:
    """Whether a browser with these cookies is that of somebody whom Streamlit's sign-in let in, as
    `st.user.is_logged_in` says it in a page. The cookie must be of this site's own address."""
    from streamlit.auth_util import get_origin_from_redirect_uri
    from streamlit.web.server.starlette import starlette_websocket as server
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    told = server._get_signed_cookie_with_chunks(dict(cookies), USER_COOKIE_NAME)
    origin = get_origin_from_redirect_uri()
    if told is None or origin is None:
        return False
    return server._parse_decoded_user_cookie(told, origin).get("is_logged_in") is True


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
