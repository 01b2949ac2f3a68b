"""Where the energy of a cell goes: out of what is stored, to its terminals and into losses, and
these into warmth and to what is around it.

Each is worked out from something else: what is stored from the set's open-circuit curve and the
charge that was counted, what comes out from the modelled voltage and the given current, what is
lost from the overpotentials that are told of the inside, what warms from the modelled temperature
and the set's heat capacity and cooling.
"""

from __future__ import annotations

import numpy as np
import pybamm

from core.twin.tasks import WindowPack, WindowTask, column, floats, new_id
from services.twin.physics import Balance, Warmth, parameters_of, window_of
from services.twin.window import TEMPERATURE_C, solve_window

AH = 50.0
SOC = 0.8
SPANS = {"window": (300.0, 10.0), "day": (86_400.0, 60.0)}
"""Length and step [s]."""


def current_c(name: str, time_s: np.ndarray) -> np.ndarray:
    """[C-rate], smooth, so that sums over steps are integrals: a minute's swing within a window;
    within a day four swings of 45 %, and 10 % that do not come back."""
    if name == "window":
        return 0.5 + 0.4 * np.sin(2 * np.pi * time_s / 120.0)
    swings = 0.45 * np.pi / 6.0 * np.sin(2 * np.pi * time_s / 21_600.0)
    return swings + 0.1 / 24.0


def balance(chemistry: str, model: str, name: str) -> dict[str, float]:
    """Energies [Wh] of a cell of AH, and its charge at the end as it was counted and as the model
    has it."""
    length_s, step_s = SPANS[name]
    time_s = step_s * np.arange(int(length_s / step_s) + 1)
    current_a = AH * current_c(name, time_s)
    pack = WindowPack(pack="one", capacity_ah=AH, soc=SOC, current_a=column(current_a),
                      voltage_v=column(np.full(time_s.size, np.nan)))
    (told,) = solve_window(WindowTask(
        id=new_id(), chemistry=chemistry, time_s=0.0, packs=(pack,),  # type: ignore[arg-type]
        step_s=step_s, horizon_s=0.0, model=model),  # type: ignore[arg-type]
        lambda _share, _words: None).answers
    assert not told.failed, told.failed
    states = {key: floats(values).astype(float) for key, values in told.states.items()}
    values = parameters_of(chemistry)
    window, tables = window_of(values), Balance(values)
    used = np.trapezoid(current_a, time_s) / 3600.0 / AH
    charges = np.linspace(SOC - used, SOC, 2001)
    stored_wh = AH * np.trapezoid(np.interp(charges, window.soc, window.ocv_v), charges)
    lost_v = (states["negative_reaction_v"] - states["positive_reaction_v"]
              + tables.ocv_v(states["negative_mean"], states["positive_mean"])
              - tables.ocv_v(states["negative_surface"], states["positive_surface"]))
    for key in ("concentration_v", "electrolyte_v", "electrode_v"):
        lost_v -= states.get(key, 0.0)
    volts = floats(told.voltage_v).astype(float)
    return {"heat": float(np.trapezoid(states["heat_w"], time_s) / 3600.0),
            "warmed": _warmed_wh(values, states["temperature_c"], time_s) / window.capacity_ah * AH,
            "stored": float(stored_wh), "counted": float(SOC - used),
            "modelled": told.end_soc or np.nan,
            "terminal": float(np.trapezoid(volts * current_a, time_s) / 3600.0),
            "lost": float(np.trapezoid(lost_v * current_a, time_s) / 3600.0)}


def _warmed_wh(values: pybamm.ParameterValues, warm_c: np.ndarray, time_s: np.ndarray) -> float:
    """What the set's own cell took up, and gave to what is around it."""
    warmth = Warmth.of(values)
    gave_j = warmth.gives_w_k * np.trapezoid(warm_c - TEMPERATURE_C, time_s)
    return float(warmth.takes_j_k * (warm_c[-1] - warm_c[0]) + gave_j) / 3600.0


def balances() -> dict[str, dict[str, float]]:
    """Of each chemistry, model and span."""
    return {f"{chemistry} {model} {name}": balance(chemistry, model, name)
            for chemistry in ("NMC", "LFP", "LCO") for model in ("SPM", "SPMe") for name in SPANS}
