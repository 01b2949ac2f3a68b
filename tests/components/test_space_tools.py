"""Tools and settings of the Space Balls page: link, session, a person's own defaults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from components import operator
from components.api_client import LocalClient
from components.space import panel, settings
from components.space.settings import FACTORY
from core.clock import ManualClock
from core.config import Config, HistoryConfig, OperatorsConfig, SourceConfig
from core.engine import Engine
from core.runtime import Runtime
from core.topology import DEFAULT_LEVELS
from store.embedded import EmbeddedStore
from tests.components import space_tools_app
from tests.components.sent import sent as sent_by
from tests.core.sites import NOON, ScriptedReadings, system

Open = Callable[..., AppTest]


def client_in(directory: Path) -> LocalClient:
    source = ScriptedReadings([system(0), system(1, chemistry="NMC")])
    source.set_cells({"power_kw": 1.0, "soc_pct": 50.0, "temperature_c": 25.0})
    engine = Engine(DEFAULT_LEVELS, [source], ManualClock(NOON))
    engine.tick()
    config = Config([SourceConfig("fleet", "fleet")],
                    operators=OperatorsConfig(mode="local", demo=True),
                    history=HistoryConfig(directory=str(directory)))
    return LocalClient(Runtime(config, engine, (), None))


@pytest.fixture
def open_page(tmp_path: Path) -> Iterator[Open]:
    """`open_page(depth="2")`: the tools as a new visitor with that link sees them."""
    client = client_in(tmp_path)
    space_tools_app.SITE[:], space_tools_app.PLACE[:] = [client], [0]
    space_tools_app.BEFORE.clear()

    def opened(**link: str) -> AppTest:
        run = AppTest.from_function(space_tools_app.page, default_timeout=30)
        for name, value in link.items():
            run.query_params[name] = value
        return run.run()

    yield opened
    space_tools_app.SITE.clear()
    space_tools_app.BEFORE.clear()


def chosen(run: AppTest) -> settings.Settings:
    assert not run.exception
    found = run.session_state["space_chosen"]
    assert isinstance(found, settings.Settings)
    return found


def sent(run: AppTest) -> str:
    """All texts of the page as they are read."""
    return unescape("\n".join(text for _, _, text in sent_by(run)))


def widget(kind: Iterable[Any], field: str) -> Any:
    """The one that shows a field now."""
    return next(one for one in kind if re.fullmatch(rf"space_{field}_\d+", one.key))


def address(run: AppTest) -> dict[str, str]:
    told = dict(run.query_params)
    return {name: value if isinstance(value, str) else value[0] for name, value in told.items()}


def test_a_link_is_what_is_seen_and_what_it_cannot_have_is_said(open_page: Open) -> None:
    run = open_page(path="system_0", depth="2", colour="soc_pct", scale="20..80", sign="plus")
    found = chosen(run)
    assert (found.depth, found.colour, found.scale) == (2, "soc_pct", (20.0, 80.0))
    assert found.sign == FACTORY.sign
    assert "sign='plus' is not used" in sent(run)
    assert widget(run.selectbox, "depth").value == 2
    assert widget(run.number_input, "end_1").value == 80.0
    assert address(run)["path"] == "system_0"


def test_each_choice_is_in_the_link_and_back_and_forth_follow_it(open_page: Open) -> None:
    run = open_page()
    assert chosen(run) == FACTORY
    widget(run.selectbox, "depth").set_value(0).run()
    widget(run.selectbox, "palette").set_value("grey").run()
    widget(run.text_input, "filter").set_value("soc < 30").run()
    assert address(run) == {"depth": "0", "palette": "grey", "filter": "soc < 30"}
    del run.query_params["filter"]
    del run.query_params["palette"]
    run.run()
    assert chosen(run).depth == 0
    assert chosen(run).palette == FACTORY.palette
    assert widget(run.selectbox, "palette").value == FACTORY.palette


def test_a_browser_that_is_told_late_takes_no_choice_back(open_page: Open) -> None:
    run = open_page(layout="wall")
    widget(run.selectbox, "layout").set_value("orbits").run()
    run.query_params["layout"] = "wall"
    run.run()
    assert chosen(run).layout == "orbits"
    run.query_params["layout"] = "ring"
    run.run()
    assert chosen(run).layout == "ring"


def test_a_range_fixed_for_one_colour_does_not_stay_for_another(open_page: Open) -> None:
    run = open_page(colour="soc_pct", scale="20..80")
    widget(run.selectbox, "colour").set_value("temperature_c").run()
    assert chosen(run).scale == "auto"
    widget(run.toggle, "fixed").set_value(True).run()
    assert chosen(run).scale == panel.FIRST_ENDS["temperature_c"]
    widget(run.number_input, "end_0").set_value(99.0).run()
    assert "the first end must be below the second" in sent(run)
    assert chosen(run).scale == panel.FIRST_ENDS["temperature_c"]


def test_coming_from_another_page_keeps_what_was_chosen(open_page: Open) -> None:
    run = open_page(depth="3")
    run.session_state["page"] = "overview"
    run.run()
    for name in list(run.query_params):
        del run.query_params[name]
    run.session_state["page"] = "space_balls"
    run.run()
    assert chosen(run).depth == 3
    assert address(run) == {"depth": "3"}


def test_a_wrong_filter_is_pointed_at(open_page: Open) -> None:
    run = open_page(filter="soc < 30 and <b>temprature</b> > 3")
    told = sent(run)
    assert "at character 14" in told
    assert "<b>temprature</b>" in told
    assert "\n" + " " * 13 + "^" in told


def sign_in() -> None:
    client = space_tools_app.SITE[-1]
    st.session_state[operator.KEY] = operator.signed_in(client, "ann")


def test_who_is_not_signed_in_is_told_to_bookmark(open_page: Open) -> None:
    run = open_page(depth="2")
    assert run.button(key="space_keep").disabled
    assert "bookmark this page" in sent(run)


def test_own_defaults_stand_in_where_a_link_says_nothing(open_page: Open) -> None:
    space_tools_app.BEFORE[:] = [sign_in]
    run = open_page(depth="2", colour="soc_pct").run()
    run.button(key="space_keep").click().run()
    visitor = open_page(path="system_0").run()
    assert chosen(visitor) == FACTORY, "nobody is known before they signed in"
    del visitor.session_state["space_chosen"]
    assert chosen(visitor.run()).colour == "soc_pct"
    assert chosen(open_page(depth="3").run()).colour == FACTORY.colour
    visitor.button(key="space_reset").click().run()
    assert chosen(visitor) == FACTORY
    again = open_page().run()
    del again.session_state["space_chosen"]
    assert chosen(again.run()) == FACTORY


def together(client: LocalClient, place: str) -> str:
    space_tools_app.SITE[:], space_tools_app.PLACE[:] = [client], [client.topology.index(place)]
    run = AppTest.from_function(space_tools_app.panel_page, default_timeout=30).run()
    assert not run.exception
    return re.sub(r"<[^>]*>", " ", sent(run)).replace("\u202f", " ")


def test_together_says_sums_now_and_what_history_tells(tmp_path: Path) -> None:
    client = client_in(tmp_path / "defaults")
    engine = client._engine
    assert "no history is kept" in together(client, "system_0")
    engine.attach(EmbeddedStore(tmp_path / "history", engine.topology, budget_bytes=2**26,
                                clock=engine.clock))
    for _ in range(100):
        engine.clock.advance(15.0)
        engine.tick()
    told = together(client, "system_0")
    engine.stop()
    for words in ("Together: 1 cluster of System 0", "Sum of power 6.00 kW", "discharging",
                  "Capacity 6.00 kWh", "50.0 to 50.0 %", "State of charge 50.0 %",
                  "Temperature 25.0 °C", "empty in 27 min", "above 5 %", "history: 2",
                  "Wh in, 2.48 kWh out", "window is too short", "equivalent"):
        assert words in re.sub(r"\s+", " ", told), words
    space_tools_app.SITE.clear()
