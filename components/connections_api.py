"""What the Connections page asks of the engine of this process."""

from __future__ import annotations

from typing import cast

from core.engine import Engine
from core.errors import UnknownIdError
from core.ports import ReconnectingSource, Source, StoreHealth, Talk, TalkingSource
from core.turned_away import Door, DoorSource, TurnedAway


class ConnectionsApi:
    """Sources looked at one by one, their stores, and who was turned away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _source(self, name: str) -> Source:
        for source in self._engine.sources:
            if source.info.name == name:
                return source
        raise UnknownIdError(f"no source is called {name[:80]!r}")

    def talk_with(self, source: str) -> Talk | None:
        found = self._source(source)
        return cast(TalkingSource, found).talk() if hasattr(found, "talk") else None

    def ping(self, source: str) -> float:
        return cast(TalkingSource, self._source(source)).ping()

    def ask_now(self, source: str) -> None:
        cast(TalkingSource, self._source(source)).ask_now()

    def reconnects(self, source: str) -> bool:
        return hasattr(self._source(source), "reconnect")

    def reconnect(self, source: str) -> None:
        if not self.reconnects(source):
            raise UnknownIdError(f"{source[:80]!r} has no connection to anybody")
        cast(ReconnectingSource, self._source(source)).reconnect()

    def fleet_stores(self) -> list[tuple[str, StoreHealth]]:
        """(label, state) of each source whose telemetry a store keeps."""
        return self._engine.kept()

    @property
    def turned_away(self) -> TurnedAway:
        """Refused sign-ins and calls of this process."""
        return self._engine.turned_away

    def doors(self) -> list[Door]:
        """Those of other processes: of each its newest word, whichever way it came."""
        told = [door for source in self._engine.sources if hasattr(source, "doors")
                for door in cast(DoorSource, source).doors()]
        if self._engine.doors is not None:
            told += self._engine.doors.doors()
        newest = {door.name: door for door in sorted(told, key=lambda one: one.heard_at)}
        return sorted(newest.values(), key=lambda one: one.name)
