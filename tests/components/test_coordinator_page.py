"""The Coordinator page in a process: each room, what a viewer may, what an operator's act does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
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
from components import confirm, operator
from components.coordinator import choice, deploying, export, orders, price_file
from components.coordinator import policies as running
from components.fleet import orders as fleet_orders
from core.coordinator.actor import Record, Verdict, load, signed, written
from core.coordinator.asked import Coordination
from core.coordinator.candidates import NAME, Candidates
from core.coordinator.desk import CoordinatorDesk
from core.coordinator.learnt import HERE, NO_PLACE
from core.coordinator.prices import PriceFormat
from core.coordinator.records import CoordinatorStore, Run, SiteState
from core.coordinator.view import Here, LeftOut, Shadow
from core.errors import (
    ChangedMeanwhileError,
    GiveUpError,
    RequestError,
    RetryLaterError,
    UnknownIdError,
)
from core.registry import make_planners
from core.runtime import Runtime
from tests.components.coordinator_site import (
    LEFT_OUT,
    SETTINGS,
    coordinated,
    day,
    fill,
    later,
    learn,
    planned,
    problem,
)
from tests.components.fleet_site import SITE, START, AuditedClient, FakeFleet
from tests.components.sent import sent
from tests.coordinator_rl.cases import KEY, LET, SHIPPED, SITE_LET, SITE_REFUSED, actor

PAGE = str(Path(__file__).resolve().parents[2] / "pages" / "coordinator.py")
OVERVIEW = str(Path(__file__).resolve().parents[2] / "pages" / "overview.py")
PLAN = planned(problem())
Policies = tuple[AuditedClient, FakeFleet, Path]


class OutOfReach:
    """A `CoordinatorStore` of which nothing can be asked."""

    def close(self) -> None:
        """It is."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        def asked(*_: object, **__: object) -> object:
            raise RetryLaterError("the database sleeps")

        return asked


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
                 "Saved today", "captured 91 % of what was possible; 97 % of it is known",
                 "Captured yesterday", "Perfect foresight",
                 "Rule-based would have paid 88.00 EUR, MPC 84.00 EUR", "Prices are known until",
                 "it stores PV that would earn 0.05", "Limits that bind then",
                 "One more kWh stored is worth", "Binds; one more would save",
                 "82 % came inside its band"):
        assert part in told, part


