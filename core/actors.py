"""Who acted where no person with a name of his own did. No person may have such a name, because
history and audit would take what he did for the house's, or for nobody's."""

from __future__ import annotations

import unicodedata

DESIGN = "design"
"""A rule of the house."""
ITSELF = "by itself"
"""`DESIGN`, as people read it."""
LOOKS = "(viewer)"
"""Anybody, where nobody signs in."""
CONNECTIONS = "orrery, connections"
"""The pings of the Connections page."""
SOMEBODY = "a person"
"""Whoever types a command where the machine does not say who."""
NOT_KNOWN = "a name that is not known"
"""Whoever failed to sign in by no operator's name."""


def alike(name: str) -> str:
    """Names that people take for the same one are the same one."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


RESERVED = frozenset(map(alike, (DESIGN, ITSELF, LOOKS, CONNECTIONS, SOMEBODY, NOT_KNOWN)))


def is_reserved(name: str) -> bool:
    return alike(name) in RESERVED
