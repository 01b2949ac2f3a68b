"""Parameter sets of PyBaMM by chemistry, their limits, and charge against voltage.

Only child processes import this module: it imports PyBaMM, which takes 6 s and 140 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pybamm
from numpy.typing import NDArray

from core.errors import RequestError
from core.twin.tasks import Origin

Floats = NDArray[np.float64]
ABS_ZERO_C = -273.15
TABLE = 20_001
"""Points of charge against voltage."""
EDGE = 1e-4
"""Of a stoichiometry: at 0 and 1 potentials are infinite."""
STOICHIOMETRIES: Floats = np.linspace(EDGE, 1.0 - EDGE, TABLE)
MARGIN_V = 0.02
"""So far beyond the window a measured voltage may stand: a sensor's error."""

CELLS = "Number of electrodes connected in parallel to make a cell"
NEGATIVE_ACTIVE = "Negative electrode active material volume fraction"
POSITIVE_ACTIVE = "Positive electrode active material volume fraction"
CONTACT = "Contact resistance [Ohm]"
START = ("Initial concentration in negative electrode [mol.m-3]",
         "Initial concentration in positive electrode [mol.m-3]")
MOST = ("Maximum concentration in negative electrode [mol.m-3]",
        "Maximum concentration in positive electrode [mol.m-3]")

GRAFTED_KEYS = (
    "SEI", "Lithium plating", "lithium plating", "plating [", "stripping [", "Dead lithium",
    "plated lithium", "Lithium metal", "Lithium interstitial", "Bulk solvent", "EC ",
    "lithium moles",
)
"""Parts of the names that OKane2022's degradation of a graphite electrode goes by."""
GRAFTED_GRAPHITE = ("Poisson's", "Young's", "free of deformation", "partial molar volume",
                    "volume change", "crack", "LAM", "critical stress", "Paris'")


HEAT_KEYS = tuple(f"{part} {what}" for part in (
    "Negative current collector", "Negative electrode", "Separator", "Positive electrode",
    "Positive current collector") for what in ("density [kg.m-3]",
                                               "specific heat capacity [J.kg-1.K-1]"))
COLLECTORS = ("Negative current collector thickness [m]",
              "Positive current collector thickness [m]")
LAYERS = ("Negative electrode thickness [m]", "Separator thickness [m]",
          "Positive electrode thickness [m]", *COLLECTORS)
COOLING, COOLED, VOLUME = ("Total heat transfer coefficient [W.m-2.K-1]",
                           "Cell cooling surface area [m2]", "Cell volume [m3]")
HEAT_DONOR = "OKane2022"


@dataclass(frozen=True, slots=True)
class Chemistry:
    """What models a chemistry. name: of the parameter set; ageing: the model's options, which the
    set's parameters, or those borrowed, suffice for."""

    name: str
    what: str
    origin: Origin
    ageing: Mapping[str, Any]
    note: str = ""


# No film on cracks: PyBaMM 26.10 tells how much lithium it takes, but its SPM does not take that
# from the particles, so that losses would not add up to the capacity lost.
CHEMISTRIES: Mapping[str, Chemistry] = {
    "NMC": Chemistry(
        "OKane2022", "LG M50, graphite-SiOx and NMC 811, 5 Ah (O'Kane 2022, Chen 2020)", "own",
        {"SEI": "solvent-diffusion limited", "SEI porosity change": "false",
         "lithium plating": "partially reversible",
         "loss of active material": "stress-driven"}),
    "LCO": Chemistry(
        "Ai2020", "Enertech LCO and graphite, 2.28 Ah (Ai 2020)", "own",
        {"SEI": "solvent-diffusion limited", "SEI porosity change": "false",
         "loss of active material": "stress-driven"},
        "this set has no plating of lithium, and its film on the graphite does not grow faster "
        "where it is warmer"),
    "LFP": Chemistry(
        "Prada2013", "LFP and graphite, 2.3 Ah (Prada 2013; graphite of Chen 2020)", "grafted",
        {"SEI": "solvent-diffusion limited", "SEI porosity change": "false",
         "lithium plating": "partially reversible",
         "particle mechanics": ("swelling only", "none"),
         "loss of active material": ("stress-driven", "none")},
        "uncalibrated: its degradation is that of OKane2022's graphite, borrowed and never fitted "
        "to an LFP cell; the shape may be right, the pace need not be"),
}


@dataclass(frozen=True, slots=True)
class Window:
    """A parameter set between its voltage limits. soc, ocv_v: float64[TABLE], both rising; x, y:
    stoichiometries of the negative and the positive electrode at 0 and 1. capacity_ah: of the
    set's own cell between the limits."""

    low_v: float
    high_v: float
    capacity_ah: float
    x: tuple[float, float]
    y: tuple[float, float]
    most: tuple[float, float]
    soc: Floats
    ocv_v: Floats

    def soc_of(self, volts: float) -> float:
        """At an open-circuit voltage; raises RequestError outside the limits."""
        check_window(volts, self.low_v, self.high_v, "the open-circuit voltage")
        return float(np.interp(volts, self.ocv_v, self.soc))

    def volts_of(self, soc: float) -> float:
        return float(np.interp(soc, self.soc, self.ocv_v))

    def concentrations(self, soc: float) -> tuple[float, float]:
        """In the negative and the positive electrode [mol.m-3]."""
        return (self.most[0] * (self.x[0] + soc * (self.x[1] - self.x[0])),
                self.most[1] * (self.y[0] + soc * (self.y[1] - self.y[0])))


