"""The report of a pump over a window: computed once for all who look at the same moment."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from components.api_client import Client
from core.devices import Device
from core.heatpump.report import CUSTOM, Report, Window, between, report, window

LEAST_DAYS = timedelta(days=14)


@st.cache_resource(ttl=900, max_entries=6, show_spinner=False)
def _told(_client: Client, _device: Device, device_id: str, _window: Window,
          span: tuple[float, float], past_told: float | None) -> Report:
    return report(_client.channel_series, _device, _client.house(_device.house), _window)


def told(client: Client, device: Device, shown: Window) -> Report:
    """Of a range that moves on with the time, or of the days that a person wrote. Raises
    OrreryError."""
    moved = shown if shown.key == CUSTOM else window(shown.key, client.now())
    return _told(client, device, device.id, moved, moved.span, _past_told(client))


def _past_told(client: Client) -> float | None:
    """While the simulated past is being written: how much, so that a report of less is not kept
    for longer. None once it is there."""
    work = client.backfill()
    return None if work is None or not work.running else round(work.progress, 1)


def days(client: Client, device: Device, shown: Window) -> Report:
    """For what is counted by the day: what is shown, but not less than two weeks."""
    if shown.seconds >= LEAST_DAYS.total_seconds():
        return told(client, device, shown)
    end = window("90d", client.now()).end
    return told(client, device, between(end - LEAST_DAYS, end))


def day(client: Client, device: Device) -> Report:
    """The last 24 hours, whatever the page shows."""
    return told(client, device, window("24h", client.now()))
