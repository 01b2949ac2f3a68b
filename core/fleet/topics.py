"""The topic tree `pulsebms/{site}/{device}/...` and the ids in it (laws 5 and 11)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from core.errors import RequestError

ROOT = "pulsebms"
COORDINATOR = "coordinator"
ALLOCATION = "allocation"
INGEST, GATEWAY = "_ingest", "_gateway"
"""No id of a device begins like that."""
REPORT = "report"
TURNED_AWAY = "turned_away"
DeviceKind = Literal["telemetry", "commands", "status", "ack", "prediction"]
DEVICE_KINDS: tuple[str, ...] = get_args(DeviceKind)
ID_WORDS = "1 to 40 of a-z, 0-9, _ and -, beginning with a letter or a digit"
PLACES: Mapping[str, tuple[str, ...]] = {COORDINATOR: (ALLOCATION,), INGEST: (REPORT,),
                                         GATEWAY: (TURNED_AWAY,)}
"""Those below a site that are no device, and what is told there."""
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PARTS = 4


@dataclass(frozen=True, slots=True)
class Address:
    """Who a topic is about. device: COORDINATOR for the allocation, INGEST for its report,
    GATEWAY for whom it turned away. kind: a DeviceKind, ALLOCATION, REPORT or TURNED_AWAY."""

    site: str
    device: str
    kind: str


def check_id(text: str) -> str:
    """`text` where it is an id of a site or a device; raises RequestError."""
    if not _ID.fullmatch(text):
        raise RequestError(f"{text[:60]!r} is no id; allowed: {ID_WORDS}")
    return text


def check_device(text: str) -> str:
    """As `check_id`; the coordinator's own name is no device's."""
    if text == COORDINATOR:
        raise RequestError(f"{COORDINATOR!r} is the coordinator's place and no device's id")
    return check_id(text)


def device_topic(site: str, device: str, kind: DeviceKind) -> str:
    """Topic of one device; raises RequestError for what is no id."""
    return f"{ROOT}/{check_id(site)}/{check_device(device)}/{kind}"


def allocation_topic(site: str) -> str:
    """Topic of a site's power allocation; raises RequestError."""
    return f"{ROOT}/{check_id(site)}/{COORDINATOR}/{ALLOCATION}"


def report_topic(site: str) -> str:
    """Topic of what a site's ingest tells of itself; raises RequestError."""
    return f"{ROOT}/{check_id(site)}/{INGEST}/{REPORT}"


def turned_away_topic(site: str) -> str:
    """Topic of whom a site's gateways turned away; raises RequestError."""
    return f"{ROOT}/{check_id(site)}/{GATEWAY}/{TURNED_AWAY}"


def process_of(site: str, device: str) -> str:
    """Name of the edge process whose first device this is: its connection writes, and its last
    will comes, on this device's topics."""
    return f"edge-{site}-{device}"


def address_of(topic: str) -> Address:
    """What a topic from outside is about; raises RequestError for any that the tree lacks."""
    parts = topic.split("/", _PARTS)
    if len(parts) != _PARTS or parts[0] != ROOT:
        raise RequestError(f"{topic[:120]!r} is no topic of {ROOT}/site/device/...")
    _, site, device, kind = parts
    wanted = PLACES.get(device, DEVICE_KINDS)
    if kind not in wanted:
        raise RequestError(f"{topic[:120]!r}: the last part is one of {', '.join(wanted)}")
    return Address(check_id(site), device if device in PLACES else check_id(device), kind)
