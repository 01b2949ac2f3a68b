"""Charge and fade of real cells: what the twin makes of the records in `tests/data/twin`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.twin.fade import LEAST_POINTS, Fade, Score, fit_fade, score
from core.twin.filter import CellFilter
from core.twin.identify import with_circuit, with_curve
from core.twin.interval import SIGMAS
from core.twin.models import CellModel, Floats, cell_model
from core.twin.record import Record

Cells = Sequence[tuple[Floats, Floats]]
"""Of each cell: what was put through it (equivalent full cycles or Ah) and capacity, 1 = its first.
"""
FOLDER = Path(__file__).parents[1] / "tests" / "data" / "twin"
ONE_USE = FOLDER / "nmc_ageing_baumhofer2014.csv"
"""48 cells of one use: a part of their charge, over and over."""
MANY_USES = FOLDER / "nmc_ageing_isu_ilcc.csv"
"""50 cells of fifteen uses, some of them with a knee before 80 %."""
ADDED = "ORRERY_AGEING_DATA"
"""The environment variable that names a folder of further files of the same three columns."""
GAIN = 1.005
"""Of the current sensor that the filter sees."""
NOISE_V = 0.002
BIAS_C = 0.01
WRONG = 0.2
UNSURE, SURE = 0.1, 0.01
"""Standard deviation that the filter is told of its first charge: of one that may be wrong, and of
one that is right."""
END = 0.8
SPLITS = 200


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive from full to empty. soc: true, by counting the reference's current, float64[n];
    model: curve of the same cell's C/20, circuit of the drive's first third."""

    record: Record
    soc: Floats
    capacity_ah: float
    model: CellModel
    left_v: float


@dataclass(frozen=True, slots=True)
class Case:
    """What the filter and the counter are told wrongly: from: share of the record at which they
    begin; wrong: of the charge there; bias_c: of the current [C-rate]. sigma: how well the filter
    is told to know that charge; counting believes it anyway."""

    begin: float
    wrong: float
    bias_c: float
    sigma: float = UNSURE

    @property
    def name(self) -> str:
        return (f"from {100 * self.begin:.0f} % of the drive, start {100 * self.wrong:+.0f} % and "
                f"known to {100 * self.sigma:.0f} %, bias {100 * self.bias_c:+.0f} % C")


FAULTY = tuple(Case(begin, wrong, bias)
               for begin, wrong in ((0.0, -WRONG), (0.5, WRONG), (0.5, -WRONG))
               for bias in (BIAS_C, -BIAS_C))
"""A start 20 % wrong and a bias of 1 %; above full there is no wrong start."""
BIASED = tuple(Case(begin, 0.0, bias, SURE) for begin in (0.0, 0.5) for bias in (BIAS_C, -BIAS_C))
"""A right start that is known to be right, and a bias alone."""
UNBELIEVED = tuple(replace(case, sigma=UNSURE) for case in BIASED)
"""The same, but the filter is told that its right start may be 10 % off: so it believes voltages
more, and is as far off as curve and circuit are (counting keeps the truth that it was given)."""


def read(name: str) -> Record:
    """A record of the folder."""
    rows = np.loadtxt(FOLDER / name, delimiter=",", skiprows=1)
    return Record.of(rows[:, 0], rows[:, 1], rows[:, 2])


