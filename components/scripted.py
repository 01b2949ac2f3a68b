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
