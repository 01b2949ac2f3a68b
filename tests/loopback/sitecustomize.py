"""Hold a process to loopback. Tests import it; servers that tests start find it on PYTHONPATH.

An audit hook sees every connect of this interpreter, whichever library makes it, and cannot
be taken away again.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys

WITHOUT = "ORRERY_TESTS_WITHOUT"
"""Names the packages that a server is to be without."""
LOCAL_NAMES = {"localhost", "", socket.gethostname()}


class OutsideLoopbackError(PermissionError):
    """A test, or a server that it started, wanted to reach something outside this machine."""


def is_loopback(host: object) -> bool:
    """Whether a host, as given to a socket, is this machine."""
    text = host.decode() if isinstance(host, bytes) else str(host)
    if text in LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def guard(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse socket.connect and socket.sendto to anywhere else."""
    if event not in {"socket.connect", "socket.sendto"}:
        return
    sock, address = arguments[0], arguments[1]
    family = getattr(sock, "family", None)
    if family not in {socket.AF_INET, socket.AF_INET6} or not isinstance(address, tuple):
        return
    if not is_loopback(address[0]):
        raise OutsideLoopbackError(f"tests reach loopback alone, not {address[0]}:{address[1]}")


def hold_to_loopback() -> None:
    """Install the guard once in this interpreter."""
    if not getattr(sys, "_orrery_held_to_loopback", False):
        sys._orrery_held_to_loopback = True  # type: ignore[attr-defined]
        sys.addaudithook(guard)


def hide(packages: str) -> None:
    """As if they were not installed."""
    for name in packages.split():
        sys.modules[name] = None  # type: ignore[assignment]


if __name__ == "sitecustomize" and os.environ.get("PYTHONPATH"):
    hold_to_loopback()
    hide(os.environ.get(WITHOUT, ""))
