"""What is remembered of a battery's messages, with a clock that the test moves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.vocabulary import METRIC_NAMES
from sim.venus_gate import payload
from sources.venus_state import SETTLE_S, VenusState
from sources.venus_topics import BATTERY

SOC = METRIC_NAMES.index("soc_pct")
VOLTAGE = METRIC_NAMES.index("voltage_v")


class Told:
    """A state of batteries 7 and 8, and its clock [s]."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.state = VenusState([7, 8], lambda: self.now_s)

    def tell(self, path: str, said: bytes, instance: int = 7) -> None:
        self.state.take(f"N/id/battery/{instance}{path}", said)


def test_nobody_spoke() -> None:
    news = Told().state.news()
    assert not news.heard.any()
    assert np.isnan(news.age_s)
    assert np.isnan(news.values).all()


def test_age_is_that_of_the_one_that_spoke_first() -> None:
    told = Told()
    told.tell("/Soc", payload(50))
    told.now_s += 4.0
    told.tell("/Soc", payload(60), instance=8)
    told.now_s += 1.0
    assert told.state.news().age_s == 5.0
    told.now_s += 10.0
    news = told.state.news()
    assert not news.heard.any()
    assert news.age_s == 11.0, "since the newest, when nobody spoke anew"


def test_a_device_that_returns_is_heard_when_it_told_everything() -> None:
    told = Told()
    told.tell("/Soc", payload(50))
    told.tell("/Dc/0/Voltage", payload(52))
    told.tell("/Soc", b"")
    told.tell("/Dc/0/Voltage", b"")
    assert not told.state.news().heard.any(), "what it said before it went is not news"
    told.tell("/Soc", payload(49))
    assert not told.state.news().heard.any(), "half of it is still missing"
    told.tell("/Dc/0/Voltage", payload(51))
    told.now_s += SETTLE_S
    news = told.state.news()
    assert news.heard.tolist() == [True, False]
    assert news.values[0, [SOC, VOLTAGE]].tolist() == [49.0, 51.0]


def test_a_reading_does_not_change_afterwards() -> None:
    told = Told()
    told.tell("/Soc", payload(50))
    news = told.state.news()
    told.tell("/Soc", payload(60))
    assert news.values[0, SOC] == 50.0


def test_a_new_connection_forgets_the_values_and_keeps_the_counts() -> None:
    told = Told()
    told.tell("/Soc", payload(50))
    told.tell("/Soc", b"{")
    told.state.clear()
    assert np.isnan(told.state.news().age_s)
    assert told.state.dropped == {"malformed": 1}


@pytest.mark.parametrize("topic", [
    "", "N", "N/id/battery/7", "N/id/battery/x/Soc", "N/id/battery/-7/Soc", "N/id/battery/07/Soc",
    "N/id/solarcharger/7/Soc", "R/id/battery/7/Soc", "N/id/battery/7/Soc/x", "N/id/battery/7/SoC",
    "N/id/battery/99999999999/Soc", "N/a/b/battery/7/Soc",
])
def test_other_topics_are_not_looked_at(topic: str) -> None:
    told = Told()
    told.state.take(topic, payload(50))
    assert not told.state.news().heard.any()
    assert not told.state.dropped
    assert not told.state.undeclared


def test_a_flood_of_instances_is_bounded() -> None:
    told = Told()
    for instance in range(1000):
        told.tell("/Soc", payload(50), instance=1000 + instance)
    assert len(told.state.undeclared) == 64


@given(path=st.sampled_from(sorted(BATTERY)),
       said=st.binary(max_size=80) | st.text().map(str.encode))
def test_no_bytes_make_it_raise(path: str, said: bytes) -> None:
    told = Told()
    told.tell(path, said)
    assert not np.isinf(told.state.news().values).any()


@given(st.floats(-1e5, 1e5))
def test_power_is_turned_once(native_w: float) -> None:
    told = Told()
    told.tell("/Dc/0/Power", payload(native_w))
    (found, _) = told.state.news().values[:, METRIC_NAMES.index("power_kw")]
    assert found == pytest.approx(-native_w / 1000.0, rel=1e-6)
    assert str(found) != "-0.0"
