"""The centre's ear: MQTT telemetry into the fleet's store, `python -m services.ingest`."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from core.clock import Clock, SystemClock
from core.errors import OrreryError
from core.fleet.topics import check_id
from core.registry import make_fleet_stores
from services.command_line import CANNOT_START, broker_of, parser_of, until_a_signal
from services.ingest.senders import senders
from services.ingest.subscriber import KEEP_S, Ingest
from services.report import Report


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    words = parser_of("services.ingest", __doc__, "ORRERY_INGEST_PASSWORD")
    words.add_argument("--store", nargs="+", default=["sqlite:data/fleet/fleet.sqlite"],
                       help="one, or several: the first must have each message, the others follow")
    words.add_argument("--waiting", type=Path, default=Path("data/fleet/waiting"),
                       help="folder for what a store beside the first does not take yet")
    words.add_argument("--device", action="append",
                       help="one that may send; without any and without --packs-of, whom the "
                       "broker lets in")
    words.add_argument("--packs-of", type=Path, metavar="FILE",
                       help="the app's orrery.toml: the packs of this site in it may send")
    words.add_argument("--keep-hours", type=float, default=KEEP_S / 3600,
                       help="how long telemetry stays in the store")
    words.add_argument("--report", type=Path, help="file that gets the counters")
    words.add_argument("--report-every", type=float, default=1.0, metavar="SECONDS")
    return words


def devices_of(asked: argparse.Namespace) -> frozenset[str] | None:
    """Who may send, None for everybody; raises ConfigurationError."""
    if asked.packs_of is None and asked.device is None:
        return None
    named = frozenset(asked.device or ())
    return named if asked.packs_of is None else named | senders(asked.packs_of, asked.site)


def write_report(ingest: Ingest, report: Report) -> None:
    report.write({**ingest.counters.report(), "statuses": ingest.statuses})


def _report(ingest: Ingest, report: Report, every_s: float, clock: Clock,
            stop: threading.Event) -> None:
    while not clock.wait(every_s, stop):
        write_report(ingest, report)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal; the exit status."""
    asked = parser().parse_args(arguments)
    stop, clock = until_a_signal(), SystemClock()
    try:
        broker, store = broker_of(asked), make_fleet_stores(asked.store, asked.waiting)
        ingest = Ingest(check_id(asked.site), store, broker, clock, devices_of(asked),
                        3600 * asked.keep_hours)
        report = None if asked.report is None else Report(asked.report)
        if report is not None:
            threading.Thread(target=_report, daemon=True, args=(
                ingest, report, asked.report_every, clock, stop)).start()
        ingest.run(stop)
        if report is not None:
            write_report(ingest, report)
        store.close()
    except OrreryError as error:
        sys.stderr.write(f"The ingest cannot run: {error}\n")
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
