"""The safe operating area of a cell per chemistry, direction and tier (law 8)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from core.parsing import as_model, read_yaml
from core.topology import FloatArray
from core.vocabulary import CHEMISTRIES

PROFILE = Path(__file__).parent / "profiles" / "safe_operating_area.yaml"
TIERS: tuple[str, ...] = ("none", "info", "warning", "trip")

Tiers = tuple[float, float, float]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class ChemistryLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Three limits each: information, warning, trip. Volts and °C of a cell."""

    voltage_max_v: Tiers
    voltage_min_v: Tiers
    charge_temperature_max_c: Tiers
    charge_temperature_min_c: Tiers
    discharge_temperature_max_c: Tiers
    discharge_temperature_min_c: Tiers


class Deadband(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a value must come back inside before its alarm clears."""

    voltage_v: Positive
    temperature_c: Positive


class SafeOperatingArea(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The profile file."""

    deadband: Deadband
    chemistries: dict[str, ChemistryLimits]

    def table(self, name: str) -> FloatArray:
        """float32[chemistry, tier] of one limit, in the order of CHEMISTRIES."""
        rows = [getattr(self.chemistries[chemistry], name) for chemistry in CHEMISTRIES]
        return np.array(rows, dtype=np.float32)


@cache
def safe_operating_area(path: Path = PROFILE) -> SafeOperatingArea:
    """The limits of the profile at `path`; raises ConfigurationError."""
    return as_model(read_yaml(path), SafeOperatingArea, path.name)
