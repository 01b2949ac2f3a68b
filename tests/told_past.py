"""What the demo's first start makes of an empty history, made once for all tests of a run.

A first start simulates HOURS of every cell and 400 days of every device. An app over a copy is one
that was stopped some minutes ago and comes back.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from msgspec.structs import replace

from scripts.app_process import ROOT
from tests.loopback.sitecustomize import hold_to_loopback

RUN_FOLDER = "ORRERY_TESTS_RUN_FOLDER"
"""Environment variable: the folder that all processes of a run share."""
MADE, LOCK = "told", "told.lock"
LONGEST_S = 900.0
HOURS = 6.0
"""As far back as the twin judges; the demo's own 24 take a processor half a minute."""


def copy_of_told_past(run_folder: Path) -> Path:
    """A new folder with what a first start left. Who comes first makes it, others wait for it."""
    with (run_folder / LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (run_folder / MADE).is_dir():
            (_made(run_folder / f"{MADE}.new")).rename(run_folder / MADE)
    history = Path(tempfile.mkdtemp(prefix="history-", dir=run_folder))
    shutil.copytree(run_folder / MADE, history, ignore=shutil.ignore_patterns("lock"),
                    copy_function=_copy, dirs_exist_ok=True)
    return history


def _copy(source: str, target: str) -> None:
    """Parquet files are written once and never changed: a second name is enough."""
    if source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _made(history: Path) -> Path:
    """By a process of its own, as an app is; an earlier one that failed leaves nothing."""
    shutil.rmtree(history, ignore_errors=True)
    environment = {name: value for name, value in os.environ.items() if name != "ORRERY_CONFIG"}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.told_past"], cwd=ROOT, capture_output=True, text=True,
        env={**environment, "ORRERY_HISTORY_DIRECTORY": str(history)}, check=False,
        timeout=LONGEST_S)
    assert ran.returncode == 0, ran.stderr[-4000:]
    return history


def main() -> None:
    """Start the demo, wait until its past is told, stop it."""
    from core.config import load_config  # every process of the tests reads this file
    from core.runtime import start_runtime

    hold_to_loopback()
    config = load_config()
    runtime = start_runtime(replace(config, history=replace(config.history,
                                                            backfill_hours=HOURS)))
    told = runtime.backfill
    assert told is not None, "the history was not empty"
    while told.running:
        time.sleep(0.2)
    runtime.stop()
    assert not told.error, told.error
    assert told.progress > 0.99, f"only {told.progress:.0%} were told"


if __name__ == "__main__":
    main()
