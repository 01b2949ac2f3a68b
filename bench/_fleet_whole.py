"""`make fleet PACKS=1000` as a person starts it: is all of it heard, kept and in time?"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from bench._app_log import failures
from bench._fleet import Process, until
from bench._live_client import LiveClient
from bench.report import FigureError, figure_line
from scripts.app_process import LOOPBACK, free_port

PACKS = 1000
START_S = 300.0
WATCHED_S = 60.0
END_S = 60.0
PARTS = {"services.edge": "edges", "services.ingest": "ingest", "mosquitto": "broker",
         "services.gateway": "gateway", "services.coordinator": "coordinator",
         "streamlit": "app"}
_PART = re.compile("|".join(map(re.escape, PARTS)))

line = partial(figure_line, "fleet")


@dataclass(frozen=True, slots=True)
class Moment:
    """at_s: monotonic [s]. stored: messages by the ingest; waiting: on the edges' disks, as they
    told within 10 s. cpu_s: processor time by part [s]."""

    at_s: float
    stored: int
    waiting: int
    cpu_s: dict[str, float]


class Fleet:
    """All processes of one `make fleet`, in a folder of its own."""

    def __init__(self, folder: Path, packs: int) -> None:
        self.folder = folder / "fleet"
        self.report = self.folder / "ingest.json"
        self._store = self.folder / "store" / "fleet.sqlite"
        numbers = {name: free_port() for name in ("app", "gateway", "broker")}
        ports = [word for name, port in numbers.items()
                 for word in (f"--{name}-port", str(port))]
        self.app = f"http://{LOOPBACK}:{numbers['app']}"
        self._process = Process([sys.executable, "-m", "scripts.fleet", "--packs", str(packs),
                                 "--folder", str(self.folder), *ports], folder / "fleet.log")
        self._process.start()

    def runs(self) -> bool:
        """Whether all of it does. Raises FigureError where it ended."""
        if self._process.status is not None:
            raise FigureError(f"the fleet ended:\n{self._process.said()}")
        return "Ctrl+C ends all" in self._process.said()

    def now(self) -> Moment:
        cpu_s = dict.fromkeys(PARTS.values(), 0.0)
        for child in psutil.Process(self._process.pid).children(recursive=True):
            try:
                part, times = _PART.search(" ".join(child.cmdline())), child.cpu_times()
            except psutil.NoSuchProcess:  # a child may end between listing and asking
                continue
            if part is not None:
                cpu_s[PARTS[part[0]]] += times.user + times.system
        report = json.loads(self.report.read_text())
        waiting = sum(told.get("pending", 0) for told in report["statuses"].values())
        return Moment(time.monotonic(), int(report["stored"]), waiting, cpu_s)

    def heard(self) -> int:
        """Packs of which something is stored."""
        return int(_rows(self._store, "SELECT count(*) FROM devices WHERE last > 0")[0][0])

    def end(self) -> None:
        """As by Ctrl+C."""
        pid = self._process.pid
        psutil.Process(pid).send_signal(signal.SIGINT)
        self._process.wait(END_S)

    def kill(self) -> None:
        """What is left ends with its keeper."""
        self._process.stop()

    def lost(self) -> int:
        """Of a fleet that has ended: numbers that a device gave, which are neither stored nor
        waiting on its disk."""
        kept = set(_rows(self._store, "SELECT device, seq FROM telemetry JOIN devices USING (num)"))
        made = 0
        for box in sorted((self.folder / "edge").glob("*.sqlite")):
            kept.update(_rows(box, "SELECT device, seq FROM waiting"))
            made += _rows(box, "SELECT coalesce(sum(made), 0) FROM devices")[0][0]
        return made - len(kept)


def _rows(file: Path, query: str) -> list[Any]:
    """Of a file that another process may write."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


def run(packs: int = PACKS) -> Iterator[dict[str, object]]:
    """From the start until all are heard, then a minute."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        fleet = Fleet(Path(folder), packs)
        try:
            until(fleet.runs, "the fleet runs", START_S)
            until(lambda: fleet.report.exists() and fleet.heard() >= packs, "all are heard",
                  START_S)
            yield line(_case(packs), "until all are heard", time.monotonic() - began, "s")
            yield line(_case(packs), "packs heard", fleet.heard(), "", packs, "higher")
            yield from _minute(fleet, packs)
            fleet.end()
            yield line(_case(packs), "lost", fleet.lost(), "", 0)
        finally:
            fleet.kill()


def _case(packs: int) -> str:
    return f"make fleet PACKS={packs}"


async def _watched(fleet: Fleet) -> tuple[Moment, LiveClient, Moment]:
    """Before and after a minute that a person looks at the page Fleet; the app's engine begins
    with the first page that is opened."""
    async with LiveClient(fleet.app, "fleet") as viewer:
        await asyncio.wait_for(viewer.first_run.wait(), START_S)
        before = fleet.now()
        await asyncio.sleep(WATCHED_S)
        return before, viewer, fleet.now()


def _minute(fleet: Fleet, packs: int) -> Iterator[dict[str, object]]:
    before, viewer, after = asyncio.run(_watched(fleet))
    seconds, case = after.at_s - before.at_s, _case(packs)
    yield line(case, "stored", (after.stored - before.stored) / seconds, "1/s", 0.95 * packs,
               "higher")
    report = json.loads(fleet.report.read_text())
    yield line(case, "lag p95", report["lag_p95_s"], "s", 1.0)
    yield line(case, "waiting at the edges", after.waiting, "")
    yield line(case, "rejected", sum(report["rejected"].values()), "", 0)
    failed = failures((fleet.folder / "app.log").read_text(errors="replace"))
    yield line(case, "refreshes of a page Fleet", len(viewer.refreshes), "", better="higher")
    yield line(case, "failed runs", viewer.failed_runs + failed, "", 0)
    for part, spent_s in after.cpu_s.items():
        yield line(case, f"CPU, {part}", 100 * (spent_s - before.cpu_s[part]) / seconds,
                   "% of a processor")
