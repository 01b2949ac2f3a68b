"""Asks the sources each tick, rolls up, evaluates alarms, stores, publishes: one thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, cast

from core.alarms import AlarmState, no_alarms
from core.alarms.desk import AlarmDesk
from core.alarms.ports import AlarmStore
from core.alarms.records import Finding
from core.alarms.reopening import Opening
from core.assembly import Assembler, place
from core.clock import Clock, SystemClock
from core.devices import Board, Device, DeviceFrame, DeviceTable
from core.errors import NotYetError, OrreryError, UnknownIdError
from core.fleet.outcomes import LATE_ANSWERS, LateAnswers, resume
from core.fleet.ports import FleetSource
from core.frames import Frame, Reading
from core.houses import House
from core.ports import (
    ChannelHistory,
    DeviceSource,
    KeptSource,
    PollHealth,
    PollingSource,
    RememberingSource,
    Series,
    Source,
    SourceInfo,
    Store,
    StoreHealth,
    Tier,
)
from core.safety.latency import Histogram
from core.site_doors import DoorsSeen
from core.site_records import SiteRecords
from core.topology import Level
from core.turned_away import TurnedAway

log = logging.getLogger(__name__)

TICK_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

SourceState = Literal["waiting", "live", "lost"]


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """since: when it came into `state`. heard_at: its newest reading (UTC). error: why it is
    lost, or what it waits for. failures: ticks in a row without a reading. polling: of a source
    that asks somebody else's server."""

    info: SourceInfo
    state: SourceState
    since: datetime
    heard_at: datetime | None = None
    error: str = ""
    failures: int = 0
    polling: PollHealth | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the engine published last; never changed afterwards. number counts from 1."""

    number: int
    frame: Frame
    alarms: AlarmState
    sources: tuple[SourceStatus, ...]
    history_error: str
    devices: DeviceFrame


class Engine:
    """One a process. `store` may be None: history is then off."""

    def __init__(self, levels: Sequence[Level], sources: Sequence[Source],
                 clock: Clock | None = None, period_s: float = 1.0, *,
                 with_alarms: bool = True) -> None:
        """Raises what `place` does."""
        self.clock = clock or SystemClock()
        self.period_s = period_s
        self.sources = tuple(sources)
        self.topology, self.placements = place(levels, self.sources)
        self.devices = DeviceTable([devices_of(source) for source in self.sources])
        self.store: Store | None = None
        self.channels: ChannelHistory | None = None
        self.history_error = ""
        self.records: SiteRecords | None = None
        self.doors: DoorsSeen | None = None
        self._records_error = ""
        self.ticks = Histogram(TICK_BOUNDS_S)
        self.turned_away = TurnedAway(self.clock.now)
        self._board = Board(self.devices, [source.info.stale_after_s for source in self.sources])
        self.assembler = self.new_assembler()
        self._with_alarms = with_alarms
        self._reporters: list[Callable[[], Sequence[Finding]]] = []
        self.desk = AlarmDesk(self.topology, self.clock)
        now = self.clock.now()
        self._statuses = [SourceStatus(source.info, "waiting", now) for source in self.sources]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        for source, placement in zip(self.sources, self.placements, strict=True):
            source.start(now, placement.topology)
        self._snapshot = self._first_snapshot(now)
        self._published_s = self.clock.monotonic_s()

    def new_assembler(self) -> Assembler:
        """An assembler of the whole site with nothing known yet."""
        limits = [source.info.stale_after_s for source in self.sources]
        return Assembler(self.topology, self.placements, limits)

    def _first_snapshot(self, now: datetime) -> Snapshot:
        frame = self.assembler.frame(now)
        return Snapshot(0, frame, self._judged(frame), tuple(self._statuses), "",
                        self._board.frame(now))

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    @property
    def frame_age_s(self) -> float:
        """How long ago the newest frame was published [s], whatever became of the wall clock since:
        one that was set back must not hide an engine that hangs (law 3)."""
        return self.clock.monotonic_s() - self._published_s

    def also_report(self, findings: Callable[[], Sequence[Finding]]) -> None:
        """Conditions that somebody beside the sources knows of, asked at each tick."""
        self._reporters.append(findings)

    def attach(self, store: Store | None, error: str = "",
               channels: ChannelHistory | None = None) -> None:
        """Keep history from the next tick on, the tree's in `store`, the devices' in
        `channels`; `error` says why there is none."""
        self.store = store
        self.channels = channels
        self.history_error = error

    def keep_alarms(self, store: AlarmStore | None, error: str = "",
                    opening: Opening | None = None) -> None:
        """Go on with the alarms of `store` and keep all that follows there; `error` says why
        there is none, and `opening` is then tried again. Before the first tick; raises what
        `AlarmStore.load` does."""
        self.desk = AlarmDesk(self.topology, self.clock, store, error, opening)

    def keep_records(self, records: SiteRecords | None, error: str = "",
                     late: LateAnswers = LATE_ANSWERS) -> None:
        """Go on with the commands of the last hours and keep those that follow in `records`;
        `error` says why there are none. Whoever keeps the audit, after `keep_alarms`, tells what
        becomes of those that are open. Raises RetryLaterError."""
        fleets = fleets_of(self.sources)
        if records is not None:
            for fleet in fleets:
                fleet.remember(records)
            if self.desk.store is not None:
                resume(lambda: [life for fleet in fleets for life in fleet.commands()],
                       self.desk.audit, self.clock.now, late)
        self.records, self._records_error = records, error
        self.doors = None if records is None else DoorsSeen(records, self.clock)

    @property
    def records_error(self) -> str:
        """Why no command is kept now, "" when all is well."""
        return self._records_error or ("" if self.records is None else self.records.error)

    def source_of(self, device_id: str) -> Source:
        """Raises UnknownIdError."""
        for source in self.sources:
            if any(device.id == device_id for device in devices_of(source)):
                return source
        raise UnknownIdError(f"no device is called {device_id[:80]!r}")

    def recall(self, channel_ids: Sequence[str], start: datetime, end: datetime,
               max_points: int = 1000, tier: Tier = "auto") -> list[Series]:
        """The past of channels in their order: from the source where it remembers, else from
        history; [] where there is neither. Raises UnknownIdError and SourceError."""
        owners = {name: self.source_of(name.partition(".")[0]) for name in channel_ids}
        found: dict[str, Series] = {}
        for source in dict.fromkeys(owners.values()):
            own = [name for name in channel_ids if owners[name] is source]
            if hasattr(source, "recall"):
                told = cast(RememberingSource, source).recall(own, start, end, max_points)
            elif self.channels is not None:
                told = self.channels.series(own, start, end, max_points, tier)
            else:
                return []
            found.update(zip(own, told, strict=True))
        return [found[name] for name in channel_ids]

    def kept(self) -> list[tuple[str, StoreHealth]]:
        """(label, state of its store) of each source whose telemetry a store keeps."""
        return [(source.info.label, cast(KeptSource, source).kept()) for source in self.sources
                if hasattr(source, "kept")]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, then close the sources and the store."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for source in self.sources:
            source.close()
        for history in (self.store, self.channels, self.desk, self.records):
            if history is not None:
                history.close()

    def tick(self) -> Snapshot:
        """One round; called by the thread, and by tests and benches directly."""
        began_s, now = time.perf_counter(), self.clock.now()
        for index, source in enumerate(self.sources):
            self._poll(index, source, now)
        frame, devices = self.assembler.frame(now), self._board.frame(now)
        self._keep(frame, devices)
        self._snapshot = Snapshot(self._snapshot.number + 1, frame, self._judged(frame),
                                  tuple(self._statuses), self.history_error, devices)
        self._published_s = self.clock.monotonic_s()
        self.ticks.add(time.perf_counter() - began_s)
        return self._snapshot

    def _judged(self, frame: Frame) -> AlarmState:
        if not self._with_alarms:
            return no_alarms(self.topology)
        return self.desk.evaluate(frame, self._reported())

    def _reported(self) -> list[Finding]:
        """What devices say of themselves; a source that cannot say it is heard of elsewhere."""
        found: list[Finding] = [one for report in self._reporters for one in report()]
        for fleet in fleets_of(self.sources):
            try:
                found += fleet.findings()
            except OrreryError as error:
                log.warning("source %s: %s", fleet.info.name, error)
        return found

    def _poll(self, index: int, source: Source, now: datetime) -> None:
        try:
            reading = source.poll(now)
            self._apply(index, reading)
        except NotYetError as error:
            self._awaited(index, str(error), now)
        except OrreryError as error:
            self._lost(index, str(error), now)
        except Exception as error:  # noqa: BLE001 - one source's defect must not stop the others
            self._lost(index, f"unexpected {type(error).__name__}: {error}", now, error)
        else:
            self._heard(index, reading.measured_at, now)
        if hasattr(source, "poll_health"):
            polling = cast(PollingSource, source).poll_health()
            self._statuses[index] = replace(self._statuses[index], polling=polling)

    def _apply(self, index: int, reading: Reading) -> None:
        self.assembler.apply(index, reading)
        if reading.channels is not None:
            self._board.apply(index, reading.measured_at, reading.channels,
                              reading.channels_heard)

    def _awaited(self, index: int, why: str, now: datetime) -> None:
        """The first answer is on its way; one that was lost stays lost until then."""
        status = self._statuses[index]
        if status.state == "live":
            status = replace(status, state="waiting", since=now)
        self._statuses[index] = replace(status, error=why)

    def _lost(self, index: int, why: str, now: datetime,
              defect: Exception | None = None) -> None:
        status = self._statuses[index]
        if status.state != "lost":
            log.warning("source %s lost: %s", status.info.name, why, exc_info=defect)
            status = replace(status, state="lost", since=now)
        self._statuses[index] = replace(status, error=why, failures=status.failures + 1)

    def _heard(self, index: int, measured_at: datetime, now: datetime) -> None:
        status = self._statuses[index]
        if status.state == "lost":
            log.info("source %s is back", status.info.name)
        if status.state != "live":
            status = replace(status, state="live", since=now, error="")
        self._statuses[index] = replace(status, heard_at=measured_at, failures=0, error="")

    def _keep(self, frame: Frame, devices: DeviceFrame) -> None:
        if self.store is None:
            return
        try:
            self.store.append(frame)
            if self.channels is not None:
                self.channels.append(devices.time, devices.fresh())
        except OrreryError as error:
            if not self.history_error:
                log.error("history is not written: %s", error)
            self.history_error = str(error)
        else:
            if self.history_error:
                log.info("history is written again")
            self.history_error = ""

    def _run(self) -> None:
        while not self._stop.is_set():
            began_s = self.clock.monotonic_s()
            self.tick()
            spent_s = self.clock.monotonic_s() - began_s
            self.clock.wait(max(0.0, self.period_s - spent_s), self._stop)


def fleets_of(sources: Sequence[Source]) -> list[FleetSource]:
    """Those of coordinated packs."""
    return [cast(FleetSource, source) for source in sources if hasattr(source, "packs")]


def devices_of(source: Source) -> Sequence[Device]:
    """Empty for a source of the battery tree alone."""
    return cast(DeviceSource, source).devices if hasattr(source, "devices") else ()


def houses_of(source: Source) -> Sequence[House]:
    """The houses that a source itself knows."""
    return cast(DeviceSource, source).houses if hasattr(source, "houses") else ()
