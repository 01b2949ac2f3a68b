"""Updates, navigation of one's own, and clients that come, go or do not read."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from starlette.types import Message
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from services.gateway.socket import Gateway, ViewTexts
from tests.gateway.site import (
    EVERY_DEPTH,
    INTERVAL_S,
    MODULE,
    WAIT_S,
    Served,
    branch,
    closing,
    engine_of,
    eventually,
    navigate,
    served,
    site,
    told,
    told_where,
    view_at,
)


def now_at(gateway: Served) -> str:
    return gateway.clock.now().isoformat(timespec="microseconds")


def test_updates_keep_coming_and_show_the_newest_frame() -> None:
    with served() as gateway, gateway.connect() as client:
        before = told(client)
        for _ in range(3):
            gateway.tick()
            after = told_where(client, lambda found: found["timestamp"] == now_at(gateway))
            assert after["poc"]["total_power"] > before["poc"]["total_power"]
            before = after


def test_updates_come_in_their_interval() -> None:
    with served(interval_s=0.3) as gateway, gateway.connect() as client:
        told(client)
        began = time.monotonic()
        for _ in range(3):
            told(client)
        assert 0.8 <= time.monotonic() - began < WAIT_S


def test_a_navigate_is_answered_at_once() -> None:
    with served(interval_s=60) as gateway, gateway.connect() as client:
        assert told(client)["view_path"] == []
        for path in [*EVERY_DEPTH[1:], *EVERY_DEPTH[-2::-1]]:
            navigate(client, path)
            assert told(client)["view_path"] == path


def test_two_clients_are_at_places_of_their_own(gateway: Served) -> None:
    with gateway.connect() as one, gateway.connect() as other:
        view_at(one, MODULE)
        view_at(other, ["system_1"])
        for _ in range(3):
            assert told(one)["view_path"] == MODULE
            assert told(other)["view_path"] == ["system_1"]
        view_at(one, MODULE[:1])
        assert told(other)["view_path"] == ["system_1"]


def test_a_client_that_comes_again_starts_at_the_top(gateway: Served) -> None:
    with gateway.connect() as client:
        view_at(client, MODULE)
    with gateway.connect() as client:
        assert told(client)["view_path"] == []
        assert view_at(client, MODULE)["view_path"] == MODULE


def test_clients_that_left_are_forgotten() -> None:
    with served() as gateway, ExitStack() as stack:
        clients = [stack.enter_context(gateway.connect()) for _ in range(5)]
        assert [told(client)["view_path"] for client in clients] == [[]] * 5
        assert gateway.gateway.clients == 5
        clients[0].socket.close()
        for client in clients[1:]:
            client.close()
        eventually(lambda: gateway.gateway.clients == 0)


def test_an_unknown_address_is_refused(gateway: Served) -> None:
    with pytest.raises(InvalidStatus):
        connect(f"ws://{gateway.address}/elsewhere", proxy=None)


def test_the_end_of_the_server_is_told() -> None:
    with ExitStack() as stack:
        with served() as gateway:
            client = stack.enter_context(gateway.connect())
            told(client)
        assert closing(client)[0] == 1012


def silent_client(address: tuple[str, int]) -> socket.socket:
    """A client that shakes hands and then never reads."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(address)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    return connection


def test_a_client_that_never_reads_is_dropped_and_others_notice_nothing() -> None:
    wide = [branch(number, cells=1) for number in range(2, 600)]
    with served(wide, interval_s=0.01, patience_s=0.5) as gateway, gateway.connect() as reader, \
            silent_client(("127.0.0.1", gateway.port)):
        told(reader)
        eventually(lambda: gateway.gateway.clients == 2)
        for _ in range(1000):
            assert told(reader)["view_path"] == []
            if gateway.gateway.clients == 1:
                break
        assert gateway.gateway.clients == 1
        assert view_at(reader, ["system_5"])["view"]["level"] == "clusters"


class Transport:
    """The server's side of a WebSocket whose peer reads only while `open` is set."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.open = asyncio.Event()
        self.open.set()
        self.sent: list[dict[str, Any]] = []
        self.waiting = asyncio.Event()

    async def send(self, message: Message) -> None:
        self.waiting.set()
        await self.open.wait()
        if message["type"] == "websocket.send":
            self.sent.append(json.loads(message["text"]))

    def socket(self) -> WebSocket:
        scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b""}
        return WebSocket(scope, self.incoming.get, self.send)


def test_what_a_slow_client_missed_is_skipped() -> None:
    engine, clock = engine_of(site())

    async def scene() -> list[dict[str, Any]]:
        transport = Transport()
        task = asyncio.create_task(Gateway(engine, INTERVAL_S).endpoint(transport.socket()))
        while not transport.sent:
            await asyncio.sleep(0)
        transport.open.clear()
        transport.waiting.clear()
        await asyncio.wait_for(transport.waiting.wait(), WAIT_S)
        for _ in range(20):
            clock.advance(1.0)
            engine.tick()
        transport.open.set()
        while len(transport.sent) < 3:
            await asyncio.sleep(0)
        transport.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(task, WAIT_S)
        return transport.sent

    first, held, newest = [datetime.fromisoformat(message["timestamp"])
                           for message in asyncio.run(scene())[:3]]
    assert first == held
    assert newest - held == timedelta(seconds=20)


def test_the_patience_with_a_client_that_does_not_read_ends() -> None:
    engine, _ = engine_of(site())
    gateway = Gateway(engine, INTERVAL_S, patience_s=0.1)

    async def scene() -> None:
        transport = Transport()
        task = asyncio.create_task(gateway.endpoint(transport.socket()))
        while not transport.sent:
            await asyncio.sleep(0)
        assert gateway.clients == 1
        transport.open.clear()
        await asyncio.wait_for(task, WAIT_S)

    asyncio.run(scene())
    assert gateway.clients == 0


@pytest.mark.parametrize("tls", [False, True])
def test_who_is_not_admitted_is_told_nothing(tls: bool) -> None:
    engine, _ = engine_of(site())
    refused: list[Message] = []

    async def send(message: Message) -> None:
        refused.append(message)

    async def by_tls(asked: WebSocket) -> float | None:
        return 60.0 if asked.url.scheme == "wss" else None

    async def scene() -> None:
        incoming = Transport().incoming
        incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
        scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": [],
                 "scheme": "wss" if tls else "ws", "server": ("localhost", 1)}
        await Gateway(engine, INTERVAL_S, admits=by_tls).endpoint(
            WebSocket(scope, incoming.get, send))

    asyncio.run(scene())
    assert [(message["type"], message.get("code")) for message in refused] == (
        [("websocket.accept", None), ("websocket.send", None)] if tls
        else [("websocket.close", 1008)])


def test_one_view_is_built_once_a_snapshot() -> None:
    engine, clock = engine_of(site())
    texts = ViewTexts(engine)
    first = texts.text(0)
    assert texts.text(0) is first
    clock.advance(1.0)
    engine.tick()
    assert texts.text(0) != first
