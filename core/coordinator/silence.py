"""How long packs go on when nobody coordinates them any more: as long as the order holds that they
have, and as their devices say of themselves (services/edge/pack.py)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.coordinator.view import Allocated, Silence
from core.fleet.ports import PackState


def silence_of(states: Sequence[PackState], last: Allocated | None) -> Silence:
    """As the devices of a site have told. last: the newest order, None without one."""
    told = [state.silent_s for state in states if state.silent_s is not None]
    order_s = math.nan if last is None else (last.valid_until - last.at).total_seconds()
    return Silence(order_s, min(told, default=math.nan), max(told, default=math.nan),
                   len(states) - len(told), sum(bool(state.policy) for state in states),
                   len(states))
