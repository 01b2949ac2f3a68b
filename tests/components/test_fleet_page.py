"""The Fleet page: how packs are judged, sorted, told, and what an operator may do to them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from components.fleet import board, detail, lines, orders, overview
from components.fleet.standing import SAFETY, SORTS, Standings, Wish, wanted
from core.clock import ManualClock
from core.config import OperatorsConfig
from core.errors import RetryLaterError, SourceError
from core.fleet.command_book import NO_ANSWER
from core.fleet.messages import PartialLimit, SafetyState
from core.operators import SESSION
from core.safety.derating import LIMITS
from core.safety.margins import HIGHEST, LOWEST
from core.twin.interval import UNKNOWN, Interval
from services.gateway.fleet_cells import worst_cells
from tests.components import fleet_app
from tests.components.fleet_site import AuditedClient, FakeFleet, judge, site, tick
from tests.core.test_operators import least_hash

SCRIPT = "from tests.components import fleet_app\nfleet_app.page()\n"
PASSWORD = "correct horse battery"


def shown(client: AuditedClient, wish: Wish | None = None) -> list[int]:
    return [int(place) for place in wanted(board.now(client), wish or Wish())]


def row(client: AuditedClient, place: int) -> dict[str, object]:
    return lines.line(client.topology, client.snapshot(), board.now(client), place)


def set_cell(client: AuditedClient, fleet: FakeFleet, pack: int, cell: int, name: str,
             value: float) -> None:
    part = client.topology.children(client.topology.index(fleet.told[pack].element))
    fleet.columns[name][part.start + cell] = value
    tick(client)


def test_the_alarmed_come_first_and_the_silent_last() -> None:
    client, fleet, clock = site(6)
    fleet.change(4, safety="latched")
    fleet.change(0, link="offline")
    fleet.change(2, heard_at=None)
    tick(client)
    assert shown(client) == [4, 1, 3, 5, 0, 2]
    clock.advance(60)
    assert board.now(client).silent.tolist() == [True, False, True, False, False, False]
    tick(client)
    told = board.now(client)
    assert told.age_s[1] == 60
    assert math.isnan(told.age_s[2])


def test_a_pack_whose_last_message_is_old_is_silent_with_its_age_and_without_its_power() -> None:
    client, fleet, clock = site(2)
    fleet.poll = lambda now: (_ for _ in ()).throw(SourceError("gone"))  # type: ignore[assignment]
    clock.advance(30)
    tick(client)
    told = row(client, 0)
    assert told["old"] is True
    assert told["age"] == "30 s"
    assert (told["power"], told["way"]) == ("–", "no data")


@pytest.mark.parametrize(("pack", "current_a", "name", "value", "words", "why"), [
    (0, 20.0, "voltage_v", 3.641, "Cell 4, 3.641 V", "highest, 9 mV left"),
    (0, 20.0, "voltage_v", 3.661, "Cell 4, 3.661 V", "highest, 11 mV beyond its limit"),
    (0, -20.0, "voltage_v", 2.512, "Cell 4, 2.512 V", "lowest, 12 mV left"),
    (0, 20.0, "temperature_c", 58.5, "Cell 4, 58.5 °C", "hottest, 1.5 K left"),
    (0, -20.0, "temperature_c", 48.0, "Cell 4, 48.0 °C", "hottest, 2.0 K left"),
    (0, 0.0, "temperature_c", 48.0, "Cell 4, 48.0 °C", "hottest, 2.0 K left"),
    (0, 0.0, "temperature_c", 51.0, "Cell 4, 51.0 °C", "hottest, 1.0 K beyond its limit"),
    (1, -20.0, "temperature_c", 44.0, "Cell 4, 44.0 °C", "hottest, 1.0 K left"),
    (0, -20.0, "temperature_c", 1.5, "Cell 4, 1.5 °C", "coldest, 1.5 K left"),
    (0, 20.0, "temperature_c", -21.0, "Cell 4, −21.0 °C",
     "coldest, 1.0 K beyond its limit"),
])
def test_the_worst_cell_is_the_nearest_to_a_trip_limit_of_its_direction(
        pack: int, current_a: float, name: str, value: float, words: str, why: str) -> None:
    """On the page and in the API."""
    client, fleet, _ = site(2)
    assert [one.chemistry for one in fleet.told] == ["LFP", "NMC"]
    node = client.topology.index(fleet.told[pack].element)
    fleet.columns["current_a"][node] = current_a
    set_cell(client, fleet, pack, 3, name, value)
    told = row(client, pack)
    assert (told["cell"], told["why"]) == (words, why)
    assert shown(client, Wish(sort="cell")) == [pack, 1 - pack]
    cell = worst_cells(client.topology, client.snapshot().frame, [node])[node]
    assert (cell.label, cell.value) == ("Cell 4", pytest.approx(value))
    assert cell.side.startswith(str(told["why"]).partition(",")[0])
    digits = float(re.sub(r"[^0-9.]", "", why.partition(",")[2]))
    assert abs(cell.limit - cell.value) * (1000 if name == "voltage_v" else 1) == \
        pytest.approx(digits, abs=0.01)


def test_extremes_of_each_pack_are_its_own_cells_alone() -> None:
    client, fleet, _ = site(5)
    rng = np.random.default_rng(3)
    for pack in fleet.told:
        part = client.topology.children(client.topology.index(pack.element))
        fleet.columns["voltage_v"][part] = rng.uniform(2.6, 3.6, part.stop - part.start)
    fleet.columns["voltage_v"][client.topology.children(
        client.topology.index(fleet.told[3].element))] = np.nan
    tick(client)
    told = board.now(client)
    for place, pack in enumerate(fleet.told):
        part = client.topology.children(client.topology.index(pack.element))
        volts = client.snapshot().frame.columns["voltage_v"][part]
        assert told.extremes[LOWEST, place] == pytest.approx(volts.min(), nan_ok=True)
        assert told.extremes[HIGHEST, place] == pytest.approx(volts.max(), nan_ok=True)
    assert np.isfinite(told.extremes[LOWEST]).tolist() == [True, True, True, False, True]


def test_missing_is_told_and_is_never_zero() -> None:
    client, fleet, _ = site(2)
    node = client.topology.index(fleet.told[0].element)
    for name in ("power_kw", "soc_pct", "temperature_c"):
        fleet.columns[name][node] = np.nan
    fleet.columns["voltage_v"][client.topology.children(node)] = np.nan
    fleet.columns["temperature_c"][client.topology.children(node)] = np.nan
    fleet.change(0, soh_pct=None, charge_limit_a=None, discharge_limit_a=0.0, safety=None,
                 capacity_kwh=None, missing=1234, limit_reason="limited by cell 3")
    tick(client)
    told = row(client, 0)
    assert told["charge"] == "– %"
    assert told["soc"] is None
    assert told["health"] == "SoH not told"
    assert told["heat"] == "– °C"
    assert told["cell"] == "–"
    assert told["limits"] == "– | 0 A"
    assert told["reason"] == "limited by cell 3"
    assert told["safety"] == "Not known"
    assert told["missing"] == "1\u202f234 missing"


def test_a_pack_that_is_not_in_the_tree_has_a_row_without_readings() -> None:
    client, fleet, _ = site(2)
    fleet.change(0, element="system_home_rack_zzz")
    told = row(client, 0)
    assert told["old"] is True
    assert (told["power"], told["charge"], told["cell"]) == ("–", "– %", "–")


@pytest.mark.parametrize(("wish", "places"), [
    (Wish(text="pack 003"), [2]),
    (Wish(text=" PACK_003 "), [2]),
    (Wish(text="<script>"), []),
    (Wish(states=("tripped",)), [1]),
    (Wish(states=("tripped", "limited")), [1, 3]),
    (Wish(states=("silent",)), [4]),
    (Wish(states=("alarmed",)), [1]),
    (Wish(chemistries=("LCO",)), [3]),
    (Wish(chemistries=("LCO",), states=("tripped",)), []),
    (Wish(sort="name"), [0, 1, 2, 3, 4, 5]),
    (Wish(sort="power"), [5, 3, 2, 1, 0, 4]),
    (Wish(sort="charge"), [0, 1, 2, 3, 4, 5]),
    (Wish(sort="missing"), [5, 0, 1, 2, 3, 4]),
    (Wish(sort="health"), [3, 0, 1, 2, 4, 5]),
])
def test_filter_and_order(wish: Wish, places: list[int]) -> None:
    client, fleet, _ = site(6)
    fleet.change(1, safety="latched")
    fleet.change(3, safety="derate", soh_pct=80.0)
    fleet.change(4, link="conflict")
    fleet.change(5, missing=7)
    tick(client)
    assert shown(client, wish) == places


def elements(fleet: FakeFleet) -> list[str]:
    return [pack.element for pack in fleet.told]


def test_where_a_device_tells_no_health_the_twin_s_is_shown_with_its_interval() -> None:
    client, fleet, _ = site(5)
    one, two, three, four, five = elements(fleet)
    for number, soh in ((0, None), (1, 97.0), (2, math.nan), (3, None), (4, None)):
        fleet.change(number, soh_pct=soh)
    judge(client, {one: Interval(0.912, 0.892, 0.932), two: Interval(0.5, 0.4, 0.6),
                   three: Interval(0.8, 0.77, 0.83), four: UNKNOWN})
    assert [row(client, place)["health"] for place in range(5)] == [
        "SoH 91 ± 2 % estimated", "SoH 97 %", "SoH 80 ± 3 % estimated", "SoH not told",
        "SoH not told"]
    assert shown(client, Wish(sort="health")) == [2, 0, 1, 3, 4]


def test_without_a_twin_the_health_is_the_device_s_alone() -> None:
    client, fleet, _ = site(2)
    fleet.change(0, soh_pct=None)
    assert [row(client, place)["health"] for place in range(2)] == ["SoH not told", "SoH 97 %"]


@pytest.fixture
def detailed() -> Iterator[Callable[[AuditedClient], str]]:
    """`detailed(client)`: the first pack's detail as HTML, without its tags."""
    def show(client: AuditedClient) -> str:
        fleet_app.SITE.append(client)
        app = AppTest.from_function(fleet_app.detail_page, default_timeout=30).run()
        assert not app.exception
        found = " ".join(one.proto.body for one in app.get("html"))
        return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", found))

    yield show
    fleet_app.SITE.clear()


