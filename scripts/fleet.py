"""`make fleet`: a whole fleet on this machine, each part a process of its own.

Mosquitto, edge devices with a simulated pack each, the ingest with its store, the coordinator, the
gateway and the app. All of it lives under `data/fleet/packs_N`.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigurationError
from core.fleet.catalogue import PackPlate, catalogue
from core.memory import FROM_THE_START
from core.operators import hashed
from scripts.app_process import LOOPBACK, ROOT, answers, free_port
from scripts.broker import configured, listens
from scripts.children import Child, Family, HeldError, Lock
from scripts.hosts import host_flags
from scripts.test import TOOLS, find_mosquitto
from services.edge.demo_faults import OF_A_PROCESS, faults_of

SITE = "home"
OPERATOR = "operator"
PORTS = {"app": 8501, "gateway": 9999, "broker": 1883}
MANY = 200
"""From so many packs on each has FEW_CELLS cells, and there is one edge process a processor."""
FEW_CELLS = 16
MOST_OF_ONE = 8
PACKS_A_PROCESSOR = 220
"""Of FEW_CELLS cells, with all that listens to them and an open page: of 1,000 packs two processors
stored 437 a second."""
START_S = 120.0
LOOK_S = 0.3
HOMES_A_PACK = 12.5
"""Of the site's meter, as in the demo."""
CONFIG = """# Made by `make fleet`; made anew at each start.
title = "Fleet of {count} packs"

[[sources]]
kind = "fleet-mqtt"
name = "fleet"
[sources.options]
packs = {count}
{cells}site = "{site}"
broker = "{broker}"
store = "{store}"

[[sources]]
kind = "site"               # what is used and made beside the packs
name = "site"
[sources.options]
homes = {homes}

[coordinator]
here = false                # a process of its own coordinates
[coordinator.sites.{site}]
house = "packs_site"

[history]
directory = "{history}"
backfill_hours = 0

[gateway]
port = {gateway}

[operators]
mode = "local"
[operators.names]
{operator} = "{hash}"
"""