def check_window(volts: float, low_v: float, high_v: float, what: str) -> None:
    """Raises RequestError for what lies outside a parameter set's limits."""
    if not low_v - MARGIN_V <= volts <= high_v + MARGIN_V:
        side = "below" if volts < low_v else "above"
        raise RequestError(
            f"{what}, {volts:.3f} V, lies {side} the {low_v:g} to {high_v:g} V that the parameter "
            "set knows, so that it cannot be modelled; check the declared chemistry")


@cache
def _own(name: str) -> pybamm.ParameterValues:
    return pybamm.ParameterValues(name)


def parameters_of(chemistry: str, fitted: Mapping[str, float] | None = None,
                  ) -> pybamm.ParameterValues:
    """The chemistry's set, with borrowed degradation where it has none of its own, and with what
    a calibration found (`core.twin.tasks.FITTED`)."""
    values = _own(CHEMISTRIES[chemistry].name).copy()
    if CHEMISTRIES[chemistry].origin == "grafted":
        values.update(_grafts(values), check_already_exists=False)
    apply_fitted(values, fitted or {})
    return values


def _grafts(values: pybamm.ParameterValues) -> dict[str, Any]:
    """Of OKane2022 what the set lacks of the degradation of graphite."""
    donor = _own("OKane2022")
    return {key: donor[key] for key in donor if key not in values and (
        any(part in key for part in GRAFTED_KEYS)
        or key.startswith(("Negative", "Cell thermal expansion", "Positive"))
        and any(part in key for part in (*GRAFTED_GRAPHITE, "thermal expansion")))}


def with_heat(values: pybamm.ParameterValues) -> tuple[pybamm.ParameterValues, str]:
    """A copy with what a cell's own temperature needs, and in words what of that was borrowed, ""
    for nothing. Of a layer's heat capacity the donor's is taken where the set tells none; one that
    lacks its size has as much beside its layers, one that lacks its surface as much of it for each
    volume, as the donor; one that tells no cooling has the donor's. What it tells stays."""
    values, donor = values.copy(), _own(HEAT_DONOR)
    lacks = []
    missing = {key: donor[key] for key in (*HEAT_KEYS, *COLLECTORS) if key not in values}
    if missing:
        lacks.append("heat capacity")
        values.update(missing, check_already_exists=False)
    if VOLUME not in values or COOLED not in values:
        lacks.append("size")
        volume = values[VOLUME] if VOLUME in values else \
            donor[VOLUME] * _layers_m3(values) / _layers_m3(donor)
        cooled = values[COOLED] if COOLED in values else donor[COOLED] * volume / donor[VOLUME]
        values.update({VOLUME: volume, COOLED: cooled}, check_already_exists=False)
    if COOLING not in values or values[COOLING] <= 0:
        lacks.append("cooling")
        values.update({COOLING: donor[COOLING]}, check_already_exists=False)
    return values, f"{', '.join(lacks)} borrowed from {HEAT_DONOR}" if lacks else ""


@dataclass(frozen=True, slots=True)
class Warmth:
    """What makes the set's own cell warm, all of it alike. takes_j_k: heat that it takes up for a
    kelvin; gives_w_k: that it gives to what is around it for one. entropy_v_k: slopes of the
    negative and the positive electrode's potential over its temperature, float64[TABLE] over the
    stoichiometry [V/K]. borrowed: as `with_heat`."""

    takes_j_k: float
    gives_w_k: float
    entropy_v_k: tuple[Floats, Floats]
    borrowed: str

    @classmethod
    def of(cls, values: pybamm.ParameterValues) -> Warmth:
        """Raises RequestError for numbers that no cell has."""
        values, borrowed = with_heat(values)
        param, at = pybamm.LithiumIonParameters(), pybamm.Vector(STOICHIOMETRIES)
        takes = float(values.evaluate(param.rho_c_p_eff(param.T_ref))) * float(values[VOLUME])
        negative, positive = (np.broadcast_to(_table(values, electrode.prim.dUdT(at)), TABLE)
                              for electrode in (param.n, param.p))
        gives = float(values[COOLING]) * float(values[COOLED])
        if not (0.0 < takes < np.inf and 0.0 < gives < np.inf):
            raise RequestError("its heat capacity, size or cooling is no cell's")
        return cls(takes, gives, (negative, positive), borrowed)

    def heat_w(self, amperes: Floats, lost_v: Floats, x: Floats, y: Floats,
               kelvin: float) -> Floats:
        """Of a current: what all overpotentials together lose of it, and what the electrodes' own
        entropy, at stoichiometries x and y, gives or takes (Bernardi 1985)."""
        slopes = [np.interp(where, STOICHIOMETRIES, slope)
                  for where, slope in zip((x, y), self.entropy_v_k, strict=True)]
        return np.asarray(amperes * (lost_v + kelvin * (slopes[0] - slopes[1])))

    def temperature_c(self, time_s: Floats, heat_w: Floats, begins_c: float,
                      around_c: float) -> Floats:
        """At moments that rise, between two of which the heat is their mean."""
        settles_s = self.takes_j_k / self.gives_w_k
        above = [begins_c - around_c]
        made_k = (heat_w[1:] + heat_w[:-1]) / 2.0 / self.gives_w_k
        stays = np.exp(-np.diff(time_s) / settles_s)
        for most_k, share in zip(made_k.tolist(), stays.tolist(), strict=True):
            above.append(most_k + (above[-1] - most_k) * share)
        return around_c + np.array(above)


