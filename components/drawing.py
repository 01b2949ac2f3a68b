"""A Plotly figure as plain data: what `plotly.graph_objects` checks key by key at each refresh
(20 ms a chart), tests check once for every kind of chart."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

Part = dict[str, Any]

CODES = {"float64": "f8", "float32": "f4", "int32": "i4", "int16": "i2", "int8": "i1",
         "uint8": "u1", "uint16": "u2", "uint32": "u4"}


class Drawing:
    """Traces and layout by Plotly's own names; numpy arrays may stand anywhere in them."""

    def __init__(self, **layout: Any) -> None:
        self.data: list[Part] = []
        self.layout: Part = layout

    def add_scatter(self, **trace: Any) -> None:
        self.data.append({"type": "scatter", **trace})

    def add_bar(self, **trace: Any) -> None:
        self.data.append({"type": "bar", **trace})

    def add_shape(self, **shape: Any) -> None:
        self.layout.setdefault("shapes", []).append(shape)

    def add_hline(self, y: float, **shape: Any) -> None:
        """Across the whole width."""
        self.add_shape(type="line", xref="x domain", x0=0, x1=1, y0=y, y1=y, **shape)

    def add_vline(self, x: float, **shape: Any) -> None:
        """Over the whole height."""
        self.add_shape(type="line", yref="y domain", y0=0, y1=1, x0=x, x1=x, **shape)

    def add_hrect(self, y0: float, y1: float, **shape: Any) -> None:
        """A band across the whole width."""
        self.add_shape(type="rect", xref="x domain", x0=0, x1=1, y0=y0, y1=y1, **shape)

    def add_annotation(self, **annotation: Any) -> None:
        self.layout.setdefault("annotations", []).append({"showarrow": False, **annotation})

    def update_xaxes(self, axis: str = "xaxis", **change: Any) -> None:
        self.layout.setdefault(axis, {}).update(change)

    def update_yaxes(self, axis: str = "yaxis", **change: Any) -> None:
        self.layout.setdefault(axis, {}).update(change)

    def to_json(self) -> str:
        """As plotly.js reads it: arrays of numbers as typed arrays. Raises ValueError for NaN
        outside of them."""
        return json.dumps({"data": self.data, "layout": self.layout}, default=_coded,
                          separators=(",", ":"), allow_nan=False)


def _coded(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"a figure cannot hold {type(value).__name__}")
    if value.dtype.name not in CODES:
        return value.tolist()
    coded = {"dtype": CODES[value.dtype.name],
             "bdata": base64.b64encode(np.ascontiguousarray(value)).decode()}
    return coded if value.ndim == 1 else {**coded, "shape": ", ".join(map(str, value.shape))}
