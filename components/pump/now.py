"""The pump at this moment: title and strip, findings, the picture."""

from __future__ import annotations

import math

import streamlit as st

from components import blocks, formats
from components.api_client import Client
from components.blocks import Content
from components.house import words as house_words
from components.pump import past, schematic, words
from core.devices import Device
from core.errors import OrreryError
from core.heatpump.report import Window
from core.heatpump.standing import active_alarms, state
from core.told import DeviceNow


def head(client: Client, device: Device) -> None:
    """The answer as a title; what it does, since when it was heard, what is wrong."""
    now, zone = client.device_now(device), st.context.timezone
    found = state(now)
    alarm = words.alarm(now)
    marks: list[Content] = [
        house_words.strip(device.label, client.status_of(device), now.age_s, client.now(), zone),
        blocks.pill("", found.capitalize()) if found != "unknown" else "",
        blocks.pill(3, alarm) if alarm else _calm(now),
        _outdoor(now), formats.local_time(client.now(), zone)]
    blocks.show(blocks.title(*words.title(now, _cop(client, device)),
                             sub=[mark for mark in marks if mark]))
    _troubles(client, device)


def _cop(client: Client, device: Device) -> float:
    """Of the last 24 hours; what cannot be read is told by its chart."""
    try:
        return past.day(client, device).figures.cop
    except OrreryError:
        return math.nan


def _calm(now: DeviceNow) -> str:
    """What stands in place of an alarm."""
    return "No alarms" if active_alarms(now).known else "alarms not known"


def _outdoor(now: DeviceNow) -> Content:
    told = now.told("outdoor_c")
    return "" if told is None else f"outdoor {formats.quantity(told.usable, '°C', 1)}"


def _troubles(client: Client, device: Device) -> None:
    """A lost source, and readings that were refused, each in one box."""
    for trouble in dict.fromkeys(house_words.troubles([client.status_of(device)])):
        blocks.show(blocks.state_box("cloud_off", "The source does not answer", trouble,
                                     error=True))
    problems = client.problems_of(device)
    if problems:
        blocks.show(blocks.state_box(
            "rule", f"{formats.counted(len(problems), 'reading')} refused",
            "; ".join(problems.values()), "The others are shown.", error=True))


def nothing() -> None:
    """In place of the page: the site has no heat pump."""
    blocks.show(blocks.title("No heat pump is connected"),
                blocks.state_box("heat_pump", "This site has no heat pump",
                                 "This page shows a Thermia, IVT or NIBE, or another brand that "
                                 "a profile describes.",
                                 "Connect it through its Husdata H60/H66 or its InfluxDB, or add "
                                 "a source of kind \u201cheat-pump\u201d, a simulated one."))


def picture(client: Client, device: Device, shown: Window) -> None:
    """The live schematic, whatever time is shown."""
    with st.container(key="panel_schematic", gap=None):
        now = client.device_now(device)
        blocks.show(blocks.heading("Now", device.pump.model if device.pump else ""),
                    schematic.picture(now))
