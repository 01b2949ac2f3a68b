"""What safety needs beside the cells' limits, read strictly from `safety.yaml` (laws 8, 10)."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec

from core.errors import ConfigurationError
from core.limits import Tiers
from core.parsing import as_model, read_yaml
from core.vocabulary import CHEMISTRIES

PROFILE = Path(__file__).parents[1] / "profiles" / "safety.yaml"

Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Polyline = tuple[tuple[float, float], ...]
DEFAULT_RAMP = "default"


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Spread of cell voltages: tiers in V, and outside of which voltages it is judged."""

    voltage_v: Tiers
    judged_below_v: float
    judged_above_v: float


class Deadbands(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far inside its limit a value must be before the tier clears."""

    voltage_v: Positive
    temperature_c: Positive
    temperature_trip_c: Positive
    current_c_rate: Positive
    soc_pct: Positive
    voltage_spread_v: Positive
    temperature_spread_k: Positive
    string_voltage_v: Positive


class Delay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds before a tier sets and before it clears."""

    set_s: NotNegative
    clear_s: Positive


class Delays(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Per kind of condition."""

    voltage: Delay
    temperature: Delay
    current: Delay
    soc: Delay
    missing: Delay
    plausibility: Delay


class DeratingOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shapes: (way from the information limit 0 to the warning limit 1, part allowed).
    Ramps: how fast an allowed current comes back, in A/s, by name."""

    voltage_shape: Polyline
    temperature_shape: Polyline
    soc_shape: Polyline
    ramp_a_per_s: dict[str, Positive]


class MachineOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times and currents of a shutdown."""

    rest_current_a: Positive
    zero_timeout_s: Positive
    fuse_timeout_s: Positive
    feedback_timeout_s: Positive
    break_c_rate: Positive
    stale_after_s: Positive
    overrun_s: Positive


class SafetyProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The profile file."""

    current_c_rate: Tiers
    current_error_c_rate: NotNegative
    short_circuit_c_rate: Positive
    hardware_factor: Annotated[float, msgspec.Meta(gt=1)]
    soc_max_pct: Tiers
    soc_min_pct: Tiers
    soh_min_pct: NotNegative
    spread: dict[str, Spread]
    temperature_spread_k: Tiers
    string_voltage_v: Positive
    deadband: Deadbands
    delays: Delays
    clear_samples: Annotated[int, msgspec.Meta(ge=1)]
    derating: DeratingOptions
    machine: MachineOptions

    @property
    def current_tiers(self) -> Tiers:
        """Above which a current sets a tier, as multiples of the reference current: the warning
        is what derating allows, and a pack that is held there is measured a little above."""
        information, warning, trip = self.current_c_rate
        return information, warning + self.current_error_c_rate, trip


@cache
def safety_profile(path: Path = PROFILE) -> SafetyProfile:
    """The profile at `path`; raises ConfigurationError."""
    profile = as_model(read_yaml(path), SafetyProfile, path.name)
    missing = set(CHEMISTRIES) - set(profile.spread)
    if missing:
        raise ConfigurationError(path.name, "spread", sorted(missing), "one entry per chemistry")
    if DEFAULT_RAMP not in profile.derating.ramp_a_per_s:
        raise ConfigurationError(path.name, "derating.ramp_a_per_s",
                                 sorted(profile.derating.ramp_a_per_s), "one named default")
    for name in ("voltage_shape", "temperature_shape", "soc_shape"):
        check_shape(getattr(profile.derating, name), f"derating.{name}", path.name)
    for key in ("current_c_rate", "current_tiers", "soc_max_pct", "temperature_spread_k"):
        check_rising(getattr(profile, key), key, path.name)
    check_rising([-limit for limit in profile.soc_min_pct], "soc_min_pct", path.name)
    return profile


def check_shape(shape: Polyline, key: str, file: str) -> None:
    """From (0, 1) to (1, 0), the way rising, the part never; raises ConfigurationError."""
    ways, parts = [way for way, _ in shape], [part for _, part in shape]
    good = (shape[:1] == ((0.0, 1.0),) and shape[-1:] == ((1.0, 0.0),)
            and all(a < b for a, b in zip(ways, ways[1:], strict=False))
            and all(a >= b for a, b in zip(parts, parts[1:], strict=False)))
    if not good:
        raise ConfigurationError(file, key, shape, "points from [0, 1] falling to [1, 0]")


def check_rising(tiers: Tiers | list[float], key: str, file: str) -> None:
    """No tier before the one below it; raises ConfigurationError."""
    if any(math.isnan(tier) for tier in tiers) or sorted(tiers) != list(tiers):
        raise ConfigurationError(file, key, tiers, "three limits, each no earlier than the last")
