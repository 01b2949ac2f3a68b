"""The pump as a picture: where the heat comes from, the compressor, where the heat goes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from components import blocks, formats
from components.blocks import Html
from core.heatpump.standing import compressor_now
from core.told import DeviceNow

RUNNING = 0.5


@dataclass(frozen=True, slots=True)
class Pipe:
    """One pipe with the temperature of what flows in it [°C]; way: "in" runs to the right."""

    name: str
    celsius: float
    stale: bool
    way: str
    hue: str


@dataclass(frozen=True, slots=True)
class Parts:
    """What the picture shows, NaN = not known. Switches are shares 0..1."""

    compressor: float
    valve: float
    brine_pump: float
    heating_pump: float
    auxiliary: float
    defrost: float


def parts_of(now: DeviceNow) -> Parts:
    auxiliary = now.value("auxiliary_pct") / 100
    for name in ("auxiliary_1_on", "auxiliary_2_on"):
        auxiliary = _higher(auxiliary, now.value(name))
    kw = now.value("auxiliary_power_kw")
    if math.isfinite(kw):
        auxiliary = _higher(auxiliary, float(kw > 0.05))
    return Parts(compressor_now(now), now.value("hot_water_valve"),
                 now.value("brine_pump_on"), now.value("radiator_pump_on"), auxiliary,
                 now.value("defrost_on"))


def _higher(one: float, other: float) -> float:
    return other if math.isnan(one) else one if math.isnan(other) else max(one, other)


def picture(now: DeviceNow) -> Html:
    """Source, compressor, valve, radiators and tank with temperatures on the pipes."""
    parts = parts_of(now)
    air = now.device.pump is not None and now.device.pump.medium == "air"
    to_water, to_rooms = parts.valve >= RUNNING, parts.valve < RUNNING
    runs = parts.compressor >= RUNNING
    source = _box("air" if air else "landscape", "Outdoor air" if air else "Ground", [
        _reading(now, "outdoor_c", "" if air else "outdoor")], runs)
    cold = _pipes([_pipe(now, "brine_in_c" if not air else "outdoor_c", "in", "in", "charge"),
                   _pipe(now, "brine_out_c" if not air else "evaporator_c", "out", "out",
                         "charge")], runs)
    warm = _pipes([_pipe(now, _first(now, "condenser_out_c", "radiator_supply_c"), "out", "in",
                         "heat"),
                   _pipe(now, _first(now, "condenser_in_c", "radiator_return_c"), "back", "out",
                         "heat")], runs)
    ends = (_box("thermostat", "Radiators", [_reading(now, "indoor_c", "indoor")],
                 runs and to_rooms, hue="heat")
            + _box("water_heater", "Hot water tank", [_reading(now, "hot_water_c", "")],
                   runs and to_water, hue="water"))
    return Html(f'<div class="o o-hp" role="img" aria-label="{escape(said(now, parts))}">'
                f"{source}{cold}{_compressor(now, parts)}{warm}{_valve(parts)}"
                f'<div class="ends">{ends}</div></div>')


def said(now: DeviceNow, parts: Parts) -> str:
    """The picture in one sentence."""
    water = formats.quantity(now.value("hot_water_c"), "°C", 1)
    return (f"Compressor {_word(parts.compressor, 'runs', 'stands')}, valve to "
            f"{_word(parts.valve, 'hot water', 'the radiators')}, hot water {water}")


def _first(now: DeviceNow, *names: str) -> str:
    """The first quantity that the pump tells."""
    return next((name for name in names if math.isfinite(now.value(name))), names[0])


def _word(share: float, on: str, off: str, unknown: str = "not known") -> str:
    if math.isnan(share):
        return unknown
    return on if share >= RUNNING else off


def _reading(now: DeviceNow, quantity: str, word: str) -> str:
    told = now.told(quantity)
    if told is None:
        return "<em>not measured</em>"
    text = blocks.html(formats.quantity(told.value, "°C", 1))
    old = " old" if told.stale else ""
    return f'<b class="{old.strip()}">{text}</b> <em>{escape(word)}</em>'


def _box(icon: str, name: str, lines: list[str], active: bool, hue: str = "charge") -> str:
    state, told = " on" if active else "", "".join(f"<div>{line}</div>" for line in lines)
    return (f'<div class="bx{state}" style="--c:var(--o-{hue})">{blocks.symbol(icon)}'
            f"<div><span>{name}</span>{told}</div></div>")


def _compressor(now: DeviceNow, parts: Parts) -> str:
    lines = [f"<em>{_word(parts.compressor, 'running', 'standing')}</em>"]
    kw = now.value("electric_power_kw")
    if math.isfinite(kw):
        lines.append(f"<b>{blocks.html(formats.power(kw))}</b>")
    if parts.defrost >= RUNNING:
        lines.append("<em>defrosting</em>")
    if parts.auxiliary > 0:
        lines.append("<em>with auxiliary heat</em>")
    return _box("heat_pump", "Compressor", lines, parts.compressor >= RUNNING, hue="text3")


def _valve(parts: Parts) -> str:
    word = _word(parts.valve, "to hot water", "to radiators", "position not told")
    return f'<div class="vl">{blocks.symbol("valve")}<em>{word}</em></div>'


def _pipe(now: DeviceNow, quantity: str, name: str, way: str, hue: str) -> Pipe:
    told = now.told(quantity)
    return Pipe(name, math.nan if told is None else told.value,
                told is not None and told.stale, way, hue)


def _pipes(pipes: list[Pipe], runs: bool) -> str:
    return f'<div class="pp">{"".join(_line(pipe, runs) for pipe in pipes)}</div>'


def _line(pipe: Pipe, runs: bool) -> str:
    old = " old" if pipe.stale else ""
    return (f'<div class="pl {pipe.way}{" run" if runs else ""}{old}" '
            f'style="--c:var(--o-{pipe.hue})"><span>{pipe.name} '
            f"{blocks.html(formats.quantity(pipe.celsius, '°C', 1))}</span><i></i></div>")
