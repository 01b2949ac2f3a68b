"""What the twin of a fleet makes of devices that say nonsense, are off in time, or change."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from bench._fleet import LOOPBACK
from core.clock import ManualClock
from core.fleet.messages import VERSION, Status, column, packed, read_small, said
from core.fleet.rejections import RejectedError
from core.fleet.telemetry import Telemetry, read_telemetry
from core.fleet.topics import Address, device_topic
from services.fleet_link import Broker
from services.twin.heard import STEP_S, Heard
from services.twin.service import TwinService
from store.twin import PredictionDatabase
from tests.components.twin_site import StandingPhysics
from tests.core.sites import NOON
from tests.fleet.examples import body, envelope

CELLS = 4
STATUS = Status(v=VERSION, site="home", device="pack_1", state="online", chemistry="NMC",
                cells=CELLS, capacity_kwh=1.0)
NOW_S = NOON.timestamp()


@pytest.fixture
def twin(tmp_path: Path):
    clock = ManualClock(NOON)
    store = PredictionDatabase(tmp_path / "predictions.sqlite", clock)
    yield TwinService("home", Broker(host=LOOPBACK, port=9), clock, StandingPhysics(), store,
                      report=tmp_path / "report.json")
    store.close()


def says(twin: TwinService, device: str, **changed: object) -> None:
    told = msgspec.json.decode(said(STATUS)) | {"device": device, **changed}
    twin.hear(device_topic("home", device, "status"), json.dumps(told).encode(),
              twin._clock.now().timestamp())


def message(device: str, sent_s: float, current_a: float, volts: float = 3.7,
            old_s: float = 0.2) -> bytes:
    """One second that ended so long before it was sent, by the device's clock."""
    cells = {"voltage_v": column(np.full(CELLS, volts, np.float32))}
    inside = packed(body(time_s=sent_s - old_s, current_a=current_a, cells=cells))
    return packed(envelope(inside, device=device, floor=1, sent_s=sent_s))


def sends(twin: TwinService, device: str, sent_s: float, current_a: float = 1.0,
          old_s: float = 0.2) -> None:
    """It comes now, whatever the device's clock says."""
    twin.hear(device_topic("home", device, "telemetry"),
              message(device, sent_s, current_a, old_s=old_s), twin._clock.now().timestamp())


def second(device: str, at_s: float, current_a: float, volts: float) -> Telemetry:
    told = read_telemetry(message(device, at_s, current_a, volts),
                          Address("home", device, "telemetry"), at_s)
    assert isinstance(told, Telemetry)
    return told


def report(twin: TwinService) -> dict[str, object]:
    assert twin._report is not None
    return dict(json.loads(twin._report._file.read_bytes()))


@pytest.mark.parametrize("capacity_kwh", [-5.0, 0.0, 2e6])
def test_a_status_with_no_pack_s_capacity_is_refused(capacity_kwh: float) -> None:
    told = msgspec.json.decode(said(STATUS)) | {"capacity_kwh": capacity_kwh}
    with pytest.raises(RejectedError):
        read_small(json.dumps(told).encode(), Status)


@pytest.mark.parametrize("capacity_kwh", [-5.0, 1e-60, 1e-3 * CELLS * 3.0 / 1e3 / 2, 1e6])
def test_a_pack_that_cannot_be_is_told_in_words_and_the_others_are_heard(
        twin: TwinService, capacity_kwh: float) -> None:
    """1e6 kWh fit a schema, and in one cell are 3e8 Ah."""
    cells = 1 if capacity_kwh > 1 else CELLS
    says(twin, "good")
    says(twin, "bad", capacity_kwh=capacity_kwh, cells=cells)
    for _ in range(4):
        now_s = twin._clock.advance(STEP_S).timestamp()  # type: ignore[attr-defined]
        sends(twin, "good", now_s)
        twin.tick()
    assert list(twin.heard.plates) == ["good"]
    past = twin.heard.past("good", 3)
    assert past is not None
    assert np.isfinite(past.soc)
    unfit = report(twin)["unfit"]
    if capacity_kwh < 0:
        assert unfit == {}, "the schema refuses it, which the ingest counts and shows"
        return
    assert isinstance(unfit, dict)
    assert list(unfit) == ["bad"]
    assert "Ah a cell" in unfit["bad"]
    says(twin, "bad", state="offline", chemistry="", cells=0, capacity_kwh=None)
    assert list(twin.heard.unfit) == ["bad"]
    says(twin, "bad")
    assert twin.heard.unfit == {}
    assert "bad" in twin.heard.plates


