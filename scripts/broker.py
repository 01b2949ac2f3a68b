"""A Mosquitto of this machine with a configuration of `deploy/mosquitto`."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

from scripts.app_process import LOOPBACK, ROOT

CONFIGURATIONS = ROOT / "deploy" / "mosquitto"
# Started by root, a broker gives root's rights up and could not read what lies in root's folders.
KEEP_RIGHTS = "user root"


def listens(port: int) -> bool:
    """Whether somebody answers at that port of loopback."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def configured(folder: Path, port: int, configuration: str = "development.conf",
               files: Mapping[str, Path] | None = None) -> Path:
    """The file as it is shipped with port and paths of this machine, written into `folder`.

    files: what to put for paths that the configuration names, by their name there.
    """
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    text = (CONFIGURATIONS / configuration).read_text()
    text = re.sub(r"(?m)^listener .*$", f"listener {port} {LOOPBACK}", text)
    text = re.sub(r"(?m)^persistence_location .*$", f"persistence_location {data}/", text)
    for name, file in {"acl.conf": CONFIGURATIONS / "acl.conf", **(files or {})}.items():
        copy = folder / name
        if file != copy:
            shutil.copy(file, copy)
        text = re.sub(rf"(?m)^(\w+) /\S*/{re.escape(name)}$", rf"\1 {copy}", text)
    written = folder / "mosquitto.conf"
    written.write_text(f"{text}\n{KEEP_RIGHTS}\n")
    return written
