"""InfluxDB for heat pumps, a real one: a day of seven temperatures, and the collector's writer
while the server is killed and started again."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from bench.report import FigureError, figure_line
from core.topology import DEFAULT_LEVELS
from scripts.app_process import free_port
from scripts.test import find_influxd
from sources.http import Secret, Server
from sources.influx import Options, create
from sources.influx_writer import InfluxWriter, Target, line
from sources.spool import Spool

LOOPBACK, DATABASE, PROFILE = "127.0.0.1", "heatpump", "thermia_c60"
SEVEN = ("hot_water_c", "radiator_supply_c", "radiator_return_c", "indoor_c", "outdoor_c",
         "brine_in_c", "brine_out_c")
START = datetime(2026, 1, 1, tzinfo=UTC)
STEP_S, DAYS = 30, 7
PER_S = 5000
SECONDS, SHORT_SECONDS = 30.0, 4.0
DOWN_S = 1.0
PUT_S = 0.02
SETTINGS = """
reporting-disabled = true
bind-address = "{host}:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "{host}:{port}"
  log-enabled = false
[logging]
  level = "error"
"""

point_line = partial(figure_line, "heatpump")


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """All figures (short: one day of history, 4 s of writing)."""
    with tempfile.TemporaryDirectory() as folder:
        server = BenchInflux(Path(folder))
        server.start()
        try:
            yield from _a_day(server, 1 if short else DAYS, 3 if short else 15)
            yield from _written(server, Path(folder), SHORT_SECONDS if short else SECONDS)
        finally:
            server.kill()


class BenchInflux:
    """InfluxDB 1.x of Debian in a folder of its own; raises FigureError where there is none."""

    def __init__(self, folder: Path) -> None:
        program = find_influxd()
        if program is None:
            raise FigureError("no InfluxDB 1.x on this machine: sudo apt-get install influxdb")
        self.port = free_port()
        config = folder / "influxdb.conf"
        config.write_text(SETTINGS.format(host=LOOPBACK, port=self.port, rpc=free_port(),
                                          folder=folder))
        self._command = [program, "-config", str(config)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 30.0
        while True:
            try:
                self.ask(f'CREATE DATABASE "{DATABASE}"')
            except OSError:
                if time.monotonic() > deadline_s:
                    raise FigureError("InfluxDB does not start within 30 s") from None
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)

    def ask(self, query: str) -> str:
        body = urllib.parse.urlencode({"db": DATABASE, "q": query}).encode()
        with urllib.request.urlopen(f"{self.url}/query", body, timeout=60) as response:
            return str(response.read().decode())

    def write(self, lines: list[bytes]) -> None:
        url = f"{self.url}/write?db={DATABASE}&precision=ms"
        urllib.request.urlopen(url, b"".join(lines), timeout=60).close()


# -- the past

def _a_day(server: BenchInflux, days: int, repeats: int) -> Iterator[dict[str, object]]:
    """Mean, lowest and highest of the last of `days` days, as a page asks for it."""
    options = Options(profile=PROFILE, base_url=server.url, database=DATABASE)
    source = create("bench", options, DEFAULT_LEVELS)
    ids = {name: register.id for register in source.profile.registers
           for name in SEVEN if register.metric == name}
    for day in range(days):
        server.write([line("heatpump", {"register_id": ids[name], "name": name},
                           20.0 + number + step % 97 / 10.0,
                           START + timedelta(days=day, seconds=step * STEP_S))
                      for step in range(86_400 // STEP_S) for number, name in enumerate(SEVEN)])
    end = START + timedelta(days=days)
    channels = [f"{source.devices[0].id}.{name}" for name in SEVEN]
    spent_ms = []
    for _ in range(repeats):
        began_s = time.perf_counter()
        series = source.recall(channels, end - timedelta(days=1), end)
        spent_ms.append(1000.0 * (time.perf_counter() - began_s))
    if any(one.time_s.size != 720 for one in series):
        raise FigureError("a day of seven temperatures is not 7 times 720 windows")
    case = f"24 h, 7 temperatures every {STEP_S} s, mean, min and max by InfluxQL"
    yield point_line(case, "InfluxDB to arrays", statistics.median(spent_ms), "ms", 120.0)
    yield point_line("InfluxDB on this machine", "ping", 1000.0 * source.ping(), "ms")
    source.close()


# -- the collector's writer

def _written(server: BenchInflux, folder: Path, seconds: float) -> Iterator[dict[str, object]]:
    """PER_S points a second through the spool; the server is killed after a third of the time
    and started again DOWN_S later."""
    spool = Spool(folder / "spool", 256 * 1024 * 1024)
    writer = InfluxWriter(Server(server.url, Secret("token_secret"), "bucket"),
                          Target.v1(DATABASE, {}), spool)
    writer.start()
    before_cpu_s, began_s = time.process_time(), time.perf_counter()
    put, most_bytes = _put(server, writer, spool, seconds)
    put_s = time.perf_counter() - began_s
    while spool.health().waiting_bytes:
        if time.perf_counter() - began_s > 10 * seconds + 60:
            raise FigureError(f"points still wait: {writer.health().error}")
        time.sleep(0.01)
    sent_s = time.perf_counter() - began_s
    writer.close()
    kept = int(server.ask('SELECT count("value") FROM "written"').rsplit(",", 1)[1].split("]")[0])
    case = f"{PER_S} points/s for {seconds:g} s, InfluxDB killed and started again in mid stream"
    yield point_line(case, "put", put / put_s, "/s", PER_S * 0.98, "higher")
    yield point_line(case, "lost", put - kept, "", 0.0)
    yield point_line(case, "all of it there after the last point", sent_s - put_s, "s")
    yield point_line(case, "waited on disk at most", most_bytes / 1e6, "MB")
    cpu_s = time.process_time() - before_cpu_s
    yield point_line(case, "CPU of the writer and of making the points", cpu_s / sent_s, "s/s")


def _put(server: BenchInflux, writer: InfluxWriter, spool: Spool,
         seconds: float) -> tuple[int, int]:
    """Points at their pace; how many, and how much waited at most [B]."""
    total, number, most_bytes = round(PER_S * seconds), 0, 0
    outage = threading.Thread(target=_outage, args=(server, seconds / 3))
    outage.start()
    began_s = time.perf_counter()
    while number < total:
        due = min(total, round((time.perf_counter() - began_s) * PER_S))
        writer.put(line("written", {"register_id": f"{one % 20:04d}", "type": "temperature"},
                        one % 1000 / 10.0, START + timedelta(milliseconds=one))
                   for one in range(number, due))
        number = due
        most_bytes = max(most_bytes, spool.health().waiting_bytes)
        time.sleep(PUT_S)
    outage.join()
    return total, most_bytes


def _outage(server: BenchInflux, after_s: float) -> None:
    time.sleep(after_s)
    server.kill()
    time.sleep(DOWN_S)
    server.start()
