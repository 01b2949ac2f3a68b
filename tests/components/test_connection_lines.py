"""What a source says of itself on the Connections page, what it is called there, and who was turned
away."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from components.connections.lines import called, per, traffic
from core.clock import ManualClock
from core.engine import SourceStatus
from core.ports import Message, PollHealth, SourceInfo, Talk
from core.turned_away import KEPT, Door, Turned, TurnedAway

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
INFO = SourceInfo("cellar", "Cellar", "live", 30.0, 75.0, "discharge")
HOSTILE = "<script>alert(1)</script>"


def told(talk: Talk | None, polling: PollHealth | None = None) -> list[str]:
    status = SourceStatus(INFO, "live", NOON, polling=polling)
    return [words.replace("\u2009", " ") for words in traffic(status, talk, NOON)]


@pytest.mark.parametrize(("rate", "words"), [
    (0.0, "0/min"), (1 / 30, "2/min"), (0.99, "59/min"), (1.0, "1.0/s"), (24.04, "24.0/s")])
def test_slow_rates_are_told_by_the_minute(rate: float, words: str) -> None:
    assert per(rate) == words


def test_messages_polls_age_and_failures_stand_in_one_line() -> None:
    heard = Message(NOON - timedelta(seconds=12), "in", "200")
    asked = Message(NOON - timedelta(seconds=2), "out", "GET /")
    assert told(Talk((heard, asked), 40, 41, 3, 0.5), PollHealth(41, 120, 2, NOON)) == [
        "30/min heard", "41 of 120 asked in the last hour", "last answer 12 s ago",
        "3 failed, 2 in a row"]
    assert told(Talk((asked,), 0, 1, 0), PollHealth(1, 0, 0, NOON)) == [
        "0/min heard", "1 asked in the last hour", "no answer yet"]
    assert told(Talk((heard,), 40, 0, 1, 24.0)) == [
        "24.0/s heard", "last answer 12 s ago", "1 failed"]
    assert told(None) == []


def fleet(name: str, label: str = "Fleet", age_s: float = 1.0) -> SourceStatus:
    lost = age_s > INFO.stale_after_s
    return SourceStatus(replace(INFO, name=name, label=label), "lost" if lost else "live", NOON,
                        NOON - timedelta(seconds=age_s), "broker not reached" if lost else "")


def test_sources_of_one_label_are_told_apart_by_their_names() -> None:
    three = [fleet("north"), fleet("south"), fleet("cellar", "Cellar")]
    assert called(three) == {"north": "Fleet (north)", "south": "Fleet (south)",
                             "cellar": "Cellar"}


def test_a_lost_source_is_not_hidden_by_a_live_one_of_the_same_label() -> None:
    def page(client: object) -> None:
        from components.connections import board, console

        board.head(client)  # type: ignore[arg-type]
        board.rows(client)  # type: ignore[arg-type]
        console.chosen(client)  # type: ignore[arg-type]

    client = SimpleNamespace(
        now=lambda: NOON, present=lambda: NOON, talk_with=lambda name: None,
        snapshot=lambda: SimpleNamespace(sources=[fleet("north", age_s=4000.0), fleet("south")]),
        coverage=lambda *asked: np.empty(0))
    app = AppTest.from_function(page, args=(client,)).run()
    assert not app.exception
    told = "".join(element.proto.body for element in app.get("html"))
    assert "1 of 2 sources live; Fleet (north) silent for 1" in re.sub("<[^>]*>", "", told)
    assert told.index("Fleet (north)</span><span>silent") < told.index(
        "Fleet (south)</span><span>live")
    assert app.selectbox(key="console_source").options == ["Fleet (north)", "Fleet (south)"]


def test_who_was_turned_away_is_counted_and_the_newest_are_kept() -> None:
    turned = TurnedAway(ManualClock(NOON).now)
    for number in range(KEPT + 5):
        turned.add("role", f"POST /{number}", "127.0.0.1")
    turned.add("operator", "x" * 1000, "Anna\n")
    assert turned.counts() == {"role": KEPT + 5, "operator": 1}
    newest = turned.newest()
    assert len(newest) == KEPT
    assert (newest[0].reason, newest[0].at, newest[0].who) == ("operator", NOON, "Anna ")
    assert len(newest[0].asked) < 400
    assert newest[1].asked == f"POST /{KEPT + 4}"


def shown(turned: TurnedAway, *doors: Door) -> str:
    def page(client: object) -> None:
        from components.connections import door

        door.show(client)  # type: ignore[arg-type]

    app = AppTest.from_function(page, args=(SimpleNamespace(
        turned_away=turned, doors=lambda: doors, now=lambda: NOON),)).run()
    assert not app.exception
    return "".join(element.proto.body for element in app.get("html"))


def test_the_page_names_them_and_what_they_asked_stays_text() -> None:
    turned = TurnedAway(ManualClock(NOON).now)
    assert shown(turned) == ""
    turned.add("role", f"POST /api/{HOSTILE}", "10.0.0.7")
    turned.add("role", "POST /api/fleet/commands", "10.0.0.7")
    turned.add("sign_in", "GET /api/fleet", HOSTILE)
    found = shown(turned)
    for words in ("Turned away", "may look, not act (403)", "no key or token", "10.0.0.7",
                  "POST /api/fleet/commands"):
        assert words in found, words
    assert "<script" not in found
    assert found.count("&lt;script&gt;") == 2


def test_gateways_beside_the_app_are_named_with_the_age_of_their_word() -> None:
    asked = Turned(NOON, "rate", f"GET /{HOSTILE}", "10.0.0.9")
    told = Door(f"{HOSTILE}:9999", {"rate": 1200}, (asked,), NOON - timedelta(seconds=40))
    found = shown(TurnedAway(ManualClock(NOON).now), told, Door("quiet", {}, (), NOON))
    for words in ("Turned away by the gateway", "as it told 40 s ago", "too many requests",
                  "10.0.0.9"):
        assert words in found, words
    assert "<script" not in found
    assert "quiet" not in found
