"""What a coordinator keeps, as bytes: msgpack, with its arrays as shape and float64."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

import msgspec
import numpy as np

from core.errors import GiveUpError

T = TypeVar("T")


def _plain(value: object) -> object:
    """Little-endian."""
    if isinstance(value, np.ndarray):
        return list(value.shape), np.ascontiguousarray(value, "<f8").tobytes()
    raise NotImplementedError(type(value).__name__)


def _made(_kind: type, value: Any) -> Any:
    shape, data = value
    return np.frombuffer(data, "<f8").reshape(shape)


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_plain)


@lru_cache(32)
def _decoder(kind: Any) -> Any:
    return msgspec.msgpack.Decoder(kind, dec_hook=_made)


def packed(value: object) -> bytes:
    return _ENCODER.encode(value)


def unpacked(model: type[T], told: bytes, table: str) -> T:
    """Raises GiveUpError for what is no `model`."""
    try:
        decoder: Any = _decoder(model)  # type: ignore[arg-type]
        found: T = decoder.decode(told)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise GiveUpError(f"the table {table} holds what is no {model.__name__} ({error}); end "
                          "Orrery, delete its rows and start it again") from error
    return found
