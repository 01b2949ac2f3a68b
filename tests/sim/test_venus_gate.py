"""The protocol of a Venus, with a clock that the test moves and a list for a broker."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.venus_gate import COMPLETED, VenusGate, payload

PORTAL = "c0ffee000001"
SERIAL = f"N/{PORTAL}/system/0/Serial"
TREE = {"battery/288/Soc": payload(50), "battery/288/Soh": payload(None),
        "battery/288/Dc/0/Voltage": payload(52.1), "battery/288/Dc/0/Current": payload(-3)}
SUPPRESS = b'{"keepalive-options": ["suppress-republish"]}'
ECHO = b'{"keepalive-options": [{"full-publish-completed-echo": "abc"}]}'


class Told:
    """A gate, its clock [s], and what it published since the last question."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.sent: list[tuple[str, bytes, bool]] = []
        self.gate = VenusGate(PORTAL, lambda *message: self.sent.append(message),
                              lambda: self.now_s, lambda: 1_800_000_000.5)
        self.gate.tell(TREE)

    def ask(self, below: str, said: bytes = b"", kind: str = "R") -> list[str]:
        """Topics below N/<portal>/ that answer a request."""
        self.gate.requested(f"{kind}/{PORTAL}/{below}", said)
        return self.topics()

    def topics(self) -> list[str]:
        """Since the last question, without the heartbeat."""
        sent, self.sent = self.sent, []
        return [topic.removeprefix(f"N/{PORTAL}/") for topic, _, _ in sent
                if not topic.endswith("/heartbeat")]


def test_on_connecting_only_the_serial_is_retained() -> None:
    told = Told()
    told.gate.connected()
    assert told.sent == [(f"N/{PORTAL}/keepalive", b"1", False),
                         (SERIAL, b'{"value": "%s"}' % PORTAL.encode(), True)]


def test_nothing_is_told_before_somebody_asks() -> None:
    told = Told()
    told.gate.tell({"battery/288/Soc": payload(51)})
    told.gate.tend()
    assert told.sent == []


@pytest.mark.parametrize("topic", ["keepalive", "system/0/Serial"])
def test_a_keepalive_is_answered_with_everything_and_the_end_of_it(topic: str) -> None:
    told = Told()
    answer = told.ask(topic)
    assert set(answer[:-1]) == {*TREE, "system/0/Serial"}
    assert answer[-1] == COMPLETED
    told.ask(topic)


def test_the_end_carries_the_time_and_the_echo() -> None:
    told = Told()
    told.gate.requested(f"R/{PORTAL}/keepalive", b"")
    told.gate.requested(f"R/{PORTAL}/keepalive", ECHO)
    ends = [json.loads(said) for topic, said, _ in told.sent if topic.endswith(COMPLETED)]
    assert ends == [{"value": 1_800_000_000},
                    {"value": 1_800_000_000, "full-publish-completed-echo": "abc"}]


def test_suppressed_it_is_awake_and_says_nothing() -> None:
    told = Told()
    assert told.ask("keepalive", SUPPRESS) == []
    assert told.gate.alive
    told.gate.tell({"battery/288/Soc": payload(51), "battery/288/Soh": payload(None)})
    assert told.topics() == ["battery/288/Soc"], "what changed, alone"


def test_after_60_s_it_falls_silent() -> None:
    told = Told()
    told.ask("keepalive")
    told.now_s += 59.9
    told.gate.tell({"battery/288/Soc": payload(51)})
    assert told.topics() == ["battery/288/Soc"]
    told.now_s += 0.1
    told.gate.tell({"battery/288/Soc": payload(52)})
    assert told.topics() == []
    assert told.ask("keepalive")[:1] != []


def test_a_heartbeat_every_three_seconds_while_it_is_awake() -> None:
    told = Told()
    told.ask("keepalive", SUPPRESS)
    beats = 0
    for _ in range(120):
        told.now_s += 1.0
        told.gate.tend()
        beats += len(told.sent)
        told.sent.clear()
    assert beats == 19


def test_everything_at_most_three_times_a_second() -> None:
    told = Told()
    answers = [told.ask("keepalive") for _ in range(10)]
    assert [bool(answer) for answer in answers] == [True] * 3 + [False] * 7
    told.now_s += 1.0
    assert told.ask("keepalive")


@pytest.mark.parametrize(("below", "answer"), [
    ("battery/288/Soc", {"battery/288/Soc"}),
    ("battery/288/Dc", {"battery/288/Dc/0/Voltage", "battery/288/Dc/0/Current"}),
    ("battery/288/Dc/0", {"battery/288/Dc/0/Voltage", "battery/288/Dc/0/Current"}),
    ("battery/288/So", set()), ("battery/288", set()), ("battery", set()), ("", set()),
    ("battery/+/Soc", set()), ("battery/288/#", set()), ("battery/7/Soc", set()),
])
def test_a_read_answers_a_value_or_all_below(below: str, answer: set[str]) -> None:
    """Also to nobody's keepalive; a service as a whole cannot be read, nor a wildcard."""
    assert set(Told().ask(below)) == answer


def test_writes_and_other_installations_change_nothing() -> None:
    told = Told()
    assert told.ask("battery/288/Soc", payload(1), kind="W") == []
    told.gate.requested("R/another/keepalive", b"")
    assert told.topics() == []
    assert not told.gate.alive
    assert told.ask("battery/288/Soc") == ["battery/288/Soc"]


def test_a_device_that_goes_empties_its_topics_whoever_listens() -> None:
    told = Told()
    told.gate.tell({"battery/2889/Soc": payload(1)})
    told.gate.gone("battery/288")
    assert {(topic, said) for topic, said, _ in told.sent} == {
        (f"N/{PORTAL}/{topic}", b"") for topic in TREE}
    told.sent.clear()
    assert set(told.ask("keepalive")) == {"battery/2889/Soc", "system/0/Serial", COMPLETED}
    told.gate.tell({"battery/288/Soc": payload(50)})
    assert told.topics() == ["battery/288/Soc"], "it is back, with the value that it had"


def test_the_serial_is_never_withdrawn() -> None:
    told = Told()
    told.gate.gone("system/0")
    assert told.sent == []


@given(said=st.binary(max_size=60) | st.sampled_from(
    [b"[]", b"7", b'{"keepalive-options": 7}', b'{"keepalive-options": [{}]}',
     b'{"keepalive-options": [{"full-publish-completed-echo": 7}]}', b"[" * 60_000]))
def test_no_keepalive_makes_it_raise(said: bytes) -> None:
    told = Told()
    told.gate.requested(f"R/{PORTAL}/keepalive", said)
    assert told.gate.alive


@given(st.text(max_size=30))
def test_no_topic_makes_it_raise(topic: str) -> None:
    told = Told()
    told.gate.requested(topic, b"")
    told.gate.requested(f"R/{PORTAL}/{topic}", b"")


def test_nan_is_no_payload() -> None:
    with pytest.raises(ValueError, match="JSON"):
        payload(float("nan"))