def test_money_of_before_is_told_in_its_own_currency(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    """The tariff is in EUR by now; and an earlier version kept no currency."""
    _, store = site
    today = START.replace(hour=0)
    store.keep_day(SITE, replace(day(today - timedelta(days=1), 24.0, 88.0), currency="USD"))
    store.keep_day(SITE, replace(day(today, 12.0, 91.2), currency=None))
    store.keep_shadow(SITE, Shadow("rule-based", "mpc", START, 3, 88.0, 84.0))
    told = shown(opened())
    for part in ("wear 2.50 USD", "known; in a currency that was not kept",
                 "Rule-based would have paid 88.00, MPC 84.00",
                 "Told in a currency that was not kept."):
        assert part in told, part
    assert "2.50 EUR" not in told
    assert "13.50 EUR" not in told


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
    less = LeftOut("pack-02", "Pack 02", "the digital twin finds 85 % of its capacity")
    store.keep_run(SITE, Run(problem(), PLAN, LEFT_OUT, (less,)))
    told = shown(opened(room=choice.PACKS))
    assert "Planned with for less than they say" in told
    assert "the digital twin finds 85 % of its capacity" in told
    assert "Without a coordinator packs rest 60 s after their last order; 3 packs do not" in told
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
    most = app.number_input(key="coordinator_most")
    assert (most.value, most.disabled) == (PriceFormat().most_per_kwh, True)
    assert "more than 20 times it" in most.help
    app.button(key="coordinator_reset").click().run()
    assert "Nothing is changed yet" in shown(app)
    assert app.slider(key="co_reserve_1").value == 0.0


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


@pytest.mark.parametrize("room", [choice.PLAN, choice.PACKS, choice.OBJECTIVES, choice.TRAINING])
def test_a_store_that_is_out_of_reach_is_told_in_each_room(
        site: tuple[AuditedClient, CoordinatorStore], room: str,
        monkeypatch: pytest.MonkeyPatch) -> None:
    desk = known(site[0])
    opened(room=room)
    monkeypatch.setattr(desk, "store", OutOfReach())
    monkeypatch.setattr("core.coordinator.desk.SEEN_S", 0.0)
    told = unescape(" ".join(text for _, _, text in sent(opened(room=room))))
    assert "has a defect" not in told
    assert "the database sleeps" in told


def test_somebody_else_s_change_puts_the_form_back(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    client, _ = site
    app = opened(room=choice.OBJECTIVES)
    app.slider(key="co_wear").set_value(2.0).run()
    changed = msgspec.structs.replace(SETTINGS, import_limit_kw=80.0)
    known(client).apply(SITE, changed, "Bert")
    app.run()
    assert app.slider(key="co_wear_1").value == 1.0
    assert app.number_input(key="co_import_limit_1").value == 80.0
    assert "Bert: import at most 80.0 kW" in shown(app)


def test_without_training_the_room_says_how_to_start_one(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    told = shown(opened(room=choice.TRAINING))
    assert "No training has run here" in told
    assert "make rl" in told
    assert "Nothing was evaluated yet" in told


def test_the_training_room_has_curves_and_verdicts(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    _, store = site
    learn(store)
    told = shown(opened(room=choice.TRAINING))
    for part in ("1 running", "running, 50 %", "silent for 1 h 00, at 30 %: see whether its "
                 "process runs", 'make rl ARGS="cancel RUN"', "v3: refused as a site's controller",
                 "it captures less than MPC", "83.3 %", "26 µs a decision", "84.0 kB",
                 "may not drive"):
        assert part in told, part


def refused(record: Record) -> str:
    """"5.01 a day more than MPC"."""
    verdict = record.verdict("site")
    assert verdict is not None
    return verdict.words.partition("it costs ")[2].rstrip(".")


def test_what_the_gate_refused_cannot_be_chosen_and_says_why(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    client, store = site
    app = opened(room=choice.OBJECTIVES)
    assert app.segmented_control(key="co_controller").options == ["Off", "Rule-based", "MPC"]
    told = shown(app)
    assert "RL cannot be chosen." in told
    assert refused(SHIPPED) in told
    with pytest.raises(RequestError, match="RL may not drive: Refused"):
        known(client).apply(SITE, msgspec.structs.replace(SETTINGS, controller="rl"), "Anna")
    store.save_settings(SITE, msgspec.structs.replace(SETTINGS, controller="rl"), "Anna", START)
    known(client).release(SITE, "Anna")
    app = opened(room=choice.OBJECTIVES)
    assert app.segmented_control(key="co_controller").value == "rl"
    assert "RL is chosen, but may not drive." in shown(app)


def test_what_is_assumed_is_told_at_once(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    _, store = site
    store.keep_state(SITE, SiteState(START, "edge-1", START + timedelta(minutes=4), doubts=(
        "prices are known until 21 Nov 23:00 UTC: what lacks is taken as the day before",
        "the digital twin last looked at 11:50 UTC: charges are taken as devices tell them")))
    told = shown(opened())
    for part in ("Prices are known until 21 Nov",
                 "The digital twin last looked at 11:50 UTC"):
        assert part in told, part


def test_limits_that_contradict_are_told_before_they_are_applied(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    app = opened(room=choice.OBJECTIVES)
    app.number_input(key="co_import_limit").set_value(0.0).run()
    told = shown(app)
    assert "What could not be met" in told
    assert "load less PV is 40.0 kW, the limit is 0.0 kW" in told


# -- learnt policies where they run


def policy(version: str, *verdicts: Verdict) -> bytes:
    made = actor(1, 8, *(verdicts or (SITE_LET, LET)))
    return signed(written(replace(made, record=msgspec.structs.replace(
        made.record, version=version))), KEY)


def test_the_shipped_policy_stands_with_its_figures_on_a_fresh_install(
        policies: Policies) -> None:
    """They are those of its own signed record."""
    client, _, _ = policies
    told = shown(opened(room=choice.TRAINING))
    for part in ("No training has run here",
                 f"{SHIPPED.version} (as shipped): refused as a site's controller",
                 f"it costs {refused(SHIPPED)}", f"{len(SHIPPED.days)} days, violations: 0"):
        assert part in told, part
    room = known(client).rl_room()
    assert room.evaluations == []
    found = room.judged[-1]
    assert found.captured_pct == SHIPPED.captured_pct
    assert {"rule-based", "mpc", SHIPPED.method} < set(found.captured_pct)
    for name, share in SHIPPED.captured_pct.items():
        assert f"{share:.1f}" in told, name
        costs = SHIPPED.costs[name]
        assert f"{sum(costs) / len(costs):.2f} a day" in told, name
    assert "as shipped" in export.evaluations(room)


def test_what_a_run_told_of_a_policy_is_not_told_twice(policies: Policies) -> None:
    client, _, _ = policies
    desk = known(client)
    told = replace(desk.rl_room().judged[-1], decision_us=26.0)
    assert isinstance(desk, CoordinatorDesk)
    desk.store.keep_evaluation(told)
    assert [one for one in desk.rl_room().judged if one.version == told.version] == [told]


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Policies]:
    """A site with runs v1, v2 that the gate let, v3 that it refused, one that was tampered with."""
    runs, place = tmp_path / "runs", tmp_path / "drives" / "actor.orrery"
    for number, (version, file) in enumerate({
            "v1": policy("v1"), "v2": policy("v2"), "v3": policy("v3", SITE_REFUSED),
            "v4": policy("v4")[:-1]}.items()):
        path = runs / version / NAME
        path.parent.mkdir(parents=True)
        path.write_bytes(file)
        os.utime(path, (number, number))
    with coordinated(planners=make_planners(place, KEY),
                     candidates=Candidates(runs, KEY)) as (client, store, fleet, _):
        fill(store, fleet, PLAN)
        st.cache_data.clear()
        monkeypatch.setattr(core.runtime, "_shared", client._runtime)
        yield client, fleet, place
    st.cache_data.clear()


def test_the_coordinator_s_own_policy_is_deployed_and_goes_back(policies: Policies) -> None:
    client, _, place = policies
    desk = known(client)
    assert "v4" in desk.rl_room().policies[0].name
    for name in ("v1", "v2"):
        assert desk.deploy(name, "Anna").version == name
    assert (load(place, KEY).record.version, desk.rl_room().here) == (
        "v2", Here("v2", "v1"))
    for name, why in (("v3", "3.00 a day more"), ("v9", "no policy")):
        with pytest.raises(RequestError, match=why):
            desk.deploy(name, "Anna")
    with pytest.raises(GiveUpError, match="changed after"):
        desk.deploy("v4", "Anna")
    back = desk.roll_back(HERE, "Anna")
    assert (back.version, back.previous, back.by) == ("v1", "", "Anna")
    assert back in desk.rl_room().deployments
    with pytest.raises(RequestError, match="nothing before"):
        desk.roll_back(HERE, "Anna")
    with pytest.raises(UnknownIdError, match="by a command"):
        desk.roll_back("pack-01", "Anna")


def test_a_policy_that_drives_and_could_not_be_written_down_is_said_to_drive(
        policies: Policies, monkeypatch: pytest.MonkeyPatch) -> None:
    client, _, place = policies
    desk = known(client)

    def away(_: object) -> None:
        raise RetryLaterError("the store does not answer")

    with monkeypatch.context() as lost:
        lost.setattr(type(desk.store), "keep_deployment", lambda self, told: away(told))
        with pytest.raises(RetryLaterError, match="v1 plans from now on, .*does not answer"):
            desk.deploy("v1", "Anna")
    assert load(place, KEY).record.version == "v1"
    assert desk.deploy("v1", "Anna") in desk.rl_room().deployments, "it may be tried again"


def test_what_cannot_be_deployed_says_why_beside_its_button(policies: Policies) -> None:
    client, fleet, _ = policies
    app = opened(room=choice.TRAINING)
    assert app.button(key="coordinator_deploy_go").disabled
    told = shown(app)
    for part in ("Sign in as operator", "Roll back: nothing was deployed there",
                 "The actor was changed after it was signed", "3.00 a day more than MPC",
                 "Deploy: The actor was changed"):
        assert part in told, part
    app.selectbox(key="coordinator_policy").set_value("v3").run()
    assert "Deploy: It was never judged for this" in shown(app)
    app.selectbox(key="coordinator_where").set_value(HERE).run()
    assert "Deploy: Refused: it costs 3.00 a day more than MPC" in shown(app)
    fleet.change(0, policy="v2", policy_before="v1")
    place = deploying.Place("Pack 001", fleet_orders.of_pack(client, fleet.told[0]))
    v2 = next(one for one in known(client).rl_room().policies if one.name == "v2")
    assert deploying.not_deployed(place, v2) == "v2 runs there already."
    assert deploying.not_back(place) == ""
    shipped = deploying.Place("", here=Here("demo-2026", shut=NO_PLACE))
    assert "names no file" in deploying.not_deployed(shipped, v2)


def test_packs_are_sent_a_policy_and_their_answers_are_told(policies: Policies) -> None:
    client, fleet, _ = policies
    target = fleet_orders.of_site(client, SITE)
    deploying._send(client, known(client), target, "deploy", "v2", "v2", "Anna")
    assert {bytes(file or b"") for file in fleet.files.values()} == {policy("v2")}
    entry = client.entries[0]
    assert (entry.who, entry.action, entry.before, entry.after) == (
        "Anna", "deploy", "not told", "Deploy policy: v2")
    lives = list(fleet.lives)
    fleet.lives = [replace(lives[0], state="refused", reason="another key"),
                   replace(lives[1], state="expired", reason="no answer in time"),
                   replace(lives[2], state="executed")]
    assert "1 executed, 1 refused, 1 expired" in client.waited_for("deploy: outcome").after
    fleet.change(0, policy="v2", policy_before="")
    told = shown(opened(room=choice.TRAINING))
    for part in ("deploy by Anna: <b>refused</b>: another key", "<b>silent</b>: no answer in time",
                 "<b>accepted</b>", "1 pack runs v2", "not told yet"):
        assert part in told, part


def test_every_pack_can_be_looked_up_with_what_it_runs(policies: Policies) -> None:
    _, fleet, _ = policies
    fleet.change(1, policy="v2", policy_before="")
    fleet.change(2, policy="", label="<b>Pack")
    (table,) = running.each(fleet.packs())
    assert "Pack 002</span><span>v2</span>" in table
    assert 'mut">none</span>' in table
    assert "&lt;b&gt;Pack</span><span>none: at rest</span>" in table
    assert table.count("o-coeach") == 4
    many = running.each(300 * list(fleet.packs()))
    assert "The first 200 of 900 packs" in many[1]


def test_a_policy_that_is_not_written_down_is_not_sent(policies: Policies) -> None:
    client, fleet, place = policies
    client.full = True
    with pytest.raises(RetryLaterError):
        deploying._send(client, known(client), fleet_orders.of_site(client, SITE), "roll_back", "",
                        "rest", "Anna")
    v1 = next(one for one in known(client).rl_room().policies if one.name == "v1")
    with pytest.raises(RetryLaterError):
        deploying._deploy_here(client, known(client), v1, "", "Anna")
    assert fleet.lives == []
    assert not place.exists()


def test_the_overview_has_the_plan_in_a_line(
        site: tuple[AuditedClient, CoordinatorStore]) -> None:
    told = shown(opened(OVERVIEW))
    assert "MPC has the fleet charging" in told
    assert "88 % of what was possible" in told


def test_the_first_minutes_have_words_instead_of_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    with coordinated() as (client, store, _, _):
        store.save_settings(SITE, SETTINGS, "Anna", START)
        store.keep_state(SITE, SiteState(START, "edge-1", START + timedelta(minutes=4)))
        st.cache_data.clear()
        monkeypatch.setattr(core.runtime, "_shared", client._runtime)
        told = shown(opened())
        for part in ("The first plan is made now", "Limits broken today",
                     "counted while packs are steered",
                     "The first account of today comes with a plan",
                     "Nothing is known of yesterday: what today earns is judged"):
            assert part in told, part
        assert "Nothing is known of yesterday" in shown(opened(OVERVIEW))
    st.cache_data.clear()


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


def test_a_coordinator_that_could_not_start_says_why(
        site: tuple[AuditedClient, CoordinatorStore], monkeypatch: pytest.MonkeyPatch) -> None:
    client, _ = site
    why = "the PostgreSQL of ORRERY_DATABASE refuses the password"
    monkeypatch.setattr(core.runtime, "_shared", Runtime(
        client.config, client._runtime.engine, (), None, coordinator=why))
    told = shown(opened())
    assert "The coordinator could not start" in told
    assert "ORRERY_DATABASE refuses the password." in told
    assert "Mend that and start Orrery again" in told
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
    asked = {"time": "when", "unit": "kWh"}
    with pytest.raises(RequestError, match="`most_per_kwh`"):
        known(client).take_prices(SITE, "dear", file, price_file._as_format(dict(asked)), "EUR",
                                  "Anna")
    dear = price_file._as_format({**asked, "most_per_kwh": 300.0})
    assert known(client).take_prices(SITE, "dear", file, dear, "EUR", "Anna").median > 200.0


def test_what_is_confirmed_later_undoes_nobody_s_stop(
        site: tuple[AuditedClient, CoordinatorStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """A dialog stands for up to 30 s; AppTest has none, so that its second step is taken here."""
    client, _ = site
    confirmed: list[Callable[[str], None]] = []
    monkeypatch.setattr(confirm, "ask", lambda _client, _step, do: confirmed.append(do))
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["room"] = choice.OBJECTIVES
    app.session_state[operator.KEY] = operator.signed_in(client, "Anna")
    app.run()
    app.slider(key="co_wear").set_value(2.0).run()
    app.button(key="coordinator_apply").click().run()
    seen = known(client).settings(SITE)
    known(client).apply(SITE, msgspec.structs.replace(seen, controller="off"), "Bert", seen=seen)
    with pytest.raises(ChangedMeanwhileError, match="Look again, then decide anew"):
        confirmed[0]("Anna")
    assert known(client).settings(SITE).controller == "off"
    assert known(client).settings(SITE).objectives.wear == seen.objectives.wear
