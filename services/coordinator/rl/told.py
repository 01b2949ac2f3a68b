"""What lies ahead of a site of the world, as a planner is told it: what came, or what was
forecast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.coordinator.policy import HOURS
from core.coordinator.problem import Band, Outlook
from services.coordinator.rl.days import AN_HOUR, STEP_S, STEPS
from services.coordinator.rl.world import World


def known(world: World, site: int, steps: int = STEPS) -> Outlook:
    """What came, from the step that is next, `steps` of it or what there is."""
    at = world.step_now
    net = world.net_kw[site, at:at + steps]
    load = Band(*(np.maximum(net, 0.0),) * 3)
    pv = Band(*(np.maximum(-net, 0.0),) * 3)
    start = world.days.starts[int(world.day[site])]
    return Outlook(start, STEP_S, load, pv, world.buy[site, at:at + steps],
                   world.sell[site, at:at + steps])


def with_forecasts(world: World, site: int) -> Outlook:
    """What a planner knows at the step that is next: this step, prices, and load and PV as
    forecast."""
    seen = world.sight()
    steps = np.arange(STEPS) + world.step_now
    hour = np.minimum(steps // AN_HOUR - world.step_now // AN_HOUR, HOURS - 1)
    net = seen.net_ahead_kw[site, hour].copy()
    net[0] = seen.net_kw[site]
    exact = known(world, site)
    return replace(exact, load_kw=Band(*(np.maximum(net, 0.0),) * 3),
                   pv_kw=Band(*(np.maximum(-net, 0.0),) * 3))
