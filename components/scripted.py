"""Small components of our own: one JavaScript file beside the module that draws with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

TABLE = Path(__file__).with_name("table.js")


@cache
def component(name: str, script: Path) -> Any:
    """What mounts the component `name`, in the page's own styles."""
    return _made(name, script)


@cache
def table(name: str, script: Path) -> Any:
    """As `component`, of a table of packs: `script` says what is in a row."""
    return _made(name, TABLE, script)


def _made(name: str, *scripts: Path) -> Any:
    text = "\n".join(script.read_text(encoding="utf-8") for script in scripts)
    return st.components.v2.component(name, js=text, isolate_styles=False)


def pressed(key: str) -> tuple[str, str] | None:
    """What was pressed in the table `key`, and on which row or column; everything in it came over
    the wire (law 11)."""
    told = st.session_state[key].act
    kind, what = (told.get("kind"), told.get("id")) if isinstance(told, dict) else (None, None)
    return (kind, what) if isinstance(kind, str) and isinstance(what, str) else None


def screen_of(told: str) -> int | None:
    """The screen of rows that was asked for, None for what is no number of one."""
    return int(told) if told.isascii() and told.isdigit() and len(told) < 7 else None


def took(key: str, *, choose: Callable[[str], None], sort_by: Callable[[str], None],
         go_to: Callable[[int], None]) -> bool:
    """Do what was pressed in the table `key`; False where nothing was told."""
    found = pressed(key)
    if found is None:
        return False
    kind, what = found
    if kind == "open":
        choose(what)
    elif kind == "sort":
        sort_by(what)
    elif kind == "page" and (asked := screen_of(what)) is not None:
        go_to(asked)
    return True
