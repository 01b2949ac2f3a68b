"""What the heat pump's page costs: a day and a month of it, its refreshes, many viewers; its
InfluxDB and its collector. Beside them stand what the document of the original claimed."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from bench import _influx
from bench._live_client import LiveClient
from bench._page import refresh_cost_ms
from bench.report import FigureError, figure_line
from bench.session import cpu_seconds, percentile_95, wait_until_idle
from bench.start import resident_mb
from core.backfill import FAR_DAYS, NEAR_DAYS, Backfill
from core.clock import ManualClock
from core.config import load_config
from core.engine import Engine
from core.ports import Past
from core.registry import make_sources
from scripts.app_process import AppProcess
from scripts.chromium import FLAGS, find_chromium
from store.channels import EmbeddedChannelHistory

PAGE, QUERY = "heat_pump", "pump=pine_house_heat_pump"
MONTH = QUERY + "&pump_range=30+d"
REFRESH_S = 30.0
LAST_CHART = ".st-key-panel_pump_valve .js-plotly-plot .main-svg"
VIEWERS, SHORT_VIEWERS = 200, 3
CLAIMED_LOAD_S, CLAIMED_LATENCY_MS, CLAIMED_MB = 0.8, 50.0, 80.0
SENSORS = 7
BUDGET_BYTES = 512 * 1024 * 1024
START = datetime(2026, 1, 1, tzinfo=UTC)

line = partial(figure_line, "heatpump")


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """All figures (short: three viewers, few rounds)."""
    yield from _a_day_of_temperatures(3 if short else 15)
    yield _first_past()
    with AppProcess() as app:
        yield from asyncio.run(_page(app, short))
        yield from _first_load(app, 1 if short else 5)
        yield from asyncio.run(_viewers(app, SHORT_VIEWERS if short else VIEWERS))
    yield from _influx.run(short)


def _first_past() -> dict[str, object]:
    """What the first start of the demo tells of all devices: four heat pumps and a house."""
    config = load_config()
    engine = Engine(config.level_list, make_sources(config), period_s=config.engine.period_s)
    with tempfile.TemporaryDirectory() as folder:
        history = EmbeddedChannelHistory(Path(folder) / "h", engine.devices.ids,
                                         budget_bytes=BUDGET_BYTES, clock=engine.clock)
        began = time.perf_counter()
        Backfill(engine, None, history, hours=0).run()
        spent_s = time.perf_counter() - began
        history.close()
    return line(f"{NEAR_DAYS} d of four pumps, {FAR_DAYS} d of a house", "backfill", spent_s,
                "s", 5)


def _a_day_of_temperatures(count: int) -> Iterator[dict[str, object]]:
    """24 h at 1 Hz of seven sensors out of the embedded history."""
    names = [f"sensor_{number}" for number in range(SENSORS)]
    end = START + timedelta(days=1)
    with tempfile.TemporaryDirectory() as folder:
        history = EmbeddedChannelHistory(Path(folder) / "h", names, budget_bytes=BUDGET_BYTES,
                                         clock=ManualClock(end))
        time_s = START.timestamp() + np.arange(86400.0)
        values = np.random.default_rng(3).normal(30, 5, (time_s.size, SENSORS))
        history.backfill(iter([Past(time_s, values.astype(np.float32), hours_only=False)]),
                         lambda reached: None)
        history.append(end, np.full(SENSORS, 30.0))
        history.settle()
        spent_ms = []
        for _ in range(count):
            began = time.perf_counter()
            history.series(names, START, end, 440)
            spent_ms.append(1000 * (time.perf_counter() - began))
        history.close()
    yield line(f"24 h x {SENSORS} temperatures", "embedded history",
               statistics.median(spent_ms), "ms", 60)


async def _page(app: AppProcess, short: bool) -> list[dict[str, object]]:
    """A page of 30 days from the first run on, then what a refresh of a day costs."""
    async with LiveClient(app.url, PAGE, QUERY) as client:
        await asyncio.wait_for(client.first_run.wait(), 90)
        if not short:
            await asyncio.to_thread(wait_until_idle, app.pid)
        page, clocks = await refresh_cost_ms(app.pid, client, REFRESH_S, short)
        latency_ms = 1000 * statistics.median(one.latency_s for one in client.refreshes)
        case = "one page, 24 h, 30 s refresh"
        found = [line(case, "CPU per refresh", page, "ms", 60),
                 line(case, "CPU of its clocks in 30 s", clocks, "ms"),
                 line(case, "update latency (claimed 20 to 50)", latency_ms, "ms",
                      CLAIMED_LATENCY_MS)]
    return [*await _month(app), *found]


async def _month(app: AppProcess) -> list[dict[str, object]]:
    """The first run of a page of 30 days: time, processor time of all threads (DuckDB's beside
    Python's) and bytes."""
    began, cpu = time.monotonic(), cpu_seconds(app.pid)
    async with LiveClient(app.url, PAGE, MONTH) as client:
        await asyncio.wait_for(client.first_run.wait(), 90)
        took_ms, spent_ms = 1000 * (time.monotonic() - began), 1000 * (cpu_seconds(app.pid) - cpu)
        size = client.first_size
    return [line("page of 30 d, first run", "time", took_ms, "ms", 400),
            line("page of 30 d, first run", "CPU of all threads", spent_ms, "ms"),
            line("page of 30 d, first run", "to the browser", size / 1000, "kB", 300)]


def _first_load(app: AppProcess, count: int) -> Iterator[dict[str, object]]:
    """From the address to the seventh chart in a browser."""
    chromium = find_chromium()
    if chromium is None:
        raise FigureError("the bench needs Chromium: `make test` installs it or says how")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        waited = []
        for _ in range(count + 1):
            began = time.monotonic()
            page.goto(f"{app.url}/{PAGE}?{QUERY}", wait_until="commit")
            page.wait_for_selector(LAST_CHART, timeout=60_000)
            waited.append(time.monotonic() - began)
        browser.close()
    yield line("seven charts in Chromium", "first load (claimed 0.8)",
               statistics.median(waited[1:]), "s", CLAIMED_LOAD_S)


async def _viewers(app: AppProcess, count: int) -> list[dict[str, object]]:
    """Many pages that refresh themselves for one period."""
    idle_mb = resident_mb(app.pid)
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            client = await stack.enter_async_context(LiveClient(app.url, PAGE, QUERY))
            await asyncio.wait_for(client.first_run.wait(), 60)
            clients.append(client)
        first, cpu = time.monotonic(), cpu_seconds(app.pid)
        await asyncio.sleep(REFRESH_S + 5 if count > SHORT_VIEWERS else REFRESH_S / 3)
        cpu = cpu_seconds(app.pid) - cpu
        seconds = time.monotonic() - first
        latencies = [one.latency_s for client in clients for one in client.refreshes
                     if one.finished >= first]
        used_mb = resident_mb(app.pid)
    case = f"{count} viewers"
    return [line(case, "p95 latency", 1000 * percentile_95(latencies), "ms"),
            line(case, "CPU", 100 * cpu / seconds, "%"),
            line(case, "RSS (claimed about 80)", used_mb, "MB", CLAIMED_MB),
            line(case, "RSS per viewer", (used_mb - idle_mb) / count, "MB")]
