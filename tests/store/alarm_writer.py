"""A process that raises alarms and acts on them, and says each step when it is kept.

`python -m tests.store.alarm_writer PLACE FIRST` runs until it is killed; PLACE is a directory, or
postgres:NAME of a variable with a URL. Step n is about
cell n: its alarm is raised, then acknowledged, shelved or left by the remainder of n by 3.
A voltage spread that is there since the first step has a delay that still runs.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from itertools import count
from pathlib import Path

from core.alarms.journal import AlarmJournal
from core.alarms.ports import AlarmStore
from core.alarms.records import Finding, Key
from core.clock import ManualClock
from core.topology import DEFAULT_LEVELS, Topology
from store.postgres import open_alarm_store
from store.records import open_alarms
from tests.core.alarm_bench import NOON, OPERATOR
from tests.core.sites import system

SITE = Topology(DEFAULT_LEVELS, [system(number, 10, 50) for number in range(4)])
CELLS = [one for one in SITE.ids if "cell" in one]
STEP_S = 0.0001
PENDING = Key("system_0", "voltage_spread")


def key(step: int) -> Key:
    return Key(CELLS[step], "another_pack")


def store_at(place: str, clock: ManualClock) -> AlarmStore:
    kind, _, variable = place.partition(":")
    if kind == "postgres":
        return open_alarm_store(variable, tick_s=30.0)
    return open_alarms(Path(place), clock)


def opened(place: str, step: int) -> tuple[AlarmJournal, ManualClock, AlarmStore]:
    clock = ManualClock(NOON + timedelta(seconds=step * STEP_S))
    store = store_at(place, clock)
    remembered = store.load(NOON)
    return AlarmJournal(SITE, clock, keep=store.append, remembered=remembered), clock, store


def main() -> None:
    place, first = sys.argv[1], int(sys.argv[2])
    journal, clock, _ = opened(place, first)
    for step in count(first):
        clock.advance(STEP_S)
        journal.tick([Finding(*PENDING, 1), Finding(*key(step), 2)])
        if step % 3 == 0:
            journal.acknowledge(key(step), OPERATOR)
        elif step % 3 == 1:
            journal.shelve(key(step), OPERATOR, "a test", clock.now() + timedelta(hours=1))
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
