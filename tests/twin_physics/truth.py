"""A cell's record whose parameters are known.

Simulated: PyBaMM's SPMe with OKane2022, less active material and a resistance of contacts, with
2 mV of noise; and what a new cell would have shown.
"""

from __future__ import annotations

import numpy as np
import pybamm

from services.twin.physics import parameters_of, window_of

TRUE = {"negative_active": 0.92, "positive_active": 0.95, "contact_ohm": 0.008}
STEP_S, POINTS, START_SOC, NOISE_V = 10.0, 480, 0.85, 0.002
START = ("Initial concentration in negative electrode [mol.m-3]",
         "Initial concentration in positive electrode [mol.m-3]")


def volts(fitted: dict[str, float], time_s: np.ndarray, current_a: np.ndarray) -> np.ndarray:
    """Of a cell that begins at START_SOC of a new one's window."""
    values = parameters_of("NMC", fitted)
    values.update({"Current function [A]": pybamm.Interpolant(time_s, current_a, pybamm.t)})
    values.update(dict(zip(START, window_of(parameters_of("NMC")).concentrations(START_SOC),
                           strict=True)))
    model = pybamm.lithium_ion.SPMe({"contact resistance": "true"})
    solver = pybamm.IDAKLUSolver(rtol=1e-6, atol=1e-8)
    solved = pybamm.Simulation(model, parameter_values=values, solver=solver).solve(
        [0.0, time_s[-1]], t_interp=time_s)
    return np.asarray(solved["Voltage [V]"].data)


def truth() -> dict[str, object]:
    """What JSON can hold."""
    rng = np.random.default_rng(11)
    time_s = STEP_S * np.arange(POINTS)
    window = window_of(parameters_of("NMC"))
    blocks = rng.choice([-0.3, 0.0, 0.4, 0.8, 1.2], POINTS // 12 + 1, p=[0.1, 0.2, 0.3, 0.2, 0.2])
    current = window.capacity_ah * np.repeat(blocks, 12)[:POINTS]
    current[:3] = 0.0
    noise = rng.normal(0.0, NOISE_V, POINTS)
    return {"true": TRUE, "step_s": STEP_S, "capacity_ah": window.capacity_ah,
            "start_v": window.volts_of(START_SOC), "current_a": current.tolist(),
            "voltage_v": (volts(TRUE, time_s, current) + noise).tolist(),
            "new_v": (volts({}, time_s, current) + noise).tolist()}
