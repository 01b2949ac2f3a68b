"""The sidebar: where you are, the sources and their ages, the simulated faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby

import streamlit as st

from components import blocks, describe, formats, operator, session
from components.api_client import Client, Fault, LocalClient
from components.blocks import Html
from components.space import find
from core.actors import LOOKS
from core.alarms.records import AuditEntry
from core.alarms.states import ASKING, State
from core.errors import OrreryError

SIDEBAR_PERIOD_S = 10.0
BYTES_PER_MB = 1e6
MOST_NAMED = 3


def show(client: LocalClient) -> None:
    """Everything below the navigation."""
    _breadcrumb(client)
    find.show(client)
    st.fragment(_sources, run_every=SIDEBAR_PERIOD_S, key="sidebar_sources")(client)
    if client.faults():
        _faults(client)
    operator.sign_in_button(client, "sidebar")


def _breadcrumb(client: Client) -> None:
    topology = client.topology
    if st.session_state.get("page_now") == session.page_name(session.SPACE_BALLS):
        node = session.follow_address(client).node
    else:
        node = session.place_in_session(topology)
    with st.container(key="crumbs", gap=None):
        blocks.show(blocks.heading("Where you are"))
        for step in [0, *topology.path(node)]:
            _crumb(client, step, here=step == node)


def _crumb(client: Client, node: int, *, here: bool) -> None:
    topology = client.topology
    name = topology.levels[0].plural.capitalize() if node == 0 else describe.name(topology, node)
    with st.container(key=f"crumb_{'here' if here else 'up'}_{int(topology.depth[node])}"):
        if st.button(blocks.markdown(name), key=f"crumb_{topology.ids[node]}", type="tertiary"):
            session.open_place(topology, node)


def _sources(client: LocalClient) -> None:
    if not client.is_current:
        st.rerun()
    snapshot, now = client.snapshot(), client.now()
    rows = [describe.source_row(status, now) for status in snapshot.sources]
    live = sum(not row.stale for row in rows)
    parts = [*_alarms(client), blocks.heading("Sources", f"{live} of {len(rows)} live"),
             blocks.source_rows(rows)]
    parts += _history(client)
    work = client.backfill()
    if work is not None and work.running:
        verb = "Simulating" if work.simulated else "Writing"
        parts.append(blocks.pill("simulated" if work.simulated else "live",
                                 f"{verb} the past: {100 * work.progress:.0f} %"))
    elif work is not None and work.error:
        parts.append(blocks.state_box("history_off", "The past is incomplete", work.error))
    blocks.show(*parts)


def _alarms(client: Client) -> list[Html]:
    """How many of which severity, and how many wait for somebody; some of them are gone."""
    states = Counter(one.state for one in client.journal.instances())
    asking, gone = sum(states[state] for state in ASKING), states[State.RETURNED]
    parts = [blocks.heading("Alarms", f"{asking} unacknowledged" if asking else "")]
    tiers = Counter(alarm.tier for alarm in client.snapshot().alarms.active)
    pills = [blocks.tier_pill(tier, tiers[tier]) for tier in sorted(tiers, reverse=True)]
    if pills:
        parts.append(Html(f'<div class="o o-pills">{" ".join(pills)}</div>'))
    if gone:
        parts.append(blocks.note(f"{formats.number(gone)} gone, not acknowledged"))
    return parts if pills or gone else [*parts, blocks.note("No alarms")]


def _history(client: Client) -> list[Html]:
    """How much is kept, and what is wrong with it."""
    health, error = client.history(), client.snapshot().history_error
    parts: list[Html] = []
    if error:
        parts.append(blocks.state_box("database_off", "History is off", error))
    if health is None:
        return parts
    kept = f"{health.size_bytes / BYTES_PER_MB:.0f} of {health.budget_bytes / BYTES_PER_MB:.0f} MB"
    parts.insert(0, blocks.heading("History", kept))
    if health.error and not error:
        parts.append(blocks.state_box("database_off", "History has a problem", health.error))
    if health.set_aside:
        parts.append(blocks.state_box(
            "heart_broken", f"{formats.counted(len(health.set_aside), 'damaged file')} set aside",
            ", ".join(health.set_aside[:MOST_NAMED]), "The rest is served."))
    return parts


def _faults(client: LocalClient) -> None:
    faults, why = client.faults(), _no_faults(client)
    running = [fault for fault in faults if fault.running]
    with st.popover("Simulated faults" + (f" · {len(running)}" if running else ""),
                    icon=":material/science:", width="stretch"):
        st.caption("For trying the alarms: these act on the simulated systems alone.")
        if why:
            blocks.show(blocks.note(why))
        for label, own in groupby(faults, lambda fault: fault.label):
            blocks.show(blocks.heading(label))
            for fault in own:
                st.button(_fault_words(fault), key=f"fault_{fault.source}_{fault.name}",
                          on_click=_start_fault, args=(client, fault), help=why or None,
                          disabled=fault.running or bool(why), width="stretch")
        st.button("Stop all", key="fault_stop", on_click=_stop_faults, args=(client, running),
                  disabled=not running or bool(why), width="stretch", help=why or None,
                  icon=":material/stop_circle:")


def _no_faults(client: LocalClient) -> str:
    """Why this viewer may start none, "" where they may: in the demo all is simulated, and anybody
    may try it."""
    return "" if client.config.operators.demo else operator.refused(client)


def _fault_words(fault: Fault) -> str:
    return fault.name.removeprefix("heat_pump_").replace("_", " ").capitalize()


def _start_fault(client: LocalClient, fault: Fault) -> None:
    _audited(client, "start a simulated fault", fault.source, fault.name,
             lambda: client.start_fault(fault))


def _stop_faults(client: LocalClient, running: Sequence[Fault]) -> None:
    _audited(client, "stop all simulated faults", "", ", ".join(one.name for one in running),
             client.stop_faults)


def _audited(client: LocalClient, action: str, source: str, what: str,
             do: Callable[[], None]) -> None:
    """Written down before it is done; a sign-in may have ended since the button was drawn."""
    try:
        who = operator.name(client) if client.config.operators.demo else operator.acting(client)
        client.audit(AuditEntry(client.present(), who or LOOKS, action, source, "", "",
                                "", what))
        do()
    except OrreryError as error:
        st.toast(blocks.markdown(str(error)), icon=":material/error:")
