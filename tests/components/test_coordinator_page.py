"""The Coordinator page in a process: each room, what a viewer may, what an operator's act does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from html import unescape
from pathlib import Path

import msgspec
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import core.runtime
from components.coordinator import choice, orders, price_file
from core.coordinator.actor import BEFORE, load, signed, written
from core.coordinator.asked import Coordination
from core.coordinator.records import CoordinatorStore, Run
from core.errors import RequestError, RetryLaterError, UnknownIdError
from core.registry import make_planners
from core.runtime import Runtime
from tests.components.coordinator_site import (
    LEFT_OUT,
    SETTINGS,
    coordinated,
    fill,
    later,
    learn,
    planned,
    problem,
)
from tests.components.fleet_site import SITE, START, AuditedClient
from tests.components.sent import sent
from tests.coordinator_rl.cases import KEY, actor

PAGE = str(Path(__file__).resolve().parents[2] / "pages" / "coordinator.py")
OVERVIEW = str(Path(__file__).resolve().parents[2] / "pages" / "overview.py")
PLAN = planned(problem())


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[AuditedClient, CoordinatorStore]]:
    """The page's own process has this site."""
    with coordinated() as (client, store, fleet, _):
        fill(store, fleet, PLAN)
        st.cache_data.clear()
        monkeypatch.setattr(core.runtime, "_shared", client._runtime)
        yield client, store
    st.cache_data.clear()


def opened(page: str = PAGE, **address: str) -> AppTest:
    app = AppTest.from_file(page, default_timeout=60)
    for key, value in address.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return app


def shown(app: AppTest) -> str:
    told = unescape(" ".join(text for _, _, text in sent(app)))
    assert "has a defect" not in told
    assert "cannot be shown" not in told
    return told


def known(client: AuditedClient) -> Coordination:
    found = client.coordination
    assert not isinstance(found, str)
    return found


