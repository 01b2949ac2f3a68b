"""The vocabulary of the devices beside the battery tree: what a channel may measure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a channel measures; `name` carries the unit (law 2). `plausible`: bounds outside of
    which a reading is refused at the source's boundary, not limits of safe operation."""

    name: str
    label: str
    unit: str
    decimals: int
    plausible: tuple[float, float]


WATER_C, BRINE_C, SWITCH, SHARE = (-20.0, 120.0), (-40.0, 60.0), (0.0, 1.0), (0.0, 100.0)
COUNTER, OF_AN_HOUR = (0.0, 1e8), (0.0, 200.0)

OF_HOUSES: tuple[Quantity, ...] = (
    Quantity("solar_power_kw", "Solar", "kW", 2, (0.0, 1e5)),
    Quantity("load_power_kw", "Load", "kW", 2, (0.0, 1e5)),
    Quantity("grid_power_kw", "Grid", "kW", 2, (-1e5, 1e5)),
    Quantity("battery_power_kw", "Battery", "kW", 2, (-1e5, 1e5)),
    Quantity("soc_pct", "State of charge", "%", 1, (0.0, 100.0)),
    Quantity("voltage_v", "Voltage", "V", 2, (0.0, 2000.0)),
    Quantity("current_a", "Current", "A", 1, (-1e5, 1e5)),
    Quantity("temperature_c", "Temperature", "°C", 1, (-60.0, 150.0)),
    Quantity("soh_pct", "State of health", "%", 0, (0.0, 110.0)),
    Quantity("lowest_cell_v", "Lowest cell", "V", 3, (0.0, 10.0)),
    Quantity("highest_cell_v", "Highest cell", "V", 3, (0.0, 10.0)),
    Quantity("consumed_ah", "Drawn since full", "Ah", 1, (0.0, 1e6)),
    Quantity("time_to_go_s", "Time to go", "s", 0, (0.0, 1e8)),
    Quantity("deepest_discharge_ah", "Deepest discharge", "Ah", 0, (0.0, 1e6)),
    Quantity("last_discharge_ah", "Last discharge", "Ah", 0, (0.0, 1e6)),
    Quantity("average_discharge_ah", "Average discharge", "Ah", 0, (0.0, 1e6)),
    Quantity("total_drawn_ah", "Drawn in all", "Ah", 0, (0.0, 1e9)),
    Quantity("charge_cycles", "Charge cycles", "", 0, (0.0, 1e6)),
    Quantity("since_full_s", "Since full", "s", 0, (0.0, 1e10)),
    Quantity("import_price_per_kwh", "Price of import", "/kWh", 3, (-100.0, 100.0)),
    Quantity("export_price_per_kwh", "Price of export", "/kWh", 3, (-100.0, 100.0)),
    Quantity("battery_discharge_kw", "Battery, out", "kW", 2, (0.0, 1e5)),
    Quantity("battery_charge_kw", "Battery, in", "kW", 2, (0.0, 1e5)),
    Quantity("grid_import_kw", "Grid, in", "kW", 2, (0.0, 1e5)),
    Quantity("grid_export_kw", "Grid, out", "kW", 2, (0.0, 1e5)),
)

