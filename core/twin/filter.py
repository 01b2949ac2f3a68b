"""Charge, resistance and lost current of every cell, estimated from one sample to the next.

An extended Kalman filter in closed form over all cells of all packs at once, float32 in place.
Three states a cell: its charge (0..1), its resistance as a multiple of the model's, and its leak,
the C-rate that flows and is not measured: a current sensor's bias, or a capacity that is not what
was said. The voltage is one scalar, so that the 3 x 3 algebra is written out and nothing is
inverted (Plett, J. Power Sources 134, 2004, 252-292, for cells as such).

The two RC pairs are no states: cells in series carry one current, so their shape is the pack's
and each cell's resistance scales it. What curve and circuit get wrong lasts for minutes; a filter
that takes it for noise anew each second believes a flat curve far too much and is worse than
counting. So the noise of a voltage is widened by the time over which errors stay alike, and where
the curve is flatter than its model allows no voltage corrects a charge.

Signs: law 1, + is discharging. Missing is NaN (law 4): without current or voltage nothing is
corrected and the variance grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import RequestError
from core.topology import FloatArray, IndexArray
from core.twin.fused import FUSE_FROM, Kernel, kernel
from core.twin.grid import (
    HIGHEST,
    HIGHEST_V,
    LEAK,
    LL,
    LOWEST,
    LOWEST_V,
    MOST_OFF_V,
    NEAR,
    PER_SOC,
    PER_V,
    POINTS,
    RESISTANCE,
    RL,
    RR,
    SL,
    SOC,
    SR,
    SS,
)
from core.twin.models import CellModel, Floats

BLOCK = 8192
"""Cells worked on at once: what is between lies in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the filter expects. start_...: standard deviations at the start, of a charge that a
    voltage has told at least, of the resistance (a share), of the leak (C-rate).
    soc_walk: of the counted charge in an hour. resistance_walk: in an hour. leak_walk: C-rate in
    an hour. unknown_c: C-rate that may flow unseen. gap_s: a longer step is a gap."""

    start_soc: float = 0.05
    start_resistance: float = 0.5
    start_leak: float = 0.01
    soc_walk: float = 0.003
    resistance_walk: float = 0.1
    leak_walk: float = 0.002
    unknown_c: float = 0.5
    gap_s: float = 60.0


class CellFilter:
    """The cells of packs in a row, those of one pack contiguous."""

    def __init__(self, models: Sequence[CellModel], counts: Sequence[int],
                 capacity_ah: ArrayLike, tuning: Tuning | None = None,
                 loop: Kernel | None = None) -> None:
        """models, counts: of each pack, counts its cells. capacity_ah: float[cells], what each
        holds. loop: instead of the way that fits the number of cells. Raises RequestError where
        they do not fit together."""
        self.capacity_ah = np.array(capacity_ah, dtype=np.float32)
        self._check(models, counts)
        self._per_ah = np.float32(1.0) / self.capacity_ah
        self._tuning = tuning or Tuning()
        self._packs = _Packs(models, counts, self.capacity_ah)
        cells = self.capacity_ah.size
        self.pack_of: IndexArray = np.repeat(np.arange(len(models)), counts)
        self._state = np.zeros((3, cells), np.float32)
        self._state[SOC] = np.nan
        self._state[RESISTANCE] = 1.0
        self._variance = np.zeros((6, cells), np.float32)
        self._variance[RR] = self._tuning.start_resistance**2
        self._variance[LL] = self._tuning.start_leak**2
        self.residual_v: FloatArray = np.full(cells, np.nan, np.float32)
        self._unset = cells
        self._scratch = _Scratch(min(cells, BLOCK))
        self._fused = loop or (kernel() if cells >= FUSE_FROM else None)

    def _check(self, models: Sequence[CellModel], counts: Sequence[int]) -> None:
        if not models or len(models) != len(counts) or min(counts) < 1:
            raise RequestError("a filter needs packs of at least one cell, each with its model")
        if self.capacity_ah.shape != (sum(counts),) or not np.all(self.capacity_ah > 0) \
                or not np.isfinite(self.capacity_ah).all():
            raise RequestError(f"a filter needs {sum(counts)} capacities in Ah above 0")

    # -- what it knows: float32[cells], NaN where nothing was ever known

    @property
    def soc(self) -> FloatArray:
        """Charge, 0..1."""
        return np.asarray(np.clip(self._state[SOC], 0.0, 1.0))

    @property
    def soc_sigma(self) -> FloatArray:
        """Standard deviation of the charge."""
        return np.where(np.isnan(self._state[SOC]), np.float32(np.nan),
                        np.sqrt(self._variance[SS]))

    @property
    def resistance(self) -> FloatArray:
        """As a multiple of the model's."""
        return np.array(self._state[RESISTANCE])

    @property
    def resistance_sigma(self) -> FloatArray:
        return np.asarray(np.sqrt(self._variance[RR]))

    @property
    def leak_c(self) -> FloatArray:
        """C-rate that flows and is not measured, + discharging."""
        return np.array(self._state[LEAK])

    @property
    def leak_sigma_c(self) -> FloatArray:
        return np.asarray(np.sqrt(self._variance[LL]))

    def begin(self, soc: ArrayLike, sigma: ArrayLike) -> None:
        """Set charges (0..1, NaN = as it is) and their standard deviations, float[cells] or one
        for all: what another device says, or what was kept."""
        told = np.broadcast_to(np.asarray(soc, np.float32), self._state[SOC].shape)
        deviation = np.broadcast_to(np.asarray(sigma, np.float32), told.shape)
        known = np.isfinite(told)
        self._state[SOC, known] = np.clip(told[known], 0.0, 1.0)
        self._variance[SS, known] = deviation[known] ** 2
        self._variance[SR, known] = self._variance[SL, known] = 0.0
        self._unset = int(np.isnan(self._state[SOC]).sum())

    def go_on(self, before: CellFilter, packs: ArrayLike) -> None:
        """With all that `before` knew of `packs`, int[any], which stand at the same places in both.
        Raises RequestError where one has another number of cells there."""
        rows = np.asarray(packs, np.int64)
        mine, theirs = np.isin(self.pack_of, rows), np.isin(before.pack_of, rows)
        if not np.array_equal(self.pack_of[mine], before.pack_of[theirs]):
            raise RequestError("a pack goes on with as many cells as it had")
        self._state[:, mine] = before._state[:, theirs]
        self._variance[:, mine] = before._variance[:, theirs]
        self.residual_v[mine] = before.residual_v[theirs]
        self._packs.go_on(before._packs, rows)
        self._unset = int(np.isnan(self._state[SOC]).sum())

    def set_capacity(self, capacity_ah: ArrayLike) -> None:
        """What cells hold, as their health was found: float[cells] [Ah], NaN = as it is. Raises
        RequestError for a capacity that is none."""
        told = np.asarray(capacity_ah, np.float32)
        if told.shape != self.capacity_ah.shape or (told <= 0).any() or np.isinf(told).any():
            raise RequestError(f"a filter needs {self.capacity_ah.size} capacities in Ah above 0")
        self.capacity_ah = np.where(np.isnan(told), self.capacity_ah, told)
        self._per_ah = np.float32(1.0) / self.capacity_ah

    # -- one sample

    def step(self, current_a: ArrayLike, voltage_v: ArrayLike, dt_s: float,
             temperature_c: ArrayLike | None = None) -> None:
        """One sample, `dt_s` after the one before: current [A] and temperature [°C], float[packs],
        and voltage [V], float[cells]. A clock that jumped back adds no time. Raises RequestError
        for columns of another length."""
        current = np.array(current_a, dtype=np.float64)
        volts = np.asarray(voltage_v, np.float32)
        if current.shape != (len(self._packs.rated_ah),) or volts.shape != self._state[SOC].shape:
            raise RequestError(f"a sample has {len(self._packs.rated_ah)} currents and "
                               f"{self._state.shape[1]} voltages")
        elapsed_s = dt_s if np.isfinite(dt_s) and dt_s > 0 else 0.0
        self._packs.carry(current, elapsed_s, temperature_c, self._tuning)
        if self._unset:
            self._start(volts)
        hours = np.float32(elapsed_s / 3600.0)
        if self._fused is not None:
            self._fused(*self._arrays(volts, hours))
            return
        volts = np.where(np.isinf(volts), np.float32(np.nan), volts)
        for first in range(0, volts.size, BLOCK):
            block = slice(first, min(first + BLOCK, volts.size))
            self._step_block(block, volts[block], hours)

    def _arrays(self, volts: FloatArray, hours: np.float32) -> tuple[object, ...]:
        """What `core.twin.fused.fused` works on."""
        packs, tuning = self._packs, self._tuning
        columns = np.stack([packs.used_ah, packs.walk, packs.drop_v, packs.noise,
                            packs.charge_noise, packs.alike, packs.surprise_v,
                            packs.least_slope_v])
        return (self._state, self._variance, volts, self.residual_v, self._per_ah,
                packs.firsts, packs.table_at, packs.ocv_v, packs.slope_v, packs.soc_at, columns,
                hours, np.float32(tuning.resistance_walk**2) * hours,
                np.float32(tuning.leak_walk**2) * hours)

    def _start(self, volts: FloatArray) -> None:
        """Of cells whose charge nobody told: what their voltage says, with what that is worth, as
        soon as voltage and current are known."""
        packs, state = self._packs, self._state[SOC]
        unset = np.isnan(state) & np.isfinite(packs.noise)[self.pack_of] & np.isfinite(volts)
        rest_v = volts + packs.drop_v[self.pack_of]
        for model, mine in packs.by_model():
            cells = np.flatnonzero(unset & mine[self.pack_of])
            low, high = model.ocv_v(0.0), model.ocv_v(1.0)
            told = model.soc_of(np.clip(rest_v[cells], low, high))
            worth = model.voltage_error_v / np.maximum(model.slope_v(told), 0.02)
            state[cells] = told
            self._variance[SS, cells] = np.clip(worth, self._tuning.start_soc, 0.3) ** 2
        self._unset = int(np.isnan(state).sum())

    def _step_block(self, block: slice, volts: FloatArray, hours: np.float32) -> None:
        scratch, packs = self._scratch, self._packs
        state, variance = self._state[:, block], self._variance[:, block]
        pack_of = self.pack_of[block]
        rows = scratch.rows(volts.size)
        index = scratch.index[:volts.size]
        np.take(packs.used_ah, pack_of, out=rows[0], mode="clip")
        np.take(packs.walk, pack_of, out=rows[1], mode="clip")
        self._predict(state, variance, self._per_ah[block], rows, hours)
        np.take(packs.drop_v, pack_of, out=rows[2], mode="clip")
        self._see(state, volts, pack_of, rows, index, self.residual_v[block])
        self._weigh(pack_of, rows, self.residual_v[block])
        self._correct(state, variance, rows, self.residual_v[block])
        _bound(state, variance)

    def _predict(self, state: FloatArray, variance: FloatArray, per_ah: FloatArray,
                 rows: Sequence[FloatArray], hours: np.float32) -> None:
        """Count what flowed. rows: [0] charge taken [Ah], [1] variance added to the charge."""
        used, walk, work = rows[0], rows[1], rows[2]
        np.multiply(used, per_ah, out=used)
        np.subtract(state[SOC], used, out=state[SOC])
        np.multiply(state[LEAK], hours, out=work)
        np.subtract(state[SOC], work, out=state[SOC])
        np.multiply(variance[LL], hours, out=work)
        np.add(variance[SS], walk, out=variance[SS])
        np.subtract(work, variance[SL], out=walk)
        np.subtract(walk, variance[SL], out=walk)
        np.multiply(walk, hours, out=walk)
        np.add(variance[SS], walk, out=variance[SS])
        np.subtract(variance[SL], work, out=variance[SL])
        np.multiply(variance[RL], hours, out=work)
        np.subtract(variance[SR], work, out=variance[SR])
        variance[RR] += np.float32(self._tuning.resistance_walk**2) * hours
        variance[LL] += np.float32(self._tuning.leak_walk**2) * hours

    def _see(self, state: FloatArray, volts: FloatArray, pack_of: IndexArray,
             rows: Sequence[FloatArray], index: IndexArray, residual: FloatArray) -> None:
        """What the voltage says against what was expected. rows: in [2] the drop d; out [0] the
        charge that the voltage tells less the expected one, [1] the slope at the expected one,
        [3] at the told one."""
        away, slope, drop, told, work = rows[0], rows[1], rows[2], rows[3], rows[4]
        packs, soc = self._packs, state[SOC]
        self._place(soc, LOWEST, PER_SOC, pack_of, index, work)
        np.take(packs.slope_v, index, out=slope, mode="clip")
        np.take(packs.ocv_v, index, out=work, mode="clip")
        np.multiply(state[RESISTANCE], drop, out=told)
        np.add(told, volts, out=told)
        np.subtract(told, work, out=residual)
        self._place(told, LOWEST_V, PER_V, pack_of, index, work)
        np.take(packs.soc_at, index, out=told, mode="clip")
        np.subtract(told, soc, out=away)
        self._place(told, LOWEST, PER_SOC, pack_of, index, work)
        np.take(packs.slope_v, index, out=told, mode="clip")

    def _place(self, values: FloatArray, lowest: float, per: float, pack_of: IndexArray,
               index: IndexArray, work: FloatArray) -> None:
        """Where values stand in a table of their cell's model; NaN stands at its beginning."""
        np.subtract(values, np.float32(lowest), out=work)
        np.multiply(work, np.float32(per), out=work)
        np.fmax(work, np.float32(0.0), out=work)
        np.fmin(work, np.float32(POINTS - 1), out=work)
        np.copyto(index, work, casting="unsafe")
        if len(self._packs.models) > 1:
            index += self._packs.table_at[pack_of]

    def _weigh(self, pack_of: IndexArray, rows: Sequence[FloatArray],
               residual: FloatArray) -> None:
        """Slope h to correct by into rows[1] and noise into rows[3], infinite where the voltage
        says nothing. Of as many as are alike one counts, but where the voltage surprises and tells
        another charge: there h is the secant between both, the noise is that of one voltage, and
        what widens it where the charge is not known worse than that goes into rows[5]."""
        away, slope, told, work, limit = rows[0], rows[1], rows[3], rows[4], rows[5]
        packs = self._packs
        np.abs(residual, out=work)
        useful = work < MOST_OFF_V
        useful &= away == away  # not of a cell whose charge nobody knows
        np.take(packs.surprise_v, pack_of, out=limit, mode="clip")
        surprised = work > limit
        np.copyto(told, slope, where=~surprised)
        np.take(packs.least_slope_v, pack_of, out=limit, mode="clip")
        steep = told >= limit
        steep |= slope >= limit
        useful &= steep
        np.abs(away, out=work)
        surprised &= work > NEAR
        np.divide(residual, away, out=slope, where=surprised)
        np.maximum(told, slope, out=told)
        np.multiply(told, told, out=told)
        np.take(packs.charge_noise, pack_of, out=limit, mode="clip")
        np.multiply(told, limit, out=told)
        np.take(packs.noise, pack_of, out=limit, mode="clip")
        np.add(told, limit, out=told)
        np.take(packs.alike, pack_of, out=limit, mode="clip")
        np.logical_not(surprised, out=steep)
        np.multiply(told, limit, out=told, where=steep)
        np.copyto(limit, np.float32(1.0), where=steep)
        told[~useful] = np.inf

    def _correct(self, state: FloatArray, variance: FloatArray, rows: Sequence[FloatArray],
                 residual: FloatArray) -> None:
        """Scalar update of three states. rows: [1] h, [2] d, [3] noise, [5] by what it is widened
        where the charge is not known worse than one voltage tells it. H = (h, -d, 0); gain g / s
        with g = P H, s = H P H + noise."""
        product, h, d, s, gs, alike, gr, gl, work = rows
        _against(variance[SS], h, variance[SR], d, gs, work)
        _against(variance[SR], h, variance[RR], d, gr, work)
        _against(variance[SL], h, variance[RL], d, gl, work)
        _against(gs, h, gr, d, product, work)
        np.maximum(product, np.float32(0.0), out=product)
        np.multiply(s, alike, out=s, where=product < s)
        np.add(s, product, out=s)
        np.divide(np.float32(1.0), s, out=s)
        np.multiply(residual, s, out=work)
        np.copyto(work, np.float32(0.0), where=s == 0.0)
        for row, gain in ((SOC, gs), (RESISTANCE, gr), (LEAK, gl)):
            np.multiply(gain, work, out=product)
            np.add(state[row], product, out=state[row])
        for row, one, other in ((SS, gs, gs), (SR, gs, gr), (SL, gs, gl), (RR, gr, gr),
                                (RL, gr, gl), (LL, gl, gl)):
            np.multiply(one, other, out=product)
            np.multiply(product, s, out=product)
            np.subtract(variance[row], product, out=variance[row])


