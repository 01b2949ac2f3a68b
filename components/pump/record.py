"""What happened, with its export; and what is known of the pump itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from components import blocks, formats
from components.api_client import Client
from components.blocks import Html
from components.pump import past, words
from core.devices import Device
from core.heatpump.events import Event, events
from core.heatpump.report import Report, Window
from core.quantities import QUANTITY

SHOWN, EXPORTED = 20, 5000


def show(client: Client, device: Device, shown: Window) -> None:
    """The newest events of the shown time."""
    report = past.told(client, device, shown)
    found = events(report.log, report.pump, SHOWN)
    with st.container(key="panel_pump_events", gap=None):
        with st.container(key="pump_events_head", horizontal=True, vertical_alignment="center"):
            blocks.show(blocks.heading("Events", f"the newest {len(found)}" if found else ""))
            st.download_button(
                "CSV", lambda: csv(report), f"{device.id}_events.csv", "text/csv",
                icon=":material/download:", key="pump_events_csv", on_click="ignore",
                disabled=not found, help="All events of the shown time, time in UTC")
        if not found:
            blocks.show(blocks.state_box("event_busy", "No events",
                                         "Nothing was switched in this time."))
            return
        blocks.show(Html('<div class="o o-rows">' + "".join(
            _row(one, report) for one in found) + "</div>"))


def _row(one: Event, report: Report) -> str:
    at = formats.local_time(datetime.fromtimestamp(one.time_s, UTC), st.context.timezone)
    return (f'<div class="o-row o-evt"><span class="mut">{at}</span>'
            f"<span>{blocks.symbol(words.event_icon(one))} "
            f"{blocks.html(words.event(one, report.pump))}</span></div>")


def csv(report: Report) -> str:
    """One row an event: time, what in words, kind, change, value with its unit."""
    found = events(report.log, report.pump, EXPORTED)
    return pd.DataFrame({
        "time_utc": pd.to_datetime([one.time_s for one in found], unit="s", utc=True),
        "event": [words.event(one, report.pump) for one in found],
        "kind": [one.kind for one in found], "change": [one.what for one in found],
        "value": [one.value for one in found],
        "unit": [one.unit for one in found]}).to_csv(index=False)


def data_tool(client: Client, device: Device, shown: Window) -> None:
    """Exactly what the charts are drawn from."""
    st.download_button("CSV", lambda: log_csv(past.told(client, device, shown)),
                       f"{device.id}.csv", "text/csv", icon=":material/download:",
                       key="pump_csv", on_click="ignore",
                       help="All readings of the shown time, means of each step, time in UTC; "
                            "what an energy log tells stands in the hour that it is of")


def log_csv(report: Report) -> str:
    log = report.log
    table = pd.DataFrame({"time_utc": pd.to_datetime(log.time_s, unit="s", utc=True),
                          **log.columns, **log.hours})
    return table.to_csv(index=False, float_format="%.7g")


def about(device: Device) -> None:
    """What this pump tells, what it does not, and what nobody verified."""
    pump = device.pump
    if pump is None:
        return
    with st.expander(blocks.markdown(f"About this pump: {pump.brand} {pump.model}"),
                     icon=":material/info:"):
        told = ", ".join(QUANTITY[name].label for name in device.quantities)
        lines = [("Read by", f"{pump.interface}, profile {pump.profile}."),
                 ("It tells", f"{told}."),
                 *((f"It does not tell {QUANTITY[name].label.lower()}", f"{why}.")
                   for name, why in pump.absent.items()
                   if name in QUANTITY and name not in device.quantities),
                 ("Alarm table", f"{pump.alarms.cited}.")]
        st.markdown("\n\n".join(f"**{name}:** {blocks.markdown(text)}" for name, text in lines))
        if pump.doubts:
            st.markdown("**Not verified:**\n" + "\n".join(
                f"- {blocks.markdown(doubt)}" for doubt in pump.doubts))