def test_the_detail_lists_every_limit_and_marks_what_is_in_force(
        detailed: Callable[[AuditedClient], str]) -> None:
    client, fleet, _ = site(1)
    assert "What limits it" not in detailed(client), "of a pack that nothing limits"
    fleet.change(0, partial_limits=(
        PartialLimit(way="discharge", limit="soc", amps=9.0,
                     why="discharge limited to 0.09 C by state of charge at 4.5 %"),
        PartialLimit(way="charge", limit="temperature_max", amps=60.0, cell=12,
                     why="charge limited to 0.6 C by cell 12 at 42 °C"),
        PartialLimit(way="charge", limit="voltage", amps=12.5, cell=3,
                     why="charge limited to 0.12 C by cell 3 at 3.59 V")))
    told = detailed(client)
    lines = ["Charge 12.5 A, in force Cell voltage: charge limited to 0.12 C by cell 3 at 3.59 V",
             "Charge 60.0 A Highest temperature: charge limited to 0.6 C by cell 12 at 42 °C",
             "Discharge 9.0 A, in force State of charge: discharge limited to 0.09 C by"]
    places = [told.replace("\u202f", " ").find(line) for line in lines]
    assert -1 not in places, told
    assert places == sorted(places)
    assert told.count("in force") == 2


def test_every_limit_has_words() -> None:
    assert set(detail.LIMITS) == set(LIMITS)


