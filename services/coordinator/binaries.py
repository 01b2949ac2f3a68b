"""What the programme's convex form cannot forbid: a pack that charges and discharges at once (pays
where energy costs less than nothing), import and export at once (where export earns more than
import costs). Found in an answer, forbidden only there: by a mixed-integer programme (HiGHS, less
the calm of plans) where prices make it pay; or, where time does not do for that and where losses
would only hide that a limit is passed, the way that each already goes on balance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, vstack

from core.coordinator.problem import Floats
from services.coordinator.build import MARGIN, Places, Program

NOTICED_KW = 1e-3
MOST_CHOICES = 400
"""With more of them at once no mixed-integer programme is tried."""
GAP = 1e-3
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Conflicts:
    """Pairs of flows of which one at most may be. Each flow is the sum of one or more variables:
    first, second: their columns; of_first, of_second: the pair of each, 0..count - 1. priced:
    whether a price makes any of them pay."""

    first: Places
    of_first: Places
    second: Places
    of_second: Places
    count: int
    priced: bool

    def together(self, other: Conflicts) -> Conflicts:
        """Both, those of `other` after mine."""
        join = np.concatenate
        return Conflicts(join((self.first, other.first)),
                         join((self.of_first, other.of_first + self.count)),
                         join((self.second, other.second)),
                         join((self.of_second, other.of_second + self.count)),
                         self.count + other.count, self.priced or other.priced)


def conflicts(program: Program, x: Floats) -> Conflicts:
    """Those of an answer x; the flows of a pair in it are both more than a rounding."""
    at = program.pattern.at
    packs = np.minimum(x[at.charge], x[at.discharge]) > NOTICED_KW
    bought, sold = x[at.bought] + x[at.bought_over], x[at.sold] + x[at.sold_over]
    grid = np.minimum(bought, sold) > NOTICED_KW
    pays = program.linear[at.bought] + program.linear[at.sold] < 0.0
    steps = np.flatnonzero(grid & pays)
    pairs, lines = np.arange(int(packs.sum())), np.arange(steps.size)
    burns = packs.any(axis=1) & (program.linear[at.bought] < 0.0)
    mine = Conflicts(at.charge[packs], pairs, at.discharge[packs], pairs, pairs.size,
                     bool(burns.any()))
    grids = Conflicts(np.concatenate((at.bought[steps], at.bought_over[steps])), np.tile(lines, 2),
                      np.concatenate((at.sold[steps], at.sold_over[steps])), np.tile(lines, 2),
                      steps.size, steps.size > 0)
    return mine.together(grids)


def chosen(program: Program, pairs: Conflicts, x: Floats, limit_s: float) -> Flags:
    """Which flow of each pair stays, True = the first: by HiGHS within limit_s [s], or by what is
    more in x."""
    if pairs.priced and pairs.count <= MOST_CHOICES and limit_s > 0:
        found = _optimal(program, pairs, limit_s)
        if found is not None:
            return found
    return (np.bincount(pairs.of_first, x[pairs.first], pairs.count)
            >= np.bincount(pairs.of_second, x[pairs.second], pairs.count))


def without(program: Program, pairs: Conflicts, first_stays: Flags) -> Program:
    """The programme in which the other flow of each pair is nothing."""
    high = program.high.copy()
    high[pairs.second[first_stays[pairs.of_second]]] = MARGIN
    high[pairs.first[~first_stays[pairs.of_first]]] = MARGIN
    return replace(program, high=high)


def _optimal(program: Program, pairs: Conflicts, limit_s: float) -> Flags | None:
    """By HiGHS; None where it finds nothing in time."""
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    for option, value in (("output_flag", False), ("threads", 1), ("mip_rel_gap", GAP),
                          ("time_limit", limit_s)):
        solver.setOptionValue(option, value)
    solver.passModel(_mixed(program, pairs))
    solver.run()
    if solver.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return None
    values = np.asarray(solver.getSolution().col_value)
    first: Flags = values[program.pattern.at.count:] > 0.5
    return first


def _mixed(program: Program, pairs: Conflicts) -> highspy.HighsLp:
    """The linear programme with a choice z for each pair: first <= reach z, second <= reach
    (1 - z)."""
    at, infinite = program.pattern.at, highspy.kHighsInf
    choices = np.arange(pairs.count)
    reach = [np.bincount(of, program.high[columns], pairs.count)
             for columns, of in ((pairs.first, pairs.of_first), (pairs.second, pairs.of_second))]
    rows = np.concatenate((pairs.of_first, choices, pairs.count + pairs.of_second,
                           pairs.count + choices))
    columns = np.concatenate((pairs.first, at.count + choices, pairs.second, at.count + choices))
    values = np.concatenate((np.ones(pairs.first.size), -reach[0], np.ones(pairs.second.size),
                             reach[1]))
    width = at.count + pairs.count
    blocks = [_widened(program.equal, width)]
    low, high = [program.equals], [program.equals]
    if program.pattern.limits is not None and program.least is not None:
        blocks.append(_widened(program.pattern.limits, width))
        low.append(program.least)
        high.append(np.full(program.least.size, infinite))
    blocks.append(csc_matrix((values, (rows, columns)), shape=(2 * pairs.count, width)))
    low.append(np.full(2 * pairs.count, -infinite))
    high.append(np.concatenate((np.zeros(pairs.count), reach[1])))
    return _model(program, vstack(blocks, format="csc"), np.concatenate(low), np.concatenate(high))


def _model(program: Program, matrix: csc_matrix, low: Floats, high: Floats) -> highspy.HighsLp:
    choices = matrix.shape[1] - program.pattern.at.count
    model = highspy.HighsLp()
    model.num_row_, model.num_col_ = matrix.shape
    model.col_cost_ = np.concatenate((program.linear, np.zeros(choices)))
    model.col_lower_ = np.concatenate((program.low, np.zeros(choices)))
    model.col_upper_ = np.concatenate((program.high, np.ones(choices)))
    model.row_lower_, model.row_upper_ = low, high
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = matrix.indptr
    model.a_matrix_.index_ = matrix.indices
    model.a_matrix_.value_ = matrix.data
    kinds = highspy.HighsVarType
    model.integrality_ = ([kinds.kContinuous] * program.pattern.at.count
                          + [kinds.kInteger] * choices)
    return model


def _widened(matrix: csc_matrix, width: int) -> csc_matrix:
    """With empty columns behind."""
    indptr = np.concatenate((matrix.indptr, np.full(width - matrix.shape[1], matrix.nnz)))
    return csc_matrix((matrix.data, matrix.indices, indptr), shape=(matrix.shape[0], width))
