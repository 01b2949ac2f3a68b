"""A flood that an app takes in while people look: cells of packs pass their limit over MQTT.

The packs' telemetry comes through a real Mosquitto into the app's source `fleet-mqtt`; within one
second each of 10,000 cells reports 70 °C, beyond its trip, and viewers watch Alarms and Overview.
"""

from __future__ import annotations

import asyncio
import http.client
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from bench._app_log import failures
from bench._fleet import Mosquitto, until
from bench._fleet_load import SITE, Load, body
from bench._live_client import LiveClient
from bench.report import FigureError, figure_line
from bench.session import add_sessions, percentile_95, wait_until_idle
from core.alarms.records import AlarmQuery
from core.alarms.states import Event
from core.fleet.catalogue import PackPlate, catalogue
from core.fleet.messages import Body
from core.fleet.tree import CELL, element_of
from core.registry import ALARMS_DIRECTORY
from scripts.app_process import AppProcess, fetched
from store.records import open_alarms

PACKS, CELLS = 60, 200
FLOODED = 50
ALARMS = FLOODED * CELLS
HOT_C = 70.0
HEALTHY_V = {"LFP": 3.3, "NMC": 3.7, "LCO": 3.8}
VIEWERS = ("alarms", "overview", "alarms", "overview")
CALM_S, FLOOD_S = 20.0, 30.0
MOST_S = 120.0
LOOK_S = 0.25
CONFIG = """[[sources]]
kind = "fleet-mqtt"
name = "fleet"
[sources.options]
packs = {packs}
cells = {cells}
site = "{site}"
broker = "{broker}"

[history]
backfill_hours = 0
"""

line = partial(figure_line, "flood")


@dataclass(frozen=True, slots=True)
class Seen:
    """What viewers got. due: refreshes that a browser asks for in that time. silent: viewers who
    got nothing. An answer that the server merged with the next one's counts as late as that one,
    in calm too."""

    due: float
    answered: int
    median_ms: float
    p95_ms: float
    silent: int


class Packs:
    """Tell their telemetry once a second, on a thread of their own, until they are closed."""

    def __init__(self, broker: Mosquitto) -> None:
        plates = catalogue(PACKS, CELLS)
        rng = np.random.default_rng(7)
        self._calm = {plate.device: self._body(rng, plate) for plate in plates}
        self._hot = {plate.device: self._body(rng, plate, HOT_C) for plate in plates[:FLOODED]}
        self._load = Load(broker, self._calm)
        self._flooded, self._ended = threading.Event(), threading.Event()
        self.flood_took_s: float | None = None
        self._thread = threading.Thread(target=self._tell, daemon=True)
        self._thread.start()

    @staticmethod
    def _body(rng: np.random.Generator, plate: PackPlate, temperature_c: float = 25.0) -> Body:
        return body(rng, plate.cells, HEALTHY_V[plate.chemistry], temperature_c)

    @staticmethod
    def flooded_cells() -> set[str]:
        """Ids of the cells that report too hot."""
        return {f"{element_of(SITE, plate.device)}_{CELL}_{number}"
                for plate in catalogue(PACKS, CELLS)[:FLOODED] for number in range(CELLS)}

    def flood(self) -> None:
        self._flooded.set()

    def _tell(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due += 1.0
            flooded, began = self._flooded.is_set(), time.monotonic()
            bodies = {**self._calm, **self._hot} if flooded else self._calm
            for name, told in bodies.items():
                self._load.tell(name, told)
            if flooded and self.flood_took_s is None:
                self.flood_took_s = time.monotonic() - began

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._load.close()


def run() -> Iterator[dict[str, object]]:
    """20 s of calm, then the flood, all of it on the wire within a second."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder) / "broker")
        broker.start()
        packs = Packs(broker)
        config, history = Path(folder) / "orrery.toml", Path(folder) / "history"
        config.write_text(CONFIG.format(packs=PACKS, cells=CELLS, site=SITE, broker=broker.url))
        began = datetime.now(UTC)
        try:
            with AppProcess("server.py", config=config, history=history) as app:
                wait_until_idle(app.pid)
                yield from asyncio.run(_watched(app, packs))
        finally:
            packs.close()
            broker.kill()
        yield line(_case(), "alarms lost", ALARMS - _kept(history, began), "", 0)


def _case() -> str:
    return f"{ALARMS} alarms in one second, an app with {len(VIEWERS)} viewers"


async def _watched(app: AppProcess, packs: Packs) -> list[dict[str, object]]:
    viewers: list[LiveClient] = []
    async with AsyncExitStack() as stack:
        for count, page in enumerate(VIEWERS, 1):
            await add_sessions(stack, viewers, app.url, page, count)
        await asyncio.sleep(2)  # first ticks of new sessions fill caches
        calm = await _seen(viewers, CALM_S)
        packs.flood()
        waiting = asyncio.create_task(asyncio.to_thread(_until_all_stand, app))
        flood = await _seen(viewers, FLOOD_S)
        stood_s = await waiting
    if packs.flood_took_s is None or packs.flood_took_s > 1.0:
        raise FigureError(f"the flood took {packs.flood_took_s} s, not one")
    failed = failures(app.log()) + sum(one.failed_runs for one in viewers)
    case = _case()
    lines = [line(case, "until all of them stand", stood_s, "s"),
             line(case, "viewers without an answer", flood.silent, "", 0),
             line(case, "failed runs", failed, "", 0)]
    for when, seen in ((f"the {CALM_S:g} s before", calm), (case, flood)):
        lines += [line(when, "refreshes due", seen.due, ""),
                  line(when, "refreshes answered", seen.answered, "", better="higher"),
                  line(when, "refresh, median", seen.median_ms, "ms"),
                  line(when, "refresh, p95", seen.p95_ms, "ms")]
    return lines


async def _seen(viewers: list[LiveClient], seconds: float) -> Seen:
    began = time.monotonic()
    await asyncio.sleep(seconds)
    each = [[one for one in viewer.refreshes if one.finished >= began] for viewer in viewers]
    spent_ms = [1000.0 * one.latency_s for found in each for one in found]
    if not spent_ms:
        raise FigureError("no viewer got anything")
    due = sum(seconds / every_s for viewer in viewers for every_s in viewer.intervals.values())
    return Seen(due, len(spent_ms), median(spent_ms), percentile_95(spent_ms),
                sum(not found for found in each))


def _until_all_stand(app: AppProcess) -> float:
    """Seconds until the app's own figures count all of them."""
    began = time.monotonic()
    until(lambda: _standing(app) >= ALARMS, "all alarms stand in the app", MOST_S)
    return time.monotonic() - began


def _standing(app: AppProcess) -> float:
    """Trips that are open, as /metrics tells; 0 where it does not answer within a second. Asked
    seldom: each answer costs the app what pages then wait for."""
    threading.Event().wait(LOOK_S)
    try:
        metrics = fetched(app.url + "/metrics")
    except (http.client.HTTPException, OSError):
        return 0.0
    return sum(sample.value for family in text_string_to_metric_families(metrics)
               if family.name == "orrery_alarms" for sample in family.samples
               if sample.labels["severity"] == "trip")


def _kept(history: Path, began: datetime) -> int:
    """Cells whose alarm is in what the app left on disk."""
    store = open_alarms(history / ALARMS_DIRECTORY)
    try:
        query = AlarmQuery(began, began + timedelta(hours=1), limit=4 * ALARMS)
        kept = {told.key.element for told in store.history(query)
                if told.event is Event.ON and told.key.condition == "temperature_high"}
    finally:
        store.close()
    return len(Packs.flooded_cells() & kept)