@pytest.mark.parametrize(("soh", "twin", "words"), [
    (97.0, Interval(0.9, 0.88, 0.92), "State of health 97.0 %"),
    (None, Interval(0.905, 0.885, 0.925),
     "State of health, estimated 90.5 % 88.5 to 92.5 %, by the digital twin"),
    (math.nan, Interval(0.905, 0.885, 0.925), "State of health, estimated 90.5 %"),
    (None, UNKNOWN, "State of health not told The digital twin: no charge between two well-known"),
    (None, None, "State of health not told Safety decision")])
def test_the_detail_says_whose_the_health_is(detailed: Callable[[AuditedClient], str],
                                             soh: float | None, twin: Interval | None,
                                             words: str) -> None:
    client, fleet, _ = site(1)
    fleet.change(0, soh_pct=soh)
    if twin is not None:
        judge(client, {fleet.told[0].element: twin})
    told = detailed(client).replace("\u202f", " ")
    assert words in told
    assert ("estimated" in told) == ("estimated" in words)


@pytest.mark.parametrize("sort", SORTS)
def test_every_order_holds_every_pack_once(sort: str) -> None:
    client, fleet, _ = site(9)
    fleet.change(3, heard_at=None, soh_pct=None)
    tick(client)
    assert sorted(shown(client, Wish(sort=sort))) == list(range(9))


