"""BPX parameter files (JSON, https://bpxstandard.com), read as what a stranger wrote: `bpx` runs
the formulas in them as Python, so that each is looked through before.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

import numpy as np
import pybamm

from core.errors import RequestError
from core.twin.tasks import MOST_BPX, FileResult, FileTask
from services.twin.frames import Tell
from services.twin.physics import CONTACT, Warmth, Window, window_of

DEEPEST = 12
MOST_FORMULA = 4000
MOST_TABLE = 10_000
"""Points of one table."""
PLAUSIBLE_V, PLAUSIBLE_AH = (0.5, 6.0), (1e-4, 1e5)
NAMES = frozenset({"x", "exp", "tanh", "cosh"})
"""That a formula may hold, as BPX says."""
_NAME = re.compile(r"[A-Za-z_]\w*")
_FORMULA = re.compile(r"[\w\s.+\-*/()]+\Z")
_NUMBER = re.compile(r"(?<![A-Za-z_])(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
TRIED_S = 60.0


def parameters_of_bpx(text: str) -> pybamm.ParameterValues:
    """Raises RequestError for what is no BPX file, or none that can be trusted."""
    told = _json(text)
    parts = told.get("Parameterisation") if isinstance(told, dict) else None
    if not isinstance(parts, dict):
        raise RequestError("this is no BPX file: it has no part \"Parameterisation\"")
    _look_through(parts, "Parameterisation", 0)
    try:
        values = pybamm.ParameterValues.create_from_bpx_obj(told)
    except ImportError as error:
        raise RequestError("BPX files need the package bpx; `pip install -r requirements.txt` "
                           "installs it") from error
    except Exception as error:  # noqa: BLE001 - the parser throws what it likes at a bad file
        raise RequestError(f"this is no BPX file that PyBaMM can read: {_words(error)}"
                           ) from error
    if CONTACT not in values:
        values.update({CONTACT: 0.0}, check_already_exists=False)
    return values


def examine(task: FileTask, tell: Tell) -> FileResult:
    """A file that counts has a window of charge, and a cell that lives a minute. Raises
    RequestError."""
    tell(0.1, "reads the file")
    values = parameters_of_bpx(task.text)
    window = _window(values)
    tell(0.5, "tries its cell")
    _try(values, window)
    header = json.loads(task.text).get("Header")
    title = header.get("Title") if isinstance(header, dict) else None
    return FileResult(id=task.id, kind="bpx", title=str(title or "")[:200], low_v=window.low_v,
                      high_v=window.high_v, capacity_ah=window.capacity_ah)


def _json(text: str) -> Any:
    """Strictly: no NaN, no key twice."""
    if len(text) > MOST_BPX:
        raise RequestError(f"the file is longer than {MOST_BPX // 1024} KiB")
    try:
        return json.loads(text.removeprefix("\ufeff"), parse_constant=_no_number,
                          object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"this is no JSON: {str(error)[:150]}") from error


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object names a key twice")
    return found


def _look_through(told: Any, where: str, depth: int) -> None:
    """Raises RequestError for what no parameter of a cell is."""
    if depth > DEEPEST:
        raise RequestError(f"{where[:80]} is nested too deep")
    if isinstance(told, dict):
        for name, value in told.items():
            _look_through(value, name, depth + 1)
    elif isinstance(told, list):
        if len(told) > MOST_TABLE:
            raise RequestError(f"{where[:80]} has more than {MOST_TABLE} points")
        for value in told:
            _look_through(value, where, depth + 1)
    elif isinstance(told, str):
        _check_formula(told, where)
    elif isinstance(told, float) and not math.isfinite(told):
        raise RequestError(f"{where[:80]} is not finite")


def _check_formula(told: str, where: str) -> None:
    names = set(_NAME.findall(_NUMBER.sub(" ", told)))
    if len(told) > MOST_FORMULA or not _FORMULA.match(told) or not names <= NAMES:
        raise RequestError(f"{where[:80]} holds a formula that BPX does not know: "
                           f"{told[:60]!r}; it is made of numbers, x, exp, tanh, cosh and + - * / "
                           "**")


def _window(values: pybamm.ParameterValues) -> Window:
    try:
        window = window_of(values)
    except RequestError:
        raise
    except Exception as error:  # noqa: BLE001 - a formula may divide by zero, a parameter be lost
        raise RequestError(f"its cell has no window of charge: {_words(error)}") from error
    low, high = PLAUSIBLE_V
    least, most = PLAUSIBLE_AH
    if not low <= window.low_v < window.high_v <= high or \
            not least <= window.capacity_ah <= most or not np.isfinite(window.ocv_v).all():
        raise RequestError(f"{window.low_v:g} to {window.high_v:g} V and {window.capacity_ah:g} Ah "
                           "are no cell's")
    return window


def _try(values: pybamm.ParameterValues, window: Window) -> None:
    """One minute from the middle at C/5."""
    values = values.copy()
    start = window.concentrations(0.5)
    values.update({"Initial concentration in negative electrode [mol.m-3]": start[0],
                   "Initial concentration in positive electrode [mol.m-3]": start[1],
                   "Current function [A]": window.capacity_ah / 5.0})
    try:
        Warmth.of(values)
        solved = pybamm.Simulation(pybamm.lithium_ion.SPMe(), parameter_values=values,
                                   solver=pybamm.IDAKLUSolver()).solve([0.0, TRIED_S])
        volts = np.asarray(solved["Voltage [V]"].data)
    except Exception as error:  # noqa: BLE001 - whatever a solver throws at such numbers
        raise RequestError(f"its cell does not live a minute: {_words(error)}") from error
    if not np.isfinite(volts).all():
        raise RequestError("its cell has no voltage after a minute")


def _words(error: Exception) -> str:
    told = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {told}" if told else type(error).__name__
