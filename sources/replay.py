"""The recorded site: real batteries and a house, replayed in a loop at their own pace.

One system holds a Victron installation, whose BMSes report no cells, and a JK pack of 16
cells. The installation is a house too (`sources/recorded_house.py`). Origin and licences:
`recordings/README.md`. A moment of the replay shows the last row at or before it; a node and a
channel count as heard only when their device really sent a row (law 4).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from core.devices import Device
from core.errors import ConfigurationError, GiveUpError
from core.frames import Reading
from core.houses import House, HouseId
from core.ports import SourceInfo
from core.topology import FloatArray, IndexArray, Level, NodeSpec, Topology
from core.vocabulary import METRIC_NAMES
from sources.jk_recording import CELLS, JkPack, read_jk
from sources.recorded_house import RecordedHouse, read_house
from sources.track import Timeline, Track
from sources.venus_recording import STEP_S, VenusBattery, read_venus

RECORDINGS = Path(__file__).parent / "recordings"
JK_FILE = "JK-BD6A17S6P-7.1.0H-BLE-JK02.csv"

PERIOD_S = 1.0
STALE_AFTER_S = 31.0  # three frames of the slower device, the JK at 10.24 s
LFP_NOMINAL_V = 3.2  # of one cell [V]; 16 of them are the pack's 51.2 V
NEEDED_LEVELS = ("system", "cluster", "rack", "cell")
ATTRIBUTION = (
    "Recordings: Victron Energy venus-docker (MIT) and syssi/esphome-jk-bms (Apache-2.0)"
)
NO_CELLS = "This BMS reports no cells, so there is nothing further down."
_ID = re.compile(r"[A-Za-z0-9_]{1,64}")


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """site_name and system_id of the one system; house: the id of the one house. loop: begin
    anew at the end, else go stale."""

    site_name: str = "Recorded site"
    system_id: str = "system_recorded"
    house: HouseId = "recorded_house"
    loop: bool = True


def create(name: str, options: Options, levels: tuple[Level, ...]) -> RecordedSite:
    """The shipped recordings; raises ConfigurationError for options or levels it cannot use."""
    return from_directory(name, options, levels, RECORDINGS)


def from_directory(
    name: str, options: Options, levels: tuple[Level, ...], directory: Path
) -> RecordedSite:
    """The same site read from another directory of the same files."""
    _check(name, options, levels)
    totals, house_48v, house_24v, nav_12v = (
        read_venus(directory / "victron" / f"{file}.tsv")
        for file in ("lynxparallel", "lynxbms1", "lynxbms0", "smartshunt")
    )
    pack = read_jk(directory / "jk" / JK_FILE)
    clusters = [
        _totals_spec(f"{options.system_id}_cluster_0", totals, house_48v),
        _bank_spec(f"{options.system_id}_cluster_1", "cluster", house_24v),
        _bank_spec(f"{options.system_id}_cluster_2", "cluster", nav_12v),
        _pack_spec(f"{options.system_id}_cluster_3", pack),
    ]
    banks = (totals, house_48v, house_24v, nav_12v)
    bank_ids = (clusters[0].id, clusters[0].children[0].id, clusters[1].id, clusters[2].id)
    tracks = [*_venus_tracks(bank_ids, banks), _pack_track(clusters[3], pack)]
    house = read_house(options.house, directory / "victron", house_48v, tracks[0].length_s)
    return RecordedSite(name, options, _system_spec(options, clusters), tracks, house)


class RecordedSite:
    """Source of kind "recorded". refused: implausible readings that became NaN."""

    def __init__(
        self, name: str, options: Options, system: NodeSpec, tracks: Sequence[Track],
        house: RecordedHouse,
    ) -> None:
        self._info = SourceInfo(name, options.site_name, "recorded", PERIOD_S, STALE_AFTER_S,
                                "charge", ATTRIBUTION)
        self._roots = (system,)
        self._loop = options.loop
        self._tracks = tuple(tracks)
        self._house = house
        self._timelines: tuple[Timeline, ...] = (*self._tracks, *house.tracks)
        self.refused = sum(track.refused for track in tracks)
        self._size = 0
        self._nodes: list[IndexArray] = []
        self._shown: list[int] = []
        self._begin: datetime | None = None
        self._polled: datetime | None = None

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def roots(self) -> Sequence[NodeSpec]:
        return self._roots

    @property
    def devices(self) -> Sequence[Device]:
        return self._house.devices

    @property
    def houses(self) -> Sequence[House]:
        return (self._house.house,)

    def start(self, now: datetime, topology: Topology) -> None:
        """The recordings begin at `now`."""
        _aware(now)
        self._size = topology.size
        self._nodes = [np.array([topology.index(node_id) for node_id in track.node_ids])
                       for track in self._tracks]
        self._shown = [-1] * len(self._timelines)
        self._begin = self._polled = now

    def poll(self, now: datetime) -> Reading:
        """The last rows at or before `now`; raises GiveUpError when it was not started."""
        elapsed_s = self._elapsed_s(now)
        rows = [line.row_number(elapsed_s, self._loop) for line in self._timelines]
        anew = [row > shown for row, shown in zip(rows, self._shown, strict=True)]
        age_s = elapsed_s - self._measured_s(rows, anew)
        self._shown = rows
        measured_at = now.astimezone(UTC) - timedelta(seconds=age_s)
        return self._reading(measured_at, rows, anew)

    def _reading(self, measured_at: datetime, rows: Sequence[int],
                 anew: Sequence[bool]) -> Reading:
        """The rows of those numbers; anew: which of the timelines are heard."""
        matrix: FloatArray = np.full((len(METRIC_NAMES), self._size), np.nan, dtype=np.float32)
        heard = np.zeros(self._size, dtype=bool)
        for track, nodes, row, new in zip(self._tracks, self._nodes, rows, anew, strict=False):
            matrix[:, nodes] = track.row(row).T
            heard[nodes] = new
        size = sum(len(device.quantities) for device in self.devices)
        channels, channels_heard = np.full(size, np.nan), np.zeros(size, dtype=bool)
        first = len(self._tracks)
        for said, row, new in zip(self._house.tracks, rows[first:], anew[first:], strict=True):
            channels[said.channels] = said.row(row)
            channels_heard[said.channels] = new
        return Reading(measured_at, dict(zip(METRIC_NAMES, matrix, strict=True)), heard,
                       channels=channels, channels_heard=channels_heard)

    def close(self) -> None:
        """Nothing is held open."""

    def _elapsed_s(self, now: datetime) -> float:
        """Time of the replay [s]; it stands still for one poll when the clock steps back."""
        _aware(now)
        if self._begin is None or self._polled is None:
            raise GiveUpError("the recorded site was polled before it was started")
        if now < self._polled:
            self._begin -= self._polled - now
        self._polled = now
        return (now - self._begin).total_seconds()

    def _measured_s(self, rows: Sequence[int], anew: Sequence[bool]) -> float:
        """When the rows heard anew were measured, the oldest of them [s of the replay].

        A Reading has one time for all it holds: the oldest makes no age look too young.
        With nothing heard anew it is the newest row's.
        """
        times = [line.heard_s(row) for line, row in zip(self._timelines, rows, strict=True)]
        fresh = [time_s for time_s, new in zip(times, anew, strict=True) if new]
        return min(fresh) if fresh else max(times)


def _aware(now: datetime) -> None:
    if now.tzinfo is None:
        raise GiveUpError("law 3: a time without a zone")


def _check(name: str, options: Options, levels: tuple[Level, ...]) -> None:
    if not _ID.fullmatch(options.system_id):
        raise ConfigurationError("orrery.toml", f"{name}.system_id", options.system_id,
                                 "1 to 64 letters, digits and underscores")
    if not 1 <= len(options.site_name.strip()) <= 80:
        raise ConfigurationError("orrery.toml", f"{name}.site_name", options.site_name,
                                 "1 to 80 characters")
    found = [level.name for level in levels if level.name in NEEDED_LEVELS]
    if tuple(found) != NEEDED_LEVELS:
        raise ConfigurationError("orrery.toml", "levels", [level.name for level in levels],
                                 "levels with " + ", ".join(NEEDED_LEVELS) + " in this order")


def _system_spec(options: Options, clusters: list[NodeSpec]) -> NodeSpec:
    """Banks of different voltages behind one connection; capacity is that of the known ones."""
    known = [spec.capacity_kwh for spec in clusters if np.isfinite(spec.capacity_kwh)]
    return NodeSpec(
        options.system_id, options.site_name, "system", sum(known), children=clusters,
        note="Recorded, played in a loop at its own pace. Two unrelated sites beside each other: "
             "a Victron installation and a JK pack. Capacity counts the banks that state theirs.",
    )


def _totals_spec(node_id: str, totals: VenusBattery, bank: VenusBattery) -> NodeSpec:
    """The parallel driver's own totals over its one BMS (NumberOfBmses says 1/1)."""
    rack = _bank_spec(f"{node_id}_rack_0", "rack", bank)
    return NodeSpec(node_id, totals.name, "cluster", rack.capacity_kwh, arrangement="parallel",
                    measured=True, children=[rack])


