"""What a simulated heat pump and its house are made of."""

from __future__ import annotations

from dataclasses import dataclass

from sim.heat_pump_machines import Machine
from sim.heat_pump_weather import Climate

WATER_J = 4186.0
"""Heat of a litre of water [J/(l K)]."""
AUXILIARY_STEPS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """All that one simulated heat pump is made of, in SI units but for litres.

    outdoor_offset_c: added to the climate's temperatures. ua_w_per_k: of the house.
    curve: kelvin of supply temperature for each kelvin below 20 degC outdoors. dm_start: degree
    minutes at which the compressor starts. radiators: their size, 1 = they hold the house at its
    temperature with a curve of 0.8. auxiliary_w: rated, switched in thirds.
    air_j_per_k, mass_j_per_k: air with furniture, and walls; air_mass_w_per_k: between them.
    loop_l: water of the radiators and of a buffer. tank_l: hot water.
    """

    machine: Machine
    seed: int = 0
    climate: Climate = "hof"
    outdoor_offset_c: float = 0.0
    ua_w_per_k: float = 180.0
    curve: float = 0.8
    radiators: float = 1.0
    dm_start: float = -60.0
    auxiliary_w: float = 9000.0
    water_start_c: float = 41.0
    water_stop_c: float = 51.0
    indoor_c: float = 21.0
    air_j_per_k: float = 1.0e7
    mass_j_per_k: float = 6.0e7
    air_mass_w_per_k: float = 900.0
    loop_l: float = 560.0
    tank_l: float = 180.0
    tank_ua_w_per_k: float = 1.5
    sun_m2: float = 3.0
    people_w: float = 350.0

    @property
    def radiator_w_per_k(self) -> float:
        return self.radiators * self.ua_w_per_k / 0.75

    @property
    def water_flow_lpm(self) -> float:
        """Of the pump at the condenser: 6 K at the machine's nominal heat [l/min]."""
        return self.machine.nominal_w / (6.0 * WATER_J) * 60.0

    @property
    def brine_w_per_k(self) -> float:
        """Heat capacity flow of the brine: 3.5 K at nominal heat with a COP of 4 [W/K]."""
        return 0.75 * self.machine.nominal_w / 3.5


GROUND_C = 8.0
"""Of the undisturbed ground, at the climate's own temperature."""
FAR_W_PER_K_SHARE = 3.4
"""Ground around the hole, for each W/K of the house [1]."""
NEAR_W_PER_K_SHARE = 8.0
"""From the ground to the brine, for each W/K of the house [1]."""
GROUND_J_PER_K_SHARE = 2.6e6
"""Ground near the hole, for each W/K of the house [s]."""
BRINE_J_PER_K = 8.0e5
CELLAR_C = 18.0
COLD_WATER_C = 8.0
