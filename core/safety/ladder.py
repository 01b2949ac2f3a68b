"""Four layers and four responses; an upper layer may only be stricter than a lower (law 8).

    layer      response               by what                              where
    hardware   immediate shutdown     short circuit, interlock,            `plant`, and `monitor`
                                      1.1 times a trip limit               without a delay
    edge       controlled shutdown    trips after their delay, missing     `monitor`, `machine`
                                      input, own overrun
    cloud      rebalancing            derating, state of charge, C-rate,   `derating`, and the
                                      forecasts                            coordinator
    human      operator alert         alarms of any tier; a manual         `core.alarms`, and
                                      override, if stricter                `derating`

Limits of all layers meet as the least of `derating`, a person's among them. What the cloud wants
meets them here.
"""

from __future__ import annotations

import math


def clamp(wanted: float, charge: float, discharge: float) -> float:
    """The last word: `wanted` (+ discharges, law 1) within what is allowed each way, magnitudes in
    the same unit. A limit that is missing or negative allows nothing; a wish that is not finite is
    0."""
    most = discharge if wanted > 0 else charge
    if not (math.isfinite(wanted) and most > 0):
        return 0.0
    return math.copysign(min(abs(wanted), most), wanted)
