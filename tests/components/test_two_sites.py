"""Two fleets may have devices of one name: what one answered is not shown beside the other."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from components.coordinator import deploying
from components.coordinator.policies import newest
from components.fleet import board, lines, orders, spheres
from components.fleet.standing import Wish, wanted
from core.fleet.called import names_of
from core.fleet.messages import VERSION, Command
from core.fleet.ports import CommandLife, CommandState, PackState
from services.gateway.fleet_alarms import AlarmApi
from services.gateway.fleet_api import FleetApi
from services.gateway.fleet_orders import FleetOrders
from services.gateway.fleet_requests import Order
from tests.components.fleet_site import site, two_sites


def life(number: int, site: str, state: CommandState, action: str) -> CommandLife:
    command = Command(v=VERSION, id=f"{number:032x}", issuer=f"Person {number}", issued_s=1e9,
                      ttl_s=30.0, action=action)  # type: ignore[arg-type]
    return CommandLife(command, site, "pack_1", state)


LIVES = [life(1, "south", "refused", "deploy"), life(2, "north", "executed", "deploy"),
         life(3, "north", "executed", "reset")]
PACKS = [PackState(site, "pack_1", f"system_{site}_rack_1", f"{site.title()} one")
         for site in ("north", "south")]


def test_each_sites_answer_about_a_policy_is_its_own() -> None:
    assert newest(LIVES, "north") == {"pack_1": LIVES[1]}
    assert newest(LIVES, "south") == {"pack_1": LIVES[0]}
    assert newest(LIVES, "east") == {}


def test_each_packs_commands_are_its_own_and_named_after_it() -> None:
    def page(client: object, pack: object) -> None:
        from components.fleet import commands

        commands.of_pack(client, pack)  # type: ignore[arg-type]
        commands.show(client)  # type: ignore[arg-type]

    client = SimpleNamespace(commands=lambda: LIVES, packs=lambda: PACKS)
    app = AppTest.from_function(page, args=(client, PACKS[0])).run()
    assert not app.exception
    told = "".join(one.proto.body for one in app.get("html"))
    assert told.count("Person 1") == 1, "among all, and not in the pack's own"
    assert told.count("Person 2") == told.count("Person 3") == 2
    assert told.count("north North one") == 2
    assert told.count("south South one") == 1


def test_a_command_of_a_pack_that_is_gone_is_told_by_site_and_device() -> None:
    def page(client: object) -> None:
        from components.fleet import commands

        commands.show(client)  # type: ignore[arg-type]

    client = SimpleNamespace(commands=lambda: LIVES, packs=lambda: PACKS[:1])
    app = AppTest.from_function(page, args=(client,)).run()
    told = "".join(one.proto.body for one in app.get("html"))
    assert "south/pack_1" in told


def test_the_second_step_names_the_site_of_a_pack_and_of_all_packs() -> None:
    client, fleets = two_sites()
    packs = [orders.of_pack(client, fleet.told[2]) for fleet in fleets]
    every = [orders.of_site(client, fleet.site) for fleet in fleets]

    def told(target: orders.Target) -> tuple[str, str, str, str]:
        step = orders.step(client, target, "reset", None, None)
        return step.title, step.effect.partition(": leaves")[0], step.button, step.word

    assert [told(one) for one in packs] == [
        ("Reset north Pack 003", "north Pack 003", "Reset north Pack 003", "north Pack 003"),
        ("Reset south Pack 003", "south Pack 003", "Reset south Pack 003", "south Pack 003")]
    assert [told(one) for one in every] == [
        ("Reset north: 3 packs", "north: 3 packs", "Reset north: 3 packs", "north"),
        ("Reset south: 3 packs", "south: 3 packs", "Reset south: 3 packs", "south")]


def test_the_api_calls_a_target_as_the_page_does() -> None:
    client, fleets = two_sites()
    engine = client._runtime.engine
    api = FleetOrders(engine, FleetApi(engine), AlarmApi(engine))
    for target in (orders.of_pack(client, fleets[1].told[2]), orders.of_site(client, "south")):
        told = api.begin(Order(action="reset", element=target.element), "Anna")
        step = orders.step(client, target, "reset", None, None)
        assert (told.target, told.effect) == (
            target.name, step.effect.replace("\u202f", " "))


def test_rows_are_told_apart_found_and_ordered_by_site() -> None:
    client, _ = two_sites()
    all_ = board.now(client)
    rows = [lines.line(client.topology, client.snapshot(), all_, place)["name"]
            for place in range(6)]
    assert rows[2::3] == ["north Pack 003", "south Pack 003"]
    assert wanted(all_, Wish(text="south pack 003")).tolist() == [5]
    assert wanted(all_, Wish(sort="name")).tolist() == list(range(6))


def test_where_a_policy_goes_and_what_is_drawn_are_told_by_site() -> None:
    client, _ = two_sites(2)
    room = SimpleNamespace(here=None)
    places = deploying._places(client, room, "south")  # type: ignore[arg-type]
    assert [one.name for one in places.values()] == [
        "All 2 packs of south", "south Pack 001", "south Pack 002"]
    assert list(spheres._sites(client).values()) == ["north", "south"]


def test_one_site_alone_is_not_named_with_each_pack() -> None:
    client, fleet, _ = site(2)
    assert list(names_of(fleet.told).values()) == ["Pack 001", "Pack 002"]
    assert orders.of_pack(client, fleet.told[0]).word == "Pack 001"


@pytest.mark.parametrize("several", [False, True])
def test_two_packs_of_one_label_are_told_by_their_devices(several: bool) -> None:
    packs = [replace(PACKS[0], label="Shed"), replace(PACKS[0], device="pack_2", label="Shed"),
             *([PACKS[1]] if several else [])]
    before = "north " if several else ""
    assert list(names_of(packs).values())[:2] == [f"{before}Shed (pack_1)",
                                                  f"{before}Shed (pack_2)"]
