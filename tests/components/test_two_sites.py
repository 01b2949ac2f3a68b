"""Two fleets may have devices of one name: what one answered is not shown beside the other."""

from __future__ import annotations

from types import SimpleNamespace

from streamlit.testing.v1 import AppTest

from components.coordinator.policies import newest
from core.fleet.messages import VERSION, Command
from core.fleet.ports import CommandLife, CommandState, PackState


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
    assert told.count("North one") == 2
    assert told.count("South one") == 1
