"""The sphere view as a Streamlit component."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

__all__ = ["DEEP", "EXTREMES", "ITEMS", "TRAILS", "Colour", "Match", "Parent", "Past", "Reading",
           "SceneMeta", "assets_dir", "is_built", "spheres"]

COMPONENT = "orrery-spheres.viewer"

ITEMS = pa.schema(
    [
        ("id", pa.string()),
        ("name", pa.string()),
        ("capacity_kwh", pa.float32()),
        ("power_kw", pa.float32()),
        ("soc_pct", pa.float32()),
        ("state", pa.uint8()),
        ("alarm", pa.uint8()),
        ("alarm_count", pa.uint16()),
        ("age_s", pa.float32()),
        ("stale", pa.bool_()),
        ("can_drill", pa.bool_()),
    ]
)
"""The columns that every table of items has."""

DEEP = pa.schema(
    [
        ("parent_row", pa.int32()),
        ("tier", pa.uint8()),
        ("value", pa.float32()),
        ("dim", pa.uint8()),
        ("fresh_alarm", pa.uint8()),
        ("group", pa.uint16()),
    ]
)
"""Columns that may be missing: all rows are then children of the place, none is coloured by a
value, dimmed or in a group, and no alarm waits for an acknowledgement."""

TRAILS = pa.schema([("row", pa.int32()), ("age_s", pa.float32()), ("value", pa.float32())])
"""What rows of the items were: the value `age_s` ago."""

EXTREMES = pa.schema(
    [
        ("row", pa.int32()),
        ("kind", pa.uint8()),
        ("low", pa.float32()),
        ("high", pa.float32()),
        ("spread", pa.float32()),
        ("low_at", pa.string()),
        ("high_at", pa.string()),
    ]
)
"""Of rows of the items the lowest and the highest below them, who has it, and how far they are
apart, NaN where they cannot be compared. `kind` is an index into `meta["readings"]`. Sorted by
row."""

Callback = Callable[[], None]


class Parent(TypedDict):
    """The element in the middle; `power_kw` is positive while discharging."""

    id: str
    name: str
    power_kw: float | None
    depth: int


class Colour(TypedDict):
    """What the column `value` is, in `unit`, drawn from `low` to `high`.

    kind: "flow" colours lines by direction and needs no value, "alarm" neither; "sequential"
    runs from low to high, "diverging" fades in the middle. fixed: a person chose the range.
    """

    by: str
    label: str
    unit: str
    kind: Literal["flow", "sequential", "diverging", "alarm"]
    low: float | None
    high: float | None
    decimals: int
    fixed: NotRequired[bool]


class Past(TypedDict):
    """The moment that is shown instead of now: as ISO text and in words."""

    time: str
    words: str


class Reading(TypedDict):
    """One kind of extremes: how it is called and written."""

    label: str
    unit: str
    decimals: int
    spread_unit: str
    spread_decimals: int


class Match(TypedDict):
    """How many of the items pass the filter."""

    shown: int
    of: int


class SceneMeta(TypedDict):
    """What the viewer shows beside the items; every value must be JSON-able.

    `fly_to` (an item of any tier) is flown to when `fly_seq` changes, `selected` is honoured
    when `select_seq` changes. `groups` are the names that the column `group` points into,
    `readings` what the column `kind` of the extremes does.
    """

    path: list[str]
    parent: Parent
    level: str
    no_drill_reason: str
    selected: str | None
    select_seq: int
    palette: Literal["safe", "seed", "grey"]
    theme: Literal["dark", "light"]
    label_cap: int
    show_labels: bool
    sign: Literal["discharge", "charge"]
    reduced_motion: bool | None
    colour: NotRequired[Colour]
    layout: NotRequired[Literal["auto", "ring", "disc", "wall", "shell", "orbits"]]
    groups: NotRequired[list[str]]
    past: NotRequired[Past | None]
    can_acknowledge: NotRequired[bool]
    acknowledge_reason: NotRequired[str]
    units: NotRequired[dict[str, str]]
    match: NotRequired[Match | None]
    fly_to: NotRequired[str | None]
    fly_seq: NotRequired[int]
    readings: NotRequired[list[Reading]]


def assets_dir() -> Path:
    """The folder of the built bundle, with `standalone.html`."""
    return Path(__file__).parent / "assets"


def is_built() -> bool:
    """Whether the bundle is there."""
    return (assets_dir() / "index.js").is_file()


@cache
def _renderer() -> Any:
    return st.components.v2.component(COMPONENT, js="index.js")


def _missing(field: pa.Field) -> Any:
    """What stands for a null; no row has a null in a column without one."""
    if pa.types.is_floating(field.type):
        return float("nan")
    if field.name == "parent_row":
        return -1
    return "" if pa.types.is_string(field.type) else int(field.name == "tier")


def _wire_column(items: pa.Table, field: pa.Field) -> pa.ChunkedArray:
    kind = pa.uint8() if pa.types.is_boolean(field.type) else field.type
    column = items.column(field.name)
    if column.type != kind:
        column = column.cast(kind)
    return pc.fill_null(column, _missing(field)) if column.null_count else column


def _wire(items: pa.Table) -> pa.Table:
    """The columns as the browser reads them: one chunk, no nulls, booleans as bytes."""
    fields = [*ITEMS, *(field for field in DEEP if field.name in items.column_names)]
    return pa.table({field.name: _wire_column(items, field) for field in fields}).combine_chunks()


def _wire_other(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = {field.name: _wire_column(table, field) for field in schema}
    return pa.table(columns).combine_chunks()


def spheres(
    items: pa.Table,
    meta: SceneMeta,
    *,
    key: str,
    height: int = 560,
    trails: pa.Table | None = None,
    extremes: pa.Table | None = None,
    on_selected: Callback | None = None,
    on_drill: Callback | None = None,
    on_up: Callback | None = None,
    on_failed: Callback | None = None,
    on_acknowledge: Callback | None = None,
    on_playback: Callback | None = None,
) -> Any:
    """Draw what is below one element as spheres around it.

    `items` has the columns of `ITEMS`: capacity in kWh, power in kW (positive = discharging,
    NaN = not known), state of charge in percent (NaN = not known), state 0 idle, 1 charging,
    2 discharging, 3 unknown, alarm 0 none, 1 info, 2 warning, 3 trip, age in seconds; and may
    have those of `DEEP`: parent_row the row of the parent in this table (-1 = the place itself)
    and tier how far below the place (1 = its child), rows sorted by tier; value the coloured
    quantity (NaN = not known), dim 1 outside the filter, fresh_alarm 1 with an alarm at or
    below that nobody acknowledged, group an index into `meta["groups"]`. `trails` has the
    columns of `TRAILS`, `extremes` those of `EXTREMES`. `height` is in CSS pixels.

    The result has `selected` (an id or None, kept) and, for one run each, `drill` (an id of any
    tier), `up` (True), `acknowledge` (an id), `playback` ("toggle") and `failed` (why WebGL did
    not start).
    """
    data: dict[str, Any] = {"meta": {**meta, "key": key, "height": height}, "items": _wire(items)}
    for name, table, schema in (("trails", trails, TRAILS), ("extremes", extremes, EXTREMES)):
        if table is not None:
            data[name] = _wire_other(table, schema)
    return _renderer()(
        key=key,
        data=data,
        height="content",
        on_selected_change=on_selected or _nothing,
        on_drill_change=on_drill or _nothing,
        on_up_change=on_up or _nothing,
        on_failed_change=on_failed or _nothing,
        on_acknowledge_change=on_acknowledge or _nothing,
        on_playback_change=on_playback or _nothing,
    )


def _nothing() -> None:
    """Streamlit keeps a value only when its change has a callback."""
