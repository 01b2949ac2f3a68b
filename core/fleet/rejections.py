"""Why a message is not used: each reason has a name, words and a count of its own (law 10)."""

from __future__ import annotations

from enum import StrEnum

from core.errors import RequestError


class Rejection(StrEnum):
    """Reasons; the value is the name in counters and metrics."""

    UNKNOWN_TOPIC = "unknown_topic"
    OTHER_SITE = "other_site"
    UNKNOWN_DEVICE = "unknown_device"
    RETAINED = "retained"
    TOO_LARGE = "too_large"
    NOT_DECODABLE = "not_decodable"
    FUTURE_VERSION = "future_version"
    WRONG_FORM = "wrong_form"
    WRONG_SENDER = "wrong_sender"
    NOT_FINITE = "not_finite"
    ABSURD = "absurd"
    CLOCK_OFF = "clock_off"
    SEQUENCE_BACKWARDS = "sequence_backwards"
    SEQUENCE_AHEAD = "sequence_ahead"
    TWO_DEVICES = "two_devices"
    REPLAYED = "replayed"
    OLD_LEASE = "old_lease"
    EXPIRED = "expired"
    BROKER_LIMIT = "broker_limit"
    NOT_ADMITTED = "not_admitted"
    DISK = "disk"
    NO_ROOM = "no_room"
    FAILED = "failed"


WORDS: dict[Rejection, str] = {
    Rejection.UNKNOWN_TOPIC: "no topic of the fleet; correct the publisher",
    Rejection.OTHER_SITE: "a site that this centre does not serve; correct the device's --site",
    Rejection.UNKNOWN_DEVICE: "a device that is not on the list; add it, or end it",
    Rejection.RETAINED: "a retained message is of unknown age; publish without retain",
    Rejection.TOO_LARGE: "larger than the schema allows; send fewer cells a message",
    Rejection.NOT_DECODABLE: "neither whole msgpack nor JSON; see what damages it on its way",
    Rejection.FUTURE_VERSION: "a schema that this version does not know; update the centre",
    Rejection.WRONG_FORM: "a field is missing, unknown or of another type; correct the device",
    Rejection.WRONG_SENDER: "names another site or device than its topic; correct the device",
    Rejection.NOT_FINITE: "NaN or infinite where a number must be; correct the device",
    Rejection.ABSURD: "a value that no pack can have; see its sensor",
    Rejection.CLOCK_OFF: "the device's clock is off; set its time service right",
    Rejection.SEQUENCE_BACKWARDS: "numbers that are used already; the device numbers anew",
    Rejection.SEQUENCE_AHEAD: "numbers that no outbox can have reached; the device numbers anew",
    Rejection.TWO_DEVICES: "two devices with one id; end one or give it an id of its own",
    Rejection.REPLAYED: "a command or allocation that came before; nothing is done again",
    Rejection.OLD_LEASE: "an order of a coordinator that another one has followed; end the older "
                         "one, or mend its way to the database",
    Rejection.EXPIRED: "its time to act is over; issue it again where it is still wanted",
    Rejection.BROKER_LIMIT: "larger than the broker lets through; raise its max_packet_size, or "
                            "send fewer cells a message",
    Rejection.NOT_ADMITTED: "the broker did not let this client in; see its name, password or "
                            "certificate",
    Rejection.DISK: "the device's disk takes nothing, so this was not done or not kept; see its "
                    "disk",
    Rejection.NO_ROOM: "more came at once than the device had room for; see who sends so much",
    Rejection.FAILED: "the device's own program failed at it, and goes on; report it with its log",
}

FINAL = frozenset({Rejection.WRONG_FORM, Rejection.NOT_FINITE, Rejection.ABSURD})
"""Sending the same again cannot help: the message is settled, so that its device forgets it."""


class RejectedError(RequestError):
    """A message that is not used. detail: what exactly, after the reason's own words."""

    def __init__(self, reason: Rejection, detail: str = "") -> None:
        super().__init__(f"{WORDS[reason]} ({detail})" if detail else WORDS[reason])
        self.reason = reason
        self.detail = detail
