"""Coordinate fleets, `python -m services.coordinator`: every ten minutes a plan for the packs of
orrery.toml's sources of kind "fleet-mqtt", and every few seconds what each is asked for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from core.clock import SystemClock
from core.config import load_config
from core.errors import OrreryError
from services.command_line import CANNOT_START, until_a_signal
from services.coordinator.service import CoordinatorService, signed_in, wanted_sources


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    words = argparse.ArgumentParser(prog="python -m services.coordinator", description=__doc__)
    words.add_argument("--config", type=Path, help="orrery.toml, or what ORRERY_CONFIG names")
    words.add_argument("--username", default="", help="at the broker, instead of the source's")
    words.add_argument("--password-variable", default="ORRERY_COORDINATOR_PASSWORD",
                       help="environment variable that holds its password")
    words.add_argument("--report", type=Path, help="file that says how it goes, at each turn")
    return words


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal; the exit status."""
    asked = parser().parse_args(arguments)
    stop = until_a_signal()
    try:
        config = load_config(asked.config)
        if asked.username:
            variable = asked.password_variable
            config = signed_in(config, asked.username, variable if variable in os.environ else "")
        CoordinatorService(config, wanted_sources(config), SystemClock()).run(
            stop, asked.report)
    except OrreryError as error:
        sys.stderr.write(f"The coordinator cannot run: {error}\n")
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