OF_HEAT_PUMPS: tuple[Quantity, ...] = (
    Quantity("outdoor_c", "Outdoor", "°C", 1, (-60.0, 60.0)),
    Quantity("indoor_c", "Indoor", "°C", 1, (-30.0, 60.0)),
    Quantity("radiator_supply_c", "Radiators, out", "°C", 1, WATER_C),
    Quantity("radiator_return_c", "Radiators, back", "°C", 1, WATER_C),
    Quantity("condenser_out_c", "Heat carrier, out", "°C", 1, WATER_C),
    Quantity("condenser_in_c", "Heat carrier, in", "°C", 1, WATER_C),
    Quantity("brine_in_c", "Brine, in", "°C", 1, BRINE_C),
    Quantity("brine_out_c", "Brine, out", "°C", 1, BRINE_C),
    Quantity("evaporator_c", "Evaporator", "°C", 1, (-60.0, 60.0)),
    Quantity("hot_water_c", "Hot water, top", "°C", 1, WATER_C),
    Quantity("hot_water_low_c", "Hot water, low", "°C", 1, WATER_C),
    Quantity("hot_gas_c", "Hot gas", "°C", 1, (-60.0, 180.0)),
    Quantity("suction_gas_c", "Suction gas", "°C", 1, (-60.0, 120.0)),
    Quantity("liquid_line_c", "Liquid line", "°C", 1, (-60.0, 120.0)),
    Quantity("supply_setpoint_c", "Supply, wanted", "°C", 1, WATER_C),
    Quantity("hot_water_setpoint_c", "Hot water, wanted", "°C", 1, WATER_C),
    Quantity("indoor_setpoint_c", "Indoor, wanted", "°C", 1, (-30.0, 60.0)),
    Quantity("electric_power_kw", "Electric power", "kW", 2, (0.0, 1e3)),
    Quantity("compressor_power_kw", "Compressor's power", "kW", 2, (0.0, 1e3)),
    Quantity("auxiliary_power_kw", "Auxiliary heater", "kW", 2, (0.0, 1e3)),
    Quantity("heat_power_kw", "Heat", "kW", 2, (-1e3, 1e3)),
    Quantity("auxiliary_pct", "Auxiliary heater", "%", 0, SHARE),
    Quantity("compressor_pct", "Compressor's speed", "%", 0, (0.0, 150.0)),
    Quantity("compressor_hz", "Compressor's speed", "Hz", 0, (0.0, 300.0)),
    Quantity("brine_pump_pct", "Brine pump's speed", "%", 0, SHARE),
    Quantity("radiator_pump_pct", "Heating pump's speed", "%", 0, SHARE),
    Quantity("fan_pct", "Fan's speed", "%", 0, SHARE),
    Quantity("compressor_on", "Compressor", "", 0, SWITCH),
    Quantity("auxiliary_1_on", "Auxiliary, step 1", "", 0, SWITCH),
    Quantity("auxiliary_2_on", "Auxiliary, step 2", "", 0, SWITCH),
    Quantity("brine_pump_on", "Brine pump", "", 0, SWITCH),
    Quantity("radiator_pump_on", "Heating pump", "", 0, SWITCH),
    Quantity("hot_water_valve", "Valve to hot water", "", 0, SWITCH),
    Quantity("defrost_on", "Defrost", "", 0, SWITCH),
    Quantity("alarm_on", "Alarm", "", 0, SWITCH),
    Quantity("alarm_code", "Alarm code", "", 0, (0.0, 65535.0)),
    Quantity("alarm_bits", "Alarm bits", "", 0, (0.0, 4294967295.0)),
    Quantity("flow_lpm", "Flow", "l/min", 1, (0.0, 1e3)),
    Quantity("degree_minutes", "Degree minutes", "°min", 0, (-30000.0, 30000.0)),
    Quantity("electricity_kwh", "Electricity, counted", "kWh", 1, COUNTER),
    Quantity("auxiliary_kwh", "Auxiliary, counted", "kWh", 1, COUNTER),
    Quantity("heat_kwh", "Heat, counted", "kWh", 1, COUNTER),
    Quantity("space_heat_kwh", "Heat to the house, counted", "kWh", 1, COUNTER),
    Quantity("water_heat_kwh", "Heat to hot water, counted", "kWh", 1, COUNTER),
    Quantity("space_heat_hour_kwh", "Heat to the house, last hour", "kWh", 2, OF_AN_HOUR),
    Quantity("water_heat_hour_kwh", "Heat to hot water, last hour", "kWh", 2, OF_AN_HOUR),
    Quantity("cooling_hour_kwh", "Cooling, last hour", "kWh", 2, OF_AN_HOUR),
    Quantity("space_electricity_hour_kwh", "Electricity for the house, last hour", "kWh", 2,
             OF_AN_HOUR),
    Quantity("water_electricity_hour_kwh", "Electricity for hot water, last hour", "kWh", 2,
             OF_AN_HOUR),
    Quantity("cooling_electricity_hour_kwh", "Electricity for cooling, last hour", "kWh", 2,
             OF_AN_HOUR),
    Quantity("space_auxiliary_hour_kwh", "Auxiliary for the house, last hour", "kWh", 2,
             OF_AN_HOUR),
    Quantity("water_auxiliary_hour_kwh", "Auxiliary for hot water, last hour", "kWh", 2,
             OF_AN_HOUR),
    Quantity("compressor_h", "Compressor's hours", "h", 0, COUNTER),
    Quantity("compressor_space_h", "Compressor's hours, heating", "h", 0, COUNTER),
    Quantity("compressor_water_h", "Compressor's hours, hot water", "h", 0, COUNTER),
    Quantity("auxiliary_h", "Auxiliary's hours", "h", 0, COUNTER),
    Quantity("auxiliary_1_h", "Auxiliary's hours, step 1", "h", 0, COUNTER),
    Quantity("auxiliary_2_h", "Auxiliary's hours, step 2", "h", 0, COUNTER),
    Quantity("compressor_starts", "Compressor's starts", "", 0, COUNTER),
)

QUANTITIES = OF_HOUSES + OF_HEAT_PUMPS
QUANTITY: dict[str, Quantity] = {quantity.name: quantity for quantity in QUANTITIES}

SPLIT: dict[str, tuple[str, str]] = {
    "battery_power_kw": ("battery_discharge_kw", "battery_charge_kw"),
    "grid_power_kw": ("grid_import_kw", "grid_export_kw"),
}
"""Signed quantity -> its positive and its negative part. History keeps the parts as channels of
their own: the mean of an hour that charged and discharged says nothing about either."""
