"""The Connections page's part of a fleet: what came, what was refused; hostile payloads stay
text."""

from __future__ import annotations

from datetime import UTC, datetime

from streamlit.testing.v1 import AppTest

from core.fleet.ports import FleetCounts, PackState, Refusal

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>"
PACKS = [PackState("home", "pack_001", "home_pack_001", "Pack 1", link="online"),
         PackState("home", "pack_002", "home_pack_002", HOSTILE, link="offline", missing=3,
                   pending=7)]
COUNTS = FleetCounts(
    "fleet", "home", "mqtt://127.0.0.1:1883", connected=True, received=1200, missing=3,
    rejected={"too_large": 2, "not_of_this_list": 1}, rate=24.0, lag_s=0.012,
    last_refusal=Refusal(NOON, "pulsebms/home/pack_002/telemetry", "too_large",
                         "larger than the schema allows", HOSTILE))


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
    for words in ("1 of 2", "24.0 /s", "0.01 s", "too large",
                  "larger than the schema allows; send fewer cells a message",
                  "not of this list", "3 missing, 7 waiting in its outbox"):
        assert words in told, words


def test_what_comes_from_outside_stays_text() -> None:
    told = shown(Client(COUNTS))
    assert "<script" not in told
    assert told.count("&lt;script&gt;") == 2


def test_a_broker_that_is_not_reached_says_what_to_do() -> None:
    lost = FleetCounts("fleet", "home", "mqtt://127.0.0.1:1883", connected=False)
    assert "The broker is not reached" in shown(Client(lost))
    assert shown(Client()) == ""
