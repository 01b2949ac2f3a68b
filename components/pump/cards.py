"""Six numbers of the shown time, each against the period before and with its formula."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import streamlit as st

from components import blocks, formats
from components.api_client import Client
from components.blocks import Html
from components.formats import Text
from components.pump import past, words
from components.pump.lines import means
from core.devices import Device
from core.heatpump.change import Change
from core.heatpump.report import Report, Window

SPARK_POINTS = 60
STILL = 0.005
KNOWN_SHARE = 0.99
RATED_FROM_DAYS = 0.9
FORMULAS = (
    ("COP", "Sum of heat over sum of electricity, over the moments in which both are known, the "
            "auxiliary heater and standstill included. Tier 1: heat meter or the pump's own "
            "energy log; tier 2: measured flow x 4.186 kJ/(kg K) x (out \u2212 back); tier 3: "
            "the same with an assumed flow, while the compressor runs; tier 4: the maker's "
            "performance map at brine (or outdoor) and flow temperature, \u201calone\u201d where "
            "it stands for the electricity too. Never cut off at a limit, never filled in."),
    ("Compressor", "Sum of the time in which the compressor ran, and its share of the time that "
                   "is known."),
    ("Hot water", "Mean of the tank's upper sensor; the last reading stands below."),
    ("Energy and cost", "Sum of electric power x time, or the counter's increase; cost = energy x "
                        "the price of the house's tariff at that time."),
    ("Auxiliary heat", "Sum of the time in which the auxiliary heater was on, in any step."),
    ("Hot-water cycles", "Turns of the valve to hot water that lasted 2 minutes or more, over the "
                         "days that are known; a cycle that is cut by the window's edge is counted "
                         "where it begins."),
)


def show(client: Client, device: Device, shown: Window) -> None:
    report = past.told(client, device, shown)
    blocks.show(blocks.heading("In this time", "against the same time before"),
                blocks.grid([_cop(report), _compressor(report), _water(client, report),
                             _energy(report), _auxiliary(report), _cycles(report)], columns=6))


def formulas(device: Device) -> None:
    """What each number means."""
    with st.expander("How these numbers come about", icon=":material/functions:"):
        st.markdown("\n".join(f"- **{name}**: {text}" for name, text in FORMULAS))
        if device.pump is not None and device.pump.performance is not None:
            st.markdown(blocks.markdown(f"Performance map: {device.pump.performance.model}, "
                                        f"{device.pump.performance.cited}"))


def trend(change: Change, written: Callable[[float], str]) -> tuple[str, str]:
    """Icon and words: "+0.3 against before"."""
    if not math.isfinite(change.difference):
        return "", "nothing to compare with"
    if abs(change.relative) < STILL or change.difference == 0:
        return "trending_flat", "as before"
    sign = "+" if change.difference > 0 else "\u2212"
    icon = "trending_up" if change.difference > 0 else "trending_down"
    return icon, f"{sign}{written(abs(change.difference))}"


def _card(label: str, reading: Text, change: Change, written: Callable[[float], str], *,
          note: str = "", hue: str = "", history: np.ndarray | None = None) -> Html:
    icon, said = trend(change, written)
    return blocks.card(label, reading, icon=icon, note=said, below=note, hue=hue,
                       history=history, help=dict(FORMULAS)[label])


def _cop(report: Report) -> Html:
    if report.basis is None:
        why = words.no_cop(report.account.possible, report.pump)
        return blocks.card("COP", Text(formats.MISSING, ""), note="not known", below=why)
    why = report.cops[report.basis].reason
    if why:
        return blocks.card("COP", Text(formats.MISSING, ""), note="not known",
                           below=f"{words.basis_line(report.basis, report.account)}: "
                                 f"{words.reason(why, report.pump)}", help=dict(FORMULAS)["COP"])
    return _card("COP", formats.quantity(report.figures.cop, "", 2), report.change("cop"),
                 lambda by: formats.number(by, 2),
                 note=words.basis_line(report.basis, report.account)
                 + _part(report, report.cops[report.basis].hours))


def _part(report: Report, known_h: float) -> str:
    """", 23.0 of 24.0 h known" where it is but a part of the time, else ""."""
    whole_h = report.log.size * report.log.step_h
    if not known_h < KNOWN_SHARE * whole_h:
        return ""
    return f", {formats.number(known_h, 1)} of {formats.number(whole_h, 1)} h known"


def _compressor(report: Report) -> Html:
    share = report.figures.compressor_share
    return _card("Compressor", formats.quantity(100 * share, "%", 0),
                 report.change("compressor_h"), lambda by: f"{formats.number(by, 1)} h",
                 note=_hours(report.figures.compressor_h),
                 history=means(report.log, report.account.compressor_on, SPARK_POINTS)[1])


def _water(client: Client, report: Report) -> Html:
    last = client.device_now(report.device).told("hot_water_c")
    if last is None:
        return blocks.card("Hot water", Text(formats.MISSING, "°C"), note="not measured here")
    reading = formats.quantity(report.figures.hot_water_c, "°C", 1)
    return _card("Hot water", reading, report.change("hot_water_c"),
                 lambda by: f"{formats.number(by, 1)} K", hue="water",
                 note=f"now {formats.quantity(last.usable, '°C', 1)}",
                 history=means(report.log, report.log.column("hot_water_c"), SPARK_POINTS)[1])


def _energy(report: Report) -> Html:
    kwh, cost = report.figures.electricity_kwh, report.figures.cost
    if not math.isfinite(kwh):
        why = words.no_electricity(report.pump)
        return blocks.card("Energy and cost", Text(formats.MISSING, "kWh"),
                           note="not known", below=why)
    paid = (f"{formats.number(cost, 0 if cost >= 100 else 1)} {report.currency}"
            if math.isfinite(cost) else "no tariff of this house")
    if report.account.electricity_from == "compressor_power_kw":
        paid += "; pumps not counted"
    paid += _part(report, report.figures.electricity_h)
    return _card("Energy and cost", formats.energy(kwh), report.change("electricity_kwh"),
                 lambda by: str(formats.energy(by)), note=paid, hue="grid",
                 history=means(report.log, report.account.electricity_kw, SPARK_POINTS)[1])


def _auxiliary(report: Report) -> Html:
    hours = report.figures.auxiliary_h
    if not math.isfinite(hours):
        return blocks.card("Auxiliary heat", Text(formats.MISSING, "h"), note="not told")
    return _card("Auxiliary heat", formats.quantity(hours, "h", 1),
                 report.change("auxiliary_h"), lambda by: f"{formats.number(by, 1)} h",
                 note=f"{formats.quantity(100 * report.figures.auxiliary_share, '%', 0)}",
                 hue="discharge")


def _cycles(report: Report) -> Html:
    found = report.water_cycles
    per_day = report.figures.water_cycles_per_day
    note = formats.counted(found.count, "cycle")
    if found.open:
        note += f", {found.open} cut by the edge"
    if found.too_coarse:
        return blocks.card("Hot-water cycles", Text(formats.MISSING, "/day"), hue="water",
                           note="not told", below=words.TOO_COARSE)
    if found.known_days < RATED_FROM_DAYS:
        return blocks.card("Hot-water cycles", Text(str(found.count), ""), hue="water",
                           note="in this time", help=dict(FORMULAS)["Hot-water cycles"],
                           below=f"{note}; a day's number needs most of a day")
    return _card("Hot-water cycles", formats.quantity(per_day, "/day", 1),
                 report.change("water_cycles_per_day"), lambda by: formats.number(by, 1),
                 note=note, hue="water")


def _hours(hours: float) -> str:
    return f"{formats.number(hours, 1)} h" if math.isfinite(hours) else "not known"
