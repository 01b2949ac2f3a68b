"""The heat that electrodes give or take by their own entropy, beside PyBaMM's own lumped thermal
model of the same cell: LCO (Ai2020), the one set that tells it, an hour at C/2 each way."""

from __future__ import annotations

import numpy as np
import pybamm

from core.twin.tasks import WindowPack, WindowTask, column, floats, new_id
from services.twin.physics import ABS_ZERO_C, START, Warmth, parameters_of, window_of
from services.twin.window import TEMPERATURE_C, solve_window

TIME_S = 60.0 * np.arange(61)
WAYS = {"discharge": (0.5, 0.9), "charge": (-0.5, 0.3)}
"""C-rate, and the charge that it begins at."""
Way = dict[str, list[float]]


def beside() -> dict[str, dict[str, Way]]:
    """Of each way and of both: reversible heat [W] and temperature [°C] over the hour."""
    return {name: {"pybamm": _pybamm(rate, soc), "ours": _ours(rate, soc)}
            for name, (rate, soc) in WAYS.items()}


def _pybamm(rate: float, soc: float) -> Way:
    values, kelvin = parameters_of("LCO"), TEMPERATURE_C - ABS_ZERO_C
    window = window_of(values)
    values.update({"Current function [A]": rate * window.capacity_ah,
                   **dict(zip(START, window.concentrations(soc), strict=True)),
                   "Ambient temperature [K]": kelvin, "Initial temperature [K]": kelvin})
    model = pybamm.lithium_ion.SPM({"thermal": "lumped"})
    solved = pybamm.Simulation(model, parameter_values=values, solver=pybamm.IDAKLUSolver(
        rtol=1e-6, atol=1e-8)).solve([0.0, TIME_S[-1]], t_interp=TIME_S)
    warm_k = np.asarray(solved["Volume-averaged cell temperature [K]"].data)
    return {"reversible_w": np.asarray(solved["Reversible heating [W]"].data).tolist(),
            "temperature_c": (warm_k + ABS_ZERO_C).tolist()}


def _ours(rate: float, soc: float) -> Way:
    values = parameters_of("LCO")
    capacity_ah, nothing = window_of(values).capacity_ah, np.zeros(TIME_S.size)
    amperes = nothing + rate * capacity_ah
    pack = WindowPack(pack="one", capacity_ah=capacity_ah, soc=soc, current_a=column(amperes),
                      voltage_v=column(nothing * np.nan))
    (told,) = solve_window(WindowTask(
        id=new_id(), chemistry="LCO", time_s=0.0, packs=(pack,), step_s=60.0, horizon_s=0.0),
        lambda _share, _words: None).answers
    assert not told.failed, told.failed
    states = {name: floats(column_).astype(float) for name, column_ in told.states.items()}
    reversible_w = Warmth.of(values).heat_w(
        amperes, nothing, states["negative_surface"], states["positive_surface"],
        TEMPERATURE_C - ABS_ZERO_C)
    return {"reversible_w": reversible_w.tolist(),
            "temperature_c": states["temperature_c"].tolist()}