def _layers_m3(values: pybamm.ParameterValues) -> float:
    """Volume of a cell's electrodes, separators and collectors."""
    return float(sum(values[key] for key in LAYERS) * values["Electrode height [m]"]
                 * values["Electrode width [m]"] * values[CELLS])


def apply_fitted(values: pybamm.ParameterValues, fitted: Mapping[str, float]) -> None:
    """negative_active, positive_active: shares of the set's own; contact_ohm: of its cell."""
    if "negative_active" in fitted:
        values[NEGATIVE_ACTIVE] = values[NEGATIVE_ACTIVE] * fitted["negative_active"]
    if "positive_active" in fitted:
        values[POSITIVE_ACTIVE] = values[POSITIVE_ACTIVE] * fitted["positive_active"]
    if "contact_ohm" in fitted:
        values[CONTACT] = fitted["contact_ohm"]


class Balance:
    """Both electrodes' open-circuit potentials as tables, so that a charge window is a matter of
    looking up: capacity between the limits of any amounts of active material and lithium
    (Mohtat 2019)."""

    def __init__(self, values: pybamm.ParameterValues) -> None:
        param = pybamm.LithiumIonParameters()
        self._at = STOICHIOMETRIES
        at = pybamm.Vector(self._at)
        self._negative_v = _table(values, param.n.prim.U(at, param.T_ref))
        self._positive_v = _table(values, param.p.prim.U(at, param.T_ref))
        self.limits_v = (float(values["Open-circuit voltage at 0% SOC [V]"]),
                         float(values["Open-circuit voltage at 100% SOC [V]"]))

    def ocv_v(self, x: Floats, y: Floats) -> Floats:
        """At stoichiometries of the negative and the positive electrode."""
        found: Floats = (np.interp(y, self._at, self._positive_v)
                         - np.interp(x, self._at, self._negative_v))
        return found

    def ends(self, negative_ah: float, positive_ah: float, lithium_ah: float,
             ) -> tuple[float, float]:
        """Stoichiometry of the negative electrode at 0 and at 100 % of charge."""
        x = self._at
        y = (lithium_ah - x * negative_ah) / positive_ah
        inside = (y >= EDGE) & (y <= 1.0 - EDGE)
        if inside.sum() < 2:
            raise RequestError("the electrodes share no charge window: too much lithium or active "
                               "material is lost")
        rising = np.maximum.accumulate(self.ocv_v(x[inside], y[inside]))
        low, high = np.interp(self.limits_v, rising, x[inside])
        return float(low), float(high)

    def capacity_ah(self, negative_ah: float, positive_ah: float, lithium_ah: float) -> float:
        """Between the limits of voltage."""
        low, high = self.ends(negative_ah, positive_ah, lithium_ah)
        return negative_ah * (high - low)


def _table(values: pybamm.ParameterValues, symbol: pybamm.Symbol) -> Floats:
    return np.asarray(values.evaluate(symbol), dtype=np.float64).reshape(-1)


def window_of(values: pybamm.ParameterValues) -> Window:
    """Charge against voltage between the set's own limits."""
    param, balance = pybamm.LithiumIonParameters(), Balance(values)
    negative_ah, positive_ah, lithium_ah = (float(values.evaluate(symbol)) for symbol in (
        param.n.Q_init, param.p.Q_init, param.Q_Li_particles_init))
    x_0, x_100 = balance.ends(negative_ah, positive_ah, lithium_ah)
    y_0, y_100 = ((lithium_ah - x * negative_ah) / positive_ah for x in (x_0, x_100))
    soc = np.linspace(0.0, 1.0, TABLE)
    ocv = balance.ocv_v(x_0 + soc * (x_100 - x_0), y_0 + soc * (y_100 - y_0))
    return Window(
        float(values["Lower voltage cut-off [V]"]), float(values["Upper voltage cut-off [V]"]),
        negative_ah * (x_100 - x_0), (x_0, x_100), (y_0, y_100),
        (float(values[MOST[0]]), float(values[MOST[1]])), soc, np.maximum.accumulate(ocv))
