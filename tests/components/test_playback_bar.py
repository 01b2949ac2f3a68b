"""The row of the playback: links of all kinds, a store that is absent or fails, and the client
that sees the past and refuses to act on it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from components import trends
from components.api_client import Client, Fault, LocalClient
from components.space import seen, timeline, trails
from core.alarms.records import Key
from core.clock import ManualClock
from core.config import Config, SourceConfig
from core.engine import Engine
from core.errors import RequestError
from core.runtime import Runtime
from core.topology import DEFAULT_LEVELS
from store.embedded import EmbeddedStore
from store.records import open_alarms
from tests.components import playback_app
from tests.core.sites import NOON, ScriptedReadings, system

SCRIPT = "from tests.components import playback_app\nplayback_app.page()\n"
CELL = "system_0_cluster_0_rack_0_module_1_cell_2"
END = NOON + timedelta(seconds=600)


class Site:
    """Ten minutes of history, a frame each five seconds; a trip from the third minute on."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(NOON)
        self.source = ScriptedReadings([system()], stale_after_s=10.0)
        self.source.set_cells({"power_kw": 1.0, "voltage_v": 3.3, "temperature_c": 25.0,
                               "soc_pct": 50.0})
        self.engine = Engine(DEFAULT_LEVELS, [self.source], self.clock)
        self.store = EmbeddedStore(folder / "history", self.engine.topology)
        self.alarms = open_alarms(folder / "alarms", self.clock)
        self.engine.attach(self.store)
        self.engine.keep_alarms(self.alarms)
        self.client = LocalClient(Runtime(Config([SourceConfig("test", "test")]), self.engine,
                                          (), None))
        self.live_until(END)

    def live_until(self, end: datetime) -> None:
        while self.clock.now() < end:
            self.clock.advance(5)
            hot = self.clock.now() >= NOON + timedelta(seconds=180)
            self.source.set(CELL, {"temperature_c": 62.0 if hot else 25.0})
            self.engine.tick()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    playback_app.CLIENTS.append(found.client)
    yield found
    found.store.close()
    found.alarms.close()


def opened(asked: str | None = None) -> AppTest:
    app = AppTest.from_string(SCRIPT, default_timeout=30)
    if asked is not None:
        app.query_params["t"] = asked
    return app.run()


def said(app: AppTest) -> str:
    assert not app.exception, app.exception
    return unescape(" ".join(str(one.proto.body) for one in app.get("html"))
                    + " ".join(text.value for text in app.text))


def link(app: AppTest) -> str:
    """AppTest has a list for what a test wrote and a text for what the page wrote."""
    found = app.query_params["t"]
    return found if isinstance(found, str) else found[0]


def test_live_there_is_one_small_button_and_nothing_is_asked(site: Site) -> None:
    app = opened()
    assert [button.label for button in app.button] == ["Play back"]
    assert "past None" in said(app)
    assert "Live" in said(app)
    assert "not live" not in said(app)


def test_a_link_opens_its_moment_and_live_leaves_it(site: Site) -> None:
    app = opened("2026-06-01T12:02:00Z")
    assert "past 2026-06-01 12:02:00+00:00" in said(app)
    assert "Mon 1 Jun 12:02:00" in said(app)
    assert "8 min ago" in said(app)
    assert "no alarms" in said(app)
    assert "Not live" in said(app)
    app.button(key="space_live").click().run()
    assert "past None" in said(app)
    assert "1 alarm" in said(app)
    assert "t" not in app.query_params


def test_the_present_is_held_and_played_by_the_clock(site: Site) -> None:
    app = opened()
    app.button(key="space_open").click().run()
    assert "past 2026-06-01 12:10:00+00:00" in said(app)
    assert link(app) == "2026-06-01T12:10:00Z"
    app.slider(key="space_slider").set_value(datetime(2026, 6, 1, 12, 1)).run()  # noqa: DTZ001
    assert "past 2026-06-01 12:01:00+00:00" in said(app)
    app.segmented_control(key="space_speed").set_value(60).run()
    app.button(key="space_play").click().run()
    site.live_until(END + timedelta(seconds=5))
    app.run()
    assert "past 2026-06-01 12:06:00+00:00" in said(app)
    assert "60x" in said(app)
    assert "1 alarm" in said(app)
    app.button(key="space_play").click().run()
    site.live_until(END + timedelta(seconds=10))
    assert "past 2026-06-01 12:06:00+00:00" in said(app.run())
    assert "paused" in said(app)
    assert link(app) == "2026-06-01T12:06:00Z"


def test_from_the_end_it_plays_what_the_slider_shows(site: Site) -> None:
    app = opened()
    app.button(key="space_open").click().run()
    app.session_state["space_window"] = "Hour", END - timedelta(minutes=5), END
    app.button(key="space_play").click().run()
    assert "past 2026-06-01 12:05:00+00:00" in said(app)


def test_at_the_end_it_rests_and_says_so(site: Site) -> None:
    app = opened("2026-06-01T12:09:50Z")
    app.button(key="space_play").click().run()
    site.live_until(END + timedelta(seconds=60))
    app.run()
    assert "past 2026-06-01 12:10:50+00:00" in said(app)
    app.segmented_control(key="space_speed").set_value(600).run()
    site.live_until(END + timedelta(seconds=70))
    assert "past 2026-06-01 12:11:10+00:00" in said(app.run())
    assert "paused" in said(app)