def drive(chemistry: str) -> Drive:
    """Of "NMC" or "LFP"."""
    record = read(f"{chemistry.lower()}_wltp.csv.gz")
    rest_v = float(record.voltage_v[0])
    model, capacity_ah = with_curve(cell_model(chemistry), read(f"{chemistry.lower()}_c20.csv.gz"),
                                    rest_v)
    soc = 1.0 - record.used_ah() / capacity_ah
    third = slice(0, soc.size // 3)
    model, left_v = with_circuit(model, record.part(third), soc[third], capacity_ah)
    return Drive(record, soc, capacity_ah, model, left_v)


def charge_errors(drive: Drive, cases: Sequence[Case], seed: int = 1
                  ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Root mean square error of the charge [%] of filter and of counting, float64[cases], from
    each case's beginning on."""
    record, count = drive.record, len(cases)
    noise = np.random.default_rng(seed).normal(0.0, NOISE_V, drive.soc.size)
    volts = (record.voltage_v + noise).astype(np.float32)
    bias_a = np.array([case.bias_c for case in cases]) * drive.capacity_ah
    begins = np.array([int(case.begin * drive.soc.size) for case in cases])
    wrong = np.array([case.wrong for case in cases])
    sigma = np.array([case.sigma for case in cases])
    cells = CellFilter([drive.model] * count, [1] * count, np.full(count, drive.capacity_ah))
    counted = np.full(count, np.nan)
    squares = np.zeros((2, count))
    step_s = np.diff(record.time_s, prepend=record.time_s[0])
    for row, soc in enumerate(drive.soc.tolist()):
        starts = np.where(begins == row, np.clip(soc + wrong, 0.0, 1.0), np.nan)
        current_a = GAIN * record.current_a[row] + bias_a
        if (begins == row).any():
            cells.begin(starts, sigma)
        counted = np.where(np.isfinite(starts), starts,
                           counted - current_a * step_s[row] / 3600.0 / drive.capacity_ah)
        cells.step(current_a, np.full(count, volts[row]), float(step_s[row]))
        for each, told in enumerate((cells.soc, counted)):
            squares[each] += np.where(begins <= row, (told - soc) ** 2, 0.0)
    filtered, alone = 100 * np.sqrt(squares / (drive.soc.size - begins))
    return filtered, alone


def ageing(path: Path = ONE_USE) -> Cells:
    """The cells of a file `cell,cycles or Ah,capacity_pct`."""
    rows = np.loadtxt(path, delimiter=",", skiprows=1)
    return [(mine[:, 1], mine[:, 2] / mine[0, 2])
            for mine in (rows[rows[:, 0] == cell] for cell in np.unique(rows[:, 0]))]


def added() -> list[Path]:
    """What somebody gave in the folder that ADDED names."""
    folder = os.environ.get(ADDED)
    return sorted(Path(folder).glob("*.csv")) if folder else []


def forecast_scores(cells: Cells) -> list[Score]:
    """Of each cell: its second half of life (until 80 %) foretold from its first."""
    return [score(*one) for one in _foretold(cells)]


def halves(used: Floats, capacity: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which points are of the first half of life, and which of the second, until END."""
    life = float(np.interp(-END, -np.minimum.accumulate(capacity), used))
    first = used <= life / 2
    return first, ~first & (capacity >= END)


def _foretold(cells: Cells) -> Iterator[tuple[Fade, Floats, Floats]]:
    """Of each cell that has points enough for a law in its first half of life, and any in its
    second: the fade of the first, use and capacity of the second."""
    for used, capacity in cells:
        first, later = halves(used, capacity)
        if first.sum() >= LEAST_POINTS and later.any():
            yield fit_fade(used[first], capacity[first]), used[later], capacity[later]


def rate_errors(cells: Cells) -> list[Floats]:
    """Of each cell: the least `core.twin.fade.RATE_ERROR` with which the interval of its forecast
    would hold each later point, float64[points]."""
    found = []
    for fade, cycles, capacity in _foretold(cells):
        value = fade.at(cycles).value
        to_come = np.abs(fade.at(np.array([fade.last_x])).value - value)
        beyond = ((capacity - value) / SIGMAS) ** 2 - fade.left**2
        found.append(np.sqrt(np.maximum(0.0, beyond)) / to_come)
    return found


def chosen(needed: Sequence[Floats]) -> float:
    """The least that holds 90 % of the points of these cells, to a hundredth."""
    least = np.quantile(np.concatenate(needed), 0.9, method="higher")
    return float(np.ceil(100.0 * least) / 100.0)


def inside(needed: Sequence[Floats], rate_error: float) -> float:
    """Share of the points of these cells that such an interval holds."""
    return float(np.mean(np.concatenate(needed) <= rate_error))


@dataclass(frozen=True, slots=True)
class Judged:
    """Shares of points inside of widths that other cells chose. halves: by every other number,
    either way round, as (rate_error, inside, points); random: of SPLITS splits in two halves,
    float64[SPLITS]."""

    halves: tuple[tuple[float, float, int], ...]
    random: Floats

    @property
    def inside(self) -> float:
        """Of all points, each judged by the half that its cell is not of."""
        points = sum(count for *_, count in self.halves)
        return sum(share * count for _, share, count in self.halves) / points


def judged(needed: Sequence[Floats], seed: int = 0) -> Judged:
    """needed: as of `rate_errors`."""
    rng, half = np.random.default_rng(seed), len(needed) // 2
    random = []
    for _ in range(SPLITS):
        order = rng.permutation(len(needed))
        random.append(_crossed([needed[cell] for cell in order[:half]],
                               [needed[cell] for cell in order[half:]])[1])
    even, odd = needed[0::2], needed[1::2]
    return Judged((_crossed(even, odd), _crossed(odd, even)), np.array(random))


def _crossed(chooses: Sequence[Floats], judges: Sequence[Floats]) -> tuple[float, float, int]:
    """What the first choose, the share of the others' points inside, and how many these are."""
    rate_error = chosen(chooses)
    return rate_error, inside(judges, rate_error), sum(cell.size for cell in judges)
