"""The disk budget is never passed: whole files are unlinked, the oldest raw ones first.

When room is needed, raw gives its oldest file as long as it takes more than its share, then
the minutes, then the hours; so a long history of minutes never leaves a site without the raw
values of its last hours. Files that were set aside go before all others.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from store.files import HOUR, MINUTE, RAW, TIERS, Sealed
from store.vault import Vault

SHARES = {RAW: 0.25, MINUTE: 0.5, HOUR: 0.125}
"""What a tier keeps of the budget while another one passes its own share."""


class Budget:
    """limit_bytes: all that the history directory may take [B]."""

    def __init__(self, vault: Vault, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._vault = vault
        self._lock = threading.Lock()
        self._promised = 0

    def make_room(self, wanted_bytes: int) -> bool:
        """Unlink until `wanted_bytes` more fit; False when nothing is left to unlink."""
        with self._lock:
            return self._make_room(wanted_bytes)

    def _make_room(self, wanted_bytes: int) -> bool:
        while self._vault.size() + self._promised + wanted_bytes > self.limit_bytes:
            if not self._unlink_one():
                return False
        return True

    @contextmanager
    def promised(self, wanted_bytes: int) -> Iterator[bool]:
        """Room for a file that is being written; False when there is none."""
        with self._lock:
            granted = wanted_bytes if self._make_room(wanted_bytes) else 0
            self._promised += granted
        try:
            yield granted == wanted_bytes
        finally:
            with self._lock:
                self._promised -= granted

    def _unlink_one(self) -> bool:
        vault = self._vault
        with vault.access:
            if vault.set_aside:
                vault.set_aside.pop(0).unlink(missing_ok=True)
                return True
            victim = self._victim()
            if victim is not None:
                vault.discard([victim])
        return victim is not None

    def _victim(self) -> Sealed | None:
        catalog = self._vault.catalog
        over = [tier for tier in TIERS
                if catalog.size([tier]) > SHARES[tier] * self.limit_bytes]
        for tier in [*over, *TIERS]:
            files = catalog.files(tier)
            if files:
                return files[0]
        return None
