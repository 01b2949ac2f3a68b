"""What a person may have a pack do, and what comes of it, in words for the second step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from core.fleet.ports import GONE, PackState
from core.frames import Frame
from core.topology import Topology

TTL_S = 30.0
"""A command that is older does nothing any more [s]."""

EFFECTS: Mapping[str, str] = {
    "override": "gives and takes no more than {bound}. Its own limits still hold: a bound can "
                "only lower them.",
    "release": "the operator's bound ends; allocation and its own limits hold again.",
    "controlled_shutdown": "current goes to 0 A, then the contactors open. Only a reset brings "
                           "it back.",
    "emergency_stop": "stops at once and opens its contactors. Only a reset brings it back.",
    "reset": "leaves its latched state if nothing is wrong with it any more; contactors close, "
             "and it may carry power again.",
}
"""Sentences after "{name}: "; {bound} is the power of an override."""

MUST_GO = frozenset({"controlled_shutdown", "emergency_stop"})
"""Sent even where the audit cannot be kept: people come before paper."""


def carrying(topology: Topology, frame: Frame, packs: Sequence[PackState],
             told: Callable[[float], object]) -> str:
    """"Now it gives 12.3 kW.": `packs` together, without those that tell no power now (law 4).
    told: a magnitude [kW] as text."""
    index = topology.index_of_id
    nodes = [index[pack.element] for pack in packs
             if pack.element in index and pack.link not in GONE]
    powers = [frame.value("power_kw", node) for node in nodes if not frame.stale[node]]
    known = [power for power in powers if math.isfinite(power)]
    if not known:
        return "Its power is not known now."
    total, lacking = sum(known), len(packs) - len(known)
    without = f", without {lacking} of {len(packs)} packs whose power is not known" if lacking \
        else ""
    return f"Now it {'gives' if total > 0 else 'takes'} {told(abs(total))}{without}."


def in_words(action: str, power_kw: float | None, hold_s: float | None) -> str:
    """"override: at most 20 kW for 900 s"."""
    if power_kw is None or hold_s is None:
        return action
    return f"{action}: at most {power_kw:g} kW for {hold_s:g} s"
