"""A process that raises alarms and acts on them, and says each step when it is kept.

`python -m tests.store.alarm_writer DIRECTORY FIRST` runs until it is killed. Step n is about
cell n: its alarm is raised, then acknowledged, shelved or left by the remainder of n by 3.
A voltage spread that is there since the first step has a delay that still runs.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from itertools import count
from pathlib import Path

from core.alarms.journal import AlarmJournal
from core.alarms.records import Finding, Key
from core.clock import ManualClock
from core.topology import DEFAULT_LEVELS, Topology
from store.alarms import AlarmDatabase
from tests.core.alarm_bench import NOON, OPERATOR
from tests.core.sites import system

SITE = Topology(DEFAULT_LEVELS, [system(number, 10, 50) for number in range(4)])
CELLS = [one for one in SITE.ids if "cell" in one]
STEP_S = 0.0001
PENDING = Key("system_0", "voltage_spread")


def key(step: int) -> Key:
    return Key(CELLS[step], "silent")


def opened(directory: Path, step: int) -> tuple[AlarmJournal, ManualClock, AlarmDatabase]:
    clock = ManualClock(NOON + timedelta(seconds=step * STEP_S))
    store = AlarmDatabase(directory, clock)
    remembered = store.load(NOON)
    return AlarmJournal(SITE, clock, keep=store.append, remembered=remembered), clock, store


def main() -> None:
    directory, first = Path(sys.argv[1]), int(sys.argv[2])
    journal, clock, _ = opened(directory, first)
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
