"""Every wish of the Coordinator page moves the plan that it previews, in the way that it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import core.runtime
from components.coordinator import choice, form, tariffs
from core.coordinator.price_states import Teller
from core.coordinator.problem import Band, Problem
from core.coordinator.records import CoordinatorStore, Run
from core.coordinator.tariffs import StoredPrices
from core.coordinator.view import Ahead, Preview
from core.errors import SourceError
from core.tariff import PriceSeries
from tests.components.coordinator_site import coordinated, fill, planned, problem
from tests.components.fleet_site import SITE, START
from tests.components.test_coordinator_page import opened, shown


def sunny() -> Problem:
    """More PV than load, packs and the sun's hours can use."""
    asked = problem()
    pv = 2.2 * asked.outlook.pv_kw.expected
    return replace(asked, outlook=replace(asked.outlook, pv_kw=Band(pv, 0.5 * pv, 1.3 * pv)))


RUN = Run(sunny(), planned(sunny()))
Move = Callable[[AppTest], AppTest]


MARKET, SILENT = "market", "<b>silent</b>"


def day_ahead() -> PriceSeries:
    """Of the two days from START on."""
    price = np.where(np.arange(48) % 24 < 6, 0.08, 0.31)
    return PriceSeries(START.timestamp() + 3600.0 * np.arange(48), price, 0.5 * price, 3600.0)


def nothing_yet() -> PriceSeries:
    raise SourceError("no prices were told yet")


TELLERS = {MARKET: Teller("Market", "home", day_ahead),
           SILENT: Teller("<i>Old</i>", "home", nothing_yet)}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[CoordinatorStore]:
    with coordinated(tellers=TELLERS) as (client, kept, fleet, _):
        fill(kept, fleet, RUN.plan)
        kept.keep_run(SITE, RUN)
        st.cache_data.clear()
        monkeypatch.setattr(core.runtime, "_shared", client._runtime)
        yield kept
    st.cache_data.clear()


@pytest.fixture
def app(store: CoordinatorStore) -> AppTest:
    return opened(room=choice.OBJECTIVES)


def slid(name: str, value: float) -> Move:
    return lambda app: app.slider(key=f"co_{name}").set_value(value).run()


def numbered(name: str, value: float) -> Move:
    return lambda app: app.number_input(key=f"co_{name}").set_value(value).run()


def toggled(name: str) -> Move:
    return lambda app: app.toggle(key=f"co_{name}").set_value(True).run()


def picked(name: str, value: str) -> Move:
    return lambda app: app.segmented_control(key=f"co_{name}").set_value(value).run()


def preview(app: AppTest) -> tuple[Ahead, Ahead]:
    """The present plan and the new one."""
    found = app.session_state[form.SEEN][1]
    assert isinstance(found, Preview), found
    assert found.before is not None
    return found.before, found.ahead


def through(one: Ahead) -> float:
    return float(np.abs(one.plan.pack_kw).sum())


def exported(one: Ahead) -> float:
    return float(np.maximum(-one.plan.grid_kw, 0.0).sum())


def off_by(one: Ahead, setpoint_kw: float) -> float:
    return float(np.abs(one.plan.grid_kw - setpoint_kw).mean())


