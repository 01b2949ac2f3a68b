"""What a Venus GX said last; the broker's thread writes, `poll` reads.

A topic is `N/<portal>/<service>/<instance>/<D-Bus path>`, its payload `{"value": X}` with null
for a value that is not known, or nothing at all when the device is gone (dbus-flashmq).
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.quantities import QUANTITY
from core.topology import FloatArray
from core.vocabulary import METRIC_NAMES
from sources.venus_topics import (
    ACTIVE_BATTERY,
    BATTERIES,
    BATTERY,
    NEVER_NEGATIVE,
    STANDBY_KW,
    SYSTEM,
    TREE_QUANTITIES,
    Conversion,
    Leaves,
    quantities,
)

MAX_PAYLOAD_BYTES = 64 * 1024
MAX_UNDECLARED = 64  # a broker with more is not one house's
SETTLE_S = 1.0  # a device that returns tells its values one after the other
SYSTEM_SERVICE = "system/0"
_BATTERY = re.compile(r"battery/(0|[1-9][0-9]{0,9})(/.+)")
_ACTIVE = re.compile(r"com\.victronenergy\.battery/(0|[1-9][0-9]{0,9})")


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """value: in the path's own unit, None = not known. min and max come with settings."""

    value: float | None
    min: float | None = None
    max: float | None = None


class ActivePayload(msgspec.Struct, frozen=True):
    """`com.victronenergy.battery/288`, or of another service, or nothing."""

    value: str | None


class ListedBattery(msgspec.Struct, frozen=True):
    """One of `system/0/Batteries`. id: its service, which need not be a battery monitor."""

    id: str = ""
    instance: int | None = None
    active_battery_service: bool | int | None = None


class BatteriesPayload(msgspec.Struct, frozen=True):
    value: list[ListedBattery] | None


T = TypeVar("T")
_DECODER = msgspec.json.Decoder(Payload)
_ACTIVE_DECODER = msgspec.json.Decoder(ActivePayload)
_LIST_DECODER = msgspec.json.Decoder(BatteriesPayload)


class RefusedError(ValueError):
    """A payload that is not used; its text is the key under which it is counted."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the value of one topic goes. position: among all slots; channel: among all
    channels; service: among the batteries, the system last. low, high: what is plausible.
    reread: the part of the service that answers when the GX is asked to tell it again."""

    position: int
    channel: int
    service: int
    convert: Conversion
    low: float
    high: float
    reread: str


@dataclass(frozen=True, slots=True)
class News:
    """values: float32[k, metrics] of the k declared batteries, + = discharging (law 1).

    heard: bool[k], which of them spoke since the last question. channels: float64[c] of the
    batteries, then of the system; channels_heard: bool[c], also of those that told something
    that cannot be used and is missing now. age_s: how long ago the first of
    these spoke last, with none of them the newest of all [s]; NaN = nobody ever spoke.
    known: whether a declared battery ever spoke.
    """

    values: FloatArray
    heard: NDArray[np.bool_]
    channels: NDArray[np.float64]
    channels_heard: NDArray[np.bool_]
    age_s: float
    known: bool


class Layout:
    """The topics of `instances` and of the system as slots, and the order of the channels.

    tree: int64[k, metrics], the channel of each battery's metric. channel_of: int64[slots].
    service_of: int64[c]. never_negative: bool[c].
    """

    def __init__(self, instances: Sequence[int]) -> None:
        self.slots: dict[str, Slot] = {}
        self.names: list[str] = []
        self.service_of: NDArray[np.int64]
        services: list[int] = []
        rows: list[list[int]] = []
        for number, instance in enumerate(instances):
            at = self._add(f"battery/{instance}", number, BATTERY, services)
            rows.append([at[name] for name in TREE_QUANTITIES])
        self._add(SYSTEM_SERVICE, len(instances), SYSTEM, services)
        self.tree = np.array(rows, dtype=np.int64).reshape(-1, len(METRIC_NAMES))
        self.service_of = np.array(services, dtype=np.int64)
        self.channel_of = np.array([slot.channel for slot in self.slots.values()])
        self.never_negative = np.isin(self.names, NEVER_NEGATIVE)

    def _add(self, service: str, number: int, leaves: Leaves,
             services: list[int]) -> dict[str, int]:
        """Slots and channels of one service; quantity -> channel."""
        at = {name: len(self.names) + place for place, name in enumerate(quantities(leaves))}
        self.names += at
        services += [number] * len(at)
        for path, (name, convert) in leaves.items():
            low, high = QUANTITY[name].plausible
            low = -high if name in NEVER_NEGATIVE else low
            reread = f"{service}/{path.split('/')[1]}"
            self.slots[service + path] = Slot(len(self.slots), at[name], number, convert, low,
                                              high, reread)
        return at


