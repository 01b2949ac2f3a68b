"""A policy as a signed file, and how long one decision of it takes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from core.coordinator.actor import (
    MOST_BYTES,
    Actor,
    Record,
    Verdict,
    read,
    signed,
    written,
)
from core.coordinator.policy import FEATURES
from core.errors import GiveUpError

CALLS = 2000


@dataclass(frozen=True, slots=True)
class Exported:
    path: Path
    size_bytes: int


def with_verdicts(actor: Actor, record: Record, verdicts: tuple[Verdict, ...]) -> Actor:
    return Actor(actor.layers, actor.typical, msgspec.structs.replace(record, verdicts=verdicts))


def export(actor: Actor, key: str, path: Path) -> Exported:
    """Raises GiveUpError for a key that is too short and a policy that is too large."""
    data = signed(written(actor), key)
    if len(data) > MOST_BYTES:
        raise GiveUpError(f"The policy has {len(data):,} bytes; {MOST_BYTES:,} at most are "
                          "allowed: give it fewer weights")
    read(data, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(path.name + ".new")
    whole.write_bytes(data)
    os.replace(whole, path)
    return Exported(path, len(data))


def decision_us(actor: Actor) -> float:
    """Processor time of one decision for one fleet, the median of many [us]."""
    features = np.random.default_rng(1).normal(0.0, 1.0, (1, FEATURES))
    spent = []
    for _ in range(9):
        began = time.thread_time_ns()
        for _ in range(CALLS // 9):
            actor.act(features)
        spent.append((time.thread_time_ns() - began) / 1000.0 / (CALLS // 9))
    return float(np.median(spent))
