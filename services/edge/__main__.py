"""An edge device as a process of its own: `python -m services.edge --device pack_1`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from core.coordinator.actor import data_of
from core.errors import ConfigurationError, GiveUpError, OrreryError
from core.fleet.messages import LONGEST_SILENCE_S, MOST_CELLS
from core.fleet.topics import check_device, check_id
from core.twin.filter import Tuning
from services.command_line import CANNOT_START, broker_of, parser_of, until_a_signal
from services.edge.demo_faults import FAULTS, OF_A_PROCESS, faults_of
from services.edge.estimator import CellEstimators
from services.edge.guard import Guards
from services.edge.outbox import MOST_ROWS, Outbox
from services.edge.pack import SILENT_S, Centre, Pack, PackGroup
from services.edge.plant import NOMINAL_V, UNHEARD_S, SimulatedPack
from services.edge.plant_group import PlantGroup
from services.edge.policies import NONE, Policies, Trust
from services.edge.runtime import EdgeRuntime, Plate
from services.edge.undisturbed import Undisturbed
from services.edge.wall import WakefulClock

MOST_KWH = 100_000.0
MOST_SAMPLES = 6000
"""Of one message: a minute at 100 Hz."""
MOST_SEED = 2**31
SWITCH_S = 0.0005
"""No thread that writes or sends keeps the interpreter from a safety decision for longer [s]."""


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    words = parser_of("services.edge", __doc__, "ORRERY_EDGE_PASSWORD")
    words.add_argument("--device", action="append", required=True,
                       metavar="ID[=CHEMISTRY,CELLS,KWH]",
                       help="a pack; several make one process of several. What it does not say of "
                       "itself is as --chemistry, --cells and --capacity-kwh say")
    words.add_argument("--outbox", type=Path, help="its file; data/edge/DEVICE.sqlite")
    words.add_argument("--most-rows", type=_from_to(1, MOST_ROWS), default=MOST_ROWS,
                       metavar=f"1..{MOST_ROWS}")
    words.add_argument("--chemistry", choices=sorted(NOMINAL_V), default="LFP")
    words.add_argument("--cells", type=_from_to(1, MOST_CELLS), default=240,
                       metavar=f"1..{MOST_CELLS}")
    words.add_argument("--capacity-kwh", type=_number_to(MOST_KWH, "kWh"), default=100.0)
    words.add_argument("--rate-hz", type=_from_to(10, 100), default=10, metavar="10..100")
    words.add_argument("--every", type=_from_to(1, MOST_SAMPLES), metavar=f"1..{MOST_SAMPLES}",
                       help="samples of one message; a second's by default")
    words.add_argument("--fault", action="append", default=[], metavar="DEVICE=NAME",
                       help="what is wrong with a simulated pack from the start: "
                       f"{', '.join(OF_A_PROCESS)}; several where given several times")
    words.add_argument("--drain", action="store_true",
                       help="send what is waiting and end: before a device is taken away")
    words.add_argument("--silent-s", type=_number_to(LONGEST_SILENCE_S, "s"),
                       default=SILENT_S,
                       help="so long without a word of the centre, and a pack helps itself")
    words.add_argument("--seed", type=_from_to(0, MOST_SEED), default=1)
    words.add_argument("--actor", type=Path,
                       help="learnt policy that steers while the coordinator is out of reach, "
                       "until another is deployed; without one packs rest then")
    words.add_argument("--actor-key-variable", default="ORRERY_ACTOR_KEY",
                       help="environment variable with the key that it is signed with")
    return words


def _from_to(least: int, most: int) -> Callable[[str], int]:
    """For a whole number; it raises ArgumentTypeError, in words."""
    def read(told: str) -> int:
        try:
            found = int(told)
        except ValueError:
            found = least - 1
        if not least <= found <= most:
            raise argparse.ArgumentTypeError(f"{told}: give a whole number from {least} to {most}")
        return found
    return read


def _number_to(most: float, unit: str) -> Callable[[str], float]:
    """For a number above 0; it raises ArgumentTypeError, in words."""
    def read(told: str) -> float:
        try:
            found = float(told)
        except ValueError:
            found = 0.0
        if not 0.0 < found <= most:
            raise argparse.ArgumentTypeError(f"{told} {unit}: give more than 0 and at most "
                                             f"{most:g}")
        return found
    return read


def plates_of(asked: argparse.Namespace) -> dict[str, Plate]:
    """What stands on each pack, by device; raises OrreryError for what is no pack."""
    plates = {}
    for words in asked.device:
        device, _, own = words.partition("=")
        check_device(device)
        if device in plates:
            raise ConfigurationError("the command line", "--device", words, "each device once")
        plates[device] = (_plate(words, *own.split(",")) if own else
                          Plate(asked.chemistry, asked.cells, asked.capacity_kwh))
    return plates


def _plate(words: str, *parts: str) -> Plate:
    try:
        chemistry, cells, capacity_kwh = parts
        plate = Plate(chemistry, int(cells), float(capacity_kwh))
    except ValueError:
        plate = None
    if plate is None or plate.chemistry not in NOMINAL_V or not 0 < plate.cells <= MOST_CELLS \
            or not 0.0 < plate.capacity_kwh <= MOST_KWH:
        raise ConfigurationError(
            "the command line", "--device", words, f"ID=CHEMISTRY,CELLS,KWH with one of "
            f"{', '.join(NOMINAL_V)}, 1 to {MOST_CELLS} cells and up to {MOST_KWH:g} kWh")
    return plate


def policies_of(group: PackGroup, plates: Mapping[str, Plate], outbox: Outbox, path: Path | None,
                key: str | None) -> dict[str, Policies]:
    """Who steers each pack that is out of reach; raises ConfigurationError for a file that is not
    to be trusted, or that the gate refused."""
    try:
        first = NONE if path is None else data_of(path)
        return {device: Policies(pack, outbox, Trust(plates[device].capacity_kwh,
                                                     plates[device].chemistry, key), first)
                for device, pack in group.packs.items()}
    except GiveUpError as error:
        raise ConfigurationError("the command line", "--actor", str(path),
                                 f"a policy that may drive at the edge; {error}") from error


def group_of(plates: Mapping[str, Plate], outbox: Outbox, silent_s: float, seed: int,
             faults: Sequence[tuple[str, str]] = ()) -> PackGroup:
    """One simulated pack a device, guarded together. faults: device and name of each."""
    plants = [SimulatedPack(plate.chemistry, plate.cells, plate.capacity_kwh, seed + at,
                            device=device)
              for at, (device, plate) in enumerate(plates.items())]
    for device, name in faults:
        FAULTS[name](plants[list(plates).index(device)])
    ratings = [plant.rating for plant in plants]
    guards = Guards(ratings, outbox)
    packs = [Pack(guard.device, guard, Centre(silent_s)) for guard in guards.each]
    begin_pct = [float(plant.state.soc_pct.mean()) for plant in plants]
    return PackGroup(packs, guards, PlantGroup(plants, UNHEARD_S),
                     CellEstimators(ratings, begin_pct, Tuning(gap_s=UNHEARD_S)), Undisturbed())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal; the exit status."""
    asked = parser().parse_args(arguments)
    stop = until_a_signal()
    sys.setswitchinterval(SWITCH_S)
    try:
        broker, plates = broker_of(asked), plates_of(asked)
        devices, faults = list(plates), faults_of(asked.fault, plates)
        outbox = Outbox(asked.outbox or Path("data/edge") / f"{devices[0]}.sqlite", devices,
                        asked.most_rows)
        key = os.environ.get(asked.actor_key_variable)
        group = group_of(plates, outbox, asked.silent_s, asked.seed, faults)
        runtime = EdgeRuntime(check_id(asked.site), group, plates, outbox, broker, WakefulClock(),
                              asked.rate_hz, asked.every,
                              policies_of(group, plates, outbox, asked.actor, key))
        (runtime.drain if asked.drain else runtime.run)(stop)
        outbox.close()
    except OrreryError as error:
        sys.stderr.write(f"The edge device cannot run: {error}\n")
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
