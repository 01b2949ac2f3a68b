"""To leave the server, broker or device of a source and come back, on a person's word."""

from __future__ import annotations

import streamlit as st

from components import blocks, operator
from components.api_client import LocalClient
from core.actors import LOOKS
from core.alarms.records import AuditEntry
from core.errors import OrreryError

HELP = "Leave it and come back"
ACTION = "reconnect"


def button(client: LocalClient, source: str, label: str, key: str, done: str,
           nobody: str = "") -> str:
    """One press is enough. What came of it in words: `done`, why not, or "" where nobody pressed.
    nobody: why there is no connection."""
    who = operator.name(client) or LOOKS
    why = nobody or operator.refused(client)
    pressed = st.button(blocks.markdown(label), key=key, icon=":material/sync:",
                        disabled=bool(why), help=why or HELP)
    if not pressed or why:
        return ""
    try:
        _reconnect(client, source, who)
    except OrreryError as error:
        return str(error)
    return done


def _reconnect(client: LocalClient, source: str, who: str) -> None:
    """Audited before it is done, with the source's name as the element; also that it was refused.
    """
    state = next(one.state for one in client.snapshot().sources if one.info.name == source)
    client.audit(AuditEntry(client.now(), who, ACTION, source, "", "", state, "connects anew"))
    try:
        client.reconnect(source)
    except OrreryError as error:
        client.audit(AuditEntry(client.now(), who, f"{ACTION}: outcome", source, "", "", "",
                                str(error)))
        raise
