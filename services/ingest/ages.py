"""How long the broker kept a message for this ingest, as far as that can be known."""

from __future__ import annotations

import math

from core.fleet.telemetry import CLOCK_TOLERANCE_S

EXPIRY_S = 86_400.0
"""What our devices give their telemetry; what is left of it tells its age [s]."""
CALM = 1000
"""Fewer messages in one round than the broker may have on their way: it has kept no more."""
CALM_S = 5.0
"""So long after a connection stands, what the broker kept has begun to come [s]."""


class Ages:
    """Another's device may give its telemetry less than EXPIRY_S, and that looks like an age. Where
    it would be longer than the broker can have kept anything for this ingest, the message counts
    as fresh: its own clock tells. passed_s: `Clock.monotonic_s`, everywhere."""

    def __init__(self) -> None:
        self._connection: int | None = None
        self._since_s = self._caught_up_s = -math.inf

    def took(self, count: int, connection: int | None, passed_s: float) -> None:
        """After each round of so many messages. connection: its number, None without one."""
        if connection != self._connection:
            self._connection, self._since_s = connection, passed_s
        if connection is not None and count < CALM and passed_s - self._since_s >= CALM_S:
            self._caught_up_s = passed_s

    def queued_s(self, left_s: float | None, passed_s: float) -> float:
        """Of a message with so much left of its expiry, None where the broker does not say [s]."""
        if left_s is None:
            return 0.0
        queued_s = max(0.0, EXPIRY_S - left_s)
        longest_s = passed_s - self._caught_up_s + CLOCK_TOLERANCE_S
        return queued_s if queued_s <= longest_s else 0.0
