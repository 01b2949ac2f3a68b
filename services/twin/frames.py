"""Messages on the pipes between a process and the child that calculates for it: four bytes of
length (big-endian), and msgpack."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO

from core.errors import RequestError
from core.twin.tasks import MOST_BYTES

LENGTH = struct.Struct(">I")
MEMORY_VARIABLE = "ORRERY_TWIN_MEMORY_MIB"
"""Of a child's environment: the most that it may take."""
NEEDS_MEMORY = ("the calculation needs more memory than it was allowed ({allowed}); allow more, or "
                "ask for fewer packs or days at once")

Tell = Callable[[float, str], None]
"""Share of the work that is done, and what is done now."""


def write_frame(pipe: BinaryIO, payload: bytes) -> None:
    pipe.write(LENGTH.pack(len(payload)) + payload)
    pipe.flush()


def read_frame(pipe: BinaryIO) -> bytes | None:
    """None at the end of the pipe, also in the middle of a frame; raises RequestError for what is
    none."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    if length > MOST_BYTES:
        raise RequestError(f"a message of {length} bytes is longer than {MOST_BYTES}")
    payload = pipe.read(length)
    return payload if len(payload) == length else None
