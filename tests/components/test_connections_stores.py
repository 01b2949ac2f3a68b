"""The stores of the Connections page: each by name, with what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace

from streamlit.testing.v1 import AppTest

from core.ports import StoreHealth
from tests.core.alarm_bench import NOON

WELL = StoreHealth(NOON, NOON, 1_500_000, 900_000_000)
HOSTILE = "<script>alert(1)</script> (7 frames wait on this disk)"


@dataclass
class Client:
    """What the stores' part asks."""

    told: StoreHealth | None = WELL
    channels: StoreHealth | None = None
    records: object | None = "there"
    fleets: list[tuple[str, StoreHealth]] = field(default_factory=list)
    records_error: str = ""
    alarms_error: str = ""
    alarm_store: object | None = "there"
    journal: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(lost=0))

    def history(self) -> StoreHealth | None:
        return self.told

    def channels_history(self) -> StoreHealth | None:
        return self.channels

    def fleet_stores(self) -> list[tuple[str, StoreHealth]]:
        return self.fleets

    def snapshot(self) -> SimpleNamespace:
        return SimpleNamespace(history_error="")


def shown(client: Client) -> str:
    def page(client: object) -> None:
        from components.connections import stores

        stores.show(client)  # type: ignore[arg-type]

    app = AppTest.from_function(page, args=(client,)).run()
    assert not app.exception
    return "".join(element.proto.body for element in app.get("html"))


def test_each_of_several_stores_has_its_line() -> None:
    parts = {"embedded": WELL, "postgres": replace(WELL, error=HOSTILE)}
    told = shown(Client(replace(WELL, parts=parts)))
    for words in ("History on this disk", "2 of 900 MB", "History in PostgreSQL", "not written",
                  "7 frames wait on this disk", "commands of the last 24 hours"):
        assert words in told, words
    assert "<script" not in told
    assert told.count("o-store") == 4


def test_channels_of_devices_have_lines_of_their_own() -> None:
    parts = {"postgres": replace(WELL, error=HOSTILE), "embedded": WELL}
    told = shown(Client(channels=replace(WELL, parts=parts)))
    assert "channels in PostgreSQL" in told
    assert "7 frames wait on this disk" in told
    assert told.count("o-store") == 5


def test_the_telemetry_of_a_fleet_has_its_line_where_it_is_configured() -> None:
    assert "Telemetry" not in shown(Client())
    kept = replace(WELL, oldest=NOON - timedelta(hours=6), size_bytes=81_440_000, budget_bytes=0)
    told = shown(Client(fleets=[("North", kept), ("<script>", replace(kept, error=HOSTILE)),
                                ("New", StoreHealth(None, None, 0, 0))]))
    for words in ("Telemetry of North", "81.4 MB of 6.0 h", "not read", "Telemetry of New", "empty",
                  "see that the ingest runs"):
        assert words in told, words
    assert "<script" not in told
    assert told.count("o-store") == 6


def test_what_is_not_kept_says_why() -> None:
    told = shown(Client(None, None, records_error="the disk is full"))
    for words in ("orrery.toml says so", "not kept", "the disk is full"):
        assert words in told, words
    assert "and with it what becomes of commands" in shown(Client(records=None))


def test_each_store_of_a_fleet_is_named_as_orrery_toml_does() -> None:
    parts = {"sqlite:data/fleet.sqlite": WELL, "postgres:FLEET_URL": replace(WELL, error=HOSTILE)}
    told = shown(Client(fleets=[("Packs", replace(WELL, parts=parts))]))
    assert told.count("Telemetry of Packs") == 2
    for words in ("sqlite:data/fleet.sqlite: 1.5 MB", "postgres:FLEET_URL: &lt;script"):
        assert words in told, words


def test_a_store_that_was_added_later_says_since_when_it_has_history_and_who_has_the_rest() -> None:
    first = replace(WELL, oldest=NOON - timedelta(days=400))
    second = replace(WELL, oldest=NOON - timedelta(days=3))
    told = shown(Client(replace(WELL, parts={"embedded": first, "postgres": second})))
    assert "MB, since 27 Apr 2025<" in told
    assert "since Fri 29 May 12:00; what is older is on this disk alone" in told
    swapped = shown(Client(replace(WELL, parts={"embedded": second, "postgres": first})))
    assert "what is older is in PostgreSQL alone" in swapped
    same = {"embedded": first, "postgres": replace(first, oldest=NOON - timedelta(days=399.98))}
    empty = {"embedded": first, "postgres": StoreHealth(None, None, 0, 9)}
    for parts in (same, empty):
        assert "alone" not in shown(Client(replace(WELL, parts=parts)))


def test_a_fleet_store_that_was_added_later_says_which_one_has_what_is_older() -> None:
    first = replace(WELL, oldest=NOON - timedelta(hours=48))
    parts = {"sqlite:a": first, "postgres:FLEET_URL": replace(WELL, oldest=NOON)}
    told = shown(Client(fleets=[("Packs", replace(WELL, parts=parts))]))
    assert told.count("what is older is in sqlite:a alone") == 1
