"""Which order of the centre a device follows, and for how long: one rule for the device itself and
for whoever wants to know what it does."""

from __future__ import annotations

import math

from core.fleet.messages import Allocation

SET_BACK_S = 1.0
"""A clock that is set back by more ends what was allocated [s]."""
MOST_LEASES = 16
"""Of so many senders the newest order is remembered; the one heard longest ago goes first."""


class InForce:
    """Of one device, for one thread: by the receiver's own clock alone, however far off that or the
    sender's is. power_kw: of the order that was taken last [kW]."""

    __slots__ = ("_issued_s", "_lease_s", "_newest_s", "_taken_s", "_until_s", "power_kw")

    def __init__(self) -> None:
        self.power_kw = 0.0
        self._issued_s = self._taken_s = self._until_s = -math.inf
        self._lease_s = 0.0
        self._newest_s: dict[float, float] = {}

    @property
    def ever(self) -> bool:
        """Whether one was taken at all."""
        return self._until_s > -math.inf

    def holds(self, now_s: float) -> bool:
        """What it wants holds; no longer where this clock was set back since."""
        return self._taken_s - SET_BACK_S <= now_s <= self._until_s

    def lease_s(self, now_s: float) -> float:
        """Of the order in force, 0 where there is none, or it has none."""
        return self._lease_s if self.holds(now_s) else 0.0

    def superseded(self, allocation: Allocation, now_s: float) -> bool:
        """A later lease than its own is in force. When that one's orders have ended it is
        forgotten: no clock and no lost database shuts a coordinator out for longer."""
        return allocation.lease_s is not None and allocation.lease_s < self.lease_s(now_s)

    def take(self, device: str, allocation: Allocation, now_s: float,
             left_s: float | None = None) -> bool:
        """False for one that came before, is not newer than the last of its sender, of an older
        lease, or not for this device. left_s: of the message's own expiry, which the broker counts
        down from when it was sent, None where it does not say [s]."""
        if device not in allocation.power_kw or self.superseded(allocation, now_s) or \
                self._is_old(allocation, now_s):
            return False
        self._issued_s, self._lease_s = allocation.issued_s, allocation.lease_s or 0.0
        self._remember()
        valid_s = allocation.valid_s if left_s is None else min(allocation.valid_s, left_s)
        self._taken_s, self._until_s = now_s, now_s + valid_s
        self.power_kw = allocation.power_kw[device]
        return True

    def _is_old(self, allocation: Allocation, now_s: float) -> bool:
        """Of one sender none is taken after a newer one; those without a lease count as one.
        Another's is, once the last order has ended: its clock may be behind."""
        lease_s = allocation.lease_s or 0.0
        newest_s = self._newest_s.get(lease_s, -math.inf)
        if self.holds(now_s) and lease_s <= self._lease_s:
            newest_s = max(newest_s, self._issued_s)
        return allocation.issued_s <= newest_s

    def _remember(self) -> None:
        self._newest_s.pop(self._lease_s, None)
        self._newest_s[self._lease_s] = self._issued_s
        if len(self._newest_s) > MOST_LEASES:
            del self._newest_s[next(iter(self._newest_s))]
