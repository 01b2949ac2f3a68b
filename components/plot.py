"""A figure on the page, or what to do where the charts' part of the viewer is not built."""

from __future__ import annotations

from orrery_spheres import plot

from components import blocks
from components.drawing import Drawing


def show(figure: Drawing, *, key: str, alt: str, height: int, view: str = "",
         link: str = "") -> None:
    """One element for each `key`, whatever the data; dragging zooms in time until `view`
    changes. Charts of dates with the same `link` and `view` share zoom and hover."""
    if not plot.is_built():
        blocks.show(blocks.state_box("show_chart", "Charts cannot be drawn here",
                                     "Their part of the viewer's bundle is missing.",
                                     "`make setup` builds it; then start the app again.",
                                     height_px=height))
        return
    plot.plot(figure.to_json(), key=key, alt=alt, height=height, view=view, link=link)
