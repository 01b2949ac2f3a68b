"""Where the energy comes from and goes, and what came of it: Sankey, COP, runtimes."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from components import blocks, charts, formats
from components.api_client import Client
from components.blocks import Html, LegendItem
from components.pump import charts as plots
from components.pump import past, words
from components.pump.lines import means, runs
from components.pump.shown import frame_of, link, view_of
from components.sankey import Stream, sankey
from core.devices import Device
from core.heatpump import switches
from core.heatpump.account import BASES, FINE_CELLS_S, Account, Basis
from core.heatpump.cop import Part, cop_over, cop_series
from core.heatpump.energies import Energies
from core.heatpump.log import Floats, PumpLog
from core.heatpump.report import Report, Window
from core.heatpump.runtimes import Runtimes

HEIGHT_PX = 300
BUCKETS: tuple[tuple[float, float], ...] = (
    (6 * 3600.0, 900.0), (26 * 3600.0, 3600.0), (8 * 86400.0, 3 * 3600.0))
DAY_S = 86400.0
MOST_RUNS, WIDE_STRETCHES = 100, 200
ESTIMATES = ("Of so long a time only hours are read: what went to the house and what to hot water "
             "is estimated by their running.")
LEAST_SHARE = 1e-4
"""Less of the balance is rounding."""
PARTS: dict[str, tuple[Part, str]] = {
    "To the house": ("space", "heat"), "Hot water": ("water", "water")}


def show(client: Client, device: Device, shown: Window) -> None:
    report = past.told(client, device, shown)
    with st.container(key="pump_halves"):
        _sankey(report)
        _cop(report)


def _sankey(report: Report) -> None:
    found = report.energies
    with st.container(key="panel_pump_sankey", gap=None):
        if found is None or found.reason or not found.inputs > 0:
            why = (words.no_cop(report.account.possible, report.pump) if report.basis is None
                   else "The pump did not run in this time.")
            blocks.show(blocks.heading("Energy"), words.missing_box("No balance", why))
            return
        blocks.show(blocks.heading("Energy", _free(report, found)))
        into, out = _streams(found, report.pump.medium == "air")
        charts.show(sankey(into, out, "Heat pump", st.context.theme.type), key="pump_sankey",
                    height=HEIGHT_PX, alt=_balance(into, out), view="sankey")


def _free(report: Report, found: Energies) -> str:
    known = "" if found.coverage > 0.995 else f", {100 * found.coverage:.0f} % of the time known"
    how = words.basis_line(report.basis, report.account)
    return (f"{100 * found.free_share:.0f} % free energy, {how}{known}"
            + (", the meters disagree" if found.meters_disagree else ""))


def _streams(found: Energies, air: bool) -> tuple[list[Stream], list[Stream]]:
    """In and out; where the meters disagree the difference stands on the side that lacks it."""
    into = [Stream("Outdoor air" if air else "Ground", found.source_heat, "charge"),
            Stream("Electricity", found.electricity, "grid"),
            Stream("Auxiliary", _or_zero(found.auxiliary), "discharge")]
    out = [Stream("House", found.space_heat, "heat"),
           Stream("Hot water", found.water_heat, "water"),
           Stream("Not told apart", found.unsorted_heat, "text3"),
           Stream("Standby and losses", max(found.losses, 0.0), "idle")]
    if found.losses < 0:
        into.append(Stream("Not explained", -found.losses, "idle"))
    return into, [one for one in out if one.kwh > LEAST_SHARE * found.inputs]


def _or_zero(kwh: float) -> float:
    return kwh if math.isfinite(kwh) else 0.0


def _balance(into: list[Stream], out: list[Stream]) -> str:
    told = [", ".join(f"{one.name} {formats.energy(one.kwh)}" for one in side if one.kwh > 0)
            for side in (into, out)]
    return f"Energy in: {told[0]}. Energy out: {told[1]}."


def _cop(report: Report) -> None:
    with st.container(key="panel_pump_cop", gap=None):
        possible = [basis for basis in BASES if not report.account.possible[basis]]
        legend = blocks.legend([LegendItem("All", "text3", "area"), *(
            LegendItem(name, hue, "point") for name, (_, hue) in PARTS.items())])
        blocks.show(blocks.heading("COP over time", legend))
        if not possible or report.basis is None:
            blocks.show(words.missing_box("No COP", words.no_cop(report.account.possible,
                                                                 report.pump)))
            return
        with st.container(key="pump_cop_tools", horizontal=True, vertical_alignment="center"):
            basis = _chosen_basis(possible, report.basis, report.account)
            auxiliary = st.toggle("With auxiliary heat", value=True, key="pump_cop_auxiliary")
        bucket_s = _bucket_s(report.window.seconds)
        whole = cop_series(report.account, basis, "all", auxiliary, bucket_s)
        mean = cop_over(report.account, basis, "all", auxiliary)
        if not np.isfinite(whole.cop).any():
            blocks.show(words.missing_box("No COP in this time", words.reason(
                mean.reason or "not_running", report.pump)))
            return
        parts = {name: (one.time_s, one.cop, hue) for name, (part, hue) in PARTS.items()
                 if np.isfinite((one := cop_series(report.account, basis, part, auxiliary,
                                                   bucket_s)).cop).any()}
        charts.show(plots.cop((whole.time_s, whole.cop), parts, whole.bucket_s, mean.value,
                              frame_of(report)), key="pump_cop",
                    height=HEIGHT_PX - 60, view=view_of(report), link=link(report),
                    alt=f"COP by {words.basis_words(basis, report.account)}, mean "
                        f"{formats.number(mean.value, 2)}")
        if parts and report.account.parts_are_estimates(basis):
            blocks.show(blocks.note(ESTIMATES))


def _chosen_basis(possible: list[Basis], best: Basis, account: Account) -> Basis:
    kept = st.session_state.get("pump_basis")
    chosen = st.selectbox(
        "How the COP is known", possible, key="pump_basis_choice", label_visibility="collapsed",
        index=possible.index(kept if kept in possible else best),
        format_func=lambda basis: f"Tier {words.TIERS[basis]}: "
                                  f"{words.basis_words(basis, account)}")
    st.session_state["pump_basis"] = chosen
    return chosen


def _bucket_s(seconds: float) -> float:
    return next((bucket for most, bucket in BUCKETS if seconds <= most), DAY_S)


def runtime(client: Client, device: Device, shown: Window) -> None:
    """What ran when, and how the time was shared."""
    report = past.told(client, device, shown)
    with st.container(key="panel_pump_runtime", gap=None):
        ran = report.runtimes
        blocks.show(blocks.heading("What ran when", _known(ran)))
        if not ran.known_h > 0:
            blocks.show(words.missing_box("Nothing known", "Nobody heard whether the compressor "
                                          "ran in this time."))
            return
        blocks.show(_strips(report), _shares(ran))


def _known(ran: Runtimes) -> str:
    gone = "" if ran.unknown_h < 0.05 else f", {formats.number(ran.unknown_h, 1)} h not known"
    return f"of {formats.number(ran.known_h, 1)} h{gone}"


def _strips(report: Report) -> Html:
    log = report.log
    rows = [("Compressor", "text", switches.compressor(log)),
            ("Hot water", "water", switches.water(log)),
            ("Auxiliary heat", "discharge", switches.auxiliary(log, report.pump)),
            ("Defrost", "charge", switches.defrost(log))]
    told = [_strip(log, name, hue, share) for name, hue, share in rows
            if np.isfinite(share).any()]
    return Html(f'<div class="o o-strips">{"".join(told)}</div>')


def _strip(log: PumpLog, name: str, hue: str, share: Floats) -> str:
    begin_s, length_s = float(log.time_s[0]), log.end_s - float(log.time_s[0])
    width = max(length_s / 1200, 1.0)
    parts = "".join(
        f'<i style="left:{100 * (start - begin_s) / length_s:.2f}%;'
        f'width:{100 * max(end - start, width) / length_s:.2f}%;opacity:{on:.2f}"></i>'
        for start, end, on in _stretches(log, share))
    return (f'<span>{name}</span><div class="bar" style="--c:var(--o-{hue})">{parts}</div>'
            f"<b>{100 * float(np.nanmean(share)):.0f} %</b>")


def _stretches(log: PumpLog, share: Floats) -> list[tuple[float, float, float]]:
    """From, to [s] and how much it was on: 1, or, where it went on and off more often than can be
    drawn apart, the share of each of equal stretches."""
    found = runs(log, share) if log.step_s <= FINE_CELLS_S else []
    if 0 < len(found) <= MOST_RUNS:
        return [(start, end, 1.0) for start, end in found]
    begins_s, mean = means(log, share, WIDE_STRETCHES)
    ends_s = np.append(begins_s[1:], log.end_s)
    return [(start, end, on) for start, end, on in zip(
        begins_s.tolist(), ends_s.tolist(), mean.tolist(), strict=True) if on > 0]


def _shares(ran: Runtimes) -> Html:
    """The whole of the known time, by share."""
    parts = [("Heating", ran.compressor_space + ran.compressor_unsorted, "heat"),
             ("Hot water", ran.compressor_water, "water"),
             ("Compressor and auxiliary", ran.overlap, "grid"),
             ("Auxiliary alone", ran.auxiliary, "discharge"),
             ("Defrost", ran.defrost, "charge"), ("Idle", ran.idle, "idle")]
    told = "".join(
        f'<div style="--c:var(--o-{hue});flex-grow:{max(share, 0.001):.4f}" '
        f'title="{name} {100 * share:.1f} %"><span>{name}</span>'
        f"<b>{blocks.html(formats.quantity(100 * share, '%', 0 if share > 0.1 else 1))}</b></div>"
        for name, share, hue in parts if share > 0)
    label = ", ".join(f"{name} {100 * share:.1f} %" for name, share, _ in parts)
    return Html(f'<div class="o o-share" role="img" aria-label="{label}">{told}</div>')
