"""A fleet's past as its devices told it, out of the store that the ingest fills.

Bodies become readings by the same board as live ones. What was not kept is told of by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby

from core.clock import from_epoch
from core.fleet.board import FleetBoard
from core.fleet.catalogue import PackPlate
from core.fleet.ports import FleetPast, StoredBody
from core.fleet.rejections import RejectedError
from core.fleet.telemetry import read_stored
from core.frames import Reading
from core.topology import Topology

MOST_CELLS = 2 ** 20
"""Of all packs and moments that are in memory at once."""
MOST_MOMENTS = 60
US_PER_S = 1_000_000


class StoredPast:
    """Of one site. refuse: is told of each body that cannot be read, and why."""

    def __init__(self, site: str, plates: Sequence[PackPlate], store: FleetPast,
                 refuse: Callable[[StoredBody, str], None]) -> None:
        self._site, self._store, self._refuse = site, store, refuse
        self._plates = {plate.device: plate for plate in plates}

    def since(self) -> datetime | None:
        """Raises RetryLaterError."""
        oldest_us = self._store.oldest_us(self._site)
        return None if oldest_us is None else from_epoch(oldest_us / US_PER_S)

    def late(self, after: datetime, until: datetime, late_s: float) -> list[datetime]:
        """Raises RetryLaterError."""
        return [from_epoch(minute_us / US_PER_S) for minute_us in self._store.late_minutes(
            self._site, round(after.timestamp() * US_PER_S), round(until.timestamp() * US_PER_S),
            round(late_s * US_PER_S))]

    def readings(self, topology: Topology, start: datetime, end: datetime,
                 step_s: float) -> Iterator[Reading]:
        """Those of start < time <= end, each of what was measured in the `step_s` before it; none
        where nothing was. Raises RetryLaterError."""
        board = FleetBoard(self._site, list(self._plates.values()))
        board.place(topology)
        start_us, every_us = round(start.timestamp() * US_PER_S), round(step_s * US_PER_S)
        if every_us <= 0:
            raise ValueError(f"step_s = {step_s!r}: a step goes forward")
        steps = (round(end.timestamp() * US_PER_S) - start_us) // every_us
        for first in range(0, steps, self._at_once()):
            last = min(first + self._at_once(), steps)
            found = self._store.bodies_between(
                self._site, list(self._plates), start_us + first * every_us,
                start_us + last * every_us, every_us)
            for step, told in groupby(found, lambda one: (one.time_us - start_us - 1) // every_us):
                if sum([self._take(board, one) for one in told]):
                    when = from_epoch((start_us + (step + 1) * every_us) / US_PER_S)
                    yield replace(board.reading(when), measured_at=when)

    def _at_once(self) -> int:
        """Moments that are read together."""
        cells = sum(plate.cells for plate in self._plates.values())
        return min(MOST_MOMENTS, max(1, MOST_CELLS // cells))

    def _take(self, board: FleetBoard, stored: StoredBody) -> bool:
        """False for what a disk or somebody has spoilt."""
        try:
            body, cells = read_stored(stored.body, stored.time_us,
                                      self._plates[stored.device].cells)
        except RejectedError as error:
            self._refuse(stored, str(error))
            return False
        board.take(stored.device, body, cells)
        return True
