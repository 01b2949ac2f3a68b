"""What a journal that had no store has open, joined with what the store kept from before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from core.alarms.records import Batch, Finding, Instance, Key, Remembered, Transition
from core.alarms.states import ASKING

Numbered = TypeVar("Numbered", Instance, Transition)


@dataclass(frozen=True, slots=True)
class Resumed:
    """kept: as the store knows it. fresh: what only the journal knows. batch: what the store has
    to hear of it. again: what the journal told of alarms that the store knows too."""

    kept: Mapping[Key, Instance]
    fresh: Mapping[Key, Instance]
    batch: Batch
    again: tuple[Finding, ...]


def resumed(mine: Collection[Instance], unkept: Iterable[Transition],
            known: Remembered) -> Resumed:
    """Of an alarm in both, what was kept counts, with its acknowledgement, its shelf and its
    comments; that it was told meanwhile is looked at as a condition of this moment, so that what
    tripped and went is latched. Its lines of meanwhile say what history says already, and are
    left out. Raisings of the others get numbers that the store has not given."""
    kept = {one.key: one for one in known.instances}
    last = max([known.last_occurrence, *(one.occurrence for one in kept.values())])
    both = [one for one in mine if one.key in kept]
    fresh = {one.key: _numbered(one, last) for one in mine if one.key not in kept}
    lines = tuple(_numbered(line, last) for line in unkept if line.key not in kept)
    again = tuple(Finding(*one.key, one.severity, one.metric, one.value, one.limit, one.event_at)
                  for one in both if one.on or one.state in ASKING)
    return Resumed(kept, fresh, Batch(changed=tuple(fresh.values()), transitions=lines), again)


def _numbered(one: Numbered, last: int) -> Numbered:
    return replace(one, occurrence=one.occurrence + last) if one.occurrence else one