def test_a_pack_goes_on_as_it_was_when_it_says_what_cannot_be(
        twin: TwinService, caplog: pytest.LogCaptureFixture) -> None:
    says(twin, "pack_1")
    plate = twin.heard.plates["pack_1"]
    for _ in range(3):
        says(twin, "pack_1", capacity_kwh=1e-9)
    assert twin.heard.plates["pack_1"] == plate
    assert caplog.text.count("correct what the device says") == 1


@pytest.mark.parametrize("off_s", [0.0, 3.0, -3.0, 9.0, -13.0, 30.0, -290.0, 290.0])
def test_a_device_is_heard_however_its_clock_is_off(twin: TwinService, off_s: float) -> None:
    """Each second of it counts, and at its own time, which the device's clock does not tell."""
    says(twin, "pack_1")
    for second in range(200):
        now_s = twin._clock.advance(1.0).timestamp()  # type: ignore[attr-defined]
        sends(twin, "pack_1", now_s + off_s, current_a=1.0 if second < 100 else 2.0)
        twin.tick()
    past = twin.heard.past("pack_1", 19)
    assert past is not None
    assert past.current_a.tolist() == [1.0] * 10 + [2.0] * 9
    assert twin.heard.outside == {}


def test_what_waited_while_the_twin_was_busy_counts_at_its_own_time(twin: TwinService) -> None:
    says(twin, "pack_1")
    twin.tick()
    for at in range(1, 40):
        now_s = twin._clock.advance(1.0).timestamp()  # type: ignore[attr-defined]
        payload = message("pack_1", now_s + 120.0, float(at // 10))
        twin._on_message(device_topic("home", "pack_1", "telemetry"),
                         SimpleNamespace(retain=False, payload=payload), 1)  # type: ignore[arg-type]
    twin._clock.advance(STEP_S)  # type: ignore[attr-defined]
    twin.tick()
    past = twin.heard.past("pack_1", 4)
    assert past is not None
    assert past.current_a == pytest.approx([0.1, 1.1, 2.1, 3.0], abs=1e-6)
    assert twin.heard.outside == {}


def test_what_comes_late_is_counted_by_device_and_left_out(twin: TwinService) -> None:
    says(twin, "pack_1")
    says(twin, "pack_2")
    for _ in range(60):
        now_s = twin._clock.advance(1.0).timestamp()  # type: ignore[attr-defined]
        sends(twin, "pack_1", now_s + 40.0)
        sends(twin, "pack_2", now_s, current_a=50.0, old_s=600.0)
        sends(twin, "nobody", now_s)
        twin.tick()
    assert (report(twin)["outside"], report(twin)["outside_of"]) == (60, {"pack_2": 60})
    assert twin.heard.past("pack_2", 5) is None
    assert twin.heard.past("pack_1", 5) is not None


def test_of_a_device_that_changes_at_each_step_the_others_lose_nothing() -> None:
    """As estimated beside one that stays as it is, to the last bit: charge, resistance, leak, what
    flows in its pairs, and how sure each is."""
    volts = 3.7 + 0.05 * np.sin(np.arange(120) / 7.0)

    def filters(restless: bool) -> list[np.ndarray]:
        heard = Heard()
        for device in ("pack_1", "restless", "pack_2"):
            heard.status(msgspec.structs.replace(STATUS, device=device))
        for step in range(volts.size):
            if restless and step > 5:
                heard.status(msgspec.structs.replace(STATUS, device="restless",
                                                     cells=15 + step % 2))
            for device in heard.plates:
                heard.telemetry(second(device, NOW_S + STEP_S * step, 20.0 * math.cos(step / 5.0),
                                       float(volts[step])), NOW_S + STEP_S * step)
        kept = heard._filter
        assert kept is not None
        if restless:
            assert kept.resistance_sigma[1] > kept.resistance_sigma[0]
        return [kept._state[:, [0, 2]], kept._variance[:, [0, 2]], kept.residual_v[[0, 2]]]

    for still, beside in zip(filters(False), filters(True), strict=True):
        assert np.isfinite(still).all()
        assert np.array_equal(still, beside)
