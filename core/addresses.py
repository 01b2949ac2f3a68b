"""Whose address it is."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address

IPV6_PREFIX = 64
"""One household or machine has so long a prefix to itself."""


def is_loopback(host: str) -> bool:
    """Whether a host, as it stands in an address, is this machine and can be no other."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def client_of(address: str) -> str:
    """IPv6 by its network, IPv4 in IPv6 as IPv4, what is no address as it is."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(IPv6Network((int(found), IPV6_PREFIX), strict=False))
    return str(found)