class VenusState:
    """Guarded by one lock. `seconds` tells the time since some moment [s]."""

    def __init__(self, instances: Sequence[int],
                 seconds: Callable[[], float] = time.monotonic) -> None:
        self._layout = Layout(instances)
        self._declared = frozenset(instances)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._dropped: Counter[str] = Counter()
        self._undeclared: set[int] = set()
        self._known = False
        self.clear()

    def clear(self) -> None:
        """Forget all values: a new connection tells them anew."""
        layout = self._layout
        with self._lock:
            self._values = np.full(len(layout.slots), np.nan)
            self._heard = np.zeros(len(layout.names), dtype=bool)
            self._heard_s = np.full(len(layout.names), np.nan)
            self._void = np.zeros(len(layout.names), dtype=bool)
            self._gone = [False] * (len(self._declared) + 1)
            self._settled_s = np.full(len(self._declared) + 1, -np.inf)
            self._told: set[str] = set()
            self._active: int | None = None

    @property
    def dropped(self) -> dict[str, int]:
        """How many messages were not used, by "malformed", "implausible", "too large", "retained".
        """
        with self._lock:
            return dict(self._dropped)

    @property
    def undeclared(self) -> tuple[int, ...]:
        """Instances of batteries that the broker knows and nobody declared."""
        with self._lock:
            return tuple(sorted(self._undeclared))

    @property
    def active(self) -> int | None:
        """Instance of the battery that the system counts on; None while it is not told."""
        with self._lock:
            return self._active

    @property
    def told(self) -> tuple[str, ...]:
        """What the GX can be asked to tell again, such as `battery/288/Dc`."""
        with self._lock:
            return tuple(sorted(self._told))

    def take(self, topic: str, payload: bytes, retained: bool = False) -> None:
        """One message; never raises, topics that are no slot's are not looked at."""
        parts = topic.split("/", 2)
        if len(parts) != 3 or parts[0] != "N":
            return
        slot = self._layout.slots.get(parts[2])
        with self._lock:
            if slot is not None:
                self._store(slot, payload, retained)
            else:
                self._look(parts[2], payload, retained)

    def _store(self, slot: Slot, payload: bytes, retained: bool) -> None:
        """Under the lock. A value that cannot be used leaves NaN (law 4), not the one before."""
        if retained:  # of any age; a Venus retains no reading
            self._dropped["retained"] += 1
            return
        self._values[slot.position] = math.nan
        if not payload:
            self._heard[slot.channel], self._gone[slot.service] = False, True
            self._told.discard(slot.reread)
            return
        try:
            self._values[slot.position] = converted(slot, payload)
        except RefusedError as error:
            self._dropped[str(error)] += 1
            self._void[slot.channel] = True
            return
        now_s = self._seconds()
        if self._gone[slot.service]:
            self._gone[slot.service] = False
            self._settled_s[slot.service] = now_s + SETTLE_S
        self._heard[slot.channel] = True
        self._heard_s[slot.channel] = now_s
        self._told.add(slot.reread)
        self._known |= slot.service < len(self._declared)

    def _look(self, rest: str, payload: bytes, retained: bool) -> None:
        """Under the lock: batteries that nobody declared, and which the system counts on."""
        service, path = SYSTEM_SERVICE, rest.removeprefix(SYSTEM_SERVICE)
        if path in (ACTIVE_BATTERY, BATTERIES) and rest == service + path and not retained:
            try:
                self._active = active_battery(path, payload)
            except RefusedError as error:
                self._dropped[str(error)] += 1
            return
        found = _BATTERY.fullmatch(rest)
        if (found is not None and found[2] in BATTERY and payload
                and int(found[1]) not in self._declared
                and len(self._undeclared) < MAX_UNDECLARED):
            self._undeclared.add(int(found[1]))

    def news(self) -> News:
        """All values, and who spoke since the last call; who just returned is left for later."""
        layout = self._layout
        with self._lock:
            now_s = self._seconds()
            heard = self._heard & (now_s >= self._settled_s[layout.service_of])
            self._heard &= ~heard
            channels = _added(layout, self._values)
            known_s = self._heard_s[np.isfinite(self._heard_s)]
            if heard.any():
                age_s = now_s - float(self._heard_s[heard].min())
            else:
                age_s = now_s - float(known_s.max()) if known_s.size else math.nan
            rows: NDArray[np.bool_] = np.any(heard[layout.tree], axis=1)
            told = heard | self._void
            self._void = np.zeros_like(told)
            values = channels[layout.tree].astype(np.float32) + np.float32(0.0)  # no -0.0
            return News(values, rows, channels, told, age_s,
                        self._known)


def _added(layout: Layout, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[c]: the slots of each channel added up, NaN where none of them is known."""
    known = np.isfinite(values)
    size = len(layout.names)
    total = np.bincount(layout.channel_of, np.where(known, values, 0.0), size)
    count = np.bincount(layout.channel_of, known, size)
    channels: NDArray[np.float64] = np.where(count > 0, total, np.nan)
    nothing = layout.never_negative & (channels < 0.0) & (channels >= -STANDBY_KW)
    channels[nothing] = 0.0
    return channels


def converted(slot: Slot, payload: bytes) -> float:
    """A payload in Orrery's unit and sign (laws 1 and 2), NaN for null; raises RefusedError."""
    value = _decoded(_DECODER, payload).value
    if value is None:
        return math.nan
    found = slot.convert(value)
    if not (slot.low <= found <= slot.high or math.isnan(found)):
        raise RefusedError("implausible")
    return found


def active_battery(path: str, payload: bytes) -> int | None:
    """The instance that ACTIVE_BATTERY or BATTERIES names, None for none; raises RefusedError."""
    if not payload:
        return None
    if path == ACTIVE_BATTERY:
        named = _decoded(_ACTIVE_DECODER, payload).value
        found = _ACTIVE.fullmatch(named or "")
        return None if found is None else int(found[1])
    listed = _decoded(_LIST_DECODER, payload).value or []
    return next((one.instance for one in listed if one.active_battery_service
                 and one.id.startswith("com.victronenergy.battery.")), None)


def _decoded(decoder: msgspec.json.Decoder[T], payload: bytes) -> T:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise RefusedError("too large")
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RefusedError("malformed") from error
