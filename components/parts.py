"""Parts of a page that live and fail by themselves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import ParamSpec

import streamlit as st

from components import blocks
from core.errors import OrreryError

log = logging.getLogger(__name__)

P = ParamSpec("P")

SKELETON_PX = 160
_DRAWN = "parts_drawn"


def live(part: Callable[P, None], key: str, every_s: float | None, *arguments: P.args,
         **options: P.kwargs) -> None:
    """Draw `part` now and every `every_s` seconds; what fails in it hurts no other part. `key`
    is "page_name"; the name tells a person which part it is."""
    name = key.partition("_")[2].replace("_", " ").capitalize()
    st.fragment(_awaited, run_every=every_s, key=key)(key, name, part, *arguments, **options)


def live_all(these: Mapping[str, Callable[P, None]], key: str, every_s: float | None,
             *arguments: P.args, **options: P.kwargs) -> None:
    """As `live` for several parts by name, one below the other, drawn anew together: each
    fragment of its own costs the server 5 ms more. One that fails still hurts no other."""
    st.fragment(_each, run_every=every_s, key=key)(these, *arguments, **options)


def _each(these: Mapping[str, Callable[P, None]], *arguments: P.args,
          **options: P.kwargs) -> None:
    for name, part in these.items():
        with st.container():
            guarded(name, part, *arguments, **options)


def _awaited(key: str, name: str, part: Callable[P, None], *arguments: P.args,
             **options: P.kwargs) -> None:
    with skeleton(key):
        guarded(name, part, *arguments, **options)


@contextmanager
def skeleton(key: str, height_px: int = SKELETON_PX) -> Iterator[None]:
    """Stands above what is drawn for the first time since a person came to the page."""
    waiting = st.empty()
    if _is_drawn(key):
        yield
        return
    waiting.skeleton(height=height_px)
    try:
        yield
    finally:
        waiting.empty()


def _is_drawn(key: str) -> bool:
    """Marks it as drawn."""
    page = st.session_state.get("page_now")
    drawn_on, drawn = st.session_state.get(_DRAWN, (page, set()))
    if drawn_on != page:
        drawn = set()
    known = key in drawn
    st.session_state[_DRAWN] = page, drawn | {key}
    return known


def guarded(name: str, part: Callable[P, None], *arguments: P.args,
            **options: P.kwargs) -> None:
    """Draw `part` once, with the page; what fails in it hurts no other part. name: of the part, as
    a person reads it."""
    try:
        part(*arguments, **options)
    except OrreryError as error:
        blocks.show(blocks.state_box("error", f"{name} cannot be shown", str(error),
                                     error=True))
    except Exception:  # noqa: BLE001 - one part's defect must not take the page with it
        log.exception("a part of the page failed: %s", part.__name__)
        blocks.show(blocks.state_box(
            "bug_report", f"{name}: this part of the page has a defect",
            "What happened is in the app's log; the other parts go on.",
            "Reload the page; if it stays, report it with the lines of the log.", error=True))
