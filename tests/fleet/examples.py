"""Messages as an edge device makes them, and processes on a real broker."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from core.fleet.entries import FleetEntry
from core.fleet.messages import VERSION, Body, Envelope, column, packed
from core.fleet.topics import Address

NOW_S = 1_800_000_000.0
STREAM, OTHER_STREAM, THIRD_STREAM = "a" * 16, "b" * 16, "c" * 16
PACK = Address("home", "pack_1", "telemetry")
PACKS = {"pack_1": {"chemistry": "LFP", "cells": 3, "capacity_kwh": 30.0}}
"""As a configuration tells them."""


def body(**changed: Any) -> Body:
    cells = {"voltage_v": column(np.array([3.30, 3.31, np.nan], np.float32)),
             "temperature_c": column(np.array([25.0, 26.0, 24.5], np.float32))}
    whole = Body(time_s=NOW_S, samples=10, safety="normal", cells=cells, power_kw=12.5,
                 soc_pct=60.0)
    return msgspec.structs.replace(whole, **changed)


def envelope(inside: bytes | None = None, **changed: Any) -> Envelope:
    whole = Envelope(v=VERSION, site="home", device="pack_1", stream=STREAM, base=0, seq=7,
                     floor=5, sent_s=NOW_S,
                     body=msgspec.Raw(packed(body()) if inside is None else inside))
    return msgspec.structs.replace(whole, **changed)


def telemetry(inside: bytes | None = None, **changed: Any) -> bytes:
    return packed(envelope(inside, **changed))


def entry(seq: int, device: str = "pack_1", *, stream: str = STREAM, base: int = 0,
          floor: int = 1, time_us: int | None = None, text: bytes | None = None) -> FleetEntry:
    """Its moment and its body tell its number, unless said otherwise."""
    return FleetEntry("home", device, stream, base, seq, min(floor, seq),
                      seq * 1_000_000 if time_us is None else time_us, 10 ** 15 + seq,
                      b"body %d" % seq if text is None else text)
