"""What a pack is to do in the next minutes, as whoever steers it has said: what its prediction
takes for granted. Of a pack that nobody steers the current is taken to stay as it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

RESTS_KW = 0.05


@dataclass(frozen=True, slots=True)
class Planned:
    """Of one pack, valid now. power_kw: + discharging; by: who says so, in words."""

    power_kw: float
    by: str

    def cell_a(self, cells: int, cell_v: float) -> float | None:
        """Current of a cell at this voltage, where `cells` share the power; None where it is not
        known."""
        if not (math.isfinite(self.power_kw) and cells > 0 and cell_v > 0):
            return None
        return 1000.0 * self.power_kw / cells / cell_v

    @property
    def words(self) -> str:
        """"under the coordinator's allocation: charging at 3.2 kW"."""
        how_much = abs(self.power_kw)
        if how_much < RESTS_KW:
            return f"under {self.by}: at rest"
        does = "charging" if self.power_kw < 0 else "discharging"
        return f"under {self.by}: {does} at {how_much:.1f} kW"


Plans = Callable[[], Mapping[str, Planned]]
"""By the pack's id in the tree, all that are valid now; at once, and without an error."""


def nobody() -> Mapping[str, Planned]:
    """Of a site that is not steered."""
    return {}
