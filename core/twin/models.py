"""A cell of a chemistry as a circuit: open-circuit voltage over charge, a resistance and two RC
pairs, read strictly from `cells.yaml` (laws 8 and 10).

Voltages of the circuit are told at 1 C: ohm times ampere-hours. Signs: law 1, + is discharging.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import ConfigurationError
from core.parsing import as_model, read_yaml
from core.vocabulary import CHEMISTRIES

PROFILE = Path(__file__).parents[1] / "profiles" / "cells.yaml"
REFERENCE_K = 298.15
"""Of all resistances [K], 25 °C."""
SLOPE_SPAN = 0.02
"""Half the charge over which a slope is taken, as a share of the window: a curve told at points
has corners, a cell has none."""

Floats = NDArray[np.float64]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Pair = tuple[Share, Positive]


class CellModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of cell; the fields are told in `cells.yaml`. A charge of 0..1 is of the part of
    the curve that `window` names."""

    name: str
    source: str
    licence: str
    curve_v: Annotated[tuple[float, ...], msgspec.Meta(min_length=3)]
    window: tuple[Share, Share]
    voltage_v: tuple[Positive, Positive]
    nominal_v: Positive
    drop_1c_v: Positive
    ohmic_share: Share
    pairs: tuple[Pair, Pair]
    ohmic_activation_k: NotNegative
    pair_activation_k: NotNegative
    voltage_error_v: Positive
    drop_error: NotNegative
    charge_error: Share
    error_lasts_s: Positive
    least_slope_v: NotNegative

    @property
    def ohmic_1c_v(self) -> float:
        """What is lost at once at 1 C [V]."""
        return self.ohmic_share * self.drop_1c_v

    def ocv_v(self, soc: ArrayLike) -> Floats:
        """Open-circuit voltage [V] at a charge of 0..1; beyond the curve's ends it goes on as
        steep as it ends."""
        full = self._full(soc)
        curve = np.asarray(self.curve_v)
        inside = np.interp(full, np.linspace(0.0, 1.0, curve.size), curve)
        steps = curve.size - 1
        return np.asarray(inside + np.minimum(full, 0.0) * (curve[1] - curve[0]) * steps
                          + np.maximum(full - 1.0, 0.0) * (curve[-1] - curve[-2]) * steps)

    def soc_of(self, rest_v: ArrayLike) -> Floats:
        """Charge at an open-circuit voltage [V], NaN where it is outside of the curve."""
        curve = np.asarray(self.curve_v)
        low, high = self.window
        full = np.interp(np.asarray(rest_v, np.float64), curve, np.linspace(0.0, 1.0, curve.size),
                         left=np.nan, right=np.nan)
        return np.asarray((full - low) / (high - low))

    def slope_v(self, soc: ArrayLike) -> Floats:
        """dV/dSoC of the open-circuit voltage [V], around a charge of 0..1."""
        at = np.asarray(soc, np.float64)
        return np.asarray((self.ocv_v(at + SLOPE_SPAN) - self.ocv_v(at - SLOPE_SPAN))
                          / (2 * SLOPE_SPAN))

    def warmth(self, temperature_c: ArrayLike) -> tuple[Floats, Floats]:
        """Factors on the ohmic resistance and on the pairs at a temperature [°C]; 1 where that is
        not known. Arrhenius."""
        kelvin = np.clip(np.asarray(temperature_c, np.float64), -40.0, 80.0) + 273.15
        inverse = np.nan_to_num(1.0 / kelvin - 1.0 / REFERENCE_K, nan=0.0)
        return (np.exp(self.ohmic_activation_k * inverse),
                np.exp(self.pair_activation_k * inverse))

    def _full(self, soc: ArrayLike) -> Floats:
        """Charge of the full curve."""
        low, high = self.window
        return low + (high - low) * np.asarray(soc, np.float64)


@cache
def cell_models(path: Path = PROFILE) -> dict[str, CellModel]:
    """By chemistry, one for each of CHEMISTRIES; raises ConfigurationError."""
    told = as_model(read_yaml(path), dict[str, dict[str, object]], path.name)
    if sorted(told) != sorted(CHEMISTRIES):
        raise ConfigurationError(path.name, "file", sorted(told),
                                 f"one cell for each of {', '.join(CHEMISTRIES)}")
    models = {chemistry: as_model(one, CellModel, path.name, chemistry)
              for chemistry, one in told.items()}
    for chemistry, model in models.items():
        _check(model, chemistry, path.name)
    return models


def cell_model(chemistry: str) -> CellModel:
    """Raises ConfigurationError for a chemistry that is none."""
    try:
        return cell_models()[chemistry]
    except KeyError as error:
        raise ConfigurationError(PROFILE.name, "chemistry", chemistry,
                                 ", ".join(CHEMISTRIES)) from error


def _check(model: CellModel, chemistry: str, file: str) -> None:
    """Raises ConfigurationError for numbers that no cell has."""
    curve = model.curve_v
    if any(not a < b for a, b in zip(curve, curve[1:], strict=False)):
        raise ConfigurationError(file, f"{chemistry}.curve_v", curve, "voltages that rise")
    for name in ("window", "voltage_v"):
        low, high = getattr(model, name)
        if not low < high:
            raise ConfigurationError(file, f"{chemistry}.{name}", (low, high), "low before high")
    shares = model.ohmic_share + sum(share for share, _ in model.pairs)
    if abs(shares - 1.0) > 1e-6:
        raise ConfigurationError(file, f"{chemistry}.pairs", model.pairs,
                                 f"shares that make 1 with ohmic_share; they make {shares:g}")
