"""A journal on a small site, a clock that a test drives, and a store of plain lists."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from core.alarms.journal import AlarmJournal
from core.alarms.records import Batch, Finding, Instance, Key, Remembered, Transition
from core.alarms.rules import Rules, alarm_rules
from core.alarms.states import State
from core.clock import ManualClock
from core.errors import RetryLaterError
from core.topology import DEFAULT_LEVELS, Topology
from tests.core.sites import NOON, system

SITE = Topology(DEFAULT_LEVELS, [system(number) for number in range(3)])
RACK = "system_0_cluster_0_rack_0"
CELL = f"{RACK}_module_1_cell_2"
HOT = Key(CELL, "temperature_high")
OPERATOR = "ada"


def hot(tier: int = 1, element: str = CELL, value: float = 47.0) -> Finding:
    return Finding(element, "temperature_high", tier, "temperature_c", value, 45.0)


class Shelf:
    """Keeps batches as a store would; `broken` makes it refuse."""

    def __init__(self) -> None:
        self.open: dict[Key, Instance] = {}
        self.lines: list[Transition] = []
        self.audit: list[object] = []
        self.broken = False

    def append(self, batch: Batch) -> None:
        if self.broken:
            raise RetryLaterError("the disk is full; make room")
        for key in batch.closed:
            self.open.pop(Key(*key), None)
        self.open |= {one.key: one for one in batch.changed}
        self.lines += batch.transitions
        self.audit += batch.audit

    def load(self) -> Remembered:
        last = max((line.occurrence for line in self.lines), default=0)
        return Remembered(tuple(self.open.values()), last, tuple(self.lines))


class Bench:
    """`tick` moves the clock and hands the findings over."""

    def __init__(self, rules: Rules | None = None, topology: Topology = SITE) -> None:
        self.clock = ManualClock(NOON)
        self.store = Shelf()
        self.rules = rules or alarm_rules()
        self.topology = topology
        self.restart()

    def restart(self) -> None:
        """As after SIGKILL: only what the store has is known."""
        self.journal = AlarmJournal(self.topology, self.clock, keep=self.store.append,
                                    remembered=self.store.load(), rules=self.rules)

    def tick(self, findings: Iterable[Finding] = (), after_s: float = 1.0) -> list[Transition]:
        """The lines of history that it wrote."""
        self.clock.advance(after_s)
        before = len(self.store.lines)
        self.journal.tick(findings)
        return self.store.lines[before:]

    def raised(self, findings: Iterable[Finding], seconds: int = 1) -> list[Key]:
        """What called a person within so many ticks of 1 s, as the rate counts it."""
        kept = list(findings)
        return [line.key for _ in range(seconds) for line in self.tick(kept) if line.raises]

    def lasting(self, findings: Iterable[Finding] = (), seconds: int = 61) -> None:
        """Long enough for every delay of the profile."""
        kept = list(findings)
        for _ in range(2):
            self.tick(kept, seconds / 2)
        self.tick(kept, seconds)

    def state(self, key: Key = HOT) -> State:
        one = self.journal.get(key)
        return State.NORMAL if one is None else one.state

    def shelve(self, key: Key = HOT, seconds: float = 600.0, once: bool = False) -> None:
        until = self.clock.now() + timedelta(seconds=seconds)
        self.journal.shelve(key, OPERATOR, "sensor is exchanged", until, once=once)
