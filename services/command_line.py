"""What the programs of the fleet share: the words about their broker, their log, their end."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading

from services.fleet_link import Broker, broker_at

CANNOT_START = 2


def parser_of(program: str, description: str | None, password_variable: str,
              ) -> argparse.ArgumentParser:
    """Knows the site and its broker; password_variable: the usual one."""
    words = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    words.add_argument("--site", default="home")
    words.add_argument("--broker", default="mqtt://127.0.0.1:1883")
    words.add_argument("--username", default="")
    words.add_argument("--password-variable", default=password_variable,
                       help="environment variable that holds the password")
    for name in ("--ca-file", "--cert-file", "--key-file"):
        words.add_argument(name, default="")
    return words


def broker_of(asked: argparse.Namespace) -> Broker:
    """Raises ConfigurationError."""
    return broker_at(asked.broker, username=asked.username,
                     password=os.environ.get(asked.password_variable, ""), ca_file=asked.ca_file,
                     cert_file=asked.cert_file, key_file=asked.key_file)


def until_a_signal() -> threading.Event:
    """Set by SIGINT and SIGTERM; from now on the log goes to stderr."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