FREE = slid("cost", 0.0)
"""Packs then rest unless something else moves them."""
WISHES: dict[str, tuple[list[Move], Callable[[Ahead, Ahead], bool]]] = {
    "prices do not count": ([slid("cost", 0.0)], lambda old, new: through(new) < through(old)),
    "packs are spared": ([slid("wear", 3.0)], lambda old, new: through(new) < through(old)),
    "the peak is shaved": ([slid("peak_per_kw", 20.0)],
                           lambda old, new: new.plan.grid_kw.max() < old.plan.grid_kw.max() - 0.1),
    "PV is used here": ([FREE, slid("export_per_kwh", 1.0)],
                        lambda old, new: exported(new) < exported(old) - 0.1),
    "an outage is provided for": (
        [slid("reserve", 60.0)], lambda old, new: new.soc_pct.min() >= old.soc_pct.min()
        and new.soc_pct[-1] >= 59.0),
    "the connection is held": (
        [FREE, toggled("setpoint_on"), numbered("setpoint_kw", 20.0),
         numbered("setpoint_per_kwh", 1.0)],
        lambda old, new: off_by(new, 20.0) < 0.9 * off_by(old, 20.0)),
    "import is limited": ([numbered("import_limit", 40.0)],
                          lambda old, new: new.plan.grid_kw.max() <= 40.0 + 1e-3),
    "export is limited": ([FREE, numbered("export_limit", 100.0)],
                          lambda old, new: exported(new) < exported(old) - 0.1),
    "PV is held back": ([numbered("export_limit", 0.0), toggled("pv_curtailable")],
                        lambda old, new: new.plan.curtailed_kw is not None
                        and new.plan.grid_kw.min() > -1e-2),
    "rules steer": ([picked("controller", "rule-based")],
                    lambda old, new: (old.plan.controller, new.plan.controller)
                    == ("mpc", "rule-based"))}


@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_moves_the_plan(app: AppTest, wish: str) -> None:
    moves, holds = WISHES[wish]
    old = None
    for move in moves:
        move(app)
        old = preview(app)[1] if move is FREE and len(moves) > 1 else old
    told = shown(app)
    assert "Nothing is changed yet" not in told
    assert "Through the packs, kWh" in told
    before, new = preview(app)
    assert holds(old or before, new), wish


def test_each_kind_of_prices_is_there_to_choose_with_its_state(app: AppTest) -> None:
    box = app.selectbox(key="co_tariff")
    assert box.options == [
        "As its house tells (missing)", "Day-ahead prices of Market (fresh)",
        "Day-ahead prices of <i>Old</i> (missing)", "Flat", "Time of use"]
    box.set_value(tariffs.SOURCE + MARKET).run()
    told = shown(app)
    assert "<b>Fresh</b>: known until Mon 12:00, 0.08 to 0.31 EUR/kWh in the next 24 h." in told
    assert "prices: day-ahead, by the source market" in told
    _, new = preview(app)
    assert sorted(set(np.round(new.outlook.import_price, 6))) == [0.08, 0.31]
    app.selectbox(key="co_tariff").set_value(tariffs.SOURCE + SILENT).run()
    told = shown(app)
    assert "<b>Missing</b>. No prices were told yet." in told
    assert "No plan can be made so" in told
    app.selectbox(key="co_tariff").set_value(tariffs.HOUSE).run()
    assert "No tariff is set for this site" in shown(app)


def test_a_series_is_told_in_its_own_currency(app: AppTest, store: CoordinatorStore) -> None:
    kept = StoredPrices.of("SEK", day_ahead())
    store.keep_prices(SITE, "spot", msgspec.json.encode(kept), START)
    app.run()
    box = app.selectbox(key="co_tariff")
    assert box.options[-1] == "Prices: spot (fresh)"
    box.set_value(tariffs.SERIES + "spot").run()
    told = shown(app)
    assert "24 hours, SEK" in told
    assert "prices: the series spot" in told
    asked = app.session_state[form.SEEN][1].settings
    assert (asked.prices, asked.tariff.currency) == ("spot", "SEK")


def test_a_challenger_is_chosen_beside_the_controller(app: AppTest) -> None:
    box = app.selectbox(key="co_challenger")
    assert "mpc" not in box.options
    box.set_value("rule-based").run()
    assert "in the shadow" in shown(app).lower()
    picked("controller", "rule-based")(app)
    assert "Rule-based" not in app.selectbox(key="co_challenger").options


def test_nobody_steers_and_it_is_said_before_it_is_applied(app: AppTest) -> None:
    picked("controller", "off")(app)
    told = shown(app)
    assert "No plan can be made" not in told
    assert "Nothing is changed yet" not in told
