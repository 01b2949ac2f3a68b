"""The browser that tests, benches and pictures use: the machine's own Chromium or Chrome."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_PATHS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
# WebGL on the processor, so that it is the same everywhere; pages are put together without it,
# because one moving arrow would then keep a whole core busy (9.2 s of 10, so 0.5). Nothing outside
# loopback.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-gpu-compositing",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)


def works(path: str) -> bool:
    """Whether it starts: Ubuntu has a `chromium-browser` that only says "install the snap"."""
    try:
        asked = subprocess.run([path, "--version"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def find_chromium() -> str | None:
    """Path of a browser that starts: ORRERY_CHROMIUM first, PATH, then macOS's places."""
    given = os.environ.get("ORRERY_CHROMIUM")
    found = [given] if given else [shutil.which(name) for name in NAMES]
    paths = [path for path in found if path]
    if not given:
        home = Path.home()
        paths += [path for path in MAC_PATHS if Path(path).exists()]
        paths += [str(home) + path for path in MAC_PATHS if (home / path[1:]).exists()]
    return next((path for path in paths if works(path)), None)
