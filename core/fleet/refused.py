"""The last message that a program did not use, as it is told to people."""

from __future__ import annotations

from core.clock import from_epoch
from core.fleet.messages import RefusedTold
from core.fleet.ports import Refusal
from core.fleet.rejections import Rejection
from core.talk import cut

LONGEST = 200
"""Of a payload that is told [B]."""
LONGEST_WORDS = 300


def escaped(payload: bytes) -> str:
    """The beginning of a payload in letters that are safe in a log, a page and an export."""
    text = payload[:LONGEST].decode("ascii", "backslashreplace")
    return "".join(letter if letter.isprintable() and letter not in "<>&\"'" else
                   f"\\x{ord(letter):02x}" for letter in text)


def refused_told(reason: Rejection, words: str, topic: str, payload: bytes) -> RefusedTold:
    return RefusedTold(reason=reason, topic=escaped(topic.encode(errors="replace")),
                       words=words[:LONGEST_WORDS], payload=escaped(payload))


def refusal_of(told: RefusedTold, at_s: float) -> Refusal:
    """What another program told, as it is shown. at_s: since 1970 [s]."""
    return Refusal(from_epoch(at_s), cut(told.topic), told.reason.value, cut(told.words),
                   cut(told.payload))
