"""The devices of the recorded Victron installation: its 48 V battery and its system.

Only what the recording tells is a quantity. Its alternators and the loads on its 48 V bus tell
no power of the house's vocabulary, so load is the inverter's AC output alone, and the powers
do not add up to zero. No AC source is ever connected, so there is no grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from core.devices import Device
from core.houses import House
from core.quantities import QUANTITY
from sources.track import ChannelTrack
from sources.venus_recording import VenusBattery, VenusChannels, read_channels
from sources.venus_topics import BATTERY, PHASES, Leaves, as_told, kilowatts, quantities

BATTERY_FILE = "lynxbms1"
CHARGER_FILES = ("mppt0", "mppt1", "mppt2", "mppt3")
INVERTER_FILE = "multi"
LABEL = "Recorded house (Victron)"
CHEMISTRY = "LFP"  # what a Lynx Smart BMS is made for; the recording does not say
SYSTEM_LABEL = "Victron system"
CONNECTED = "connected"

CHARGER: Leaves = {"/Yield/Power": ("solar_power_kw", kilowatts)}
INVERTER: Leaves = {
    **{f"/Ac/Out/{phase}/P": ("load_power_kw", kilowatts) for phase in PHASES},
    **{f"/Ac/ActiveIn/{phase}/P": ("grid_power_kw", kilowatts) for phase in PHASES},
    "/Ac/ActiveIn/Connected": (CONNECTED, as_told),
}


@dataclass(frozen=True, slots=True)
class RecordedHouse:
    """devices with their channels in order; one track for each that speaks by itself."""

    house: House
    devices: tuple[Device, ...]
    tracks: tuple[ChannelTrack, ...]


@dataclass(frozen=True, slots=True)
class _Told:
    """names: the q quantities of what was told, those that it really has."""

    names: tuple[str, ...]
    channels: VenusChannels


def read_house(house_id: str, directory: Path, battery: VenusBattery,
               length_s: float) -> RecordedHouse:
    """The house in the TSV files of `directory`, whose 48 V bank is `battery`; it begins anew
    after `length_s` [s]. Raises ConfigurationError."""
    monitor = _known(quantities(BATTERY), read_channels(
        directory / f"{BATTERY_FILE}.tsv", "battery", BATTERY))
    solar = _known(quantities(CHARGER), reduce(_together, [
        read_channels(directory / f"{name}.tsv", "solarcharger", CHARGER)
        for name in CHARGER_FILES]))
    inverter = _known(*_inverter(read_channels(directory / f"{INVERTER_FILE}.tsv", "vebus",
                                               INVERTER)))
    devices = (
        Device(f"{house_id}_battery", house_id, "battery_monitor", battery.name, monitor.names,
               "charge", "counted"),
        Device(f"{house_id}_system", house_id, "inverter", SYSTEM_LABEL,
               (*solar.names, *inverter.names), "charge"))
    house = House(house_id, LABEL, ZoneInfo("UTC"),
                  battery.capacity_ah * battery.nominal_v / 1000.0, battery.nominal_v, CHEMISTRY)
    return RecordedHouse(house, devices, _tracks((monitor, solar, inverter), length_s))


def _inverter(told: VenusChannels) -> tuple[tuple[str, ...], VenusChannels]:
    """Load, and grid where an AC source is connected."""
    names = quantities(INVERTER)
    load_kw, grid_kw, connected = (
        told.values[:, names.index(name)] for name in ("load_power_kw", "grid_power_kw", CONNECTED))
    values = np.stack([load_kw, np.where(connected == 1.0, grid_kw, np.nan)], axis=1)
    return ("load_power_kw", "grid_power_kw"), VenusChannels(told.time_s, values)


def _together(one: VenusChannels, other: VenusChannels) -> VenusChannels:
    """Two services added up, a row for every second in which one of them spoke."""
    time_s = np.union1d(one.time_s, other.time_s)
    both = np.stack([told.values[np.searchsorted(told.time_s, time_s, side="right") - 1]
                     for told in (one, other)])
    known = np.isfinite(both)
    total = np.where(known, both, 0.0).sum(axis=0)
    return VenusChannels(time_s, np.where(known.any(axis=0), total, np.nan))


def _known(names: Sequence[str], told: VenusChannels) -> _Told:
    """Without what is not plausible, and without the quantities that are never told."""
    bounds: NDArray[np.float64] = np.array([QUANTITY[name].plausible for name in names])
    within = (told.values >= bounds[:, 0]) & (told.values <= bounds[:, 1])
    values = np.where(within, told.values, np.nan)
    has: NDArray[np.bool_] = np.any(np.isfinite(values), axis=0)
    return _Told(tuple(name for name, there in zip(names, has, strict=True) if there),
                 VenusChannels(told.time_s, values[:, has]))


def _tracks(told: Sequence[_Told], length_s: float) -> tuple[ChannelTrack, ...]:
    """Their channels in order; what comes after the batteries' last row is left out."""
    tracks: list[ChannelTrack] = []
    first = 0
    for one in told:
        places = np.arange(first, first + len(one.names))
        within = one.channels.time_s < length_s
        tracks.append(ChannelTrack(places, one.channels.time_s[within],
                                   one.channels.values[within], length_s))
        first += len(one.names)
    return tuple(tracks)
