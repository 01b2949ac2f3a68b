"""Every bad message gets one clear error and changes nothing for anybody."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from services.gateway.socket import LONGEST_ERROR, LONGEST_MESSAGE, LONGEST_RECEIVED
from tests.gateway.site import MODULE, WAIT_S, Served, closing, error_of, told, view_at

HERE = MODULE[:2]


def asking(path: object, **more: object) -> str:
    return json.dumps({"type": "navigate", "path": path, **more})


# name -> (message, words of the answer)
BAD: dict[str, tuple[str | bytes, str]] = {
    "not JSON": ("hello", "malformed"),
    "empty": ("", "expected"),
    "half of JSON": ('{"type": "navigate", "path": [', "truncated"),
    "a number": ("42", "Expected `object`"),
    "a list": ("[]", "Expected `object`"),
    "no type": ('{"path": []}', "type"),
    "no path": ('{"type": "navigate"}', "path"),
    "other type": ('{"type": "reboot", "path": []}', "reboot"),
    "type is a number": ('{"type": 1, "path": []}', "type"),
    "path is text": (asking("system_0"), "Expected `array`"),
    "path is null": (asking(None), "Expected `array`"),
    "path of numbers": (asking([0]), "Expected `str`"),
    "a key too many": (asking([], password="x"), "password"),
    "NaN": ('{"type": "navigate", "path": [NaN]}', "malformed"),
    "half a surrogate": ('{"type": "navigate", "path": ["\\ud800"]}', "expected"),
    "deep": ('{"type": "navigate", "path": ' + "[" * 10_000, "expected"),
    "unknown id": (asking(["system_99"]), "no element is called 'system_99'"),
    "the grid itself": (asking(["poc_main"]), "poc_main"),
    "not below": (asking(["system_1", "system_0_cluster_1"]), "not below 'system_1'"),
    "a step left out": (asking(["system_0_cluster_1"]), "not below"),
    "1,000 entries": (asking(["system_0"] * 1_000), "length <= 64"),
    "a long id": (asking(["x" * 10_000]), "no element"),
    "a long key": (asking([], **{"k" * 10_000: 1}), "unknown field"),
    "a leaf": (asking([*MODULE, f"{MODULE[-1]}_cell_3"]), "Cell 3 has no elements below it"),
    "binary": (asking([]).encode(), "binary"),
    "no text at all": (b"\xff\xfe\x00", "binary"),
}


@pytest.mark.parametrize(("message", "words"), BAD.values(), ids=BAD.keys())
def test_a_bad_message_gets_one_error_and_the_place_is_kept(
        gateway: Served, message: str | bytes, words: str) -> None:
    with gateway.connect() as client, gateway.connect() as other:
        view_at(client, HERE)
        view_at(other, MODULE)
        client.send(message)
        error = error_of(client)
        assert words in error
        assert len(error) <= LONGEST_ERROR + 3
        for _ in range(2):
            assert told(client)["view_path"] == HERE
            assert told(other)["view_path"] == MODULE
        assert view_at(client, MODULE)["view"]["level"] == "cells"


@pytest.mark.parametrize("message", ["x" * LONGEST_RECEIVED, b"x" * LONGEST_RECEIVED,
                                     asking(["x" * LONGEST_MESSAGE]), "x" * (LONGEST_MESSAGE + 1)],
                         ids=["text", "bytes", "JSON", "just too long"])
def test_what_is_too_long_closes_the_connection_with_a_reason(
        gateway: Served, message: str | bytes) -> None:
    with gateway.connect() as other, gateway.connect() as client:
        view_at(other, MODULE)
        client.send(message)
        assert closing(client) == (1009, f"longer than {LONGEST_MESSAGE} characters")
        for _ in range(3):
            assert told(other)["view_path"] == MODULE


@pytest.mark.parametrize("length", [LONGEST_RECEIVED + 1, 10_000_000, 20_000_000])
def test_more_than_is_ever_received_ends_that_connection_alone(
        gateway: Served, length: int) -> None:
    with gateway.connect() as other, gateway.connect() as client:
        view_at(other, MODULE)
        with suppress(ConnectionClosed):
            client.send("x" * length)
        assert closing(client)[0] in (1006, 1009)
        for _ in range(3):
            assert told(other)["view_path"] == MODULE


def test_a_message_of_the_greatest_length_is_answered(gateway: Served) -> None:
    with gateway.connect() as client:
        client.send("x" * LONGEST_MESSAGE)
        assert "malformed" in error_of(client)


def test_a_burst_of_bad_messages_gets_an_error_each(gateway: Served) -> None:
    with gateway.connect() as client, gateway.connect() as other:
        for number in range(40):
            client.send(asking([f"nobody_{number}"]))
        for number in range(40):
            assert f"nobody_{number}'" in error_of(client)
        assert told(other)["view_path"] == []
        assert view_at(client, HERE)["view_path"] == HERE


def test_bytes_that_are_no_websocket_hurt_nobody(gateway: Served) -> None:
    with gateway.connect() as other:
        for noise in (b"\x00" * 1000, b"GET / HTTP/9\r\n\r\n", b"\r\n" * 100):
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=WAIT_S) as raw:
                raw.sendall(noise)
        assert view_at(other, MODULE)["view_path"] == MODULE


JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                    max_leaves=6)


@settings(max_examples=60, deadline=None)
@given(message=JSON.map(json.dumps) | st.text() | st.binary()
       | st.lists(st.sampled_from(["system_0", "", "poc_main", "system_0_cluster_1"])
                  | st.text(), min_size=1).map(asking))
def test_no_message_ends_a_connection(lasting: Any, message: str | bytes) -> None:
    lasting.send(message)
    answer = told(lasting)
    assert set(answer) in ({"type", "message"}, {"timestamp", "view_path", "poc", "view"})
    assert view_at(lasting, HERE)["view_path"] == HERE


@pytest.fixture(scope="module")
def lasting(gateway: Served) -> Any:
    with gateway.connect() as client:
        yield client
