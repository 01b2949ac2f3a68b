"""Model a fleet's packs from their telemetry, `python -m services.twin`: every five minutes what
each pack's next minutes bring, published and put beside what came."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core.clock import SystemClock
from core.errors import OrreryError
from core.fleet.topics import check_id
from core.registry import make_prediction_store
from services.command_line import CANNOT_START, broker_of, parser_of, until_a_signal
from services.twin.child import MEMORY_MIB
from services.twin.pool import Pool
from services.twin.ray_pool import RayCluster
from services.twin.service import EVERY_S, TwinService

LEAST_EVERY_S = 30.0


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    words = parser_of("services.twin", __doc__, "ORRERY_TWIN_PASSWORD")
    words.add_argument("--store", type=Path, default=Path("data/twin/predictions.sqlite"))
    words.add_argument("--every", type=float, default=EVERY_S, metavar="SECONDS",
                       help="from one window to the next")
    words.add_argument("--workers", type=int, default=1, choices=range(1, 65), metavar="1..64",
                       help="calculations at a time; each takes a core and some hundred MB")
    words.add_argument("--memory-mib", type=int, default=MEMORY_MIB,
                       help="the most that one calculation may take")
    words.add_argument("--report", type=Path, help="file that says each second how it goes")
    words.add_argument("--ray", metavar="ADDRESS", help="calculate on a Ray cluster: host:port, "
                       "or \"local\" for one on this machine")
    return words


def pool_of(asked: argparse.Namespace) -> Pool:
    """Children of this process, or a cluster; raises ConfigurationError."""
    if not asked.ray:
        return Pool(workers=asked.workers, memory_mib=asked.memory_mib)
    cluster = RayCluster(asked.ray)
    cluster.check()
    return Pool(workers=asked.workers, missing="", cluster=cluster)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal; the exit status."""
    asked = parser().parse_args(arguments)
    stop = until_a_signal()
    try:
        broker, store = broker_of(asked), make_prediction_store(asked.store)
        pool = pool_of(asked)
        TwinService(check_id(asked.site), broker, SystemClock(), pool, store,
                    max(LEAST_EVERY_S, asked.every), asked.report, asked.workers).run(stop)
        pool.close()
        store.close()
    except OrreryError as error:
        sys.stderr.write(f"The twin cannot run: {error}\n")
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
