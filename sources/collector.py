"""Writes what heat pumps tell into InfluxDB, and into Orrery's own history where that is asked:
`python -m sources.collector --config orrery.toml`.

INFLUXDB_URL, INFLUXDB_TOKEN, INFLUXDB_ORG and INFLUXDB_BUCKET say where to, as for the app.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import cast

import msgspec

from core.clock import Clock, SystemClock
from core.config import Config, SourceConfig, load_config
from core.devices import Board, Device, DeviceTable
from core.errors import ConfigurationError, NotYetError, OrreryError
from core.heatpump.profile import load_profile
from core.ports import ChannelHistory, DeviceSource
from core.registry import make_channel_history, make_sources
from core.topology import Topology
from sources.influx_http import sign_in
from sources.influx_options import Options, org_in, place_in, server_in
from sources.influx_writer import InfluxWriter, Target
from sources.pump_points import PumpPoints, heard_of
from sources.spool import Spool

log = logging.getLogger(__name__)

CANNOT_START = 2
KINDS = ("heat-pump", "husdata-http", "husdata-mqtt")
AT = "the command line"
MIB = 1024 * 1024
DEFAULT_SPOOL = Path("data") / "collector"
LEAST_PERIOD_S, LONGEST_PERIOD_S = 1.0, 3600.0
FLUSH_S = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Check everything that may be wrong, then collect until a signal; the exit status."""
    asked = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s",
                        stream=sys.stderr)
    stop = threading.Event()

    def leave(signal_number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    try:
        collector = make_collector(asked, SystemClock())
    except OrreryError as error:
        sys.stderr.write(f"The collector cannot start: {error}\n")
        return CANNOT_START
    collector.run(stop)
    return 0


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    words = argparse.ArgumentParser(prog="python -m sources.collector", description=__doc__)
    words.add_argument("--config", type=Path, help="another orrery.toml")
    words.add_argument("--history", type=Path, metavar="DIR",
                       help="keep Orrery's own history there, too")
    words.add_argument("--url", default="", help="of InfluxDB; else INFLUXDB_URL")
    words.add_argument("--bucket", help="or database; else INFLUXDB_BUCKET, else heatpump")
    words.add_argument("--org", help="of InfluxDB 2; else INFLUXDB_ORG")
    words.add_argument("--measurement", default="heatpump")
    words.add_argument("--api", choices=("1", "2"), help="/write of InfluxDB 1 and 3, or "
                       "/api/v2/write; 2 where an organisation is told, else 1")
    words.add_argument("--username", help="of InfluxDB 1")
    words.add_argument("--password-secret", metavar="NAME",
                       help="environment variable with that user's password")
    words.add_argument("--token-secret", metavar="NAME",
                       help="environment variable with the token; else INFLUXDB_TOKEN")
    words.add_argument("--period-s", type=_period, default=30.0, help="between two readings of "
                       "a pump, 1 to 3600; a source that is slower keeps its own")
    words.add_argument("--spool", type=Path, default=DEFAULT_SPOOL, metavar="DIR",
                       help="where points wait for InfluxDB")
    words.add_argument("--spool-mib", type=_mib, default=256, help="how much may wait there, "
                       "2 to 100000; then the oldest points are dropped")
    return words


def _period(text: str) -> float:
    try:
        period_s = float(text)
    except ValueError:
        period_s = 0.0
    if not LEAST_PERIOD_S <= period_s <= LONGEST_PERIOD_S:
        raise argparse.ArgumentTypeError(f"{text!r} is not 1 to 3600 seconds")
    return period_s


def _mib(text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not 2 to 100000 MiB")
    return int(text)


@dataclass
class Collected:
    """One source. points: of its devices, in order. error: what it said last. due_s: when it is
    asked again, in seconds since 1970."""

    source: DeviceSource
    number: int
    points: list[tuple[Device, PumpPoints]]
    period_s: float
    error: str = ""
    due_s: float = field(default=0.0)


def make_collector(asked: argparse.Namespace, clock: Clock) -> Collector:
    """Sources, spool, writer and history; raises ConfigurationError."""
    config = load_config(asked.config)
    chosen = [one for one in config.sources if one.kind in KINDS]
    if not chosen:
        raise ConfigurationError(config.file, "sources", [one.kind for one in config.sources],
                                 "at least one heat pump: kind = " + ", ".join(KINDS))
    options = _options(asked)
    place, server = place_in(AT, options), server_in(AT, options)
    headers, org = sign_in(options.username or "", server.secret.value), org_in(options)
    api = asked.api or ("2" if org else "1")
    target = (Target.v2(place.database, org, headers) if api == "2"
              else Target.v1(place.database, headers))
    sources = [cast(DeviceSource, source) for source
               in make_sources(msgspec.structs.replace(config, sources=chosen))]
    collected = _collected(sources, chosen, asked, config)
    spool = Spool(asked.spool, asked.spool_mib * MIB)
    try:
        table = DeviceTable([source.devices for source in sources])
        history = _history(asked.history, config, table)
    except OrreryError:
        spool.close()
        raise
    return Collector(collected, table, InfluxWriter(server, target, spool), history, clock)


def _options(asked: argparse.Namespace) -> Options:
    """The command line's words as a source's options are checked; raises ConfigurationError."""
    told = {"base_url": asked.url, "bucket": asked.bucket, "org": asked.org,
            "measurement": asked.measurement, "username": asked.username,
            "token_secret": asked.token_secret, "password_secret": asked.password_secret}
    try:
        return msgspec.convert(told, Options)
    except msgspec.ValidationError as error:
        raise ConfigurationError(AT, "arguments", str(error), "names of letters, digits, blanks "
                                 "or _ . : / -") from None


def _collected(sources: Sequence[DeviceSource], configs: Sequence[SourceConfig],
               asked: argparse.Namespace, config: Config) -> list[Collected]:
    """Points get the tag `pump` where there are several pumps to tell apart."""
    several = sum(len(source.devices) for source in sources) > 1
    found = []
    for number, (source, one) in enumerate(zip(sources, configs, strict=True)):
        points = []
        for device in source.devices:
            named = one.options.get("profile") or (device.pump.profile if device.pump else "")
            profile = load_profile(str(named))
            made = PumpPoints(asked.measurement, device, profile, device.id if several else "")
            if made.without:
                log.info("%s: not written, for profile %s has no register for it: %s", device.id,
                         profile.id, ", ".join(made.without))
            points.append((device, made))
        period_s = max(asked.period_s, source.info.period_s)
        found.append(Collected(source, number, points, period_s))
    return found


def _history(directory: Path | None, config: Config, table: DeviceTable) -> ChannelHistory | None:
    if directory is None:
        return None
    own = msgspec.structs.replace(config.history, kind="embedded", directory=str(directory))
    return make_channel_history(own, table.ids, config.file)


class Collector:
    """Polls its sources in turn on the caller's thread, each at its own period."""

    def __init__(self, collected: Sequence[Collected], table: DeviceTable, writer: InfluxWriter,
                 history: ChannelHistory | None, clock: Clock) -> None:
        self._collected = tuple(collected)
        self._writer, self._history, self._clock = writer, history, clock
        self._history_error = ""
        self._board = Board(table, [one.source.info.stale_after_s for one in collected])

    def run(self, stop: threading.Event) -> None:
        """Until `stop`; then what waits is sent, or stays in the spool."""
        with self.running():
            while not stop.is_set():
                self._clock.wait(self.step(), stop)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Between start and a clean end; within it `step` is called."""
        now = self._clock.now()
        for one in self._collected:
            one.source.start(now, Topology((), one.source.roots))
        self._writer.start()
        log.info("collecting from %s", ", ".join(one.source.info.name for one in self._collected))
        try:
            yield
        finally:
            self._close()

    def step(self) -> float:
        """Poll what is due; the seconds until the next one is."""
        now = self._clock.now()
        now_s, polled = now.timestamp(), False
        for one in self._collected:
            if one.due_s <= now_s or one.due_s - now_s > one.period_s:
                waits = self._poll(one)
                one.due_s = now_s + (LEAST_PERIOD_S if waits else one.period_s)
                polled = True
        if polled:
            self._keep()
        soonest_s = min(one.due_s for one in self._collected) - self._clock.now().timestamp()
        return min(max(soonest_s, 0.0), LONGEST_PERIOD_S)

    def _poll(self, one: Collected) -> bool:
        """Whether the source has nothing to tell yet, or does not answer."""
        try:
            reading = one.source.poll(self._clock.now())
        except NotYetError:
            return True
        except OrreryError as error:
            return self._lost(one, str(error))
        except Exception as error:  # noqa: BLE001 - one source's defect must not stop the others
            return self._lost(one, f"unexpected {type(error).__name__}: {error}")
        if one.error:
            log.info("%s answers again", one.source.info.name)
        one.error = ""
        size = sum(len(device.quantities) for device, _ in one.points)
        values, heard = heard_of(reading, size)
        begin = 0
        for device, points in one.points:
            own = slice(begin, begin + len(device.quantities))
            self._writer.put(points.lines(reading.measured_at, values[own], heard[own]))
            begin = own.stop
        self._board.apply(one.number, reading.measured_at, values, reading.channels_heard)
        return False

    def _lost(self, one: Collected, why: str) -> bool:
        if why != one.error:
            log.warning("%s: %s", one.source.info.name, why)
        one.error = why
        return True

    def _keep(self) -> None:
        """Into Orrery's own history; what fails there does not keep points from InfluxDB."""
        if self._history is None:
            return
        frame = self._board.frame(self._clock.now())
        try:
            self._history.append(frame.time, frame.fresh())
        except OrreryError as error:
            if str(error) != self._history_error:
                log.error("history is not written: %s", error)
            self._history_error = str(error)
        else:
            self._history_error = ""

    def _close(self) -> None:
        for one in self._collected:
            one.source.close()
        self._writer.close(FLUSH_S)
        if self._history is not None:
            self._history.close()
        log.info("the collector has ended; %d points were written", self._writer.health().sent)


if __name__ == "__main__":
    sys.exit(main())
