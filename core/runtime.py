"""The one engine of this process, started on first use."""

from __future__ import annotations

import atexit
import gc
import logging
import random
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from core import attributes
from core.backfill import Backfill, devices_need_it, tree_needs_it
from core.config import Config, load_config
from core.coordination import NOTHING_TO_COORDINATE, coordinator
from core.coordinator.desk import CoordinatorDesk
from core.coordinator.foretold import twin_says
from core.coordinator.planned import allocated_now
from core.engine import Engine, houses_of
from core.errors import GiveUpError, HistoryLockedError, OrreryError, RetryLaterError
from core.household import with_electricity
from core.houses import House, houses_in
from core.late import LateArrivals, late_arrivals
from core.memory import give_back, keep_small
from core.operators import check_operators
from core.ports import ChannelHistory, Store
from core.registry import (
    make_alarm_store,
    make_channel_history,
    make_physics,
    make_prediction_store,
    make_site_records,
    make_sources,
    make_store,
    make_trend_store,
    make_twin_files,
)
from core.replay import Replay
from core.settings import with_saved
from core.site_records import SiteRecords
from core.trails import Trails
from core.twin.ahead import Plans, nobody
from core.twin.desk import TwinDesk
from core.twin.kept import Shelf
from core.twin.rounds import Times

log = logging.getLogger(__name__)

COLLECTION_PERIOD_S = 30.0
TWIN_DIRECTORY, RUNS_DIRECTORY, PREDICTIONS_FILE = "twin", "runs", "predictions.sqlite"
KEPT_DIRECTORY, TRENDS_FILE = "packs", "trends.sqlite"
FORECASTS_LATE_S = 900.0
"""At most, so that not all sites ask at once."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs in this process. coordinator: or in words why there is none."""

    config: Config
    engine: Engine
    houses: tuple[House, ...]
    backfill: Backfill | None
    twin: TwinDesk | None = None
    coordinator: CoordinatorDesk | str = NOTHING_TO_COORDINATE
    late: LateArrivals | None = None
    replay: Replay = field(init=False)
    trails: Trails = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "replay", Replay(self.engine))
        object.__setattr__(self, "trails", Trails(self.engine))

    @property
    def energy_houses(self) -> tuple[House, ...]:
        """Those of the Energy Monitor."""
        return with_electricity(self.houses, self.engine.devices)

    def stop(self) -> None:
        if not isinstance(self.coordinator, str):
            self.coordinator.stop()
        if self.twin is not None:
            self.twin.stop()
        if self.backfill is not None:
            self.backfill.stop()
        if self.late is not None:
            self.late.stop()
        self.engine.stop()


_lock = threading.Lock()
_shared: Runtime | None = None
_pinned = False


def is_started() -> bool:
    """False before the first `shared_runtime` has returned, and while the engine restarts."""
    return _shared is not None


def shared_runtime() -> Runtime:
    """Start the configured engine once a process; raises ConfigurationError."""
    global _shared
    with _lock:
        if _shared is None:
            keep_small()
            _shared = start_runtime(load_config())
            atexit.register(_shared.stop)
            threading.Thread(target=_collect_garbage, name="collector", daemon=True).start()
        return _shared


def pin_runtime() -> Runtime:
    """As `shared_runtime`, for a server whose routes keep the engine: it is not restarted."""
    global _pinned
    _pinned = True
    return shared_runtime()


def restart_runtime() -> bool:
    """Stop the engine and start it anew from the file in force; False where it is pinned, and
    the process must be started anew. A file that cannot be read leaves all as it was.

    Raises ConfigurationError.
    """
    global _shared
    config = load_config()
    with _lock:
        if _pinned:
            return False
        if _shared is not None:
            atexit.unregister(_shared.stop)
            _shared.stop()
            _shared = None
        _shared = start_runtime(config)
        atexit.register(_shared.stop)
    return True


def start_runtime(config: Config) -> Runtime:
    """Build and start an engine with its history; raises ConfigurationError."""
    config, records, error = _with_records(config)
    try:
        return _started(config, records, error)
    except BaseException:
        if records is not None:
            records.close()
        raise


def _with_records(config: Config) -> tuple[Config, SiteRecords | None, str]:
    """As history: where they cannot be had, the file alone counts, and the screens say why."""
    records = None
    try:
        records = make_site_records(config.history, config.file)
        return with_saved(config, records), records, ""
    except (RetryLaterError, GiveUpError) as error:
        log.error("%s", error)
        if records is not None:
            records.close()
        return config, None, str(error)


