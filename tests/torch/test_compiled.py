"""The filter's loop as numba compiles it (`core/twin/requirements-numba.txt`): of so many cells
that it is taken by itself it estimates what numpy does of the same cells in parts too small for it.
`make test-rl`, whose environment has numba; `tests/twin/test_fused.py` runs the loop as plain
Python."""

from __future__ import annotations

import numpy as np
import pytest

from core.twin.filter import CellFilter
from core.twin.fused import FUSE_FROM, kernel
from core.twin.models import cell_models

PACKS, PARTS = 9, 3
CELLS = FUSE_FROM // PACKS + 1
NAMES = ("soc", "soc_sigma", "resistance", "resistance_sigma", "leak_c", "leak_sigma_c",
         "residual_v")


EDGE = 5e-3
"""Of cells whose voltages jump at random: so many may stand at the edge of a decision (a voltage
that surprises, a slope that tells), where the last bit of a sum decides."""


@pytest.mark.parametrize("wild", [False, True])
def test_compiled_it_estimates_what_numpy_does(wild: bool) -> None:
    rng = np.random.default_rng(1)
    models = (list(cell_models().values()) * PACKS)[:PACKS]
    capacity = rng.uniform(10.0, 300.0, PACKS * CELLS)
    some = PACKS // PARTS
    assert some * CELLS < FUSE_FROM <= capacity.size
    assert kernel() is not None
    whole = CellFilter(models, [CELLS] * PACKS, capacity)
    parts = [CellFilter(models[first:first + some], [CELLS] * some,
                        capacity[first * CELLS:(first + some) * CELLS])
             for first in range(0, PACKS, some)]
    start = np.where(rng.random(capacity.size) < 0.3, np.nan,
                     rng.uniform(0.0, 1.0, capacity.size) if wild else 0.5)
    own_v = np.repeat([float(model.ocv_v(0.5)) for model in models], CELLS)
    whole.begin(start, 0.1)
    for part, mine in zip(parts, np.split(start, PARTS), strict=True):
        part.begin(mine, 0.1)
    for _ in range(20):
        current = np.where(rng.random(PACKS) < 0.2, np.nan,
                           rng.normal(0, 60 if wild else 2, PACKS))
        volts = rng.choice([3.2, 3.3, 3.31, 3.6, 3.75, 4.0, np.nan, np.inf, 9.0], capacity.size) \
            if wild else own_v + rng.normal(0.0, 0.002, capacity.size)
        dt_s = float(rng.choice([0.1, 1.0, 10.0, 500.0] if wild else [1.0, 10.0]))
        whole.step(current, volts, dt_s)
        for part, mine, cells in zip(parts, np.split(current, PARTS), np.split(volts, PARTS),
                                     strict=True):
            part.step(mine, cells, dt_s)
    for name in NAMES:
        alike = np.isclose(getattr(whole, name), np.concatenate([getattr(part, name)
                                                                 for part in parts]),
                           rtol=2e-3, atol=2e-4, equal_nan=True)
        assert (~alike).mean() <= (EDGE if wild else 0.0), (name, int((~alike).sum()))
