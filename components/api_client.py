"""What the pages ask: the engine of this process. Pages never see a source or a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.engine import Snapshot
from core.ports import ScriptedSource, Series, StoreHealth
from core.runtime import Runtime, shared_runtime
from core.topology import Topology


@dataclass(frozen=True, slots=True)
class BackfillState:
    """progress: share of the simulated past that is written, 0..1."""

    running: bool
    progress: float
    error: str


class Client(Protocol):
    """One contract for this process's engine and, later, for a gateway over HTTP."""

    @property
    def title(self) -> str: ...

    @property
    def topology(self) -> Topology: ...

    @property
    def period_s(self) -> float: ...

    def now(self) -> datetime: ...

    def snapshot(self) -> Snapshot: ...

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]: ...

    def history(self) -> StoreHealth | None:
        """None when there is no history; `snapshot().history_error` says why."""
        ...

    def backfill(self) -> BackfillState | None: ...

    def systems_by_kind(self) -> dict[str, int]:
        """How many systems are "live", "recorded" and "simulated"."""
        ...

    def fault_scripts(self) -> list[str]: ...

    def running_faults(self) -> list[str]: ...

    def start_fault(self, name: str) -> None: ...

    def stop_faults(self) -> None: ...


class LocalClient:
    """Asks the engine of this process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._engine = runtime.engine

    @property
    def title(self) -> str:
        return self._runtime.config.title

    @property
    def topology(self) -> Topology:
        return self._engine.topology

    @property
    def period_s(self) -> float:
        return self._engine.period_s

    @property
    def sign_in_mode(self) -> str:
        return self._runtime.config.sign_in.mode

    def now(self) -> datetime:
        return self._engine.clock.now()

    def snapshot(self) -> Snapshot:
        return self._engine.snapshot

    def series(self, node_ids: Sequence[str], metrics: Sequence[str], start: datetime,
               end: datetime, max_points: int = 1000) -> list[Series]:
        if self._engine.store is None:
            return []
        return self._engine.store.series(node_ids, metrics, start, end, max_points)

    def history(self) -> StoreHealth | None:
        store = self._engine.store
        return None if store is None else store.health()

    def backfill(self) -> BackfillState | None:
        work = self._runtime.backfill
        if work is None:
            return None
        return BackfillState(work.running, work.progress, work.error)

    def systems_by_kind(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for source in self._engine.sources:
            kind = source.info.kind
            found[kind] = found.get(kind, 0) + len(source.roots)
        return found

    def fault_scripts(self) -> list[str]:
        return [name for source in self._scripted() for name in source.scripts()]

    def running_faults(self) -> list[str]:
        return [name for source in self._scripted() for name in source.running_scripts()]

    def start_fault(self, name: str) -> None:
        for source in self._scripted():
            if name in source.scripts():
                source.start_script(name, self.now())

    def stop_faults(self) -> None:
        for source in self._scripted():
            source.stop_scripts()

    def _scripted(self) -> list[ScriptedSource]:
        return [source for source in self._engine.sources
                if hasattr(source, "start_script")]  # type: ignore[misc]


def local_client() -> LocalClient:
    """The client of this process's engine; raises ConfigurationError."""
    return LocalClient(shared_runtime())
