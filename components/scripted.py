"""Small components of our own: one JavaScript file beside the module that draws with it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st


@cache
def component(name: str, script: Path) -> Any:
    """What mounts the component `name`, in the page's own styles."""
    return st.components.v2.component(name, js=script.read_text(encoding="utf-8"),
                                      isolate_styles=False)


def pressed(key: str) -> tuple[str, str] | None:
    """What was pressed in the table `key`, and on which row or column; everything in it came over
    the wire (law 11)."""
    told = st.session_state[key].act
    kind, what = (told.get("kind"), told.get("id")) if isinstance(told, dict) else (None, None)
    return (kind, what) if isinstance(kind, str) and isinstance(what, str) else None
