"""What both ways to a Husdata H60 or H66 gateway have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping

from core.heatpump.decode import Decoded
from core.heatpump.profile import Profile
from core.talk import Conversation


class Problems:
    """Why newest readings are not used, by quantity, in words; a quantity that another register
    tells has none. What is new is told in a conversation, once, however often it is repeated.
    """

    def __init__(self, profile: Profile) -> None:
        self._metrics = [(register.id, register.metric) for register in profile.registers]
        self._newest: dict[str, str] = {}
        self.by_quantity: Mapping[str, str] = {}

    def take(self, decoded: Decoded, talk: Conversation) -> None:
        """decoded: of all registers that are known now."""
        for register, words in decoded.problems.items():
            if self._newest.get(register) != words:
                talk.error(f"register {register}: {words}")
        self._newest = dict(decoded.problems)
        told: dict[str, str] = {}
        for register, metric in self._metrics:
            if register in decoded.problems and math.isnan(decoded.values.get(metric, math.nan)):
                told.setdefault(metric, f"Register {register}: {decoded.problems[register]}")
        self.by_quantity = told
