"""A source of kind "influx" without a server, for the contract suite: each poll asks, and the
answer is made for that time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from core.clock import ManualClock
from core.frames import Reading
from core.topology import Topology
from sources.http import LIMITS
from sources.influx import InfluxSource, Options
from sources.influx_http import InfluxSession
from sources.influx_options import server_in
from sources.influx_schema import Newest, Question, Windows
from tests.influx.pumps import PROFILE, profile

TOLD = {"outdoor_c": 4.0, "indoor_c": 21.0, "hot_water_c": 51.0, "compressor_on": 1.0}


class CannedAdapter:
    """Every register of TOLD was measured a moment ago, one after the other."""

    def newest(self, session: InfluxSession, registers: Sequence[str], since: datetime,
               until: datetime) -> list[Newest]:
        at_s = session.clock.now().timestamp()
        return [Newest(register.id, "", at_s - 0.1, TOLD[register.metric])
                for register in profile().registers if register.metric in TOLD]

    def windows(self, session: InfluxSession, question: Question) -> list[Windows]:
        return []

    def close(self) -> None:
        """Nothing is held."""


class UnpluggedInflux:
    """Its poll moves the clock to the asked time, asks, and looks."""

    def __init__(self) -> None:
        self._clock = ManualClock(datetime(2025, 11, 21, 12, 0, tzinfo=UTC))
        options = Options(profile=PROFILE, base_url="http://127.0.0.1:1")
        self._source = InfluxSource("contract", options, profile(), server_in("contract", options),
                                    CannedAdapter(), self._clock, LIMITS)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def start(self, now: datetime, topology: Topology) -> None:
        """No thread: `poll` asks."""

    def poll(self, now: datetime) -> Reading:
        self._clock.advance((now - self._clock.now()).total_seconds())
        self._source.poller.step()
        return self._source.poll(now)

