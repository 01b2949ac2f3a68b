"""Which pages may ask: their origin against the host that was asked for, and against lists."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from core.addresses import is_loopback

DEFAULT_PORTS = {"http": 80, "https": 443}
ENCRYPTED = ("https", "wss")


class Origins:
    """origins: as `https://app.example`. hosts: names without a port; none means any, but where
    only this machine is heard (`here`), whose own addresses are the only ones that it has then."""

    def __init__(self, origins: Sequence[str], hosts: Sequence[str], here: bool = False) -> None:
        self._origins = {parts for origin in origins if (parts := origin_parts(origin))}
        self._hosts = frozenset(hosts)
        self._here = here

    def knows_host(self, told: Sequence[str]) -> bool:
        """Whether the Host header is there once and names this server. IP addresses and localhost
        always do: no foreign name server can point them here."""
        if len(told) != 1:
            return False
        host = host_parts(told[0])
        if host is None:
            return False
        name = host[0]
        if name in self._hosts or is_loopback(name):
            return True
        return not self._here and (not self._hosts or _is_address(name))

    def admits(self, told: Sequence[str], host: str, scheme: str) -> bool:
        """Whether the page of the Origin header may ask `host` by `scheme`. Programs send no
        origin, so without one they may."""
        if not told:
            return True
        origin = origin_parts(told[0]) if len(told) == 1 else None
        if origin is None:
            return False
        return origin in self._origins or _same(origin, host, scheme)


def _same(origin: tuple[str, str, int], host: str, scheme: str) -> bool:
    """A proxy that ends TLS may leave `scheme` as http; the other way round it is a foreign
    page."""
    if scheme in ENCRYPTED and origin[0] == "http":
        return False
    asked = host_parts(host)
    if asked is None:
        return False
    return (asked[0], asked[1] or DEFAULT_PORTS[origin[0]]) == origin[1:]


def origin_parts(origin: str) -> tuple[str, str, int] | None:
    """(scheme, host, port) of `https://app.example`; None for "null" and whatever else it is."""
    parts = _split(origin)
    if parts is None or parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return None
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]


def host_parts(host: str) -> tuple[str, int | None] | None:
    """(name, port) of a Host header; None where it is not one."""
    parts = _split(f"//{host}")
    if parts is None or not parts.hostname or parts.path or parts.query or parts.fragment:
        return None
    if "@" in parts.netloc:
        return None
    return parts.hostname, parts.port


def _split(url: str) -> SplitResult | None:
    """None where it cannot be taken apart, or has a port that is none."""
    if any(sign.isspace() for sign in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
