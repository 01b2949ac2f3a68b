"""A device whose clock is off is shown as one that is heard, and told that its clock is off."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from components.connections import fleets
from components.fleet import lines
from core.alarms.records import WARNING, Finding
from core.alarms.rules import alarm_rules
from core.alarms.states import State
from core.clock import from_epoch
from core.fleet.device_clock import OFF_S, RIGHT_S, SECONDS, DeviceClock
from core.fleet.entries import SILENT_US
from core.fleet.messages import Body, column, packed
from core.fleet.ports import PackState
from core.fleet.telemetry import CLOCK_TOLERANCE_S
from tests.fleet.examples import NOW_S, body, telemetry
from tests.fleet.test_conditions import CELLS, ELEMENT, Centre
from tests.fleet.test_fleet_source import Ear

TOPIC = "pulsebms/home/pack_1/telemetry"
OFF = "clock_off"
OFFSETS = [-290.0, -60.0, -12.0, 12.0, 60.0, 290.0]
"""Of a device's clock [s], below 0 behind."""


def second(time_s: float) -> Body:
    """Of a pack whose cells are too full."""
    return body(time_s=time_s, cells={"voltage_v": column(np.full(CELLS, 3.8, np.float32))})


def live(centre: Centre, seconds: int, off_s: float, kept_s: float = 0.0) -> None:
    """A message a second; kept_s: how long an outbox held each [s]."""
    for _ in range(seconds):
        centre.clock.advance(1.0)
        now_s = centre.clock.now().timestamp()
        centre.hear(second(now_s - kept_s + off_s), kept_s)
        centre.tick()


def pack(centre: Centre) -> PackState:
    centre.board.reading(centre.clock.now())
    return centre.board.packs()[0]


def told(centre: Centre) -> list[Finding]:
    return [one for one in centre.board.findings() if one.condition == OFF]


# -- what is shown

@pytest.mark.parametrize("off_s", OFFSETS)
def test_one_that_is_heard_each_second_is_fresh_summed_and_judged(off_s: float) -> None:
    centre = Centre()
    live(centre, 5, off_s)
    frame, node = centre.frame(), centre.topology.index(ELEMENT)
    assert (frame.age_s[node], bool(frame.stale[node])) == (0.0, False)
    assert frame.value("power_kw", 0) == 12.5
    assert pack(centre).heard_at == centre.clock.now()
    assert centre.board.reading(centre.clock.now()).measured_at == centre.clock.now()
    assert any(one.condition == "voltage_high" for one in centre.journal.instances())


@pytest.mark.parametrize("off_s", OFFSETS)
def test_what_its_outbox_held_is_as_old_as_it_says(off_s: float) -> None:
    centre = Centre()
    live(centre, 5, off_s, kept_s=40.0)
    frame, node = centre.frame(), centre.topology.index(ELEMENT)
    assert (frame.age_s[node], bool(frame.stale[node])) == (40.0, True)
    assert (centre.clock.now() - pack(centre).heard_at).total_seconds() == 40.0  # type: ignore[operator]


def test_the_lag_is_of_the_way_and_not_of_the_clock() -> None:
    centre = Centre()
    live(centre, 10 * SECONDS, -100.0)
    assert centre.heard.counts("fleet", "", True).lag_s == pytest.approx(0.0, abs=1e-3)


# -- what is told

@pytest.mark.parametrize("off_s", OFFSETS)
def test_it_is_an_alarm_until_the_clock_is_right(off_s: float) -> None:
    centre, rule = Centre(), alarm_rules().conditions[OFF]
    live(centre, SECONDS - 1, off_s)
    assert told(centre) == [], "a burst may be late"
    live(centre, 1, off_s)
    found, = told(centre)
    assert found[:4] == (ELEMENT, OFF, WARNING, "clock_off_s")
    assert (found.value, found.limit) == (pytest.approx(abs(off_s), abs=1e-3), OFF_S)
    live(centre, int(rule.on_delay_s), off_s)
    assert centre.state(OFF) is State.UNACKNOWLEDGED
    assert pack(centre).clock_off_s == pytest.approx(-off_s, abs=1e-3)
    live(centre, SECONDS, 0.0)
    assert (told(centre), pack(centre).clock_off_s) == ([], None)
    live(centre, int(rule.off_delay_s), 0.0)
    assert centre.state(OFF) is State.RETURNED


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0, 1000.0 - NOW_S])
def test_one_that_is_refused_for_its_clock_is_told_too(off_s: float) -> None:
    """A device without a clock of its own begins in 1970."""
    assert abs(off_s) > CLOCK_TOLERANCE_S
    ear = Ear()
    for seq in range(1, SECONDS + 1):
        ear.clock.advance(1.0)
        then_s = ear.clock.now().timestamp() + off_s
        ear.say(telemetry(packed(body(time_s=then_s)), seq=seq, floor=1, sent_s=then_s))
    assert ear.counts.rejected == {"clock_off": SECONDS}
    assert [(one.element, one.condition) for one in ear.board.findings()] == [(ELEMENT, OFF)]
    assert ear.pack.heard_at is None


