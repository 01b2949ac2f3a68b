"""What a room shows, as CSV."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np
import streamlit as st

from components import parts
from components.api_client import LocalClient
from components.coordinator import choice, plan, stretches
from core.coordinator.asked import Coordination
from core.coordinator.problem import Floats
from core.coordinator.view import Ahead, Allocated, Happened, RlRoom, SiteView
from core.csv_text import csv_text

TITLES = ("from", "kind", "import_price_per_kwh", "export_price_per_kwh", "load_kw", "load_low_kw",
          "load_high_kw", "pv_kw", "pv_low_kw", "pv_high_kw", "pv_held_back_kw", "fleet_kw",
          "grid_kw", "soc_pct", "soc_low_pct", "soc_high_pct", "planned_fleet_kw",
          "planned_soc_pct", "stored_kwh_is_worth", "binding_limits", "import_price_low_per_kwh",
          "import_price_high_per_kwh")
PACK_TITLES = ("pack", "name", "asked_kw", "equal_share_kw", "device_goes_for_kw", "measured_kw",
               "soc_pct", "may_take_kw", "may_give_kw", "delivery", "refusal", "why")


def menu(client: LocalClient, site: str, room: str) -> None:
    """Behind a button, in a part that nothing refreshes: a file has the moment that it was opened
    at."""
    st.fragment(_menu, key="coordinator_take_file")(client, site, room)


def _menu(client: LocalClient, site: str, room: str) -> None:
    known = choice.coordination(client)
    files = st.popover("Export", icon=":material/download:", key="coordinator_files",
                       type="tertiary", on_change="rerun")
    if known is None or not files.open:
        return
    with files:
        parts.guarded("Export", _file, client, known, site, room)


def _file(client: LocalClient, known: Coordination, site: str, room: str) -> None:
    view = known.view(site)
    text = _text(client, view, room, known.rl_room() if room == choice.TRAINING else None)
    if text is None:
        st.markdown("There is nothing to export in this room yet.")
        return
    st.download_button(f"CSV of this room: {room}", text,
                       f"coordinator_{room.lower()}_{view.at:%Y%m%dT%H%M%SZ}.csv", "text/csv",
                       key="coordinator_csv", on_click="ignore", icon=":material/table:")


def _text(client: LocalClient, view: SiteView, room: str, learnt: RlRoom | None) -> str | None:
    if room == choice.PACKS:
        return None if view.allocated is None else packs(view.allocated)
    if learnt is not None:
        return evaluations(learnt) if learnt.judged else None
    if view.ahead is None:
        return None
    shown = st.session_state.get(choice.BACK) or "6 h"
    return times(view.ahead, plan.happened(client, view.site, view.at, choice.BACKS_H[shown]))


def times(ahead: Ahead, past: Happened | None) -> str:
    """A row a step: what happened, then the plan. Missing is empty."""
    rows = [] if past is None else list(_past(past))
    return csv_text([TITLES, *rows, *_planned(ahead)])


def _stamp(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds")


def _past(past: Happened) -> Iterable[list[object]]:
    for row, time_s in enumerate(past.time_s.tolist()):
        def told(values: Floats, row: int = row) -> float:
            return round(float(values[row]), 5)

        yield [_stamp(time_s), "happened", told(past.import_price), told(past.export_price),
               told(past.load_kw), "", "", told(past.pv_kw), "", "", "", told(past.fleet_kw),
               told(past.grid_kw), told(past.soc_pct), "", "", told(past.planned_kw),
               told(past.planned_soc_pct), "", "", "", ""]


def _planned(ahead: Ahead) -> Iterable[list[object]]:
    outlook, one = ahead.outlook, ahead.plan
    unknown = np.full(one.steps, np.nan)
    worth = unknown if one.energy_worth is None else one.energy_worth
    held_back = unknown if one.curtailed_kw is None else one.curtailed_kw
    band = outlook.import_band
    low, high = (unknown, unknown) if band is None else (band.low, band.high)
    columns = [outlook.import_price, outlook.export_price, outlook.load_kw.expected,
               outlook.load_kw.low, outlook.load_kw.high, outlook.pv_kw.expected,
               outlook.pv_kw.low, outlook.pv_kw.high, held_back, one.fleet_kw, one.grid_kw,
               ahead.soc_pct[1:],
               ahead.soc_low_pct[1:], ahead.soc_high_pct[1:]]
    for step in range(one.steps):
        held = "; ".join(each.limit for each in one.bindings if step in each.steps)
        yield [_stamp(float(stretches.edges_s(one)[step])), "planned",
               *(round(float(column[step]), 5) for column in columns), "", "",
               round(float(worth[step]), 5), held,
               *(round(float(column[step]), 5) for column in (low, high))]


def packs(last: Allocated) -> str:
    """A row a pack."""
    return csv_text([PACK_TITLES, *([
        one.element, one.label, one.asked_kw, one.equal_kw, one.told_kw, one.power_kw, one.soc_pct,
        one.charge_kw, one.discharge_kw, one.delivery, one.refusal, one.why]
        for one in last.shares)])


def evaluations(room: RlRoom) -> str:
    """A row a version and baseline."""
    rows = [[one.version, one.run, one.at.isoformat(timespec="seconds"), one.days, name, captured,
             one.cost_per_day.get(name, float("nan")), one.violations, one.deployed, one.verdict]
            for one in room.judged for name, captured in one.captured_pct.items()]
    return csv_text([("version", "run", "at", "days", "policy", "captured_pct", "cost_per_day",
                      "violations", "deployed", "verdict"), *rows])
