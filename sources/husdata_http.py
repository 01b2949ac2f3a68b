"""A heat pump by a Husdata H60 or H66 gateway's HTTP interface, in the home network.

One question tells all: GET /api/alldata, register -> whole number, temperatures and more in
tenths; the profile says which. What the gateway leaves out keeps its own age. The answer has no
timestamp: `measured_at` is when it arrived. Nothing is ever set: no other address is asked.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from core.clock import Clock, SystemClock
from core.devices import Device
from core.heatpump.decode import decode
from core.heatpump.profile import (
    Profile,
    PumpOptions,
    device_of,
    load_profile,
    require_transport,
)
from core.ports import SourceInfo
from core.topology import Level
from sources.http import FILE, HttpError, Limits, Secret, Server, Session, server_of
from sources.husdata import Problems
from sources.polling import STALE_PERIODS, Pace, PolledSource, Poller, Told, probe_once

ALL_DATA = "/api/alldata"
ANSWER_BYTES = 256 * 1024  # about 2 kB in life
LIMITS = Limits(timeout_s=10.0, deadline_s=20.0, max_bytes=ANSWER_BYTES)
PROBE_LIMITS = Limits(timeout_s=5.0, deadline_s=8.0, max_bytes=ANSWER_BYTES)


class Options(PumpOptions, kw_only=True, forbid_unknown_fields=True):
    """base_url: the gateway's, such as http://192.168.1.30. period_s: between two questions [s].
    transport: whose scales of the profile hold: "http" = whole numbers, temperatures in tenths;
    "mqtt" = engineering units."""

    base_url: str
    period_s: Annotated[float, msgspec.Meta(ge=5, le=3600)] = 30.0
    transport: Literal["http", "mqtt"] = "http"


class HusdataHttp(PolledSource):
    """PolledSource and ProblemTelling of one pump."""

    def __init__(self, info: SourceInfo, device: Device, reader: HusdataReader,
                 poller: Poller[Told]) -> None:
        super().__init__(info, [device], reader, poller, math.inf)
        self._problems = reader.problems

    def problems(self) -> Mapping[str, str]:
        return self._problems.by_quantity


def create(name: str, options: Options, levels: tuple[Level, ...], *,
           clock: Clock | None = None, limits: Limits = LIMITS) -> HusdataHttp:
    """One pump; raises ConfigurationError. Asks from `start` on."""
    reader = HusdataReader(name, options, clock)
    info = SourceInfo(name, reader.device.label, "live", options.period_s,
                      STALE_PERIODS * options.period_s, "discharge")
    poller = Poller(reader, _server(name, options), Pace(options.period_s), clock=clock,
                    limits=limits, ping_path=ALL_DATA)
    return HusdataHttp(info, reader.device, reader, poller)


def probe(options: Options, *, limits: Limits = PROBE_LIMITS, clock: Clock | None = None) -> str:
    """Ask once and say what was found; blocks. Raises SourceError and ConfigurationError."""
    reader = HusdataReader("husdata", options, clock)
    found = probe_once(reader, _server("husdata", options), [reader.device], limits, clock)
    refused = reader.problems.by_quantity
    if not refused:
        return found
    return f"{found} Not used: {len(refused)}, such as {next(iter(refused.values()))}."


def _server(name: str, options: Options) -> Server:
    return server_of(name, options.base_url, Secret("base_url"), "base_url", plain_nearby=True)


class HusdataReader:
    """Asks for all registers. Raises ConfigurationError for a profile that does not fit."""

    def __init__(self, name: str, options: Options, clock: Clock | None = None) -> None:
        self.dropped: Counter[str] = Counter()
        self._profile: Profile = load_profile(options.profile)
        require_transport(self._profile, options.transport, name, FILE)
        self._transport = options.transport
        self._clock = clock or SystemClock()
        self.device = device_of(options, self._profile, name, FILE)
        self.problems = Problems(self._profile)

    def __call__(self, session: Session) -> Told:
        """Raises SourceError, saying what to do; also where no register can be used."""
        sent = session.get(ALL_DATA, dict[str, object])
        decoded = decode(self._profile, self._transport, sent)
        self.problems.take(decoded, session.talk)
        self.dropped += Counter({"unknown register": decoded.unknown,
                                 "refused": len(decoded.problems)})
        host, named = session.server.host, self._profile.label
        if not decoded.values:
            raise HttpError(f"{host} answers with {len(sent)} registers, and none of them is of "
                            f"{named}; correct profile, or see whether the gateway shows the pump")
        if not any(math.isfinite(value) for value in decoded.values.values()):
            why = next(iter(decoded.problems.values()), "all its sensors are absent")
            raise HttpError(f"{host}: no register of {named} can be used: {why}")
        unheard = frozenset((self.device.id, quantity) for quantity in self.device.quantities
                            if quantity not in decoded.values)
        return Told(self._clock.now(), {self.device.id: decoded.values}, unheard)
