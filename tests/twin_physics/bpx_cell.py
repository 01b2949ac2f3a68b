"""A cell as a BPX file: numbers near Chen 2020's NMC cell, open-circuit potentials as tables."""

from __future__ import annotations

import json
from typing import Any

X = [0.005, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.98]
NEGATIVE_V = [1.1, 0.5, 0.3, 0.21, 0.14, 0.12, 0.09, 0.085, 0.07]
POSITIVE_V = [4.6, 4.5, 4.4, 4.3, 4.0, 3.8, 3.65, 3.55, 2.5]


def _electrode(ocp_v: list[float], low: float, high: float, most: float) -> dict[str, Any]:
    return {
        "Particle radius [m]": 5.5e-6, "Thickness [m]": 8e-5, "Diffusivity [m2.s-1]": 4e-14,
        "OCP [V]": {"x": X, "y": ocp_v}, "Conductivity [S.m-1]": 100.0,
        "Surface area per unit volume [m-1]": 390000.0, "Porosity": 0.3,
        "Transport efficiency": 0.16, "Reaction rate constant [mol.m-2.s-1]": 3e-6,
        "Minimum stoichiometry": low, "Maximum stoichiometry": high,
        "Maximum concentration [mol.m-3]": most,
        "Diffusivity activation energy [J.mol-1]": 0.0,
        "Reaction rate constant activation energy [J.mol-1]": 0.0,
        "Entropic change coefficient [V.K-1]": 0.0,
    }


def bpx(**header: str) -> str:
    """The file's text."""
    return json.dumps({
        "Header": {"BPX": "1.0.0", "Title": "a cell for tests", "Model": "DFN", **header},
        "Parameterisation": {
            "Cell": {
                "Electrode area [m2]": 0.1027, "External surface area [m2]": 0.005,
                "Volume [m3]": 2.4e-5, "Lower voltage cut-off [V]": 2.5,
                "Number of electrode pairs connected in parallel to make a cell": 1,
                "Upper voltage cut-off [V]": 4.2, "Nominal cell capacity [A.h]": 5.0,
                "Reference temperature [K]": 298.15, "Density [kg.m-3]": 2000.0,
                "Specific heat capacity [J.K-1.kg-1]": 1000.0},
            "Electrolyte": {
                "Cation transference number": 0.26, "Diffusivity [m2.s-1]": 2e-10,
                "Conductivity [S.m-1]": 1.0, "Diffusivity activation energy [J.mol-1]": 0.0,
                "Conductivity activation energy [J.mol-1]": 0.0},
            "Negative electrode": _electrode(NEGATIVE_V, 0.03, 0.9, 33133.0),
            "Positive electrode": _electrode(POSITIVE_V, 0.27, 0.85, 63104.0),
            "Separator": {"Thickness [m]": 1.2e-5, "Porosity": 0.47,
                          "Transport efficiency": 0.32}},
        "State": {"Initial conditions": {
            "Initial temperature [K]": 298.15, "Initial state-of-charge": 1.0,
            "Initial electrolyte concentration [mol.m-3]": 1000.0}}})
