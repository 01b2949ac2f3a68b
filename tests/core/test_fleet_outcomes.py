"""What became of commands is one sentence, told when all are settled or their time is over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.clock import from_epoch
from core.errors import RetryLaterError
from core.fleet.messages import VERSION, Command
from core.fleet.outcomes import LateAnswers, await_settled, follow, sentence
from core.fleet.ports import CommandLife, CommandState


def life(number: int, state: CommandState, reason: str = "") -> CommandLife:
    command = Command(v=VERSION, id=f"{number:032x}", issuer="Anna", issued_s=0.0, ttl_s=30.0,
                      action="reset")
    return CommandLife(command, "home", f"pack_{number}", state, reason)


def untold(number: int) -> CommandLife:
    return replace(life(number, "expired", "see it"), untold=True)


@pytest.mark.parametrize(("lives", "unsent", "words"), [
    ([life(1, "executed")], {}, "1 executed"),
    ([life(1, "executed"), life(2, "refused", "too hot")], {},
     "1 executed, 1 refused; pack_2: too hot"),
    ([life(1, "expired")], {"pack_9": "no broker"},
     "1 expired, 1 not sent; pack_1: expired; pack_9: no broker"),
    ([life(1, "expired", "its time is over"), untold(2), untold(3)], {},
     "1 expired, 2 without an outcome; pack_1: its time is over; pack_2: see it; pack_3: see it"),
    ([life(number, "sent") for number in range(5)], {},
     "5 sent; pack_0: sent; pack_1: sent; pack_2: sent; and 2 more"),
    ([], {}, "nothing was sent"),
])
def test_the_sentence(lives: list[CommandLife], unsent: dict[str, str], words: str) -> None:
    assert sentence([one.command.id for one in lives], lives, unsent) == words


def test_what_is_asked_for_and_not_in_the_list_is_counted() -> None:
    asked = [life(number, "sent").command.id for number in range(1000)]
    assert sentence(asked, [life(7, "executed")], {}) == "1 executed, 999 not known"


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


class Kept(list[str]):
    """Lines of an audit. refusals: how often it cannot be written."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__()
        self._changed, self._refusals = threading.Condition(), refusals

    def __call__(self, line: str) -> None:
        with self._changed:
            if self and self._refusals:
                self._refusals -= 1
                raise RetryLaterError("the disk is full")
            self.append(line)
            self._changed.notify_all()

    def has(self, count: int) -> list[str]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self) == count, 10.0), self
            return list(self)


@pytest.mark.parametrize("refusals", [0, 2])
def test_a_late_answer_is_a_line_of_its_own(refusals: int) -> None:
    """Also where it cannot be written at once."""
    state = [life(1, "executed"), untold(2), untold(3)]
    kept, late = Kept(refusals), LateAnswers(0.01)
    follow([one.command.id for one in state], lambda: state, 30.0, {}, kept, late)
    assert kept.has(1) == ["1 executed, 2 without an outcome; pack_2: see it; pack_3: see it"]
    state[1] = replace(life(2, "refused", "not all clear"), changed_at=from_epoch(36.0))
    assert kept.has(2)[1] == ("answered late: 1 refused; pack_2: refused 36 s after it was sent "
                              "(not all clear)")
    state[2] = replace(life(3, "executed"), changed_at=from_epoch(3600.0))
    assert kept.has(3)[2] == ("answered late: 1 executed; pack_3: executed 3600 s after it was "
                              "sent")


def test_late_answers_are_waited_for_on_one_thread_and_of_a_bounded_number() -> None:
    late, states = LateAnswers(0.01, most=2), [[untold(number)] for number in range(3)]
    kept, looked, threads = [Kept() for _ in states], threading.Event(), set[int]()

    def of(state: list[CommandLife]) -> Callable[[], list[CommandLife]]:
        def commands() -> list[CommandLife]:
            threads.add(threading.get_ident())
            if state is states[2]:
                looked.set()
            return state
        return commands

    for state, keep in zip(states, kept, strict=True):
        late.follow([state[0].command.id], of(state), keep)
    assert looked.wait(10.0)
    for number, state in enumerate(states):
        state[0] = life(number, "executed")
    assert [len(keep.has(1)) for keep in kept[1:]] == [1, 1]
    assert (kept[0], len(threads)) == ([], 1)
    late.follow([states[0][0].command.id], of(states[0]), kept[0])
    assert kept[0].has(1) == ["answered late: 1 executed; pack_0: executed"]
