"""What became of commands is one sentence, told when all are settled or their time is over."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from core.fleet.messages import VERSION, Command
from core.fleet.outcomes import await_settled, follow, sentence
from core.fleet.ports import CommandLife, CommandState


def life(number: int, state: CommandState, reason: str = "") -> CommandLife:
    command = Command(v=VERSION, id=f"{number:032x}", issuer="Anna", issued_s=0.0, ttl_s=30.0,
                      action="reset")
    return CommandLife(command, "home", f"pack_{number}", state, reason)


@pytest.mark.parametrize(("lives", "unsent", "words"), [
    ([life(1, "executed")], {}, "1 executed"),
    ([life(1, "executed"), life(2, "refused", "too hot")], {},
     "1 executed, 1 refused; pack_2: too hot"),
    ([life(1, "expired")], {"pack_9": "no broker"},
     "1 expired, 1 not sent; pack_1: expired; pack_9: no broker"),
    ([life(number, "sent") for number in range(5)], {},
     "5 sent; pack_0: sent; pack_1: sent; pack_2: sent; and 2 more"),
    ([], {}, "nothing was sent"),
])
def test_the_sentence(lives: list[CommandLife], unsent: dict[str, str], words: str) -> None:
    assert sentence(lives, unsent) == words


def test_it_waits_until_the_last_is_settled_and_counts_its_own_alone() -> None:
    rounds = [[life(1, "sent"), life(2, "executed"), life(3, "sent")],
              [life(1, "received"), life(2, "executed"), life(3, "sent")],
              [life(1, "executed"), life(2, "executed"), life(3, "sent")]]
    asked: list[int] = []

    def commands() -> list[CommandLife]:
        asked.append(1)
        return rounds[min(len(asked), len(rounds)) - 1]

    ids = [life(number, "sent").command.id for number in (1, 2)]
    found = await_settled(ids, commands, 30.0, threading.Event())
    assert [one.state for one in found] == ["executed", "executed"]
    assert len(asked) == 3


def test_it_does_not_wait_for_ever_nor_for_what_nobody_knows() -> None:
    open_ = life(1, "sent")
    assert await_settled([open_.command.id], lambda: [open_], 0.0, threading.Event()) == [open_]
    assert await_settled(["unknown"], lambda: [open_], 30.0, threading.Event()) == []


def test_the_outcome_is_kept_once_after_the_person_has_gone() -> None:
    state = [life(1, "sent")]
    kept: list[str] = []
    thread = follow([state[0].command.id], lambda: state, 30.0, {}, kept.append)
    assert thread.daemon
    state[0] = replace(state[0], state="executed")
    thread.join(10)
    assert kept == ["1 executed"]
