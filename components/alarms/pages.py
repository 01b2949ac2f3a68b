"""Long lists in pages: where a viewer is, also when a link or a shorter list moves him."""

from __future__ import annotations

import streamlit as st

from components import blocks, formats


def current(name: str, rows: int, per_page: int) -> int:
    """The page that is shown, from 1; never beyond the last."""
    return min(int(st.session_state.get(_widget(name), _start(name))), last(rows, per_page))


def last(rows: int, per_page: int) -> int:
    return max(1, -(-rows // per_page))


def go_to(name: str, page: int) -> None:
    """A new widget begins there: an old one keeps what its viewer pressed."""
    move = st.session_state.get(f"{name}_move", (0, 1))[0] + 1
    st.session_state[f"{name}_move"] = (move, page)


def show(name: str, rows: int, per_page: int) -> None:
    """Nothing where all fits on one page."""
    pages = last(rows, per_page)
    if pages == 1:
        return
    with st.container(key=f"{name}_pages", horizontal=True, vertical_alignment="center"):
        st.pagination(pages, key=_widget(name), default=min(_start(name), pages))
        blocks.show(blocks.note(f"{formats.number(rows)} rows, {per_page} a page"))


def _widget(name: str) -> str:
    return f"{name}_page_{st.session_state.get(f'{name}_move', (0, 1))[0]}"


def _start(name: str) -> int:
    return int(st.session_state.get(f"{name}_move", (0, 1))[1])