def test_the_plan_s_room_answers_what_why_and_what_it_earned(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    told = shown(opened())
    for part in ("MPC has the fleet charging", "1 pack does not deliver", "next plan in 4 min",
                 "Saved today", "91", "Captured yesterday", "Perfect foresight",
                 "Rule-based would have paid 88.00 EUR, MPC 84.00 EUR", "Prices are known until",
                 "it stores PV that would earn 0.05", "Limits that bind then",
                 "One more kWh stored is worth", "82 % came inside its band"):
        assert part in told, part


def test_a_link_to_an_hour_explains_that_hour(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    evening = later(6).strftime(choice.HOUR_FORMAT)
    told = shown(opened(hour=evening))
    chosen = told[told.index(' on"><span class="num">'):]
    assert "17:00 to 22:00" in chosen[:60]
    assert 'class="nm">17:00 to 22:00' in told
    for wrong in ("yesterday", "20991231T0000Z", "<b>"):
        assert 'class="nm">12:00 to 15:00' in shown(opened(hour=wrong))


def test_packs_tell_why_their_share_is_no_equal_one(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    _, store = site
    store.keep_run(SITE, Run(problem(), PLAN, LEFT_OUT))
    told = shown(opened(room=choice.PACKS))
    assert "its fuse is out" in told
    assert "limited by its temperature (39 degC)" in told
    assert "its charge contradicts the twin: calibrate it" in told
    app = opened(room=choice.PACKS)
    app.segmented_control(key="coordinator_packs_show").set_value("Not delivered").run()
    assert "limited by its temperature" not in shown(app)


def test_a_wish_is_seen_as_a_plan_before_anybody_applies_it(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    app = opened(room=choice.OBJECTIVES)
    assert "Nothing is changed yet" in shown(app)
    app.slider(key="co_reserve").set_value(40.0).run()
    told = shown(app)
    assert "kept for an outage: 40 % instead of 0" in told
    assert "Through the packs, kWh" in told
    assert "Anna: " in told
    press = app.button(key="coordinator_apply")
    assert press.disabled
    assert "Sign in as operator" in press.help
    assert app.button(key="coordinator_override").disabled
    assert app.button(key="coordinator_take").disabled
    app.button(key="coordinator_reset").click().run()
    assert "Nothing is changed yet" in shown(app)
    assert app.slider(key="co_reserve").value == 0.0


def test_tariffs_are_put_together_from_the_form(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    app = opened(room=choice.OBJECTIVES)
    app.selectbox(key="co_tariff").set_value("time_of_use").run()
    told = shown(app)
    assert "time of use, 0.20 EUR/kWh and 1 other price" in told
    assert "Highest import, kW" in told
    app.text_input(key="co_currency").set_value("ab").run()
    assert "A currency is three letters" in shown(app)


def test_a_controller_that_is_missing_says_so_instead_of_a_plan(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    client, _ = site
    lacks = [one for one in known(client).view(SITE).controllers if one.missing]
    app = opened(room=choice.OBJECTIVES)
    for one in lacks:
        app.segmented_control(key="co_controller").set_value(one.controller).run()
        told = shown(app)
        assert "Not ready: " in told
        assert "No plan can be made so" in told


def test_somebody_else_s_change_puts_the_form_back(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    client, _ = site
    app = opened(room=choice.OBJECTIVES)
    app.slider(key="co_wear").set_value(2.0).run()
    changed = msgspec.structs.replace(SETTINGS, import_limit_kw=80.0)
    known(client).apply(SITE, changed, "Bert")
    app.run()
    assert app.slider(key="co_wear").value == 1.0
    assert app.number_input(key="co_import_limit").value == 80.0
    assert "Bert: import at most 80.0 kW" in shown(app)


def test_without_training_the_room_says_how_to_start_one(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    told = shown(opened(room=choice.TRAINING))
    assert "No training has run here" in told
    assert "make rl" in told


def test_the_training_room_has_curves_verdicts_and_a_way_back(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    client, store = site
    learn(store)
    app = opened(room=choice.TRAINING)
    told = shown(app)
    for part in ("running, 50 %", "v3: refused", "it captures less than MPC", "83.3 %",
                 "26 µs a decision", "84.0 kB", "before: v1"):
        assert part in told, part
    assert app.button(key="coordinator_roll_back").disabled
    assert "python -m services.coordinator.rl back" in told
    for device, error, why in (("the coordinator", RequestError, "nothing before"),
                               ("pack-02", RequestError, "is not here"),
                               ("pack-99", UnknownIdError, "no version is deployed")):
        with pytest.raises(error, match=why):
            known(client).roll_back(device, "Anna")
    assert known(client).rl_room().deployments[0].version in ("v1", "v2")


def test_a_roll_back_puts_the_file_before_in_its_place(tmp_path: Path) -> None:
    place = tmp_path / "actor.orrery"
    for version, path in (("v1", place.with_name(place.name + BEFORE)), ("v2", place)):
        policy = replace(actor(), record=msgspec.structs.replace(actor().record, version=version))
        path.write_bytes(signed(written(policy), KEY))
    with coordinated(planners=make_planners(place, KEY)) as (client, store, _, _):
        learn(store)
        back = known(client).roll_back("the coordinator", "Anna")
        assert (back.version, back.previous, back.by) == ("v1", "", "Anna")
        assert back in known(client).rl_room().deployments
        assert load(place, KEY).record.version == "v1"
        with pytest.raises(RequestError, match="nothing before"):
            known(client).roll_back("the coordinator", "Anna")


def test_the_overview_has_the_plan_in_a_line(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    told = shown(opened(OVERVIEW))
    assert "MPC has the fleet charging" in told
    assert "88 % of what was possible" in told


def test_off_and_nobody_are_no_empty_pages(
        site: tuple[AuditedClient, CoordinatorStore], monkeypatch: pytest.MonkeyPatch) -> None:
    client, store = site
    store.save_settings(SITE, msgspec.structs.replace(SETTINGS, controller="off"), "Anna", START)
    told = shown(opened())
    assert "The coordinator is off" in told
    assert "Choose a controller under Objectives" in told
    assert "Nothing is allocated" in shown(opened(room=choice.PACKS))
    bare = Runtime(client.config, client._runtime.engine, (), None)
    monkeypatch.setattr(core.runtime, "_shared", bare)
    assert "Nothing is coordinated here" in shown(opened())
    assert "the plan, and what it earned" not in shown(opened(OVERVIEW))


@pytest.mark.parametrize("key", ["site", "room", "back", "hour"])
def test_an_address_that_names_nothing_shows_the_page(
        site: tuple[AuditedClient, CoordinatorStore], key: str) -> None:
    assert "MPC has the fleet" in shown(opened(**{key: "<img src=x>"}))


# -- what an operator does


def test_an_act_is_audited_before_it_is_done(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    client, _ = site
    view = known(client).view(SITE)
    hold = partial(known(client).override, SITE, -12.0, timedelta(minutes=30), why="test")
    orders._done(client, view, "override the coordinator", "12 kW in", "test", hold, "Anna")
    entry = client.entries[-1]
    assert (entry.who, entry.action, entry.element) == ("Anna", "override the coordinator",
                                                        view.element)
    told = shown(opened())
    assert "Anna holds the fleet charging at 12.0 kW until 12:30" in told
    orders._done(client, known(client).view(SITE), "end the coordinator's override", "", "",
                 partial(known(client).release, SITE), "Anna")
    assert known(client).view(SITE).override is None
    assert client.entries[-1].before == "12.0 kW in"


def test_what_cannot_be_written_down_is_not_done(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    client, _ = site
    client.full = True
    hold = partial(known(client).override, SITE, 12.0, timedelta(minutes=30), why="")
    with pytest.raises(RetryLaterError):
        orders._done(client, known(client).view(SITE), "override the coordinator", "", "", hold,
                     "Anna")
    assert known(client).settings(SITE).override is None


def test_prices_out_of_a_file_are_described_or_refused(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    client, _ = site
    form = price_file._as_format({"unit": "MWh", "time": "when"})
    file = b"when,price\n" + b"".join(
        f"2026-11-21T{hour:02}:00:00Z,{200 + hour}\n".encode() for hour in range(24))
    found = known(client).take_prices(SITE, "spot", file, form, "EUR", "Anna")
    told = price_file._found(found, "EUR")
    assert told.startswith("24 prices taken in, median 0.21 EUR/kWh")
    assert "spot" in known(client).view(SITE).price_series
    with pytest.raises(RequestError, match="unit"):
        price_file._as_format({"unit": "ounce"})
