"""WebSocket, REST and the standalone viewer without Streamlit: `python -m services.gateway`."""

from __future__ import annotations

import argparse
import errno
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec
import uvicorn

from core.config import Config, HistoryConfig, load_config
from core.errors import OrreryError
from core.registry import NO_STORE, find_site_records
from core.runtime import Runtime, start_runtime
from services.gateway.app import standalone
from services.gateway.clients import PATIENCE_S
from services.gateway.door import DoorTeller
from services.gateway.fleet_roles import roles_of
from services.gateway.pieces import WholeMessages
from services.gateway.rest import api_key
from services.gateway.socket import LONGEST_RECEIVED
from services.gateway.summary import start_lines

log = logging.getLogger(__name__)

CANNOT_START = 2
HIGHEST_PORT = 65535
# Clients get so long to leave at the end [s].
GRACE_S = 2


class ListenError(OrreryError):
    """Nothing can listen at this address; the text says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check everything that may be wrong, then serve until a signal; the exit status."""
    asked = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, _leave)
    try:
        config = configured(asked)
        roles_of(config, api_key(config))
        with listen(config.gateway.host, config.gateway.port) as listener:
            _serve(start_runtime(config), listener, asked.config)
    except OrreryError as error:
        sys.stderr.write(f"The gateway cannot start: {error}\n")
        return CANNOT_START
    return 0


def _leave(signal_number: int, frame: FrameType | None) -> NoReturn:
    """uvicorn raises the signal again after its own clean end: that is our way out."""
    raise SystemExit(0)


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    words = argparse.ArgumentParser(prog="python -m services.gateway", description=__doc__)
    words.add_argument("--host", help="address to listen at; 0.0.0.0 for every network")
    words.add_argument("--port", type=_port, help="port to listen at")
    words.add_argument("--config", type=Path, help="another orrery.toml")
    words.add_argument("--history", action="store_true",
                       help="keep history too; the app keeps it where it runs")
    return words


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to {HIGHEST_PORT}")
    return int(text)


def configured(asked: argparse.Namespace) -> Config:
    """The configuration with the command line's words put over it, and without what no address here
    tells: the digital twin, and a coordinator elsewhere. Raises ConfigurationError."""
    config = load_config(asked.config)
    said = {name: getattr(asked, name) for name in ("host", "port")
            if getattr(asked, name) is not None}
    gateway = msgspec.structs.replace(config.gateway, **said)
    history = config.history if asked.history else HistoryConfig(kind=NO_STORE)
    twin = msgspec.structs.replace(config.twin, enabled=False)
    coordinator = msgspec.structs.replace(
        config.coordinator, enabled=config.coordinator.enabled and config.coordinator.here)
    return msgspec.structs.replace(config, gateway=gateway, history=history, twin=twin,
                                   coordinator=coordinator)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises ListenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ListenError(_why_not(error, host, port)) from error
    # asyncio would set it, but not for a listener that it did not make itself; without it each
    # answer on a connection that is kept takes 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Linux: a peer that acknowledges nothing for so long is gone; without it the connection
    # of a client that never reads would stay half closed for as long as that client likes.
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT,
                            int(2000 * PATIENCE_S))
    return listener


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < HIGHEST_PORT else port - 1
        return (f"port {port} on {host} is taken. Stop what uses it, or choose another: "
                f"--port {other}, or `port` under [gateway] in orrery.toml")
    return (f"nothing can listen on {host}, port {port} ({error.strerror}). Choose with --host "
            "and --port, or `host` and `port` under [gateway] in orrery.toml")


def _serve(runtime: Runtime, listener: socket.socket, file: Path | None) -> None:
    """Serve until a signal, then stop the engine. file: another orrery.toml."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    shared = load_config(file)
    teller = DoorTeller(runtime.engine, port,
                        lambda: find_site_records(shared.history, shared.file))
    try:
        for line in start_lines(runtime.engine.topology, port):
            log.info("%s", line)
        log.info("WebSocket at ws://%s/, viewer at http://%s/, REST at http://%s/openapi.json "
                 "(Ctrl+C stops it)", shown, shown, shown)
        server = uvicorn.Server(uvicorn.Config(
            standalone(runtime), log_config=None, log_level="warning", access_log=False,
            server_header=False, ws=WholeMessages, ws_max_size=LONGEST_RECEIVED,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=GRACE_S))
        teller.start()
        server.run(sockets=[listener])
    finally:
        teller.stop()
        runtime.stop()
        log.info("The gateway has ended")


if __name__ == "__main__":
    sys.exit(main())
