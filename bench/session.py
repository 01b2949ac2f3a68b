"""What one live Space Balls page costs, and how many of them one process holds at 1 Hz.

A refresh is one round of the page's live fragments: it is counted by the fragment that
runs most often, and the others' work is in its cost, as is the engine's.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import psutil

from bench._live_client import LiveClient
from bench.report import FigureError, figure_line
from bench.start import resident_mb
from core.backfill import HEAD_START_S
from scripts.app_process import AppProcess

PAGE = "space_balls"
RAMP = (10, 20, 40, 60)
SHORT_RAMP = (1, 3)
P95_LIMIT_S = 0.5
HELD_TARGET = 40
# A session is held when it gets at least this share of the refreshes that it asks for.
HELD_SHARE = 0.95
IDLE_TRIES, IDLE_WINDOW_S, IDLE_SHARE = 45, 2.0, 0.1


@dataclass(frozen=True, slots=True)
class Load:
    """What K sessions did in a window of `seconds` [s].

    refreshes: rounds of live fragments, all sessions. cpu_s: processor time of the server [s].
    p95_s: 95th percentile of a fragment's latency [s]. size: bytes received [B].
    """

    sessions: int
    seconds: float
    refreshes: int
    fragment_runs: int
    cpu_s: float
    p95_s: float
    size: int
    rss_mb: float

    @property
    def held(self) -> bool:
        """Every refresh in time, at 1 Hz."""
        asked = self.sessions * self.seconds
        return self.p95_s < P95_LIMIT_S and self.refreshes >= HELD_SHARE * asked


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, in user and system [s]."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def percentile_95(values: list[float]) -> float:
    """Nearest-rank 95th percentile."""
    ranked = sorted(values)
    return ranked[math.ceil(0.95 * len(ranked)) - 1]


async def add_sessions(stack: AsyncExitStack, clients: list[LiveClient], url: str, page: str,
                       count: int) -> None:
    """Open sessions one after the other until there are `count`, each past its first run."""
    while len(clients) < count:
        client = await stack.enter_async_context(LiveClient(url, page))
        await asyncio.wait_for(client.first_run.wait(), 60)
        clients.append(client)


async def observe(clients: list[LiveClient], pid: int, seconds: float) -> Load:
    """Let the sessions live for a while and count what they got."""
    first, cpu = time.monotonic(), cpu_seconds(pid)
    await asyncio.sleep(seconds)
    cpu, passed = cpu_seconds(pid) - cpu, time.monotonic() - first
    recent = [[r for r in client.refreshes if r.finished >= first] for client in clients]
    runs = [refresh for session in recent for refresh in session]
    if not runs:
        raise FigureError("no live fragment ran: does the page refresh itself?")
    rounds = sum(max(Counter(r.fragment for r in session).values(), default=0)
                 for session in recent)
    return Load(len(clients), passed, rounds, len(runs), cpu,
                percentile_95([r.latency_s for r in runs]), sum(r.size for r in runs),
                resident_mb(pid))


async def ramp(url: str, pid: int, page: str, counts: tuple[int, ...],
               seconds: float) -> list[Load]:
    """Loads for growing numbers of sessions; ends after the first that is not held."""
    loads: list[Load] = []
    clients: list[LiveClient] = []
    async with AsyncExitStack() as stack:
        for count in counts:
            await add_sessions(stack, clients, url, page, count)
            await asyncio.sleep(2)  # first ticks of new sessions fill caches
            loads.append(await observe(clients, pid, seconds))
            if not loads[-1].held:
                break
    return loads


def sessions(load: Load) -> str:
    """The name of a case."""
    return "1 session" if load.sessions == 1 else f"{load.sessions} sessions"


def report(loads: list[Load], idle_mb: float) -> Iterator[dict[str, object]]:
    """The figures of a ramp."""
    line = partial(figure_line, "session")
    for load in loads:
        case = sessions(load)
        yield line(case, "p95 latency", load.p95_s * 1000, "ms")
        yield line(case, "CPU", 100 * load.cpu_s / load.seconds, "%")
    first, last = loads[0], loads[-1]
    case = sessions(first)
    yield line(case, "CPU per refresh", 1000 * first.cpu_s / first.refreshes, "ms", 15)
    yield line(case, "fragment runs per refresh", first.fragment_runs / first.refreshes, "")
    yield line(case, "bytes per refresh", first.size / first.refreshes, "B")
    yield line(sessions(last), "RSS per session",
               (last.rss_mb - idle_mb) / last.sessions, "MB")
    held = max((load.sessions for load in loads if load.held), default=0)
    target = None if max(SHORT_RAMP) >= last.sessions else HELD_TARGET  # short: not asked
    yield line("1 Hz, p95 < 500 ms", "sessions held", held, "sessions", target, "higher")


async def one_session(url: str, page: str) -> None:
    """Open the page once, so that imports are paid for before anything is counted."""
    async with LiveClient(url, page) as client:
        await asyncio.wait_for(client.first_run.wait(), 60)
        await asyncio.sleep(2)


def wait_until_idle(pid: int) -> None:
    """Until the first start's work, the simulated past, is done; it begins after a pause."""
    time.sleep(HEAD_START_S)
    for _ in range(IDLE_TRIES):
        cpu = cpu_seconds(pid)
        time.sleep(IDLE_WINDOW_S)
        if cpu_seconds(pid) - cpu < IDLE_SHARE * IDLE_WINDOW_S:
            return


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """The ramp over the app (short: 1 and 3 sessions, 4 s each)."""
    with AppProcess() as app:
        asyncio.run(one_session(app.url, PAGE))
        if not short:
            wait_until_idle(app.pid)
        idle_mb, seconds = resident_mb(app.pid), 4 if short else 20
        cpu = cpu_seconds(app.pid)
        time.sleep(seconds)
        cpu = cpu_seconds(app.pid) - cpu
        yield figure_line("session", "no session", "CPU", 100 * cpu / seconds, "%")
        counts = SHORT_RAMP if short else RAMP
        try:
            loads = asyncio.run(ramp(app.url, app.pid, PAGE, counts, seconds))
        except FigureError as error:
            raise FigureError(f"{error}\nThe app says:\n{app.log()[-3000:]}") from error
    yield from report(loads, idle_mb)
