"""What may be sent to the fleet's and the alarms' API: strict forms, and refusals in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from core.alarms.actions import LONGEST_TEXT
from core.alarms.records import Key
from services.gateway.fleet_shapes import Severity

MOST_ALARMS = 1000
LONGEST_SHELF_MIN = 7 * 24 * 60
LONGEST_HOLD_S = 86_400.0
MOST_POWER_KW = 100_000.0
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")


def _one_line(text: str) -> str:
    """Raises ValueError, which pydantic tells on."""
    if not text.strip() or not text.isprintable():
        raise ValueError("printable characters on one line, not blanks alone")
    return text


def _written_out(moment: object) -> object:
    """A bare number would be taken for seconds since 1970. Raises ValueError."""
    if isinstance(moment, str) and not _DATE.match(moment):
        raise ValueError("a time as 2026-11-21T12:00:00Z")
    return moment


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
Element = Annotated[str, Field(min_length=1, max_length=200,
                               description="id of an element in the tree")]
Condition = Annotated[str, Field(min_length=1, max_length=80, examples=["temperature_high"])]
Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(_one_line)]


class _Strict(BaseModel):
    """No further fields, no other types, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class OneAlarm(_Strict):
    """Which alarm."""

    element: Element
    condition: Condition

    @property
    def key(self) -> Key:
        return Key(self.element, self.condition)


class SeenAlarm(_Strict):
    """Which raising of it was seen, and the severity that it showed."""

    occurrence: Annotated[int, Field(ge=0, le=2 ** 53)]
    severity: Severity


class Acknowledged(OneAlarm):
    """seen: as it was told; one that came anew or got worse since is not acknowledged then."""

    seen: SeenAlarm | None = None


class Acknowledge(_Strict):
    """Seen, all or none; of several, those that ask for nothing, and those that are no more as they
    were seen, are left out."""

    action: Literal["acknowledge"]
    alarms: Annotated[list[Acknowledged], Field(min_length=1, max_length=MOST_ALARMS)]


class Shelve(_Strict):
    """Out of sight for so long, or until it goes away (once)."""

    action: Literal["shelve"]
    alarm: OneAlarm
    reason: Text
    minutes: Annotated[int, Field(ge=1, le=LONGEST_SHELF_MIN)]
    once: bool = False


class Hide(_Strict):
    """Until somebody ends it."""

    action: Literal["suppress", "out_of_service"]
    alarm: OneAlarm
    reason: Text


class Plain(_Strict):
    """Reset a latched alarm, or end what hides one."""

    action: Literal["reset", "unshelve", "unsuppress", "return_to_service"]
    alarm: OneAlarm


class Remark(_Strict):
    """On an open alarm."""

    action: Literal["comment"]
    alarm: OneAlarm
    text: Text


AlarmAsked = Acknowledge | Shelve | Hide | Plain | Remark


class Override(_Strict):
    """Each pack of `element` gives and takes at most power_kw for hold_s."""

    action: Literal["override"]
    element: Element
    power_kw: Annotated[float, Field(ge=0, le=MOST_POWER_KW)]
    hold_s: Annotated[float, Field(ge=1, le=LONGEST_HOLD_S)]


class Order(_Strict):
    """element: a pack, or what packs hang on."""

    action: Literal["release", "controlled_shutdown", "emergency_stop", "reset"]
    element: Element


OrderAsked = Override | Order


class Confirm(_Strict):
    """The token of the first step."""

    token: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{20,100}$")]


def refusal(wrong: Mapping[str, Any]) -> str:
    """The first thing that is wrong, of pydantic's errors; what was given is cut and escaped."""
    parts = [str(part) for part in wrong["loc"][1:]]
    name = ascii(".".join(parts)[:80])[1:-1] or "the request"
    if wrong["type"] == "missing":
        return f"{name} is missing"
    said = str(wrong["msg"])
    return f"{name} = {str(wrong['input'])[:40]!r} is not allowed: {said[:300]}"
