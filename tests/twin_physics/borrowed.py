"""What a parameter set is lent that tells a part of a cell's heat."""

from __future__ import annotations

from services.twin.physics import COOLED, HEAT_KEYS, VOLUME, parameters_of, with_heat


def lent() -> dict[str, float]:
    """Of an LCO set, as shares of what it tells, without one layer's density and the surface."""
    values = parameters_of("LCO")
    own = {key: float(values[key]) for key in (*HEAT_KEYS, VOLUME, COOLED)}
    for key in (HEAT_KEYS[0], COOLED):
        values.pop(key)
    made, _ = with_heat(values)
    return {key: float(made[key]) / told for key, told in own.items()}