def _started(config: Config, records: SiteRecords | None, error: str) -> Runtime:
    sources = make_sources(config)
    attributes.give((root for source in sources for root in source.roots), config.attributes,
                    config.file)
    engine = Engine(config.level_list, sources, period_s=config.engine.period_s)
    check_operators(config, [source.info for source in engine.sources])
    houses = houses_in(
        config.houses, [house for source in engine.sources for house in houses_of(source)],
        [device.house for device in engine.devices.devices.values()], config.file)
    twins: list[TwinDesk] = []
    backfills: list[Backfill] = []
    desk = coordinator(engine, config, houses,
                       lambda: twin_says(twins[0].site()) if twins else None,
                       drives=config.coordinator.here,
                       past_comes=lambda: bool(backfills and backfills[0].running))
    backfill = _attach_history(engine, config)
    keep_alarms(engine, config)
    _keep_commands(engine, records, error)
    late = late_arrivals(engine)
    engine.tick()
    engine.start()
    if backfill is not None:
        backfill.start()
        backfills.append(backfill)
    if late is not None:
        late.start()
    twin = _twin(engine, config, backfill, _plans(engine, desk))
    twins += [twin] if twin is not None else []
    if not isinstance(desk, str):
        engine.also_report(desk.findings)
        desk.start()
    return Runtime(config, engine, houses, backfill, twin, desk, late)


def _plans(engine: Engine, desk: CoordinatorDesk | str) -> Plans:
    """What the coordinator has packs do, whichever process that is."""
    if isinstance(desk, str):
        return nobody
    return lambda: allocated_now(desk.store, desk.sites, engine.clock.now())


def _twin(engine: Engine, config: Config, backfill: Backfill | None,
          plans: Plans) -> TwinDesk | None:
    """None where it is turned off, or where it cannot begin: the site is shown without."""
    if not config.twin.enabled:
        return None
    directory = None if engine.store is None else Path(config.history.directory) / TWIN_DIRECTORY
    try:
        predictions = None if directory is None else make_prediction_store(
            directory / PREDICTIONS_FILE)
        physics = make_physics(None if directory is None else directory / RUNS_DIRECTORY,
                               config.twin.workers, config.twin.ray)
        twin = TwinDesk(engine, physics, predictions, config.twin.period_s,
                        lambda: backfill is not None and backfill.running,
                        Shelf(None if directory is None else
                              make_twin_files(directory / KEPT_DIRECTORY)),
                        Times(config.twin.forecast_time, config.twin.zone,
                              random.uniform(0.0, FORECASTS_LATE_S)),
                        trends=None if directory is None else
                        make_trend_store(directory / TRENDS_FILE), plans=plans)
    except OrreryError as error:
        log.error("no digital twin: %s", error)
        return None
    twin.start()
    return twin


def keep_alarms(engine: Engine, config: Config) -> None:
    """Where their store cannot be opened, alarms come and go, nobody acts on them, the screens
    say why, and it is tried again while the engine runs."""
    opening = partial(make_alarm_store, config.history, config.file)
    store = None
    try:
        store = opening()
        engine.keep_alarms(store)
    except (HistoryLockedError, RetryLaterError, GiveUpError) as error:
        log.error("%s", error)
        if store is not None:
            store.close()
        engine.keep_alarms(None, str(error), opening)


def _keep_commands(engine: Engine, records: SiteRecords | None, error: str) -> None:
    try:
        engine.keep_records(records, error)
    except (RetryLaterError, GiveUpError) as problem:
        log.error("%s", problem)
        engine.keep_records(None, str(problem))
        if records is not None:
            records.close()


def _attach_history(engine: Engine, config: Config) -> Backfill | None:
    """A history that cannot be opened, or that another process holds, leaves this one without
    and says why; a mistake in the configuration stops the start."""
    store = channels = None
    try:
        store = make_store(config.history, engine.topology, config.file)
        channels = make_channel_history(config.history, engine.devices.ids, config.file)
    except (HistoryLockedError, RetryLaterError, GiveUpError) as error:
        log.error("%s", error)
        if store is not None:
            store.close()
        engine.attach(None, str(error))
        return None
    engine.attach(store, channels=channels)
    return _backfill(engine, store, channels, config.history.backfill_hours)


def _backfill(engine: Engine, store: Store | None, channels: ChannelHistory | None,
              hours: float) -> Backfill | None:
    newest = None if store is None else store.health().newest
    tree = store if tree_needs_it(engine, newest, hours) else None
    devices = (channels if channels is not None and hours > 0
               and devices_need_it(engine, channels) else None)
    if tree is None and devices is None:
        return None
    return Backfill(engine, tree, devices, hours, newest)


def _collect_garbage() -> None:
    """A paced collection instead of Streamlit's one after every rerun (107 -> 5 ms)."""
    gc.freeze()
    pause = threading.Event()
    while not pause.wait(COLLECTION_PERIOD_S):
        gc.collect()
        give_back()
