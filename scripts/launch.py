"""The last step of `make run`: open the app, in this very process.

Run by `.venv/bin/python`; Streamlit replaces this process, so Ctrl+C reaches it alone.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def port_is_free(address: str, port: int) -> bool:
    """Whether a server may listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def configuration_mistake() -> str:
    """What is wrong in orrery.toml: file, key, value and what is allowed; "" when nothing is."""
    from core.config import load_config
    from core.errors import ConfigurationError
    from core.registry import make_sources

    try:
        make_sources(load_config())
    except ConfigurationError as error:
        return str(error)
    return ""


def command(app: str, address: str, port: int, headless: bool,
            hosts: Sequence[str] = ()) -> list[str]:
    """The line that a person would type. hosts: names that they gave."""
    from scripts.hosts import host_flags

    line = [sys.executable, "-m", "streamlit", "run", app]
    line += ["--server.address", address, "--server.port", str(port)]
    if address == "127.0.0.1":
        line += ["--browser.serverAddress", "localhost"]
    line += host_flags(address, hosts, folder=ROOT)
    if headless:
        line += ["--server.headless", "true"]
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, say where, become Streamlit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--app", default="Home.py")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--host", action="append", default=[], metavar="NAME",
                        help="a further name, without a port, by which people open the app")
    parser.add_argument("--headless", action="store_true")
    asked = parser.parse_args(arguments)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    from core.memory import FROM_THE_START
    from scripts.hosts import told

    if not (ROOT / asked.app).is_file():
        print(f"There is no {asked.app} here: give APP=Home.py or APP=server.py.", file=sys.stderr)
        return 1
    if not port_is_free(asked.address, asked.port):
        print(f"Port {asked.port} is taken on {asked.address}. Stop what uses it, or choose "
              f"another: make run PORT={asked.port + 1}", file=sys.stderr)
        return 1
    mistake = configuration_mistake()
    if mistake:
        print(mistake, file=sys.stderr)
        return 2
    shown = "localhost" if asked.address == "127.0.0.1" else asked.address
    print(f"[4/4] Orrery on http://{shown}:{asked.port} (Ctrl+C stops it)", flush=True)
    if asked.address in LOOPBACK and not (asked.host or told(ROOT)):
        os.environ.setdefault("ORRERY_CHANGE_SOURCES", "1")
    if asked.address not in LOOPBACK and not (asked.host or told(ROOT)):
        print("It answers to any name, so that a foreign page could pass for it: give its own, "
              "HOSTS=orrery.example", flush=True)
    line = command(asked.app, asked.address, asked.port, asked.headless, asked.host)
    os.execve(line[0], line, {**FROM_THE_START, **os.environ})


if __name__ == "__main__":
    sys.exit(main())
