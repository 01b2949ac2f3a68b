"""Nothing lost: SIGKILL of broker, ingest, edges and store at random times, alone and together.

Afterwards every message that an edge had put on its disk must be in the store once: by its
number, and by what it says. The embedded store is the ingest's own process; PostgreSQL is killed
as a kind of its own.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench._fleet import Mosquitto, Process, edge, ingest
from bench._postgres import PostgresServer
from bench.report import figure_line

line = partial(figure_line, "chaos")
DRAIN_S = 60.0
VARIABLE = "ORRERY_CHAOS_DATABASE_URL"
COUNT = ("SELECT (SELECT count(*) FROM {0}), (SELECT count(*) FROM (SELECT DISTINCT num, seq "
         "FROM {0} WHERE body IS NOT NULL) AS numbers), (SELECT count(*) FROM "
         "(SELECT DISTINCT num, time_us FROM {0}) AS moments)")


Child = Mosquitto | Process | PostgresServer


@dataclass(slots=True)
class Site:
    """All processes of one run. server: of the store, None where it is embedded. absorbed:
    deliveries that came twice and were stored once."""

    folder: Path
    broker: Mosquitto
    ingest: Process
    edges: list[Process]
    server: PostgresServer | None = None
    absorbed: int = 0
    kills: int = 0

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("broker", "ingest", "edge", *(() if self.server is None else ("store",)))

    def kill(self, kind: str, rng: random.Random) -> list[Child]:
        """The processes of one kind that were killed: of the edges, some."""
        edges = rng.sample(self.edges, max(1, len(self.edges) // 2))
        chosen: list[Child] = {"broker": [self.broker], "ingest": [self.ingest], "edge": edges,
                               "store": [self.server] if self.server else []}[kind]
        if kind == "ingest":
            self.note()
        for process in chosen:
            process.kill()
            self.kills += 1
        return chosen

    def note(self) -> None:
        """Counters of an ingest that is about to go; what it counted since its last report of a
        second ago is left out."""
        report = self.folder / "report.json"
        if report.exists():
            self.absorbed += json.loads(report.read_text())["duplicate"]
            report.unlink()


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """20 rounds with 100 devices (short: 4 rounds with 3), by either store."""
    yield from _survived(short, None)
    server = PostgresServer()
    try:
        server.start()
        os.environ[VARIABLE] = server.new_schema()
        yield from _survived(short, server)
    finally:
        server.remove()


def _survived(short: bool, server: PostgresServer | None) -> Iterator[dict[str, object]]:
    devices, processes, rounds = (3, 3, 4) if short else (100, 10, 20)
    with tempfile.TemporaryDirectory() as folder:
        site = _site(Path(folder), devices, processes, short, server)
        try:
            _rounds(site, rounds, random.Random(20261121))
            _drain(site)
            site.note()
        finally:
            for process in (*site.edges, site.ingest, site.broker):
                process.kill()
        sent, stored, unique, told = _counted(site)
    case = f"{'embedded' if server is None else 'PostgreSQL'}, {devices} devices, {rounds} rounds"
    yield line(case, "SIGKILLs", site.kills, "")
    yield line(case, "sent", sent, "", better="higher")
    yield line(case, "stored", unique, "", better="higher")
    yield line(case, "lost", sent - unique, "", 0)
    yield line(case, "duplicated", stored - min(unique, told), "", 0)
    yield line(case, "came again, stored once", site.absorbed, "")


def _site(folder: Path, devices: int, processes: int, short: bool,
          server: PostgresServer | None) -> Site:
    broker = Mosquitto(folder / "broker")
    broker.start()
    pace = ("--cells", "96", "--every", "2" if short else "10")
    names = [f"pack_{number}" for number in range(devices)]
    edges = [edge(folder, broker.url, names[at::processes], *pace) for at in range(processes)]
    store = () if server is None else ("--store", f"postgres:{VARIABLE}")
    site = Site(folder, broker, ingest(folder, broker.url, *store), edges, server)
    for process in (site.ingest, *edges):
        process.start()
    return site


def _rounds(site: Site, rounds: int, rng: random.Random) -> None:
    """Every kind alone and together with others, at random times."""
    pause = threading.Event()
    kinds = site.kinds
    pause.wait(2.0)
    for number in range(rounds):
        chosen = [kinds[number % len(kinds)]] + [kind for kind in kinds if rng.random() < 0.4]
        pause.wait(rng.uniform(0.2, 1.5))
        killed = []
        for kind in dict.fromkeys(chosen):
            killed += site.kill(kind, rng)
            pause.wait(rng.uniform(0.0, 0.2))
        pause.wait(rng.uniform(0.0, 1.0))
        rng.shuffle(killed)
        for process in killed:
            process.start()
        pause.wait(1.0)


def _drain(site: Site) -> None:
    """The edges make nothing new, and send all that they have."""
    for process in site.edges:
        process.kill()
    for process in site.edges:
        process.start("--drain")
    for process in site.edges:
        process.wait(DRAIN_S)


def _counted(site: Site) -> tuple[int, int, int, int]:
    """Messages put on the edges' disks; rows stored; different numbers, and different moments
    of a device, among them."""
    sent = 0
    for process in site.edges:
        with closing(sqlite3.connect(process.log.with_suffix(".sqlite"))) as box:
            sent += box.execute("SELECT sum(made) FROM devices").fetchone()[0]
    if site.server is not None:
        (told,) = site.server.fetch(os.environ[VARIABLE], COUNT.format("fleet_telemetry"))
        return sent, *told
    with closing(sqlite3.connect(site.folder / "store" / "fleet.sqlite")) as db:
        return sent, *db.execute(COUNT.format("telemetry")).fetchone()
