"""All packs as CSV, and the last hours of one."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.csv
import streamlit as st

from components import blocks
from components.api_client import Client
from components.twin import board
from components.twin.choice import Wish
from core.clock import from_epoch
from core.csv_text import safe_cell
from core.frames import Frame
from core.topology import Topology
from core.twin.desk import Site
from core.twin.interval import SIGMAS
from core.twin.study import Study

MOST_NAME = 80
"""Characters of a pack's id in the name of a file."""


def menu(client: Client) -> None:
    """Behind a button, in a part that nothing refreshes: a file has the moment that it was opened
    at."""
    st.fragment(_menu, key="twin_take")(client)


def _menu(client: Client) -> None:
    files = st.popover("Export", icon=":material/download:", key="twin_files", type="tertiary",
                       on_change="rerun")
    site = client.twin_site()
    if files.open and not isinstance(site, str):
        frame = client.snapshot().frame
        with files:
            st.download_button("CSV of all packs", table(site, client.topology, frame),
                               f"digital_twin_{frame.time:%Y%m%dT%H%M%SZ}.csv", "text/csv",
                               key="twin_csv", on_click="ignore", icon=":material/table:")


def pack_menu(client: Client, pack: str) -> None:
    """As `menu`, of one pack."""
    st.fragment(_pack_menu, key="twin_take_pack")(client, pack)


def _pack_menu(client: Client, pack: str) -> None:
    files = st.popover("Export", icon=":material/download:", key="twin_pack_files",
                       type="tertiary", on_change="rerun")
    study = client.twin_study(pack)
    if not files.open:
        return
    with files:
        if study is None:
            blocks.show(blocks.note("Its last hours are being read."))
            return
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", pack)[-MOST_NAME:]
        st.download_button("CSV of its last hours", record(study),
                           f"{name}_{study.judged.at:%Y%m%dT%H%M%SZ}.csv", "text/csv",
                           key="twin_pack_csv", on_click="ignore", icon=":material/table:")


def record(study: Study) -> bytes:
    """What the charts of a pack's last hours show, a row a moment of its record; what is not known
    is empty. Intervals hold 90 %; + is discharging."""
    told, found = study.past.record, study.followed
    columns: dict[str, list[object]] = {
        "time": [from_epoch(moment).isoformat(timespec="seconds")
                 for moment in told.time_s.tolist()],
        "current_a": _numbers(told.current_a),
        "measured_v": _numbers(told.voltage_v),
        "modelled_v": _numbers(found.modelled_v),
        "residual_mv": _numbers(1000 * found.residual_v),
        "soc_pct": _numbers(100 * found.soc),
        "soc_half_interval_pct": _numbers(100 * SIGMAS * found.soc_sigma),
        "soc_reported_pct": _numbers(study.past.soc_pct),
        "resistance_ratio": _numbers(found.resistance),
        "resistance_half_interval": _numbers(SIGMAS * found.resistance_sigma),
        "temperature_c": _numbers(study.past.temperature_c),
    }
    return _csv(columns)


def table(site: Site, topology: Topology, frame: Frame) -> bytes:
    """One row a pack, worst first; what is not known is empty; a life, or a bound of it, of inf is
    beyond what is told, 100 years at most. Intervals hold 90 %."""
    order = board.wanted(site, topology, frame, Wish())
    nodes = site.table.packs[order].tolist()
    told = [site.judged.get(topology.ids[node]) for node in nodes]
    filtered = site.table
    ratio, sigma = board.resistances(site)
    columns: dict[str, list[object]] = {
        "pack": [safe_cell(topology.ids[node]) for node in nodes],
        "name": [safe_cell(topology.names[node]) for node in nodes],
        "chemistry": [topology.chemistry_name(node) or "" for node in nodes],
        "verdict": ["" if one is None else one.verdict.word for one in told],
        "cause": ["" if one is None else safe_cell(one.verdict.cause) for one in told],
        "judged_at": ["" if one is None else one.at.isoformat(timespec="seconds") for one in told],
        "soc_pct": _numbers(filtered.soc_pct[order]),
        "soc_half_interval_pct": _numbers(SIGMAS * filtered.soc_sigma_pct[order]),
        "soc_reported_pct": _numbers(filtered.reported_pct[order]),
        "soh_pct": _numbers(site.figures["soh_pct"][order]),
        "soh_low_pct": [None if one is None else _number(100 * one.soh.low) for one in told],
        "soh_high_pct": [None if one is None else _number(100 * one.soh.high) for one in told],
        "soh_reported_pct": _numbers(board.reported_soh(site, frame)[order]),
        "fade_pct_per_year": _numbers(site.figures["fade_pct_year"][order]),
        "fade_low_pct_per_year": _numbers(site.figures["fade_low"][order]),
        "fade_high_pct_per_year": _numbers(site.figures["fade_high"][order]),
        "fade_by": ["" if one is None else one.fade_by for one in told],
        "capacity_pct": [None if one is None else _number(100 * one.capacity.value)
                         for one in told],
        "capacity_low_pct": [None if one is None else _number(100 * one.capacity.low)
                             for one in told],
        "capacity_high_pct": [None if one is None else _number(100 * one.capacity.high)
                              for one in told],
        "capacity_found_at": ["" if one is None or one.capacity_at is None else
                              one.capacity_at.isoformat(timespec="seconds") for one in told],
        "resistance_ratio": _numbers(ratio[order]),
        "resistance_half_interval": _numbers(SIGMAS * sigma[order]),
        "resistance_growth_per_year": _numbers(site.figures["growth_year"][order]),
        "resistance_growth_half_interval": _numbers(
            SIGMAS * site.figures["growth_sigma"][order]),
        "residual_mv": _numbers(1000 * filtered.residual_v[order]),
        "residual_rms_6h_mv": _numbers(site.figures["rms_mv"][order]),
        "life_years": _bounds(site.figures["life_years"][order]),
        "life_low_years": _bounds(site.figures["life_low"][order]),
        "life_high_years": _bounds(site.figures["life_high"][order]),
        "life_full_cycles": _bounds(site.figures["life_cycles"][order]),
        "life_low_full_cycles": _bounds(site.figures["life_cycles_low"][order]),
        "life_high_full_cycles": _bounds(site.figures["life_cycles_high"][order]),
        "life_by_ageing_run_pct": _numbers(100 * site.figures["life_forecast"][order]),
        "data_pct": _numbers(site.figures["coverage_pct"][order]),
    }
    return _csv(columns)


def _csv(columns: Mapping[str, list[object]]) -> bytes:
    file = io.BytesIO()
    pyarrow.csv.write_csv(pa.table(dict(columns)), file)
    return file.getvalue()


def _numbers(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[object]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _bounds(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[object]:
    """As `_numbers`, but that inf is told."""
    return [value if math.isinf(value) else _number(value) for value in values.tolist()]
