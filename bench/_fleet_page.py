"""What the page Fleet of 1,000 packs costs the server."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench._live_client import LiveClient
from bench._page import refresh_cost_ms
from bench.report import figure_line
from bench.session import wait_until_idle
from scripts.app_process import AppProcess

PACKS, CELLS = 1000, 16
REFRESH_S = 2.0
MOST_MS, MOST_KB = 40.0, 150.0
SITE = f"""[[sources]]
name = "packs"
kind = "packs"
[sources.options]
packs = {PACKS}
cells = {CELLS}
past_hours = 0
"""


def run() -> Iterator[dict[str, object]]:
    """Packs of a demo, for their edges are no part of the page."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "orrery.toml"
        config.write_text(SITE)
        with AppProcess(config=config) as app:
            yield from asyncio.run(_page(app))


async def _page(app: AppProcess) -> list[dict[str, object]]:
    async with LiveClient(app.url, "fleet") as client:
        await asyncio.wait_for(client.first_run.wait(), 120)
        await asyncio.to_thread(wait_until_idle, app.pid)
        page_ms, faster_ms = await refresh_cost_ms(app.pid, client, REFRESH_S, short=False)
        paced = [key for key, every_s in client.intervals.items() if every_s == REFRESH_S]
        size = sum(max(one.size for one in client.refreshes if one.fragment == key)
                   for key in paced)
        case = f"page Fleet of {PACKS} packs, {REFRESH_S:g} s refresh"
        return [figure_line("fleet", case, *line) for line in (
            ("CPU per refresh", page_ms, "ms", MOST_MS),
            ("CPU of what refreshes faster", faster_ms, "ms"),
            ("sent per refresh", size / 1000.0, "kB", MOST_KB),
            ("sent at first", client.first_size / 1000.0, "kB"))]
