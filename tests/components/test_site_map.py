"""The map of the sites: all in view, across the date line, names as text, no base map."""

from __future__ import annotations

import json
import math
import sys
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.site_map import Site, inert, northing, site_deck

NAN = float("nan")
WIDTH, HEIGHT = 360, 320


def spec(*sites: Site, theme: str = "dark") -> dict[str, Any]:
    deck = site_deck(sites, theme, width_px=WIDTH, height_px=HEIGHT)
    assert deck is not None
    return json.loads(deck.to_json())


def rows(found: dict[str, Any], layer: str) -> list[dict[str, Any]]:
    return next(one["data"] for one in found["layers"] if one["id"] == layer)


def test_no_place_no_map() -> None:
    assert site_deck([], "dark") is None
    assert site_deck([Site("A", NAN, 3.0)], "dark") is None


def test_nothing_asks_for_a_base_map() -> None:
    """A MapView without a style makes Streamlit fetch one."""
    found = spec(Site("Berlin", 52.5, 13.4))
    assert "mapStyle" not in found
    assert "mapProvider" not in found
    assert [view["@@type"] for view in found["views"]] == ["OrthographicView"]
    assert "http" not in json.dumps(found)


places = st.tuples(st.floats(-80, 80), st.floats(-180, 180))


@given(st.lists(places, min_size=1, max_size=8))
def test_all_sites_are_in_view(found: list[tuple[float, float]]) -> None:
    drawn = spec(*[Site(str(i), *place) for i, place in enumerate(found)])
    state = drawn["initialViewState"]
    scale = 2 ** state["zoom"]
    for row in rows(drawn, "sites"):
        assert abs(row["at"][0] - state["target"][0]) * scale <= WIDTH / 2
        assert abs(row["at"][1] - state["target"][1]) * scale <= HEIGHT / 2


def test_neighbours_across_the_date_line_stay_neighbours() -> None:
    fiji, samoa = rows(spec(Site("Fiji", -17, 178), Site("Samoa", -14, -172)), "sites")
    assert samoa["at"][0] - fiji["at"][0] == pytest.approx(10)
    labels = {row["text"] for row in rows(spec(Site("Fiji", -17, 178), Site("Samoa", -14, -172)),
                                          "degrees")}
    assert {"180°", "175° W", "175° E"} <= labels


def test_a_lone_site_sees_its_region() -> None:
    found = spec(Site("Berlin", 52.5, 13.4))
    assert WIDTH / 2 ** found["initialViewState"]["zoom"] == pytest.approx(9, abs=1)
    assert len(rows(found, "graticule")) >= 4


def test_severity_is_ink_and_silence_is_hollow() -> None:
    found = spec(Site("a", 1, 1, "idle", 3), Site("b", 2, 2, "idle", 2), Site("c", 3, 3, "idle", 1),
                 Site("d", 4, 4, "charging", stale=True))
    trip, warning = rows(found, "alarms")
    assert trip["ring"] > warning["ring"]
    silent = rows(found, "sites")[3]
    assert silent["fill"] != silent["line"]
    assert silent["detail"] == "no data"


@pytest.mark.parametrize("name", ["@@=alert(1)", "@@#x", "@@type"])
def test_a_name_is_never_an_expression(name: str) -> None:
    row, = rows(spec(Site(name, 1, 1, detail=name)), "sites")
    assert not any(str(value).startswith("@@") for value in row.values())
    assert inert("Berlin") == "Berlin"


def test_northing_is_mercators() -> None:
    """Snyder, Map projections (USGS PP 1395), equation 7-1: y(60) = ln(2 + sqrt(3)) R."""
    assert math.radians(northing(60)) == pytest.approx(math.log(2 + math.sqrt(3)))
    assert northing(0) == pytest.approx(0, abs=1e-12)
    assert northing(90) == northing(84)


def test_a_further_map_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked:
        names: ClassVar[list[str]] = []

        @classmethod
        def find_spec(cls, name: str, *further: object) -> None:
            cls.names.append(name)

    assert site_deck([Site("Lund", 55.7, 13.2)], "dark") is not None
    monkeypatch.setattr(sys, "meta_path", [Asked, *sys.meta_path])
    assert site_deck([Site("Lund", 55.7, 13.2)], "dark") is not None
    assert Asked.names == []
