"""The parts of the Alarms page over a real journal and its store, without a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import plotly.graph_objects as go
import pytest
from msgspec.structs import replace
from streamlit.testing.v1 import AppTest

from components import operator
from components.alarms import actions, choice, details, groups, history, picks, rates, words
from components.alarms import list as alarm_list
from components.alarms.choice import Shown
from components.alarms.groups import Line, Listing
from core.alarms.journal import AlarmJournal
from core.alarms.ports import AlarmStore
from core.alarms.records import (
    AuditEntry,
    Batch,
    Comment,
    Finding,
    Hiding,
    Instance,
    Key,
    Transition,
)
from core.alarms.states import ALARMED, HIDDEN, WORDS, Event, State
from core.clock import ManualClock
from core.config import Config, OperatorsConfig, SourceConfig
from core.topology import DEFAULT_LEVELS, Topology
from store.records import open_alarms
from tests.core.alarm_bench import Shelf
from tests.core.sites import NOON, system

SITE = Topology(DEFAULT_LEVELS, [system(0, 4, 10), system(1), system(10)])
CELLS = [one for one in SITE.ids if one.startswith("system_0_") and "cell" in one]
COOLING = Key("system_0", "cooling_failed")
NASTY = "<img src=x onerror=alert(1)> =cmd()|' \" **b** :red[x] $x$"


class Desk:
    """What the page asks of a client: a real journal, kept in a real store."""

    def __init__(self, store: AlarmStore | None, topology: Topology = SITE) -> None:
        self.topology, self.alarm_store, self.alarms_error = topology, store, ""
        self.clock = ManualClock(NOON)
        keep = {} if store is None else {"keep": store.append}
        self.journal = AlarmJournal(topology, self.clock, **keep)
        self.config = Config([SourceConfig("fleet", "fleet")],
                             operators=OperatorsConfig(mode="local", demo=True))

    def now(self) -> object:
        return self.clock.now()

    def audit(self, entry: AuditEntry) -> None:
        if self.alarm_store is not None:
            self.alarm_store.append(Batch(audit=(entry,), durable=True))

    def lasting(self, findings: list[Finding], seconds: int = 20) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.journal.tick(findings)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store = open_alarms(tmp_path, ManualClock(NOON))
    yield Desk(store)
    store.close()


def hot(element: str, tier: int = 1) -> Finding:
    return Finding(element, "temperature_high", tier, "temperature_c", 52.14, 50.0)


def failing(count: int, trips: int = 0) -> list[Finding]:
    """Cooling fails and `count` cells get too hot, the last ones as far as to trip."""
    return [Finding(*COOLING, tier=2),
            *(hot(one, 3 if place >= count - trips else 1)
              for place, one in enumerate(CELLS[:count]))]


def listing(desk: Desk, shown: Shown | None = None, *unfolded: Key) -> Listing:
    return groups.listed(desk.journal.groups(), desk.journal.instances(), shown or Shown(),
                         set(unfolded), desk.topology)


# -- rows and filters


def test_a_cause_has_its_consequences_folded_under_it(desk: Desk) -> None:
    desk.lasting(failing(38))
    (line,) = listing(desk).lines
    assert (line.key, line.folded, line.explained) == (COOLING, 38, True)
    assert alarm_list.fold_words(line, SITE) == "38 consequences"
    unfolded = listing(desk, None, COOLING).lines
    assert len(unfolded) == 39
    assert [one.inner for one in unfolded] == [False] + 38 * [True]


def test_trips_are_never_folded(desk: Desk) -> None:
    desk.lasting(failing(38, trips=3))
    lines = listing(desk).lines
    trips = [line for line in lines if line.alarm.severity == 3]
    assert len(trips) == 3
    assert sum(line.folded for line in lines) == 35


def test_a_flood_without_a_cause_is_not_called_a_consequence(desk: Desk) -> None:
    desk.lasting([hot(one) for one in CELLS[:12]])
    (line,) = listing(desk).lines
    assert alarm_list.fold_words(line, SITE).startswith("11 more that came with it, System 0")


def test_filters_leave_what_they_say(desk: Desk) -> None:
    other = "system_10_cluster_0_rack_0_module_0_cell_0"
    near = "system_1_cluster_0_rack_0_module_0_cell_0"
    desk.lasting([hot(other), hot(near, 2), hot(CELLS[3], 3)])

    def elements(shown: Shown) -> list[str]:
        return [line.alarm.element for line in listing(desk, shown).lines]

    assert elements(Shown()) == [CELLS[3], near, other]
    assert elements(Shown(least_tier=2)) == [CELLS[3], near]
    assert elements(Shown(least_tier=3)) == [CELLS[3]]
    assert elements(Shown(below="system_1")) == [near]
    assert elements(Shown(text="CELL 3")) == [CELLS[3]]
    assert elements(Shown(text="system_10_")) == [other]
    assert elements(Shown(text="too hot")) == [CELLS[3], near, other]
    assert elements(Shown(text="too cold")) == []
    desk.journal.acknowledge(Key(near, "temperature_high"), "ada")
    desk.journal.comment(Key(other, "temperature_high"), "ada", "Pump Seven")
    assert elements(Shown(states=choice.STATES["Unacknowledged"])) == [CELLS[3], other]
    assert elements(Shown(states=choice.STATES["Acknowledged"])) == [near]
    assert elements(Shown(text="pump seven")) == [other]


def test_what_is_hidden_is_shown_on_demand_alone(desk: Desk) -> None:
    keys = [Key(one, "temperature_high") for one in CELLS[:4]]
    findings = [hot(key.element) for key in keys]
    desk.lasting(findings)
    desk.journal.shelve(keys[0], "ada", "known", desk.clock.now() + timedelta(hours=1))
    desk.journal.suppress(keys[1], "ada", "wanted")
    desk.journal.out_of_service(keys[2], "ada", "exchanged")
    shown = {name: [line.key for line in listing(desk, Shown(states=states)).lines]
             for name, states in choice.STATES.items()}
    assert shown[choice.OPEN] == [keys[3]]
    assert (shown["Shelved"], shown["Suppressed"], shown["Out of service"]) == (
        [keys[0]], [keys[1]], [keys[2]])
    assert set(shown["All hidden"]) == set(keys[:3])
    assert set(shown[choice.ALL]) == set(keys)


def test_every_state_can_be_asked_for() -> None:
    assert frozenset().union(*choice.STATES.values()) == ALARMED | HIDDEN
    assert frozenset().union(*choice.PAST_STATES.values()) == frozenset(State)


def test_a_consequence_that_alone_matches_stands_by_itself(desk: Desk) -> None:
    desk.lasting(failing(5))
    (line,) = listing(desk, Shown(text="cell 3")).lines
    assert (line.alarm.element, line.inner) == (CELLS[3], False)


# -- words


def test_the_title_says_the_state(desk: Desk) -> None:
    def said() -> str:
        return "".join(str(getattr(part, "text", part))
                       for part in words.title(desk.journal.instances()))

    assert said() == "No alarms"
    desk.lasting([hot(CELLS[0], 3), hot(CELLS[1]), hot(CELLS[2])])
    desk.journal.acknowledge(Key(CELLS[1], "temperature_high"), "ada")
    assert said() == "3 alarms, 1 trip, 2 unacknowledged"
    desk.journal.acknowledge_all({Key(one, "temperature_high"): None for one in CELLS}, "ada")
    desk.journal.shelve(Key(CELLS[2], "temperature_high"), "ada", "known",
                        desk.clock.now() + timedelta(hours=1))
    assert said() == "2 alarms, 1 trip, all acknowledged"
    assert words.hidden(desk.journal.instances()) == ["1 shelved"]


def test_words_of_one_alarm(desk: Desk) -> None:
    desk.lasting([hot(CELLS[0])])
    key = Key(CELLS[0], "temperature_high")
    one = desk.journal.get(key)
    assert one is not None
    assert words.what_of(one) == "Too hot: 52.1\u00a0°C, limit 50.0\u00a0°C"
    assert words.place(SITE, one.element) == "System 0 · Cluster 0 · Rack 0 · Module 0 · Cell 0"
    assert words.state(one, None) == "unacknowledged"
    assert words.state(desk.journal.acknowledge(key, "ada"), None) == "acknowledged by ada"
    shelved = desk.journal.shelve(key, "ada", "known", NOON + timedelta(hours=2), once=True)
    assert words.state(shelved, None) == "shelved until 14:00 or until it is gone by ada"
    nan = float("nan")
    assert words.what("age_s", 700.0, nan, "silent") == "Silent: last heard 11 min ago"
    assert words.what("", nan, nan, "contactor_open") == "Contactor open"
    assert words.what("current_a", 130.0, 120.0, "current_charge") == (
        "Charging current high: 130.0\u00a0A, limit 120.0\u00a0A")


@pytest.mark.parametrize("state", [one for one in State if one is not State.NORMAL])
def test_every_state_has_its_own_row(state: State, desk: Desk) -> None:
    desk.lasting([hot(CELLS[0])])
    one = replace(desk.journal.instances()[0], state=state)
    drawn = alarm_list.row(Line(one), SITE, NOON, None)
    assert WORDS[state] in drawn


def nasty() -> Instance:
    return Instance(f"x_{NASTY}", f"c_{NASTY}", State.UNACKNOWLEDGED, on=True, tier=2,
                    metric=f"m_{NASTY}", value=1.0, limit=2.0, event_at=NOON, raised_at=NOON,
                    acknowledged_at=NOON, acknowledged_by=NASTY,
                    comments=(Comment(NOON, NASTY, NASTY),))


def test_text_from_outside_is_text_everywhere() -> None:
    one = nasty()
    line = Transition(NOON, one.element, one.condition, Event.ON, State.NORMAL, one.state, 2,
                      one.metric, 1.0, 2.0, NASTY, 1)
    entry = AuditEntry(NOON, NASTY, NASTY, one.element, one.condition, NASTY, NASTY, "b")
    drawn = [alarm_list.row(Line(one), SITE, NOON, None), details.comments(one.comments, None),
             history.transition_html(line, SITE, None), history.audit_html(entry, SITE, None)]
    for markup in drawn:
        assert "<img" not in markup
        assert NASTY in unescape(markup).replace("\u00a0", " ")


def test_what_a_person_suppressed_is_never_told_as_a_consequence(desk: Desk) -> None:
    """Also where an older version kept a person who is called as a rule of the house."""
    hidden = Hiding(NOON, "design", "a test: mine")
    one = Instance(CELLS[0], "temperature_high", State.SUPPRESSED, hiding=hidden)
    assert words.state(one, None) == "suppressed by design"
    cause = replace(one, hiding=replace(hidden, cause=("system_0", "cooling_failed")))
    assert words.state(cause, None) == "suppressed, a test"


# -- history and audit


def test_the_export_has_what_is_shown_and_runs_no_formula(desk: Desk) -> None:
    desk.lasting([hot(CELLS[0]), hot(CELLS[1], 2)])
    key = Key(CELLS[0], "temperature_high")
    desk.journal.acknowledge(key, "=1+1")
    desk.journal.comment(key, "ada", "@SUM(1)")
    store = desk.alarm_store
    assert store is not None
    found = store.history(history.query(desk.clock.now(), Shown(states=frozenset())))
    lines = history.transitions_csv(found, SITE).splitlines()
    assert lines[0] == ",".join(history.TITLES)
    assert len(lines) == 4
    assert lines[1].split(",")[-2] == "'=1+1"
    assert lines[1].split(",")[9:12] == ["52.14", "50.0", "°C"]
    told = history.audit_csv(store.audit(history.query(desk.clock.now(), Shown())), SITE)
    assert ",'@SUM(1)," in told
    assert "'=1+1,acknowledge," in told


def test_the_query_is_what_the_filters_say(desk: Desk) -> None:
    asked = history.query(NOON, Shown(2, frozenset({State.SHELVED}), "system_1", "", 168))
    assert (NOON - asked.start, asked.least_tier, asked.below, asked.states) == (
        timedelta(days=7), 2, "system_1", (State.SHELVED,))


def test_times_of_the_audit_are_told_in_the_viewers_zone() -> None:
    entry = AuditEntry(NOON, "ada", "shelve", "system_0", "silent", "", "unacknowledged",
                       "shelved until 2026-06-01T13:00:00.250000+00:00")
    told = history.audit_html(entry, SITE, "Europe/Stockholm")
    assert "shelved until Mon 1 Jun 15:00:00<" in told


@pytest.mark.parametrize("moment", ["2026-11-31T00:00:00+00:00", "2026-06-01T25:00:00+00:00",
                                    "0001-01-01T00:00:00+14:00", "2026-06-01T...+99:99"])
def test_words_of_a_device_that_look_like_a_time_and_are_none_stay_words(moment: str) -> None:
    said = f"refused: at {moment} not all clear"
    entry = AuditEntry(NOON, "ada", "reset: outcome", "system_0", "", "", "", said)
    assert said in history.audit_html(entry, SITE, "America/New_York")


def test_each_alarm_is_one_bar_of_ten_minutes(desk: Desk) -> None:
    def raised(minutes_ago: float, tier: int) -> Transition:
        return Transition(NOON - timedelta(minutes=minutes_ago), "e", "silent", Event.ON,
                          State.NORMAL, State.UNACKNOWLEDGED, tier, "", 0.0, 0.0, "design", 1)

    counts = rates.counted([raised(0, 3), raised(9.9, 1), raised(10, 2), raised(1439, 2),
                            raised(1440, 2), raised(-1, 1)], NOON)
    assert (counts.sum(), counts[2, -1], counts[0, -1], counts[1, -2], counts[1, 0]) == (
        4, 1, 1, 1, 1)
    drawing = rates.figure(counts, NOON, "dark", "Europe/Stockholm")
    figure = go.Figure(data=drawing.data, layout=drawing.layout)
    assert [trace.name for trace in figure.data] == ["Trip", "Warning", "Info"]
    assert rates.alt(counts) == "4 alarms in 24 hours, at most 2 in ten minutes, " \
                                "no parts above 10"


# -- the page


def page(client: object) -> None:
    """As pages/alarms.py, for a client that a test made."""
    from components import operator, parts
    from components.alarms import choice, head, history, rates
    from components.alarms import list as alarm_list

    parts.live(head.show, "alarms_head", None, client)
    view = choice.view()
    operator.sign_in_button(client, "page")
    shown = choice.filters(client, view)
    if view == choice.HISTORY:
        parts.live(history.show, "alarms_history", None, client, shown)
    elif view == choice.AUDIT:
        parts.live(history.audit, "alarms_audit", None, client, shown)
    else:
        alarm_list.follow_link(client, shown)
        parts.live(alarm_list.show, "alarms_list", None, client, shown)
        parts.live(rates.show, "alarms_rates", None, client)


def opened(desk: Desk, **address: str) -> AppTest:
    app = AppTest.from_function(page, default_timeout=30, args=(desk,))
    for name, value in address.items():
        app.query_params[name] = value
    return checked(app.run())


def checked(app: AppTest) -> AppTest:
    assert not app.exception
    assert "has a defect" not in texts(app)
    return app


def texts(app: AppTest) -> str:
    return unescape(" ".join(block.proto.body for block in app.get("html")))


def sign_in(app: AppTest) -> AppTest:
    app.text_input(key="operator_name_page").set_value("ada")
    return press(app, "Sign in as operator")


def press(app: AppTest, label: str) -> AppTest:
    next(one for one in app.button if one.label == label).click()
    return checked(app.run())


def select(app: AppTest, key: Key) -> AppTest:
    app.checkbox(key=f"pick_{picks.id_of(key)}").check()
    return checked(app.run())


def test_a_viewer_sees_every_tool_disabled_with_the_reason(desk: Desk) -> None:
    key = Key(CELLS[0], "temperature_high")
    desk.lasting([hot(key.element)])
    app = select(opened(desk), key)
    tools = [one for one in app.button
             if one.key and one.key.startswith("act_") and one.key != "act_clear"]
    assert len(tools) == 4
    for tool in [*tools, app.get("menu_button")[0].proto]:
        assert tool.disabled
        assert "Sign in as operator" in tool.help
    assert "You are looking only" in texts(app)


def test_an_operator_acknowledges_and_core_says_why_not(desk: Desk) -> None:
    keys = [Key(one, "temperature_high") for one in CELLS[:2]]
    desk.lasting([hot(key.element) for key in keys])
    app = select(sign_in(opened(desk)), keys[0])
    assert app.query_params["alarm"] == picks.id_of(keys[0])
    press(app, "Acknowledge")
    one = desk.journal.get(keys[0])
    assert one is not None
    assert (one.state, one.acknowledged_by) == (State.ACKNOWLEDGED, "ada")
    assert "1 alarm acknowledged" in texts(app)
    press(app, "Acknowledge")
    assert "nothing asks for an acknowledgement" in texts(app)
    select(app, keys[1])
    assert "alarm" not in app.query_params
    assert "2 alarms selected" in texts(app)
    press(app, "Clear selection")
    assert "Select one alarm or several first" in texts(app)
    assert not any(box.value for box in app.checkbox)


def dialog(client: object, name: str, keys: list[object]) -> None:
    """What a dialog holds, on a page of its own; then what the page says of it."""
    import streamlit as st

    from components import operator
    from components.alarms import actions

    operator.sign_in_button(client, "page")
    about = [client.journal.get(key) for key in keys]
    if name == "shelve":
        actions.ask_shelf(client, about)
    elif name == "all":
        actions.confirm_all(client, about)
    else:
        actions.ask(client, actions.ACTS[name], about)
    st.write(str(st.session_state.get(actions.SAID)))


def asked(desk: Desk, name: str, *keys: Key) -> AppTest:
    app = AppTest.from_function(dialog, default_timeout=30, args=(desk, name, list(keys)))
    return sign_in(checked(app.run()))


def test_all_shown_is_what_was_shown_and_the_page_says_what_was_left(
        desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "name", lambda client: "ada")
    worse, same = (Key(one, "temperature_high") for one in CELLS[:2])
    desk.lasting([hot(one.element) for one in (worse, same)])
    about = list(desk.journal.instances())
    desk.lasting([hot(worse.element, 3), hot(same.element)])
    said = actions.acknowledged(desk, about)  # type: ignore[arg-type]
    assert said.done == "1 alarm acknowledged. 1 alarm came anew or got worse: look again."
    assert state_of(desk, worse) is State.UNACKNOWLEDGED


def state_of(desk: Desk, key: Key) -> State:
    one = desk.journal.get(key)
    return State.NORMAL if one is None else one.state


def test_a_trip_is_not_shelved_and_the_dialog_says_why(desk: Desk) -> None:
    desk.lasting([hot(CELLS[0], 3)])
    trip = Key(CELLS[0], "temperature_high")
    app = asked(desk, "shelve", trip)
    app.text_input(key="alarm_text").set_value("sensor is exchanged")
    press(app, "Shelve")
    assert "trip is neither shelved nor suppressed" in texts(app)
    assert state_of(desk, trip) is State.UNACKNOWLEDGED


def test_a_shelf_has_an_expiry_and_a_reason(desk: Desk) -> None:
    desk.lasting([hot(CELLS[0]), hot(CELLS[1])])
    keys = [Key(one, "temperature_high") for one in CELLS[:2]]
    app = press(asked(desk, "shelve", *keys), "Shelve")
    assert "reason = '' is not allowed" in texts(app)
    app.button_group(key="alarm_span").set_value("4 h")
    app.text_input(key="alarm_text").set_value("sensor is exchanged")
    press(app, "Shelve")
    for key in keys:
        hiding = desk.journal.get(key).hiding
        assert (hiding.until, hiding.why) == (desk.clock.now() + timedelta(hours=4),
                                              "sensor is exchanged")
    assert "2 alarms shelved for 4 h" in app.markdown[-1].value


def test_what_one_refuses_does_not_hold_up_the_others(desk: Desk) -> None:
    desk.lasting([hot(CELLS[0], 3), hot(CELLS[1])])
    keys = [Key(one, "temperature_high") for one in CELLS[:2]]
    app = asked(desk, "suppress", *keys)
    app.text_input(key="alarm_text").set_value("known")
    press(app, "Suppress")
    assert [state_of(desk, key) for key in keys] == [State.UNACKNOWLEDGED, State.SUPPRESSED]
    assert "1 alarm suppressed" in app.markdown[-1].value
    assert "trip is neither shelved nor suppressed" in app.markdown[-1].value


@pytest.mark.parametrize(("act", "label", "back"), [
    ("suppress", "Suppress", "Show again"),
    ("service", "Take out of service", "Return to service")])
def test_what_is_hidden_comes_back(desk: Desk, act: str, label: str, back: str) -> None:
    key = Key(CELLS[0], "temperature_high")
    desk.lasting([hot(key.element)])
    app = asked(desk, act, key)
    app.text_input(key="alarm_text").set_value(NASTY)
    press(app, label)
    assert state_of(desk, key) in HIDDEN
    app = select(sign_in(opened(desk, state=choice.ALL)), key)
    assert NASTY in texts(app)
    press(app, back)
    assert state_of(desk, key) is State.UNACKNOWLEDGED


def test_a_latched_trip_is_acknowledged_then_reset(desk: Desk) -> None:
    key = Key(CELLS[0], "temperature_high")
    desk.lasting([hot(key.element, 3)])
    desk.lasting([], 70)
    app = press(select(sign_in(opened(desk)), key), "Reset")
    assert "acknowledge it first" in texts(app)
    press(press(app, "Acknowledge"), "Reset")
    assert desk.journal.get(key) is None
    assert "No alarms" in texts(app)


def test_a_comment_stays_with_its_alarm(desk: Desk) -> None:
    key = Key(CELLS[0], "temperature_high")
    desk.lasting([hot(key.element)])
    app = asked(desk, "comment", key)
    app.text_input(key="alarm_text").set_value(NASTY)
    press(app, "Comment")
    assert [said.text for said in desk.journal.get(key).comments] == [NASTY]
    assert NASTY in texts(select(opened(desk), key))


def test_all_shown_are_acknowledged_after_their_count_was_said(desk: Desk) -> None:
    desk.lasting([hot(CELLS[0], 3), hot(CELLS[1]), hot("system_1")])
    button = sign_in(opened(desk, element="system_0")).button(key="act_all")
    assert (button.label, button.disabled) == ("Acknowledge all shown (2)", False)
    keys = [Key(one, "temperature_high") for one in CELLS[:2]]
    app = asked(desk, "all", *keys)
    assert "1 trip, 1 info" in texts(app)
    press(app, "Acknowledge 2 alarms")
    assert [one.element for one in desk.journal.instances()
            if one.state is State.UNACKNOWLEDGED] == ["system_1"]


def test_what_cannot_be_kept_did_not_happen(desk: Desk) -> None:
    key = Key(CELLS[0], "temperature_high")
    shelf = Shelf()
    desk.journal = AlarmJournal(SITE, desk.clock, keep=shelf.append)
    desk.lasting([hot(key.element)])
    app = select(sign_in(opened(desk)), key)
    shelf.broken = True
    press(app, "Acknowledge")
    assert "the disk is full; make room" in texts(app)
    assert state_of(desk, key) is State.UNACKNOWLEDGED


def test_a_link_selects_a_folded_alarm_and_unfolds_its_group(desk: Desk) -> None:
    desk.lasting(failing(38))
    key = Key(CELLS[30], "temperature_high")
    app = opened(desk, alarm=picks.id_of(key))
    assert app.checkbox(key=f"pick_{picks.id_of(key)}").value
    assert "consequence of" in texts(app)


def test_a_link_goes_to_the_page_of_its_alarm(desk: Desk) -> None:
    wide = Desk(desk.alarm_store, Topology(DEFAULT_LEVELS, [system(0, 12, 10)]))
    cells = [one for one in wide.topology.ids if "cell" in one]
    wide.lasting([hot(one, 3) for one in cells])
    last = listing(wide).lines[-1].key
    app = opened(wide, alarm=picks.id_of(last))
    assert app.checkbox(key=f"pick_{picks.id_of(last)}").value
    assert len(app.checkbox) == 120 - 2 * alarm_list.ROWS


@pytest.mark.parametrize(("alarm", "says"), [
    ("system_0|temperature_high", "not open any more"), ("nowhere|x", "There is no such alarm"),
    (NASTY, "There is no such alarm"), ("|", "There is no such alarm")])
def test_a_link_to_nothing_says_so(desk: Desk, alarm: str, says: str) -> None:
    app = opened(desk, alarm=alarm)
    assert says in texts(app)


def test_filters_stand_in_the_address(desk: Desk) -> None:
    desk.lasting([hot(CELLS[0]), hot("system_1", 2)])
    app = opened(desk, severity="Warnings and trips", element="system_1")
    assert [one.key for one in app.checkbox] == ["pick_system_1|temperature_high"]
    app = opened(desk, severity="Trips", element="system_1", find="no such words")
    assert "No alarm matches" in texts(app)
    assert len(press(app, "Show all").checkbox) == 2
    assert app.selectbox(key="state").value == choice.ALL
    assert len(opened(desk, severity="No such thing", element="nowhere").checkbox) == 2


def test_a_selected_alarm_leads_to_the_history_of_its_element(desk: Desk) -> None:
    desk.lasting([hot(CELLS[0]), hot(CELLS[1], 3)])
    app = press(select(opened(desk), Key(CELLS[1], "temperature_high")), "Its history")
    assert app.query_params["element"] == CELLS[1]
    assert "1 line" in texts(app)
    assert words.unbroken(words.place(SITE, CELLS[1])) in texts(app)
    assert words.unbroken(words.place(SITE, CELLS[0])) not in texts(app)


def test_what_cannot_be_kept_is_said(tmp_path: Path) -> None:
    told = Desk(None)
    told.alarms_error = "the disk is full; make room"
    page = texts(opened(told))
    assert "the disk is full; make room" in page
    assert "all else that people do is refused until it can be written down" in page
    assert "the disk is full; make room" in texts(opened(told, view="History"))


def test_the_audit_view_tells_who_did_what(desk: Desk) -> None:
    desk.lasting([hot(CELLS[0])])
    desk.journal.acknowledge(Key(CELLS[0], "temperature_high"), NASTY)
    assert NASTY in texts(opened(desk, view="Audit"))
    assert "by itself" in texts(opened(desk, view="History"))
    assert "No line of this time" in texts(opened(desk, view="History", find="nothing like it"))


def test_ten_thousand_alarms_are_one_page_within_a_second() -> None:
    site = Topology(DEFAULT_LEVELS, [system(number, 10, 50) for number in range(20)])
    wide = Desk(None, site)
    wide.lasting([hot(one, 3) for one in site.ids if "cell" in one], 2)
    app = opened(wide)
    began = time.process_time()
    checked(app.run())
    took_s = time.process_time() - began
    assert "10\u202f000 alarms, 10\u202f000 trips" in texts(app)
    assert len(app.checkbox) == alarm_list.ROWS
    assert took_s <= 1.0
