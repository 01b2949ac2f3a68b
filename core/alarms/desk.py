"""All alarms of an engine: what its frames and sources say, kept, and what people did."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from core.alarms.book import AlarmBook, AlarmState, findings, journal_state
from core.alarms.journal import AlarmJournal
from core.alarms.ports import AlarmStore
from core.alarms.records import (
    RATE_WINDOW,
    SILENT,
    AuditEntry,
    Batch,
    Finding,
    Key,
    Remembered,
)
from core.alarms.reopening import Opening, Reopening
from core.clock import Clock
from core.errors import RetryLaterError
from core.frames import Frame
from core.topology import Topology

log = logging.getLogger(__name__)


class AlarmDesk:
    """store: None where nothing is kept. error: why not, where it should be: alarms come and go
    then, what people do is refused, and opening is tried again. Raises what `AlarmStore.load`
    does."""

    def __init__(self, topology: Topology, clock: Clock, store: AlarmStore | None = None,
                 error: str = "", opening: Opening | None = None) -> None:
        self.store, self._error = store, error
        self._topology = topology
        self._reopening = (None if opening is None or store is not None
                           else Reopening(opening, clock, error))
        known = Remembered() if store is None else store.load(clock.now() - RATE_WINDOW)
        self._book = AlarmBook(topology)
        self._book.restore(known.instances)
        self.journal = AlarmJournal(topology, clock, remembered=known,
                                    keep=self._keep)

    @property
    def error(self) -> str:
        """Why nothing is kept now, "" when all is well."""
        return self._error or self.journal.error

    def _keep(self, batch: Batch) -> None:
        if self.store is not None:
            self.store.append(batch)
        elif self._error:
            raise RetryLaterError(f"alarms and audit are not kept now: {self._error}")

    def _look_for_store(self) -> None:
        """Where it could not be opened at the start."""
        if self._reopening is None:
            return
        found = self._reopening.found()
        if found is None:
            self._error = self._reopening.error
            return
        store, known = found
        self._book.restore(known.instances)
        self.journal.resume(known, store.append)
        self.store, self._error, self._reopening = store, "", None
        log.info("alarms and audit are kept again")

    def evaluate(self, frame: Frame, reported: Iterable[Finding] = ()) -> AlarmState:
        """The alarms after a frame and what the sources themselves report. What the book only
        holds as it was keeps an alarm; it does not raise one."""
        self._look_for_store()

        def held(key: Key) -> bool:
            node = self._topology.index_of_id.get(key.element)
            return node is not None and not self._book.knows(frame, node, key.condition)

        own = [found for found in findings(self._book.evaluate(frame), self._topology)
               if found.condition == SILENT
               or self._is_on(key := Key(found.element, found.condition)) or not held(key)]
        self.journal.tick([*own, *reported], held)
        return self.state()

    def _is_on(self, key: Key) -> bool:
        known = self.journal.get(key)
        return known is not None and known.on

    def state(self) -> AlarmState:
        """As the journal has it now."""
        return journal_state(self.journal.instances(), self._topology)

    def audit(self, entry: AuditEntry) -> None:
        """Keep what a person did beside the alarms; raises RetryLaterError where it is not
        kept."""
        log.info("%s: %s %s", entry.who, entry.action, entry.element)
        self._keep(Batch(audit=(entry,), durable=True))

    def close(self) -> None:
        if self._reopening is not None:
            self._reopening.close()
        if self.store is not None:
            self.store.close()
