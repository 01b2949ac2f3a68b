"""The digital twin: what estimating every cell costs, how far charge and forecast are off on real
cells, and what its physics costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bench import _twin_cells, _twin_fleet, _twin_physics
from bench.report import FigureError, figure_line
from core.twin.fade import Score
from core.twin.filter import CellFilter
from core.twin.fused import kernel
from core.twin.models import cell_models

CELLS, CELLS_OF_PACK = 1_000_000, 400
STEPS = 15

line = partial(figure_line, "twin")


def run(short: bool = False) -> Iterator[dict[str, object]]:
    """All figures (short: fewer samples of the cost, one chemistry, shorter physics)."""
    yield _step_cost(5 if short else STEPS)
    for chemistry in ("NMC",) if short else ("NMC", "LFP"):
        yield from _charge(chemistry)
    yield from forecasts()
    yield from _twin_physics.physics(short)
    yield from _twin_fleet.fleet(short)


def _step_cost(steps: int) -> dict[str, object]:
    """Processor time of one sample of all cells, all three chemistries."""
    models, packs = list(cell_models().values()), CELLS // CELLS_OF_PACK
    mine = [models[pack % len(models)] for pack in range(packs)]
    rng = np.random.default_rng(7)
    cells = CellFilter(mine, [CELLS_OF_PACK] * packs, rng.normal(100.0, 2.0, CELLS))
    volts = np.repeat([float(model.ocv_v(0.5)) for model in mine], CELLS_OF_PACK)
    volts = (volts + rng.normal(0.0, 0.002, CELLS)).astype(np.float32)
    current_a, warm_c = rng.normal(0.0, 30.0, packs), np.full(packs, 25.0)
    spent_ms = []
    for _ in range(steps + 2):
        began = time.process_time()
        cells.step(current_a, volts, 1.0, warm_c)
        spent_ms.append(1000 * (time.process_time() - began))
    way, target = ("numpy", 60) if kernel() is None else ("numba", 15)
    return line(f"{CELLS:,} cells", f"EKF step, {way}", statistics.median(spent_ms[2:]), "ms",
                target)


def _charge(chemistry: str) -> Iterator[dict[str, object]]:
    """Error of the charge on a real drive, counting alone beside it. Of a right start that the
    filter is told to doubt there is no target: no filter can know that it is right."""
    drive = _twin_cells.drive(chemistry)
    cases = _twin_cells.FAULTY + _twin_cells.BIASED + _twin_cells.UNBELIEVED
    filtered, counted = _twin_cells.charge_errors(drive, cases)
    for case, error, alone in zip(cases, filtered.tolist(), counted.tolist(), strict=True):
        better = 1.0 if case.wrong and chemistry == "NMC" else round(alone, 3)
        target = None if case in _twin_cells.UNBELIEVED else better
        yield line(f"{chemistry}, {case.name}", "SoC RMSE", error, "%", target)
        yield line(f"{chemistry}, {case.name}", "SoC RMSE of counting", alone, "%")


def forecasts() -> Iterator[dict[str, object]]:
    """48 NMC cells, second half of life from the first; the width of its interval is judged by
    cells that did not choose it. Then cells of many uses, and those that somebody added, without a
    target."""
    cells = _twin_cells.ageing()
    yield _missed(f"{len(cells)} NMC cells of one use, second half of life",
                  _twin_cells.forecast_scores(cells), 1.5)
    judged = _twin_cells.judged(_twin_cells.rate_errors(cells))
    for rate_error, share, points in judged.halves:
        yield line(f"{points} points of one half of the cells", "inside of the width "
                   f"{rate_error:.2f} that the other half chose", 100 * share, "%")
    held = {"each half by the other": judged.inside,
            f"mean of {judged.random.size} random halves": float(judged.random.mean())}
    for how, share in held.items():
        yield line(how, "inside of the 90 % interval", 100 * share, "%", 85, "higher")
        yield line(how, "inside, at most", 100 * share, "%", 95)
    for path in (_twin_cells.MANY_USES, *_twin_cells.added()):
        yield from _others(path)


def _others(path: Path) -> Iterator[dict[str, object]]:
    """Of cells that had no part in choosing the interval in use."""
    cells = _twin_cells.ageing(path)
    scores = _twin_cells.forecast_scores(cells)
    if not scores:
        raise FigureError(f"no cell of {path} has points enough in either half of its life")
    case = f"{path.stem}, {len(scores)} of {len(cells)} cells, second half of life"
    yield _missed(case, scores)
    points = sum(score.points for score in scores)
    inside = sum(score.covered * score.points for score in scores) / points
    yield line(case, "inside of the 90 % interval in use", 100 * inside, "%", better="higher")


def _missed(case: str, scores: Sequence[Score], target: float | None = None) -> dict[str, object]:
    return line(case, "SoH MAPE", statistics.mean(score.mape_pct for score in scores), "%", target)
