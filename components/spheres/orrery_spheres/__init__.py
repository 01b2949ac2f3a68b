"""The sphere view as a Streamlit component."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

__all__ = ["ITEMS", "Parent", "SceneMeta", "assets_dir", "is_built", "spheres"]

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

Callback = Callable[[], None]


class Parent(TypedDict):
    """The element in the middle; `power_kw` is positive while discharging."""

    id: str
    name: str
    power_kw: float | None
    depth: int


class SceneMeta(TypedDict):
    """What the viewer shows beside the items; every value must be JSON-able."""

    path: list[str]
    parent: Parent
    level: str
    no_drill_reason: str
    selected: str | None
    select_seq: int
    palette: Literal["safe", "seed"]
    theme: Literal["dark", "light"]
    label_cap: int
    show_labels: bool
    sign: Literal["discharge", "charge"]
    reduced_motion: bool | None


def assets_dir() -> Path:
    """The folder of the built bundle, with `standalone.html`."""
    return Path(__file__).parent / "assets"


def is_built() -> bool:
    """Whether the bundle is there."""
    return (assets_dir() / "index.js").is_file()


@cache
def _renderer() -> Any:
    return st.components.v2.component(COMPONENT, js="index.js")


def _wire_column(items: pa.Table, field: pa.Field) -> pa.ChunkedArray:
    column = items.column(field.name)
    if pa.types.is_floating(field.type):
        return pc.fill_null(column.cast(field.type), float("nan"))
    if pa.types.is_string(field.type):
        return pc.fill_null(column.cast(field.type), "")
    wire = pa.uint8() if pa.types.is_boolean(field.type) else field.type
    return pc.fill_null(column.cast(wire), 0)


def _wire(items: pa.Table) -> pa.Table:
    """The columns as the browser reads them: one chunk, no nulls, booleans as bytes."""
    columns = {field.name: _wire_column(items, field) for field in ITEMS}
    return pa.table(columns).combine_chunks()


def spheres(
    items: pa.Table,
    meta: SceneMeta,
    *,
    key: str,
    height: int = 560,
    on_selected: Callback | None = None,
    on_drill: Callback | None = None,
    on_up: Callback | None = None,
    on_failed: Callback | None = None,
) -> Any:
    """Draw one view's children as spheres around their parent.

    `items` has the columns of `ITEMS`: capacity in kWh, power in kW (positive = discharging,
    NaN = not known), state of charge in percent (NaN = not known), state 0 idle, 1 charging,
    2 discharging, 3 unknown, alarm 0 none, 1 info, 2 warning, 3 trip, age in seconds.
    `height` is in CSS pixels.

    The result has `selected` (an id or None, kept) and, for one run each, `drill` (an id),
    `up` (True) and `failed` (why WebGL did not start).
    """
    return _renderer()(
        key=key,
        data={"meta": {**meta, "key": key, "height": height}, "items": _wire(items)},
        height="content",
        on_selected_change=on_selected or _nothing,
        on_drill_change=on_drill or _nothing,
        on_up_change=on_up or _nothing,
        on_failed_change=on_failed or _nothing,
    )


def _nothing() -> None:
    """Streamlit keeps a value only when its change has a callback."""