def _bank_spec(node_id: str, level: str, bank: VenusBattery) -> NodeSpec:
    """A bank without cells. Capacity [kWh] = stated Ah x stated nominal V / 1000, else NaN.

    The recording does not state a chemistry; none is assumed.
    """
    capacity_kwh = bank.capacity_ah * bank.nominal_v / 1000.0
    note = NO_CELLS if np.isfinite(capacity_kwh) else NO_CELLS + " It states no capacity."
    return NodeSpec(node_id, bank.name, level, capacity_kwh, note=note)


def _pack_spec(node_id: str, pack: JkPack) -> NodeSpec:
    """Capacity [kWh] = stated Ah x 16 x 3.2 V / 1000; the cells share it evenly."""
    cell_kwh = pack.capacity_ah * LFP_NOMINAL_V / 1000.0
    cells = [
        NodeSpec(f"{node_id}_cell_{i}", f"Cell {i + 1}", "cell", cell_kwh, "LFP",
                 note="Voltage is measured; current is the pack's. "
                      "No SOC, health or temperature a cell.")
        for i in range(CELLS)
    ]
    return NodeSpec(node_id, "JK LFP pack", "cluster", cell_kwh * CELLS, "LFP",
                    arrangement="series", measured=True, children=cells,
                    note="Temperature is the mean of the pack's two probes.")


def _venus_tracks(node_ids: Sequence[str], banks: Sequence[VenusBattery]) -> list[Track]:
    """One track a service, all of the same length: the recording is of one installation."""
    length_s = max(float(bank.time_s[-1]) for bank in banks) + STEP_S
    return [
        Track((node_id,), bank.time_s, bank.values[:, None, :], length_s, bank.refused)
        for node_id, bank in zip(node_ids, banks, strict=True)
    ]


def _pack_track(spec: NodeSpec, pack: JkPack) -> Track:
    node_ids = (spec.id, *(cell.id for cell in spec.children))
    return Track(node_ids, pack.time_s, pack.values, pack.length_s, pack.refused)
