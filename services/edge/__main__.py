"""An edge device as a process of its own: `python -m services.edge --device pack_1`."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from core.clock import SystemClock
from core.errors import OrreryError
from core.fleet.topics import check_device, check_id
from services.edge.outbox import MOST_ROWS, Outbox
from services.edge.pack import SILENT_S, Centre, Pack
from services.edge.plant import NOMINAL_V, SimulatedPack
from services.edge.ports import CoulombCounter, Unguarded
from services.edge.runtime import EdgeRuntime, Plate
from services.fleet_link import broker_at

CANNOT_START = 2


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    words = argparse.ArgumentParser(prog="python -m services.edge", description=__doc__)
    words.add_argument("--site", default="home")
    words.add_argument("--device", action="append", required=True,
                       help="id of a pack; several make one process of several")
    words.add_argument("--broker", default="mqtt://127.0.0.1:1883")
    words.add_argument("--username", default="")
    words.add_argument("--password-variable", default="ORRERY_EDGE_PASSWORD",
                       help="environment variable that holds the password")
    words.add_argument("--ca-file", default="")
    words.add_argument("--cert-file", default="")
    words.add_argument("--key-file", default="")
    words.add_argument("--outbox", type=Path, help="its file; data/edge/DEVICE.sqlite")
    words.add_argument("--most-rows", type=int, default=MOST_ROWS)
    words.add_argument("--chemistry", choices=sorted(NOMINAL_V), default="LFP")
    words.add_argument("--cells", type=int, default=240)
    words.add_argument("--capacity-kwh", type=float, default=100.0)
    words.add_argument("--rate-hz", type=int, default=10, choices=range(10, 101),
                       metavar="10..100")
    words.add_argument("--every", type=int, help="samples of one message; a second's by default")
    words.add_argument("--drain", action="store_true",
                       help="send what is waiting and end: before a device is taken away")
    words.add_argument("--silent-s", type=float, default=SILENT_S)
    words.add_argument("--seed", type=int, default=1)
    return words


def packs_of(asked: argparse.Namespace) -> list[Pack]:
    """One simulated pack a device."""
    packs = []
    for at, device in enumerate(asked.device):
        plant = SimulatedPack(asked.chemistry, asked.cells, asked.capacity_kwh, asked.seed + at)
        packs.append(Pack(check_device(device), plant, CoulombCounter(asked.chemistry, plant),
                          Unguarded(), Centre(asked.silent_s)))
    return packs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal; the exit status."""
    asked = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        broker = broker_at(asked.broker, username=asked.username,
                           password=os.environ.get(asked.password_variable, ""),
                           ca_file=asked.ca_file, cert_file=asked.cert_file,
                           key_file=asked.key_file)
        packs = packs_of(asked)
        file = asked.outbox or Path("data/edge") / f"{asked.device[0]}.sqlite"
        outbox = Outbox(file, asked.device, asked.most_rows)
        plate = Plate(asked.chemistry, asked.cells, asked.capacity_kwh)
        runtime = EdgeRuntime(check_id(asked.site), packs, dict.fromkeys(asked.device, plate),
                              outbox, broker, SystemClock(), asked.rate_hz, asked.every)
        (runtime.drain if asked.drain else runtime.run)(stop)
        outbox.close()
    except OrreryError as error:
        sys.stderr.write(f"The edge device cannot run: {error}\n")
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
