"""What the small tables ask of a database."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection


class Place(Protocol):
    """For any threads; each of its methods raises RetryLaterError."""

    def writing(self, durable: bool = True) -> AbstractContextManager[Connection]:
        """A transaction that is kept when it ends, or nothing of it. Over SIGKILL in any case,
        durable: over a power cut too."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one state of the tables."""
        ...

    def close(self) -> None:
        """Safe to call twice."""
        ...
