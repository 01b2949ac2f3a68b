"""What the broker itself did not take: Mosquitto tells it in its log, and its log on a topic
(`log_dest topic`). No program of ours ever sees such a message."""

from __future__ import annotations

from collections.abc import Mapping

from core.fleet.rejections import Rejection

TOPIC = "$SYS/broker/log/N"
ENDS: Mapping[str, Rejection] = {
    " disconnected due to oversize packet.": Rejection.BROKER_LIMIT,
    " disconnected due to malformed packet.": Rejection.NOT_DECODABLE,
    " disconnected due to protocol error.": Rejection.NOT_DECODABLE,
    " disconnected, not authorised.": Rejection.NOT_ADMITTED,
    " disconnected: oversize packet.": Rejection.BROKER_LIMIT,
    " disconnected: malformed packet.": Rejection.NOT_DECODABLE,
    " disconnected: protocol error.": Rejection.NOT_DECODABLE,
    " disconnected: not authorised.": Rejection.NOT_ADMITTED,
}
"""How a line ends that says it, of Mosquitto 2.0 and from 2.1 on; a client's own name never stands
there."""


def refused_by_broker(line: bytes) -> Rejection | None:
    """None for a line that says nothing of the kind."""
    text = line.decode(errors="replace").rstrip()
    return next((reason for end, reason in ENDS.items() if text.endswith(end)), None)
