"""What a book of commands says of each as time goes by, and which it keeps."""

from __future__ import annotations

import threading

import pytest

from core.clock import ManualClock, from_epoch
from core.errors import UnknownIdError
from core.fleet.command_book import KEPT, CommandBook
from core.fleet.messages import Reply
from core.fleet.outcomes import await_settled, sentence
from core.fleet.ports import CommandLife, CommandState
from tests.fleet.examples import NOW_S


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(from_epoch(NOW_S))


@pytest.fixture
def book(clock: ManualClock) -> CommandBook:
    return CommandBook("home", clock.now)


def send(book: CommandBook, device: str = "pack_1") -> CommandLife:
    return book.send(lambda *_: None, device, "emergency_stop", "anna")


def answer(book: CommandBook, life: CommandLife, state: CommandState, reason: str = "") -> None:
    book.heard(life.device, [Reply(id=life.command.id, state=state,  # type: ignore[arg-type]
                                   reason=reason)])


@pytest.mark.parametrize("received", [False, True])
def test_without_an_outcome_in_time_it_may_have_acted(book: CommandBook, clock: ManualClock,
                                                      received: bool) -> None:
    life = send(book)
    if received:
        clock.advance(1)
        answer(book, life, "received")
    clock.advance(29)
    assert book.life(life.command.id).state == ("received" if received else "sent")
    clock.advance(5)
    over = book.life(life.command.id)
    assert (over.state, over.untold, over.settled) == ("expired", True, True)
    assert over.changed_at == from_epoch(NOW_S + 30)
    assert "may have acted: look at its state" in over.reason
    assert over.reason.startswith("received" if received else "no answer")
    assert book.lives() == [over]
    assert book.wait(life.command.id, 0.0) == over


def test_a_late_answer_is_believed(book: CommandBook, clock: ManualClock) -> None:
    life = send(book)
    clock.advance(36)
    answer(book, life, "executed")
    late = book.life(life.command.id)
    assert (late.state, late.untold, late.changed_at) == ("executed", False, clock.now())


def test_received_comes_before_the_outcome_and_not_after_it(book: CommandBook,
                                                            clock: ManualClock) -> None:
    life = send(book)
    answer(book, life, "received")
    first = book.life(life.command.id)
    clock.advance(1)
    answer(book, life, "received", "it came before")
    assert book.life(life.command.id) == first, "the first time counts"
    answer(book, life, "refused", "not all clear")
    settled = book.life(life.command.id)
    assert (settled.state, settled.reason) == ("refused", "not all clear")
    for state in ("received", "executed", "expired"):
        answer(book, life, state)  # type: ignore[arg-type]
    assert book.life(life.command.id) == settled


def test_a_stop_of_ten_thousand_packs_is_followed_to_its_end(book: CommandBook) -> None:
    lives = [send(book, f"pack_{number}") for number in range(10_000)]
    for life in lives:
        answer(book, life, "refused" if life.device == "pack_0" else "executed", "")
    ids = [life.command.id for life in lives]
    found = await_settled(ids, book.lives, 1.0, threading.Event())
    assert sentence(ids, found, {}) == "9999 executed, 1 refused; pack_0: refused"
    assert KEPT >= 2 * len(lives)


def test_what_is_answered_makes_room_before_what_is_open(clock: ManualClock) -> None:
    book = CommandBook("home", clock.now, most=3)
    open_, second, first = (send(book, f"pack_{number}") for number in range(3))
    answer(book, first, "executed")
    answer(book, second, "executed")
    send(book)
    assert {life.command.id for life in book.lives()} >= {open_.command.id, second.command.id}
    with pytest.raises(UnknownIdError):
        book.life(first.command.id)
    send(book)
    newest = send(book)
    assert len(book.lives()) == 3, "it is bounded where all are open, too"
    assert newest in book.lives()
    assert open_ not in book.lives()
