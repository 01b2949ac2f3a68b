"""A line of the audit for each sign-in by a provider: one, however many tabs and runs it has."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

import streamlit as st

from components import operator
from components.api_client import LocalClient
from core.alarms.records import AlarmQuery
from core.errors import OrreryError
from core.operators import provided_name, signed_at

log = logging.getLogger(__name__)

ACTION = "signed in"
MOST = 10_000


class Known:
    """Sign-ins that this process has seen, the newest `MOST`; for any threads."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], None] = {}
        self._lock = threading.Lock()

    def is_new(self, who: str, why: str) -> bool:
        """Once of each."""
        with self._lock:
            if (who, why) in self._seen:
                return False
            self._seen[who, why] = None
            if len(self._seen) > MOST:
                del self._seen[next(iter(self._seen))]
            return True


@st.cache_resource(show_spinner=False)
def _known() -> Known:
    return Known()


def note(client: LocalClient, claims: Mapping[str, object]) -> None:
    """Of whom a provider let in, at each run. claims: as the provider told them."""
    who, at = provided_name(claims), signed_at(claims)
    why = "by the provider" if at is None else f"by the provider at {at.isoformat()}"
    if _known().is_new(who, why) and not (at and _is_written(client, who, why, at)):
        operator.note(client, who, ACTION, why)


def _is_written(client: LocalClient, who: str, why: str, at: datetime) -> bool:
    """False where the store cannot say it: twice is better than never."""
    if client.alarm_store is None:
        return False
    day = timedelta(days=1)
    try:
        lines = client.alarm_store.audit(AlarmQuery(at - day, client.clock.now() + day, text=why))
    except (OrreryError, OverflowError) as error:
        log.warning("whether a sign-in is in the audit already is not known: %s", error)
        return False
    return any((line.who, line.action, line.why) == (who, ACTION, why) for line in lines)
