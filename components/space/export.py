"""What is shown, to take away: the rows as CSV and Parquet, and a link that shows them again."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.csv
import streamlit as st
from numpy.typing import NDArray

from components import blocks, formats
from components.api_client import LocalClient
from components.space import filtering, grouping, items, settings
from components.space.settings import Settings
from core import paint
from core.below import Below, below
from core.csv_text import safe_cell
from core.engine import Snapshot
from core.limits import TIERS
from core.topology import FloatArray
from core.vocabulary import DIRECTIONS

DECIMALS = 4
LONGEST_NAME = 100
CHARGE_POSITIVE = "_charge_positive"
PARQUET_MIME = "application/vnd.apache.parquet"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person sees, held until a file is asked for."""

    site: str
    snapshot: Snapshot
    rows: Below
    chosen: Settings

    @property
    def place(self) -> str:
        return self.rows.topology.ids[self.rows.place]

    @property
    def time(self) -> datetime:
        return self.snapshot.frame.time.astimezone(UTC)


def shown(client: LocalClient, node: int) -> Shown:
    """Of this session, now or at the moment that is played back."""
    chosen = settings.current()
    return Shown(client.title, client.snapshot(), below(client.topology, node, chosen.depth),
                 chosen)


def menu(client: LocalClient, node: int) -> None:
    """Behind a button, in a part that nothing refreshes: what was opened stays as it was, so
    that a file has the moment that its name says."""
    st.fragment(_menu, key="space_take")(client, node)


def _menu(client: LocalClient, node: int) -> None:
    with st.container(key="space_take", horizontal=True, horizontal_alignment="right"):
        files = st.popover("Files and link", icon=":material/download:", key="space_files",
                           type="tertiary", on_change="rerun")
    if files.open:
        with files, st.container(key="space_files_body"):
            show(client, node)


def show(client: LocalClient, node: int) -> None:
    """Two files, made when they are looked for, and the link. A file that Streamlit makes only
    when it is pressed may be swept away by the next refresh before the browser has it."""
    seen = shown(client, node)
    name = file_name(seen)
    with st.spinner("Making the files"):
        csv, parquet = as_csv(seen), as_parquet(seen)
    st.download_button("CSV", csv, f"{name}.csv", "text/csv",
                       key="space_csv", on_click="ignore", icon=":material/csv:", width="stretch")
    st.download_button("Parquet", parquet, f"{name}.parquet",
                       PARQUET_MIME, key="space_parquet", on_click="ignore",
                       icon=":material/table:", width="stretch")
    moment = formats.local_time(seen.time, st.context.timezone, seconds=True)
    blocks.show(blocks.note(f"The rows that are shown, after the filter, at {moment}: the chosen "
                            "metrics in their units and signs."),
                blocks.heading("Link to this view"))
    st.code(address(seen.place if node else None), language=None, wrap_lines=True)


def address(place_id: str | None) -> str:
    """The whole address of what is shown."""
    page = (st.context.url or "").partition("?")[0]
    return page + settings.link(place_id)


def file_name(seen: Shown) -> str:
    """Place and time (UTC): "system_0_cluster_1_2026-11-21T16-20-05Z"."""
    place = re.sub(r"[^A-Za-z0-9_-]", "-", seen.place)[:LONGEST_NAME]
    return f"{place}_{seen.time:%Y-%m-%dT%H-%M-%SZ}"


def as_csv(seen: Shown) -> bytes:
    """Titles, then a line a row; UTF-8. What a spreadsheet would take for a formula is text."""
    table = rows_shown(seen)
    for at, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            safe = [safe_cell(cell) for cell in table.column(at).to_pylist()]
            table = table.set_column(at, field.name, pa.array(safe, pa.string()))
    target = io.BytesIO()
    pa.csv.write_csv(table, target)
    return target.getvalue()


def as_parquet(seen: Shown) -> bytes:
    """The same rows; place and time stand in the file's own metadata."""
    import pyarrow.parquet as pq

    told = {"place": seen.place, "site": seen.site, "time": seen.time.isoformat()}
    target = io.BytesIO()
    pq.write_table(rows_shown(seen).replace_schema_metadata(told), target)
    return target.getvalue()


def rows_shown(seen: Shown) -> pa.Table:
    """One row an element that is shown and matches the filter. Columns: id, name, level, parent,
    state, alarm, the metrics that are shown, what the colour means, its group, age and whether
    it is stale; null where nothing is known."""
    rows, snapshot, chosen = seen.rows, seen.snapshot, seen.chosen
    matches = filtering.of_rows(rows, snapshot, chosen)
    columns = {**_words(rows, snapshot, chosen), **_numbers(rows, snapshot, chosen),
               "age_s": _rounded(rows.take(snapshot.frame.age_s)),
               "stale": pa.array(rows.take(snapshot.frame.stale))}
    table = pa.table(columns)
    return table if matches is None else table.filter(pa.array(matches.mask))


def _words(rows: Below, snapshot: Snapshot, chosen: Settings) -> Mapping[str, pa.Array]:
    topology, nodes = rows.topology, rows.nodes.tolist()
    measured = items.measured(rows, snapshot)
    ways = [formats.direction_word(way) for way in DIRECTIONS]
    found = {
        "id": pa.array([topology.ids[one] for one in nodes], pa.string()),
        "name": pa.array([topology.names[one] for one in nodes], pa.string()),
        "level": pa.array([topology.levels[level].name
                           for level in rows.take(topology.level).tolist()], pa.string()),
        "parent": pa.array([topology.ids[above] for above in rows.take(topology.parent).tolist()],
                           pa.string()),
        "state": pa.array([ways[code] for code in measured["state"].tolist()], pa.string()),
        "alarm": pa.array([TIERS[tier] for tier in measured["alarm"].tolist()], pa.string()),
    }
    names, group = grouping.groups(rows, snapshot, chosen.group)
    if names:
        found[f"group_{chosen.group}"] = pa.array([names[one] for one in group.tolist()],
                                                  pa.string())
    return found


def _numbers(rows: Below, snapshot: Snapshot, chosen: Settings) -> Mapping[str, pa.Array]:
    found: dict[str, pa.Array] = {}
    for metric in chosen.metrics:
        if metric == "capacity_kwh":
            found[metric] = _rounded(rows.take(rows.topology.capacity_kwh))
        else:
            values = filtering.as_shown(metric, rows.take(snapshot.frame.columns[metric]), chosen)
            found[_title(metric, chosen)] = _rounded(values)
    value, colour = items.painted(rows, snapshot, chosen)
    if paint.COLOURINGS[chosen.colour].kind in ("sequential", "diverging"):
        unit = {"%": "pct", "°C": "c", "°F": "f"}.get(colour["unit"], colour["unit"].lower())
        found[f"colour_{chosen.colour.rpartition('_')[0]}_{unit}"] = _rounded(value)
    return found


def _title(metric: str, chosen: Settings) -> str:
    """The metric's own name, which carries its unit; a sign turned round is told."""
    if metric == "temperature_c" and chosen.temperature == "F":
        return "temperature_f"
    flipped = metric in filtering.FLIPPED and chosen.sign == "charge"
    return metric + CHARGE_POSITIVE * flipped


def _rounded(values: FloatArray) -> pa.Array:
    """float64 without the digits that float32 does not have; null where unknown."""
    numbers: NDArray[np.float64] = np.round(values.astype(np.float64), DECIMALS)
    return pa.array(numbers, from_pandas=True)