def test_every_safety_state_has_an_icon_and_a_word() -> None:
    assert set(SAFETY) == {*SafetyState.__args__, None}
    assert len({word for _, word in SAFETY.values()}) == len(SAFETY)


def test_one_screen_of_a_thousand_packs_is_small_with_the_longest_words_too() -> None:
    client, fleet, _ = site(1000, cells=4)
    for number in range(1000):
        fleet.change(number, limit_reason="x" * 200, firmware="y" * 200, missing=10 ** 9)
    all_ = board.now(client)
    screen = [lines.line(client.topology, client.snapshot(), all_, int(place))
              for place in wanted(all_, Wish(sort="cell"))[:board.ROWS]]
    assert len(screen) == 50
    assert len(json.dumps(screen)) < 150_000


def test_the_overview_has_a_row_a_site() -> None:
    client, fleet, _ = site(6)
    fleet.change(1, safety="latched")
    fleet.change(2, safety="derate")
    fleet.change(3, link="offline")
    tick(client)
    told: Standings = board.now(client)
    found = overview._row(told, "home")
    assert found.name == "home, 6 packs"
    assert found.direction == "discharging"
    assert found.power_kw == pytest.approx(10 + 11 + 12 + 14 + 15)
    assert [str(pill).rpartition("</span>")[0].rpartition(">")[2] for pill in found.pills] == [
        "1 tripped", "1 limited", "1 silent"]


@pytest.fixture
def opened() -> Iterator[Callable[..., tuple[AppTest, AuditedClient, FakeFleet]]]:
    """`opened(count, operators)`: the page's orders over a site of its own."""
    fleets: list[FakeFleet] = []

    def make(count: int = 3, operators: OperatorsConfig | None = None,
             ) -> tuple[AppTest, AuditedClient, FakeFleet]:
        fleet_app.ASKED.clear()
        client, fleet, _ = site(count, operators=operators)
        fleets.append(fleet)
        fleet_app.SITE.append(client)
        app = AppTest.from_string(SCRIPT, default_timeout=30).run()
        assert not app.exception
        return app, client, fleet

    yield make
    for fleet in fleets:
        fleet.answer("executed")  # or their outcomes are waited for while other tests run
    fleet_app.SITE.clear()
    fleet_app.ASKED.clear()


def sign_in(app: AppTest, name: str = "Anna", password: str | None = None) -> None:
    app.text_input(key="operator_name_page").set_value(name)
    if password is not None:
        app.text_input(key="operator_password_page").set_value(password)
    next(one for one in app.button if one.label == "Sign in as operator").click()
    app.run()
    assert not app.exception


def ask(app: AppTest, client: AuditedClient, action: str, power_kw: float | None = None,
        hold_s: float | None = None, whole: bool = False) -> None:
    target = orders.of_site(client, "home") if whole else orders.of_pack(client, client.packs()[0])
    fleet_app.ASKED.append((target, action, power_kw, hold_s))
    app.run()
    assert not app.exception


def confirm(app: AppTest, word: str = "") -> None:
    if word:
        app.text_input(key="confirm_word").set_value(word)
    app.button(key="confirm_press").click()
    app.run()
    assert not app.exception


def said(app: AppTest) -> str:
    return " ".join(one.value.replace("\\", "") for one in app.error)


def test_a_viewer_sees_every_button_disabled_with_the_reason(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]]) -> None:
    app, _, fleet = opened()
    buttons = [one for one in app.button if one.key and one.key.startswith("order_")]
    assert len(buttons) == 2 * len(orders.KINDS)
    assert all(one.disabled for one in buttons)
    assert {one.help for one in buttons} == {"You are looking only. Sign in as operator first."}
    forged = app.button(key="order_pack_emergency_stop")
    forged.proto.disabled = False
    forged.click()
    app.run()
    assert not app.exception
    assert not [one for one in app.button if one.key == "confirm_press"]
    assert not fleet.lives


def test_a_viewer_who_gets_to_the_second_step_is_refused(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]]) -> None:
    app, client, fleet = opened()
    ask(app, client, "emergency_stop")
    confirm(app)
    assert "You are looking only" in said(app)
    assert not fleet.lives
    assert not client.entries


