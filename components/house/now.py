"""The house at this moment: title and strip, tiles, flow picture, battery details."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components import blocks, formats
from components.api_client import Client
from components.blocks import Content, Html
from components.formats import Text
from components.house import choice, flow, past, words
from core.devices import Device
from core.household import Household
from core.houses import House
from core.told import Told

MISSING_DEVICE = ("No device of this house is configured.",
                  "Add a source with this house's id under \u201cConnect a source\u201d.")
Lines = Mapping[str, NDArray[np.float32]]


def head(client: Client, house: House) -> None:
    """The answer as a title, and who is live, stale or lost since when."""
    household = client.household(house.id)
    zone = st.context.timezone
    marks: list[Content] = [
        words.strip(device.label, client.status_of(device), freshest(household, device),
                    client.now(), zone)
        for device in household.devices if device.role != "tariff"]
    blocks.show(blocks.title(*words.title(household), sub=[
        *marks, house.label, formats.local_time(client.now(), zone)]))
    lost = dict.fromkeys(words.troubles([client.status_of(device)
                                         for device in household.devices]))
    for trouble in lost:
        blocks.show(blocks.state_box("cloud_off", "A source does not answer", trouble,
                                     error=True))


def freshest(household: Household, device: Device) -> float:
    """Age of a device's newest channel; NaN = never heard [s]."""
    told = [household.told_by(device, name) for name in device.quantities]
    ages = [one.age_s for one in told if one is not None and math.isfinite(one.age_s)]
    return min(ages, default=math.nan)


def nothing() -> None:
    """In place of the page: the site has no house."""
    blocks.show(blocks.title("No house is connected"),
                blocks.state_box("home", "This site has no house",
                                 "The Energy Monitor shows a house with a battery.",
                                 "Connect its Victron or Sol-Ark, or add a source of kind "
                                 "\u201chouse\u201d, a simulated one, to orrery.toml."))


def moment(client: Client, house: House) -> None:
    """What changes from second to second."""
    tiles(client, house)
    battery(client, house)


def tiles(client: Client, house: House) -> None:
    """Four tiles, the flow picture and the battery's details."""
    household = client.household(house.id)
    if not household.devices:
        blocks.show(blocks.state_box("link_off", "Nothing is connected", *MISSING_DEVICE))
        return
    with st.container(key="house_pair"):
        with st.container(key="house_tiles", gap="xsmall"):
            blocks.show(blocks.heading("Now"), _real_time(client, household))
        with st.container(key="panel_flow", gap=None):
            told = household.told("soc_pct")
            blocks.show(blocks.heading("Where the power flows"),
                        flow.picture(words.flows(household),
                                     math.nan if told is None else told.usable))


def _real_time(client: Client, household: Household) -> Html:
    told = {name: household.told(name) for name in
            ("soc_pct", "solar_power_kw", "load_power_kw", "grid_power_kw")}
    lines = past.sparks(client, [one.channel for one in told.values() if one is not None])
    now = words.flows(household)
    cards = [
        _card("State of charge", told["soc_pct"], _percent, lines,
              note=formats.direction_word(words.battery_way(household))),
        _card("Solar", told["solar_power_kw"], formats.power, lines, hue="solar",
              note=words.one_way_word(now.solar, "producing")),
        _card("Load", told["load_power_kw"], formats.power, lines, hue="load",
              note=words.one_way_word(now.load, "using")),
        _card("Grid", told["grid_power_kw"], formats.magnitude, lines, hue="grid",
              note=words.grid_word(now.grid), icon=_grid_icon(now.grid))]
    return blocks.grid(cards, columns=2)


def _percent(soc_pct: float) -> Text:
    return formats.quantity(soc_pct, "%", 1)


def _grid_icon(kw: float) -> str:
    return {"importing": "south", "exporting": "north"}.get(words.grid_word(kw), "")


