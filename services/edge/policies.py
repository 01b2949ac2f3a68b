"""The learnt policy of a pack: what a command brought, kept over a restart, and the way back."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple

from core.coordinator.actor import read
from core.coordinator.alone import Alone
from core.errors import GiveUpError
from services.edge.outbox import Deployed, Outbox, PolicyFiles
from services.edge.pack import Pack

log = logging.getLogger(__name__)

NONE = b""
"""A pack without a policy: it rests while the centre is out of reach."""
LONGEST = 200
"""Characters of a version that is told."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a pack needs to take a policy. key: that it is signed with; None takes the shipped one
    alone."""

    capacity_kwh: float
    chemistry: str
    key: str | None = None

    def read(self, file: bytes) -> Alone | None:
        """Raises GiveUpError for what is not to be trusted, or what the gate refused for the
        edge."""
        if file == NONE:
            return None
        found = Alone(read(file, self.key), self.capacity_kwh, self.chemistry)
        if found.held_back:
            raise GiveUpError(found.held_back)
        return found


class Change(NamedTuple):
    """What is to steer, once `deployed` is on the disk."""

    files: PolicyFiles
    alone: Alone | None
    deployed: Deployed


class Policies:
    """Of one pack. first: file that the pack was started with; what was deployed comes before it.
    Raises GiveUpError for a first one that is not to be used."""

    def __init__(self, pack: Pack, outbox: Outbox, trust: Trust, first: bytes = NONE) -> None:
        self._pack, self._trust = pack, trust
        began = trust.read(first)
        self._begun = PolicyFiles(first, None)
        self._files = outbox.policies(pack.device) or self._begun
        try:
            pack.alone = began if self._files.running == first else trust.read(self._files.running)
        except GiveUpError as error:
            pack.alone = None
            log.error("%s: the policy that was deployed is not used: %s", pack.device, error)
        self._before = self._version_before()

    @property
    def running(self) -> str:
        """Its version, "" for none."""
        return _version(self._pack.alone)

    @property
    def before(self) -> str | None:
        """What `roll_back` would bring back, "" for none; None where there is nothing."""
        return self._before

    def deploy(self, file: bytes | None) -> Change | str:
        """What is to be kept before it steers, else why not; "" for one that steers already."""
        if not file:
            return "a deployment brings the file of a policy"
        if file == self._files.running and self._pack.alone is not None:
            return ""
        return self._change(PolicyFiles(file, self._files.running))

    def roll_back(self) -> Change | str:
        """As `deploy`, of the one before, or of none as before."""
        if self._files.before is None:
            return "there is nothing before its policy to go back to"
        return self._change(PolicyFiles(self._files.before, None))

    def _change(self, files: PolicyFiles) -> Change | str:
        try:
            alone = self._trust.read(files.running)
        except GiveUpError as error:
            return str(error)
        return Change(files, alone, Deployed(None if files == self._begun else files))

    def steer(self, change: Change) -> None:
        """From now on."""
        self._files, self._pack.alone = change.files, change.alone
        self._before = self._version_before()

    def _version_before(self) -> str | None:
        try:
            before = self._files.before
            return None if before is None else _version(self._trust.read(before))
        except GiveUpError:
            return None


def _version(alone: Alone | None) -> str:
    return "" if alone is None else alone.actor.record.version[:LONGEST]