def test_without_operators_nobody_can_sign_in(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]]) -> None:
    app, _, _ = opened(operators=OperatorsConfig())
    assert not app.text_input
    assert {one.help for one in app.button} == {
        "Nobody may command here: orrery.toml names no [operators]."}


@pytest.mark.parametrize("listed", ["anna@site.example", "test@example.com"])
def test_who_is_signed_in_elsewhere_and_no_operator_looks_only(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]], listed: str) -> None:
    why = ("Your sign-in provider does not vouch for your e-mail address (email_verified is not "
           "true). Ask whoever runs it.")
    app, _, _ = opened(operators=OperatorsConfig(mode="oidc", emails=[listed]))
    assert {one.help for one in app.button} == {why}
    assert why in "".join(one.proto.body for one in app.get("html"))


def test_an_override_is_audited_sent_and_its_outcome_kept(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]]) -> None:
    app, client, fleet = opened()
    sign_in(app)
    ask(app, client, "override", 20.0, 900.0)
    confirm(app)
    (life,) = fleet.lives
    assert (life.device, life.command.action, life.command.issuer) == (
        "pack_001", "override", "Anna")
    assert (life.command.power_kw, life.command.hold_s, life.command.ttl_s) == (20.0, 900.0, 30.0)
    signed, before = client.entries
    assert (signed.who, signed.action) == ("Anna", "signed in")
    assert (before.who, before.action, before.element) == (
        "Anna", "override", fleet.told[0].element)
    assert (before.before, before.after) == ("normal", "Override: at most 20.0 kW for 15 min")
    fleet.answer("refused", "an override needs power_kw of 0 or more, and hold_s")
    after = client.waited_for("override: outcome")
    assert after.after.startswith("1 refused; pack_001: an override needs")
    app.run()
    told = "".join(one.proto.body for one in app.get("html"))
    assert "<b>refused</b><span>after 2.0 s</span><span>an override needs" in told


def test_a_confirmation_counts_once(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]]) -> None:
    app, client, fleet = opened()
    sign_in(app)
    ask(app, client, "emergency_stop")
    confirm(app)
    confirm(app)
    assert len(fleet.lives) == 1
    assert "used already" in said(app)


def test_a_confirmation_expires_also_where_the_clock_was_set_back(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]]) -> None:
    app, client, fleet = opened()
    clock = client._runtime.engine.clock
    assert isinstance(clock, ManualClock)
    sign_in(app)
    ask(app, client, "emergency_stop")
    clock.advance(31)
    clock.set_by(-20)
    confirm(app)
    assert "older than 30 s" in said(app)
    assert not fleet.lives


def test_what_frees_a_pack_needs_its_name_typed(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]]) -> None:
    app, client, fleet = opened()
    sign_in(app)
    ask(app, client, "reset")
    confirm(app, "Pack 002")
    assert "That is not “Pack 001”" in said(app)
    assert not fleet.lives
    confirm(app, "Pack 001")
    assert [life.command.action for life in fleet.lives] == ["reset"]


def test_a_sign_in_that_ended_confirms_nothing(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]]) -> None:
    app, client, fleet = opened()
    sign_in(app)
    client._runtime.engine.clock.advance((SESSION - timedelta(seconds=5)).total_seconds())
    ask(app, client, "emergency_stop")
    client._runtime.engine.clock.advance(6)
    confirm(app)
    assert "sign in again" in said(app)
    assert not fleet.lives


@pytest.mark.parametrize(("passed_h", "set_by_h", "holds"), [
    (11.9, 0.0, True), (11.9, -24.0, True), (12.1, -24.0, False), (1.0, 11.1, False)])
def test_a_sign_in_ends_after_twelve_hours_whatever_becomes_of_the_clock(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]],
        passed_h: float, set_by_h: float, holds: bool) -> None:
    """By the clock too, because the other stands still while the machine sleeps."""
    app, client, fleet = opened()
    sign_in(app)
    clock = client._runtime.engine.clock
    assert isinstance(clock, ManualClock)
    clock.advance(3600 * passed_h)
    clock.set_by(3600 * set_by_h)
    ask(app, client, "emergency_stop")
    confirm(app)
    assert ("sign in again" in said(app)) is not holds
    assert len(fleet.lives) == holds


