"""The strict models of a heat pump's profile, as it is written in YAML."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from core.pump import Medium

Transport = Literal["http", "mqtt", "influx", "coil"]
Kind = Literal["temperature", "status", "alarm", "percentage", "power", "energy", "runtime",
               "setting", "flow", "speed", "counter"]
Size = Literal["u8", "s8", "u16", "s16", "u32", "s32"]

Words = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
Short = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
ProfileId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}\Z")]
RegisterId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:-]{1,32}\Z")]
TagName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,63}\Z")]
Celsius = Annotated[float, msgspec.Meta(ge=-60, le=120)]
Code = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Bit = Annotated[int, msgspec.Meta(ge=0, le=31)]

INTEGERS: frozenset[Transport] = frozenset({"http", "coil"})
"""Transports whose numbers are whole."""


class Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One register.

    metric: a quantity of core/quantities.py; name, type, unit: tags of the InfluxDB schema, the
    unit of what lies there. scale: transport -> factor from what it sends to the unit of the
    metric. values: number after scaling -> value of the metric; what is not in it is refused.
    above_zero_is_on: every number above 0 means 1. size: of a raw integer, whose lowest (or,
    unsigned, highest) value means "no sensor". add_on: it needs an accessory. verified: False
    where nobody checked it, with a note that says what.
    """

    id: RegisterId
    metric: Short
    name: TagName
    type: Kind
    scale: dict[Transport, float]
    unit: Annotated[str, msgspec.Meta(max_length=16)] = ""
    values: dict[float, float] | None = None
    above_zero_is_on: bool = False
    size: Size | None = None
    add_on: bool = False
    verified: bool = True
    note: Annotated[str, msgspec.Meta(max_length=400)] = ""


class Alarms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As core.pump.AlarmTable; cited: where the table is from. table: the name of a file of
    `core/profiles/heat_pumps/alarms` whose codes are added to these."""

    rule: Literal["code", "flag"]
    cited: Words
    table: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,64}\Z")] | None = None
    codes: dict[Code, Short] = {}
    bits: dict[Bit, Short] = {}
    not_alarms: tuple[Code, ...] = ()


class SharedCodes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of alarm codes that several profiles share."""

    codes: dict[Code, Short]
    not_alarms: tuple[Code, ...] = ()


class Point(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One point of a performance map: source_c into the pump, flow_c out of it [°C]; cop [1];
    heat_kw [kW], None = not told."""

    source_c: Celsius
    flow_c: Celsius
    cop: Annotated[float, msgspec.Meta(gt=0, le=30)]
    heat_kw: Annotated[float, msgspec.Meta(gt=0, le=1000)] | None = None


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The performance of one model and where it is from."""

    model: Short
    cited: Words
    points: Annotated[tuple[Point, ...], msgspec.Meta(min_length=1, max_length=100)]


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One brand or series behind one interface.

    id: the stem of its file. transports: those whose scales every register has. sentinels:
    temperatures [°C] that mean "no sensor". absent: quantity -> why it is not told, also of one
    that only an accessory tells. doubts: facts that nobody verified. flow_pair: water out of and
    into the condenser.
    """

    id: ProfileId
    brand: Short
    label: Short
    interface: Words
    medium: Medium
    transports: Annotated[tuple[Transport, ...], msgspec.Meta(min_length=1)]
    registers: Annotated[tuple[Register, ...], msgspec.Meta(min_length=1, max_length=200)]
    alarms: Alarms
    sentinels: Annotated[tuple[float, ...], msgspec.Meta(max_length=50)] = ()
    absent: dict[str, Words] = {}
    doubts: tuple[Words, ...] = ()
    models: tuple[Model, ...] = ()
    flow_pair: tuple[str, str] = ("radiator_supply_c", "radiator_return_c")
    electricity_has_auxiliary: bool = True
    heat_has_auxiliary: bool = False
