"""Whatever comes over the wire is understood whole, or refused with a name."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RequestError
from core.fleet.messages import (
    MOST_BYTES,
    Ack,
    Allocation,
    Command,
    PartialLimit,
    Status,
    allocations,
    column,
    packed,
    read_small,
    said,
)
from core.fleet.rejections import WORDS, RejectedError, Rejection
from core.fleet.telemetry import EARLIEST_S, Refused, Telemetry, read_telemetry
from core.fleet.topics import Address, address_of, allocation_topic, device_topic
from core.safety.derating import LIMITS, WAYS
from tests.fleet.examples import NOW_S, PACK, STREAM, body, envelope, telemetry


def read(payload: bytes, queued_s: float = 0.0) -> Telemetry | Refused:
    return read_telemetry(payload, PACK, NOW_S, queued_s)


def taken(payload: bytes) -> Telemetry:
    found = read(payload)
    assert isinstance(found, Telemetry), found
    return found


def refused(payload: bytes, queued_s: float = 0.0) -> Refused:
    found = read(payload, queued_s)
    assert isinstance(found, Refused)
    return found


def test_the_documents_topics() -> None:
    assert device_topic("home", "pack_1", "telemetry") == "pulsebms/home/pack_1/telemetry"
    assert allocation_topic("home") == "pulsebms/home/coordinator/allocation"
    assert address_of("pulsebms/home/pack_1/ack") == Address("home", "pack_1", "ack")
    assert address_of("pulsebms/s/coordinator/allocation").kind == "allocation"


@pytest.mark.parametrize("topic", [
    "", "pulsebms", "other/home/pack_1/telemetry", "pulsebms/home/pack_1/telemetry/more",
    "pulsebms/home/pack_1/secrets", "pulsebms/home/coordinator/telemetry",
    "pulsebms/home/pack_1/allocation", "pulsebms/../pack_1/telemetry", "pulsebms/home//telemetry",
    "pulsebms/home/<b>/telemetry", "pulsebms/home/PACK/telemetry", "pulsebms/home/a\n/telemetry"])
def test_a_topic_outside_the_tree_is_refused(topic: str) -> None:
    with pytest.raises(RequestError):
        address_of(topic)


def test_a_coordinator_is_no_device() -> None:
    with pytest.raises(RequestError):
        device_topic("home", "coordinator", "telemetry")


def test_msgpack_comes_back_bit_for_bit() -> None:
    found = taken(telemetry())
    assert found.raw == packed(body())
    assert found.time_us == int(NOW_S * 1e6)
    np.testing.assert_array_equal(found.cells["voltage_v"],
                                  np.array([3.30, 3.31, np.nan], np.float32))


def in_json(**changed: object) -> bytes:
    """As a device without msgpack says it: lists, null for missing."""
    inside = {"time_s": NOW_S, "samples": 10, "safety": "normal", "power_kw": 12.5,
              "cells": {"voltage_v": [3.3, 3.31, None]}, **changed}
    return json.dumps({"v": 1, "site": "home", "device": "pack_1", "stream": STREAM, "base": 0,
                       "seq": 7, "floor": 5, "sent_s": NOW_S, "body": inside}).encode()


def test_json_says_the_same_as_msgpack() -> None:
    found = taken(in_json())
    np.testing.assert_array_equal(found.cells["voltage_v"],
                                  np.array([3.3, 3.31, np.nan], np.float32))
    again = taken(telemetry(found.raw))
    np.testing.assert_array_equal(again.cells["voltage_v"], found.cells["voltage_v"])


def test_json_of_bytes_is_base64() -> None:
    inside = msgspec.json.encode(body())
    found = taken(said(envelope(inside)))
    assert found.cells["temperature_c"].tolist() == [25.0, 26.0, 24.5]


def cells(name: str, *values: float) -> dict[str, bytes]:
    return {name: column(np.array(values, np.float32))}


def limit(**changed: Any) -> PartialLimit:
    whole = PartialLimit(way="charge", limit="voltage", amps=12.0, cell=2,
                         why="charge limited to 0.1 C by cell 2 at 3.59 V")
    return msgspec.structs.replace(whole, **changed)


def limited(**changed: Any) -> dict[str, Any]:
    return {"partial_limits": (limit(**changed),)}


EVERY_LIMIT = tuple(limit(way=way, limit=name) for way in WAYS for name in LIMITS)
WRONG_BODIES: list[tuple[dict[str, Any], Rejection]] = [
    ({"power_kw": math.nan}, Rejection.NOT_FINITE),
    ({"soc_pct": math.inf}, Rejection.NOT_FINITE),
    ({"time_s": math.nan}, Rejection.NOT_FINITE),
    ({"cells": cells("voltage_v", 3.3, math.inf)}, Rejection.NOT_FINITE),
    ({"cells": cells("temperature_c", -math.inf)}, Rejection.NOT_FINITE),
    ({"soc_pct": 101.0}, Rejection.ABSURD),
    ({"power_kw": 1e9}, Rejection.ABSURD),
    ({"cells": cells("voltage_v", 3.3, 11.0)}, Rejection.ABSURD),
    ({"cells": cells("temperature_c", -100.0)}, Rejection.ABSURD),
    ({"time_s": NOW_S + 3600}, Rejection.ABSURD),
    ({"time_s": -5.0}, Rejection.ABSURD),
    ({"time_s": 1.0}, Rejection.ABSURD),
    ({"time_s": EARLIEST_S - 1.0}, Rejection.ABSURD),
    ({"cells": cells("colour", 1.0)}, Rejection.WRONG_FORM),
    ({"cells": {"voltage_v": b"abc"}}, Rejection.WRONG_FORM),
    ({"cells": cells("voltage_v", 3.3) | cells("soc_pct", 1.0, 2.0)}, Rejection.WRONG_FORM),
    ({"samples": "10"}, Rejection.WRONG_FORM),
    (limited(amps=math.nan), Rejection.NOT_FINITE),
    (limited(amps=math.inf), Rejection.NOT_FINITE),
    (limited(amps=-0.1), Rejection.ABSURD),
    (limited(amps=1e6), Rejection.ABSURD),
    (limited(cell=4), Rejection.ABSURD),
    (limited(cell=0), Rejection.WRONG_FORM),
    (limited(cell=5000), Rejection.WRONG_FORM),
    (limited(cell=1.5), Rejection.WRONG_FORM),
    (limited(way="sideways"), Rejection.WRONG_FORM),
    (limited(limit="mood"), Rejection.WRONG_FORM),
    (limited(why=""), Rejection.WRONG_FORM),
    (limited(why="x" * 121), Rejection.WRONG_FORM),
    ({"partial_limits": (limit(), limit(amps=3.0))}, Rejection.WRONG_FORM),
    ({"partial_limits": (*EVERY_LIMIT, limit())}, Rejection.WRONG_FORM),
    ({"partial_limits": ({"way": "charge"},)}, Rejection.WRONG_FORM),
    ({"partial_limits": None}, Rejection.WRONG_FORM),
    ({"safety": "fine"}, Rejection.WRONG_FORM)]


@pytest.mark.parametrize(("changed", "reason"), WRONG_BODIES)
def test_a_wrong_body_is_refused_and_settled(changed: dict[str, Any], reason: Rejection) -> None:
    found = refused(telemetry(packed(body(**changed))))
    assert found.reason is reason
    assert found.settles is not None, "its device would send it for ever"
    assert WORDS[reason] in found.words


def test_all_limits_of_a_pack_at_once_are_taken_and_none_costs_nothing() -> None:
    whole = body(partial_limits=EVERY_LIMIT)
    assert taken(telemetry(packed(whole))).body.partial_limits == EVERY_LIMIT
    assert len(packed(whole)) - len(packed(body())) < 3000
    assert b"partial" not in packed(body())
    assert taken(telemetry()).body.partial_limits == ()


def test_limits_in_json_say_the_same() -> None:
    plain = {"way": "charge", "limit": "voltage", "amps": 12.0, "cell": 2,
             "why": "charge limited to 0.1 C by cell 2 at 3.59 V"}
    found = taken(in_json(partial_limits=[plain])).body.partial_limits
    assert found == (limit(),)
    assert taken(in_json(partial_limits=[{**plain, "cell": None}])).body.partial_limits == (
        limit(cell=None),)
    assert refused(in_json(partial_limits=[{**plain, "more": 1}])).reason is Rejection.WRONG_FORM


WRONG_ENVELOPES: list[tuple[dict[str, Any], Rejection]] = [
    ({"v": 2}, Rejection.FUTURE_VERSION),
    ({"device": "pack_2"}, Rejection.WRONG_SENDER),
    ({"site": "other"}, Rejection.WRONG_SENDER),
    ({"seq": 0}, Rejection.WRONG_FORM),
    ({"seq": 2 ** 60}, Rejection.WRONG_FORM),
    ({"stream": "x"}, Rejection.WRONG_FORM),
    ({"device": "pack_1\n"}, Rejection.WRONG_FORM),
    ({"base": 7}, Rejection.SEQUENCE_BACKWARDS),
    ({"floor": 8}, Rejection.SEQUENCE_BACKWARDS),
    ({"sent_s": math.nan}, Rejection.NOT_FINITE),
    ({"sent_s": NOW_S + 3600}, Rejection.CLOCK_OFF),
    ({"sent_s": NOW_S - 3600}, Rejection.CLOCK_OFF)]


@pytest.mark.parametrize(("changed", "reason"), WRONG_ENVELOPES)
def test_a_wrong_envelope_is_refused_and_settles_nothing(changed: dict[str, Any],
                                                         reason: Rejection) -> None:
    found = refused(telemetry(**changed))
    assert (found.reason, found.settles) == (reason, None)


def test_a_newer_schema_is_told_from_a_wrong_one() -> None:
    newer = msgspec.msgpack.encode({"v": 2, "something": "new"})
    assert refused(newer).reason is Rejection.FUTURE_VERSION
    assert refused(msgspec.msgpack.encode({"v": 1, "a": 1})).reason is Rejection.WRONG_FORM


def test_what_the_broker_kept_for_hours_has_no_clock_that_is_off() -> None:
    then = telemetry(packed(body(time_s=NOW_S - 7200)), sent_s=NOW_S - 7200)
    assert isinstance(read(then, queued_s=7200.0), Telemetry)
    assert refused(then).reason is Rejection.CLOCK_OFF


def test_a_second_of_yesterday_out_of_the_outbox_is_taken() -> None:
    late = packed(body(time_s=NOW_S - 86_400))
    assert taken(telemetry(late)).body.time_s == NOW_S - 86_400


def test_sizes_are_bounded() -> None:
    assert refused(b"x" * (MOST_BYTES + 1)).reason is Rejection.TOO_LARGE
    many = {"voltage_v": column(np.full(5000, 3.3, np.float32))}
    assert refused(telemetry(packed(body(cells=many)))).reason is Rejection.TOO_LARGE


@pytest.mark.parametrize("payload", [
    b"", b"{", b"\xc1", b"\x91" * 100_000, b"[" * 100_000, b'{"a":' * 50_000,
    b"\xdf\xff\xff\xff\xff", b"\xd9\x02\xff\xff", b'{"v": 1' + b"0" * 5000 + b"}",
    b"=HYPERLINK(1)", b"<script>"])
def test_bytes_that_are_no_message(payload: bytes) -> None:
    assert refused(payload).reason in {Rejection.NOT_DECODABLE, Rejection.WRONG_FORM,
                                       Rejection.FUTURE_VERSION}


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(payload: bytes) -> None:
    assert isinstance(read(payload), Refused)


@given(st.integers(0, 10_000), st.integers(0, 255), st.booleans())
def test_no_damaged_message_breaks_the_reader(at: int, to: int, cut: bool) -> None:
    whole = bytearray(telemetry())
    at %= len(whole)
    whole[at] = to
    found = read(bytes(whole[:at] if cut else whole))
    assert isinstance(found, (Telemetry, Refused))
    if isinstance(found, Telemetry):
        for values in found.cells.values():
            assert not np.isinf(values).any()


@given(st.recursive(st.none() | st.booleans() | st.integers(-2 ** 63, 2 ** 64 - 1) | st.floats()
                    | st.text(max_size=5) | st.binary(max_size=9),
                    lambda inner: st.lists(inner, max_size=4)
                    | st.dictionaries(st.sampled_from(["v", "body", "cells", "seq", "time_s"]),
                                      inner, max_size=5), max_leaves=12))
def test_no_whole_msgpack_breaks_the_reader(anything: object) -> None:
    inside = msgspec.msgpack.encode(anything)
    assert isinstance(read(inside), Refused)
    assert isinstance(read(telemetry(inside)), Refused)


def command(**changed: Any) -> Command:
    whole = Command(v=1, id="0" * 32, issuer="eve", issued_s=NOW_S, ttl_s=30.0, action="ping")
    return msgspec.structs.replace(whole, **changed)


@pytest.mark.parametrize("message", [
    command(), command(action="override", power_kw=5.0, hold_s=60.0),
    Ack(v=1, stream=STREAM, high=9), Status(v=1, site="home", device="pack_1", state="offline"),
    Allocation(v=1, site="home", issued_s=NOW_S, valid_s=600.0, power_kw={"pack_1": -5.0})])
def test_small_messages_in_both_forms(message: Any) -> None:
    assert read_small(said(message), type(message)) == message
    assert read_small(packed(message), type(message)) == message


@pytest.mark.parametrize(("changed", "reason"), [
    ({"v": 9}, Rejection.FUTURE_VERSION), ({"id": "1"}, Rejection.WRONG_FORM),
    ({"ttl_s": 1e9}, Rejection.WRONG_FORM), ({"action": "explode"}, Rejection.WRONG_FORM),
    ({"issued_s": math.inf}, Rejection.NOT_FINITE), ({"issuer": ""}, Rejection.WRONG_FORM),
    ({"power_kw": math.nan}, Rejection.NOT_FINITE), ({"power_kw": 1e30}, Rejection.ABSURD),
    ({"ttl_s": math.nan}, Rejection.WRONG_FORM)])
def test_a_wrong_command_is_refused(changed: dict[str, Any], reason: Rejection) -> None:
    with pytest.raises(RejectedError) as told:
        read_small(packed(command(**changed)), Command)
    assert told.value.reason in {reason, Rejection.NOT_FINITE}


def test_an_allocation_with_nan_is_refused() -> None:
    wrong = Allocation(v=1, site="home", issued_s=NOW_S, valid_s=600.0,
                       power_kw={"pack_1": math.nan})
    with pytest.raises(RejectedError):
        read_small(packed(wrong), Allocation)


def test_every_reason_has_words() -> None:
    assert set(WORDS) == set(Rejection)


def test_an_allocation_of_many_packs_is_several_messages_and_of_no_number_none() -> None:
    asked = {f"pack_{number}": 0.5 * number for number in range(700)}
    told = allocations("home", asked, NOW_S, 60.0)
    assert [len(one.power_kw) for one in told] == [500, 200]
    assert {device: power for one in told for device, power in one.power_kw.items()} == asked
    assert {(one.issued_s, one.valid_s) for one in told} == {(NOW_S, 60.0)}
    for one in told:
        assert read_small(said(one), Allocation) == one
    with pytest.raises(RequestError, match="pack_1"):
        allocations("home", {"pack_0": 1.0, "pack_1": float("nan")}, NOW_S, 60.0)
