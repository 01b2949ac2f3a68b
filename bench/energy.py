"""What the Energy Monitor costs: its page, its charts of three days, its Venus source."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from bench import _venus_rate
from bench._live_client import LiveClient
from bench._page import refresh_cost_ms
from bench.report import FigureError, figure_line
from bench.session import wait_until_idle
from bench.start import kept_mb
from components.house import charts
from core.clock import ManualClock
from core.ports import Past, Series
from core.runtime import COLLECTION_PERIOD_S
from core.safe_band import NORMAL_TEMPERATURE_C
from scripts.app_process import AppProcess
from scripts.chromium import FLAGS, find_chromium
from store.channels import EmbeddedChannelHistory

PAGE = "energy_monitor"
REFRESH_S = 30.0
LAST_CHART = ".st-key-panel_house_soc .js-plotly-plot .main-svg"
HOURS, CHANNELS = 72, 6
BUDGET_BYTES = 512 * 1024 * 1024
START = datetime(2026, 1, 1, tzinfo=UTC)
REFRESHES = 1000

line = partial(figure_line, "energy")


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """All figures (short: one refresh, 30 forced ones, 2 s of messages)."""
    yield from _charts_of_three_days(3 if short else 9)
    with AppProcess() as app:
        yield from asyncio.run(_page(app, short))
        yield from _first_load(app, 1 if short else 5)
    yield from _venus_rate.run(short)


# -- the page

async def _page(app: AppProcess, short: bool) -> list[dict[str, object]]:
    """CPU of what refreshes every 30 s or slower, and apart from it of the clocks of the page
    and its sidebar, which tick faster; then its memory."""
    async with LiveClient(app.url, PAGE) as client:
        await asyncio.wait_for(client.first_run.wait(), 90)
        if not short:
            await asyncio.to_thread(wait_until_idle, app.pid)
        page, clocks = await refresh_cost_ms(app.pid, client, REFRESH_S, short)
        case = "one page, 30 s refresh"
        found = [line(case, "CPU per refresh", page, "ms", 40),
                 line(case, "CPU of its clocks in 30 s", clocks, "ms")]
        return found + await _memory(app.pid, client, short)


async def _memory(pid: int, client: LiveClient, short: bool) -> list[dict[str, object]]:
    """What stays of the memory that forced refreshes took, of what refreshes every 30 s."""
    paced = [fragment for fragment, every_s in client.intervals.items() if every_s == REFRESH_S]
    if not paced:
        raise FigureError("no part of the page refreshes every 30 s")
    count, watched_s = (30, 1.0) if short else (REFRESHES, COLLECTION_PERIOD_S + 5.0)
    await _refreshed(client, paced, count // 4)
    before_mb = await kept_mb(pid, watched_s)
    await _refreshed(client, paced, count)
    after_mb = await kept_mb(pid, watched_s)
    case = f"{count} refreshes"
    return [line(case, "RSS", after_mb, "MB"),
            line(case, "RSS, more than after the first quarter", after_mb - before_mb, "MB", 5.0)]


async def _refreshed(client: LiveClient, fragments: Sequence[str], count: int) -> None:
    for number in range(count):
        await client.refresh(fragments[number % len(fragments)])


def _first_load(app: AppProcess, count: int) -> Iterator[dict[str, object]]:
    """From the address to the last chart of the first screens, caches of the server warm."""
    chromium = find_chromium()
    if chromium is None:
        raise FigureError("the bench needs Chromium: `make test` installs it or says how")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        waited = []
        for _ in range(count + 1):
            began = time.monotonic()
            page.goto(f"{app.url}/{PAGE}", wait_until="commit")
            page.wait_for_selector(LAST_CHART, timeout=60_000)
            waited.append(time.monotonic() - began)
        browser.close()
    yield line("warm cache", "first load", statistics.median(waited[1:]), "s", 2)


# -- three days at 1 Hz

def _charts_of_three_days(count: int) -> Iterator[dict[str, object]]:
    """259,200 rows of six channels out of history into the three figures, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        history, end = _three_days(Path(folder))
        spent_ms, size = [], 0
        for _ in range(count):
            began = time.perf_counter()
            size = _drawn(history, end)
            spent_ms.append(1000 * (time.perf_counter() - began))
        history.close()
    case = f"{HOURS} h of 1 Hz, {HOURS * 3600} rows x {CHANNELS}"
    yield line(case, "to three charts, first time", spent_ms[0], "ms", 250)
    yield line(case, "to three charts, again", statistics.median(spent_ms[1:]), "ms", 250)
    yield line(case, "to the browser", size / 1000, "kB", 120)


def _three_days(folder: Path) -> tuple[EmbeddedChannelHistory, datetime]:
    names = [f"channel_{number}" for number in range(CHANNELS)]
    end = START + timedelta(hours=HOURS)
    history = EmbeddedChannelHistory(folder / "h", names, budget_bytes=BUDGET_BYTES,
                                     clock=ManualClock(end))
    rng = np.random.default_rng(7)
    day = np.arange(0.0, 86400.0)

    def pieces() -> Iterator[Past]:
        for number in range(HOURS // 24):
            time_s = START.timestamp() + number * 86400 + day
            wave = np.sin(2 * np.pi * day / 86400)[:, np.newaxis]
            values = 50 + 30 * wave * np.linspace(0.1, 1, CHANNELS) + rng.normal(
                0, 1, (day.size, CHANNELS))
            yield Past(time_s, values.astype(np.float32), hours_only=False)

    history.backfill(pieces(), lambda reached: None)
    history.append(end, np.full(CHANNELS, 50.0))
    history.settle()
    return history, end


def _drawn(history: EmbeddedChannelHistory, end: datetime) -> int:
    """Size of the three figures of the page [B]."""
    start = end - timedelta(hours=HOURS)
    found = history.series([f"channel_{number}" for number in range(CHANNELS)], start, end,
                           charts.MOST_POINTS)
    frame = charts.Frame("dark", "UTC", (start.timestamp(), end.timestamp()))
    figures = [charts.with_band(found[0], "V", 2, (52.0, 58.0), "normal", frame),
               charts.split(_around_zero(found[1]), "A", 1, -1.0, frame),
               charts.with_band(found[2], "°C", 1, NORMAL_TEMPERATURE_C, "optimal", frame)]
    return sum(len(figure.to_json())
               for figure in figures)


def _around_zero(series: Series) -> Series:
    """A current that changes its direction."""
    middle = np.float32(50.0)
    return replace(series, minimum=series.minimum - middle, maximum=series.maximum - middle,
                   mean=series.mean - middle)
