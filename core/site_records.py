"""What outlives a restart beside history and alarms: commands, and what was saved for the site by
the app or by a command line, while orrery.toml stays the first source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from core.fleet.ports import CommandStore

Kind = Literal["operator", "source", "door"]
"""operator: a name and the scrypt hash of its password. source: a name and JSON of
`core.settings.SavedSource`. door: a process and JSON of `core.turned_away.Door`."""


class SiteRecords(CommandStore, Protocol):
    """Several processes may share them. What a method returned from survives a power cut; each
    raises RetryLaterError."""

    @property
    def error(self) -> str:
        """Why nothing is kept now, "" when all is well."""
        ...

    def saved(self, kind: Kind) -> Mapping[str, str]:
        """By name, in its order."""
        ...

    def save(self, kind: Kind, name: str, told: str) -> None:
        """In place of what was saved by that name before."""
        ...

    def remove(self, kind: Kind, name: str) -> bool:
        """Whether there was one."""
        ...

    def close(self) -> None: ...