def _card(label: str, told: Told | None, written: Callable[[float], Text], lines: Lines, *,
          hue: str = "", note: str = "", icon: str = "") -> Html:
    """One reading with its age and last hours; a stale one says that it is not live."""
    if told is None:
        return blocks.card(label, Text(formats.MISSING, ""), note="not measured here")
    return blocks.card(label, written(told.value), hue=hue, age_s=told.age_s, icon=icon,
                       note="last value, not live" if told.stale else note,
                       history=lines.get(told.channel), stale=told.stale)


def battery(client: Client, house: House) -> None:
    """Voltage, current, power and temperature, each with its state; then the source."""
    household = client.household(house.id)
    device = battery_device(household)
    if device is None:
        return
    blocks.show(blocks.heading("Battery details", device.label),
                blocks.grid(_battery_cards(client, household, device), columns=4),
                _source_line(client, household, device))


def battery_device(household: Household) -> Device | None:
    """The one that measures the battery's voltage."""
    told = household.told("voltage_v") or household.told("soc_pct")
    return None if told is None else told.device


def _battery_cards(client: Client, household: Household, device: Device) -> list[Html]:
    house = household.house
    told = {name: household.told_by(device, name) for name in
            ("voltage_v", "current_a", "battery_power_kw", "temperature_c")}
    lines = past.sparks(client, [one.channel for one in told.values() if one is not None])
    volts, amps, kw, celsius = (math.nan if one is None else one.usable
                                for one in told.values())
    way = words.battery_way(household)
    voltage = words.voltage_word(volts, house.nominal_v, house.chemistry)
    warmth = words.temperature_word(celsius)
    faced = choice.factor(device.native_sign)
    return [
        _detail("Voltage", told["voltage_v"], "V", 2, voltage.word, lines,
                icon="error" if voltage.check else ""),
        _detail("Current", told["current_a"], "A", 1, formats.direction_word(way), lines,
                factor=faced, hue=formats.direction_hue(way), icon=formats.direction_icon(way)),
        _detail("Power", told["battery_power_kw"], "W", 0,
                f"{formats.direction_word(way)}, {words.load_word(kw, house.capacity_kwh)}"
                if way in ("charging", "discharging") else formats.direction_word(way),
                lines, factor=1000 * faced, hue=formats.direction_hue(way),
                icon=formats.direction_icon(way)),
        _detail("Temperature", told["temperature_c"], "°C", 1,
                f"{words.fahrenheit(celsius)}, {warmth.word}" if math.isfinite(celsius)
                else warmth.word, lines, icon="device_thermostat" if warmth.check else "")]


def _detail(label: str, told: Told | None, unit: str, decimals: int, word: str,
            lines: Lines, *, factor: float = 1.0, hue: str = "",
            icon: str = "") -> Html:
    if told is None:
        return blocks.card(label, Text(formats.MISSING, unit), note="not measured here")
    line = lines.get(told.channel)
    return blocks.card(label, formats.quantity(told.value * factor + 0.0, unit, decimals),
                       hue=hue, icon=icon, age_s=told.age_s, stale=told.stale,
                       note="last value, not live" if told.stale else word,
                       history=None if line is None else line * factor)


def _source_line(client: Client, household: Household, device: Device) -> Html:
    """"Victron GX, by MQTT. Last updated 2 seconds ago. Healthy"."""
    status = client.status_of(device)
    age_s = freshest(household, device)
    state = words.state_of(status, age_s)
    health = "Healthy" if state == "live" else f"Check the connection: {state}"
    budget = ""
    if status.polling is not None and status.polling.allowed:
        budget = (f" · {status.polling.requests} of {status.polling.allowed} requests "
                  "this hour")
    seconds = formats.MISSING if not math.isfinite(age_s) else formats.counted(
        max(int(age_s), 0), "second") if age_s < 60 else formats.age(age_s)
    return blocks.note(f"Source: {device.label}, {status.info.label} ({status.info.kind}) · "
                       f"last updated {seconds.replace('no seconds', '0 seconds')} ago · "
                       f"{health}{budget}")
