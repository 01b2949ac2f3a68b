"""The Connections page's part of a fleet: what came, what was refused; hostile payloads stay
text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
from streamlit.testing.v1 import AppTest

from components import formats
from core.fleet.messages import IngestReport
from core.fleet.ports import INGEST_SILENT_S, FleetCounts, IngestTold, PackState, Refusal
from core.fleet.rejections import Rejection

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>"
PACKS = [PackState("home", "pack_001", "home_pack_001", "Pack 1", link="online"),
         PackState("home", "pack_002", "home_pack_002", HOSTILE, link="offline", missing=3,
                   pending=7, rejected={"replayed": 2, "retained": 1},
                   last_refusal=Refusal(NOON, "pulsebms/home/pack_002/commands", "replayed",
                                        "a command that came before", f"newest {HOSTILE}")),
         PackState("home", "pack_003", "home_pack_003", "Pack 3", link="online",
                   rejected={"replayed": 5},
                   last_refusal=Refusal(NOON - timedelta(seconds=1), "pulsebms/home/pack_003/x",
                                        "replayed", "a command that came before", "older"))]
COUNTS = FleetCounts(
    "fleet", "home", "mqtt://127.0.0.1:1883", connected=True, received=1200, missing=3,
    rejected={"too_large": 2, "not_of_this_list": 1}, rate=24.0, lag_s=0.012,
    last_refusal=Refusal(NOON, "pulsebms/home/pack_002/telemetry", "too_large",
                         "larger than the schema allows", HOSTILE))

INGEST = IngestTold(
    IngestReport(v=1, site="home", state="running", stored=123_456, duplicate=11, given_up=13,
                 overflow=17, waiting=19, lag_p95_s=0.42,
                 rejected={Rejection.UNKNOWN_TOPIC: 4, Rejection.OTHER_SITE: 1}),
    NOON, 2.0, Refusal(NOON, "pulsebms/home/x/y", "unknown_topic", "no topic of the fleet",
                       HOSTILE))


class Client:
    def __init__(self, *counts: FleetCounts) -> None:
        self.counts = list(counts)

    def packs(self) -> list[PackState]:
        return PACKS

    def fleet_counts(self) -> list[FleetCounts]:
        return self.counts


def shown(client: Client) -> str:
    def page(client: object) -> None:
        from components.connections import fleets

        fleets.show(client)  # type: ignore[arg-type]

    app = AppTest.from_function(page, args=(client,)).run()
    assert not app.exception
    return "".join(element.proto.body for element in app.get("html"))


def test_the_figures_and_each_refusal_stand_there_in_words() -> None:
    told = shown(Client(COUNTS))
    for words in ("2 of 3", "24.0 /s", "0.01 s", "too large",
                  "larger than the schema allows; send fewer cells a message",
                  "not of this list", "3 missing, 7 waiting in its outbox"):
        assert words in told, words


def test_a_store_that_is_behind_is_said_while_the_ingest_runs() -> None:
    late = msgspec.structs.replace(INGEST.said, behind="7 messages wait on this disk for x")
    told = shown(Client(replace(COUNTS, ingest=replace(INGEST, said=late))))
    assert "A store is behind" in told
    assert "7 messages wait" in told
    gone = replace(INGEST, said=late, age_s=10 * INGEST_SILENT_S)
    assert "A store is behind" not in shown(Client(replace(COUNTS, ingest=gone)))


def test_what_comes_from_outside_stays_text() -> None:
    told = shown(Client(COUNTS))
    assert "<script" not in told
    assert told.count("&lt;script&gt;") == 5


def test_a_broker_that_is_not_reached_says_what_to_do() -> None:
    lost = FleetCounts("fleet", "home", "mqtt://127.0.0.1:1883", connected=False)
    assert "The broker is not reached" in shown(Client(lost))
    assert shown(Client()) == ""


def test_the_ingests_figures_and_refusals_stand_beside() -> None:
    told = shown(Client(replace(COUNTS, rejected={}, last_refusal=None, ingest=INGEST)))
    for words in (formats.number(123_456), "0.42 s", "Lag to the commit", ">11<", ">13<",
                  ">17<", ">19<",
                  "unknown topic", "other site", "pulsebms/home/x/y: no topic of the fleet",
                  "a site that this centre does not serve"):
        assert words in told, words
    assert "<script" not in told
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in told
    assert "is gone" not in told


def test_an_ingest_that_is_gone_silent_or_stuck_is_told() -> None:
    gone = replace(INGEST, said=IngestReport(v=1, site="home", state="gone"))
    silent = replace(INGEST, age_s=INGEST_SILENT_S + 1)
    for one in (gone, silent):
        assert "The ingest is gone" in shown(Client(replace(COUNTS, ingest=one)))
    stuck = replace(INGEST, said=IngestReport(v=1, site="home", state="running",
                                              trouble="the disk is full <b>"))
    told = shown(Client(replace(COUNTS, ingest=stuck)))
    assert "The ingest cannot store" in told
    assert "the disk is full &lt;b&gt;" in told


def test_no_ingest_is_told_where_there_is_a_broker_alone() -> None:
    assert "No ingest tells anything" in shown(Client(COUNTS))
    assert "ingest" not in shown(Client(replace(COUNTS, broker=""))).lower()


def test_what_devices_refused_themselves_is_summed_with_whose_it_is() -> None:
    told = shown(Client(COUNTS))
    assert "Refused by the devices themselves" in told
    assert ('<span class="num">7</span><span>replayed</span><span class="mut">'
            "&lt;script&gt;alert(1)&lt;/script&gt;, Pack 3: a command or allocation") in told
    assert '<span class="num">1</span><span>retained</span>' in told


def test_the_last_message_that_a_device_refused_stands_there_as_text() -> None:
    told = shown(Client(replace(COUNTS, last_refusal=None)))
    assert "pulsebms/home/pack_002/commands: a command that came before" in told
    assert '<pre class="o-payload">newest &lt;script&gt;' in told
    assert "older" not in told
