"""What is kept of a conversation: so many, so long, and never a secret."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.ports import Message
from core.talk import KEPT, LONGEST, Conversation

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_each_message_has_its_time_and_its_way() -> None:
    clock = ManualClock(NOW)
    said = Conversation(clock)
    said.sent("GET /")
    then = clock.advance(1.0)
    said.heard("200")
    said.error("it broke")
    talk = said.talk()
    assert talk.messages == (Message(NOW, "out", "GET /"), Message(then, "in", "200"),
                             Message(then, "error", "it broke"))
    assert (talk.sent, talk.heard, talk.failed) == (1, 1, 1)


def test_the_newest_are_kept_and_all_are_counted() -> None:
    said = Conversation()
    for number in range(KEPT + 100):
        said.heard(str(number))
    talk = said.talk()
    assert [one.text for one in talk.messages] == [str(n) for n in range(100, KEPT + 100)]
    assert talk.heard == KEPT + 100


def test_its_rate_is_that_of_the_last_minute() -> None:
    clock = ManualClock(NOW)
    said = Conversation(clock)
    for _ in range(120):
        said.heard("one")
        said.sent("another")
        clock.advance(0.5)
    assert said.talk().rate == 2.0
    clock.advance(30.0)
    assert said.talk().rate == 1.0
    clock.advance(600.0)
    assert said.talk().rate == 0.0


def test_what_was_told_does_not_change() -> None:
    said = Conversation()
    said.heard("one")
    talk = said.talk()
    said.heard("two")
    assert len(talk.messages) == 1


def test_secrets_are_hidden_also_one_within_another_and_at_the_cut() -> None:
    said = Conversation()
    for secret in ("horse", "correct-horse", "", "abc"):
        said.hide(secret)
    said.heard("correct-horse, horse; abc" + "x" * 600)
    said.error("y" * (LONGEST - 3) + "correct-horse")
    first, second = said.talk().messages
    assert first.text.startswith("***, ***; abcxxx")
    assert "hor" not in first.text + second.text
    assert "corr" not in second.text


@given(st.text(max_size=2000))
def test_no_text_is_too_long_or_does_not_print(text: str) -> None:
    said = Conversation()
    said.heard(text)
    (kept,) = said.talk().messages
    assert len(kept.text) <= LONGEST
    assert kept.text.isprintable()


def test_many_threads_lose_nothing() -> None:
    said = Conversation()
    threads = [threading.Thread(target=lambda: [said.heard("x") for _ in range(500)])
               for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert said.talk().heard == 4000