class FleetError(RuntimeError):
    """The fleet cannot be started; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """folder: where all of it lives. ports: of app, gateway and broker. password: of OPERATOR.
    faults: device and name of each."""

    folder: Path
    plates: tuple[PackPlate, ...]
    cells: int | None
    ports: dict[str, int]
    password: str
    faults: tuple[tuple[str, str], ...] = ()

    @property
    def broker(self) -> str:
        return f"mqtt://{LOOPBACK}:{self.ports['broker']}"

    @property
    def app(self) -> str:
        return f"http://localhost:{self.ports['app']}"

    @property
    def gateway(self) -> str:
        return f"http://{LOOPBACK}:{self.ports['gateway']}"

    @property
    def store(self) -> str:
        """Of the telemetry, as the ingest and the app are told."""
        return f"sqlite:{self.folder / 'store' / 'fleet.sqlite'}"

    @property
    def config(self) -> Path:
        return self.folder / "orrery.toml"


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    words = argparse.ArgumentParser(prog="python -m scripts.fleet", description=__doc__)
    words.add_argument("--packs", type=int, default=24)
    words.add_argument("--cells", type=int, help=f"of each pack; {FEW_CELLS} from {MANY} packs on, "
                       "else as its kind has")
    words.add_argument("--fault", action="append", default=[], metavar="PACK=NAME",
                       help=f"what is wrong with a pack from the start: {', '.join(OF_A_PROCESS)}; "
                       "several where given several times")
    words.add_argument("--folder", type=Path, help="where it lives; data/fleet/packs_N")
    for name, port in PORTS.items():
        words.add_argument(f"--{name}-port", type=int, help=f"{port}, or a free one where that is "
                           "taken")
    return words


def planned(asked: argparse.Namespace) -> Plan:
    """Raises FleetError."""
    if not 1 <= asked.packs <= 5000:
        raise FleetError(f"{asked.packs} packs: give 1 to 5000, as in make fleet PACKS=24")
    cells = asked.cells or (FEW_CELLS if asked.packs >= MANY else None)
    ports = {name: _port(name, getattr(asked, f"{name}_port")) for name in PORTS}
    folder = (asked.folder or ROOT / "data" / "fleet" / f"packs_{asked.packs}").resolve()
    plates = catalogue(asked.packs, cells)
    try:
        faults = tuple(faults_of(asked.fault, [plate.device for plate in plates]))
    except ConfigurationError as error:
        raise FleetError(str(error)) from error
    return Plan(folder, plates, cells, ports, secrets.token_urlsafe(12), faults)


def _port(name: str, asked: int | None) -> int:
    if asked is not None:
        if not _free(asked):
            raise FleetError(f"port {asked} is taken. End what uses it, or give another: "
                             f"--{name}-port {asked + 1}")
        return asked
    return PORTS[name] if _free(PORTS[name]) else free_port()


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
    return True


def groups(plates: Sequence[PackPlate]) -> list[Sequence[PackPlate]]:
    """The packs of each edge process: MOST_OF_ONE, or a processor's share of many."""
    share = -(-len(plates) // max(2, os.cpu_count() or 2))
    size = share if len(plates) >= MANY else MOST_OF_ONE
    return [plates[first:first + size] for first in range(0, len(plates), size)]


def write_config(plan: Plan) -> None:
    """The app's and the gateway's."""
    cells = "" if plan.cells is None else f"cells = {plan.cells}\n"
    plan.config.touch(mode=0o600)
    plan.config.write_text(CONFIG.format(
        count=len(plan.plates), cells=cells, site=SITE, broker=plan.broker, store=plan.store,
        homes=max(1, round(HOMES_A_PACK * len(plan.plates))),
        history=plan.folder / "history", gateway=plan.ports["gateway"], operator=OPERATOR,
        hash=hashed(plan.password)))


# -- the children

def module(plan: Plan, name: str, what: str, *arguments: str) -> Child:
    """A module of Orrery as a process."""
    return Child(name, [sys.executable, "-m", what, *arguments], plan.folder / f"{name}.log",
                 {"ORRERY_CONFIG": str(plan.config), "ORRERY_CHANGE_SOURCES": "1",
                  "ORRERY_HISTORY_DIRECTORY": str(plan.folder / "history"), **FROM_THE_START})


def broker(plan: Plan) -> Child:
    """Raises FleetError where there is no Mosquitto."""
    program = find_mosquitto()
    if program is None:
        how = next(tool.how for tool in TOOLS if tool.name == "Mosquitto")
        raise FleetError(f"The fleet needs Mosquitto, which is not on this machine.\n  {how}")
    config = configured(plan.folder / "broker", plan.ports["broker"])
    return Child("broker", [program, "-c", str(config)], plan.folder / "broker.log")


def edges(plan: Plan) -> list[Child]:
    """Each with an outbox of its own."""
    outboxes = plan.folder / "edge"
    outboxes.mkdir(exist_ok=True)
    made = []
    for number, group in enumerate(groups(plan.plates), 1):
        packs = [word for plate in group for word in (
            "--device", f"{plate.device}={plate.chemistry},{plate.cells},{plate.capacity_kwh:g}")]
        here = {plate.device for plate in group}
        faults = [word for device, name in plan.faults if device in here
                  for word in ("--fault", f"{device}={name}")]
        made.append(module(plan, f"edge_{number}", "services.edge", "--site", SITE, "--broker",
                           plan.broker, "--seed", str(1000 * number), "--outbox",
                           str(outboxes / f"{group[0].device}.sqlite"), *packs, *faults))
    return made


def rest(plan: Plan) -> list[Child]:
    """All but broker and edges. The broker lets anybody in, so that the ingest knows who may
    send."""
    place = ("--site", SITE, "--broker", plan.broker)
    devices = [word for plate in plan.plates for word in ("--device", plate.device)]
    return [
        module(plan, "ingest", "services.ingest", *place, "--store", plan.store, "--report",
               str(plan.folder / "ingest.json"), *devices),
        module(plan, "coordinator", "services.coordinator"),
        module(plan, "gateway", "services.gateway"),
        module(plan, "app", "streamlit", "run", "Home.py", "--server.headless", "true",
               "--server.address", LOOPBACK, "--server.port", str(plan.ports["app"]),
               "--browser.serverAddress", "localhost", "--server.fileWatcherType", "none",
               *host_flags(LOOPBACK, folder=ROOT))]


# -- the family

def start(plan: Plan, family: Family, stop: threading.Event) -> None:
    """Come back when all of it runs, or at `stop`; raises FleetError where something ends."""
    write_config(plan)
    family.start(broker(plan))
    _until(lambda: listens(plan.ports["broker"]), "the broker", family, stop)
    for child in (*edges(plan), *rest(plan)):
        family.start(child)
    _until(lambda: answers(f"{plan.gateway}/healthz"), "the gateway", family, stop)
    _until(lambda: answers(f"{plan.app}/_stcore/health"), "the app", family, stop)


def _until(ready: Callable[[], bool], what: str, family: Family, stop: threading.Event) -> None:
    deadline = time.monotonic() + START_S
    while not stop.is_set() and not ready():
        gone = family.gone()
        if gone:
            raise FleetError(gone[0])
        if time.monotonic() > deadline:
            raise FleetError(f"{what} was silent for {START_S:.0f} s")
        stop.wait(0.05)


def watch(family: Family, stop: threading.Event) -> None:
    """Until `stop` or until nothing is left; say of each that ends by itself why."""
    while not stop.wait(LOOK_S):
        for words in family.gone():
            print(f"{words}\nThe others go on. To have it back, end this and start it again.",
                  flush=True)
        if not family.children:
            return


def addresses(plan: Plan) -> str:
    """The one line."""
    return (f"Fleet of {len(plan.plates)} packs: app {plan.app} ({OPERATOR} / {plan.password}), "
            f"gateway ws://{LOOPBACK}:{plan.ports['gateway']}, broker {plan.broker}; its "
            f"coordinator plans every ten minutes (Ctrl+C ends all){hurry(plan)}")


def hurry(plan: Plan) -> str:
    """What to expect where the machine is too small for so many; "" where it is not."""
    needed, here = -(-len(plan.plates) // PACKS_A_PROCESSOR), os.cpu_count() or 1
    return "" if needed <= here else (f". So many packs keep {needed} processors busy, and this "
                                      f"machine has {here}: what it stores comes late, and waits "
                                      "at the edges meanwhile")


def main(arguments: Sequence[str] | None = None) -> int:
    """Until a signal; the exit status."""
    asked = parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        plan = planned(asked)
        family = Family(Lock(plan.folder))
    except (FleetError, HeldError) as error:
        print(error, file=sys.stderr)
        return 1
    try:
        start(plan, family, stop)
        if not stop.is_set():
            print(addresses(plan), flush=True)
        watch(family, stop)
        return 0 if stop.is_set() else 1
    except FleetError as error:
        print(f"The fleet cannot start: {error}", file=sys.stderr)
        return 1
    finally:
        family.end()


if __name__ == "__main__":
    sys.exit(main())
