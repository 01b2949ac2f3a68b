"""One pack as the words of its row. No Streamlit in here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from components import formats
from components.fleet.standing import (
    NO_NODE,
    SAFETY,
    TRIPPED,
    WHICH,
    Standings,
)
from core.engine import Snapshot
from core.fleet.ports import PackState
from core.safety.margins import METRICS, left
from core.topology import Topology
from core.vocabulary import DIRECTIONS

MILLIVOLTS_PER_VOLT = 1000.0
BOTH_WAYS = "charge and discharge limited to "
"""What a row leaves out, where both limits stand before it: what follows would not find room."""
LINKS = {"offline": "device offline", "conflict": "two devices with this id",
         "unknown": "never heard", "online": ""}


def line(topology: Topology, snapshot: Snapshot, all_: Standings, place: int) -> dict[str, Any]:
    """Plain values under short names, as `table.js` reads them; every text is text there."""
    pack = all_.packs[place]
    way = DIRECTIONS[int(all_.direction[place])]
    power = formats.magnitude(float(all_.power_kw[place]))
    icon, word = SAFETY[pack.safety]
    soc = float(all_.soc_pct[place])
    cell, why = worst_cell(topology, snapshot, all_, place)
    return {
        "id": pack.element, "name": all_.names[place], "about": about(pack),
        "tier": int(all_.tier[place]), "old": bool(all_.silent[place]),
        "icon": icon, "safety": word, "trip": pack.safety in TRIPPED,
        "alarms": formats.counted(int(all_.alarms[place]), "alarm") if all_.alarms[place] else "",
        "hue": formats.direction_hue(way), "arrow": formats.direction_icon(way),
        "way": formats.direction_word(way), "power": power.number, "unit": power.unit,
        "soc": round(soc, 1) if math.isfinite(soc) else None,
        "charge": str(formats.quantity(soc, "%")), "health": health(all_, place),
        "cell": cell, "why": why,
        "heat": str(formats.quantity(float(all_.temperature_c[place]), "°C", 1)),
        "limits": limits(pack), "reason": reason(pack).removeprefix(BOTH_WAYS),
        "age": formats.age(float(all_.age_s[place])),
        "missing": missing(pack),
    }


def about(pack: PackState) -> str:
    """"LFP, 100 kWh, 1.4.2": what it is, and the firmware of its device."""
    size = "" if pack.capacity_kwh is None else str(formats.energy(pack.capacity_kwh))
    return ", ".join(part for part in (pack.chemistry, size, pack.firmware) if part)


def health(all_: Standings, place: int) -> str:
    """"SoH 98 %", of the digital twin "SoH 96 ± 2 % estimated"; where neither says it, so."""
    soh, off = float(all_.soh_pct[place]), float(all_.soh_off_pct[place])
    if math.isnan(soh):
        return "SoH not told"
    if math.isnan(off):
        return f"SoH {formats.quantity(soh, '%')}"
    return f"SoH {formats.number(soh)} ± {formats.quantity(off, '%')} estimated"


def limits(pack: PackState) -> str:
    """"80 | 100 A": the most that may be charged and discharged now."""
    told = [formats.MISSING if value is None else formats.number(value)
            for value in (pack.charge_limit_a, pack.discharge_limit_a)]
    return f"{told[0]} | {told[1]} A"


def reason(pack: PackState) -> str:
    """Why its limits are what they are: the device's own words, its names written as words."""
    return pack.limit_reason.replace("_", " ")


def link(pack: PackState) -> str:
    """Why nothing comes, "" where its device is there. It may be heard before it first says so."""
    if pack.link == "unknown" and pack.heard_at is not None:
        return "no status yet"
    return LINKS[pack.link]


def clock(pack: PackState) -> str:
    """"clock 12 s behind"; "" where it is right, or not known."""
    if pack.clock_off_s is None:
        return ""
    way = "behind" if pack.clock_off_s > 0.0 else "ahead"
    return f"clock {formats.age(abs(pack.clock_off_s))} {way}"


def missing(pack: PackState) -> str:
    """What did not come, or why nothing does, or that its clock is off."""
    count = f"{formats.number(pack.missing)} missing" if pack.missing else ""
    return link(pack) or count or clock(pack)


def worst_cell(topology: Topology, snapshot: Snapshot, all_: Standings,
               place: int) -> tuple[str, str]:
    """"Cell 12, 3.652 V" and "highest, 2 mV left": the one that is nearest to a trip limit."""
    margins = all_.margin[:, place]
    if not np.isfinite(margins).any():
        return formats.MISSING, ""
    which = int(np.nanargmin(margins))
    metric, value = METRICS[which], float(all_.extremes[which, place])
    shown = formats.value(metric, value, 3 if metric == "voltage_v" else 1)
    name = _cell_name(topology, snapshot, int(all_.node[place]), metric, value)
    return f"{name}, {shown}", f"{WHICH[which]}, {_left(all_, which, place)}"


def _cell_name(topology: Topology, snapshot: Snapshot, node: int, metric: str,
               value: float) -> str:
    if node == NO_NODE:
        return "a cell"
    cells = topology.children(node)
    found = np.flatnonzero(snapshot.frame.columns[metric][cells] == np.float32(value))
    return topology.names[cells.start + int(found[0])] if found.size else "a cell"


def _left(all_: Standings, which: int, place: int) -> str:
    far = float(left(all_.extremes, all_.limits)[which, place])
    if METRICS[which] == "temperature_c":
        said = formats.quantity(abs(far), "K", 1)
    else:
        said = formats.quantity(abs(far) * MILLIVOLTS_PER_VOLT, "mV")
    return f"{said} left" if far >= 0 else f"{said} beyond its limit"
