"""What a person may have a pack do, and what comes of it, in words for the second step."""

from __future__ import annotations

from collections.abc import Mapping

TTL_S = 30.0
"""A command that is older does nothing any more [s]."""

EFFECTS: Mapping[str, str] = {
    "override": "gives and takes no more than {bound}. Its own limits still hold: a bound can "
                "only lower them.",
    "release": "the operator's bound ends; allocation and its own limits hold again.",
    "controlled_shutdown": "current goes to 0 A, then the contactors open. Only a reset brings "
                           "it back.",
    "emergency_stop": "stops at once and opens its contactors. Only a reset brings it back.",
    "reset": "leaves its latched state if nothing is wrong with it any more; contactors close, "
             "and it may carry power again.",
}
"""Sentences after "{name}: "; {bound} is the power of an override."""

MUST_GO = frozenset({"controlled_shutdown", "emergency_stop"})
"""Sent even where the audit cannot be kept: people come before paper."""
