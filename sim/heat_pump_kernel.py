"""A heat pump, its water and its house live one step: for many lanes at once.

A lane is one pump in one stretch of time; all quantities are float64[lanes] or bool[lanes].
The control decides at the beginning of a step, its flows hold during the step, and each store
takes just what flows into it, so that energy is conserved exactly whatever the step is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.heat_pump_machines import LEAST_COP, LEAST_POWER_W
from sim.heat_pump_plan import (
    AUXILIARY_STEPS,
    BRINE_J_PER_K,
    CELLAR_C,
    COLD_WATER_C,
    FAR_W_PER_K_SHARE,
    GROUND_C,
    GROUND_J_PER_K_SHARE,
    NEAR_W_PER_K_SHARE,
    WATER_J,
    Plan,
)
from sim.house_data import F64

Bools = NDArray[np.bool_]

COLUMNS = (
    "outdoor_c", "air_c", "loop_c", "top_c", "low_c", "brine_c", "gas_c", "wanted_c",
    "degree_minutes", "on", "on_water", "valve", "auxiliary_1", "auxiliary_2",
    "auxiliary_on", "circulating", "defrost", "speed", "starts_per_s", "heat_w", "water_heat_w",
    "auxiliary_w", "water_auxiliary_w", "counted_heat_w", "compressor_w", "source_w", "shell_w",
    "emitted_w", "drawn_w", "tank_loss_w", "house_loss_w", "gain_w", "water_compressor_w",
)
"""A row: means over a step, temperatures and degree minutes at its beginning. heat_w: from the
condenser, negative in a defrost; counted_heat_w: not below 0; water_heat_w: the part of it that
goes to the tank; water_compressor_w: of compressor_w while it runs for that. valve: as the
control tells it."""
AT = {name: number for number, name in enumerate(COLUMNS)}

SHELL_SHARE = 0.06
"""Of the compressor's power, lost through its shell."""
DEGREE_MINUTES = (-2000.0, 100.0)
AUXILIARY_DIFFERENCE = 400.0
AUXILIARY_STEP = 100.0
FORCED_K = 10.0
LEAST_RUN_S, LEAST_PAUSE_S = 360.0, 600.0
SHORT_S, SHORT_LOOP_SHARE, SHORT_DM = (60.0, 60.0), 0.1, -3.0
"""What is left of these times, of the loop and of the degree minutes' swing by `Damage.short`."""
LONGEST_WATER_S = 3600.0
COIL_W_PER_K = 1500.0
WATER_SPEED = 0.55
DEFROST_SHARE, DEFROST_POWER_SHARE, DEFROST_S = -0.35, 0.12, 300.0
"""A defrost takes so much of the nominal heat out of the loop, with so much electric power."""
NIGHT_EXTRA_K = 2.0
GAS_S = 400.0
STANDING_SHARE = 0.12
"""Of the radiators' heat, while the heating's pump stands still."""
THERMOSTAT_C, THERMOSTAT_K, THERMOSTAT_LEAST = 0.7, 1.5, 0.15


@dataclass(frozen=True, slots=True)
class Weather:
    """What comes from outside in a step: rows of `Drivers`, each float64[lanes]."""

    outdoor_c: F64
    gain_w: F64
    draw_lps: F64
    wanted_c: F64
    heated: F64
    frost_per_s: F64


@dataclass(frozen=True, slots=True)
class Damage:
    """Faults within the machine. charge: of refrigerant, 1 = full; stuck: where the valve
    stands whatever it is told, True = hot water; brine: share of its flow; short: the radiators'
    circuit is all but shut off and the control's waits are gone."""

    charge: float = 1.0
    stuck: bool | None = None
    brine: float = 1.0
    short: bool = False


SOUND = Damage()


