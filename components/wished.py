"""What a press in a table asks of a widget above it, kept until that widget is drawn.

A callback that writes the widget's own key loses what it wrote where the browser asked for another
fragment meanwhile: what the browser believes of all widgets comes with that request, and Streamlit
1.67 gives it to the run of the whole page that follows. A key of our own is in no such request.
"""

from __future__ import annotations

import streamlit as st

_AFTER = "_asked"


def ask(key: str, value: object) -> None:
    """For callbacks: the widget `key` is to have this value from the next run of the page on."""
    st.session_state[key + _AFTER] = value


def give(key: str) -> None:
    """Right before the widget `key` is drawn."""
    asked = key + _AFTER
    if asked in st.session_state:
        st.session_state[key] = st.session_state[asked]
        del st.session_state[asked]
