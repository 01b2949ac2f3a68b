"""What all charts of the page share: their look, their link, what ends a zoom."""

from __future__ import annotations

import streamlit as st

from components.pump.charts import Frame
from core.heatpump.report import Report


def frame_of(report: Report) -> Frame:
    return Frame(st.context.theme.type, st.context.timezone, report.window.span)


def view_of(report: Report) -> str:
    """Another pump or another length of time ends a zoom."""
    return f"{report.device.id} {report.window.key} {report.window.seconds:.0f}"


def link(report: Report) -> str:
    """Charts of one pump are zoomed and pointed at together."""
    return f"pump {report.device.id}"
