"""A site of the tests' own, a real uvicorn server over it, and words about its clients."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_connection

from core.clock import ManualClock
from core.config import Config, SourceConfig
from core.engine import Engine
from core.frames import Reading, empty_columns
from core.ports import SourceInfo
from core.runtime import Runtime
from core.topology import DEFAULT_LEVELS, NodeSpec, Topology
from services.gateway.app import standalone
from services.gateway.clients import PATIENCE_S
from services.gateway.pieces import WholeMessages
from services.gateway.socket import LONGEST_RECEIVED, Gateway

START = datetime(2025, 11, 21, 14, 23, 45, 123456, tzinfo=UTC)
INTERVAL_S = 0.05
WAIT_S = 5.0
CELLS = 4
SILENT = "system_1"
SMALL_SITE = """
[[sources]]
kind = "fleet"
name = "fleet"
options = {systems = 2, past_hours = 0.0}
[history]
kind = "none"
[gateway]
update_interval_s = 0.2
"""
"""The orrery.toml of a small site; keys of the gateway may follow."""


def branch(system: int, cells: int = CELLS) -> NodeSpec:
    """A system of 2 clusters of 1 rack of 1 module of `cells` cells."""
    root = f"system_{system}"
    return NodeSpec(root, f"Power System {system}", "system", 100.0, "LFP", children=[
        NodeSpec(f"{root}_cluster_{c}", f"Cluster {c}", "cluster", 50.0, "LFP", children=[
            NodeSpec(f"{root}_cluster_{c}_rack_0", "Rack 0", "rack", 50.0, "LFP", children=[
                NodeSpec(f"{root}_cluster_{c}_rack_0_module_0", "Module 0", "module", 50.0, "LFP",
                         arrangement="series", children=[
                             NodeSpec(f"{root}_cluster_{c}_rack_0_module_0_cell_{i}", f"Cell {i}",
                                      "cell", 50.0 / cells, "LFP") for i in range(cells)])])])
        for c in range(2)])


def site() -> list[NodeSpec]:
    """Two systems; the second is silent and nobody knows its capacity."""
    silent = branch(1)
    silent.capacity_kwh = float("nan")
    return [branch(0), silent]


class Steps:
    """A source whose numbers are those of its polls: the cells give 1 kW more at each one.

    The first cell rests at exactly 0 kW, the last ones are not known.
    """

    def __init__(self, roots: Sequence[NodeSpec]) -> None:
        self.roots = roots
        self.info = SourceInfo("steps", "Steps", "simulated", 1.0, 1e6, "discharge")
        self._polls = 0

    def start(self, now: datetime, topology: Topology) -> None:
        self._size = topology.size
        self._leaves = topology.leaves(0)
        self._heard = np.array([not name.startswith(SILENT) for name in topology.ids])

    def poll(self, now: datetime) -> Reading:
        self._polls += 1
        columns = empty_columns(self._size)
        columns["power_kw"][self._leaves] = self._polls
        columns["power_kw"][self._leaves[0]] = 0.0
        columns["soc_pct"][self._leaves] = 50.12345
        columns["voltage_v"][self._leaves] = 3.3
        columns["soc_pct"][self._leaves[CELLS - 1]] = np.nan
        columns["voltage_v"][self._leaves[CELLS - 1]] = np.nan
        return Reading(now, columns, self._heard)

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Served:
    """A gateway that listens, its engine (ticked by the test), and its clock."""

    engine: Engine
    clock: ManualClock
    gateway: Gateway
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def connect(self) -> ClientConnection:
        """A generic client."""
        return open_connection(f"ws://{self.address}/", max_size=None, proxy=None,
                               open_timeout=WAIT_S, close_timeout=WAIT_S)

    def tick(self) -> None:
        self.clock.advance(1.0)
        self.engine.tick()


def engine_of(roots: Sequence[NodeSpec]) -> tuple[Engine, ManualClock]:
    """An engine that moves when it is told to."""
    clock = ManualClock(START)
    engine = Engine(DEFAULT_LEVELS, [Steps(roots)], clock)
    engine.tick()
    return engine, clock


@contextmanager
def serving(app: Starlette, ws: type[WholeMessages] = WholeMessages) -> Iterator[int]:
    """A real server over `app`, in a thread; its port on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(
            app, log_config=None, log_level="warning", ws=ws, ws_max_size=LONGEST_RECEIVED,
            ws_per_message_deflate=False, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        port = listener.getsockname()[1]
        thread.start()
        try:
            eventually(lambda: server.started)
            yield port
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def served(roots: Sequence[NodeSpec] | None = None, interval_s: float = INTERVAL_S,
           patience_s: float = PATIENCE_S) -> Iterator[Served]:
    """A gateway on a free port of loopback."""
    engine, clock = engine_of(roots if roots is not None else site())
    gateway = Gateway(engine, interval_s, patience_s)
    runtime = Runtime(Config(sources=[SourceConfig("steps", "steps")]), engine, (), None)
    with serving(standalone(runtime, gateway)) as port:
        yield Served(engine, clock, gateway, port)
    engine.stop()


def eventually(holds: Callable[[], bool], within_s: float = WAIT_S) -> None:
    """Come back as soon as `holds`; fail after `within_s`."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def told(client: ClientConnection) -> dict[str, Any]:
    """The next message as data."""
    message = client.recv(timeout=WAIT_S)
    assert isinstance(message, str)
    found: dict[str, Any] = json.loads(message)
    return found


def told_where(client: ClientConnection, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first of the next 100 messages that fits."""
    for _ in range(100):
        message = told(client)
        if fits(message):
            return message
    raise AssertionError("no such message")


def navigate(client: ClientConnection, path: Sequence[str]) -> None:
    client.send(json.dumps({"type": "navigate", "path": list(path)}))


def view_at(client: ClientConnection, path: Sequence[str]) -> dict[str, Any]:
    """Go to `path` and take its first view."""
    navigate(client, path)
    return told_where(client, lambda message: message.get("view_path") == list(path))


def error_of(client: ClientConnection) -> str:
    """The next error's words; what else comes meanwhile are views."""
    message = told_where(client, lambda found: "view" not in found)
    assert set(message) == {"type", "message"}
    assert message["type"] == "error"
    assert isinstance(message["message"], str)
    return str(message["message"])


def closing(client: ClientConnection) -> tuple[int | None, str | None]:
    """Code and reason of the server's closing; what came before is read over."""
    with suppress(ConnectionClosed):
        for _ in range(1000):
            client.recv(timeout=WAIT_S)
    return client.close_code, client.close_reason


def path_to(*segments: str) -> list[str]:
    """path_to("system_0", "cluster_1") == ["system_0", "system_0_cluster_1"]."""
    return ["_".join(segments[:count + 1]) for count in range(len(segments))]


MODULE = path_to("system_0", "cluster_1", "rack_0", "module_0")
EVERY_DEPTH = [MODULE[:depth] for depth in range(5)]
