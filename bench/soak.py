"""Twenty viewers on all pages, a hundred who come and go, and what the process keeps of it.

`python -m bench soak` watches for an hour, in its short form for three minutes; CI runs
`--short --strict`, which fails when a target is missed.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median

from prometheus_client.parser import text_string_to_metric_families

from bench._app_log import failures
from bench._live_client import LiveClient
from bench.report import FigureError, figure_line
from bench.session import add_sessions, wait_until_idle
from bench.start import resident_mb
from scripts.app_process import AppProcess, fetched

PAGES = ("overview", "alarms", "fleet", "coordinator", "space_balls", "digital_twin",
         "energy_monitor", "heat_pump", "connections")
SLOPE_LIMIT, SHORT_SLOPE_LIMIT = 0.2, 1.0
SAMPLE_S = 2.0
TICK_LIMIT_MS = 250.0
TICKS = "orrery_tick_duration_seconds"

line = partial(figure_line, "soak")


@dataclass(frozen=True, slots=True)
class Form:
    """viewers who stay for `seconds` [s], churn of others who came before and left; settle_s: until
    it is counted from, for what is kept in memory is filled in the first minute [s]."""

    viewers: int
    churn: int
    seconds: float
    slope_limit: float
    settle_s: float = 60.0


LONG, SHORT = Form(20, 100, 3600.0, SLOPE_LIMIT), Form(20, 100, 180.0, SHORT_SLOPE_LIMIT)


@dataclass(frozen=True, slots=True)
class Watched:
    """minutes, megabytes: resident memory over time. refreshes, failed: runs of all viewers."""

    minutes: list[float]
    megabytes: list[float]
    refreshes: int
    failed: int


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """Memory over time, the engine's pace, runs that failed."""
    yield from soak(SHORT if short else LONG)


def soak(form: Form, history: Path | None = None) -> Iterator[dict[str, object]]:
    """The figures of one form. history: what the app finds; nothing when None."""
    with AppProcess("server.py", history=history) as app:
        wait_until_idle(app.pid)
        before_mb = resident_mb(app.pid)
        churned_mb, watched = asyncio.run(_soak(app, form))
        tick_ms = 1000 * _p99(_buckets(fetched(app.url + "/metrics")))
        failed = watched.failed + failures(app.log())
    case = f"{form.viewers} viewers, {form.seconds / 60:g} min"
    yield line(f"{form.churn} sessions come and go", "RSS, more than before",
               churned_mb - before_mb, "MB")
    yield line(case, "RSS", watched.megabytes[-1], "MB")
    yield line(case, "RSS slope", _slope(watched), "MB/min", form.slope_limit)
    yield line(case, "tick p99", tick_ms, "ms", TICK_LIMIT_MS)
    yield line(case, "refreshes", watched.refreshes / form.seconds, "1/s")
    yield line(case, "failed runs", failed, "", 0)


async def _soak(app: AppProcess, form: Form) -> tuple[float, Watched]:
    """Resident memory after the churn [MB], and what was seen then."""
    viewers: list[LiveClient] = []
    async with AsyncExitStack() as stack:
        for count, page in zip(range(1, form.viewers + 1), cycle(PAGES), strict=False):
            await add_sessions(stack, viewers, app.url, page, count)
        failed = await _churn(app.url, form.churn)
        churned_mb = resident_mb(app.pid)
        await asyncio.sleep(form.settle_s)
        watched = await _watch(app.pid, viewers, form.seconds)
    return churned_mb, Watched(watched.minutes, watched.megabytes, watched.refreshes,
                               watched.failed + failed)


async def _churn(url: str, count: int) -> int:
    """Sessions, one after the other; how many runs failed."""
    failed = 0
    for _, page in zip(range(count), cycle(PAGES), strict=False):
        async with LiveClient(url, page) as client:
            await asyncio.wait_for(client.first_run.wait(), 60)
        failed += client.failed_runs
    return failed


async def _watch(pid: int, viewers: list[LiveClient], seconds: float) -> Watched:
    began, done = time.monotonic(), sum(len(one.refreshes) for one in viewers)
    minutes: list[float] = []
    megabytes: list[float] = []
    while (passed := time.monotonic() - began) < seconds:
        minutes.append(passed / 60)
        megabytes.append(resident_mb(pid))
        await asyncio.sleep(SAMPLE_S)
    return Watched(minutes, megabytes, sum(len(one.refreshes) for one in viewers) - done,
                   sum(one.failed_runs for one in viewers))


def _slope(watched: Watched) -> float:
    """From what stays in the first third to what stays in the last one [MB/min]: the least of
    each, for what a refresh takes is handed back by the next collection, 20 MB of it."""
    third = len(watched.megabytes) // 3
    grown = min(watched.megabytes[-third:]) - min(watched.megabytes[:third])
    return grown / (median(watched.minutes[-third:]) - median(watched.minutes[:third]))


def _buckets(metrics: str) -> list[tuple[float, float]]:
    """(upper edge [s], ticks up to it) of the engine's histogram."""
    return [(float(sample.labels["le"]), sample.value)
            for family in text_string_to_metric_families(metrics) if family.name == TICKS
            for sample in family.samples if sample.name == f"{TICKS}_bucket"]


def _p99(buckets: list[tuple[float, float]]) -> float:
    """The edge that 99 % of all ticks lie below [s]."""
    if not buckets or not buckets[-1][1]:
        raise FigureError("the app tells no ticks at /metrics")
    edge = next(edge for edge, count in buckets if count >= 0.99 * buckets[-1][1])
    if math.isinf(edge):
        raise FigureError("more than 1 % of the ticks were longer than the histogram tells")
    return edge
