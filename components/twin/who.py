"""Who changes what counts for a pack, and its line in the audit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from components import blocks, operator
from components.twin.subject import TwinClient
from core.actors import LOOKS
from core.alarms.records import AuditEntry
from core.errors import OrreryError


def name(client: TwinClient) -> str:
    """Of the operator, "" of somebody who only looks."""
    return operator.name(client) or ""


def why_not(client: TwinClient) -> str:
    """Why this viewer may change nothing that counts, "" where they may: where nobody signs in,
    anybody may."""
    return operator.refused(client)


def button(client: TwinClient, label: str, **options: Any) -> bool:
    """A button of `st.button`'s options for those who may change what counts. It does nothing for
    others, nor where a sign-in ended since it was drawn."""
    mine = not why_not(client)
    return st.button(label, disabled=not mine, **options) and mine


def note(client: TwinClient, element: str, action: str, words: str) -> None:
    """A line of the audit; where it cannot be kept, the screen says so, for nothing is commanded
    by it."""
    try:
        client.audit(AuditEntry(client.now(), name(client) or LOOKS, action, element, "",
                                words[:500], "", ""))
    except OrreryError as error:
        st.toast(blocks.markdown(str(error)), icon=":material/error:")


def changed(client: TwinClient, element: str, action: str, words: str,
            change: Callable[[], None]) -> bool:
    """Make a change and note it; False, and words on the screen, where it cannot be kept."""
    try:
        change()
    except OrreryError as error:
        st.toast(blocks.markdown(str(error)), icon=":material/error:")
        return False
    note(client, element, action, words)
    return True
