"""A cell that lives its days one by one as PyBaMM alone has it: an experiment in words, PyBaMM's
state of health, and nothing of `services/twin`. The use is that of a `ForecastTask` that says
nothing else."""

from __future__ import annotations

import pybamm

DAYS = 40
C_RATE, DEPTH, REST_SOC = 0.25, 0.75, 0.9
AGEING = {"SEI": "solvent-diffusion limited", "SEI porosity change": "false",
          "lithium plating": "partially reversible", "loss of active material": "stress-driven"}
CAPACITIES = {"Q_n": "Negative electrode capacity [A.h]",
              "Q_p": "Positive electrode capacity [A.h]",
              "Q_Li": "Total lithium capacity in particles [A.h]"}


def losses_pct() -> list[float]:
    """Of an NMC cell's capacity after each day [%]."""
    values = pybamm.ParameterValues("OKane2022")
    values.set_initial_state(REST_SOC)
    health = pybamm.lithium_ion.ElectrodeSOHSolver(values)
    negative_v, positive_v = pybamm.lithium_ion.get_initial_ocps(REST_SOC, values)
    amperes, rest_v = C_RATE * _new_ah(values, health), (positive_v - negative_v).item()
    hours = DEPTH / C_RATE
    day = (f"Discharge at {amperes:.6f} A for {hours:g} hours or until 2.5 V",
           f"Charge at {amperes:.6f} A until {rest_v:.6f} V",
           f"Hold at {rest_v:.6f} V for 3 hours or until {0.2 * amperes:.6f} A",
           f"Rest for {24.0 - 2.0 * hours:g} hours")
    lived = pybamm.Simulation(
        pybamm.lithium_ion.SPM(AGEING), parameter_values=values,
        experiment=pybamm.Experiment([day] * DAYS),
        solver=pybamm.IDAKLUSolver(rtol=1e-5, atol=1e-7)).solve(calc_esoh=False)
    held_ah = [_held_ah(health, state) for state in (
        lived.first_state, *(cycle.last_state for cycle in lived.cycles))]
    return [100.0 * (1.0 - held / held_ah[0]) for held in held_ah[1:]]


def _new_ah(values: pybamm.ParameterValues, health: pybamm.lithium_ion.ElectrodeSOHSolver) -> float:
    param = pybamm.LithiumIonParameters()
    told = {"Q_n": param.n.Q_init, "Q_p": param.p.Q_init, "Q_Li": param.Q_Li_particles_init}
    return float(health.solve({name: float(values.evaluate(one))
                               for name, one in told.items()})["Q"])


def _held_ah(health: pybamm.lithium_ion.ElectrodeSOHSolver, state: pybamm.Solution) -> float:
    """Between the limits of voltage, of what is left of electrodes and lithium (Mohtat 2019)."""
    return float(health.solve({short: float(state[long].data[-1])
                               for short, long in CAPACITIES.items()})["Q"])
