"""A fleet whose packs say what a test sets, its alarm store, and the gateway over it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_connection

from core.alarms.ports import AlarmStore
from core.alarms.records import AlarmQuery, AuditEntry, Finding
from core.clock import ManualClock
from core.config import Config, GatewayConfig, SourceConfig
from core.engine import Engine
from core.errors import SourceError
from core.fleet.ports import CommandLife, FleetCounts, IngestTold, Refusal
from core.frames import Reading
from core.ports import Source
from core.runtime import Runtime
from core.topology import DEFAULT_LEVELS
from services.gateway.app import standalone
from store.records import open_alarms
from tests.components.fleet_site import SITE, START, FakeFleet
from tests.gateway.site import WAIT_S, eventually, serving

VIEWER, ANNA, BOB = "a viewer's key 1234", "anna's own key 1234", "bob's own key 12345"
NAMES = {"ORRERY_TEST_VIEWER": VIEWER, "ORRERY_TEST_ANNA": ANNA, "ORRERY_TEST_BOB": BOB}
OPERATORS = {"Anna": "ORRERY_TEST_ANNA", "Bob": "ORRERY_TEST_BOB"}
GUARDED = GatewayConfig(api_key_secret="ORRERY_TEST_VIEWER", operator_keys=OPERATORS,
                        update_interval_s=0.2)


class Packs(FakeFleet):
    """more: further findings. silent: it does not answer. seen: the audit when each command was
    sent."""

    def __init__(self, count: int, clock: ManualClock) -> None:
        super().__init__(count, 12, clock)
        self.more: list[Finding] = []
        self.silent = False
        self.ingest: IngestTold | None = None
        self.store: AlarmStore | None = None
        self.seen: list[list[str]] = []

    def poll(self, now: datetime) -> Reading:
        if self.silent:
            raise SourceError("the broker is away")
        return super().poll(now)

    def findings(self) -> Sequence[Finding]:
        return [*super().findings(), *self.more]

    def counts(self) -> FleetCounts:
        return FleetCounts(
            "packs", SITE, "mqtt://here", True, 120, 3, 2, 1, {"too_large": 4},
            Refusal(START, "pulsebms/home/x/telemetry", "too_large", "300000 bytes", "<b>\x00"),
            2.0, math.nan, {100.0: 7, math.inf: 1}, ingest=self.ingest)

    def command(self, device: str, action: str, issuer: str, ttl_s: float = 30.0,
                power_kw: float | None = None, hold_s: float | None = None,
                policy: bytes | None = None) -> CommandLife:
        self.seen.append([entry.action for entry in self.audit()])
        return super().command(device, action, issuer, ttl_s, power_kw, hold_s, policy)

    def audit(self) -> list[AuditEntry]:
        """Oldest first."""
        if self.store is None:
            return []
        day = timedelta(days=1)
        return self.store.audit(AlarmQuery(START - day, START + day))[::-1]


@dataclass
class Api:
    """A served fleet."""

    engine: Engine
    clock: ManualClock
    fleet: Packs
    port: int

    def ask(self, method: str, path: str, key: str | None = VIEWER,
            body: object = None) -> requests.Response:
        headers = {} if key is None else {"X-API-Key": key}
        return requests.request(method, f"http://127.0.0.1:{self.port}{path}", json=body,
                                headers=headers, timeout=WAIT_S)

    def get(self, path: str, key: str | None = VIEWER) -> dict[str, Any]:
        return _told(self.ask("GET", path, key), 200)

    def post(self, path: str, body: object, key: str = ANNA, status: int = 200,
             ) -> dict[str, Any]:
        return _told(self.ask("POST", path, key, body), status)

    def begin(self, element: str, action: str, key: str = ANNA,
              **more: float) -> dict[str, Any]:
        """The first step."""
        return self.post("/api/fleet/commands", {"element": element, "action": action, **more},
                         key, 202)

    def confirm(self, token: str, key: str = ANNA, status: int = 200) -> dict[str, Any]:
        return self.post("/api/fleet/commands/confirm", {"token": token}, key, status)

    def connect(self, key: str | None = VIEWER,
                more: Mapping[str, str] | None = None) -> ClientConnection:
        headers = {**({} if key is None else {"X-API-Key": key}), **(more or {})}
        return open_connection(f"ws://127.0.0.1:{self.port}/ws/fleet", proxy=None,
                               additional_headers=headers, open_timeout=WAIT_S,
                               close_timeout=WAIT_S)

    def tick(self, seconds: float = 1.0) -> None:
        self.clock.advance(seconds)
        self.engine.tick()

    def settle(self) -> None:
        """All commands are answered, and that is written down."""
        self.fleet.answer("executed")
        eventually(lambda: all(one.name != "outcomes" for one in threading.enumerate()))


def _told(answer: requests.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


@contextmanager
def gateway_over(source: Source, clock: ManualClock, gateway: GatewayConfig = GUARDED,
                 store: AlarmStore | None = None) -> Iterator[tuple[Engine, int]]:
    """An engine that was ticked once, and the gateway's port."""
    engine = Engine(DEFAULT_LEVELS, [source], clock)
    engine.keep_alarms(store)
    engine.tick()
    config = Config(sources=[SourceConfig("packs", "packs")], gateway=gateway,
                    file="orrery.toml")
    try:
        with serving(standalone(Runtime(config, engine, (), None))) as port:
            yield engine, port
    finally:
        engine.stop()


@contextmanager
def fleet_api(directory: Path | None, gateway: GatewayConfig = GUARDED,
              count: int = 3) -> Iterator[Api]:
    """Without a `directory` nothing is kept."""
    clock = ManualClock(START)
    fleet = Packs(count, clock)
    fleet.store = None if directory is None else open_alarms(directory, clock)
    with gateway_over(fleet, clock, gateway, fleet.store) as (engine, port):
        api = Api(engine, clock, fleet, port)
        try:
            yield api
        finally:
            api.settle()