@pytest.mark.parametrize(("asked", "told"), [
    ("2026-06-01T18:00:00Z", "Mon 1 Jun 18:00:00 is outside of history, which goes from "
                             "Mon 1 Jun 12:0"),
    ("2026-06-01T18:00:00Z", "to Mon 1 Jun 12:10:00: the nearest time is shown"),
    ("1999-01-01T00:00:00+01:00", "outside of history"),
    ("2026-06-01T12:02:00", "has no time zone; write it like 2026-11-21T16:20:05Z"),
    ("<script>alert(1)</script>", "is not a time"),
    ("", "is not a time"), ("7" * 10_000, "is not a time")])
def test_a_bad_time_is_told_in_words(site: Site, asked: str, told: str) -> None:
    app = opened(asked)
    assert told in said(app)
    assert "<script>alert" not in " ".join(str(one.proto.body) for one in app.get("html"))
    outside = not asked.startswith("2026-06-01T12") and asked.endswith(("Z", "+01:00"))
    assert ("past None" in said(app)) is not outside
    assert len(said(app)) < 6000


def test_without_a_history_it_says_why(site: Site) -> None:
    site.engine.attach(None, "the disk is full")
    site.engine.tick()
    app = opened("2026-06-01T12:02:00Z")
    assert "There is nothing to play back: the disk is full" in said(app)
    assert "past None" in said(app)
    app.button(key="space_open").click().run()
    assert "nothing to play back" in said(app)


def test_a_store_that_fails_in_the_middle_is_told_in_place_and_live_still_works(
        site: Site) -> None:
    app = opened("2026-06-01T12:02:00Z")
    site.store.close()
    site.clock.advance(1)
    app.slider(key="space_slider").set_value(datetime(2026, 6, 1, 12, 3)).run()  # noqa: DTZ001
    assert "This moment cannot be read" in said(app)
    assert "past 2026-06-01 12:03:00+00:00" in said(app)
    assert "no data" in said(app)
    app.button(key="space_live").click().run()
    assert "past None" in said(app)


def test_the_past_of_a_site_that_was_changed_meanwhile_is_read_anew(site: Site) -> None:
    app = opened("2026-06-01T12:02:00Z")
    changed = Engine(DEFAULT_LEVELS, [ScriptedReadings([system(cells=5)])], site.clock)
    changed.attach(None, "another store is opened")
    playback_app.CLIENTS.append(LocalClient(Runtime(Config([SourceConfig("test", "test")]),
                                                    changed, (), None)))
    app.run()
    assert "past 2026-06-01 12:02:00+00:00" in said(app)
    assert "another store is opened" in said(app)


def test_whoever_sees_the_past_asks_as_ever_and_cannot_act(
        site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, object] = {}
    monkeypatch.setattr(seen.st, "session_state", state)
    page = seen.seen(site.client)
    members = [name for name, _ in inspect.getmembers(Client) if not name.startswith("_")]
    assert len(members) > 30
    assert not [name for name in members if not hasattr(page, name)]
    assert (page.past, page.snapshot(), page.journal) == (
        None, site.client.snapshot(), site.client.journal)
    seen.show_moment(page, site.client.moment(NOON + timedelta(seconds=200)))
    assert page.past == page.now() == page.snapshot().frame.time
    assert page.present() == END
    assert page.series(["system_0"], ["power_kw"], NOON, END)[0].time_s.size == 120
    (one,) = page.journal.instances()
    assert page.journal.get(one.key) == one
    assert [group.root for group in page.journal.groups()] == [one]
    for act in (lambda: page.journal.acknowledge(one.key, "ada"),
                lambda: page.journal.shelve(Key(CELL, "x"), "ada", "why", END),
                lambda: page.command("system_0", "stop", "ada"),
                lambda: page.start_fault(Fault("test", "Test", "x", running=False)),
                page.stop_faults, lambda: page.reconnect("test"), lambda: page.ask_now("test")):
        with pytest.raises(RequestError, match="press Live"):
            act()
    assert site.client.journal.get(one.key) is not None
    seen.forget_moment()
    page.journal.acknowledge(one.key, "ada")


def test_trails_are_the_viewers_columns_or_nothing(site: Site) -> None:
    nodes = np.array([0, 1])
    assert trails.table(site.client, nodes, "") is None
    told = trails.table(site.client, nodes, "power_kw")
    assert told is not None
    assert told.column_names == ["row", "age_s", "value"]
    assert set(told.column("row").to_pylist()) == {0, 1}
    assert set(told.column("value").to_pylist()) == {6.0}
    site.store.close()
    far = ManualClock(END + timedelta(days=1))
    site.engine.clock = far
    assert trails.table(site.client, nodes, "power_kw") is None


def test_trends_end_where_the_moment_can_be_seen() -> None:
    hour = timedelta(hours=1)
    assert trends.end_of(END, None, hour) == END
    assert trends.end_of(END, END - hour, hour) == END
    then = END - timedelta(hours=5)
    assert trends.end_of(END, then, hour) == then + timedelta(minutes=12)
    assert trends.end_of(END, END - hour * 1.05, hour) == END - 0.85 * hour


def test_the_wall_clock_of_the_line_has_no_fold() -> None:
    offset = timedelta(hours=2)
    walls = [timeline.wall_of(NOON + timedelta(minutes=30 * k), offset) for k in range(200)]
    assert walls == sorted(walls)
    assert timeline.moment_of(walls[7], offset) == NOON + timedelta(minutes=210)


def test_marks_are_runs_with_words() -> None:
    worst = np.zeros(timeline.PARTS, np.int8)
    worst[10:12], worst[20], worst[30] = 3, 2, 1
    told = timeline.marks(worst)
    assert told.count("<i ") == 3
    assert "Alarms called: 1 trip, 1 warning, 1 info" in told
    assert timeline.marks(np.zeros(timeline.PARTS, np.int8)) == '<div class="o-called"></div>'
