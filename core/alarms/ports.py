"""Where alarms and what people did about them are kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from core.alarms.records import AlarmQuery, AuditEntry, Batch, Remembered, Transition


class AlarmStore(Protocol):
    """Alarms and what people did about them. What `append` returned from survives SIGKILL; a
    durable batch survives a power cut too. It grows to a bound and gives up the oldest lines
    of history, the oldest acknowledgements, and the oldest of all else in the audit, each by a
    bound of its own; open alarms never."""

    def append(self, batch: Batch) -> None:
        """All of it or nothing. Raises RetryLaterError when it cannot be written."""
        ...

    def load(self, since: datetime) -> Remembered:
        """Every open alarm with its delays, and the transitions since then, of very many the
        newest."""
        ...

    def history(self, query: AlarmQuery) -> list[Transition]:
        """Newest first, of all that are kept: the limit counts what is found. Raises
        RetryLaterError."""
        ...

    def audit(self, query: AlarmQuery) -> list[AuditEntry]:
        """Newest first; the query's times, element, text and limit count."""
        ...

    def export(self, query: AlarmQuery) -> Iterator[tuple[str | float, ...]]:
        """The same lines as `history`, as rows for `core.csv_text`, a row of titles first."""
        ...

    def close(self) -> None: ...
