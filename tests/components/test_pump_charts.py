"""What a heat pump's charts say of shares: of a heater, and of cells of an hour."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from components.drawing import Drawing
from components.pump import charts
from tests.core.heatpump_logs import HOUR_S, NAN, T0, log_of_cells

FRAME = charts.Frame("dark", "UTC", (T0, T0 + 24 * HOUR_S))


def power(rated: bool, share: float = 1 / 3, step_s: float = 60.0) -> Drawing:
    log = log_of_cells({"compressor_on": np.full(60, share)}, step_s)
    return charts.power(log, np.full(60, 2.0), log.column("compressor_on"), np.full(60, 1 / 3),
                        rated, FRAME)


@pytest.mark.parametrize(("rated", "said"), [(True, "%{customdata:.0f} %<"),
                                             (False, "%{customdata:.0f} % of the time<")])
def test_a_heater_of_unknown_rating_is_told_by_its_time(rated: bool, said: str) -> None:
    drawing = power(rated)
    auxiliary = next(trace for trace in drawing.data if trace["name"] == "Auxiliary")
    assert said in auxiliary["hovertemplate"]
    assert auxiliary["customdata"][0] == pytest.approx(100 / 3)
    assert drawing.layout["yaxis2"]["ticktext"] == (["0 %", "100 %"] if rated else ["off", "on"])
    go.Figure(drawing.data, drawing.layout)


def test_a_switch_in_cells_of_an_hour_is_drawn_as_its_share() -> None:
    """A compressor that runs a third of each hour is neither off nor on."""
    compressor = power(True, step_s=HOUR_S).data[1]
    np.testing.assert_allclose(compressor["y"], 1 / 3)
    assert compressor["text"][0] == "on 33 %"
    fine = power(True, share=0.4).data[1]
    assert set(fine["text"]) == {"off"}


def test_a_curve_stands_beside_what_was_measured() -> None:
    at = np.array([30.0, 40.0])
    curve = (np.array([30.0, 40.0]), np.array([4.4, 3.6]))
    drawing = charts.scatter(at, np.array([4.5, NAN]), "°C", curve, FRAME)
    assert [trace["name"] for trace in drawing.data] == ["Measured", "By the map"]
    go.Figure(drawing.data, drawing.layout)
    assert len(charts.scatter(at, at, "°C", None, FRAME).data) == 1


def test_an_area_bridges_no_gap() -> None:
    """Plotly joins the two sides of a gap under "tozeroy"; what is joined here lies at zero."""
    share = np.ones(60)
    share[20:40] = NAN
    log = log_of_cells({"compressor_on": share}, 60.0)
    drawing = charts.power(log, np.where(np.isnan(share), NAN, 2.0), share, None, True, FRAME)
    filled = [trace for trace in drawing.data if "fill" in trace]
    assert [trace["name"] for trace in filled] == ["Power", "Compressor"]
    for trace in filled:
        assert np.isfinite(trace["y"]).all()
        height = dict(zip(trace["x"].tolist(), trace["y"].tolist(), strict=True))
        inside = FRAME.x(log.time_s[[25]])[0]
        assert all(y == 0 for x, y in height.items() if abs(x - inside) < 4 * 60_000)
    lines = [trace for trace in drawing.data if "fill" not in trace]
    assert all(np.isnan(trace["y"]).any() for trace in lines)
    go.Figure(drawing.data, drawing.layout)
