"""Which alarms a person has selected, and which groups are unfolded: of this viewer alone."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from components.alarms import choice
from core.alarms.journal import AlarmJournal
from core.alarms.records import Instance, Key
from core.alarms.states import State

PICKED, UNFOLDED, LINKED = "alarms_picked", "alarms_unfolded", "alarms_linked"


def id_of(key: Key) -> str:
    """As it stands in the address."""
    return f"{key.element}|{key.condition}"


def key_of(text: str) -> Key:
    """Any text gives a key; whether there is such an alarm is another question."""
    element, _, condition = text.rpartition("|")
    return Key(element, condition)


def picked() -> dict[Key, None]:
    """In the order in which they were selected."""
    found: dict[Key, None] = st.session_state.setdefault(PICKED, {})
    return found


def pick(keys: Iterable[Key]) -> None:
    """Only these; the address names one that is alone."""
    st.session_state[PICKED] = dict.fromkeys(keys)
    _write()


def toggle(key: Key, widget: str) -> None:
    """Callback of a row's checkbox."""
    if st.session_state[widget]:
        picked()[key] = None
    else:
        picked().pop(key, None)
    _write()


def _write() -> None:
    keys = list(picked())
    if len(keys) == 1:
        st.query_params[choice.ALARM] = id_of(keys[0])
        st.session_state[LINKED] = id_of(keys[0])
    else:
        st.query_params.pop(choice.ALARM, None)
        st.session_state[LINKED] = None


def of(journal: AlarmJournal) -> list[Instance]:
    """The selected ones that are still open or hidden."""
    found = (journal.get(key) for key in picked())
    return [one for one in found if one is not None and one.state is not State.NORMAL]


def follow_address() -> Key | None:
    """The alarm of a link that came since the last run."""
    asked = st.query_params.get(choice.ALARM)
    if asked is None or asked == st.session_state.get(LINKED):
        return None
    st.session_state[LINKED] = asked
    return key_of(asked)


def unfolded() -> set[Key]:
    found: set[Key] = st.session_state.setdefault(UNFOLDED, set())
    return found


def fold(key: Key) -> None:
    """Callback: the other way round."""
    unfolded().symmetric_difference_update({key})
