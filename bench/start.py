"""How long a person waits for the first sphere, and what the server then weighs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import psutil
from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from bench.report import FigureError, figure_line
from scripts.app_process import AppProcess
from scripts.chromium import FLAGS, find_chromium

PAGE = "/space_balls"
SPHERES_DRAWN = "() => Boolean(window.__spheres?.[0]?.ready)"
MEGABYTE = 1e6
# The first part of a run fills caches; the slope is fitted after it.
WARM_UP_SHARE = 0.3


def resident_mb(pid: int) -> float:
    """Resident memory of a process and its children [MB]."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    total = 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:  # a child may end between listing and asking
            continue
    return total / MEGABYTE


async def kept_mb(pid: int, seconds: float) -> float:
    """The least resident memory [MB] seen in `seconds` [s]: what stays after a collection."""
    least_mb, until_s = resident_mb(pid), time.monotonic() + seconds
    while time.monotonic() < until_s:
        await asyncio.sleep(1.0)
        least_mb = min(least_mb, resident_mb(pid))
    return least_mb


def slope(times: list[float], values: list[float]) -> float:
    """Least-squares slope of values over times."""
    mean_t, mean_v = sum(times) / len(times), sum(values) / len(values)
    over = sum((t - mean_t) * (v - mean_v) for t, v in zip(times, values, strict=True))
    return over / sum((t - mean_t) ** 2 for t in times)


def seconds_to_first_sphere(app: AppProcess, page: Page) -> float:
    """From the command to the first drawn sphere [s]; the browser is already open."""
    started = time.monotonic()
    app.spawn()
    app.wait_until_healthy()
    page.goto(app.url + PAGE, wait_until="commit")
    try:
        page.wait_for_function(SPHERES_DRAWN, timeout=60_000)
    except PlaywrightTimeoutError as error:
        raise FigureError("no sphere after 60 s. The page says:\n" + page.inner_text("body")[:1500]
                          + "\nThe app says:\n" + app.log()[-3000:]) from error
    return time.monotonic() - started


def watch_memory(pid: int, seconds: float, page: Page) -> tuple[list[float], list[float]]:
    """Minutes since the start and resident MB, once a second, while the page stays open."""
    started = time.monotonic()
    minutes: list[float] = []
    megabytes: list[float] = []
    while (passed := time.monotonic() - started) < seconds:
        minutes.append(passed / 60)
        megabytes.append(resident_mb(pid))
        page.wait_for_timeout(1000)
    return minutes, megabytes


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """Cold start with an empty history, then memory over 10 min (short: 20 s)."""
    chromium = find_chromium()
    if chromium is None:
        raise FigureError("the start bench needs Chromium: `make test` installs it or says how")
    seconds = 20 if short else 600
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        app = AppProcess()
        try:
            waited = seconds_to_first_sphere(app, page)
            yield figure_line("start", "empty history", "first sphere", waited, "s", 5)
            minutes, megabytes = watch_memory(app.pid, seconds, page)
        finally:
            app.stop()
            browser.close()
    case = f"one open page, {seconds} s"
    first = int(len(minutes) * WARM_UP_SHARE)
    yield figure_line("start", case, "RSS", megabytes[-1], "MB", 350)
    rising = slope(minutes[first:], megabytes[first:])
    yield figure_line("start", case, "RSS slope", rising, "MB/min")
