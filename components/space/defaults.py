"""A person's own defaults of the Space Balls page.

Whoever signed in finds them again at every visit (`core.preferences`). For anybody else nothing
is kept on the server and no cookie is set: the address holds every choice, a bookmark keeps it.
"""

from __future__ import annotations

import logging
from pathlib import Path

import streamlit as st

from components import operator
from components.api_client import LocalClient
from core.errors import OrreryError
from core.preferences import PreferenceBook
from core.registry import NO_STORE

log = logging.getLogger(__name__)

_DIRECTORY, _WHO, _MINE = "space_book", "space_who", "space_mine"


@st.cache_resource(max_entries=4, show_spinner=False)
def _book_in(directory: str) -> PreferenceBook:
    return PreferenceBook(Path(directory))


def meet(client: LocalClient) -> None:
    """Find out whose session this is; once in each run of the whole page, before the rest."""
    history = client.config.history
    st.session_state[_DIRECTORY] = "" if history.kind == NO_STORE else history.directory
    who = _name(client)
    if who != st.session_state.get(_WHO) or _MINE not in st.session_state:
        st.session_state[_WHO] = who
        st.session_state[_MINE] = _read(who) if who else {}


def _name(client: LocalClient) -> str:
    """Of somebody who could be known again, else ""."""
    if st.user.get("is_logged_in"):
        return f"user {st.user.get('sub') or st.user.get('email')}"
    name = operator.name(client)
    return "" if name is None else f"operator {name}"


def _read(who: str) -> dict[str, str]:
    directory = st.session_state[_DIRECTORY]
    try:
        return _book_in(directory).of(who) if directory else {}
    except OrreryError as error:
        log.warning("own defaults: %s", error)
        return {}


def mine() -> dict[str, str]:
    """Field -> text; {} without any."""
    found: dict[str, str] = st.session_state.get(_MINE, {})
    return found


def keep(choices: dict[str, str]) -> None:
    """Instead of what was kept; {} goes back to the factory's. Only where `why_not` is "".
    Raises as `PreferenceBook.keep`."""
    _book_in(st.session_state[_DIRECTORY]).keep(st.session_state[_WHO], choices)
    st.session_state[_MINE] = choices


def why_not() -> str:
    """Why nothing can be kept for this person, and what to do; "" where it can."""
    if not st.session_state.get(_DIRECTORY):
        return "This site keeps no history and so no defaults: bookmark this page instead."
    if not st.session_state.get(_WHO):
        return "You are not signed in: bookmark this page, its address holds every choice."
    return ""