def test_a_time_that_no_clock_can_show_tells_nothing() -> None:
    ear = Ear()
    for _ in range(2 * SECONDS):
        ear.clock.advance(1.0)
        ear.say(telemetry(sent_s=1e300))
    assert ear.board.findings() == []


def test_a_second_device_with_its_id_says_nothing_of_its_clock() -> None:
    centre = Centre()
    live(centre, 5, 0.0)
    stranger_says(centre, 2 * SECONDS)
    assert told(centre) == []
    stranger_says(centre, int(SILENT_US / 1e6))
    assert told(centre) != [], "it is a new device in the place of the former"


def stranger_says(centre: Centre, seconds: int) -> None:
    """That it is 400 s later than it is."""
    for _ in range(seconds):
        centre.clock.advance(1.0)
        sent_s = centre.clock.now().timestamp() + 400.0
        centre.heard.message(TOPIC, telemetry(packed(second(sent_s)), stream="f" * 16, seq=1,
                                              floor=1, sent_s=sent_s), False)


WAYS: dict[str, Callable[[int], float]] = {
    "slow": lambda number: OFF_S - 0.1,
    "a long stall, then all at once": lambda number: max(0.0, 60.0 - number),
    "now and then": lambda number: 30.0 if number % SECONDS else 0.2,
}
"""How late message `number`, of one a second, comes [s]."""


@pytest.mark.parametrize("late_s", WAYS.values(), ids=WAYS.keys())
def test_a_late_way_is_not_a_clock(late_s: Callable[[int], float]) -> None:
    clock, last = DeviceClock(), 200
    came = sorted((number + late_s(number), number) for number in range(last))
    for came_s, number in came:
        if came_s < last:
            clock.hear(NOW_S + came_s, NOW_S + number)
            assert clock.off_s is None


def test_what_a_lost_connection_sends_again_is_not_a_clock() -> None:
    """It bears the time of its first sending, a hundred at once."""
    clock = DeviceClock()
    for number in range(20):
        clock.hear(NOW_S + number, NOW_S + number)
    for number in range(20, 120):
        clock.hear(NOW_S + 400.0 + number / 50.0, NOW_S + number)
    assert clock.off_s is None


def test_an_outbox_that_empties_is_not_a_clock() -> None:
    centre = Centre()
    live(centre, 3 * SECONDS, 0.0, kept_s=200.0)
    assert told(centre) == []


def test_between_right_and_off_it_stays_what_it_was() -> None:
    clock, now_s = DeviceClock(), NOW_S
    seen = []
    for off_s in (OFF_S - 0.5, OFF_S + 0.5, RIGHT_S + 0.5, RIGHT_S - 0.5, OFF_S - 0.5):
        for _ in range(SECONDS):
            now_s += 1.0
            clock.hear(now_s, now_s - off_s)
        seen.append(clock.off_s)
    assert seen == [None, pytest.approx(OFF_S + 0.5), pytest.approx(RIGHT_S + 0.5), None, None]


# -- words

def test_a_row_says_so() -> None:
    state = PackState("home", "pack_1", ELEMENT, "Pack 1", link="online")
    assert lines.missing(state) == ""
    for off_s, words in ((12.4, "clock 12 s behind"), (-3700.0, "clock 1 h 01 ahead")):
        off = PackState("home", "pack_1", ELEMENT, "Pack 1", link="online", clock_off_s=off_s)
        assert lines.missing(off) == words
        assert words in fleets._devices([state, off])
    assert "clock" not in fleets._devices([state])


def test_one_that_is_heard_before_its_first_status_is_not_never_heard() -> None:
    state = PackState("home", "pack_1", ELEMENT, "Pack 1")
    assert lines.missing(state) == "never heard"
    heard = PackState("home", "pack_1", ELEMENT, "Pack 1", heard_at=from_epoch(NOW_S))
    assert lines.missing(heard) == "no status yet"
