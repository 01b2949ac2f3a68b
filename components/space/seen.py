"""The client of a page that can be turned back: as it is, or as it was at one moment.

Whoever draws asks the same questions either way; what would act on the present is refused
while the past is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn, cast

import streamlit as st

from components.api_client import Client, Fault, LocalClient
from core.alarms.groups import Group, grouped
from core.alarms.journal import AlarmJournal
from core.alarms.records import Instance, Key
from core.engine import Snapshot
from core.errors import RequestError
from core.fleet.ports import CommandLife
from core.replay import PastMoment
from core.topology import Topology

REFUSED = "The past is shown, and nothing can be done about it: press Live, then try again."
_SHOWN = "space_moment"


def show_moment(client: Client, moment: PastMoment) -> None:
    """From now on the page is about this moment."""
    st.session_state[_SHOWN] = client.topology, moment


def forget_moment() -> None:
    """The page is about the present."""
    st.session_state.pop(_SHOWN, None)


def shown_moment(client: Client) -> PastMoment | None:
    """None while live, and where the moment is of another topology: the engine was restarted."""
    held: tuple[Topology, PastMoment] | None = st.session_state.get(_SHOWN)
    return held[1] if held is not None and held[0] is client.topology else None


def hold_newest(page: Client) -> None:
    """Nothing for a client that cannot be turned back."""
    if isinstance(page, Seen):
        page.hold_newest()


class Seen:
    """`components.api_client.Client`; what is not said here is the client's own."""

    def __init__(self, live: Client) -> None:
        self._live = live
        self._newest: Snapshot | None = None

    def hold_newest(self) -> None:
        """Until the next call the present is this one frame, in all parts of the page."""
        self._newest = self._live.snapshot()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._live, name)

    @property
    def past(self) -> datetime | None:
        moment = shown_moment(self._live)
        return None if moment is None else moment.time

    def now(self) -> datetime:
        return self.past or self._live.now()

    def snapshot(self) -> Snapshot:
        moment = shown_moment(self._live)
        if moment is not None:
            return moment.snapshot
        return self._newest or self._live.snapshot()

    @property
    def journal(self) -> AlarmJournal:
        moment = shown_moment(self._live)
        if moment is None:
            return self._live.journal
        return cast(AlarmJournal, PastJournal(moment.instances, self._live.topology))

    def command(self, element: str, action: str, issuer: str, ttl_s: float = 30.0,
                power_kw: float | None = None, hold_s: float | None = None,
                policy: bytes | None = None) -> CommandLife:
        self._refuse_past()
        return self._live.command(element, action, issuer, ttl_s, power_kw, hold_s, policy)

    def start_fault(self, fault: Fault) -> None:
        self._refuse_past()
        self._live.start_fault(fault)

    def stop_faults(self) -> None:
        self._refuse_past()
        self._live.stop_faults()

    def reconnect(self, source: str) -> None:
        self._refuse_past()
        self._live.reconnect(source)

    def ask_now(self, source: str) -> None:
        self._refuse_past()
        self._live.ask_now(source)

    def _refuse_past(self) -> None:
        if self.past is not None:
            raise RequestError(REFUSED)


def seen(live: LocalClient) -> LocalClient:
    """`live` as this session sees it."""
    return cast(LocalClient, Seen(live))


class PastJournal:
    """The alarms of a moment that is over: they can be looked at."""

    def __init__(self, instances: Sequence[Instance], topology: Topology) -> None:
        self._instances, self._topology = tuple(instances), topology
        self.error, self.lost = "", 0

    def instances(self) -> tuple[Instance, ...]:
        return self._instances

    def get(self, key: Key) -> Instance | None:
        """None: normal."""
        return next((one for one in self._instances if one.key == key), None)

    def groups(self) -> list[Group]:
        return grouped(self._instances, self._topology, flood=False)

    def _refuse(self, *arguments: object, **options: object) -> NoReturn:
        raise RequestError(REFUSED)

    acknowledge = acknowledge_all = reset = comment = _refuse
    shelve = unshelve = suppress = unsuppress = out_of_service = return_to_service = _refuse
