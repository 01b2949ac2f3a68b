"""How far a device's clock is off, by when its messages come.

When a message came, by the centre's clock, less when it was sent, by the device's, is how far that
is behind plus how long the way took, and no way takes less than nothing. So the least of some
seconds tells, as the clock filter of NTP takes the sample of the least delay (RFC 5905, 10). A way
that takes longer than OFF_S in all of them looks like a clock that is behind: messages that go one
way cannot tell these apart.
"""

from __future__ import annotations

from collections import deque

SECONDS = 8
"""Messages must have come in so many, the length of the filter in RFC 5905: what was on its way
when a connection broke comes later with the time of its first sending, but all at once."""
OFF_S = 5.0
"""Off by more, and it is told [s]: the shortest order, a ping, is over when it comes to a device
whose clock is so far ahead. Far beyond what is usual: a time service keeps a clock within 0.128 s
(RFC 5905, STEPT), and a message is to come within 1 s (`python -m bench fleet`)."""
RIGHT_S = 0.5 * OFF_S
"""Nearer than that, and it is right again [s]."""


class DeviceClock:
    """off_s: by how much it is behind the centre's [s], below 0 ahead; None where it is right, or
    not known yet. For one thread that hears; any may look."""

    def __init__(self) -> None:
        self.off_s: float | None = None
        self._least: deque[tuple[int, float]] = deque(maxlen=SECONDS)

    def hear(self, came_s: float, sent_s: float) -> None:
        """A message. came_s: by the centre's clock; sent_s: by the device's [s since 1970]."""
        second, later_s = int(came_s), came_s - sent_s
        if self._least and self._least[-1][0] == second:
            later_s = min(later_s, self._least.pop()[1])
        self._least.append((second, later_s))
        if len(self._least) == SECONDS:
            behind_s = min(least_s for _, least_s in self._least)
            allowed_s = OFF_S if self.off_s is None else RIGHT_S
            self.off_s = behind_s if abs(behind_s) > allowed_s else None
