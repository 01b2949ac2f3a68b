"""Which host names an app answers to that runs on this machine alone.

Without a list Streamlit takes any name, so that a foreign one that somebody points at 127.0.0.1
("DNS rebinding") would make a foreign page look like the app's own, and open its WebSocket.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.addresses import is_loopback

FLAG = "--server.allowedHosts"
VARIABLE = "STREAMLIT_SERVER_ALLOWED_HOSTS"
SETTINGS = Path(".streamlit") / "config.toml"
OWN = ("localhost", "127.0.0.1", "::1")
"""Streamlit compares them without brackets and port."""


def host_flags(address: str, names: Sequence[str] = (), *, folder: Path,
               environment: Mapping[str, str] = os.environ) -> list[str]:
    """For `streamlit run` at `address`, a flag a name. names: those that a person gave. Without
    them what Streamlit was told otherwise holds (`told`), and then any name where others than this
    machine reach the app: nobody knows how they call it. folder: where it runs."""
    if not names and (told(folder, environment) or not is_loopback(address)):
        return []
    own = dict.fromkeys([*OWN, *([address] if is_loopback(address) else []), *names])
    return [word for name in own for word in (FLAG, name)]


def told(folder: Path, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether Streamlit's own settings have a list: the variable, or config.toml in `folder` or at
    home."""
    if environment.get(VARIABLE):
        return True
    home = Path(environment.get("HOME") or Path.home())
    return any(_lists(place / SETTINGS) for place in (folder, home))


def _lists(file: Path) -> bool:
    """What is no TOML lists none: Streamlit says so itself."""
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False
    server = settings.get("server")
    return isinstance(server, dict) and bool(server.get("allowedHosts"))
