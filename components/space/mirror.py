"""Widgets that show a choice which may also change elsewhere: by a link, browser's back, a jump.

A value that Python puts into a widget's state reaches the browser in one message alone; where
another run follows at once it is lost, and the browser answers with the widget's default. So a
widget is made with its value as the default, and anew, under another key, when the choice moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import streamlit as st

_WIDGETS = "space_widgets"

_Held = dict[str, tuple[int, object]]


@dataclass(frozen=True, slots=True)
class Mirror:
    """key: of the widget. default: what it was made with."""

    key: str
    default: Any


def mirror(field: str, value: object) -> Mirror:
    """The widget of a field that now shows `value`; its key is "space_FIELD_n"."""
    held = cast(_Held, st.session_state.setdefault(_WIDGETS, {}))
    version, default = held.get(field, (0, value))
    key = _key(field, version)
    if st.session_state.get(key, default) != value:
        version, default = version + 1, value
        key = _key(field, version)
    held[field] = version, default
    return Mirror(key, default)


def taken(field: str) -> Any:
    """What the person has chosen in the widget of a field: for its callback."""
    version, _ = cast(_Held, st.session_state[_WIDGETS])[field]
    return st.session_state[_key(field, version)]


def _key(field: str, version: int) -> str:
    return f"space_{field}_{version}"