def _against(first: FloatArray, h: FloatArray, second: FloatArray, d: FloatArray,
             out: FloatArray, work: FloatArray) -> None:
    """out = first h - second d."""
    np.multiply(first, h, out=out)
    np.multiply(second, d, out=work)
    np.subtract(out, work, out=out)


def _bound(state: FloatArray, variance: FloatArray) -> None:
    """Keep what float32 and bad samples would carry away."""
    np.clip(state[SOC], LOWEST, HIGHEST, out=state[SOC])
    np.clip(state[RESISTANCE], 0.1, 10.0, out=state[RESISTANCE])
    np.clip(state[LEAK], -0.1, 0.1, out=state[LEAK])
    np.clip(variance[SS], 1e-8, 0.25, out=variance[SS])
    np.clip(variance[RR], 1e-6, 4.0, out=variance[RR])
    np.clip(variance[LL], 1e-10, 1e-2, out=variance[LL])


class _Scratch:
    """What is between, of one block."""

    def __init__(self, cells: int) -> None:
        self._rows = np.empty((9, cells), np.float32)
        self.index: IndexArray = np.empty(cells, np.int64)

    def rows(self, cells: int) -> list[FloatArray]:
        return list(self._rows[:, :cells])


def _joined(tables: Iterable[Floats]) -> FloatArray:
    return np.concatenate(list(tables)).astype(np.float32)


