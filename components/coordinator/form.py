"""The widgets of the objectives begin anew under other keys: a browser keeps what it shows for a
key that it knows, whatever the server forgets."""

from __future__ import annotations

import streamlit as st

PREFIX, NUMBER, SEEN = "co_", "coordinator_form", "coordinator_preview"


def key(name: str) -> str:
    """Of a widget of this form."""
    number = st.session_state.get(NUMBER, 0)
    return f"{PREFIX}{name}" if number == 0 else f"{PREFIX}{name}_{number}"


def forget() -> None:
    """What was moved but not applied; for callbacks, and before the first widget."""
    for one in [one for one in st.session_state if str(one).startswith(PREFIX)]:
        del st.session_state[one]
    st.session_state.pop(SEEN, None)
    st.session_state[NUMBER] = st.session_state.get(NUMBER, 0) + 1
