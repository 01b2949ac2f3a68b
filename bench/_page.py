"""What the parts of a live page cost the server."""

from __future__ import annotations

import asyncio
import time

from bench._live_client import LiveClient
from bench.session import cpu_seconds

ALONE_S, SHORT_S = 30.0, 3.0
RUNS, SHORT_RUNS = 40, 3


async def refresh_cost_ms(pid: int, client: LiveClient, refresh_s: float, short: bool,
                          ) -> tuple[float, float]:
    """CPU of one refresh [ms], less what the app needs without: of all parts that refresh every
    `refresh_s` [s] or slower, by their share of it; and in the same time of the faster ones."""
    seconds = SHORT_S if short else ALONE_S
    alone = await _cpu(pid, seconds) / seconds
    spent_ms = {True: 0.0, False: 0.0}
    for fragment, every_s in list(client.intervals.items()):
        each_ms = await _cost_ms(pid, client, fragment, alone, SHORT_RUNS if short else RUNS)
        spent_ms[every_s >= refresh_s] += each_ms * refresh_s / every_s
    return spent_ms[True], spent_ms[False]


async def _cpu(pid: int, seconds: float) -> float:
    began = cpu_seconds(pid)
    await asyncio.sleep(seconds)
    return cpu_seconds(pid) - began


async def _cost_ms(pid: int, client: LiveClient, fragment: str, alone: float,
                   count: int) -> float:
    """CPU of one run of a fragment [ms], less `alone`, what the app needs without [s/s]."""
    began, cpu = time.monotonic(), cpu_seconds(pid)
    for _ in range(count):
        await client.refresh(fragment)
    spent_s = cpu_seconds(pid) - cpu - alone * (time.monotonic() - began)
    return 1000 * spent_s / count