class _Packs:
    """What cells of one pack share: their current, the shape of the drop, what a voltage is worth.

    int64[packs + 1]: firsts, cells at which they begin. float32[packs]: used_ah taken since the
    sample before; walk, variance added to the charge; drop_v lost at a resistance of 1 [V]; noise,
    variance of one voltage [V^2], infinite where the current is unknown; charge_noise, variance of
    the charge that it tells; alike, of how many samples one counts; surprise_v, more than model
    and circuit get wrong [V]; least_slope_v. Tables of all models, one after the other,
    float32[models * POINTS]: ocv_v and slope_v over charge, soc_at over voltage."""

    def __init__(self, models: Sequence[CellModel], counts: Sequence[int],
                 capacity_ah: FloatArray) -> None:
        self.models = list(dict.fromkeys(models))
        self._model_of = np.array([self.models.index(model) for model in models])
        self.firsts: IndexArray = np.concatenate([[0], np.cumsum(counts)])
        self.rated_ah = np.add.reduceat(capacity_ah, self.firsts[:-1]) / np.asarray(counts)
        self._ohmic_v = self._each(lambda model: model.ohmic_1c_v)
        pairs = np.array([model.pairs for model in self.models])[self._model_of]
        self._pair_v = pairs[:, :, 0].T * self._each(lambda model: model.drop_1c_v)
        self._pair_s = pairs[:, :, 1].T
        self._error_v = self._each(lambda model: model.voltage_error_v)
        self._drop_error = self._each(lambda model: model.drop_error)
        self.charge_noise = self._each(lambda model: model.charge_error**2).astype(np.float32)
        self._lasts_s = self._each(lambda model: model.error_lasts_s)
        self.least_slope_v = self._each(lambda model: model.least_slope_v).astype(np.float32)
        self._tabulate()
        self.table_at: IndexArray = self._model_of * POINTS
        packs = len(models)
        self._response = np.zeros((2, packs))
        self._lost = np.ones(packs)
        self.drop_v = np.zeros(packs, np.float32)
        self.noise = np.zeros(packs, np.float32)
        self.alike = np.zeros(packs, np.float32)
        self.surprise_v = np.zeros(packs, np.float32)
        self.used_ah = np.zeros(packs, np.float32)
        self.walk = np.zeros(packs, np.float32)

    def _tabulate(self) -> None:
        grid, volts = np.linspace(LOWEST, HIGHEST, POINTS), np.linspace(LOWEST_V, HIGHEST_V, POINTS)
        self.ocv_v = _joined(model.ocv_v(grid) for model in self.models)
        self.slope_v = _joined(model.slope_v(grid) for model in self.models)
        self.soc_at = _joined(np.interp(volts, model.ocv_v(grid), grid) for model in self.models)

    def _each(self, of: Callable[[CellModel], float]) -> Floats:
        """float64[packs]"""
        return np.asarray(np.array([of(model) for model in self.models])[self._model_of])

    def by_model(self) -> Iterator[tuple[CellModel, NDArray[np.bool_]]]:
        """Each model and which packs are of it, bool[packs]."""
        for number, model in enumerate(self.models):
            yield model, self._model_of == number

    def go_on(self, before: _Packs, packs: IndexArray) -> None:
        """What flows in them, and for how long that was not known."""
        self._response[:, packs] = before._response[:, packs]
        self._lost[packs] = before._lost[packs]

    def carry(self, current_a: Floats, dt_s: float, temperature_c: ArrayLike | None,
              tuning: Tuning) -> None:
        """One sample later."""
        known = np.isfinite(current_a)
        rate = np.where(known, current_a, 0.0) / self.rated_ah
        gap = dt_s > tuning.gap_s
        decay = np.exp(-dt_s / self._pair_s)
        self._response = self._response * decay + (0.0 if gap else rate * (1.0 - decay))
        self._lost = np.where(known & (not gap), self._lost * decay[1], 1.0)
        ohmic, pair = self._warm(temperature_c)
        drop = ohmic * self._ohmic_v * rate + pair * (self._pair_v * self._response).sum(axis=0)
        unsure_v = self._lost * tuning.unknown_c * 0.5 * self._pair_v.sum(axis=0)
        # Of N samples within which an error stays alike, one counts.
        alike = np.maximum(1.0, 2.0 * self._lasts_s / (dt_s if dt_s > 0 else 1.0))
        error = self._error_v**2 + (self._drop_error * drop) ** 2 + unsure_v**2
        self.drop_v = drop.astype(np.float32)
        self.noise = np.where(known, error, np.inf).astype(np.float32)
        self.alike = alike.astype(np.float32)
        self.surprise_v = (3.0 * np.sqrt(error)).astype(np.float32)
        hours = dt_s / 3600.0
        self.used_ah = np.where(gap, 0.0, rate * self.rated_ah * hours).astype(np.float32)
        unseen = np.where(known & (not gap), 0.0, (tuning.unknown_c * hours) ** 2)
        self.walk = (tuning.soc_walk**2 * hours + unseen).astype(np.float32)

    def _warm(self, temperature_c: ArrayLike | None) -> tuple[Floats, Floats]:
        """Factors on the resistances, float64[packs]."""
        ohmic, pair = np.ones(self.rated_ah.size), np.ones(self.rated_ah.size)
        if temperature_c is None:
            return ohmic, pair
        warm = np.broadcast_to(np.asarray(temperature_c, np.float64), ohmic.shape)
        for model, mine in self.by_model():
            ohmic[mine], pair[mine] = model.warmth(warm[mine])
        return ohmic, pair