class Kernel:
    """The state of all lanes; `step` moves it."""

    def __init__(self, plan: Plan, air_c: F64, mass_c: F64, ground_c: F64, loop_c: F64) -> None:
        lanes = air_c.shape
        self.plan = plan
        self.air_c, self.mass_c, self.ground_c = air_c.copy(), mass_c.copy(), ground_c.copy()
        self.loop_c, self.brine_c = loop_c.copy(), ground_c - 1.0
        self.top_c, self.low_c = np.full(lanes, 50.0), np.full(lanes, 48.5)
        self.gas_c = np.full(lanes, 40.0)
        self.dm = np.full(lanes, plan.dm_start / 2.0)
        self.heat_w = np.zeros(lanes)
        self.speed, self.frost = np.ones(lanes), np.zeros(lanes)
        self.steps = np.zeros(lanes)
        self.since_s, self.water_s = np.full(lanes, 1e4), np.zeros(lanes)
        off = np.zeros(lanes, dtype=np.bool_)
        self.on, self.water, self.want_heat, self.want_water = off, off, off, off
        self.defrost, self.tired, self.night, self.warming = off, off, off, off
        machine = plan.machine
        self._half_k = 0.5 / (plan.water_flow_lpm / 60.0 * WATER_J)
        self._air = machine.medium == "air"
        self._far_w_per_k = FAR_W_PER_K_SHARE * plan.ua_w_per_k
        self._near_w_per_k = NEAR_W_PER_K_SHARE * plan.ua_w_per_k
        self._ground_j_per_k = GROUND_J_PER_K_SHARE * plan.ua_w_per_k

    def step(self, weather: Weather, step_s: float, night: bool = False,
             damage: Damage = SOUND) -> F64:
        """Live `step_s` [s]; night: the hour of the tank's nightly round begins. Tells the
        row, float64[COLUMNS, lanes]."""
        begun = self._control(weather, step_s, night, damage)
        row = np.empty((len(COLUMNS), *self.on.shape))
        row[:11] = (weather.outdoor_c, self.air_c, self.loop_c, self.top_c, self.low_c,
                    weather.outdoor_c if self._air else self.brine_c, self.gas_c,
                    weather.wanted_c, self.dm, self.on, self.on & self.water)
        row[11:19] = (self.water, self.steps % 2.0, self.steps >= 2.0, self.steps > 0.0,
                      (weather.heated > 0.5) | self.on, self.defrost, self.speed * self.on,
                      begun / step_s)
        row[19:] = self._flow(weather, step_s, damage)
        return row

    def _control(self, weather: Weather, step_s: float, night: bool, damage: Damage) -> Bools:
        """Decide who runs for what; which compressors start now."""
        plan = self.plan
        heated = weather.heated > 0.5
        start = max(plan.dm_start, SHORT_DM) if damage.short else plan.dm_start
        off_c = self.loop_c - weather.wanted_c
        least, most = DEGREE_MINUTES
        dm = np.clip(self.dm + off_c * (step_s / 60.0), least, -start if damage.short else most)
        dm = np.where(self.on & ~self.water & (off_c > FORCED_K), np.maximum(dm, 1.0), dm)
        self._water_wish(step_s, night)
        if night:
            self.warming = heated
        warm = self.warming & (off_c >= NIGHT_EXTRA_K) & ~self.want_water
        self.warming = self.warming & ~warm
        dm = np.where(self.warming, np.minimum(dm, start), np.where(warm, 0.0, dm))
        self.dm = dm = np.where(heated, dm, 0.0)
        self.want_heat = heated & ((self.want_heat & (dm < 0.0)) | (dm <= start))
        if self._air:
            self.defrost = self.on & ((self.defrost & (self.frost > 0.0)) | (self.frost >= 1.0))
        wanted = self.want_heat | self.want_water | self.defrost
        before = self.on
        run_s, pause_s = SHORT_S if damage.short else (LEAST_RUN_S, LEAST_PAUSE_S)
        on = np.where(before, wanted | (self.since_s < run_s),
                      wanted & (self.since_s >= pause_s))
        self.water = on & (self.want_water | (self.water & ~self.want_heat))
        self.since_s = np.where(on == before, self.since_s, 0.0) + step_s
        self.on = on
        self._auxiliary(heated, dm)
        begun = on & ~before
        if plan.machine.regulated:
            self._regulate(off_c, dm, begun, step_s)
        return begun

    def _water_wish(self, step_s: float, night: bool) -> None:
        """Whether the tank is to be charged: by its layers' mean, at most an hour at once, and each
        night to a little more."""
        plan, low_c = self.plan, self.low_c
        sensor_c = 0.5 * (self.top_c + low_c)
        charging = self.water & self.on
        self.water_s = np.where(charging, self.water_s + step_s,
                                np.maximum(self.water_s - 2.0 * step_s, 0.0))
        self.tired = (self.tired & (self.water_s > 0.0)) | (self.water_s > LONGEST_WATER_S)
        if night:
            self.night = ~self.tired
        self.night = self.night & (low_c < plan.water_stop_c + NIGHT_EXTRA_K) & ~self.tired
        wish = (self.want_water & (low_c < plan.water_stop_c)) | (
            sensor_c < plan.water_start_c)
        self.want_water = (wish & ~self.tired) | self.night

    def _auxiliary(self, heated: Bools, dm: F64) -> None:
        """Steps on where degree minutes lie far below the start, off one step later."""
        lacking = (self.plan.dm_start - AUXILIARY_DIFFERENCE - dm) / AUXILIARY_STEP
        most = np.minimum(np.floor(lacking) + 2.0, float(AUXILIARY_STEPS))
        steps = np.maximum(np.minimum(self.steps, most), np.minimum(
            np.floor(lacking) + 1.0, float(AUXILIARY_STEPS)))
        self.steps = np.where(heated, np.maximum(steps, 0.0), 0.0)

    def _regulate(self, off_c: F64, dm: F64, begun: Bools, step_s: float) -> None:
        """Speed so that degree minutes stay half-way to the start: a slow integral."""
        half = 0.5 * self.plan.dm_start
        ahead_k = np.clip((half - dm) / 15.0, -1.5, 3.0)
        faster = 0.02 * (ahead_k - off_c) * (step_s / 60.0)
        least = self.plan.machine.least_speed
        speed = np.where(begun, 0.4, np.clip(self.speed + np.clip(faster, -0.1, 0.1), least, 1.0))
        self.speed = np.where(self.water, WATER_SPEED, speed)

    def _water_base(self, damage: Damage) -> F64:
        """Mean temperature of the water in the condenser [degC]."""
        at_tank = self._at_tank(damage)
        return np.where(at_tank, self.low_c + self.heat_w / COIL_W_PER_K, self.loop_c)

    def _at_tank(self, damage: Damage) -> Bools:
        if damage.stuck is None:
            return self.water & ~self.defrost
        return self.on & damage.stuck & ~self.defrost

    def _flow(self, weather: Weather, step_s: float, damage: Damage) -> tuple[F64, ...]:
        """Let heat flow for a step; the flows as the last COLUMNS."""
        plan = self.plan
        at_tank = self._at_tank(damage)
        heat_w, compressor_w = self._circuit(weather, step_s, damage)
        shell_w = SHELL_SHARE * compressor_w
        source_w = heat_w - compressor_w + shell_w
        auxiliary_w = self.steps * (plan.auxiliary_w / AUXILIARY_STEPS)
        water_w, water_auxiliary_w = heat_w * at_tank, auxiliary_w * at_tank
        to_loop_w = heat_w + auxiliary_w - water_w - water_auxiliary_w
        emitted_w, lost_w = self._house(weather, to_loop_w, step_s, damage)
        drawn_w, tank_lost_w = self._tank(weather, water_w + water_auxiliary_w, step_s)
        if not self._air:
            self._ground(weather, source_w, step_s)
        target_c = self.loop_c + np.where(
            self.on, 32.0 + 45.0 * (1.0 - damage.charge), -5.0)
        self.gas_c = self.gas_c + (target_c - self.gas_c) * min(step_s / GAS_S, 1.0)
        self.heat_w = heat_w
        return (heat_w, water_w, auxiliary_w, water_auxiliary_w, np.maximum(heat_w, 0.0),
                compressor_w, source_w, shell_w, emitted_w, drawn_w, tank_lost_w, lost_w,
                weather.gain_w, compressor_w * self.water)

    def _circuit(self, weather: Weather, step_s: float, damage: Damage) -> tuple[F64, F64]:
        """Heat from the condenser and electric power of the compressor [W]."""
        machine = self.plan.machine
        source_c = weather.outdoor_c if self._air else self.brine_c
        if damage.brine < 1.0:
            source_c = source_c - 1.75 * (1.0 / damage.brine - 1.0)
        water_c = self._water_base(damage) + self._half_k * self.heat_w
        cop = np.maximum(machine.cop(source_c, water_c), LEAST_COP)
        duty_w = machine.duty_w(source_c, water_c)
        if machine.regulated:
            heat_w = duty_w * self.speed
            compressor_w = heat_w / cop
        else:
            compressor_w = np.maximum(duty_w, LEAST_POWER_W)
            heat_w = compressor_w * cop
        if damage.charge < 1.0:
            heat_w = heat_w * damage.charge
            compressor_w = compressor_w * (0.6 + 0.4 * damage.charge)
        if self._air:
            nominal_w = machine.nominal_w
            heat_w = np.where(self.defrost, DEFROST_SHARE * nominal_w, heat_w)
            compressor_w = np.where(self.defrost, DEFROST_POWER_SHARE * nominal_w, compressor_w)
            grown = np.where(self.defrost, -1.0 / DEFROST_S, weather.frost_per_s * self.speed)
            self.frost = self.frost + grown * self.on * step_s
        return heat_w * self.on, compressor_w * self.on

    def _house(self, weather: Weather, to_loop_w: F64, step_s: float, damage: Damage,
               ) -> tuple[F64, F64]:
        """Radiators, air and walls; what the radiators emit and the house loses [W]."""
        plan = self.plan
        open_share = np.clip(1.0 - (self.air_c - (plan.indoor_c + THERMOSTAT_C)) / THERMOSTAT_K,
                             THERMOSTAT_LEAST, 1.0) * plan.radiator_w_per_k
        flowing = STANDING_SHARE + (1.0 - STANDING_SHARE) * weather.heated
        emitted_w = open_share * (self.loop_c - self.air_c) * flowing
        lost_w = plan.ua_w_per_k * (self.air_c - weather.outdoor_c)
        between_w = plan.air_mass_w_per_k * (self.mass_c - self.air_c)
        loop_l = plan.loop_l * (SHORT_LOOP_SHARE if damage.short else 1.0)
        self.loop_c = self.loop_c + (to_loop_w - emitted_w) * (step_s / (loop_l * WATER_J))
        self.air_c = self.air_c + (emitted_w + weather.gain_w + between_w - lost_w) * (
            step_s / plan.air_j_per_k)
        self.mass_c = self.mass_c - between_w * (step_s / plan.mass_j_per_k)
        return emitted_w, lost_w

    def _tank(self, weather: Weather, heat_w: F64, step_s: float) -> tuple[F64, F64]:
        """Two layers, the lower one charged; what is drawn and what is lost [W]."""
        plan = self.plan
        half_l = plan.tank_l / 2.0
        top_c, low_c = self.top_c, self.low_c
        moved_l = weather.draw_lps * step_s
        drawn_w = weather.draw_lps * WATER_J * (top_c - COLD_WATER_C)
        loss_w = plan.tank_ua_w_per_k * (top_c - CELLAR_C)
        factor = step_s / (half_l * WATER_J)
        new_top = top_c + (low_c - top_c) * (moved_l / half_l) - loss_w * factor
        new_low = low_c + (COLD_WATER_C - low_c) * (moved_l / half_l) + heat_w * factor
        mixed = np.maximum(new_low - new_top, 0.0) * 0.5
        self.top_c, self.low_c = new_top + mixed, new_low - mixed
        return drawn_w, loss_w

    def _ground(self, weather: Weather, source_w: F64, step_s: float) -> None:
        """The hole cools as heat is taken out of it and warms up from far away."""
        near_w = self._near_w_per_k * (self.ground_c - self.brine_c)
        far_w = self._far_w_per_k * (
            GROUND_C + self.plan.outdoor_offset_c - self.ground_c)
        self.brine_c = self.brine_c + (near_w - source_w) * (step_s / BRINE_J_PER_K)
        self.ground_c = self.ground_c + (far_w - near_w) * (step_s / self._ground_j_per_k)
