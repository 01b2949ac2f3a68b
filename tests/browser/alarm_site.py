"""A simulated site with operators that knows alarms of earlier when its app starts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.alarms.journal import AlarmJournal
from core.assembly import place
from core.clock import ManualClock
from core.config import load_config
from core.registry import ALARMS_DIRECTORY, make_sources
from scripts.app_process import AppProcess
from store.records import open_alarms

Tell = Callable[[AlarmJournal, ManualClock], None]
SITE = """
[[sources]]
kind = "fleet"
name = "fleet"
[operators]
mode = "local"
demo = true
[history]
kind = "embedded"
directory = "h"
backfill_hours = 0
[twin]
enabled = false
"""


def start(app_server: Callable[..., AppProcess], folder: Path, ago: timedelta,
          tell: Tell) -> AppProcess:
    """The app over what `tell` did to the alarms so long ago."""
    config, history = folder / "orrery.toml", folder / "h"
    config.write_text(SITE)
    parsed = load_config(config)
    topology, _ = place(parsed.level_list, make_sources(parsed))
    clock = ManualClock(datetime.now(UTC) - ago)
    store = open_alarms(history / ALARMS_DIRECTORY, clock)
    tell(AlarmJournal(topology, clock, keep=store.append), clock)
    store.close()
    return app_server(history=history, config=config)