def test_a_whole_site_is_stopped_though_one_pack_cannot_be_told(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]]) -> None:
    app, client, fleet = opened(5)
    fleet.deaf.add("pack_002")
    sign_in(app)
    ask(app, client, "emergency_stop", whole=True)
    confirm(app)
    assert {life.device for life in fleet.lives} == {"pack_001", "pack_003", "pack_004",
                                                     "pack_005"}
    fleet.lives[0] = replace(fleet.lives[0], state="expired", reason=NO_ANSWER, untold=True)
    fleet.answer("executed")
    kept = client.waited_for("emergency_stop: outcome")
    assert kept.element == "system_home"
    assert kept.after == ("3 executed, 1 without an outcome, 1 not sent; "
                          f"pack_005: {NO_ANSWER}; pack_002: the broker is away")
    app.run()
    told = "".join(one.proto.body for one in app.get("html"))
    assert f"<b>no outcome</b><span>{NO_ANSWER}</span>" in told


def test_nothing_is_sent_that_cannot_be_written_down_but_a_stop(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]]) -> None:
    app, client, fleet = opened()
    sign_in(app)
    client.full = True
    ask(app, client, "override", 5.0, 60.0)
    confirm(app)
    assert "disk is full" in said(app)
    assert not fleet.lives
    with pytest.raises(RetryLaterError):
        orders.send(client, *fleet_app.ASKED[-1], "Anna")
    app, client, fleet = opened()
    sign_in(app)
    client.full = True
    ask(app, client, "emergency_stop")
    confirm(app)
    assert [life.command.action for life in fleet.lives] == ["emergency_stop"]


def test_failed_sign_ins_are_audited_and_make_the_name_wait(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]]) -> None:
    people = OperatorsConfig(mode="local", names={"Anna": least_hash(PASSWORD)})
    app, client, _ = opened(operators=people)
    for _ in range(6):
        sign_in(app, "Anna", "not it")
    assert [entry.action for entry in client.entries] == ["sign-in refused"] * 5
    assert client.turned_away.counts() == {"operator": 5}
    assert "Wait" in said(app)
    assert PASSWORD not in str(client.entries)
    sign_in(app, "Anna", PASSWORD)
    assert app.button(key="order_pack_reset").disabled
    client._runtime.engine.clock.advance(301)
    sign_in(app, "Anna", PASSWORD)
    assert not app.button(key="order_pack_reset").disabled


def test_a_password_typed_for_a_name_is_neither_kept_nor_shown(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]]) -> None:
    people = OperatorsConfig(mode="local", names={"Anna": least_hash(PASSWORD)})
    app, client, _ = opened(operators=people)
    for typed in (f" {PASSWORD}", PASSWORD * 4, "Anna "):
        sign_in(app, typed, "not it")
    kept = [entry.who for entry in client.entries]
    assert kept == ["a name that is not known", "a name that is not known", "Anna"]
    assert [one.who for one in client.turned_away.newest()] == kept[::-1]
    assert PASSWORD not in str(client.entries) + str(client.turned_away.newest())


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "=HYPERLINK(1)", "**Anna**"])
def test_a_name_is_text_wherever_it_stands(
        opened: Callable[..., tuple[AppTest, AuditedClient, FakeFleet]], name: str) -> None:
    app, client, fleet = opened()
    sign_in(app, name)
    ask(app, client, "emergency_stop")
    confirm(app)
    assert fleet.lives[0].command.issuer == name
    assert "<img" not in "".join(one.proto.body for one in app.get("html"))


def rings(app: AppTest) -> list[int]:
    """Which spheres wait for somebody, as the viewer was told."""
    (scene,) = app.get("bidi_component")
    tables = [pa.ipc.open_stream(blob.data).read_all()
              for blob in scene.proto.mixed.arrow_blobs.values()]
    (told,) = (table for table in tables if "fresh_alarm" in table.column_names)
    return told.column("fresh_alarm").to_pylist()  # type: ignore[no-any-return]


def test_the_ring_of_a_sphere_waits_for_an_acknowledgement() -> None:
    client, fleet, clock = site(3)
    fleet.change(1, safety="latched")
    for _ in range(5):
        clock.advance(1)
        tick(client)
    fleet_app.SITE.append(client)
    app = AppTest.from_function(fleet_app.spheres_page, default_timeout=30).run()
    assert not app.exception
    assert rings(app) == [0, 1, 0]
    for one in client.journal.instances():
        client.journal.acknowledge(one.key, "Anna")
    app.run()
    assert rings(app) == [0, 0, 0]
    fleet_app.SITE.clear()
