"""The loop that numba compiles is numpy's arithmetic: here it runs as plain Python."""

from __future__ import annotations

import importlib.util

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.twin.filter import CellFilter
from core.twin.fused import fused, kernel
from tests.twin.cells import LCO, LFP, NMC


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.sampled_from([LFP, NMC, LCO]), min_size=1, max_size=3))
def test_both_ways_estimate_the_same(seed: int, models: list) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 4, len(models)).tolist()
    capacity = rng.uniform(10.0, 300.0, sum(counts))
    ways = [CellFilter(models, counts, capacity), CellFilter(models, counts, capacity, loop=fused)]
    start = np.where(rng.random(sum(counts)) < 0.3, np.nan, rng.uniform(0.0, 1.0, sum(counts)))
    for cells in ways:
        cells.begin(start, 0.1)
    for _ in range(20):
        current = np.where(rng.random(len(models)) < 0.2, np.nan, rng.normal(0, 60, len(models)))
        volts = rng.choice([3.2, 3.3, 3.31, 3.6, 3.75, 4.0, np.nan, np.inf, 9.0], sum(counts))
        dt_s = float(rng.choice([0.1, 1.0, 10.0, 500.0]))
        with np.errstate(all="ignore"):
            for cells in ways:
                cells.step(current, volts, dt_s)
    one, other = ways
    for name in ("soc", "soc_sigma", "resistance", "resistance_sigma", "leak_c", "leak_sigma_c",
                 "residual_v"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=2e-3, atol=2e-4,
                                   err_msg=name)


def test_without_numba_there_is_no_loop_and_with_it_there_is() -> None:
    assert (kernel() is None) == (importlib.util.find_spec("numba") is None)
