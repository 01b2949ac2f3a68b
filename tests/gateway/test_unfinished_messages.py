"""Messages that come in pieces, and clients that never finish one."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import uvicorn
from uvicorn.server import ServerState
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from core.config import Config, SourceConfig
from core.runtime import Runtime
from scripts.app_process import free_port
from services.gateway.app import standalone
from services.gateway.pieces import MOST_PIECES, TOO_MANY, UNFINISHED, WholeMessages
from services.gateway.socket import LONGEST_RECEIVED, Gateway
from tests.gateway.site import (
    INTERVAL_S,
    MODULE,
    WAIT_S,
    engine_of,
    eventually,
    served,
    serving,
    site,
    told,
    view_at,
)
from tests.gateway.test_command import SMALL, running

NAVIGATE = json.dumps({"type": "navigate", "path": MODULE})


class Hasty(WholeMessages):
    patience_s = 0.1


class Pieces:
    """A client that sends pieces as it likes."""

    def __init__(self, port: int) -> None:
        self._line = socket.create_connection(("127.0.0.1", port), WAIT_S)
        self._protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/"))
        self._protocol.send_request(self._protocol.connect())
        self._exchange()
        while self._protocol.state.name == "CONNECTING":
            self._hear()

    def send(self, pieces: Sequence[bytes], *, finished: bool) -> None:
        for number, data in enumerate(pieces):
            opcode = Opcode.CONT if number else Opcode.TEXT
            self._protocol.send_frame(Frame(opcode, data, fin=finished and data is pieces[-1]))
        self._exchange()

    def closing(self) -> tuple[int, str]:
        """How the server ends it; 1006 where it ends the line before we heard all of it."""
        try:
            while self._protocol.close_rcvd is None:
                self._hear()
        except ConnectionResetError:
            return 1006, ""
        return self._protocol.close_rcvd.code, self._protocol.close_rcvd.reason

    def close(self) -> None:
        self._line.close()

    def _exchange(self) -> None:
        self._line.sendall(b"".join(self._protocol.data_to_send()))

    def _hear(self) -> None:
        data = self._line.recv(65536)
        assert data, "it ended without a word"
        self._protocol.receive_data(data)
        self._protocol.events_received()


@contextmanager
def gateway(ws: type[WholeMessages]) -> Iterator[int]:
    engine, _ = engine_of(site())
    runtime = Runtime(Config(sources=[SourceConfig("steps", "steps")]), engine, (), None)
    with serving(standalone(runtime, Gateway(engine, INTERVAL_S)), ws) as port:
        yield port
    engine.stop()


def test_a_message_in_pieces_is_understood() -> None:
    with served(interval_s=60) as found, found.connect() as client:
        told(client)
        client.send([NAVIGATE[:5], "", NAVIGATE[5:20], NAVIGATE[20:]])
        assert told(client)["view_path"] == MODULE


def test_whoever_stays_in_the_middle_of_a_message_is_closed() -> None:
    with gateway(Hasty) as port, closing(Pieces(port)) as client:
        client.send([NAVIGATE[:5].encode()], finished=False)
        assert client.closing() == (1008, UNFINISHED)


def test_pieces_of_no_bytes_come_to_an_end() -> None:
    with served() as found, found.connect() as other, \
            closing(Pieces(found.port)) as client:
        client.send([b"x", *[b""] * (10 * MOST_PIECES)], finished=False)
        assert client.closing() == (1008, TOO_MANY)
        assert view_at(other, MODULE)["view_path"] == MODULE
        eventually(lambda: found.gateway.clients == 1)


def test_as_many_pieces_as_there_may_be_are_taken() -> None:
    """The client's last piece of all is one without bytes."""
    pieces = [NAVIGATE[:5], *[""] * (MOST_PIECES - 3), NAVIGATE[5:]]
    with served(interval_s=60) as found, found.connect() as client:
        told(client)
        client.send(pieces)
        assert told(client)["view_path"] == MODULE


def test_no_more_of_a_message_is_held_than_is_ever_received() -> None:
    with gateway(WholeMessages) as port, closing(Pieces(port)) as client:
        client.send([b"x" * (LONGEST_RECEIVED // 2)] * 2 + [b"x"], finished=False)
        assert client.closing()[0] in (1006, 1009)


def test_it_is_not_late_while_we_hold_back_what_comes() -> None:
    async def scene() -> None:
        config = uvicorn.Config(lambda *_: None, log_config=None)
        config.load()
        one = WholeMessages(config, ServerState(), {})
        one.read_paused = True
        one.handle_text(Frame(Opcode.TEXT, b"x", fin=False))
        one._look()
        assert (one.close_sent, one._late is None) == (False, False)
        one.handle_cont(Frame(Opcode.CONT, b"y", fin=True))
        assert one._late is None
        assert one.queue.get_nowait() == {"type": "websocket.receive", "text": "xy"}

    asyncio.run(scene())


def test_there_are_not_more_clients_than_the_gateway_can_hold(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.socket.MOST_CLIENTS", 2)
    with served() as found, found.connect() as one:
        with found.connect() as other:
            told(other)
            with pytest.raises(InvalidStatus, match="403"):
                found.connect()
            assert told(one)["view_path"] == []
        eventually(lambda: found.gateway.clients == 1)
        with found.connect() as later:
            assert told(later)["view_path"] == []


def test_the_gateway_that_a_person_starts_takes_whole_messages(tmp_path: Path) -> None:
    (tmp_path / "orrery.toml").write_text(SMALL)
    port = free_port()
    with running("--config", str(tmp_path / "orrery.toml"), "--port", str(port)), \
            closing(Pieces(port)) as client:
        client.send([b"x", *[b""] * (2 * MOST_PIECES)], finished=False)
        assert client.closing() == (1008, TOO_MANY)
